"""The random image on which an exported file is compared with the trial's model."""

from math import inf
from typing import Any

import torch

from gamsearch.parser.build import Model

IMAGES = 8
"""Random images of which the clearest one is compared, where a model selects."""


def random_image(side: int, seed: int = 0) -> torch.Tensor:
    """Make a random image of one seed, `1 x 3 x side x side`."""
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def clearest_image(model: Model, side: int) -> torch.Tensor:
    """Find the random image on which RT-DETR selects most clearly.

    It passes the places with the best scores to its decoder, and returns the boxes and classes with the best scores.
    Where the last one that it takes and the first one that it leaves are as good, to the last digit of fp32, the order
    of two additions decides, and every runtime has its own.

    Args:
        model: The model.
        side: Side of the image in px.

    Returns:
        Of `IMAGES` images the one with the widest gap between these two scores, in the narrower of both selections.
    """
    head: Any = model.model[-1]
    scores: list[torch.Tensor] = []  # of places and of boxes in turns
    hooks = [
        layer.register_forward_hook(lambda module, given, found: scores.append(found))
        for layer in (head.enc_score_head, head.dec_score_head[-1])
    ]
    try:
        with torch.no_grad():
            for seed in range(IMAGES):
                model(random_image(side, seed))
    finally:
        for hook in hooks:
            hook.remove()
    places = [gap(found.amax(-1), head.num_queries) for found in scores[::2]]
    boxes = [gap(found, head.num_queries) for found in scores[1::2]]
    gaps = list(map(min, places, boxes))
    return random_image(side, max(range(IMAGES), key=gaps.__getitem__))


def gap(scores: torch.Tensor, selected: int) -> float:
    """Difference of the last score that is selected and the first that is not; infinite if all are selected."""
    ordered = scores.flatten().sort(descending=True).values
    return float(ordered[selected - 1] - ordered[selected]) if len(ordered) > selected else inf

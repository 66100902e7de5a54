"""Check that a candidate starts as the exact identity: its outputs equal the baseline's bit for bit."""

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import torch
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.attention.spec import REFERENCE
from gamsearch.errors import CandidateFailed, one_line
from gamsearch.parser.build import Model


def starts_as_identity(architecture: Architecture) -> bool:
    """Whether every placement uses the identity initialisation."""
    return REFERENCE not in starts_of(architecture).values()


def starts_of(architecture: Architecture) -> dict[str, str]:
    """Name the form in which each placement starts.

    Args:
        architecture: The architecture.

    Returns:
        By the placement's label, a key of `START_WORDS`: `paper`, `gain`, `blend` or `reference`.
    """
    return {p.label: spec_named(p.module).start_of(dict(p.options)) for p in architecture.placements}


def placed_modules(model: Model, placed: Mapping[int, int], architecture: Architecture) -> dict[Placement, nn.Module]:
    """Find the attention modules in a built model.

    Args:
        model: The model.
        placed: Sites to the numbers of their attention rows; of the block where attention is inside it.
        architecture: Where which module is placed.

    Returns:
        Each placement with its module.
    """
    rows = {placement: model.model[placed[placement.site]] for placement in architecture.placements}
    return {p: row.m.attention if p.semantics == "inner" else row for p, row in rows.items()}


def set_to_identity(modules: Mapping[Placement, Any]) -> None:
    """Call `identity_()` of placed modules that have no `init` option, which would say how they start.

    Args:
        modules: What `placed_modules` found.
    """
    for placement, module in modules.items():
        if "init" not in spec_named(placement.module).options and hasattr(module, "identity_"):
            module.identity_()


def check_identity(model: Model, baseline: Model, architecture: Architecture) -> None:
    """Raise `CandidateFailed` unless `model` and `baseline` agree bit for bit on a random image."""
    side = max(64, 2 * int(max(baseline.stride)))
    image = torch.rand(1, baseline.yaml.get("channels", 3), side, side, generator=torch.Generator().manual_seed(0))
    try:
        difference = max_difference(model, baseline, image)
    except Exception as error:  # a layer can raise anything
        raise CandidateFailed("build", f"{architecture.label} cannot be run: {one_line(error)}") from error
    if difference != 0.0:
        raise CandidateFailed(
            "identity",
            f"{architecture.label} must start with the baseline's outputs, but they differ by up to {difference:.3g}",
        )


def max_difference(model: Model, other: Model, image: torch.Tensor) -> float:
    """Largest absolute difference of the two models' predictions on `image` (`B x 3 x H x W`), in eval mode."""
    first, second = (_evaluated(each, image) for each in (model, other))
    return max(float((one - two).abs().max()) for one, two in zip(first, second, strict=True))


@torch.no_grad()
def _evaluated(model: Model, image: torch.Tensor) -> list[torch.Tensor]:
    """The predictions of `model` in eval mode; its own mode is restored."""
    training = model.training
    try:
        return predictions(model.eval()(image))
    finally:
        model.train(training)


def predictions(output: Any) -> list[torch.Tensor]:
    """Select the predictions in what a model returns in eval mode or as an exported file.

    Args:
        output: The model's output: a tensor, or a tuple or list that starts with it, or with a tuple of such tensors.

    Returns:
        The decoded predictions, e.g. `B x (4 + nc) x anchors` for boxes, `B x nc` for classes; then, if the output has
        them, the mask prototypes or the scores before the softmax.
    """
    if torch.is_tensor(output):
        return [output]
    leading = output[0] if isinstance(output[0], (tuple, list)) else output
    return list(takewhile(torch.is_tensor, leading))

"""A yolov8n to inherit from, and architectures with GAM in it."""

import torch

from gamsearch.architecture import Architecture, Placement
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import start_model

NAMES = {0: "ring", 1: "bolt", 2: "nut"}


YOLOV8N = Detector.load("yolov8n")


def gam(site: int, rate: int = 4, **options: int) -> Placement:
    return Placement(site, "GAM", (("rate", rate), *options.items()))


def architecture(*placements: Placement) -> Architecture:
    return Architecture.of("yolov8n", placements)


def used_baseline() -> torch.nn.Module:
    """A yolov8n whose batch norms are not those of a new model, as after training."""
    model = start_model(YOLOV8N, None, NAMES, seed=1)
    generator = torch.Generator().manual_seed(0)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1, generator=generator)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=generator)
    return model

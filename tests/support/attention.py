"""Attention modules for tests, new and as after training, and feature maps."""

import torch
from torch import Tensor, nn

from gamsearch.attention.registry import attention_class

CHANNELS = 32


def fresh(name: str, options: dict, **more: object) -> nn.Module:
    torch.manual_seed(0)
    return attention_class(name)(CHANNELS, **{**options, **more})


def trained_like(name: str, options: dict) -> nn.Module:
    """A module as after training: no initial values left, batch norms with Ultralytics' eps."""
    module = fresh(name, options, init="reference").eval()
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.eps = 1e-3
        nn.init.normal_(norm.running_mean, std=0.5)
        nn.init.uniform_(norm.running_var, 0.05, 3.0)
        nn.init.uniform_(norm.weight, -1.5, 1.5)
        nn.init.normal_(norm.bias, std=0.5)
    return module


def feature_map(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def max_difference(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()

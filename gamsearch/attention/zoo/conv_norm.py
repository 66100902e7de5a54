"""The gate of a maximum and a mean that CBAM and triplet attention share. Needs torch only."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from gamsearch.attention.zoo.gates import saturated, scaled


def pooled_conv(kernel: int, norm: bool = True) -> nn.Sequential:
    """Build the gate of CBAM and of triplet attention: a convolution of two maps to one, then a batch norm.

    Args:
        kernel: The side of the kernel.
        norm: Whether there is a batch norm.

    Returns:
        The layers, named `conv` and `bn` as in both references.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv"] = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
    if norm:
        layers["bn"] = nn.BatchNorm2d(1, momentum=0.01)
    return nn.Sequential(layers)


def pooled_gate(layers: Any, x: Tensor, over: int, scale: float = 1.0) -> Tensor:
    """Gate a map by its maximum and mean over one of its axes.

    Args:
        layers: What `pooled_conv` builds.
        x: `B x C x H x W`.
        over: The axis.
        scale: Factor of both, before the convolution.

    Returns:
        A map `B x 1` by the other two axes with values between 0 and 1.
    """
    out = scaled(torch.stack((x.amax(over), x.mean(over)), 1), scale)
    for layer in layers:
        out = layer(saturated(out))
    return torch.sigmoid(out)


def zero_last_(layers: Any) -> None:
    """Set the last layer of what `pooled_conv` builds to zero, so that the gate is 1/2.

    Args:
        layers: The layers.
    """
    nn.init.zeros_(layers[-1].weight)
    if layers[-1].bias is not None:
        nn.init.zeros_(layers[-1].bias)

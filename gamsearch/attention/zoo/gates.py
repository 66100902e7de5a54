"""What the gates of several attention modules share. Needs torch only."""

import torch
from torch import Tensor

LARGEST = 65504.0
"""The largest finite number of float16."""


def gated(x: Tensor, gate: Tensor) -> Tensor:
    """Multiply a map by a gate; in float16, where the product can overflow, it saturates.

    Args:
        x: `B x C x H x W`.
        gate: A tensor that broadcasts to it.

    Returns:
        The product in the shape and type of `x`.
    """
    if x.dtype == torch.float16:
        return (x.float() * gate.float()).clamp(-LARGEST, LARGEST).half()
    return (x * gate).to(x.dtype)


def blended(x: Tensor, attended: Tensor, gamma: Tensor) -> Tensor:
    """Move from a map to what a module makes of it: x + gamma * (attended - x), exactly x where gamma is zero.

    Args:
        x: `B x C x H x W`.
        attended: The same shape; finite.
        gamma: `C` values in one dimension, since optimizers such as Muon treat those with more as matrices.

    Returns:
        The map between the two, in the type of `x`; it saturates in float16.
    """
    kind = torch.float32 if x.dtype == torch.float16 else x.dtype
    source = x.to(kind)
    out = source + gamma.to(kind)[:, None, None] * (attended.to(kind) - source)
    return (out.clamp(-LARGEST, LARGEST) if x.dtype == torch.float16 else out).to(x.dtype)

"""What the gates of several attention modules share. Needs torch only."""

import torch
from torch import Tensor

LARGEST = 65504.0
"""The largest finite number of float16."""


def gated(x: Tensor, *gates: Tensor) -> Tensor:
    """Multiply a map by gates; in float16, where products overflow and lose small numbers, in float32 and saturated.

    Args:
        x: `B x C x H x W`.
        gates: Tensors that broadcast to it.

    Returns:
        The product in the shape and type of `x`.
    """
    half = x.dtype == torch.float16
    out = x.float() if half else x
    for gate in gates:
        out = out * (gate.float() if half else gate)
    return out.clamp(-LARGEST, LARGEST).half() if half else out.to(x.dtype)


def saturated(x: Tensor) -> Tensor:
    """Keep a float16 tensor finite, so that a layer behind it cannot compute inf - inf.

    Args:
        x: Any tensor.

    Returns:
        The tensor, clamped to the range of float16 if it is float16.
    """
    return x.clamp(-LARGEST, LARGEST) if x.dtype == torch.float16 else x

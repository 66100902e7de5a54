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


def scaled(gate: Tensor, factor: float) -> Tensor:
    """Multiply a gate by its constant factor, which is 1 once it is folded into other layers.

    Args:
        gate: The gate.
        factor: The factor.

    Returns:
        The product; the gate itself if the factor is 1, so that an exported graph has no multiplication.
    """
    return gate if factor == 1.0 else factor * gate


def saturated(x: Tensor) -> Tensor:
    """Keep a float16 tensor finite, so that a layer behind it cannot compute inf - inf.

    Args:
        x: Any tensor.

    Returns:
        The tensor, clamped to the range of float16 if it is float16.
    """
    return x.clamp(-LARGEST, LARGEST) if x.dtype == torch.float16 else x


def added(x: Tensor, branch: Tensor) -> Tensor:
    """Add a branch to a map; in float16, where sums overflow, in float32 and saturated.

    Args:
        x: `B x C x H x W`.
        branch: A finite tensor that broadcasts to it.

    Returns:
        The sum in the shape and type of `x`.
    """
    if x.dtype == torch.float16:
        return (x.float() + branch.float()).clamp(-LARGEST, LARGEST).half()
    return x + branch.to(x.dtype)


def blended(x: Tensor, f: Tensor, gamma: Tensor) -> Tensor:
    """Blend a map with what a module makes of it, x + gamma * (f - x); in half precision in float32 and saturated.

    Args:
        x: `B x C x H x W`.
        f: The module's output in the same shape.
        gamma: `C` numbers. Optimizers such as Muon would treat a parameter with more axes as a matrix.

    Returns:
        The blend in the shape and type of `x`; with gamma 0 it is exactly `x`, with gamma 1 it is `f`.
    """
    start, end = x.float(), f.float()
    if x.dtype == torch.float16:
        end = end.clamp(-LARGEST, LARGEST)  # gamma 0 times infinity is not 0
    out = torch.lerp(start, end, gamma.float()[:, None, None])
    return out.clamp(-LARGEST, LARGEST).half() if x.dtype == torch.float16 else out.to(x.dtype)

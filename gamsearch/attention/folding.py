"""A batch norm folded into the convolution before it. Needs torch only."""

import torch
from torch import Tensor, nn


def fold(conv: nn.Conv2d, norm: nn.Module) -> nn.Identity:
    """Fold the inference form of a batch norm, with its current eps, into the convolution before it, in float64.

    Args:
        conv: The convolution, which is changed.
        norm: The batch norm, or the identity if it is folded already.

    Returns:
        What takes the place of the batch norm.
    """
    if isinstance(norm, nn.Identity):
        return norm
    with torch.inference_mode(False):  # inference tensors have no version counter
        mean, variance, gamma, beta = (_exact(norm, n) for n in ("running_mean", "running_var", "weight", "bias"))
        factor = gamma / torch.sqrt(variance + float(norm.eps))  # type: ignore[arg-type]
        bias = _exact(conv, "bias") if conv.bias is not None else torch.zeros_like(mean)
        weight = _exact(conv, "weight") * factor[:, None, None, None]
        shift = (bias - mean) * factor + beta
        conv.bias = nn.Parameter(shift.to(conv.weight), requires_grad=False)
        conv.weight = nn.Parameter(weight.to(conv.weight), requires_grad=False)
    return nn.Identity()


def _exact(layer: nn.Module, name: str) -> Tensor:
    """A parameter or buffer in float64, which some devices lack."""
    return layer.state_dict()[name].cpu().double()

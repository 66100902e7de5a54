"""NAM, normalization-based attention of Liu et al. (arXiv 2111.12419), its channel attention.

    w    = |scale| / sum |scale|                                scale is the batch norm's weight, one per channel
    f(x) = x * sigmoid(w norm(x))
    out  = x + gamma * (f(x) - x)

The authors' code has this part only, and takes w without its gradient; here w has one. With all scales zero w would be
0/0, and nothing else in the paper makes the identity, hence gamma, one number per channel; with gamma 1 the module is
the paper's. Its gates are near 1/2, since w is near 1/C.
"""

from typing import Any

import torch
from torch import Tensor, nn

from gamsearch.attention.channel_legality import nam_legality
from gamsearch.attention.folding import fold
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import blended, gated, saturated


class NAM(Attention):
    """A gate per channel and pixel from a batch norm; returns the shape of its input `B x C x H x W`.

    With `init="identity"` gamma starts at zero.

    Args:
        channels: C, the width of the map.
        init: `identity` or `reference` (gamma 1).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, init: str = "identity"):
        super().__init__()
        check_row("NAM", channels, {"init": init}, nam_legality)
        self.channels = channels
        self.norm: Any = nn.BatchNorm2d(channels)
        self.scale: nn.Parameter | None = None
        self.shift: nn.Parameter | None = None
        self.gamma = nn.Parameter(torch.ones(channels))
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        if self.scale is None or self.shift is None:
            score = saturated(self.norm(x)) * shares(self.norm.weight)[:, None, None]
        else:
            score = x * self.scale[:, None, None] + self.shift[:, None, None]
        return blended(x, gated(x, torch.sigmoid(score)), self.gamma)

    def identity_(self) -> "NAM":
        """Make the module the exact identity through gamma."""
        nn.init.zeros_(self.gamma)
        return self

    def fuse(self) -> "NAM":
        """Replace the batch norm and w by one factor and one constant per channel, in place."""
        if isinstance(self.norm, nn.BatchNorm2d):
            weight = self.norm.weight.detach()
            ones = nn.utils.skip_init(nn.Conv2d, self.channels, self.channels, 1, groups=self.channels, bias=False)
            nn.init.ones_(ones.weight)
            ones.to(weight)
            self.norm = fold(ones, self.norm)
            self.scale = nn.Parameter(shares(weight) * ones.weight.flatten(), requires_grad=False)
            self.shift = nn.Parameter(shares(weight) * ones.bias, requires_grad=False)
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}"


def shares(scale: Tensor) -> Tensor:
    """Divide the absolute values of a vector by their sum; zeros remain zeros."""
    size = scale.float().abs()
    return size / size.sum().clamp(min=torch.finfo(torch.float32).tiny)

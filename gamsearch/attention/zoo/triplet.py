"""Triplet attention of Misra, Nalamada, Arasanipalai and Hou (arXiv 2010.03045).

    out = x * (cw + hc + hw) / 3

Each gate spans two of the three axes: sigmoid(norm(conv([maximum, mean]))) of the maximum and the mean over the third.
The reference multiplies x by each gate and averages the products, which is the same. Parameter names are the
reference's.
"""

from typing import Any

from torch import Tensor, nn

from gamsearch.attention.folding import fold
from gamsearch.attention.legality import check_row
from gamsearch.attention.spatial_legality import triplet_legality
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.conv_norm import pooled_conv, pooled_gate, zero_last_
from gamsearch.attention.zoo.gates import gated


class Triplet(Attention):
    """The mean of three gates, each over two axes; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the batch norms start at zero and the gates are doubled (`gain`): each is 2/3 sigmoid(0) =
    1/3, and the rounded thirds add up to exactly 1 in every floating-point type.

    Args:
        channels: C, the width of the map.
        kernel: The side of the convolutions.
        init: `identity` or `reference` (PyTorch's defaults, no factor).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, kernel: int = 7, init: str = "identity"):
        super().__init__()
        check_row("Triplet", channels, {"kernel": kernel, "init": init}, triplet_legality)
        self.channels = channels
        self.gain = 2.0 if init == "identity" else 1.0
        self.cw = nn.ModuleDict({"conv": pooled_conv(kernel)})
        self.hc = nn.ModuleDict({"conv": pooled_conv(kernel)})
        self.hw = nn.ModuleDict({"conv": pooled_conv(kernel)})
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        third = self.gain / 3.0
        cw = third * pooled_gate(self.cw["conv"], x, 2).transpose(1, 2)
        hc = third * pooled_gate(self.hc["conv"], x.transpose(1, 2), 3).permute(0, 3, 2, 1)
        hw = third * pooled_gate(self.hw["conv"], x, 1)
        return gated(x, cw + hc + hw)

    def identity_(self) -> "Triplet":
        """Make a module with the factor 2 the exact identity through its batch norms."""
        for gate in (self.cw, self.hc, self.hw):
            zero_last_(gate["conv"])
        return self

    def fuse(self) -> "Triplet":
        """Fold the batch norms into the convolutions, in place."""
        for gate in (self.cw, self.hc, self.hw):
            layers: Any = gate["conv"]
            layers.bn = fold(layers.conv, layers.bn)
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, gain={self.gain:g}"

"""MLCA, mixed local channel attention of Wan et al. (Engineering Applications of Artificial Intelligence 123, 2023).

    p     = means over `local` x `local` cells
    gates = (1 - weight) sigmoid(conv(mean(p))) + weight sigmoid(conv_local(p))          one per channel and cell
    out   = x * gates, averaged over the cells that each pixel belongs to

Both convolutions run along the channels, as in ECA; `conv_local` runs through all cells, one after the other. Cells are
those of adaptive average pooling, here as products with matrices: these exist for every size of the map and are
exported as such, where exporters freeze adaptive pooling at one size. Parameter names are the reference's.
"""

import torch
from torch import Tensor, nn

from gamsearch.attention.channel_legality import mlca_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.cells import cell_means, overlaps, spread_cells
from gamsearch.attention.zoo.channel_conv import channel_conv
from gamsearch.attention.zoo.gates import gated, scaled


class MLCA(Attention):
    """A gate per channel and cell of the map; returns the shape of its input `B x C x H x W`.

    With `init="identity"` both convolutions start at zero and the gates are doubled (`gain`), so that they start as
    2 sigmoid(0) = 1. Cells are averaged as differences from 1, so that this is exact at every size.

    Args:
        channels: C, the width of the map.
        local: Cells per side.
        weight: Share of the local gates, between 0 and 1.
        init: `identity` or `reference` (PyTorch's defaults, no factor).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, local: int = 5, weight: float = 0.5, init: str = "identity"):
        super().__init__()
        check_row("MLCA", channels, {"local": local, "weight": weight, "init": init}, mlca_legality)
        self.channels, self.local, self.weight = channels, local, weight
        self.gain = 2.0 if init == "identity" else 1.0
        self.conv = channel_conv(channels)
        self.conv_local = channel_conv(channels)
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        rows, columns = overlaps(x, 2, self.local), overlaps(x, 3, self.local)
        pooled = cell_means(x, rows, columns)
        cells = pooled.flatten(2).transpose(1, 2)
        everywhere = torch.sigmoid(self.conv(cells.mean(1, keepdim=True)))
        locally = torch.sigmoid(self.conv_local(cells.flatten(1).unsqueeze(1))).view_as(cells)
        excess = scaled(everywhere + self.weight * (locally - everywhere), self.gain) - 1
        spread = spread_cells(excess.transpose(1, 2).view_as(pooled).to(x), rows, columns)
        return gated(x, 1 + spread)

    def identity_(self) -> "MLCA":
        """Make a module with the factor 2 the exact identity through its convolutions."""
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv_local.weight)
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, local={self.local}, weight={self.weight:g}, gain={self.gain:g}"

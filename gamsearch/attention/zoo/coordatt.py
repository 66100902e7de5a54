"""CoordAtt, coordinate attention of Hou, Zhou and Feng (arXiv 2103.02907).

    y   = hardswish(norm(W1 [mean over the columns; mean over the rows]))
    out = x * sigmoid(Ww y_columns) * sigmoid(Wh y_rows)

Both means share W1, which reduces the channels to max(8, C // rate). Parameter names are the reference's.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gamsearch.attention.folding import fold
from gamsearch.attention.legality import check_row
from gamsearch.attention.spatial_legality import coordatt_legality
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import gated, saturated, scaled


class CoordAtt(Attention):
    """A gate per channel and row times a gate per channel and column; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the last layers of both gates start at zero and one gate is multiplied by 4 (`gain`), so that
    the module starts as 4 sigmoid(0) sigmoid(0) = 1.

    Args:
        channels: C, the width of the map.
        rate: Reduction; there are max(8, C // rate) hidden channels.
        init: `identity` or `reference` (PyTorch's defaults, no factor).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, rate: int = 32, init: str = "identity"):
        super().__init__()
        check_row("CoordAtt", channels, {"rate": rate, "init": init}, coordatt_legality)
        hidden = max(8, channels // rate)
        self.channels, self.rate = channels, rate
        self.gain = 4.0 if init == "identity" else 1.0
        self.conv1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv_h = nn.Conv2d(hidden, channels, 1)
        self.conv_w = nn.Conv2d(hidden, channels, 1)
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        height = x.shape[2]
        means = torch.cat((x.mean(3, keepdim=True), x.mean(2).unsqueeze(3)), 2)
        hidden = saturated(F.hardswish(saturated(self.bn1(saturated(self.conv1(means))))))
        rows = torch.sigmoid(self.conv_h(hidden[:, :, :height]))
        columns = torch.sigmoid(self.conv_w(hidden[:, :, height:])).transpose(2, 3)
        return gated(x, columns, scaled(rows, self.gain))

    def identity_(self) -> "CoordAtt":
        """Make a module with the factor 4 the exact identity through the last layer of each gate."""
        for layer in (self.conv_h, self.conv_w):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        return self

    def fuse(self) -> "CoordAtt":
        """Fold the batch norm into the convolution before it, in place."""
        self.bn1 = fold(self.conv1, self.bn1)  # type: ignore[assignment]
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, rate={self.rate}, gain={self.gain:g}"

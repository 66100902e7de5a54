"""EMA, efficient multi-scale attention with cross-spatial learning, of Ouyang et al. (arXiv 2305.13563).

The channels fall into `factor` groups of G = C / factor, which share all parameters. Within a group x:

    x1  = norm(x * sigmoid(h) * sigmoid(w)), h and w from one 1x1 convolution of the means over columns and over rows
    x2  = conv3x3(x)
    out = x * sigmoid(softmax(mean(x1)) . x2 + softmax(mean(x2)) . x1)           one value per group and pixel

The norm has one channel per group, so that mean(x1) is its bias, and is taken from there. Parameter names are the
reference's. Its factor is 32; most YOLO ports have 8, which also divides 16 channels.
"""

import torch
from torch import Tensor, nn

from gamsearch.attention.legality import check_row
from gamsearch.attention.spatial_legality import ema_legality
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import gated, saturated, scaled


class EMA(Attention):
    """A gate per group of channels and pixel; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the 3x3 convolution and the norm start at zero and the gate is doubled (`gain`), so that it
    starts as 2 sigmoid(0) = 1.

    Args:
        channels: C, the width of the map.
        factor: The number of groups; it divides C.
        init: `identity` or `reference` (PyTorch's defaults, no factor).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, factor: int = 8, init: str = "identity"):
        super().__init__()
        check_row("EMA", channels, {"factor": factor, "init": init}, ema_legality)
        width = channels // factor
        self.channels, self.factor = channels, factor
        self.gain = 2.0 if init == "identity" else 1.0
        self.gn = nn.GroupNorm(width, width)
        self.conv1x1 = nn.Conv2d(width, width, 1)
        self.conv3x3 = nn.Conv2d(width, width, 3, padding=1)
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        group = x.reshape(b * self.factor, -1, h, w)
        means = torch.cat((group.mean(3, keepdim=True), group.mean(2).unsqueeze(3)), 2)
        strips = torch.sigmoid(self.conv1x1(means))
        rows, columns = strips[:, :, :h], strips[:, :, h:].transpose(2, 3)
        first = self.gn(gated(group, rows, columns))
        second = saturated(self.conv3x3(group))
        score = (torch.softmax(self.gn.bias, 0)[:, None, None] * second).sum(1, keepdim=True)
        score = score + (torch.softmax(second.mean((2, 3), keepdim=True), 1) * first).sum(1, keepdim=True)
        return gated(group, scaled(torch.sigmoid(score), self.gain)).view(b, c, h, w)

    def identity_(self) -> "EMA":
        """Make a module with the factor 2 the exact identity through its 3x3 convolution and its norm."""
        for layer in (self.conv3x3, self.gn):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, factor={self.factor}, gain={self.gain:g}"

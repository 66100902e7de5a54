"""CBAM, the convolutional block attention module of Woo, Park, Lee and Kweon (arXiv 1807.06521).

    x1  = x * sigmoid(mlp(mean(x)) + mlp(max(x)))               mean and maximum over the pixels
    out = x1 * sigmoid(norm(conv([max(x1), mean(x1)])))         maximum and mean over the channels

Parameter names are the reference's. Ultralytics ships another module under this name (one C x C convolution of the
mean, no maximum, no reduction), so rows call this one `CBAMPaper`. Many ports have neither the batch norm nor biases:
`CBAMPaper(c, 16, 7, False, False)`.
"""

from typing import Any

import torch
from torch import Tensor, nn

from gamsearch.attention.folding import fold
from gamsearch.attention.legality import check_row
from gamsearch.attention.spatial_legality import cbam_legality
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.conv_norm import pooled_conv, pooled_gate, zero_last_
from gamsearch.attention.zoo.gates import gated, scaled


class CBAMPaper(Attention):
    """A gate per channel, then a gate per pixel; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the last layers of both gates start at zero and each gate is doubled (`gain` = 4 in all), so
    that the module starts as 2 sigmoid(0) 2 sigmoid(0) = 1. The second gate is computed from x1 without the factor.

    Args:
        channels: C, the width of the map.
        rate: Reduction of the perceptron; it has C // rate hidden channels.
        kernel: The side of the convolution.
        norm: Whether a batch norm follows the convolution.
        bias: Whether the perceptron has biases.
        init: `identity` or `reference` (PyTorch's defaults, no factor).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(
        self,
        channels: int = 0,
        rate: int = 16,
        kernel: int = 7,
        norm: bool = True,
        bias: bool = True,
        init: str = "identity",
    ):
        super().__init__()
        options: dict[str, int | str] = {"rate": rate, "kernel": kernel, "norm": norm, "bias": bias, "init": init}
        check_row("CBAMPaper", channels, options, cbam_legality)
        self.channels, self.rate = channels, rate
        self.gain = 4.0 if init == "identity" else 1.0
        first, last = nn.Linear(channels, channels // rate, bias), nn.Linear(channels // rate, channels, bias)
        self.ChannelGate = nn.ModuleDict({"mlp": nn.Sequential(nn.Flatten(), first, nn.ReLU(), last)})
        self.SpatialGate = nn.ModuleDict({"spatial": pooled_conv(kernel, norm)})
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        mlp = self.ChannelGate["mlp"]
        factor = self.gain**0.5
        gate = scaled(torch.sigmoid(mlp(x.mean((2, 3))) + mlp(x.amax((2, 3)))), factor)
        attended = gated(x, gate[:, :, None, None])
        return gated(attended, scaled(pooled_gate(self.SpatialGate["spatial"], attended, 1, 1 / factor), factor))

    def identity_(self) -> "CBAMPaper":
        """Make a module with the factor 4 the exact identity through the last layer of each gate."""
        zero_last_(self.ChannelGate["mlp"])
        zero_last_(self.SpatialGate["spatial"])
        return self

    def fuse(self) -> "CBAMPaper":
        """Fold the batch norm into the convolution, in place."""
        layers: Any = self.SpatialGate["spatial"]
        if len(layers) > 1:
            layers.bn = fold(layers.conv, layers.bn)
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, rate={self.rate}, gain={self.gain:g}"

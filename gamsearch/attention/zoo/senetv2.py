"""SENetV2, the aggregated squeeze and excitation of Narayanan (arXiv 2311.10807).

    out = x * sigmoid(W2 [relu(W1 mean(x)), ..., relu(W4 mean(x))] + b)         four branches, each with a bias

The mean is over the pixels; each branch reduces the channels by `rate`, W2 restores them. Four layers on one input are
one layer of four times the width, and are built as such. Most ports have no biases, which makes it exactly SE with a
quarter of the rate. The x that the authors' code adds is the residual of the block around it, which a row leaves out.
"""

import torch
from torch import Tensor, nn

from gamsearch.attention.channel_legality import senetv2_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import gated, saturated, scaled

BRANCHES = 4


class SENetV2(Attention):
    """A gate per channel from the mean of each channel; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the last layer starts at zero and the gate is doubled (`gain`), so that it starts as
    2 sigmoid(0) = 1.

    Args:
        channels: C, the width of the map.
        rate: Reduction; each of the four branches has C // rate channels.
        bias: Whether the layers have biases.
        init: `identity` or `reference` (PyTorch's defaults, no factor).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, rate: int = 16, bias: bool = True, init: str = "identity"):
        super().__init__()
        check_row("SENetV2", channels, {"rate": rate, "bias": bias, "init": init}, senetv2_legality)
        self.channels, self.rate = channels, rate
        self.gain = 2.0 if init == "identity" else 1.0
        self.branches = nn.Linear(channels, BRANCHES * (channels // rate), bias)
        self.fc = nn.Linear(BRANCHES * (channels // rate), channels, bias)
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        hidden = saturated(torch.relu(self.branches(x.mean((2, 3)))))
        gate = scaled(torch.sigmoid(self.fc(hidden)), self.gain)
        return gated(x, gate[:, :, None, None])

    def identity_(self) -> "SENetV2":
        """Make a module with the factor 2 the exact identity through its last layer."""
        for parameter in self.fc.parameters():
            nn.init.zeros_(parameter)
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, rate={self.rate}, gain={self.gain:g}"

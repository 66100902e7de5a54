"""SE, squeeze and excitation, of Hu, Shen and Sun (arXiv 1709.01507).

    out = x * sigmoid(W2 relu(W1 mean(x)))

The mean is over the pixels; W1 reduces the channels by `rate`, W2 restores them; no biases, as in the reference.
"""

import torch
from torch import Tensor, nn

from gamsearch.attention.channel_legality import se_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import gated, scaled


class SE(Attention):
    """A gate per channel from the mean of each channel; returns the shape of its input `B x C x H x W`.

    With `init="identity"` W2 starts at zero and the gate is doubled (`gain`), so that it starts as 2 sigmoid(0) = 1.

    Args:
        channels: C, the width of the map.
        rate: Reduction; there are C // rate hidden channels.
        init: `identity` or `reference` (PyTorch's defaults, no factor).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, rate: int = 16, init: str = "identity"):
        super().__init__()
        check_row("SE", channels, {"rate": rate, "init": init}, se_legality)
        self.channels, self.rate = channels, rate
        self.gain = 2.0 if init == "identity" else 1.0
        self.fc1 = nn.Linear(channels, channels // rate, bias=False)
        self.fc2 = nn.Linear(channels // rate, channels, bias=False)
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.fc1(x.mean((2, 3))))
        gate = scaled(torch.sigmoid(self.fc2(hidden)), self.gain)
        return gated(x, gate[:, :, None, None])

    def identity_(self) -> "SE":
        """Make a module with the factor 2 the exact identity through its last layer."""
        nn.init.zeros_(self.fc2.weight)
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, rate={self.rate}, gain={self.gain:g}"

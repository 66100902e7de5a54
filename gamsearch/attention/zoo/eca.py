"""ECA, efficient channel attention of Wang et al. (arXiv 1910.03151).

    out = x * sigmoid(conv(mean(x)))

The mean is over the pixels, the convolution runs along the channels and has no bias. The paper derives its kernel from
the width (3 up to 64 channels, 5 up to 1024); the authors' code and most ports have 3. Parameter names are the
reference's.
"""

import torch
from torch import Tensor, nn

from gamsearch.attention.channel_legality import eca_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.channel_conv import channel_conv
from gamsearch.attention.zoo.gates import gated, scaled


class ECA(Attention):
    """A gate per channel from the means of its neighbours; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the convolution starts at zero and the gate is doubled (`gain`), so that it starts as
    2 sigmoid(0) = 1.

    Args:
        channels: C, the width of the map.
        kernel: The side of the convolution's kernel, an odd number; 0 stands for the paper's, which follows from C.
        init: `identity` or `reference` (PyTorch's defaults, no factor).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, kernel: int = 0, init: str = "identity"):
        super().__init__()
        check_row("ECA", channels, {"kernel": kernel, "init": init}, eca_legality)
        self.channels = channels
        self.gain = 2.0 if init == "identity" else 1.0
        self.conv = channel_conv(channels, kernel)
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        gate = scaled(torch.sigmoid(self.conv(x.mean((2, 3)).unsqueeze(1)).squeeze(1)), self.gain)
        return gated(x, gate[:, :, None, None])

    def identity_(self) -> "ECA":
        """Make a module with the factor 2 the exact identity through its convolution."""
        nn.init.zeros_(self.conv.weight)
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, gain={self.gain:g}"

"""LSKA, large separable kernel attention, of Lau, Po and Rehman (arXiv 2309.01439).

    out = x * conv1(spatial_v(spatial_h(conv0v(conv0h(x)))))

A depthwise kernel of side `kernel` as a local row and column, then a dilated row and column; conv1 is 1x1. There is no
sigmoid, so the gate is unbounded. Parameter names are the reference's.
"""

from torch import Tensor, nn

from gamsearch.attention.legality import check_row
from gamsearch.attention.spatial_legality import LSKA_KERNELS, lska_legality
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import gated, saturated


class LSKA(Attention):
    """A gate per channel and pixel from a large neighbourhood; returns the shape of its input `B x C x H x W`.

    With `init="identity"` conv1 starts with weight 0 and bias 1, so that the gate is 1.

    Args:
        channels: C, the width of the map.
        kernel: The side of the kernel: 7, 11, 23, 35, 41 or 53.
        init: `identity` or `reference` (PyTorch's defaults).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, kernel: int = 7, init: str = "identity"):
        super().__init__()
        check_row("LSKA", channels, {"kernel": kernel, "init": init}, lska_legality)
        self.channels, self.kernel = channels, kernel
        local, far, step = LSKA_KERNELS[kernel]
        near, reach = local // 2, step * (far // 2)
        self.conv0h = nn.Conv2d(channels, channels, (1, local), padding=(0, near), groups=channels)
        self.conv0v = nn.Conv2d(channels, channels, (local, 1), padding=(near, 0), groups=channels)
        self.conv_spatial_h = nn.Conv2d(
            channels, channels, (1, far), padding=(0, reach), dilation=(1, step), groups=channels
        )
        self.conv_spatial_v = nn.Conv2d(
            channels, channels, (far, 1), padding=(reach, 0), dilation=(step, 1), groups=channels
        )
        self.conv1 = nn.Conv2d(channels, channels, 1)
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        gate = x
        for layer in (self.conv0h, self.conv0v, self.conv_spatial_h, self.conv_spatial_v, self.conv1):
            gate = saturated(layer(gate))
        return gated(x, gate)

    def identity_(self) -> "LSKA":
        """Make the module the exact identity through its last layer."""
        nn.init.zeros_(self.conv1.weight)
        nn.init.ones_(self.conv1.bias)  # type: ignore[arg-type]
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, kernel={self.kernel}"

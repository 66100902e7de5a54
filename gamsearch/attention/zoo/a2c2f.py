"""A2C2f, the area attention block of YOLO12 (arXiv 2502.12524; Ultralytics' implementation), as a residual row.

    out = x + A2C2f(x)

The block is Ultralytics' own, with one area: each of its `blocks` is two times self-attention over all pixels and a
perceptron. Heads have 32 channels; the hidden width, C / 2, is rounded up to whole heads. More areas are no option, as
they must divide the number of pixels. Cost and memory grow with the square of that number.
"""

from gamsearch.attention.context_legality import shipped_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.shipped import ShippedBlock

HEAD_WIDTH = 32


class A2C2fResidual(ShippedBlock):
    """Self-attention over the map, added to it; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the last batch norm of the block starts at zero.

    Args:
        channels: C, the width of the map.
        blocks: Pairs of attention blocks, one after the other.
        init: `identity` or `reference` (Ultralytics').

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, blocks: int = 1, init: str = "identity"):
        from ultralytics.nn.modules.block import A2C2f  # not above: its import registers this class

        super().__init__()
        check_row("A2C2fResidual", channels, {"blocks": blocks, "init": init}, shipped_legality)
        self.channels = channels
        hidden = -(-channels // (2 * HEAD_WIDTH)) * HEAD_WIDTH
        self.block = A2C2f(channels, channels, blocks, e=(hidden + 0.5) / channels)
        if init == "identity":
            self.identity_()

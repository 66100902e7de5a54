"""C2PSA, the attention block of YOLO11 and YOLO26 (Ultralytics), as a residual row.

    out = x + C2PSA(x)

The block is Ultralytics' own: half of its hidden channels pass through `blocks` times self-attention over all pixels
and a perceptron. Heads have 64 channels; hidden widths that these do not divide are rounded down until heads fit.
Ultralytics places it at stride 32: cost and memory grow with the square of the number of pixels.
"""

from gamsearch.attention.context_legality import shipped_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.shipped import ShippedBlock


class C2PSAResidual(ShippedBlock):
    """Self-attention over the map, added to it; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the last batch norm of the block starts at zero.

    Args:
        channels: C, the width of the map.
        blocks: Blocks of attention, one after the other.
        init: `identity` or `reference` (Ultralytics').

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, blocks: int = 1, init: str = "identity"):
        from ultralytics.nn.modules.block import C2PSA  # not above: its import registers this class

        super().__init__()
        check_row("C2PSAResidual", channels, {"blocks": blocks, "init": init}, shipped_legality)
        self.channels, half = channels, max(channels // 2, 2)
        heads = max(half // 64, 1)
        hidden = half - half % heads
        self.block = C2PSA(channels, channels, blocks, e=(hidden + 0.5) / channels)
        if init == "identity":
            self.identity_()

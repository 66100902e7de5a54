"""The context aggregation block (CAB) of CATNet, by Liu et al. (arXiv 2111.11057).

    out = x + sigmoid(gate(x)) * merge(sum_pixels(softmax_pixels(key(x)) * value(x)))

All four are 1x1 convolutions: gate and key have one output, value reduces the channels by `rate`, merge restores them.
The softmax sums to one, so value is applied to the weighted mean of x instead of to each pixel, which gives the same; a
bias of key would cancel in the softmax and is left out.
"""

import torch
from torch import Tensor, nn

from gamsearch.attention.context_legality import aggregation_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import added, saturated


class ContextAggregation(Attention):
    """Adds one vector, a mean of the whole map, to each pixel; returns the shape of its input `B x C x H x W`.

    The authors' initialisation is the identity: merge starts at zero. So there is no option `init`.

    Args:
        channels: C, the width of the map.
        rate: The vector has C // rate channels before merge.

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, rate: int = 1):
        super().__init__()
        check_row("ContextAggregation", channels, {"rate": rate}, aggregation_legality)
        self.channels, self.rate = channels, rate
        self.gate = nn.Conv2d(channels, 1, 1)
        self.key = nn.Conv2d(channels, 1, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // rate, 1)
        self.merge = nn.Conv2d(channels // rate, channels, 1)
        for conv in (self.gate, self.key, self.value):
            nn.init.kaiming_uniform_(conv.weight, a=1)
        for bias in (self.gate.bias, self.value.bias):
            nn.init.zeros_(bias)  # type: ignore[arg-type]
        self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        weights = torch.softmax(saturated(self.key(x)).flatten(2).float(), 2)
        mean = saturated((x.flatten(2).float() @ weights.transpose(1, 2)).to(x.dtype))
        context = saturated(self.merge(saturated(self.value(mean.unsqueeze(3)))))
        return added(x, torch.sigmoid(self.gate(x)) * context)

    def identity_(self) -> "ContextAggregation":
        """Make the module the exact identity through its last convolution."""
        nn.init.zeros_(self.merge.weight)
        nn.init.zeros_(self.merge.bias)  # type: ignore[arg-type]
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, rate={self.rate}"

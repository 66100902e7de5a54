"""Double attention of A2-Nets, by Chen, Kalantidis, Li, Yan and Feng (arXiv 1810.11579).

    descriptors = A(x) softmax_pixels(B(x))^T                     gather: means of features, one per attention map
    out = x + reconstruct(descriptors softmax_maps(V(x)))         distribute: each pixel mixes the descriptors

A, B, V and reconstruct are 1x1 convolutions. Both softmaxes sum to one, so A and reconstruct are applied to the few
means instead of to each pixel, which gives the same. Ports in YOLO repositories take the softmaxes over the batch, so
that an image's output depends on the others, and leave out the residual; this is the paper's module, with the ports'
parameter names. They have 128 descriptors and maps at any width; here it is C // rate, in the paper C / 4.
"""

import torch
from torch import Tensor, nn

from gamsearch.attention.context_legality import double_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import added, saturated


class DoubleAttention(Attention):
    """Gathers features of the whole map, then distributes them; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the last convolution starts at zero, so that the residual is all there is.

    Args:
        channels: C, the width of the map.
        rate: There are C // rate attention maps, and as many channels in a descriptor.
        init: `identity` or `reference` (normal with a variance by the outputs, as in the ports).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, rate: int = 4, init: str = "identity"):
        super().__init__()
        check_row("DoubleAttention", channels, {"rate": rate, "init": init}, double_legality)
        self.channels, self.rate = channels, rate
        inner = channels // rate
        self.convA = nn.Conv2d(channels, inner, 1)
        self.convB = nn.Conv2d(channels, inner, 1)
        self.convV = nn.Conv2d(channels, inner, 1)
        self.conv_reconstruct = nn.Conv2d(inner, channels, 1)
        for conv in (self.convA, self.convB, self.convV, self.conv_reconstruct):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        maps = torch.softmax(saturated(self.convB(x)).flatten(2).float(), 2)
        vectors = torch.softmax(saturated(self.convV(x)).flatten(2).float(), 1)
        means = saturated((x.flatten(2).float() @ maps.transpose(1, 2)).to(x.dtype))
        descriptors = saturated(self.conv_reconstruct(saturated(self.convA(means.unsqueeze(3)))))
        return added(x, (descriptors.flatten(2).float() @ vectors).view(x.shape))

    def identity_(self) -> "DoubleAttention":
        """Make the module the exact identity through its last convolution."""
        nn.init.zeros_(self.conv_reconstruct.weight)
        nn.init.zeros_(self.conv_reconstruct.bias)  # type: ignore[arg-type]
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, rate={self.rate}"

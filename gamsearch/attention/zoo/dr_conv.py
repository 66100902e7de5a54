"""Dynamic region-aware convolution of Chen et al. (arXiv 2003.12243), here as a residual row. Experimental.

    s       = down(x)                                                  1x1 convolution, C to c = C // rate
    region  = argmax(guide(s))                                         one of `regions`, for each pixel
    filters = grouped1x1(sigmoid(conv1x1(pooled(s))))                  one c x c x kernel x kernel for each region
    out     = x + gamma * up(convolution of s by its region's filter)

pooled is adaptive average pooling to kernel x kernel. The gradient of argmax is that of softmax, as in the paper, where
DRConv replaces a convolution; that has no start as the identity and eight times the parameters, hence this form. Gamma
is one number per channel. With f(x) = x + up(...) it is the blend x + gamma * (f(x) - x).
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gamsearch.attention.context_legality import dynamic_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.cells import cell_means, overlaps
from gamsearch.attention.zoo.gates import added, saturated


class DRConv(Attention):
    """A convolution whose filter depends on image and region; returns the shape of its input `B x C x H x W`.

    With `init="identity"` gamma starts at zero.

    Args:
        channels: C, the width of the map.
        rate: Reduction; the convolution has C // rate channels.
        kernel: The side of the filters, 1 or 3.
        regions: How many filters there are.
        init: `identity` or `reference` (gamma 1).

    Raises:
        RowError: The row cannot be built.
    """

    chooses = True
    """In half precision a pixel between two regions can fall to the other one, where the output jumps."""

    def __init__(self, channels: int = 0, rate: int = 4, kernel: int = 3, regions: int = 4, init: str = "identity"):
        super().__init__()
        options: dict[str, int | str] = {"rate": rate, "kernel": kernel, "regions": regions, "init": init}
        check_row("DRConv", channels, options, dynamic_legality)
        self.channels, self.rate, self.kernel, self.regions = channels, rate, kernel, regions
        c = channels // rate
        self.down = nn.Conv2d(channels, c, 1)
        self.guide = nn.Conv2d(c, regions, kernel, padding=kernel // 2)
        self.codes = nn.Conv2d(c, regions**2, 1)
        self.filters = nn.Conv2d(regions**2, regions * c * c, 1, groups=regions)
        self.up = nn.Conv2d(c, channels, 1)
        self.gamma: nn.Parameter | None = nn.Parameter(torch.ones(channels))
        nn.init.normal_(
            self.filters.weight, std=(4 / (regions * c * kernel**2)) ** 0.5
        )  # the filters keep the variance
        nn.init.zeros_(self.filters.bias)  # type: ignore[arg-type]
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        small = saturated(self.down(x))
        cells = cell_means(small, overlaps(small, 2, self.kernel), overlaps(small, 3, self.kernel))
        filters = saturated(self.filters(torch.sigmoid(self.codes(cells))))
        filters = filters.reshape(b, filters.shape[1] // small.shape[1], -1)
        responses = saturated(filters @ self._patches(small)).view(b, self.regions, -1, h, w)
        chosen = (responses * self._masks(small).unsqueeze(2)).sum(1).to(small.dtype)
        branch = saturated(self.up(chosen))
        return added(x, branch if self.gamma is None else self.gamma[:, None, None] * branch)

    def _masks(self, small: Tensor) -> Tensor:
        """Which region each pixel belongs to, `B x regions x H x W`; in training with the gradient of the softmax."""
        scores = saturated(self.guide(small))
        hard, soft = (scores == scores.amax(1, keepdim=True)).to(scores), torch.softmax(scores, 1)
        hard = hard / hard.sum(1, keepdim=True)  # equal scores, which are frequent in half precision, share the pixel
        return hard + (soft - soft.detach()) if self.training else hard

    def _patches(self, small: Tensor) -> Tensor:
        """Each pixel's neighbourhood, `B x (c kernel kernel) x pixels`; faster than `unfold`."""
        h, w = small.shape[2:]
        padded = F.pad(small, [self.kernel // 2] * 4)
        shifted = [padded[:, :, i : i + h, j : j + w] for i in range(self.kernel) for j in range(self.kernel)]
        return torch.stack(shifted, 2).flatten(1, 2).flatten(2)

    def identity_(self) -> "DRConv":
        """Make the module the exact identity through gamma."""
        if self.gamma is not None:
            nn.init.zeros_(self.gamma)
        return self

    def fuse(self) -> "DRConv":
        """Multiply gamma into the last convolution, in place."""
        if self.gamma is not None:
            with torch.no_grad():
                for parameter in self.up.parameters():
                    parameter.mul_(self.gamma.view(-1, *[1] * (parameter.ndim - 1)))
            self.gamma = None
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, rate={self.rate}, kernel={self.kernel}, regions={self.regions}"

"""SimAM, the parameter-free attention of Yang, Zhang, Li and Xie (ICML 2021, PMLR 139).

    d    = (x - mean(x))^2
    f(x) = x * sigmoid(d / (4 (sum(d) / (H W - 1) + e_lambda)) + 1/2)
    out  = x + gamma * (f(x) - x)

Mean and sum are over the pixels. The paper has no parameters and no identity among its settings, hence gamma, one
number per channel; with gamma 1 the module is the paper's.
"""

import torch
from torch import Tensor, nn

from gamsearch.attention.channel_legality import simam_legality
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import blended, gated


class SimAM(Attention):
    """A gate per channel and pixel from its distance to the channel's mean; returns the shape of its input.

    With `init="identity"` gamma starts at zero. A map of one pixel has no variance; its gate is sigmoid(1/2).

    Args:
        channels: C, the width of the map.
        e_lambda: What is added to the variance.
        init: `identity` or `reference` (gamma 1).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, e_lambda: float = 1e-4, init: str = "identity"):
        super().__init__()
        check_row("SimAM", channels, {"e_lambda": e_lambda, "init": init}, simam_legality)
        self.channels, self.e_lambda = channels, e_lambda
        self.gamma = nn.Parameter(torch.ones(channels))
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        exact = x.float()  # squares overflow float16
        others = torch.as_tensor(x.shape[2] * x.shape[3] - 1).clamp(min=1)
        distance = (exact - exact.mean((2, 3), keepdim=True)).square()
        variance = distance.sum((2, 3), keepdim=True) / others
        gate = torch.sigmoid(distance / (4 * (variance + self.e_lambda)) + 0.5)
        return blended(x, gated(x, gate), self.gamma)

    def identity_(self) -> "SimAM":
        """Make the module the exact identity through gamma."""
        nn.init.zeros_(self.gamma)
        return self

    def extra_repr(self) -> str:
        """The arguments that the parameters do not show."""
        return f"{self.channels}, e_lambda={self.e_lambda:g}"

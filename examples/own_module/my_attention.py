import torch
from torch import nn

import gamsearch as gs


@gs.register.attention
class MyGate(nn.Module):
    """A gate per channel from the means of all channels; it starts as the identity."""

    def __init__(self, channels: int = 0, rate: int = 8):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, channels // rate, 1), nn.Conv2d(channels // rate, channels, 1)
        self.identity_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (2 * self.expand(self.reduce(x.mean((2, 3), keepdim=True)).relu()).sigmoid())

    def identity_(self) -> None:
        nn.init.zeros_(self.expand.weight), nn.init.zeros_(self.expand.bias)

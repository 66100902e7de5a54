"""Shuffle attention of Zhang and Yang (arXiv 2102.00240).

The channels fall into groups and each group into two halves of k = C / (2 groups) channels:

    first  * sigmoid(cweight mean(first) + cbias)                     mean over the pixels
    second * sigmoid(sweight norm(second) + sbias)                    group norm with one channel per group

All groups share these parameters, in vectors of length k (the reference: 1 x k x 1 x 1, which optimizers such as Muon
would treat as matrices). The paper then permutes the channels (`shuffle`), which the next convolution can undo; without
the permutation the module can be the identity. The paper has 64 groups and so needs 128 channels; most ports have 8.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gamsearch.attention.legality import check_row
from gamsearch.attention.spatial_legality import shuffle_legality
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import gated, scaled


class ShuffleAttention(Attention):
    """A gate per channel for one half, per pixel for the other; returns the shape of its input `B x C x H x W`.

    With `init="identity"` all gates start as 2 sigmoid(0) = 1: their weights and biases are zero, and they are doubled
    (`gain`). The reference starts with biases of 1.

    Args:
        channels: C, the width of the map.
        groups: Groups of channels that share their parameters; twice their number divides C.
        shuffle: Whether the channels are permuted at the end.
        init: `identity` or `reference` (no factor).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, groups: int = 8, shuffle: bool = False, init: str = "identity"):
        super().__init__()
        options: dict[str, int | str] = {"groups": groups, "shuffle": shuffle, "init": init}
        check_row("ShuffleAttention", channels, options, shuffle_legality)
        half = channels // (2 * groups)
        self.channels, self.groups, self.shuffle = channels, groups, shuffle
        self.gain = 2.0 if init == "identity" else 1.0
        self.cweight, self.cbias = nn.Parameter(torch.zeros(half)), nn.Parameter(torch.ones(half))
        self.sweight, self.sbias = nn.Parameter(torch.zeros(half)), nn.Parameter(torch.ones(half))
        self.gn = nn.GroupNorm(half, half)
        if init == "identity":
            self.identity_()

    def attend(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        first, second = x.reshape(b * self.groups, -1, h, w).chunk(2, 1)
        channel = self.cweight[:, None, None] * first.mean((2, 3), keepdim=True) + self.cbias[:, None, None]
        weight, bias = self.sweight * self.gn.weight, self.sweight * self.gn.bias + self.sbias
        spatial = F.group_norm(second, self.gn.num_groups, weight, bias, self.gn.eps)
        gates = scaled(torch.sigmoid(channel), self.gain), scaled(torch.sigmoid(spatial), self.gain)
        out = torch.cat((gated(first, gates[0]), gated(second, gates[1])), 1).view(b, c, h, w)
        if self.shuffle:
            out = out.view(b, 2, -1, h, w).transpose(1, 2).reshape(b, c, h, w)
        return out

    def identity_(self) -> "ShuffleAttention":
        """Make a module with the factor 2 the exact identity through the weights and biases of its gates."""
        for parameter in (self.cweight, self.cbias, self.sweight, self.sbias):
            nn.init.zeros_(parameter)
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, groups={self.groups}, shuffle={self.shuffle}, gain={self.gain:g}"

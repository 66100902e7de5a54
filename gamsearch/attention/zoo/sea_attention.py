"""Sea attention, squeeze-enhanced axial attention of SeaFormer, by Wan et al. (arXiv 2301.13156).

    q, k, v = norm(conv1x1(x))                                 q and k with n = 4 key_dim channels, v with 2 n
    axis    = norm(conv1x1(act(attention(q', k', v'))))        means over the other axis, q' and k' with positions
    gate    = hard_sigmoid(norm(conv1x1(act(v + axis_rows + axis_columns))))
    out     = x + gate * norm(conv1x1(act(norm(depthwise3x3([q, k, v])))))

The activation is ReLU6; the residual belongs to the block that holds the module in SeaFormer. Positions are 16 vectors,
interpolated linearly to the length of the axis: as a product with weights, whose gradient is deterministic on CUDA and
which exports at any size. The reference fixes key_dim; here it follows the width, key_dim = C // (4 rate). Parameter
names are the reference's.
"""

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gamsearch.attention.context_legality import SEA_HEADS, sea_legality
from gamsearch.attention.folding import fold
from gamsearch.attention.legality import check_row
from gamsearch.attention.zoo.base import Attention
from gamsearch.attention.zoo.gates import added, saturated

POSITIONS = 16


class Sea_Attention(Attention):  # noqa: N801 (rows call it so)
    """Attention along rows and columns that gates local detail; returns the shape of its input `B x C x H x W`.

    With `init="identity"` the norm of the detail starts at zero, so that the residual is all there is.

    Args:
        channels: C, the width of the map.
        rate: Queries and keys have about C / rate channels in four heads, values twice as many.
        init: `identity` or `reference` (the norms behind both axes and in the gate start at zero).

    Raises:
        RowError: The row cannot be built.
    """

    def __init__(self, channels: int = 0, rate: int = 4, init: str = "identity"):
        super().__init__()
        check_row("Sea_Attention", channels, {"rate": rate, "init": init}, sea_legality)
        self.channels, self.rate, self.key_dim = channels, rate, channels // (rate * SEA_HEADS)
        n = self.key_dim * SEA_HEADS
        self.to_q, self.to_k, self.to_v = _layer(channels, n), _layer(channels, n), _layer(channels, 2 * n)
        self.proj = nn.Sequential(nn.ReLU6(), _layer(2 * n, channels))
        self.proj_encode_row = nn.Sequential(nn.ReLU6(), _layer(2 * n, 2 * n))
        self.pos_emb_rowq, self.pos_emb_rowk = _positions(n), _positions(n)
        self.proj_encode_column = nn.Sequential(nn.ReLU6(), _layer(2 * n, 2 * n))
        self.pos_emb_columnq, self.pos_emb_columnk = _positions(n), _positions(n)
        self.dwconv = _layer(4 * n, 4 * n, 3, groups=4 * n)
        self.pwconv = _layer(4 * n, channels)
        if init == "identity":
            self.identity_()
        else:
            layers: Any
            for layers in (self.proj, self.proj_encode_row, self.proj_encode_column):
                nn.init.zeros_(layers[-1].bn.weight)

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = _run(self.to_q, x), _run(self.to_k, x), _run(self.to_v, x)
        detail = _run(self.pwconv, F.relu6(_run(self.dwconv, torch.cat((q, k, v), 1))))
        rows = self._along(q.mean(3), k.mean(3), v.mean(3), self.pos_emb_rowq, self.pos_emb_rowk)
        columns = self._along(q.mean(2), k.mean(2), v.mean(2), self.pos_emb_columnq, self.pos_emb_columnk)
        rows = _run(self.proj_encode_row, rows.unsqueeze(3))
        columns = _run(self.proj_encode_column, columns.unsqueeze(2))
        gate = F.hardsigmoid(_run(self.proj, v + rows + columns))
        return added(x, gate * detail)

    def _along(self, q: Tensor, k: Tensor, v: Tensor, q_positions: Any, k_positions: Any) -> Tensor:
        """Multi-head attention along one axis, on tensors `B x channels x length`."""
        weights = _interpolation(q)
        q = (q + q_positions["pos_embed"] @ weights).unflatten(1, (SEA_HEADS, self.key_dim))
        k = (k + k_positions["pos_embed"] @ weights).unflatten(1, (SEA_HEADS, self.key_dim))
        scores = saturated((q * self.key_dim**-0.5).transpose(2, 3) @ k)
        values = v.unflatten(1, (SEA_HEADS, 2 * self.key_dim))
        return (values @ torch.softmax(scores.float(), 3).to(v.dtype).transpose(2, 3)).flatten(1, 2)

    def identity_(self) -> "Sea_Attention":
        """Make the module the exact identity through its last norm."""
        norm: Any = self.pwconv[-1]
        nn.init.zeros_(norm.weight)
        nn.init.zeros_(norm.bias)
        return self

    def fuse(self) -> "Sea_Attention":
        """Fold the batch norms into the convolutions, in place."""
        for layer in self.modules():
            if isinstance(layer, nn.Sequential) and hasattr(layer, "bn"):
                layer.bn = fold(layer.c, layer.bn)  # type: ignore[arg-type]
        return self

    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, rate={self.rate}, heads={SEA_HEADS}, key_dim={self.key_dim}"


def _layer(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution with a batch norm, named as in the reference."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(OrderedDict(c=conv, bn=nn.BatchNorm2d(outputs)))


def _positions(channels: int) -> nn.ParameterDict:
    """The vectors of 16 positions, named as in the reference."""
    return nn.ParameterDict({"pos_embed": torch.randn(1, channels, POSITIONS)})


def _run(layers: Any, x: Tensor) -> Tensor:
    """Apply layers, with no infinity between them."""
    for layer in layers:
        x = _run(layer, x) if isinstance(layer, nn.Sequential) else saturated(layer(saturated(x)))
    return x


def _interpolation(x: Tensor) -> Tensor:
    """The weights `16 x length` of linear interpolation to the last axis of a tensor."""
    length = x.shape[-1]
    at = (torch.arange(length, device=x.device) + 0.5) * (POSITIONS / length) - 0.5
    nearness = 1 - (at.clamp(0, POSITIONS - 1) - torch.arange(POSITIONS, device=x.device)[:, None]).abs()
    return nearness.clamp(min=0).to(x.dtype)

"""Adaptive average pooling as products with matrices. Needs torch only.

These exist for every size of the map and are exported as such, where exporters freeze adaptive pooling at one size, and
their gradient is deterministic on CUDA.
"""

import torch
from torch import Tensor

from gamsearch.attention.zoo.gates import saturated


def cell_means(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Average a map over cells.

    Args:
        x: `B x C x H x W`.
        rows: What `overlaps` returns for its rows.
        columns: What `overlaps` returns for its columns.

    Returns:
        `B x C x cells x cells`, in the type of the product of `x` with a matrix.
    """
    strips = saturated(x @ (columns / columns.sum(0)).to(x))
    return _turned(saturated(_turned(strips) @ (rows / rows.sum(0)).to(x)))


def spread_cells(cells: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Give each pixel the mean of the cells that it belongs to.

    Args:
        cells: `B x C x cells x cells`.
        rows: What `overlaps` returns for the map's rows.
        columns: What `overlaps` returns for the map's columns.

    Returns:
        `B x C x H x W`, in the type of the product of `cells` with a matrix.
    """
    strips = _turned(cells) @ (rows / rows.sum(1, keepdim=True)).t().to(cells)
    return _turned(strips) @ (columns / columns.sum(1, keepdim=True)).t().to(cells)


def overlaps(x: Tensor, axis: int, cells: int) -> Tensor:
    """Which cells of adaptive average pooling the pixels along an axis belong to.

    Args:
        x: `B x C x H x W`.
        axis: The axis.
        cells: The number of cells; there may be fewer pixels.

    Returns:
        Ones and zeros, one row for each pixel and one column for each cell.
    """
    pixel = torch.arange(x.shape[axis], device=x.device).unsqueeze(1)
    cell = torch.arange(cells, device=x.device)
    starts_before = pixel * cells < (cell + 1) * x.shape[axis]
    ends_behind = (pixel + 1) * cells > cell * x.shape[axis]
    return (starts_before & ends_behind).float()


def _turned(x: Tensor) -> Tensor:
    """Swap rows and columns; a contiguous map is multiplied by a matrix at once, any other one in many small steps."""
    return x.transpose(2, 3).contiguous()

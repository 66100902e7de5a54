"""Which rows of a candidate and the baseline do the same work, and so measure the speed of the machine in each pass.

The two rows after an attention module are excluded: their weights and inputs have been evicted from the caches, which
makes them slower (measured: a quarter for the row after a GAM on 256 channels). So is a block with attention inside it.
"""

from collections.abc import Sequence

import numpy as np
from torch import nn

from gamsearch.attention.inner import holds_attention
from gamsearch.attention.registry import attention_classes

AFTER = 2
"""Stock rows after an attention module that are not part of the yardstick."""
MIN_ROWS = 3
"""Fewer rows are too little work to measure by."""

Yardsticks = tuple[np.ndarray, np.ndarray]
"""Masks over the rows of the candidate and of the baseline."""


def yardstick_rows(candidate: Sequence[nn.Module], baseline: Sequence[nn.Module]) -> Yardsticks | None:
    """Select in both networks the stock rows that do not closely follow an attention module in either of them.

    None if rows cannot be timed, do not correspond, or are nearly all affected.
    """
    attended = [_is_attention(rows) for rows in (candidate, baseline)]
    if len({int((~mask).sum()) for mask in attended}) > 1:
        return None
    stock = np.all([_unaffected(m, _is_host(r)) for m, r in zip(attended, (candidate, baseline), strict=True)], axis=0)
    if stock.sum() < MIN_ROWS:
        return None
    first, second = (np.zeros(len(mask), dtype=bool) for mask in attended)
    first[~attended[0]], second[~attended[1]] = stock, stock
    return first, second


def _is_attention(rows: Sequence[nn.Module]) -> np.ndarray:
    """Mask of the attention modules among the rows."""
    return np.array([isinstance(row, tuple(attention_classes().values())) for row in rows], dtype=bool)


def _is_host(rows: Sequence[nn.Module]) -> np.ndarray:
    """Mask of the rows with attention inside them."""
    return np.array([holds_attention(row) for row in rows], dtype=bool)


def _unaffected(attended: np.ndarray, hosts: np.ndarray) -> np.ndarray:
    """Mask over the stock rows of those that have no attention and are not among the `AFTER` that follow some.

    The head, the last row, always counts: it reads three maps, and attention on one of them did not slow it measurably.
    """
    affected = np.zeros(int((~attended).sum()), dtype=bool)
    for first in np.cumsum(~attended)[attended]:  # the stock row that follows an attention row
        affected[first : min(first + AFTER, len(affected) - 1)] = True
    for host in np.flatnonzero(hosts[~attended]):
        affected[host : min(host + 1 + AFTER, len(affected) - 1)] = True
    return ~affected

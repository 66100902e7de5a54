"""The rows that a candidate and the baseline share."""

from torch import nn

from gamsearch.attention.gam import GAM
from gamsearch.attention.inner import InnerAttention
from gamsearch.models.latency.yardstick import yardstick_rows


def test_the_yardstick_excludes_the_two_rows_after_attention_in_both_networks_but_never_the_head():
    def rows(*attended: int) -> list[nn.Module]:
        stock: list[nn.Module] = []
        for site in range(7):
            stock += [nn.Identity(), *([GAM(8)] if site in attended else [])]
        return stock

    candidate, baseline = yardstick_rows(rows(1), rows())
    assert baseline.tolist() == [True, True, False, False, True, True, True]
    assert candidate.tolist() == [True, True, False, False, False, True, True, True]
    candidate, baseline = yardstick_rows(rows(4), rows())
    assert baseline.tolist() == [True, True, True, True, True, False, True]
    inside = rows()
    inside[2] = nn.Module()
    inside[2].m = InnerAttention(nn.ModuleList([nn.Identity()]), GAM(8))
    candidate, baseline = yardstick_rows(inside, rows())
    assert candidate.tolist() == baseline.tolist() == [True, True, False, False, False, True, True]
    assert yardstick_rows(rows(0, 2, 4), rows()) is None, "two rows are no yardstick"
    assert yardstick_rows(rows(1), rows()[:-1]) is None, "rows that do not correspond"

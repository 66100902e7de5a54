"""ECA: the formula of its paper, and copied rows."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gamsearch.attention.legality import RowError
from gamsearch.attention.registry import attention_class


def built(name: str, channels: int = 32, **options):
    """A module in eval mode at random parameters, without the factor of the identity start."""
    torch.manual_seed(0)
    module = attention_class(name)(channels, **options, init="reference").eval()
    for key, value in module.state_dict().items():
        if value.is_floating_point() and key != "gamma":
            value.copy_(torch.rand_like(value) + 0.1 if "var" in key else 0.4 * torch.randn_like(value))
    return module


def eca(x: Tensor, module) -> Tensor:
    taps = module.conv.weight.flatten()
    means = F.pad(F.adaptive_avg_pool2d(x, 1).flatten(1), (len(taps) // 2, len(taps) // 2))
    score = sum(tap * means[:, i : i + x.shape[1]] for i, tap in enumerate(taps))
    return x * score.sigmoid()[:, :, None, None]


@pytest.mark.parametrize(
    ("name", "formula", "options"),
    [
        ("ECA", eca, {}),
        ("ECA", eca, {"kernel": 7}),
    ],
)
def test_a_module_computes_the_formula_of_its_paper(name, formula, options):
    module = built(name, **options)
    for height, width in ((9, 13), (1, 3), (10, 10)):
        x = torch.randn(2, 32, height, width)
        with torch.no_grad():
            torch.testing.assert_close(module(x), formula(x, module), rtol=1e-4, atol=1e-5)


def test_the_kernel_of_eca_follows_from_the_width():
    widths = (16, 32, 64, 128, 256, 512, 1024)
    assert [attention_class("ECA")(c).conv.kernel_size for c in widths] == [(3,)] * 3 + [(5,)] * 4


@pytest.mark.parametrize(
    ("name", "row", "says"),
    [
        ("ECA", (), "starts with the width of its map"),
        ("ECA", (3,), r"3 looks like the kernel.*write \[c2, 3\]"),
        (
            "ECA",
            (512, 512),
            r"kernel 512 looks like a channel count.*write \[c2\], or \[c2, kernel\] such as \[c2, 3\]",
        ),
        ("ECA", (64, 4), "kernel must be an odd number"),
        ("ECA", (64, False), "kernel must be"),
        ("ECA", (64, 3, 2), "init must be identity or reference"),
    ],
)
def test_a_copied_row_that_means_something_else_is_refused_in_one_sentence(name, row, says):
    with pytest.raises(RowError, match=says) as raised:
        attention_class(name)(*row)
    assert "\n" not in str(raised.value)

"""ECA, MLCA, SimAM, SENetV2 and NAM: the formulas of their papers, and copied rows."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gamsearch.attention.legality import RowError
from gamsearch.attention.registry import attention_class
from gamsearch.attention.zoo.gates import blended
from gamsearch.space.encoding import canonical_module


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


def mlca(x: Tensor, module) -> Tensor:
    side, (b, c, h, w) = module.local, x.shape
    cells = F.adaptive_avg_pool2d(x, side)
    everywhere = module.conv(F.adaptive_avg_pool2d(cells, 1).view(b, 1, c)).view(b, c, 1, 1).sigmoid()
    sequence = cells.flatten(2).permute(0, 2, 1).reshape(b, 1, -1)
    locally = module.conv_local(sequence).view(b, -1, c).permute(0, 2, 1).view_as(cells).sigmoid()
    gates = (1 - module.weight) * everywhere + module.weight * locally
    return x * F.adaptive_avg_pool2d(gates, (h, w))


def simam(x: Tensor, module) -> Tensor:
    variance = x.var((2, 3), keepdim=True)
    distance = (x - x.mean((2, 3), keepdim=True)) ** 2
    return x * (distance / (4 * (variance + module.e_lambda)) + 0.5).sigmoid()


def senetv2(x: Tensor, module) -> Tensor:
    means = F.adaptive_avg_pool2d(x, 1).flatten(1)
    branches = zip(module.branches.weight.chunk(4), module.branches.bias.chunk(4), strict=True)
    hidden = torch.cat([F.linear(means, weight, bias).relu() for weight, bias in branches], 1)
    return x * module.fc(hidden).sigmoid()[:, :, None, None]


def nam(x: Tensor, module) -> Tensor:
    size = module.norm.weight.abs()
    return x * (module.norm(x).permute(0, 2, 3, 1) * (size / size.sum())).permute(0, 3, 1, 2).sigmoid()


@pytest.mark.parametrize(
    ("name", "formula", "options"),
    [
        ("ECA", eca, {}),
        ("ECA", eca, {"kernel": 7}),
        ("MLCA", mlca, {}),
        ("MLCA", mlca, {"local": 3, "weight": 0.3}),
        ("SimAM", simam, {}),
        ("SimAM", simam, {"e_lambda": 0.1}),
        ("SENetV2", senetv2, {"rate": 4}),
        ("NAM", nam, {}),
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
    assert canonical_module("ECA", 64, {"kernel": 3}) == canonical_module("ECA", 64, {}) == ("ECA", ())
    assert canonical_module("ECA", 128, {"kernel": 3}) == ("ECA", (("kernel", 3),))


@pytest.mark.parametrize("name", ["SimAM", "NAM"])
def test_a_module_without_an_exact_start_blends_each_channel_towards_its_paper(name):
    reference, x = built(name), torch.randn(2, 32, 9, 13)
    module = attention_class(name)(32).eval()
    module.load_state_dict({**reference.state_dict(), "gamma": torch.linspace(0, 1, 32)})
    with torch.no_grad():
        expected = torch.lerp(x, reference(x), torch.linspace(0, 1, 32)[:, None, None])
        torch.testing.assert_close(module(x), expected)


def test_a_blend_is_exact_and_finite_in_float16_where_the_module_overflows():
    x, overflow = torch.full((1, 2, 1, 1), 6e4).half(), torch.full((1, 2, 1, 1), torch.inf).half()
    out = blended(x, overflow, torch.tensor([0.0, 1.0]))
    assert out.dtype == torch.float16
    assert out.flatten().tolist() == [x.flatten()[0], 65504]


def test_mlca_starts_as_the_identity_on_maps_with_fewer_pixels_than_cells():
    for side in range(1, 8):
        x = torch.randn(2, 16, side, 8 - side)
        assert torch.equal(attention_class("MLCA")(16, weight=0.3)(x), x), side


def test_senetv2_without_biases_is_se_with_a_quarter_of_the_rate():
    module, x = built("SENetV2", rate=16, bias=False), torch.randn(2, 32, 9, 13)
    name, options = canonical_module("SENetV2", 32, {"rate": 16, "bias": False, "init": "reference"})
    assert (name, options) == ("SE", (("init", "reference"), ("rate", 4)))
    se = attention_class(name)(32, **dict(options))
    with torch.no_grad():
        se.load_state_dict({"fc1.weight": module.branches.weight, "fc2.weight": module.fc.weight})
        assert torch.equal(module(x), se(x))
    assert canonical_module("SENetV2", 32, {"rate": 16}) == ("SENetV2", (("rate", 16),))
    assert canonical_module("SENetV2", 36, {"rate": 6, "bias": False})[0] == "SENetV2"


def test_nam_without_a_scale_left_is_finite():
    module = built("NAM")
    torch.nn.init.zeros_(module.norm.weight)
    assert torch.isfinite(module(torch.randn(2, 32, 5, 5))).all()
    assert torch.isfinite(module.fuse()(torch.randn(2, 32, 5, 5))).all()


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
        ("MLCA", (), "starts with the width of its map"),
        ("MLCA", (512, 512), "local 512 looks like a channel count"),
        ("MLCA", (512, 5, 2), r"weight must be a number between 0 and 1.*is written \[c2, local, weight\]"),
        ("MLCA", (512, 5, 2, 1, 0.5), r"a row of MLCA is at most \[c2, local, weight, init\]"),
        ("SimAM", (), "starts with the width of its map"),
        ("SimAM", (1e-4,), r"starts with the width of its map, not 0.0001: write \[-1, 1, SimAM, \[c2\]\]"),
        ("SimAM", (512, 512), r"e_lambda must be a small number above 0.*write \[c2\], or \[c2, 0.0001\]"),
        ("SimAM", (64, 0.0), "e_lambda must be a small number above 0"),
        ("SENetV2", (), "starts with the width of its map"),
        ("SENetV2", (512, 512), "rate 512 looks like a channel count"),
        ("SENetV2", (48, 32, False), "rate .32. must divide the 48 channels; use rate 16"),
        ("SENetV2", (64, 16, 4), "bias must be True or False"),
        ("SENetV2", (32, 64), "rate 64 is larger than the 32 channels"),
        ("NAM", (), "starts with the width of its map"),
        ("NAM", (512, 512), r"512 looks like a channel count.*write \[c2\]"),
    ],
)
def test_a_copied_row_that_means_something_else_is_refused_in_one_sentence(name, row, says):
    with pytest.raises(RowError, match=says) as raised:
        attention_class(name)(*row)
    assert "\n" not in str(raised.value)

"""CBAM, CoordAtt, Triplet, ShuffleAttention, EMA and LSKA: the formulas of their papers, and copied rows."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.legality import RowError
from gamsearch.attention.registry import attention_class
from gamsearch.attention.spatial_legality import LSKA_KERNELS

NAMES = ("CBAM", "CoordAtt", "Triplet", "ShuffleAttention", "EMA", "LSKA")


def built(name: str, channels: int = 32, **options):
    """A module in eval mode at random parameters, without the factor of the identity start."""
    torch.manual_seed(0)
    module = attention_class(name)(channels, **options, init="reference").eval()
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.1 if "var" in key else 0.4 * torch.randn_like(value))
    return module


def pooled(x: Tensor) -> Tensor:
    """Maximum and mean over the second axis."""
    return torch.cat((x.max(1, keepdim=True)[0], x.mean(1, keepdim=True)), 1)


def cbam(x: Tensor, module) -> Tensor:
    _, first, _, last = module.ChannelGate["mlp"]
    pools = F.adaptive_avg_pool2d(x, 1).flatten(1), F.adaptive_max_pool2d(x, 1).flatten(1)
    x1 = x * sum(last(first(pool).relu()) for pool in pools).sigmoid()[:, :, None, None]
    return x1 * module.SpatialGate["spatial"](pooled(x1)).sigmoid()


def coordatt(x: Tensor, module) -> Tensor:
    rows = F.adaptive_avg_pool2d(x, (x.shape[2], 1))
    columns = F.adaptive_avg_pool2d(x, (1, x.shape[3])).permute(0, 1, 3, 2)
    y = module.bn1(module.conv1(torch.cat((rows, columns), 2)))
    y_rows, y_columns = (y * F.relu6(y + 3) / 6).split([x.shape[2], x.shape[3]], 2)
    return x * module.conv_w(y_columns.permute(0, 1, 3, 2)).sigmoid() * module.conv_h(y_rows).sigmoid()


def triplet(x: Tensor, module) -> Tensor:
    products = []
    for gate, order in ((module.cw, (0, 2, 1, 3)), (module.hc, (0, 3, 2, 1)), (module.hw, (0, 1, 2, 3))):
        turned = x.permute(order)
        products.append((turned * gate["conv"](pooled(turned)).sigmoid()).permute(order))
    return sum(products) / 3


def shuffle(x: Tensor, module) -> Tensor:
    halves = x.chunk(2 * module.groups, 1)
    out = []
    for i, half in enumerate(halves):
        if i % 2:
            normed = F.instance_norm(half, weight=module.gn.weight, bias=module.gn.bias)
            score = module.sweight.view(1, -1, 1, 1) * normed + module.sbias.view(1, -1, 1, 1)
        else:
            mean = half.mean((2, 3), keepdim=True)
            score = module.cweight.view(1, -1, 1, 1) * mean + module.cbias.view(1, -1, 1, 1)
        out.append(half * score.sigmoid())
    joined = torch.cat(out, 1)
    middle = x.shape[1] // 2
    order = [i for pair in zip(range(middle), range(middle, 2 * middle), strict=True) for i in pair]
    return joined[:, order] if module.shuffle else joined


def ema(x: Tensor, module) -> Tensor:
    out = []
    for group in x.chunk(module.factor, 1):
        b, c, h, w = group.shape
        means = torch.cat((group.mean(3, keepdim=True), group.mean(2, keepdim=True).permute(0, 1, 3, 2)), 2)
        rows, columns = module.conv1x1(means).split([h, w], 2)
        x1 = module.gn(group * rows.sigmoid() * columns.permute(0, 1, 3, 2).sigmoid())
        x2 = module.conv3x3(group)
        from1 = x1.mean((2, 3)).softmax(1)[:, None] @ x2.flatten(2)
        from2 = x2.mean((2, 3)).softmax(1)[:, None] @ x1.flatten(2)
        out.append(group * (from1 + from2).view(b, 1, h, w).sigmoid())
    return torch.cat(out, 1)


def lska(x: Tensor, module) -> Tensor:
    rows_and_columns = module.conv_spatial_v(module.conv_spatial_h(module.conv0v(module.conv0h(x))))
    return x * module.conv1(rows_and_columns)


@pytest.mark.parametrize(
    ("name", "formula", "options"),
    [
        ("CBAM", cbam, {}),
        ("CBAM", cbam, {"norm": False, "bias": False, "kernel": 3}),
        ("CoordAtt", coordatt, {}),
        ("Triplet", triplet, {}),
        ("ShuffleAttention", shuffle, {}),
        ("ShuffleAttention", shuffle, {"shuffle": True}),
        ("EMA", ema, {}),
        ("LSKA", lska, {}),
    ],
)
def test_a_module_computes_the_formula_of_its_paper(name, formula, options):
    module, x = built(name, **options), torch.randn(2, 32, 9, 13)
    with torch.no_grad():
        torch.testing.assert_close(module(x), formula(x, module), rtol=1e-4, atol=1e-5)


def test_the_start_of_the_identity_is_the_reference_times_a_constant():
    x = torch.randn(2, 32, 9, 13)
    for name in NAMES:
        reference = built(name)
        module = attention_class(name)(32).eval()
        module.load_state_dict(reference.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(module(x), getattr(module, "gain", 1.0) * reference(x), rtol=1e-4, atol=1e-5)


def test_parameters_have_the_names_of_the_references():
    keys = {name: set(attention_class(name)(32).state_dict()) for name in NAMES}
    assert {"ChannelGate.mlp.1.weight", "ChannelGate.mlp.3.bias", "SpatialGate.spatial.bn.weight"} <= keys["CBAM"]
    assert {"conv1.weight", "bn1.running_mean", "conv_h.bias", "conv_w.weight"} <= keys["CoordAtt"]
    assert {"cw.conv.conv.weight", "hc.conv.bn.weight", "hw.conv.bn.running_var"} <= keys["Triplet"]
    assert keys["LSKA"] == {
        f"{layer}.{part}"
        for layer in ("conv0h", "conv0v", "conv_spatial_h", "conv_spatial_v", "conv1")
        for part in ("weight", "bias")
    }


@pytest.mark.parametrize("kernel", LSKA_KERNELS)
def test_every_kernel_of_lska_keeps_the_map_and_sees_the_side_of_its_name(kernel: int):
    module = built("LSKA", 2, kernel=kernel).double()
    for parameter in module.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, 2, 61, 61, dtype=torch.float64, requires_grad=True)
    module(x)[0, 0, 30, 30].backward()
    seen = int((x.grad[0, 0, 30] != 0).nonzero().max()) - 30
    local, far, step = LSKA_KERNELS[kernel]
    assert seen == local // 2 + step * (far // 2)


def test_every_default_is_legal_at_every_width_of_the_detectors():
    for name, spec in CATALOGUE.items():
        assert not [c for c in range(16, 1025, 16) if spec.refuse(c, spec.options)], name


@pytest.mark.parametrize(
    ("name", "row", "says"),
    [
        ("SE", (), "starts with the width of its map"),
        ("SE", (512, 512), r"rate 512 looks like a channel count.*write \[c2\], or \[c2, rate\] such as \[c2, 16\]"),
        ("CBAM", (), "starts with the width of its map"),
        ("CBAM", (64, 7), r"kernel in rows of Ultralytics' own CBAM: write \[c2, 16, 7\]"),
        ("CBAM", (512, 512), "rate 512 looks like a channel count"),
        ("CBAM", (64, 64), r"write \[c2\], or \[c2, rate\] such as \[c2, 16\]"),
        ("CBAM", (64, 16, 4), "kernel must be an odd number"),
        ("CBAM", (64, 16, 7, 3), "norm must be True or False"),
        ("CoordAtt", (), "starts with the width of its map"),
        ("CoordAtt", (512, 512), "rate 512 looks like a channel count"),
        ("CoordAtt", (64, 64), "rate 64 looks like a channel count"),
        ("Triplet", (), "starts with the width of its map"),
        ("Triplet", (64, 64), "kernel must be an odd number"),
        ("ShuffleAttention", (256, 16, 8), r"\(channels, reduction, groups\) of other repositories is written"),
        ("ShuffleAttention", (512, 512), "groups 512 looks like a channel count"),
        ("ShuffleAttention", (48, 16), "must divide the 48 channels; use groups 8"),
        ("ShuffleAttention", (64, 8, True), "write shuffle with init reference"),
        ("EMA", (512, 512), "factor 512 looks like a channel count"),
        ("EMA", (48, 32), "must divide the 48 channels; use factor 16"),
        ("EMA", (512, 512, 8), "factor 512 looks like a channel count"),
        ("EMA", (256, 1), "at least 2"),
        ("LSKA", (), "starts with the width of its map"),
        ("LSKA", (512, 512), "kernel must be one of 7, 11"),
    ],
)
def test_a_copied_row_that_means_something_else_is_refused_in_one_sentence(name, row, says):
    with pytest.raises(RowError, match=says) as raised:
        attention_class(name)(*row)
    assert "\n" not in str(raised.value)


def test_a_copied_width_of_another_scale_is_refused_at_the_first_map():
    for name in CATALOGUE:
        with pytest.raises(RowError, match="says 512 channels but the map it receives has 128"):
            attention_class(name)(512)(torch.zeros(1, 128, 4, 4))


def test_rows_of_ultralytics_own_cbam_stay_what_they_are():
    from ultralytics.nn import tasks

    assert tasks.CBAMPaper is attention_class("CBAM")
    assert getattr(tasks, "CBAM", None) is not tasks.CBAMPaper

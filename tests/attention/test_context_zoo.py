"""Modules that carry features from everywhere in the map: the formulas of their papers, and copied rows."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gamsearch.attention.legality import RowError
from gamsearch.attention.registry import attention_class


def built(name: str, channels: int = 32, **options):
    """A module in eval mode at random parameters."""
    torch.manual_seed(0)
    module = attention_class(name)(channels, **options).eval()
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.1 if "var" in key else 0.4 * torch.randn_like(value))
    return module


def context_aggregation(x: Tensor, module) -> Tensor:
    weights = module.key(x).flatten(2).softmax(2)
    context = (module.value(x).flatten(2) * weights).sum(2)[:, :, None, None]
    return x + module.gate(x).sigmoid() * module.merge(context)


def double_attention(x: Tensor, module) -> Tensor:
    maps = module.convB(x).flatten(2).softmax(2)
    vectors = module.convV(x).flatten(2).softmax(1)
    descriptors = torch.einsum("bmp,bnp->bmn", module.convA(x).flatten(2), maps)
    mixed = torch.einsum("bmn,bnp->bmp", descriptors, vectors).unflatten(2, x.shape[2:])
    return x + module.conv_reconstruct(mixed)


def sea_attention(x: Tensor, module) -> Tensor:
    b, _, h, w = x.shape
    q, k, v = module.to_q(x), module.to_k(x), module.to_v(x)
    detail = module.pwconv(F.relu6(module.dwconv(torch.cat((q, k, v), 1))))
    axes = []
    for axis, length in (("row", h), ("column", w)):
        over = 3 if axis == "row" else 2
        tensors = [t.mean(over) for t in (q, k, v)]
        for i, which in enumerate("qk"):
            positions = getattr(module, f"pos_emb_{axis}{which}").pos_embed
            tensors[i] = tensors[i] + F.interpolate(positions, size=length, mode="linear", align_corners=False)
        heads = [t.view(b, 4, -1, length).transpose(2, 3) for t in tensors]
        out = F.scaled_dot_product_attention(*heads).transpose(2, 3).reshape(b, -1, length)
        axes.append(getattr(module, f"proj_encode_{axis}")(out.unsqueeze(over)))
    gate = module.proj(v + axes[0] + axes[1])
    return x + F.relu6(gate + 3) / 6 * detail


def dr_conv(x: Tensor, module) -> Tensor:
    small = module.down(x)
    region = module.guide(small).argmax(1)
    filters = module.filters(module.codes(F.adaptive_avg_pool2d(small, module.kernel)).sigmoid())
    out = torch.zeros_like(small)
    for image, (own, where) in enumerate(zip(filters, region, strict=True)):
        for r, filter in enumerate(own.unflatten(0, (-1, small.shape[1], small.shape[1]))):
            whole = F.conv2d(small[image : image + 1], filter, padding=module.kernel // 2)
            out[image] = torch.where(where == r, whole[0], out[image])
    return x + module.gamma.view(1, -1, 1, 1) * module.up(out)


@pytest.mark.parametrize(
    ("name", "formula", "options"),
    [
        ("ContextAggregation", context_aggregation, {}),
        ("ContextAggregation", context_aggregation, {"rate": 4}),
        ("DoubleAttention", double_attention, {"rate": 2}),
        ("Sea_Attention", sea_attention, {"rate": 2}),
        ("DRConv", dr_conv, {}),
        ("DRConv", dr_conv, {"kernel": 1, "regions": 8, "rate": 2}),
    ],
)
def test_a_module_computes_the_formula_of_its_paper(name, formula, options):
    module, x = built(name, **options), torch.randn(2, 32, 9, 21)
    with torch.no_grad():
        torch.testing.assert_close(module(x), formula(x, module), rtol=1e-4, atol=1e-4)


def test_double_attention_has_the_parameters_of_the_ports():
    state = built("DoubleAttention", 256, rate=2).state_dict()
    assert {key: tuple(value.shape[:2]) for key, value in state.items() if key.endswith("weight")} == {
        "convA.weight": (128, 256),
        "convB.weight": (128, 256),
        "convV.weight": (128, 256),
        "conv_reconstruct.weight": (256, 128),
    }


def test_sea_attention_has_the_parameters_of_the_reference():
    state = {key: tuple(value.shape) for key, value in built("Sea_Attention", 128, rate=2).state_dict().items()}
    assert len(state) == 52
    assert state["to_q.c.weight"] == (64, 128, 1, 1) and state["to_v.bn.weight"] == (128,)
    assert state["pos_emb_rowq.pos_embed"] == state["pos_emb_columnk.pos_embed"] == (1, 64, 16)
    assert state["proj_encode_column.1.c.weight"] == (128, 128, 1, 1) and state["proj.1.bn.running_var"] == (128,)
    assert state["dwconv.c.weight"] == (256, 1, 3, 3) and state["pwconv.c.weight"] == (128, 256, 1, 1)


def test_training_chooses_the_same_regions_as_evaluation_and_teaches_the_guide():
    module, x = built("DRConv"), torch.randn(2, 32, 6, 7)
    evaluated = module(x).detach()
    trained = module.train()(x)
    torch.testing.assert_close(trained, evaluated, rtol=1e-4, atol=1e-5)
    trained.square().sum().backward()
    assert module.guide.weight.grad.abs().max() > 0


@pytest.mark.parametrize("name", ["C2PSAResidual", "A2C2fResidual"])
def test_a_block_of_ultralytics_fits_every_width_and_is_fused_with_the_model(name):
    from ultralytics.nn import tasks

    for channels in (16, 40, 272, 400):
        module, x = attention_class(name)(channels, 2, "reference").eval(), torch.randn(1, channels, 5, 6)
        assert type(module.block) is getattr(tasks, name.removesuffix("Residual"))
        model = tasks.BaseModel()
        model.model = copy.deepcopy(module)
        model.fuse(verbose=False)
        assert not [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        with torch.no_grad():
            assert (module(x) - x).abs().max() > 0
            torch.testing.assert_close(module(x), x + module.block(x))
            torch.testing.assert_close(model.model(x), module(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "row", "says"),
    [
        ("ContextAggregation", (), "starts with the width of its map"),
        ("ContextAggregation", (512, 512), r"rate 512 looks like a channel count.*\[c2, rate\] such as \[c2, 1\]"),
        ("DoubleAttention", (512, 512), "rate 512 looks like a channel count"),
        ("DoubleAttention", (512, 128, 128), r"\(channels, c_m, c_n\) of other repositories is written \[c2, rate\]"),
        ("DoubleAttention", (512, 128, 128, 8), r"at most \[c2, rate, init\], not \[512, 128, 128, 8\]"),
        ("Sea_Attention", (512, 512), "rate 512 looks like a channel count"),
        ("Sea_Attention", (512, 16, 8), r"\(channels, key_dim, num_heads\) of other repositories is written"),
        ("Sea_Attention", (32, 16), "use a rate of at most 8"),
        ("DRConv", (512, 512, 3), "rate 512 looks like a channel count"),
        ("DRConv", (512, 3, 8), r"\(channels, kernel, regions\) of the convolution is written \[c2, rate, kernel"),
        ("DRConv", (512, 3), "rate 3 looks like a kernel"),
        ("DRConv", (512, 4, 3, 9), "regions must be at most 8, not 9"),
        ("C2PSAResidual", (1024, 1024), "blocks 1024 looks like a channel count"),
        ("A2C2fResidual", (1024, 2, True), "init must be identity or reference, not True"),
    ],
)
def test_a_copied_row_that_means_something_else_is_refused_in_one_sentence(name, row, says):
    with pytest.raises(RowError, match=says) as raised:
        attention_class(name)(*row)
    assert "\n" not in str(raised.value)

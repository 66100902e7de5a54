"""Contract tests over the registry of attention modules, and what is particular to GAM."""

import copy
import inspect
import io
import pickle
from itertools import product
from pathlib import Path

import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gamsearch.attention import fast_conv
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.gam import GAM, GAMError, read_row
from gamsearch.attention.registry import attention_class, attention_classes
from gamsearch.errors import SpaceError

CHANNELS = 32
CASES = {
    "GAM": [
        {},
        {"rate": 8, "padding": "zeros"},
        {"groups": 4, "shuffle": True},
        {"channel_gate": "sigmoid"},
        *CATALOGUE["GAM"].presets.values(),
    ]
}
VARIANTS = [
    pytest.param(name, options, id=f"{name}-{'-'.join(f'{k}={v}' for k, v in options.items()) or 'default'}")
    for name in CATALOGUE
    for options in CASES.get(name, [{}])
]
over_the_registry = pytest.mark.parametrize(("name", "options"), VARIANTS)
export = pytest.mark.filterwarnings("ignore")  # the exporters' own deprecations


def fresh(name: str, options: dict, **more: object) -> nn.Module:
    torch.manual_seed(0)
    return attention_class(name)(CHANNELS, **{**options, **more})


def trained_like(name: str, options: dict) -> nn.Module:
    """A module as training leaves it: nothing at its start, batch norms with Ultralytics' eps."""
    module = fresh(name, options, init="reference").eval()
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.eps = 1e-3
        nn.init.normal_(norm.running_mean, std=0.5)
        nn.init.uniform_(norm.running_var, 0.05, 3.0)
        nn.init.uniform_(norm.weight, -1.5, 1.5)
        nn.init.normal_(norm.bias, std=0.5)
    return module


def picture(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def max_difference(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


# --- over the registry ----------------------------------------------------------------------------------------------


@over_the_registry
def test_the_shape_is_kept_and_the_input_is_not_changed(name, options):
    x = picture(2, CHANNELS, 7, 9)
    before = x.clone()
    for module in (fresh(name, options), trained_like(name, options), trained_like(name, options).fuse()):
        with torch.no_grad():
            assert module(x).shape == x.shape
        assert module(x).dtype == x.dtype
        assert torch.equal(x, before)


@over_the_registry
@pytest.mark.parametrize("mode", ["train", "eval", "fused"])
def test_a_new_module_is_the_exact_identity(name, options, mode):
    if options.get("init") == "reference":
        pytest.skip("asked to start elsewhere")
    module = fresh(name, options).train(mode == "train")
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps, layer.momentum = 1e-3, 0.03
    if mode == "fused":
        module.fuse()
    for scale in (1.0, 1e-3, 1e4):
        x = picture(2, CHANNELS, 8, 5) * scale
        with torch.no_grad():
            assert max_difference(module(x), x) == 0.0


@over_the_registry
def test_the_identity_is_exact_in_half_precision_up_to_its_largest_numbers(name, options):
    if options.get("init") == "reference":
        pytest.skip("asked to start elsewhere")
    x = (torch.rand(2, CHANNELS, 6, 6, generator=torch.Generator().manual_seed(1)) * 60000).half()
    module = fresh(name, options)
    with torch.no_grad():
        with torch.autocast("cpu", torch.float16):
            assert torch.equal(module.train()(x), x)
        assert torch.equal(module.eval().half()(x), x)
        assert torch.equal(module.fuse()(x), x)


@over_the_registry
def test_a_trained_module_can_be_made_the_identity_again(name, options):
    if options.get("init") == "reference":
        pytest.skip("asked to start elsewhere")
    again = fresh(name, options)
    again.load_state_dict(trained_like(name, options).state_dict())
    x = picture(2, CHANNELS, 6, 6)
    with torch.no_grad():
        assert torch.equal(again.eval().identity_()(x), x)


@over_the_registry
def test_gradients_reach_every_parameter_within_three_steps(name, options):
    module = fresh(name, options).train()
    reached = {key: False for key, _ in module.named_parameters()}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    for step in range(3):
        x = picture(4, CHANNELS, 8, 8, seed=step)
        optimizer.zero_grad()
        (module(x) - picture(4, CHANNELS, 8, 8, seed=9)).square().mean().backward()
        for key, parameter in module.named_parameters():
            assert torch.isfinite(parameter.grad).all()
            reached[key] |= bool(parameter.grad.abs().max() > 0)
        optimizer.step()
    assert [key for key, yes in reached.items() if not yes] == []


@over_the_registry
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("fused", [False, True])
def test_mixed_precision_is_finite_and_near_full_precision(name, options, kind, fused):
    module = trained_like(name, options)
    x = picture(2, CHANNELS, 8, 8)
    expected = module(x)
    module = module.fuse() if fused else module
    with torch.no_grad(), torch.autocast("cpu", kind):
        out = module(x.to(kind))
    assert out.dtype == kind
    assert max_difference(out.float(), expected) < 0.05 * expected.abs().max()


@over_the_registry
def test_a_half_precision_training_step_on_huge_activations_stays_finite(name, options):
    module = trained_like(name, options).train()
    with torch.no_grad():
        for layer in (m for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear))):
            layer.weight *= 10
    x = (picture(2, CHANNELS, 8, 8) * 1e4).half()
    assert torch.isfinite(x).all()
    with torch.autocast("cpu", torch.float16):
        out = module(x)
    assert torch.isfinite(out).all()
    module.eval()
    with torch.no_grad():
        assert torch.isfinite(module.half()(x)).all()
        assert torch.isfinite(module.fuse()(x)).all()


@over_the_registry
@pytest.mark.parametrize("form", ["training", "fused"])
@export
def test_onnx_agrees_at_a_second_image_size(name, options, form, tmp_path: Path):
    module = trained_like(name, options)
    module = module.fuse() if form == "fused" else module
    file = tmp_path / "module.onnx"
    axes = {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(
        module,
        (picture(1, CHANNELS, 16, 16),),
        str(file),
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": axes, "y": axes},
        opset_version=17,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for shape in ((1, 16, 16), (3, 10, 23)):
        x = picture(shape[0], CHANNELS, *shape[1:])
        with torch.no_grad():
            expected = module(x)
        assert max_difference(torch.from_numpy(session.run(None, {"x": x.numpy()})[0]), expected) < 1e-5


@over_the_registry
@pytest.mark.parametrize("form", ["training", "fused"])
@export
def test_torchscript_agrees_traced_and_scripted(name, options, form):
    module = trained_like(name, options)
    module = module.fuse() if form == "fused" else module
    x = picture(2, CHANNELS, 7, 11)
    with torch.no_grad():
        expected = module(x)
        for compiled in (torch.jit.trace(module, picture(1, CHANNELS, 8, 8)), torch.jit.script(module)):
            buffer = io.BytesIO()
            torch.jit.save(compiled, buffer)
            buffer.seek(0)
            assert max_difference(torch.jit.load(buffer)(x), expected) < 1e-5


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue_states_the_constructor_in_order_with_its_defaults(name):
    parameters = list(inspect.signature(attention_class(name)).parameters.values())
    assert parameters[0].name == "channels"
    assert [(p.name, p.default) for p in parameters[1:]] == list(CATALOGUE[name].options.items())


@over_the_registry
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (20, 20), (33, 17)])
def test_the_deployment_form_equals_the_training_form(name, options, height, width):
    module = trained_like(name, options)
    fused = copy.deepcopy(module).fuse()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
    for x in (
        picture(2, CHANNELS, height, width),
        picture(1, CHANNELS, height, width).contiguous(memory_format=torch.channels_last),
        picture(1, 2 * CHANNELS, height, width)[:, CHANNELS:],
        picture(1, CHANNELS, width, height).transpose(2, 3),
    ):
        expected = module(x)
        assert max_difference(fused(x), expected) < 1e-5
        with torch.no_grad():
            assert max_difference(fused(x), expected) < 1e-5
        with torch.inference_mode():
            assert max_difference(fused(x), expected) < 1e-5


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize(("channels", "rate"), [(16, 2), (32, 4), (32, 16), (48, 4), (64, 4), (96, 2)])
@pytest.mark.parametrize("size", [(1, 16, 16), (2, 20, 33), (1, 41, 7), (3, 9, 40)])
def test_every_fast_convolution_of_the_deployment_form_equals_the_plain_one(channels, rate, padding, size, monkeypatch):
    for threshold in ("SPECTRAL_PIXELS", "SPECTRAL_PRODUCTS"):
        monkeypatch.setattr(fast_conv, threshold, 0)
    torch.manual_seed(0)
    module = GAM(channels, rate, padding=padding, init="reference").eval().fuse()
    x = picture(size[0], channels, *size[1:])
    with torch.no_grad():
        for name, width in (("conv1", channels), ("conv2", channels // rate)):
            layer, y = getattr(module, name), picture(size[0], width, *size[1:])
            assert max_difference(module._convolve(name, y), layer(y)) < 3e-6
        fast = module(x)
    assert max_difference(fast, module(x)) < 1e-5  # with gradients enabled the plain form runs


@export
def test_the_deployment_form_can_be_captured_by_torch_export():
    module, x = trained_like("GAM", {}).fuse(), picture(1, CHANNELS, 20, 20)
    with torch.no_grad():
        assert max_difference(torch.export.export(module, (x,)).module()(x), module(x)) < 1e-5


@over_the_registry
def test_fusing_twice_changes_nothing_and_draws_no_random_numbers(name, options):
    module = trained_like(name, options)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    once = module.fuse()
    assert torch.equal(torch.rand(4), expected)
    state = copy.deepcopy(once.state_dict())
    again = once.fuse()
    assert again is module
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())


@over_the_registry
def test_gradients_to_the_input_pass_through_the_deployment_form(name, options):
    module = trained_like(name, options)
    gradients = []
    for form in (module, copy.deepcopy(module).fuse()):
        x = picture(1, CHANNELS, 6, 6).requires_grad_()
        form(x).square().sum().backward()
        gradients.append(x.grad)
    assert max_difference(*gradients) < 1e-4 * gradients[0].abs().max()


@over_the_registry
@pytest.mark.parametrize("form", ["training", "fused"])
def test_copies_and_pickles_compute_the_same(name, options, form):
    module = trained_like(name, options)
    module = module.fuse() if form == "fused" else module
    x = picture(2, CHANNELS, 9, 9)
    size = len(pickle.dumps(module))
    with torch.no_grad():
        expected = module(x)  # before copying: a module that has run must copy as well
        assert len(pickle.dumps(module)) == size
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert torch.equal(other(x), expected)
            next(other.parameters()).data.zero_()
        assert torch.equal(module(x), expected)


@over_the_registry
@pytest.mark.parametrize("form", ["training", "fused"])
def test_images_of_a_batch_do_not_see_each_other(name, options, form):
    module = trained_like(name, options)
    module = module.fuse() if form == "fused" else module
    x = picture(3, CHANNELS, 7, 7)
    with torch.no_grad():
        together = module(x)
        for i in range(3):
            assert max_difference(module(x[i : i + 1]), together[i : i + 1]) < 1e-6


@over_the_registry
def test_a_map_of_one_pixel_gives_numbers(name, options):
    x = picture(2, CHANNELS, 1, 1)
    assert torch.isfinite(fresh(name, options).train()(x)).all()
    assert torch.isfinite(trained_like(name, options)(x)).all()


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_class_accepts_exactly_the_rows_that_the_catalogue_accepts(name):
    spec = CATALOGUE[name]
    for channels, rate, groups in product((16, 24, 32, 48, 96), (1, 2, 3, 4, 8, 16, 32, 64), (1, 2, 3, 4)):
        options = spec.complete({"rate": rate, "groups": groups})
        refused = spec.refuse(channels, options) is not None
        try:
            attention_class(name)(channels, *spec.row_arguments(options))
            assert not refused, (channels, rate, groups)
        except GAMError:
            assert refused, (channels, rate, groups)


def test_the_registry_has_the_class_of_every_name_and_says_which_there_are():
    assert attention_classes() == {"GAM": GAM}
    with pytest.raises(SpaceError, match=r"no attention module 'GAMM' \(did you mean 'GAM'\?\)"):
        attention_class("GAMM")


# --- GAM ------------------------------------------------------------------------------------------------------------


class Reference(nn.Module):
    """The authors' module, written from its description: names, order and layers."""

    def __init__(self, channels: int, rate: int):
        super().__init__()
        hidden = channels // rate
        self.linear1, self.linear2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.conv1 = nn.Conv2d(channels, hidden, 7, padding=3, padding_mode="replicate")
        self.conv2 = nn.Conv2d(hidden, channels, 7, padding=3, padding_mode="replicate")
        self.norm1, self.norm2 = nn.BatchNorm2d(hidden), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(b, h * w, c)
        gate = self.linear2(torch.relu(self.linear1(pixels)))
        x = x * gate.reshape(b, h, w, c).permute(0, 3, 1, 2)
        return x * torch.sigmoid(self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))))


@pytest.mark.parametrize("training", [True, False])
def test_weights_of_the_reference_load_and_give_its_outputs(training):
    torch.manual_seed(0)
    reference = Reference(48, 8).train(training)
    gam = GAM(48, 8).train(training)
    assert gam.load_state_dict(reference.state_dict()).missing_keys == []
    x = picture(2, 48, 11, 6)
    assert max_difference(gam(x), reference(x)) < 1e-6


def test_the_reference_initialisation_draws_what_the_reference_draws():
    torch.manual_seed(5)
    drawn = GAM(16, 4, init="reference").state_dict()
    torch.manual_seed(5)
    gam = GAM(16, 4)
    torch.manual_seed(5)
    again = gam.reference_().state_dict()
    assert drawn["linear2.bias"].abs().max() < 0.6
    assert set(again["norm2.weight"].tolist()) == {1.0}
    assert all(value.std() == drawn[key].std() for key, value in again.items() if key.startswith("linear1"))


def test_the_grouped_form_shuffles_the_gate_and_not_the_features():
    module = trained_like("GAM", {"groups": 4, "shuffle": True, "padding": "zeros"})
    plain = trained_like("GAM", {"groups": 4, "shuffle": False, "padding": "zeros"})
    x = picture(1, CHANNELS, 6, 6)
    attended = x * plain._channel_gate(x)
    gate = plain(x) / attended
    order = torch.arange(CHANNELS).view(4, -1).t().reshape(-1)
    assert max_difference(module(x), attended * gate[:, order]) < 1e-5


def test_the_sigmoid_variant_is_the_port_times_four_or_the_port_itself():
    identity = trained_like("GAM", {"channel_gate": "sigmoid"})
    port = trained_like("GAM", {"channel_gate": "sigmoid"})
    identity.gain = 4.0
    x = picture(1, CHANNELS, 6, 6)
    attended = x * torch.sigmoid(port.linear2(F.relu(port.linear1(x.permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)
    gate = torch.sigmoid(port.norm2(port.conv2(F.relu(port.norm1(port.conv1(attended))))))
    assert max_difference(port(x), attended * gate) < 1e-6
    assert max_difference(identity(x), 4 * attended * gate) < 1e-5
    with pytest.raises(GAMError, match="built with init='identity'"):
        port.identity_()


@pytest.mark.parametrize(
    ("row", "meaning"),
    [([512], (4, 1)), ([512, 512, 4], (4, 1)), ([512, 16], (16, 1)), ([64, 32], (32, 1)), ([512, 16, 4], (16, 4))],
)
def test_copied_rows_are_understood(row, meaning):
    defaults = list(inspect.signature(GAM).parameters.values())[len(row) :]
    assert read_row(*row, *(p.default for p in defaults)) == meaning


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ([], "write \\[c2\\]"),
        ([512, 512], "different modules in different repositories"),
        ([64, 64], "different modules in different repositories"),
        ([32, 32, 4], "different modules in different repositories"),
        ([4], "different modules in different repositories"),
        ([512, 512, True, 4], "groups of a GAM must be a whole number, not True"),
        ([512, 512, 4, 4], "fourth argument .* is shuffle"),
        ([512, 256], "looks like a channel count"),
        ([1024, 512, 4], "looks like a channel count"),
        ([2], "rate of a GAM must be smaller"),
        ([16, 32], "rate of a GAM must be smaller"),
        ([64, 0], "from 1 to 64, not 0"),
        ([64, -4], "from 1 to 64, not -4"),
        ([64, 4.0], "must be a whole number, not 4.0"),
        (["c2"], "must be a whole number, not 'c2'"),
        ([64, 16, 8], "groups of a GAM must divide"),
        ([64, 4, 0], "groups of a GAM must divide"),
        ([64, 4, 1, False, "reflect"], "padding of a GAM must be replicate or zeros, not 'reflect'"),
        ([64, 4, 1, False, "zeros", "softmax"], "channel_gate of a GAM must be none or sigmoid"),
        ([64, 4, 1, False, "zeros", "none", "zero"], "init of a GAM must be identity or reference"),
    ],
)
def test_ambiguous_and_illegal_rows_are_refused_in_one_sentence(row, sentence):
    with pytest.raises(GAMError, match=sentence) as error:
        GAM(*row)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize("fused", [False, True])
def test_a_map_of_another_width_is_refused_with_the_way_out(fused):
    module = GAM(512, 8)
    module = module.fuse() if fused else module
    with pytest.raises(GAMError, match=r"says 512 channels .* has 128 .* write c2 .* \[-1, 1, GAM, \[c2, 8\]\]"):
        module(picture(1, 128, 4, 4))


@pytest.mark.parametrize("call", ["identity_", "reference_"])
def test_a_fused_module_cannot_be_initialised_again(call):
    with pytest.raises(GAMError, match="needs the training form"):
        getattr(GAM(16).fuse(), call)()


def test_a_fused_module_follows_weights_that_are_changed_afterwards(monkeypatch):
    monkeypatch.setattr(fast_conv, "SPECTRAL_PRODUCTS", 0)
    first, second = (GAM(64, init="reference").eval().fuse() for _ in range(2))
    x = picture(1, 64, 20, 20)
    with torch.no_grad():
        first(x)
        first.load_state_dict(second.state_dict())
        assert max_difference(first(x), second(x)) < 1e-6
        assert max_difference(first.double()(x.double()), second(x).double()) < 1e-5
        assert max_difference(first.float()(x), second(x)) < 1e-6


def test_counters_hooked_to_the_convolutions_see_them_in_the_deployment_form():
    module, seen = GAM(CHANNELS).fuse(), []
    for name, layer in module.named_children():
        layer.register_forward_hook(lambda *_, name=name: seen.append(name))
    with torch.no_grad():
        module(picture(1, CHANNELS, 4, 4))
    assert [name for name in seen if not name.startswith("norm")] == ["linear1", "linear2", "conv1", "conv2"]

"""Every attention module of the catalogue: shape, identity, gradients, precision, exports, deployment form."""

import copy
import inspect
import io
import pickle
from itertools import product
from pathlib import Path

import onnxruntime
import pytest
import torch
from support.attention import CHANNELS, feature_map, fresh, max_difference, trained_like
from torch import nn

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.gam import GAM, GAMError
from gamsearch.attention.registry import attention_class, attention_classes
from gamsearch.errors import SpaceError

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
    for name in CASES
    for options in CASES[name]
]
over_the_registry = pytest.mark.parametrize(("name", "options"), VARIANTS)
export = pytest.mark.filterwarnings("ignore")  # the exporters' own deprecations


@over_the_registry
def test_the_shape_is_preserved_and_the_input_is_not_changed(name, options):
    x = feature_map(2, CHANNELS, 7, 9)
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
        pytest.skip("does not start as the identity")
    module = fresh(name, options).train(mode == "train")
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps, layer.momentum = 1e-3, 0.03
    if mode == "fused":
        module.fuse()
    for scale in (1.0, 1e-3, 1e4):
        x = feature_map(2, CHANNELS, 8, 5) * scale
        with torch.no_grad():
            assert max_difference(module(x), x) == 0.0


@over_the_registry
def test_the_identity_is_exact_in_half_precision_up_to_its_largest_numbers(name, options):
    if options.get("init") == "reference":
        pytest.skip("does not start as the identity")
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
        pytest.skip("does not start as the identity")
    again = fresh(name, options)
    again.load_state_dict(trained_like(name, options).state_dict())
    x = feature_map(2, CHANNELS, 6, 6)
    with torch.no_grad():
        assert torch.equal(again.eval().identity_()(x), x)


@over_the_registry
def test_gradients_reach_every_parameter_within_three_steps(name, options):
    module = fresh(name, options).train()
    reached = {key: False for key, _ in module.named_parameters()}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    for step in range(3):
        x = feature_map(4, CHANNELS, 8, 8, seed=step)
        optimizer.zero_grad()
        (module(x) - feature_map(4, CHANNELS, 8, 8, seed=9)).square().mean().backward()
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
    x = feature_map(2, CHANNELS, 8, 8)
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
    x = (feature_map(2, CHANNELS, 8, 8) * 1e4).half()
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
        (feature_map(1, CHANNELS, 16, 16),),
        str(file),
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": axes, "y": axes},
        opset_version=17,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for shape in ((1, 16, 16), (3, 10, 23)):
        x = feature_map(shape[0], CHANNELS, *shape[1:])
        with torch.no_grad():
            expected = module(x)
        assert max_difference(torch.from_numpy(session.run(None, {"x": x.numpy()})[0]), expected) < 1e-5


@over_the_registry
@pytest.mark.parametrize("form", ["training", "fused"])
@export
def test_torchscript_agrees_traced_and_scripted(name, options, form):
    module = trained_like(name, options)
    module = module.fuse() if form == "fused" else module
    x = feature_map(2, CHANNELS, 7, 11)
    with torch.no_grad():
        expected = module(x)
        for compiled in (torch.jit.trace(module, feature_map(1, CHANNELS, 8, 8)), torch.jit.script(module)):
            buffer = io.BytesIO()
            torch.jit.save(compiled, buffer)
            buffer.seek(0)
            assert max_difference(torch.jit.load(buffer)(x), expected) < 1e-5


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue_lists_the_constructor_arguments_in_order_with_their_defaults(name):
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
        feature_map(2, CHANNELS, height, width),
        feature_map(1, CHANNELS, height, width).contiguous(memory_format=torch.channels_last),
        feature_map(1, 2 * CHANNELS, height, width)[:, CHANNELS:],
        feature_map(1, CHANNELS, width, height).transpose(2, 3),
    ):
        expected = module(x)
        assert max_difference(fused(x), expected) < 1e-5
        with torch.no_grad():
            assert max_difference(fused(x), expected) < 1e-5
        with torch.inference_mode():
            assert max_difference(fused(x), expected) < 1e-5


@over_the_registry
def test_fusing_twice_changes_nothing_and_uses_no_random_numbers(name, options):
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
        x = feature_map(1, CHANNELS, 6, 6).requires_grad_()
        form(x).square().sum().backward()
        gradients.append(x.grad)
    assert max_difference(*gradients) < 1e-4 * gradients[0].abs().max()


@over_the_registry
@pytest.mark.parametrize("form", ["training", "fused"])
def test_copies_and_pickles_compute_the_same(name, options, form):
    module = trained_like(name, options)
    module = module.fuse() if form == "fused" else module
    x = feature_map(2, CHANNELS, 9, 9)
    size = len(pickle.dumps(module))
    with torch.no_grad():
        expected = module(x)  # before copying: a module that has run must be copyable too
        assert len(pickle.dumps(module)) == size
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert torch.equal(other(x), expected)
            next(other.parameters()).data.zero_()
        assert torch.equal(module(x), expected)


@over_the_registry
@pytest.mark.parametrize("form", ["training", "fused"])
def test_images_of_a_batch_are_independent(name, options, form):
    module = trained_like(name, options)
    module = module.fuse() if form == "fused" else module
    x = feature_map(3, CHANNELS, 7, 7)
    with torch.no_grad():
        together = module(x)
        for i in range(3):
            assert max_difference(module(x[i : i + 1]), together[i : i + 1]) < 1e-6


@over_the_registry
def test_a_map_of_one_pixel_gives_finite_values(name, options):
    x = feature_map(2, CHANNELS, 1, 1)
    assert torch.isfinite(fresh(name, options).train()(x)).all()
    assert torch.isfinite(trained_like(name, options)(x)).all()


@pytest.mark.parametrize("name", CASES)
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


def test_the_registry_has_the_class_of_every_name_and_suggests_known_ones():
    assert attention_classes()["GAM"] is GAM and attention_classes().keys() == CATALOGUE.keys()
    with pytest.raises(SpaceError, match=r"no attention module 'GAMM' \(did you mean 'GAM'\?\)"):
        attention_class("GAMM")

"""What must compute the same as an attention module: its deployment form, its copies, exports, and a detector."""

import copy
import io
import pickle
from functools import cache
from typing import Any

import torch
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import CandidateFailed
from gamsearch.parser.register import tasks_module
from gamsearch.testing.attention_cases import Case, difference, quiet

CLOSE = 1e-5


def deploys_to_a_form_that_computes_the_same(case: Case) -> None:
    module = case.trained()
    if not hasattr(module, "fuse"):
        return
    fused = copy.deepcopy(module)
    fused.fuse()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules()), "a batch norm is left after fuse()"
    for height, width in ((1, 1), (2, 5), (20, 20), (33, 17)):
        for x in (
            case.image(2, height, width),
            case.image(1, height, width).contiguous(memory_format=torch.channels_last),
            case.image(1, width, height).transpose(2, 3),
        ):
            with torch.no_grad():
                expected = module(x)
                assert difference(fused(x), expected) < CLOSE, f"fuse() changes the output at {height} x {width} px"
            with torch.inference_mode():
                assert difference(fused(x), expected) < CLOSE, "fuse() changes the output in inference mode"


def has_a_constant_factor_that_other_layers_can_take(case: Case) -> None:
    if case.spec.start != "gain" or case.starts_as_reference:
        return
    module, x = case.fresh().eval(), case.image(2, 20, 20)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        gain, expected = module.gain, module(x)
        module.gain = 1.0
        found = gain * module(x)
    assert gain in (2.0, 4.0), f"gain is {gain}, not a power of two above 1"
    assert difference(found, expected) < CLOSE, f"without its gain the module does not compute the {gain:g}th part"


def fuses_twice_without_a_change_and_without_random_numbers(case: Case) -> None:
    module = case.trained()
    if not hasattr(module, "fuse"):
        return
    before = torch.get_rng_state()
    module.fuse()
    assert torch.equal(torch.get_rng_state(), before), "fuse() uses random numbers, which would shift the data order"
    state = copy.deepcopy(module.state_dict())
    module.fuse()
    for key, value in module.state_dict().items():
        assert torch.equal(value, state[key]), f"the second fuse() changes {key}"


def copies_and_pickles_compute_the_same(case: Case) -> None:
    x = case.image(2, 9, 9)
    for form, module in case.forms():
        size = len(pickle.dumps(module))
        with torch.no_grad():
            expected = module(x)  # before copying: a module that has run must copy as well
            assert len(pickle.dumps(module)) == size, f"{form}: its pickle grows when it runs"
            for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
                assert torch.equal(other(x), expected), f"{form}: a copy computes something else"
                for parameter in list(other.parameters())[:1]:
                    parameter.data.zero_()
            assert torch.equal(module(x), expected), f"{form}: a copy shares its parameters"


def is_named_by_checkpoints_that_load_under_safe_loading(case: Case) -> None:
    tasks_module()  # registers
    for form, module in case.forms():
        checkpoint = io.BytesIO()
        torch.save(module, checkpoint)
        checkpoint.seek(0)
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(checkpoint)
        foreign = [name for name in unknown if not name.startswith(("torch.nn.", "ultralytics."))]
        assert not foreign, f"{form}: safe loading refuses {', '.join(foreign)}: define it beside the module"


def exports_to_onnx_at_any_image_size(case: Case) -> None:
    import onnxruntime

    for form, module in case.forms():
        file, axes = io.BytesIO(), {0: "batch", 2: "height", 3: "width"}
        with quiet():
            torch.onnx.export(
                module,
                (case.image(1, 16, 16),),
                file,  # type: ignore[arg-type]
                input_names=["x"],
                output_names=["y"],
                dynamic_axes={"x": axes, "y": axes},
                opset_version=17,
                dynamo=False,
            )
        session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
        for shape in ((1, 16, 16), (3, 10, 23)):
            x = case.image(*shape)
            with torch.no_grad():
                expected = module(x)
            found = torch.from_numpy(session.run(None, {"x": x.numpy()})[0])
            assert difference(found, expected) < CLOSE, f"{form}: ONNX differs at {shape[1]} x {shape[2]} px"


def exports_to_torchscript(case: Case) -> None:
    x = case.image(2, 7, 11)
    for form, module in case.forms():
        buffer = io.BytesIO()
        with quiet(), torch.no_grad():
            expected = module(x)
            torch.jit.save(torch.jit.trace(module, case.image(1, 8, 8)), buffer)
            buffer.seek(0)
            assert difference(torch.jit.load(buffer)(x), expected) < CLOSE, f"{form}: the traced module differs"


def builds_in_a_detector_that_inherits_everything_and_starts_unchanged(case: Case) -> None:
    from gamsearch.models.candidate import build_candidate

    detector, baseline = _stock()
    options = case.spec.canonical(case.options)
    legal = [
        (site, semantics)
        for semantics in ("inline", "inner")
        for site in detector.stage_sites
        if detector.why_not(site, semantics) is None
        and case.spec.refuse(detector.channels(site, semantics), case.spec.complete(dict(options))) is None
    ]
    after = [site for site, semantics in legal if semantics == "inline"]
    inside = [site for site, semantics in legal if semantics == "inner"]
    assert after, "the module can be built at no stage of yolov8n"
    for site, semantics in ((after[0], "inline"), (after[-1], "inline"), *((site, "inner") for site in inside[:1])):
        architecture = Architecture.of(detector.name, [Placement(site, case.spec.name, options, semantics)])
        try:
            candidate = build_candidate(detector, architecture, baseline, imgsz=64)
        except CandidateFailed as failure:
            raise AssertionError(f"{architecture.label}: {failure.detail}") from failure
        assert candidate.audit.complete, f"{architecture.label}: {candidate.audit}"
        with torch.no_grad():
            fused = copy.deepcopy(candidate.model).eval().fuse(verbose=False)
            fused(torch.rand(1, 3, 64, 64))


@cache
def _stock() -> tuple[Any, Any]:
    """A stock detector and a model of it."""
    from gamsearch.space.detector import Detector
    from gamsearch.training.baseline import start_model

    detector = Detector.load("yolov8n")
    return detector, start_model(detector, None, {0: "object"}, seed=0)


CHECKS = (
    deploys_to_a_form_that_computes_the_same,
    has_a_constant_factor_that_other_layers_can_take,
    fuses_twice_without_a_change_and_without_random_numbers,
    copies_and_pickles_compute_the_same,
    is_named_by_checkpoints_that_load_under_safe_loading,
    exports_to_onnx_at_any_image_size,
    exports_to_torchscript,
    builds_in_a_detector_that_inherits_everything_and_starts_unchanged,
)

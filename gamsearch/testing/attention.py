"""What an attention module must do, in each of its presets and with each of its choices."""

import inspect
import os

import torch
from torch import nn

from gamsearch.attention.registry import class_of
from gamsearch.testing import attention_forms as forms
from gamsearch.testing.attention_cases import Case, cases, difference

__all__ = ["CHECKS", "cases"]


def states_its_constructor(case: Case) -> None:
    parameters = list(inspect.signature(class_of(case.spec)).parameters.values())
    stated = [(p.name, p.default) for p in parameters[1:]]
    assert stated == list(case.spec.options.items()), "the catalogue must list the constructor's options in order"


def keeps_shape_and_type_and_leaves_its_input_alone(case: Case) -> None:
    for shape in ((2, 7, 9), (1, 1, 1), (2, 1, 1)):
        x = case.image(*shape)
        before = x.clone()
        for form, module in (("new", case.fresh().eval()), *case.forms()):
            out = module(x)
            assert out.shape == x.shape and out.dtype == x.dtype, f"{form}: {tuple(x.shape)} became {tuple(out.shape)}"
            assert torch.isfinite(out).all(), f"{form}: not finite at {shape[1]} x {shape[2]} px"
            assert torch.equal(x, before), f"{form}: the input was changed"


def starts_as_the_exact_identity(case: Case) -> None:
    if case.starts_as_reference:
        return
    for mode in ("train", "eval", "fused"):
        module = case.fresh().train(mode == "train")
        if mode == "fused" and hasattr(module, "fuse"):
            module.fuse()
        for scale in (1.0, 1e-3, 1e4):
            x = case.image(2, 8, 5) * scale
            with torch.no_grad():
                moved = difference(module(x.clone()), x)
            assert moved == 0.0, f"in {mode} mode the output differs from the input by {moved:.3g}"


def is_the_identity_in_half_precision(case: Case) -> None:
    if case.starts_as_reference:
        return
    generator = torch.Generator().manual_seed(1)
    large = torch.rand(1, case.channels, 6, 6, generator=generator) * 60000
    x = torch.cat((large, large * 1e-9)).half()  # the second image's numbers are subnormal
    module = case.fresh()
    with torch.no_grad():
        with torch.autocast("cpu", torch.float16):
            assert torch.equal(module.train()(x), x), "under autocast to float16 the output differs from the input"
        assert torch.equal(module.eval().half()(x), x), "in float16 the output differs from the input"


def can_be_made_the_identity_again(case: Case) -> None:
    module = case.fresh()
    if case.starts_as_reference or not hasattr(module, "identity_"):
        return
    module.load_state_dict(case.trained().state_dict())
    module.eval().identity_()
    x = case.image(2, 6, 6)
    with torch.no_grad():
        assert difference(module(x), x) == 0.0, "after identity_() the output differs from the input"


def learns_with_every_parameter_within_three_steps(case: Case) -> None:
    module = case.fresh().train()
    parameters = dict(module.named_parameters())
    if not parameters:
        return
    reached: set[str] = set()
    optimizer = torch.optim.SGD(parameters.values(), lr=0.05)
    for step in range(3):
        optimizer.zero_grad()
        x, target = case.image(4, 8, 8, seed=step), case.image(4, 8, 8, seed=9)
        (module(x) - target).square().mean().backward()
        for key, parameter in parameters.items():
            if parameter.grad is not None:
                assert torch.isfinite(parameter.grad).all(), f"the gradient of {key} is not finite"
                reached |= {key} if parameter.grad.abs().max() > 0 else set()
        optimizer.step()
    assert not parameters.keys() - reached, f"no gradient reaches {', '.join(sorted(parameters.keys() - reached))}"


def is_finite_and_close_in_mixed_precision(case: Case) -> None:
    x = case.image(2, 8, 8)
    expected = case.trained()(x)
    for kind in (torch.bfloat16, torch.float16):
        for form, module in case.forms():
            with torch.no_grad(), torch.autocast("cpu", kind):
                out = module(x.to(kind))
            assert out.dtype == kind, f"{form}: {kind} became {out.dtype}"
            far = (out.float() - expected).abs().amax(1) >= 0.05 * expected.abs().max()
            fall_the_other_way = 0.02 if getattr(module, "chooses", False) else 0.0
            assert far.float().mean() <= fall_the_other_way, f"{form}: {kind} is far from float32"


def is_finite_on_large_activations_in_float16(case: Case) -> None:
    module = case.trained().train()
    with torch.no_grad():
        for layer in (m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)):
            layer.weight *= 10
    x = (case.image(2, 8, 8) * 2e3).half()
    with torch.autocast("cpu", torch.float16):
        assert torch.isfinite(module(x)).all(), "not finite under autocast to float16"
    with torch.no_grad():
        assert torch.isfinite(module.eval().half()(x)).all(), "not finite in float16"


def treats_the_images_of_a_batch_separately(case: Case) -> None:
    x = case.image(3, 7, 7)
    for form, module in case.forms():
        with torch.no_grad():
            together = module(x)
            apart = torch.cat([module(x[i : i + 1]) for i in range(3)])
        assert difference(apart, together) < 1e-5, f"{form}: an image's output depends on the others in the batch"


def repeats_its_gradients_bit_for_bit(case: Case) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as Ultralytics' trainers set it
    module, x = case.trained().train().to(device), case.image(2, 9, 7).to(device)
    before, found = torch.are_deterministic_algorithms_enabled(), []
    torch.use_deterministic_algorithms(True)  # an operation without a deterministic form raises
    try:
        for _ in range(2):
            module.zero_grad()
            image = x.clone().requires_grad_()
            module(image).square().sum().backward()
            found.append([image.grad, *(p.grad for p in module.parameters() if p.grad is not None)])
    finally:
        torch.use_deterministic_algorithms(before)
    for one, again in zip(*found, strict=True):
        assert torch.equal(one, again), f"two backward passes on {device} differ"


CHECKS = (
    states_its_constructor,
    keeps_shape_and_type_and_leaves_its_input_alone,
    starts_as_the_exact_identity,
    is_the_identity_in_half_precision,
    can_be_made_the_identity_again,
    learns_with_every_parameter_within_three_steps,
    is_finite_and_close_in_mixed_precision,
    is_finite_on_large_activations_in_float16,
    treats_the_images_of_a_batch_separately,
    repeats_its_gradients_bit_for_bit,
    *forms.CHECKS,
)

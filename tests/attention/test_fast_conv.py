"""Fast convolutions: they equal the plain one, follow changed weights, and are seen by hooks."""

import pytest
import torch
from support.attention import CHANNELS, feature_map, max_difference

from gamsearch.attention import fast_conv
from gamsearch.attention.gam import GAM


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize(("channels", "rate"), [(16, 2), (32, 4), (32, 16), (48, 4), (64, 4), (96, 2)])
@pytest.mark.parametrize("size", [(1, 16, 16), (2, 20, 33), (1, 41, 7), (3, 9, 40)])
def test_every_fast_convolution_of_the_deployment_form_equals_the_plain_one(channels, rate, padding, size, monkeypatch):
    for threshold in ("SPECTRAL_PIXELS", "SPECTRAL_PRODUCTS"):
        monkeypatch.setattr(fast_conv, threshold, 0)
    torch.manual_seed(0)
    module = GAM(channels, rate, padding=padding, init="reference").eval().fuse()
    x = feature_map(size[0], channels, *size[1:])
    with torch.no_grad():
        for name, width in (("conv1", channels), ("conv2", channels // rate)):
            layer, y = getattr(module, name), feature_map(size[0], width, *size[1:])
            assert max_difference(module._convolve(name, y), layer(y)) < 3e-6
        fast = module(x)
    assert max_difference(fast, module(x)) < 1e-5  # with gradients enabled the plain form runs


def test_a_fused_module_uses_weights_that_are_changed_afterwards(monkeypatch):
    monkeypatch.setattr(fast_conv, "SPECTRAL_PRODUCTS", 0)
    first, second = (GAM(64, init="reference").eval().fuse() for _ in range(2))
    x = feature_map(1, 64, 20, 20)
    with torch.no_grad():
        first(x)
        first.load_state_dict(second.state_dict())
        assert max_difference(first(x), second(x)) < 1e-6
        assert max_difference(first.double()(x.double()), second(x).double()) < 1e-5
        assert max_difference(first.float()(x), second(x)) < 1e-6


def test_hooks_on_the_convolutions_are_called_in_the_deployment_form():
    module, seen = GAM(CHANNELS).fuse(), []
    for name, layer in module.named_children():
        layer.register_forward_hook(lambda *_, name=name: seen.append(name))
    with torch.no_grad():
        module(feature_map(1, CHANNELS, 4, 4))
    assert [name for name in seen if not name.startswith("norm")] == ["linear1", "linear2", "conv1", "conv2"]

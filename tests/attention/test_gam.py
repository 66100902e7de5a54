"""GAM: it computes what the reference and its ports compute, and rejects what it cannot do."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from support.attention import CHANNELS, feature_map, max_difference, trained_like
from torch import Tensor, nn

from gamsearch.attention.gam import GAM, GAMError


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
def test_weights_of_the_reference_load_and_reproduce_its_outputs(training):
    torch.manual_seed(0)
    reference = Reference(48, 8).train(training)
    gam = GAM(48, 8).train(training)
    assert gam.load_state_dict(reference.state_dict()).missing_keys == []
    x = feature_map(2, 48, 11, 6)
    assert max_difference(gam(x), reference(x)) < 1e-6


def test_the_reference_initialisation_equals_that_of_the_reference():
    torch.manual_seed(5)
    initial = GAM(16, 4, init="reference").state_dict()
    torch.manual_seed(5)
    gam = GAM(16, 4)
    torch.manual_seed(5)
    again = gam.reference_().state_dict()
    assert initial["linear2.bias"].abs().max() < 0.6
    assert set(again["norm2.weight"].tolist()) == {1.0}
    assert all(value.std() == initial[key].std() for key, value in again.items() if key.startswith("linear1"))


def test_the_grouped_form_shuffles_the_gate_and_not_the_features():
    module = trained_like("GAM", {"groups": 4, "shuffle": True, "padding": "zeros"})
    plain = trained_like("GAM", {"groups": 4, "shuffle": False, "padding": "zeros"})
    x = feature_map(1, CHANNELS, 6, 6)
    attended = x * plain._channel_gate(x)
    gate = plain(x) / attended
    order = torch.arange(CHANNELS).view(4, -1).t().reshape(-1)
    assert max_difference(module(x), attended * gate[:, order]) < 1e-5


def test_the_sigmoid_variant_is_the_port_times_four_or_the_port_itself():
    identity = trained_like("GAM", {"channel_gate": "sigmoid"})
    port = trained_like("GAM", {"channel_gate": "sigmoid"})
    identity.gain = 4.0
    x = feature_map(1, CHANNELS, 6, 6)
    attended = x * torch.sigmoid(port.linear2(F.relu(port.linear1(x.permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)
    gate = torch.sigmoid(port.norm2(port.conv2(F.relu(port.norm1(port.conv1(attended))))))
    assert max_difference(port(x), attended * gate) < 1e-6
    assert max_difference(identity(x), 4 * attended * gate) < 1e-5
    with pytest.raises(GAMError, match="built with init='identity'"):
        port.identity_()


@pytest.mark.parametrize("fused", [False, True])
def test_a_map_of_another_width_is_rejected_with_the_fix(fused):
    module = GAM(512, 8)
    module = module.fuse() if fused else module
    with pytest.raises(GAMError, match=r"says 512 channels .* has 128 .* write c2 .* \[-1, 1, GAM, \[c2, 8\]\]"):
        module(feature_map(1, 128, 4, 4))


@pytest.mark.parametrize("call", ["identity_", "reference_"])
def test_a_fused_module_cannot_be_initialised_again(call):
    with pytest.raises(GAMError, match="needs the training form"):
        getattr(GAM(16).fuse(), call)()


@pytest.mark.filterwarnings("ignore")  # the exporter's own deprecations
def test_the_deployment_form_can_be_captured_by_torch_export():
    module, x = trained_like("GAM", {}).fuse(), feature_map(1, CHANNELS, 20, 20)
    with torch.no_grad():
        assert max_difference(torch.export.export(module, (x,)).module()(x), module(x)) < 1e-5

"""A switch computes what its active module does; a weaker nested module uses the weights of the strongest."""

import copy

import pytest
import torch
from support.attention import CHANNELS, feature_map
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import CATALOGUE, spec_named
from gamsearch.attention.registry import attention_class
from gamsearch.supernet.switch import Switch, activate

NESTED = [name for name, spec in CATALOGUE.items() if spec.nested]


def placements(name: str) -> tuple[Placement, Placement]:
    """A weak and a strong placement of a module after row 4."""
    spec = spec_named(name)
    weak, strong = (8, 2) if spec.stronger_is_smaller else (3, 7)
    return tuple(Placement(4, name, spec.canonical({spec.strength: value})) for value in (weak, strong))


def module(placement: Placement) -> nn.Module:
    torch.manual_seed(0)
    return attention_class(placement.module)(CHANNELS, **dict(placement.options))


def switch(*chosen: Placement) -> Switch:
    return Switch(4, {placement: module(placement) for placement in chosen})


def randomised(one: Switch) -> Switch:
    """As after training: no weight is zero any more."""
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(parameter.numel()))
    return one


def test_nothing_is_active_at_first_and_the_map_passes_unchanged():
    x = feature_map(2, CHANNELS, 6, 6)
    assert switch(*placements("GAM"))(x) is x


@pytest.mark.parametrize("name", NESTED)
def test_a_weaker_module_computes_with_the_leading_part_of_the_weights_of_the_strongest(name):
    weak, strong = placements(name)
    one, x = randomised(switch(weak, strong)).eval(), feature_map(2, CHANNELS, 6, 6)
    alone = module(weak).eval()
    large = dict(one.options[1].named_parameters())
    with torch.no_grad():
        for part, tensor in alone.named_parameters():
            tensor.copy_(large[part][tuple(slice(n) for n in tensor.shape)])
    one.choose(weak)
    assert torch.equal(one(x), alone(x))
    one.choose(strong)
    assert torch.equal(one(x), one.options[1](x)) and (name == "MLCA" or not torch.equal(one(x), alone(x)))


@pytest.mark.parametrize("name", NESTED)
def test_the_gradient_of_a_weaker_module_reaches_the_shared_weights(name):
    weak, strong = placements(name)
    one = randomised(switch(weak, strong)).train()
    one.choose(weak)
    (one(feature_map(2, CHANNELS, 6, 6)) ** 2).sum().backward()
    assert all(p.grad is None for p in one.options[0].parameters())
    assert all(p.grad is not None for p in one.options[1].parameters())
    assert [p for p, _ in one.trained()] == [strong]


def test_modules_that_are_not_active_get_no_gradient():
    gam, triplet = placements("GAM")[1], Placement(4, "Triplet")
    one = switch(gam, triplet)
    one.choose(triplet)
    one(feature_map(2, CHANNELS, 6, 6)).sum().backward()
    assert all(p.grad is None for p in one.options[0].parameters())
    assert any(p.grad is not None for p in one.options[1].parameters())


def test_a_copy_and_a_state_dict_keep_everything():
    weak, strong = placements("SE")
    one, x = randomised(switch(weak, strong)).eval(), feature_map(1, CHANNELS, 4, 4)
    other = switch(weak, strong).eval()
    other.load_state_dict(one.state_dict())
    for each in (other, copy.deepcopy(one)):
        for placement in (weak, strong):
            one.choose(placement)
            each.choose(placement)
            assert torch.equal(one(x), each(x))


def test_an_architecture_activates_its_placements_and_switches_off_all_others():
    weak, strong = placements("SE")
    network = nn.Sequential(switch(weak, strong), Switch(6, {}))
    activate(network, Architecture.of("yolov8n", [strong]))
    assert network[0].active == 1 and network[1].active is None
    activate(network, Architecture.of("yolov8n"))
    assert network[0].active is None

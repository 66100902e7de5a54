"""Each contract check fails for an entry that breaks it, and says how."""

import random

import pytest
import torch
from torch import nn

from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.spec import AttentionSpec
from gamsearch.metrics import METRICS, Metric
from gamsearch.models.latency.backends import BACKENDS, LatencyBackend, Network
from gamsearch.space.rules import RULES, RuleSpec
from gamsearch.space.selectors import SELECTORS
from gamsearch.strategy.random_samplers import SparseRandomSampler
from gamsearch.strategy.samplers import SAMPLERS, SamplerSpec
from gamsearch.testing import checks


def failures(kind: str, name: str) -> dict[str, str]:
    """The checks that fail, with what they say."""
    found = {}
    for check in checks(kind, name):
        try:
            check()
        except AssertionError as error:
            found[str(check).partition(": ")[2]] = str(error)
    return found


class Halving(nn.Module):
    """No identity at its start, and it changes its input."""

    def __init__(self, channels: int = 0, rate: int = 4):
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 0.5))
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x.mul_(self.scale) if not torch.is_grad_enabled() else x * self.scale


class Mixing(nn.Module):
    """Looks at the other images of the batch, and grows in half precision."""

    def __init__(self, channels: int = 0):
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x):
        return x + self.gate * x.mean(0, keepdim=True) * 1e4


def spec(cls: type, **options: int) -> AttentionSpec:
    return AttentionSpec(cls.__name__, "", "", "", options, lambda channels, options: None, cls=cls)


def test_a_module_that_is_no_identity_fails_with_the_difference():
    with CATALOGUE.temporarily("Halving", spec(Halving, rate=4)):
        found = failures("attention", "Halving")
    assert "differs from the input by" in found["starts as the exact identity"]
    assert "no gradient reaches unused" in found["learns with every parameter within three steps"]
    assert "states its constructor" not in found


def test_a_module_that_mixes_images_or_overflows_fails():
    with CATALOGUE.temporarily("Mixing", spec(Mixing)):
        found = failures("attention", "Mixing")
    assert "depends on the others in the batch" in found["treats the images of a batch separately"]
    assert "not finite" in found["is finite on large activations in float16"]


def test_a_module_whose_options_are_not_those_of_its_constructor_fails():
    with CATALOGUE.temporarily("Mixing", spec(Mixing, rate=4)):
        checked = {str(check).partition(": ")[2]: check for check in checks("attention", "Mixing")}
        with pytest.raises((AssertionError, TypeError)):
            checked["states its constructor"]()


def test_a_metric_without_a_docstring_or_a_number_fails():
    nothing = Metric("nothing", "", "minimize", "trained", lambda results: float("nan"))
    with METRICS.temporarily("nothing", nothing):
        found = failures("metric", "nothing")
    assert "the unit is empty" in found["states unit direction stage and what it is"]
    assert "not a finite float" in found["computes a finite number"]


def test_a_backend_that_changes_the_model_or_measures_nothing_fails():
    def zeroing(model, imgsz, device):
        """Zero the weights and run nothing."""
        for parameter in model.parameters():
            parameter.data.zero_()
        return Network(lambda: sum(range(2000)))

    with BACKENDS.temporarily("zeroing", LatencyBackend("zeroing", zeroing)):
        found = failures("latency_backend", "zeroing")
    assert "was changed" in found["runs the network again and again without changing the model"]
    assert "times as long" in found["tells a heavier network from a lighter one"]


def test_a_rule_that_forgives_a_module_or_miscounts_fails():
    odd = RuleSpec(lambda sites, value: "odd" if len(sites) % 2 else None, lambda sites, value: None)
    with RULES.temporarily("odd", odd):
        assert any("but allows" in problem for problem in failures("rule", "odd").values())
    strict = RuleSpec(lambda sites, value: "4" if 4 in sites else None, lambda sites, value: None if value == 1 else "")
    with RULES.temporarily("strict", strict):
        assert "sets are counted" in failures("rule", "strict")["is counted as it is enumerated"]


def test_a_selector_that_finds_the_head_fails():
    with SELECTORS.temporarily("last", lambda detector: (len(detector.rows) - 1,)):
        found = failures("selector", "last")
    assert any("which nothing can follow" in problem for problem in found.values())


def test_a_sampler_that_ignores_its_seed_fails():
    chance = random.SystemRandom()

    def careless(context):
        """Random with a seed of its own."""
        return SparseRandomSampler(len(context.space.sites), seed=chance.randrange(2**31))

    with SAMPLERS.temporarily("careless", SamplerSpec(careless)):
        found = failures("sampler", "careless")
    assert list(found) == ["proposes the same at the same seed"]

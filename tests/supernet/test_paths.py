"""Random architectures of a space: admissible, of all sizes alike, every module as often as the next."""

import random
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from gamsearch.space.search_space import SearchSpace
from gamsearch.supernet.paths import Paths, epochs_for, families, spread


@pytest.fixture
def mixed(tmp_path: Path) -> SearchSpace:
    """GAM with two rates and Triplet without any option, at three sites, two of which exclude each other."""
    file = tmp_path / "mixed.yaml"
    file.write_text(
        "detector: yolov8n.yaml\nsites: [4, 6, 9]\nattention: {GAM: {rate: [4, 16]}, Triplet: {}}\n"
        "rules: {not_together: [[4, 6]]}\n"
    )
    return SearchSpace.load(file)


def test_every_sampled_architecture_is_admissible_and_every_number_of_modules_is_as_frequent(mixed):
    rng, paths = random.Random(0), Paths(mixed)
    sampled = [paths.sample(rng) for _ in range(900)]
    assert all(mixed.refusal(architecture) is None for architecture in sampled)
    assert paths.most == 2
    counts = Counter(len(architecture.placements) for architecture in sampled)
    assert sorted(counts) == [0, 1, 2] and all(abs(n - 300) < 75 for n in counts.values())


def test_a_module_with_many_options_is_no_more_frequent_than_one_without(mixed):
    rng, paths = random.Random(1), Paths(mixed)
    modules = Counter(p.module for _ in range(1000) for p in paths.sample(rng).placements)
    assert 0.8 < modules["GAM"] / modules["Triplet"] < 1.25


def test_the_epochs_give_each_site_its_steps(mixed):
    paths = Paths(mixed)
    assert paths.share == pytest.approx(1 / 3, abs=0.02)  # one module on average, three sites
    assert epochs_for(paths, 100, 30) == 10 and epochs_for(paths, 1, 1000) == 1


@pytest.mark.parametrize(("name", "most"), [("zoo-light", 4), ("detect-inputs", 3)])
def test_the_rules_of_shipped_spaces_are_kept_and_leave_room_for_several_modules(name, most):
    """At most four modules, and modules of one kind only."""
    space = SearchSpace.load(name)
    rng, paths = random.Random(2), Paths(space)
    sampled = [paths.sample(rng) for _ in range(200)]
    assert all(space.refusal(architecture) is None for architecture in sampled)
    assert max(len(architecture.placements) for architecture in sampled) == paths.most == most


def test_strengths_of_a_nested_module_share_weights_and_nothing_else_does(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(
        "detector: yolov8n.yaml\nsites: [6]\n"
        "attention: {GAM: {rate: [4, 16], groups: [1, 4]}, SE: {rate: [4, 16]}, LSKA: {kernel: [7, 11]}}\n"
    )
    groups = families(SearchSpace.load(file).choices[6])
    labels = sorted([placement.label.replace("@6", "") for placement in group] for group in groups)
    assert labels == [["GAM r16", "GAM r4"], ["GAM r16 g4"], ["GAM r4 g4"], ["LSKA kernel=11"], ["LSKA kernel=7"]] + [
        ["SE r16", "SE r4"]
    ]


def test_the_baseline_and_single_placements_are_measured_first_and_nothing_twice(mixed):
    architectures = list(islice(spread(mixed, Paths(mixed)), 100))
    assert len(set(architectures)) == len(architectures) == mixed.size
    assert architectures[0].is_baseline
    assert [len(a.placements) for a in architectures[1:10]] == [1] * 9
    assert list(spread(mixed, Paths(mixed), 1)) != list(spread(mixed, Paths(mixed), 2))

"""Architectures are canonical values: order does not matter, equal ones share a key, and records restore them."""

import json

import pytest

from gamsearch.architecture import BASELINE, Architecture, Placement

EARLY = Placement(4, "GAM", (("rate", 8), ("groups", 4)))
LATE = Placement(15, "GAM", (("rate", 4),), "branch", (22, 16))


def test_the_order_of_placements_options_and_consumers_does_not_matter():
    one = Architecture.of("yolov8n", [LATE, EARLY])
    same = Placement(15, "GAM", (("rate", 4),), "branch", (16, 22))
    other = Architecture.of("yolov8n", [Placement(4, "GAM", (("groups", 4), ("rate", 8))), same])
    assert one == other and hash(one) == hash(other) and one.key == other.key


@pytest.mark.parametrize(
    "other",
    [
        Architecture.of("yolov8s", [EARLY]),
        Architecture.of("yolov8n", [Placement(6, "GAM", EARLY.options)]),
        Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 8),))]),
        Architecture.of("yolov8n", [Placement(4, "GAM", EARLY.options, "branch", (5,))]),
        Architecture.of("yolov8n", [Placement(4, "GAM", EARLY.options, "inner")]),
        Architecture.of("yolov8n"),
    ],
)
def test_different_architectures_have_different_keys(other: Architecture):
    one = Architecture.of("yolov8n", [EARLY])
    assert one != other and one.key != other.key


def test_a_record_restores_the_architecture():
    one = Architecture.of("yolov8n", [EARLY, LATE, Placement(6, "SE", {}, "inner")])
    assert Architecture.from_dict(json.loads(json.dumps(one.to_dict()))) == one


@pytest.mark.parametrize(
    ("placements", "key"),
    [
        ([], "3cf8cad62df0"),
        ([Placement(2, "GAM", (("rate", 4),))], "dd2008105ea6"),
        ([Placement(4, "GAM", (("rate", 4),))], "f9293513596f"),
    ],
)
def test_the_key_is_the_one_that_recorded_runs_hold(placements: list[Placement], key: str):
    assert Architecture.of("yolov8n", placements).key == key


def test_labels_name_module_site_and_options_with_the_rate_first():
    assert Architecture.of("yolov8n", [LATE, EARLY]).label == "GAM@4 r8 g4 + GAM@15 r4 branch→16,22"
    assert Placement(2, "SE", (("reduction", 16),)).label == "SE@2 reduction=16"
    assert Placement(4, "GAM", (("rate", 4),), "inner").label == "GAM@4 r4 inner"


def test_without_placements_it_is_the_baseline():
    assert Architecture.of("yolov8n").is_baseline and Architecture.of("yolov8n").label == BASELINE == "baseline"
    assert not Architecture.of("yolov8n", [EARLY]).is_baseline


def test_options_of_a_placement_may_be_a_mapping():
    assert Placement(4, "GAM", {"rate": 4, "groups": 2}) == Placement(4, "GAM", (("groups", 2), ("rate", 4)))
    assert Placement(4, "GAM", {"rate": 4}).label == "GAM@4 r4"

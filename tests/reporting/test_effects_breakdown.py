"""What the report says about modules, kinds, sites and strengths."""

import random

import pytest
from support.records import HOSTILE, gam, record, rich_record, trial

from gamsearch.architecture import Architecture, Placement
from gamsearch.reporting import effects_breakdown, effects_section
from gamsearch.reporting.terminal import plain_table

MODULES = {"GAM": ({"rate": 4}, {"rate": 16}), "SE": ({"rate": 16},), "Triplet": ({},)}
GAINS = {"GAM": 0.010, "SE": 0.030, "Triplet": -0.020}


def several(modules=MODULES):
    """Architectures of one to three modules whose gain is the sum of what each module gains anywhere."""
    rng, rows = random.Random(0), [trial(0, gam(), 0.2)]
    for number in range(1, 30):
        sites = rng.sample([4, 6, 9, 15], rng.randint(1, 3))
        placed = [Placement(s, m, rng.choice(modules[m])) for s in sites for m in [rng.choice(list(modules))]]
        gain = sum(GAINS.get(p.module, 0.0) for p in placed) + rng.gauss(0, 0.001)
        rows.append(trial(number, Architecture.of("yolov8n", placed), 0.2 + gain))
    return record(rows)


def test_the_effects_of_modules_and_kinds_are_recovered_and_have_intervals():
    found = {one.title: one for one in effects_breakdown.breakdowns(several())}
    assert list(found) == ["Module", "Kind", "Site", "Rate of GAM"]  # SE has one rate, Triplet no strength
    assert {one.levels[0]: one.effect for one in found["Module"].effects} == pytest.approx(GAINS, abs=0.002)
    assert all(one.half_width for one in found["Module"].effects)
    assert {level for one in found["Kind"].effects for level in one.levels} == {"both", "channel"}
    assert [found["Rate of GAM"].text(one) for one in found["Rate of GAM"].effects] == ["r4", "r16"]


def test_a_record_of_one_module_has_no_module_and_no_kind_to_compare():
    assert [one.title for one in effects_breakdown.breakdowns(rich_record())] == ["Site", "Rate"]


def test_attention_inside_and_after_blocks_is_compared_where_a_run_has_both():
    rng, rows = random.Random(0), [trial(0, gam(), 0.2)]
    for number in range(1, 20):
        ways = {site: rng.choice(["inner", "inline"]) for site in rng.sample([4, 6, 15], rng.randint(1, 2))}
        placed = [Placement(site, "SE", {"rate": 16}, way) for site, way in ways.items()]
        gain = sum(0.02 if p.semantics == "inner" else 0.01 for p in placed) + rng.gauss(0, 0.001)
        rows.append(trial(number, Architecture.of("yolov8n", placed), 0.2 + gain))
    found = {one.title: one for one in effects_breakdown.breakdowns(record(rows))}
    effects = {one.levels[0]: one.effect for one in found["Place"].effects}
    assert effects == pytest.approx({"after the block": 0.01, "inside the block": 0.02}, abs=0.002)
    page = effects_section.section(record(rows))
    assert "<h3>Place</h3>" in page


def test_a_module_that_is_not_installed_is_named_and_escaped():
    made = several({"SE": ({"rate": 16},), HOSTILE: ({"size": 3}, {"size": 5})})
    assert [one.title for one in effects_breakdown.breakdowns(made)] == ["Module", "Kind", "Site"]
    assert "<script>alert" not in effects_section.section(made)


def test_the_page_names_paper_and_kind_of_each_module():
    page = effects_section.section(several())
    assert "SE: Squeeze-and-Excitation (arXiv 1709.01507), channel<" in page
    assert "GAM: Global Attention Mechanism (arXiv 2112.05561), channel and spatial<" in page


def test_the_terminal_names_the_best_levels_with_their_intervals():
    text = plain_table(several(), width=200)
    assert "Module: SE +0.0" in text and "Triplet -0.0" in text and "Kind: channel +0.0" in text
    assert "linear models" not in plain_table(record([trial(0, gam(), 0.2), trial(1, gam((4, 8)), 0.21)]))

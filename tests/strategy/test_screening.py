"""What shared networks say: which sites pay, a predicted front, one sentence, and rarely a false yes."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from support.readings import GAINS, SINGLES, SPACE, readings

from gamsearch.analysis.screened import Screened
from gamsearch.space.search_space import Limit, SearchSpace
from gamsearch.strategy.screening import Screening
from gamsearch.strategy.shared_effects import Reading
from gamsearch.supernet.paths import Paths, spread

NONE = dict.fromkeys(GAINS, 0.0)


def costs(architecture) -> dict[str, float]:
    """Each module costs time, a stronger one more."""
    return {"latency_ms": 10 + sum(1 + 4 / dict(p.options)["rate"] for p in architecture.placements)}


def screening(seed: int = 0, **how) -> Screening:
    return Screening(SPACE, readings(np.random.default_rng(seed), **how))


def test_sites_that_pay_are_named_and_those_that_do_not():
    found = screening(gains={**NONE, 4: 0.02, 9: -0.01})
    assert found.pays and found.agreement > 0.7
    assert found.sentence == "Attention pays after row 4; nothing is shown to pay after rows 6, 9 and 15."
    paying = {effect.site for effect in found.effects if effect.pays}
    assert paying == {4} and len(found.effects) == len(SINGLES)


def test_a_part_of_the_detector_in_which_nothing_pays_is_named():
    found = screening(gains={4: 0.03, 6: 0.03, 9: 0.03, 15: 0.0})
    assert found.sentence == "Attention pays after rows 4, 6 and 9; nothing is shown to pay in the neck."


def test_where_no_placement_has_an_effect_it_rarely_says_that_one_pays_and_mostly_that_nothing_does():
    found = [screening(seed, gains=NONE) for seed in range(100)]
    assert sum(one.pays for one in found) <= 5
    assert sum(one.nothing_pays for one in found) >= 90
    assert all(one.sentence.startswith("Nothing pays: no placement alone") for one in found if one.nothing_pays)


def test_networks_that_disagree_or_too_few_of_them_leave_it_open():
    apart = screening(1, gains=NONE, deviation=0.02)
    assert not apart.pays and not apart.nothing_pays
    assert apart.sentence.startswith("Unclear: two networks rank the architectures differently (tau ")
    alone = screening(gains=NONE, seeds=1)
    assert alone.agreement is None and not alone.pays and not alone.nothing_pays
    assert alone.sentence.startswith("Unclear: one network cannot tell, and a placement alone may still gain 0.0")


def test_small_effects_are_not_missed_and_harmful_ones_do_not_pay():
    small = {**NONE, 4: 0.01}
    assert sum(screening(seed, gains=small, noise=0.001, deviation=0.001).pays for seed in range(20)) >= 16
    assert sum(screening(seed, gains={**NONE, 9: -0.03}).pays for seed in range(20)) <= 1


def test_the_predicted_front_holds_the_best_and_the_cheapest_that_gain():
    front = screening().front(costs, 10)
    assert {p.site for p in front[0].placements} == {4, 15} and not any(a.is_baseline for a in front)
    assert any(len(a.placements) == 1 and a.placements[0].site == 4 for a in front)
    latencies = [costs(a)["latency_ms"] for a in front]
    assert latencies == sorted(latencies, reverse=True)
    assert screening().front(costs, 2) == [front[0], front[-1]] and screening().front(costs, 0) == []
    assert screening().front(lambda architecture: None, 5) == []


def test_the_predicted_front_stays_within_the_limits_of_the_space():
    space = replace(SPACE, limits=(Limit("latency_ms", "+20%"),))
    front = Screening(space, readings(np.random.default_rng(0))).front(costs, 10)
    assert front and all(costs(a)["latency_ms"] <= 12 for a in front)
    assert max(costs(a)["latency_ms"] for a in screening().front(costs, 10)) > 12


def test_the_record_gives_the_same_screening_again():
    found = screening()
    facts = json.loads(json.dumps(found.facts(complete=True)))
    again = Screening.read(SPACE, facts)
    assert again.sentence == found.sentence
    assert again.effects == found.effects
    assert Screening.read(SPACE, {}) is None and Screening.read(SPACE, found.facts(complete=False)) is None


DAMAGE = {
    "missing": lambda facts: facts.pop("architectures"),
    "no network": lambda facts: facts.update(values={}),
    "nothing measured": lambda facts: facts.update(architectures=[], values={"0": [], "1": []}),
    "not a number": lambda facts: facts["values"].update({"0": [float("nan")] * 33}),
    "no fraction": lambda facts: facts["values"].update({"0": [1e300] * 33}),
    "no seed": lambda facts: facts["values"].update(x=facts["values"].pop("0")),
    "cut": lambda facts: facts["values"]["1"].pop(),
    "another site": lambda facts: facts["architectures"][1]["placements"][0].update(site=77),
    "another module": lambda facts: facts["architectures"][1]["placements"][0].update(module="Nope"),
    "another option": lambda facts: facts["architectures"][1]["placements"][0].update(options={"rate": 5}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_holds_no_screening(damage):
    facts = json.loads(json.dumps(screening().facts(complete=True)))
    DAMAGE[damage](facts)
    assert Screening.read(SPACE, facts) is None


def test_what_the_report_shows_survives_the_record_and_damage_is_no_answer():
    answer = screening().answer(7)
    form = json.loads(json.dumps(answer.to_dict()))
    again = Screened.from_dict(form)
    assert (again.sentence, again.nothing_pays, again.epochs, again.seeds) == (answer.sentence, False, 7, 2)
    assert [(e.site, e.option, e.pays) for e in again.effects] == [(e.site, e.option, e.pays) for e in answer.effects]
    for damaged in (None, {}, [], {**form, "effects": [[1]]}, {**form, "seeds": "many"}):
        assert Screened.from_dict(damaged) is None


def test_a_large_space_is_answered_without_listing_it():
    space = SearchSpace.load("zoo-light")
    assert space.size > 10**6
    rng = np.random.default_rng(0)
    found = [
        Reading(seed, a, 0.3 + sum(0.02 for p in a.placements if p.site == 6) + rng.normal(0, 0.002))
        for seed in range(2)
        for a in islice(spread(space, Paths(space)), 80)
    ]
    screening = Screening(space, found)
    front = screening.front(lambda a: {"latency_ms": 10 + len(a.placements)}, 5)
    assert screening.pays and "row 6" in screening.sentence
    assert front and all(any(p.site == 6 for p in a.placements) for a in front)
    assert all(space.refusal(a) is None for a in front)


def readings_of(gain, reference: float = 0.0, level: float = 0.35) -> Screening:
    """Two networks that agree but for little noise; `gain` is that of an architecture."""
    rng = np.random.default_rng(0)
    noisy = [Reading(s, a, level + gain(a) + rng.normal(0, 0.0005)) for s in range(2) for a in SPACE.enumerate()]
    return Screening(SPACE, noisy, reference)


def test_where_any_placement_gains_and_a_second_one_adds_nothing_it_does_not_say_that_nothing_pays():
    alike = readings_of(lambda a: 0.0 if a.is_baseline else 0.01)
    assert not alike.nothing_pays
    assert alike.sentence.startswith("Unclear: architectures with one module are 0.0") or alike.pays


def test_networks_that_lost_what_they_began_with_do_not_say_that_nothing_pays():
    collapsed = readings_of(lambda a: 0.0, reference=0.4, level=0.02)
    assert not collapsed.nothing_pays and "lost most of its mAP" in collapsed.sentence
    assert not Screening.read(SPACE, collapsed.facts(complete=True)).nothing_pays
    assert readings_of(lambda a: 0.0, reference=0.4).nothing_pays


def test_networks_that_differ_at_one_site_leave_the_others_certain():
    found = {0: {2: -0.064, 4: 0.054, 6: 0.040}, 1: {2: -0.047, 4: 0.090, 6: 0.040}}  # as recorded on planted-harm
    space = SearchSpace.load("planted")
    readings = [
        Reading(seed, a, 0.5 + sum(effects[p.site] for p in a.placements))
        for seed, effects in found.items()
        for a in space.enumerate()
    ]
    made = Screening(space, readings)
    assert made.sentence == "Attention pays after rows 4 and 6; nothing is shown to pay after row 2."
    assert max(effect.half_width for effect in made.effects) < 0.03

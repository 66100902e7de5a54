"""Search spaces: the shipped ones, their size, random architectures, anchors and fingerprints."""

import itertools
import random
from collections import Counter

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gamsearch.architecture import Architecture
from gamsearch.errors import GamsearchError, SpaceError
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.space.neighbours import random_neighbour
from gamsearch.space.rules import MODULES, RULES, RuleSpec
from gamsearch.space.search_space import SearchSpace, shipped_spaces
from gamsearch.space.selectors import SELECTORS
from gamsearch.space.stock import stock_detectors

SMALL = {"gam-demo", "gam-small"}
OF_THE_NECK = {*SMALL, "gam-neck", "detect-inputs"}
PORTABLE = sorted(set(shipped_spaces()) - {"demo", "planted"})


# ── the shipped spaces ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", shipped_spaces())
def test_every_shipped_space_loads_samples_and_grafts(name: str) -> None:
    space = SearchSpace.load(name)
    rng = random.Random(0)
    for architecture in [*space.anchors(), *(space.sample_random(rng) for _ in range(20))]:
        graft(space.detector, architecture)
        assert space.refusal(architecture) is None
        assert space.decode(space.encode(architecture)) == architecture


def test_the_spaces_that_the_commands_name_are_shipped() -> None:
    assert {"gam", "gam-small", "gam-neck", "gam-backbone", "gam-demo"} <= set(shipped_spaces())


def test_the_default_space_offers_all_blocks_and_rates_where_they_fit() -> None:
    space = SearchSpace.load("gam")
    assert space.sites == (2, 4, 6, 8, 9, 12, 15, 18, 21)
    rates = {site: sorted({dict(p.options)["rate"] for p in found}) for site, found in space.choices.items()}
    assert rates[2] == [4, 8, 16]  # 32 channels: rate 32 would leave one hidden channel
    assert all(rates[site] == [4, 8, 16, 32] for site in space.sites[1:])
    grouped = {dict(p.options)["rate"] for p in space.choices[4] if dict(p.options).get("groups") == 4}
    assert grouped == {4, 8, 16}  # 64 channels: at rate 32 two hidden channels are left, which 4 does not divide


def test_the_small_space_can_be_enumerated() -> None:
    space = SearchSpace.load("gam-small")
    assert 20 <= space.size <= 60
    assert len(list(space.enumerate())) == space.size


@pytest.mark.parametrize("name", PORTABLE)
def test_spaces_written_by_roles_fit_every_stock_detector(name: str) -> None:
    for detector in map(Detector.load, stock_detectors()):
        if name in SMALL and detector.name == "yolov3-tiny":
            continue  # its neck has no P3
        if name in OF_THE_NECK and detector.task.name == "classify":
            continue  # a classifier has no neck
        space = SearchSpace.load(name, detector)
        assert space.objectives == (detector.task.primary, "latency_ms")
        assert space.size > 20 and space.baseline.detector == detector.name
        assert {p.module for found in space.choices.values() for p in found} == {m.name for m in space.modules}
        if not name.startswith("gam"):
            inputs = [a for a in space.anchors() if {p.site for p in a.placements} == set(detector.rows[-1].sources)]
            assert inputs, f"no anchor places a module before each input of the head of {detector.name}"


def test_a_space_is_found_by_path_and_its_detector_can_be_overridden(write) -> None:
    assert SearchSpace.load(write(sites="neck")).sites == (12, 15, 18, 21)
    assert SearchSpace.load(str(write(sites="neck")), Detector.load("yolov8s-p2")).sites == (12, 15, 18, 21, 24, 27)
    assert SearchSpace.load(write(detector=None), Detector.load("yolov8s")).detector.name == "yolov8s"


def test_a_detector_beside_the_space_file_is_found(write) -> None:
    path = write(detector="custom.yaml", sites="stages")
    (path.parent / "custom.yaml").write_text(yaml.safe_dump(Detector.load("yolov8s").yaml))
    assert SearchSpace.load(path).detector.scale == "s"


def test_selectors_and_row_numbers_mix(write) -> None:
    assert SearchSpace.load(write(sites=["neck", 9, "row 1"])).sites == (1, 9, 12, 15, 18, 21)
    assert SearchSpace.load(write(sites=9)).sites == (9,)
    assert SearchSpace.load(write(sites="all", attention={"GAM": {"rate": 4}})).sites == tuple(range(22))
    assert {"backbone", "neck", "stages", "all", "P3", "detect_inputs", "before_sppf"} <= set(SELECTORS)


def test_selectors_in_one_text_intersect_and_find_the_same_role_in_every_detector(write) -> None:
    path = write(sites=["backbone P3", "before-sppf", "backbone-end", "neck P3"])
    expected = {"yolov8n": (4, 8, 9, 15), "yolo11n": (4, 8, 10, 16), "yolov5n": (4, 8, 9, 17)}
    assert {name: SearchSpace.load(path, Detector.load(name)).sites for name in expected} == expected
    assert SearchSpace.load(write(sites="detect-inputs"), Detector.load("yolo11n")).sites == (16, 19, 22)


def test_a_number_that_is_no_block_of_the_detector_is_refused_unless_it_is_meant(write) -> None:
    with pytest.raises(SpaceError, match="row 15 of yolo11n is Concat and not a block; write selectors such as"):
        SearchSpace.load(write(sites=[4, 15]), Detector.load("yolo11n"))
    assert SearchSpace.load(write(sites=[4, "row 15"]), Detector.load("yolo11n")).sites == (4, 15)


def test_selectors_in_rules_stand_for_their_sites() -> None:
    assert SearchSpace.load("gam-demo").rules[1].value == ((6, 9),)
    assert SearchSpace.load("gam-demo", Detector.load("yolo11n")).rules[1].value == ((6, 10),)


# ── size, enumeration, random architectures, anchors, fingerprint ─────────────────────────────────────────────────────


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    sites=st.sets(st.sampled_from([2, 4, 6, 8, 9, 12]), min_size=1, max_size=5).map(sorted),
    most=st.none() | st.integers(1, 4),
    mixed=st.booleans(),
    data=st.data(),
)
def test_size_is_the_length_of_the_enumeration(
    tmp_path_factory, sites: list[int], most: int | None, mixed: bool, data
) -> None:
    pairs = st.lists(st.sampled_from(sites), min_size=2, max_size=3, unique=True)
    groups = data.draw(st.lists(pairs, max_size=2)) if len(sites) > 1 else []
    rules = {**({"max_modules": most} if most else {}), **({"not_together": groups} if groups else {})}
    rules |= {} if mixed else {"same_module": True}
    path = tmp_path_factory.mktemp("space") / "generated.yaml"
    attention = {"GAM": {"rate": [4, 16]}, "Triplet": {}}
    path.write_text(yaml.safe_dump({"detector": "yolov8n", "sites": sites, "attention": attention, "rules": rules}))
    space = SearchSpace.load(path)
    listed = list(space.enumerate())
    assert space.size == len(listed) == len(set(listed)) == len({a.key for a in listed})
    assert listed[0].is_baseline and [len(a.placements) for a in listed] == sorted(len(a.placements) for a in listed)
    allowed = set(listed)
    every = itertools.product(*([None, *space.choices[site]] for site in space.sites))
    for choice in every:
        architecture = Architecture.of("yolov8n", [p for p in choice if p])
        assert (architecture in allowed) == (space.refusal(architecture) is None)


def test_size_counts_modules_at_named_and_other_sites_together(write) -> None:
    """One module at most: the baseline and one rate at each of the four sites."""
    rules = {"max_modules": 1, "not_together": [[4, 6]]}
    assert SearchSpace.load(write(sites=[2, 4, 6, 8], attention={"GAM": {"rate": 4}}, rules=rules)).size == 5


def test_a_rule_takes_sites_in_words_and_rows_of_any_kind(write) -> None:
    rules = {"not_together": [["backbone P4", "detect-inputs", "row 11"]]}
    sites = ["stages", "row 11"]  # a Concat
    space = SearchSpace.load(write(sites=sites, attention={"GAM": {"rate": 16}}, illegal="skip", rules=rules))
    assert space.rules[0].value == ((6, 15, 18, 21, 11),)
    forbidden = Architecture.of("yolov8n", [space.choices[6][0], space.choices[11][0]])
    assert space.refusal(forbidden) == "sites 6 and 11 may not carry modules together (not_together)"


def test_words_in_a_rule_of_modules_are_names_and_no_sites(write) -> None:
    lenient = RuleSpec(lambda modules, value: None, lambda modules, value: None, MODULES)
    with RULES.temporarily("same_module", lenient):
        space = SearchSpace.load(write(sites=[4, 6], attention={"GAM": {"rate": 4}}, rules={"same_module": ["neck"]}))
        assert space.rules[0].value == ("neck",)


def test_a_rule_may_allow_only_one_module_in_an_architecture(write) -> None:
    attention = {"GAM": {"rate": [4, 16]}, "SE": {"rate": 16}, "Triplet": {}}
    space = SearchSpace.load(write(sites=[4, 6, 9], attention=attention, rules={"same_module": True}))
    assert space.size == 1 + (3**3 - 1) + 2 * (2**3 - 1)
    mixed = Architecture.of("yolov8n", [space.choices[4][0], space.choices[6][-1]])
    assert space.refusal(mixed) == "SE and Triplet may not be mixed (same_module)"


def test_the_size_of_the_largest_space_is_counted_and_not_listed(write) -> None:
    space = SearchSpace.load(write(sites="all", attention={"GAM": {"rate": [2, 4, 8]}}))
    assert space.size == 4**22


def test_random_architectures_are_sparse_admissible_and_never_the_baseline() -> None:
    space = SearchSpace.load("gam")
    rng = random.Random(1)
    sampled = [space.sample_random(rng) for _ in range(400)]
    modules = Counter(len(a.placements) for a in sampled)
    assert set(modules) <= {1, 2, 3, 4}
    assert modules[1] + modules[2] > 300 and modules[1] > modules[2]
    assert {p.site for a in sampled for p in a.placements} == set(space.sites)
    again = random.Random(1)
    assert sampled == [space.sample_random(again) for _ in range(400)]


def test_random_architectures_of_one_module_only_have_it_at_several_sites_too() -> None:
    space, rng = SearchSpace.load("detect-inputs"), random.Random(0)
    sampled = [space.sample_random(rng) for _ in range(200)]
    assert sum(len(a.placements) > 1 for a in sampled) > 40
    assert {p.module for a in sampled for p in a.placements} == {m.name for m in space.modules}


def test_a_space_in_which_nothing_is_admissible_names_the_rule_that_refused(write) -> None:
    space = SearchSpace.load(write(rules={"max_modules": 1}))
    strict = RuleSpec(lambda sites, most: "refused" if sites else None, RULES["max_modules"].problem)
    with RULES.temporarily("max_modules", strict):
        expected = r"none of 1000 random architectures was admissible; 'max_modules' refused"
        with pytest.raises(SpaceError, match=expected):
            space.sample_random(random.Random(0))
        with pytest.raises(SpaceError, match="has no admissible neighbour"):
            random_neighbour(space, space.baseline, random.Random(0))


def test_the_anchors_are_the_published_placements() -> None:
    assert [a.label for a in SearchSpace.load("gam").anchors()] == [
        "GAM@15 r4 + GAM@18 r4 + GAM@21 r4",
        "GAM@2 r4",
        "GAM@4 r4",
        "GAM@6 r4",
        "GAM@8 r4",
        "GAM@9 r4",
        "GAM@12 r4 + GAM@15 r4 + GAM@18 r4 + GAM@21 r4",
    ]
    assert [a.label for a in SearchSpace.load("gam-demo").anchors()] == ["GAM@4 r4", "GAM@6 r4", "GAM@9 r4"]


def test_with_several_modules_each_place_has_one_anchor_and_the_modules_take_turns(write) -> None:
    space = SearchSpace.load(write(sites="stages", attention={"GAM": {"rate": [4, 8]}, "SE": {"rate": [16]}}))
    assert [a.placements[0].module for a in space.anchors()] == ["GAM", "SE", "GAM", "SE", "GAM", "SE", "GAM"]


def test_a_module_may_have_sites_of_its_own(write) -> None:
    attention = {"GAM": {"rate": [4]}, "SE": {"rate": [16], "sites": "neck"}}
    space = SearchSpace.load(write(sites=[4, 15], attention=attention))
    assert {site: [p.module for p in found] for site, found in space.choices.items()} == {4: ["GAM"], 15: ["SE", "GAM"]}
    assert all(space.decode(space.encode(a)) == a for a in space.enumerate()) and space.size == 6


def test_anchors_take_the_rate_nearest_to_the_default(write) -> None:
    space = SearchSpace.load(write(attention={"GAM": {"rate": [1, 8, 32]}}))
    assert [a.label for a in space.anchors()] == ["GAM@4 r1", "GAM@6 r1"]


def test_the_fingerprint_depends_on_the_content_and_not_on_the_name(write) -> None:
    space = SearchSpace.load(write())
    same = SearchSpace.load(write(objectives=["map50_95", "latency_ms"]))
    others = [
        SearchSpace.load(write(sites=[4, 8])),
        SearchSpace.load(write(attention={"GAM": {"rate": [4, 8]}})),
        SearchSpace.load(write(rules={"max_modules": 1})),
        SearchSpace.load(write(limits={"params_m": "+20%"})),
        SearchSpace.load(write(), Detector.load("yolov8s")),
        space.with_objectives(["map50", "params_m"]),
    ]
    renamed = write().rename(write().with_name("other.yaml"))
    assert space.fingerprint == same.fingerprint == SearchSpace.load(renamed).fingerprint
    assert len({space.fingerprint, *(o.fingerprint for o in others)}) == 7


@pytest.mark.parametrize(("name", "fingerprint"), [("gam", "951f8a732f42"), ("gam-small", "377f01007858")])
def test_the_fingerprints_on_yolov8n_are_those_of_the_recorded_runs(name: str, fingerprint: str) -> None:
    """If one changes, recorded runs can no longer be resumed or compared with new ones."""
    assert SearchSpace.load(name, Detector.load("yolov8n")).fingerprint == fingerprint


def test_an_objective_that_the_task_does_not_measure_is_refused_with_those_that_it_does() -> None:
    space = SearchSpace.load("gam", Detector.load("yolov8n-seg"))
    with pytest.raises(SpaceError) as error:
        space.with_objectives(["top1", "latency_ms"])
    measured = "mask_map50_95, mask_map50, map50_95, map50, params_m, gflops, latency_ms"
    assert str(error.value).startswith(
        "top1 is not measured in instance segmentation, whose validation yields no 'metrics/accuracy_top1'; "
        f"there are {measured}"
    )
    assert space.with_objectives(["map50_95"]).objectives == ("map50_95",)  # that of the boxes


def test_objectives_can_be_replaced_and_are_checked(write) -> None:
    space = SearchSpace.load(write())
    assert space.objectives == ("map50_95", "latency_ms")
    assert space.with_objectives(["map50", "gflops", "params_m"]).objectives == ("map50", "gflops", "params_m")
    with pytest.raises(GamsearchError, match="there is no metric 'map50_59' \\(did you mean 'map50_95'"):
        space.with_objectives(["map50_59"])

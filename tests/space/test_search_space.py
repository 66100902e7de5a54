"""Search spaces: the shipped ones, the encoding, the sparse prior, and one sentence for each fault in a file."""

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.spec import AttentionSpec
from gamsearch.errors import GamsearchError, SpaceError
from gamsearch.space.detector import Detector, stock_detectors
from gamsearch.space.graft import graft
from gamsearch.space.neighbours import random_neighbour
from gamsearch.space.rules import RULES, RuleSpec
from gamsearch.space.search_space import Limit, SearchSpace, shipped_spaces
from gamsearch.space.selectors import SELECTORS

PORTABLE = ["gam", "gam-backbone", "gam-neck"]


@pytest.fixture
def write(tmp_path: Path):
    """Write a space file from keys over a small valid one; a key set to None is left out."""

    def written(**keys: object) -> Path:
        form = {"detector": "yolov8n", "sites": [4, 6], "attention": {"GAM": {"rate": [4, 16]}}, **keys}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in form.items() if v is not None}))
        return path

    return written


# ── the shipped spaces ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", shipped_spaces())
def test_every_shipped_space_loads_draws_and_grafts(name: str) -> None:
    space = SearchSpace.load(name)
    rng = random.Random(0)
    for architecture in [*space.anchors(), *(space.sample_random(rng) for _ in range(20))]:
        graft(space.detector, architecture)
        assert space.refusal(architecture) is None
        assert space.decode(space.encode(architecture)) == architecture


def test_there_are_the_spaces_that_the_commands_name() -> None:
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
def test_spaces_of_selectors_work_on_every_stock_detector_with_blocks(name: str) -> None:
    for detector in map(Detector.load, stock_detectors()):
        if detector.stage_sites:
            space = SearchSpace.load(name, detector)
            assert space.size > 100 and space.baseline.detector == detector.name


def test_a_space_is_found_by_path_and_its_detector_can_be_overridden(write) -> None:
    assert SearchSpace.load(write(sites="neck")).sites == (12, 15, 18, 21)
    assert SearchSpace.load(str(write(sites="neck")), Detector.load("yolov8s-p2")).sites == (12, 15, 18, 21, 24, 27)
    assert SearchSpace.load(write(detector=None), Detector.load("yolov8s")).detector.name == "yolov8s"


def test_a_detector_beside_the_space_file_is_found(write) -> None:
    path = write(detector="ours.yaml", sites="stages")
    (path.parent / "ours.yaml").write_text(yaml.safe_dump(Detector.load("yolov8s").yaml))
    assert SearchSpace.load(path).detector.scale == "s"


def test_selectors_and_row_numbers_mix(write) -> None:
    assert SearchSpace.load(write(sites=["neck", 9, 1])).sites == (1, 9, 12, 15, 18, 21)
    assert SearchSpace.load(write(sites=9)).sites == (9,)
    assert SearchSpace.load(write(sites="all", attention={"GAM": {"rate": 4}})).sites == tuple(range(22))
    assert set(SELECTORS) == {"backbone", "neck", "stages", "all"}


# ── the encoding ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_parameter_is_always_asked_for_and_strength_goes_from_weak_to_strong(write) -> None:
    space = SearchSpace.load(write(attention={"GAM": {"rate": [4, 16, 8], "groups": [1, 4]}}))
    assert space.parameters == {
        "site4.strength": (0, 3),
        "site4.groups": (0, 1),
        "site6.strength": (0, 3),
        "site6.groups": (0, 1),
    }
    asked: list[tuple[str, int, int]] = []
    nothing = space.sample(lambda *question: asked.append(question) or 0)
    assert nothing.is_baseline and [a[0] for a in asked] == list(space.parameters)
    labels = [
        space.decode({**dict.fromkeys(space.parameters, 0), "site4.strength": strength}).label for strength in range(4)
    ]
    assert labels == ["baseline", "GAM@4 r16", "GAM@4 r8", "GAM@4 r4"]


def test_groups_that_the_channels_do_not_allow_give_way_and_the_architecture_is_canonical(write) -> None:
    space = SearchSpace.load(write(sites=[4], attention={"GAM": {"rate": [4, 32], "groups": [1, 4]}}))
    assert space.decode({"site4.strength": 2, "site4.groups": 1}).label == "GAM@4 r4 g4"
    assert space.decode({"site4.strength": 1, "site4.groups": 1}).label == "GAM@4 r32"
    assert (
        space.decode({"site4.strength": 1, "site4.groups": 0}).key
        == space.decode({"site4.strength": 1, "site4.groups": 1}).key
    )


def test_a_second_module_adds_one_parameter_per_site(write) -> None:
    other = AttentionSpec("TWIN", "", "", "", {"rate": 4}, lambda channels, options: None, strength="rate")
    with CATALOGUE.temporarily("TWIN", other):
        space = SearchSpace.load(write(attention={"GAM": {"rate": [4, 8, 16]}, "TWIN": {"rate": [2]}}))
        assert space.parameters["site4.module"] == (0, 1) and space.parameters["site4.strength"] == (0, 3)
        assert space.size == (1 + 4) ** 2 == len({space.decode(space.encode(a)) for a in space.enumerate()})


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), name=st.sampled_from(["gam", "gam-neck", "gam-small", "gam-demo"]))
def test_what_is_sampled_can_be_encoded_and_means_the_same(data: st.DataObject, name: str) -> None:
    space = SearchSpace.load(name)
    architecture = space.sample(lambda _, low, high: data.draw(st.integers(low, high)))
    answers = space.encode(architecture)
    assert answers.keys() == space.parameters.keys()
    assert all(low <= answers[p] <= high for p, (low, high) in space.parameters.items())
    assert space.decode(answers) == architecture


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture.of("yolov8n", [Placement(9, "GAM", (("rate", 4),))]),
        Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 8),))]),
        Architecture.of("yolov8n", [Placement(4, "GAM", (("groups", 4), ("rate", 4)))]),
        Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),), "branch", (5,))]),
        Architecture.of("yolov8s", [Placement(4, "GAM", (("rate", 4),))]),
        Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),)), Placement(4, "GAM", (("rate", 16),))]),
    ],
)
def test_an_architecture_outside_the_space_has_no_encoding(write, architecture: Architecture) -> None:
    with pytest.raises(SpaceError, match="is not in the space 'mine'"):
        SearchSpace.load(write()).encode(architecture)


def test_under_branch_only_detect_reads_the_attended_map(write) -> None:
    space = SearchSpace.load(write(sites=[15, 18, 21], semantics="branch"))
    by_site = {site: placements[0] for site, placements in space.choices.items()}
    assert (by_site[15].semantics, by_site[15].consumers) == ("branch", (22,))
    assert by_site[21].semantics == "inline"  # Detect is the only reader of row 21: the same architecture, one key
    for architecture in space.enumerate():
        graft(space.detector, architecture)
        assert space.decode(space.encode(architecture)) == architecture


def test_a_preset_sets_the_options_of_a_variant(write) -> None:
    space = SearchSpace.load(write(attention={"GAM": {"preset": "sigmoid_ports", "rate": [4, 8]}}))
    assert dict(space.choices[4][0].options) == {"rate": 8, "channel_gate": "sigmoid", "padding": "zeros"}
    assert list(space.parameters) == ["site4.strength", "site6.strength"]


# ── size, enumeration, draws, neighbours, anchors ───────────────────────────────────────────────────────────────────


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    sites=st.sets(st.sampled_from([2, 4, 6, 8, 9, 12]), min_size=1, max_size=5).map(sorted),
    most=st.none() | st.integers(1, 4),
    data=st.data(),
)
def test_size_is_the_length_of_the_enumeration(tmp_path_factory, sites: list[int], most: int | None, data) -> None:
    pairs = st.lists(st.sampled_from(sites), min_size=2, max_size=3, unique=True)
    groups = data.draw(st.lists(pairs, max_size=2)) if len(sites) > 1 else []
    rules = {**({"max_modules": most} if most else {}), **({"not_together": groups} if groups else {})}
    path = tmp_path_factory.mktemp("space") / "drawn.yaml"
    attention = {"GAM": {"rate": [4, 16], "groups": [1, 4]}}
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


def test_the_size_of_the_largest_space_is_counted_and_not_listed(write) -> None:
    space = SearchSpace.load(write(sites="all", attention={"GAM": {"rate": [2, 4, 8]}}))
    assert space.size == 4**22


def test_random_architectures_are_sparse_admissible_and_never_the_baseline() -> None:
    space = SearchSpace.load("gam")
    rng = random.Random(1)
    drawn = [space.sample_random(rng) for _ in range(400)]
    modules = Counter(len(a.placements) for a in drawn)
    assert set(modules) <= {1, 2, 3, 4}
    assert modules[1] + modules[2] > 300 and modules[1] > modules[2]
    assert {p.site for a in drawn for p in a.placements} == set(space.sites)
    again = random.Random(1)
    assert drawn == [space.sample_random(again) for _ in range(400)]


def test_a_space_in_which_nothing_is_admissible_names_the_rule_that_refused(write) -> None:
    space = SearchSpace.load(write(rules={"max_modules": 1}))
    strict = RuleSpec(lambda sites, most: "refused" if sites else None, RULES["max_modules"].problem)
    with RULES.temporarily("max_modules", strict):
        expected = r"none of 1000 random architectures was admissible; 'max_modules' refused"
        with pytest.raises(SpaceError, match=expected):
            space.sample_random(random.Random(0))
        with pytest.raises(SpaceError, match="has no admissible neighbour"):
            random_neighbour(space, space.baseline, random.Random(0))


def test_a_neighbour_differs_at_one_site_and_is_admissible() -> None:
    space = SearchSpace.load("gam")
    rng = random.Random(2)
    architecture, sizes = space.baseline, Counter()
    for _ in range(200):
        neighbour = random_neighbour(space, architecture, rng)
        assert len({p.site for p in set(neighbour.placements) ^ set(architecture.placements)}) == 1
        assert space.refusal(neighbour) is None and not neighbour.is_baseline
        sizes[len(neighbour.placements) - len(architecture.placements)] += 1
        architecture = neighbour
    assert min(sizes[-1], sizes[0], sizes[1]) > 5


def test_neighbours_change_what_is_there_as_often_as_they_add_to_it() -> None:
    space = SearchSpace.load("gam")
    single = space.anchors()[0]
    rng = random.Random(3)
    modules = Counter(len(random_neighbour(space, single, rng).placements) for _ in range(200))
    assert set(modules) == {1, 2} and min(modules.values()) > 60


def test_the_anchors_are_the_published_hand_placements() -> None:
    assert [a.label for a in SearchSpace.load("gam").anchors()] == [
        "GAM@2 r4",
        "GAM@4 r4",
        "GAM@6 r4",
        "GAM@8 r4",
        "GAM@9 r4",
        "GAM@12 r4 + GAM@15 r4 + GAM@18 r4 + GAM@21 r4",
    ]
    assert [a.label for a in SearchSpace.load("gam-demo").anchors()] == ["GAM@4 r4", "GAM@6 r4", "GAM@9 r4"]


def test_anchors_take_the_rate_nearest_to_the_default(write) -> None:
    space = SearchSpace.load(write(attention={"GAM": {"rate": [1, 8, 32]}}))
    assert [a.label for a in space.anchors()] == ["GAM@4 r1", "GAM@6 r1"]


def test_the_fingerprint_changes_with_what_is_asked_and_not_with_the_name(write) -> None:
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


def test_objectives_can_be_replaced_and_are_checked(write) -> None:
    space = SearchSpace.load(write())
    assert space.objectives == ("map50_95", "latency_ms")
    assert space.with_objectives(["map50", "gflops", "params_m"]).objectives == ("map50", "gflops", "params_m")
    with pytest.raises(GamsearchError, match="there is no metric 'map50_59' \\(did you mean 'map50_95'"):
        space.with_objectives(["map50_59"])


@pytest.mark.parametrize(
    ("text", "baseline", "bound"), [("+20%", 3.0, 3.6), ("+0%", 3.0, 3.0), ("4.5", 3.0, 4.5), ("12", 99.0, 12.0)]
)
def test_a_limit_is_relative_to_the_baseline_or_absolute(text: str, baseline: float, bound: float) -> None:
    assert Limit("params_m", text).bound(baseline) == pytest.approx(bound)


# ── faults in a file: one sentence that names file and key ──────────────────────────────────────────────────────────

FAULTS = [
    ({"site": 4}, "key 'site': unknown (did you mean 'sites'?)"),
    ({"detector": "yolov8q"}, "key 'detector': there is no detector 'yolov8q' (did you mean"),
    ({"detector": 8}, "key 'detector': must be a name"),
    ({"detector": None}, "key 'detector': must be a name"),
    ({"sites": 22}, "key 'sites': site 22 is Detect, which nothing can follow; yolov8n offers 2, 4, 6, 8, 9, 12, 15,"),
    ({"sites": [4, 77]}, "key 'sites': site 77 does not exist"),
    ({"sites": "bakbone"}, "key 'sites': 'bakbone' is neither a row number nor a selector (did you mean 'backbone'?)"),
    ({"sites": []}, "key 'sites': at least one site must be given"),
    ({"sites": [4, 4]}, "key 'sites': 4 is given twice"),
    ({"sites": [True]}, "key 'sites': True is neither a row number nor a selector"),
    ({"sites": {"a": 1}}, "key 'sites': {'a': 1} is neither a row number nor a selector"),
    ({"semantics": "outline"}, "key 'semantics': must be inline or branch, not 'outline' (did you mean 'inline'?)"),
    ({"semantics": "branch"}, "key 'sites': with semantics branch only Detect reads the attended map"),
    ({"attention": None}, "key 'attention': must map module names to their options"),
    ({"attention": ["GAM"]}, "key 'attention': must map module names to their options"),
    ({"attention": {"GAN": {}}}, "key 'attention': there is no attention module 'GAN' (did you mean 'GAM'?)"),
    ({"attention": {"GAM": [4]}}, "key 'attention.GAM': must map options to lists of values"),
    ({"attention": {"GAM": {"rates": [4]}}}, "key 'attention.GAM.rates': GAM has no option 'rates' (did you mean 'ra"),
    ({"attention": {"GAM": {"rate": []}}}, "key 'attention.GAM.rate': must offer at least one value"),
    ({"attention": {"GAM": {"rate": [4, 4]}}}, "key 'attention.GAM.rate': 4 is given twice"),
    ({"attention": {"GAM": {"rate": ["4"]}}}, "key 'attention.GAM.rate': GAM option 'rate' must be of type int"),
    ({"attention": {"GAM": {"rate": [[4]]}}}, "key 'attention.GAM.rate': GAM option 'rate' must be of type int"),
    ({"attention": {"GAM": {"rate": [4, 0]}}}, "key 'attention.GAM.rate': 0 cannot be built at site 4 of yolov8n"),
    (
        {"attention": {"GAM": {"rate": [4, 64]}}, "sites": [2, 6]},
        "key 'attention.GAM.rate': 64 cannot be built at site 2 of yolov8n: rate 64 is larger than the 32 channels",
    ),
    (
        {"attention": {"GAM": {"rate": [64]}}, "sites": [2, 6], "illegal": "skip"},
        "key 'attention.GAM.rate': 64 cannot be built at site 2 of yolov8n",
    ),
    (
        {"attention": {"GAM": {"rate": [4, 64]}}, "sites": [2], "illegal": "skip"},
        "key 'attention.GAM.rate': 64 cannot be built at site 2 of yolov8n",
    ),
    ({"illegal": "drop"}, "key 'illegal': must be refuse or skip, not 'drop'"),
    ({"attention": {"GAM": {"rate": 4, "groups": [1, 7]}}}, "key 'attention.GAM.groups': 7 can be built at none of"),
    (
        {"attention": {"GAM": {"padding": "reflect"}}},
        "key 'attention.GAM.padding': GAM option 'padding' must be one of",
    ),
    ({"attention": {"GAM": {"preset": "author"}}}, "key 'attention.GAM.preset': must be one of authors, grouped_ports"),
    ({"attention": {"GAM": {"preset": ["authors"]}}}, "key 'attention.GAM.preset': must be one of"),
    (
        {"attention": {"GAM": {"preset": "grouped_ports", "groups": [1, 4]}}},
        "key 'attention.GAM.preset': 'grouped_ports' sets groups to 4, and groups is given as well",
    ),
    ({"rules": {"max_module": 2}}, "key 'rules.max_module': there is no rule 'max_module' (did you mean 'max_modules'"),
    ({"rules": {"max_modules": 0}}, "key 'rules.max_modules': max_modules must be a whole number of at least 1, not 0"),
    ({"rules": {"max_modules": -1}}, "key 'rules.max_modules': max_modules must be a whole number of at least 1"),
    ({"rules": {"max_modules": "2"}}, "key 'rules.max_modules': max_modules must be a whole number"),
    (
        {"rules": {"not_together": [[4, 9]]}},
        "key 'rules.not_together': not_together names site 9, which is not offered",
    ),
    ({"rules": {"not_together": [4, 6]}}, "key 'rules.not_together': not_together must be a list of lists"),
    ({"rules": {"not_together": [[4, 4]]}}, "key 'rules.not_together': not_together must be a list of lists of two"),
    ({"rules": [2]}, "key 'rules': must be a mapping such as {max_modules: 4}"),
    ({"limits": {"params": "+20%"}}, "key 'limits.params': there is no metric 'params' (did you mean 'params_m'?)"),
    ({"limits": {"map50": 0.5}}, "key 'limits.map50': map50 is known only after training and cannot be limited"),
    ({"limits": {"params_m": "20%"}}, "key 'limits.params_m': must be relative to the baseline such as +20% or a num"),
    ({"limits": {"params_m": "-20%"}}, "key 'limits.params_m': must be relative to the baseline such as +20%"),
    ({"limits": {"params_m": 0}}, "key 'limits.params_m': must be relative"),
    ({"limits": {"params_m": True}}, "key 'limits.params_m': must be relative"),
    ({"limits": {"params_m": ".nan"}}, "key 'limits.params_m': must be relative"),
    ({"limits": ["params_m"]}, "key 'limits': must be a mapping"),
    ({"objectives": []}, "key 'objectives': at least one metric must be given"),
    ({"objectives": ["map50", "map50"]}, "key 'objectives': map50 is given twice"),
    ({"objectives": ["latency"]}, "key 'objectives': there is no metric 'latency' (did you mean 'latency_ms'?)"),
    ({"objectives": [{"map50": 1}]}, "key 'objectives': there is no metric"),
]


@pytest.mark.parametrize(("keys", "sentence"), FAULTS, ids=[f"{i}-{next(iter(k))}" for i, (k, _) in enumerate(FAULTS)])
def test_a_fault_in_a_space_file_is_one_sentence_with_file_and_key(write, keys: dict, sentence: str) -> None:
    path = write(**keys)
    with pytest.raises(SpaceError) as error:
        SearchSpace.load(path)
    assert str(error.value).startswith(f"{path}, {sentence}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- 1\n", "must hold a mapping with the keys detector, sites"),
        ("", "must hold a mapping with the keys"),
        ("sites: [4\n", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "cannot be read as YAML"),
    ],
)
def test_a_file_that_is_no_space_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SpaceError) as error:
        SearchSpace.load(path)
    assert str(error.value).startswith(str(path)) and sentence in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_space_suggests_the_nearest_shipped_one() -> None:
    with pytest.raises(SpaceError, match=r"no search space 'gam-smal' \(did you mean 'gam-small'\?\)"):
        SearchSpace.load("gam-smal")
    with pytest.raises(SpaceError, match="no search space 'nowhere/gam.yaml'"):
        SearchSpace.load("nowhere/gam.yaml")

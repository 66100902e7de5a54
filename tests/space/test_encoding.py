"""Architectures as ordinal parameters: the order of strengths, canonical decoding, and what has no encoding."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.spec import AttentionSpec
from gamsearch.errors import SpaceError
from gamsearch.runs.manifest import write_yaml
from gamsearch.runs.space_content import recorded_content, space_content
from gamsearch.space.graft import graft
from gamsearch.space.neighbours import neighbours
from gamsearch.space.search_space import SearchSpace


def test_every_parameter_is_always_chosen_and_strength_goes_from_weak_to_strong(write) -> None:
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


def test_groups_that_the_channels_do_not_allow_are_replaced_and_the_architecture_is_canonical(write) -> None:
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


def _as_wide(channels, options):
    return "WIDE", {"rate": 2 * options["rate"]}


@pytest.fixture
def rivals() -> Iterator[dict[str, object]]:
    """The `attention:` of a space with options of one name, a module without a strength, and one equal to another."""
    wide = AttentionSpec("WIDE", "", "", "", {"rate": 4, "groups": 1}, lambda c, o: None, strength="rate")
    bare = AttentionSpec("BARE", "", "", "", {}, lambda c, o: None)
    twin = AttentionSpec(
        "TWIN",
        "",
        "",
        "",
        {"rate": 4},
        lambda c, o: None,
        "rate",
        equals=lambda c, o: ("WIDE", {"rate": 2 * o["rate"]}),
    )
    with (
        CATALOGUE.temporarily("WIDE", wide),
        CATALOGUE.temporarily("BARE", bare),
        CATALOGUE.temporarily("TWIN", twin),
    ):
        yield {
            "GAM": {"rate": [4, 8, 16], "groups": [1, 4]},
            "WIDE": {"rate": [8, 16], "groups": [1, 2]},
            "BARE": {},
            "TWIN": {"rate": [4, 16]},
        }


def test_options_of_several_modules_have_a_parameter_each_and_labels_show_only_their_own(write, rivals) -> None:
    space = SearchSpace.load(write(sites=[6], attention=rivals))
    assert list(space.parameters) == ["site6.strength", "site6.module", "site6.GAM.groups", "site6.WIDE.groups"]
    nothing = dict.fromkeys(space.parameters, 0)  # the file lists the modules by name, so BARE is the first
    assert [space.decode({**nothing, "site6.strength": level}).label for level in (1, 3)] == ["BARE@6", "BARE@6"]


def test_equal_modules_of_two_names_are_one_architecture(write, rivals) -> None:
    space = SearchSpace.load(write(sites=[6], attention=rivals))
    labels = [p.label for p in space.choices[6]]
    assert "WIDE@6 r8" in labels and "WIDE@6 r32" in labels and not any("TWIN" in label for label in labels)
    assert space.size == 1 + 6 + 4 + 1 + 1 == len({a.key for a in space.enumerate()})


def test_options_that_make_one_module_at_a_width_are_one_architecture(write) -> None:
    """CoordAtt has at least 8 hidden channels; ECA's kernel 0 is 5 at 128 channels and 3 at 64."""
    attention = {"CoordAtt": {"rate": [4, 16, 32]}, "ECA": {"kernel": [0, 3, 5]}}
    space = SearchSpace.load(write(sites=[4, 6], attention=attention))
    labels = {site: [p.label for p in found] for site, found in space.choices.items()}
    assert labels[4] == ["ECA@4", "ECA@4 kernel=5", "CoordAtt@4 r8", "CoordAtt@4 r4"]
    assert labels[6] == ["ECA@6", "ECA@6 kernel=3", "CoordAtt@6 r16", "CoordAtt@6 r4"]
    assert space.size == 25 == len({space.decode(space.encode(a)).key for a in space.enumerate()})


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_sampled_from_several_modules_can_be_encoded(data: st.DataObject, write, rivals) -> None:
    space = SearchSpace.load(write(sites=[2, 6, 15], attention=rivals, illegal="skip"))
    architecture = space.sample(lambda _, low, high: data.draw(st.integers(low, high)))
    values = space.encode(architecture)
    assert all(low <= values[p] <= high for p, (low, high) in space.parameters.items())
    assert space.decode(values) == architecture
    assert all(p in space.choices[p.site] for p in architecture.placements)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), name=st.sampled_from(["gam", "gam-neck", "gam-small", "gam-demo"]))
def test_what_is_sampled_can_be_encoded_and_decodes_to_the_same(data: st.DataObject, name: str) -> None:
    space = SearchSpace.load(name)
    architecture = space.sample(lambda _, low, high: data.draw(st.integers(low, high)))
    values = space.encode(architecture)
    assert values.keys() == space.parameters.keys()
    assert all(low <= values[p] <= high for p, (low, high) in space.parameters.items())
    assert space.decode(values) == architecture


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


def test_a_space_may_mix_attention_inside_and_after_its_blocks(write, tmp_path) -> None:
    """The levels of a module inside a block are those that the width of its bottlenecks allows."""
    attention = {"GAM": {"rate": [4, 16], "groups": [1, 2]}}
    space = SearchSpace.load(write(sites=[2, 9], semantics=["inline", "inner"], attention=attention, illegal="skip"))
    labels = {site: [p.label for p in found] for site, found in space.choices.items()}
    after = ["GAM@2 r16", "GAM@2 r16 g2", "GAM@2 r4", "GAM@2 r4 g2"]
    assert labels[2] == [*after, "GAM@2 r4 inner", "GAM@2 r4 g2 inner"] and len(labels[9]) == 4
    assert space.parameters["site2.module"] == (0, 1) and "site9.module" not in space.parameters
    assert space.size == 7 * 5 == len({space.decode(space.encode(a)).key for a in space.enumerate()})
    inside = Architecture.of("yolov8n", [space.choices[2][-1]])
    assert {a.label for a in neighbours(space, inside)} >= {"GAM@2 r4 g2", "GAM@2 r4 inner"}
    file = tmp_path / "again.yaml"
    write_yaml(tmp_path / "yolov8n.yaml", space.detector.yaml)
    write_yaml(file, recorded_content(space_content(space)))
    assert SearchSpace.load(file).choices == space.choices


def test_a_space_inside_blocks_has_all_blocks_with_bottlenecks_for_sites(write) -> None:
    space = SearchSpace.load(write(sites=None, semantics="inner", attention={"SE": {"rate": [4]}}))
    assert space.sites == (2, 4, 6, 8, 12, 15, 18, 21)
    assert {p.semantics for found in space.choices.values() for p in found} == {"inner"}
    everywhere = SearchSpace.load(write(semantics=["branch", "inner"], sites=[8, 15], attention={"SE": {"rate": [4]}}))
    assert [p.label for p in everywhere.choices[8]] == ["SE@8 r4 inner"]
    assert [p.label for p in everywhere.choices[15]] == ["SE@15 r4 branch→22", "SE@15 r4 inner"]


def test_a_preset_sets_the_options_of_a_variant(write) -> None:
    space = SearchSpace.load(write(attention={"GAM": {"preset": "sigmoid_ports", "rate": [4, 8]}}))
    assert dict(space.choices[4][0].options) == {"rate": 8, "channel_gate": "sigmoid", "padding": "zeros"}
    assert list(space.parameters) == ["site4.strength", "site6.strength"]

"""Grafting against real Ultralytics models: with attention replaced by identity, the model is the stock model."""

import copy
import functools
import importlib
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import SpaceError
from gamsearch.models.identity import placed_modules
from gamsearch.space.detector import Detector
from gamsearch.space.graft import Graft, graft

GAM4 = (("rate", 4),)
VARIANTS = ("", "-p2", "-p6", "-ghost", "-ghost-p2", "-ghost-p6")


class StandIn(torch.nn.Module):
    """Takes GAM's arguments and returns its input times `factor`; checks that the given width is that of the input."""

    factor = 1.0

    def __init__(self, channels: int, *options: object) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1] == self.channels
        return x if self.factor == 1.0 else x * self.factor


@pytest.fixture(autouse=True)
def stand_in() -> Iterator[None]:
    """Make Ultralytics resolve the row name GAM to the stand-in for one test."""
    tasks = importlib.import_module("ultralytics.nn.tasks")
    before = tasks.__dict__.get("GAM")
    tasks.GAM = StandIn
    yield
    if before is None:
        del tasks.GAM
    else:
        tasks.GAM = before


def build(yaml: dict) -> torch.nn.Module:
    from ultralytics.nn.tasks import DetectionModel

    return DetectionModel(copy.deepcopy({**yaml, "nc": 2}), verbose=False)


def picture(imgsz: int) -> torch.Tensor:
    return torch.rand(1, 3, imgsz, imgsz, generator=torch.Generator().manual_seed(1))


@functools.lru_cache(maxsize=8)
def stock(name: str) -> tuple[Detector, torch.nn.Module, torch.Tensor, torch.Tensor]:
    """The stock detector, its model in evaluation mode, a picture and its output.

    Batch norms take their statistics from one pass first, or the signal would fade before it reaches the head.
    """
    detector = Detector.load(name)
    torch.manual_seed(0)
    model = build(detector.yaml)
    x = picture(2 * max(detector.strides))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.cat([x, x.flip(3), 1 - x]))
        return detector, model.eval(), x, model.eval()(x)[0]


def grafted_model(name: str, architecture: Architecture) -> tuple[torch.nn.Module, Graft]:
    """The grafted model with all weights of the stock model copied over the row map, row by row and strictly."""
    detector, model, _, _ = stock(name)
    result = graft(detector, architecture)
    candidate = build(result.yaml)
    for before, after in result.row_map.items():
        candidate.model[after].load_state_dict(model.model[before].state_dict())
    return candidate.eval(), result


@st.composite
def placements(draw: st.DrawFn, detector: Detector) -> list[Placement]:
    """Any subset of all sites, each inline, read by any of its readers alone, or inside the block of the site."""
    chosen = []
    for site in draw(st.sets(st.sampled_from(detector.sites), max_size=len(detector.sites))):
        inner = detector.rows[site].inner > 0 and draw(st.booleans())
        consumers = set() if inner else draw(st.sets(st.sampled_from(detector.readers(site))))
        semantics = "inner" if inner else "branch" if consumers else "inline"
        chosen.append(Placement(site, "GAM", (("rate", 4),), semantics, tuple(consumers)))
    return chosen


def assert_same_as_stock(name: str, chosen: list[Placement]) -> None:
    detector, model, x, expected = stock(name)
    candidate, result = grafted_model(name, Architecture.of(name, chosen))
    assert candidate.stride.tolist() == model.stride.tolist() == list(detector.strides)
    assert len(candidate.model) == len(model.model) + sum(p.semantics != "inner" for p in chosen)
    for before, after in result.row_map.items():
        copied, original = candidate.model[after], model.model[before]
        assert (copied.type, copied.np) == (original.type, original.np)
    modules = placed_modules(candidate, result.placed, Architecture.of(name, chosen))
    assert {placement: type(module) for placement, module in modules.items()} == dict.fromkeys(chosen, StandIn)
    with torch.no_grad():
        assert torch.equal(candidate(x)[0], expected)


@settings(max_examples=18, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data(), variant=st.sampled_from(VARIANTS))
def test_with_identity_as_attention_any_graft_of_any_yolov8n_is_the_stock_model(
    data: st.DataObject, variant: str
) -> None:
    name = f"yolov8n{variant}"
    assert_same_as_stock(name, data.draw(placements(Detector.load(name))))


@pytest.mark.parametrize("variant", VARIANTS)
def test_with_attention_after_every_row_every_yolov8n_is_the_stock_model(variant: str) -> None:
    detector = Detector.load(f"yolov8n{variant}")
    assert_same_as_stock(detector.name, [Placement(s, "GAM", (("rate", 4),)) for s in detector.sites])


FAMILIES = ("yolov3-tiny", "yolov5n", "yolov6n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n")


@pytest.mark.parametrize("name", ["yolov8s", "yolov8m", "yolov8l", "yolov8x", *FAMILIES])
def test_other_scales_and_families_graft_at_every_site_with_all_semantics_in_turn(name: str) -> None:
    detector = Detector.load(name)
    blocks = [s for s in detector.sites if detector.rows[s].inner]
    others = [s for s in detector.sites if s not in blocks[::2]]
    chosen = [Placement(s, "GAM", GAM4, "inner") for s in blocks[::2]]
    chosen += [Placement(s, "GAM", GAM4) for s in others[::2]]
    chosen += [Placement(s, "GAM", GAM4, "branch", detector.readers(s)[-1:]) for s in others[1::2]]
    assert_same_as_stock(name, chosen)


@pytest.mark.parametrize("site", [4, 6, 9, 12, 15, 18])
def test_branch_changes_what_its_consumers_read_and_nothing_else(site: int) -> None:
    """The factor of the stand-in appears at the consumers' inputs; other readers see the raw map."""
    detector, _, x, _ = stock("yolov8n")
    consumers = detector.readers(site)[-1:]
    arch = Architecture.of("yolov8n", [Placement(site, "GAM", (("rate", 4),), "branch", consumers)])
    candidate, result = grafted_model("yolov8n", arch)
    raw, attended = result.row_map[site], result.placed[site]
    read = {r: absolute(candidate.model[result.row_map[r]]) for r in detector.readers(site)}
    for reader, sources in read.items():
        assert (attended in sources) == (reader in consumers)
        assert (raw in sources) == (reader not in consumers)
    StandIn.factor = 2.0
    try:
        with torch.no_grad():
            assert not torch.equal(candidate(x)[0], stock("yolov8n")[3])
    finally:
        StandIn.factor = 1.0


def absolute(row: torch.nn.Module) -> list[int]:
    return [row.i + f if f < 0 else f for f in (row.f if isinstance(row.f, list) else [row.f])]


def test_inner_changes_what_the_block_joins_after_its_last_bottleneck_and_no_row() -> None:
    detector, _, x, expected = stock("yolov8n")
    result = graft(detector, Architecture.of("yolov8n", [Placement(4, "GAM", GAM4, "inner")]))
    assert result.yaml["backbone"][4] == [-1, 6, "InnerAttention", ["C2f", [256, True], "GAM", [4]]]
    assert [row for row in result.yaml["backbone"] if row[2] != "InnerAttention"] == [
        row for row in detector.yaml["backbone"] if row != [-1, 6, "C2f", [256, True]]
    ]
    candidate, _ = grafted_model("yolov8n", Architecture.of("yolov8n", [Placement(4, "GAM", GAM4, "inner")]))
    block, given = candidate.model[4], torch.rand(1, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    StandIn.factor = 2.0
    try:
        with torch.no_grad():
            maps = list(block.cv1(given).chunk(2, 1))
            maps += [first := block.m.get_submodule("0")(maps[1]), 2.0 * block.m.get_submodule("1")(first)]
            assert torch.equal(block(given), block.cv2(torch.cat(maps, 1)))
            assert not torch.equal(candidate(x)[0], expected)
    finally:
        StandIn.factor = 1.0


def test_inline_sends_every_reader_through_the_attention() -> None:
    result = graft(Detector.load("yolov8n"), Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 8),))]))
    rows = result.yaml["backbone"] + result.yaml["head"]
    assert rows[5] == [-1, 1, "GAM", ["c2", 8]]
    assert rows[6][0] == -1 and rows[result.row_map[14]][0] == [-1, 5]
    assert result.placed == {4: 5} and result.row_map[22] == 23
    assert len(result.yaml["backbone"]) == 11


def test_branch_makes_the_next_row_read_the_raw_map_by_number() -> None:
    placement = Placement(15, "GAM", (("rate", 4),), "branch", (22,))
    result = graft(Detector.load("yolov8n"), Architecture.of("yolov8n", [placement]))
    rows = result.yaml["backbone"] + result.yaml["head"]
    assert rows[17][0] == 15  # the Conv after site 15, formerly -1
    assert rows[23][0] == [16, 19, 22]


def test_attention_at_the_last_backbone_row_stays_in_the_backbone() -> None:
    result = graft(Detector.load("yolov8n"), Architecture.of("yolov8n", [Placement(9, "GAM", (("rate", 4),))]))
    assert result.yaml["backbone"][-1][2] == "GAM" and result.yaml["head"][0][2] == "nn.Upsample"


def test_explicit_widths_are_the_scaled_ones() -> None:
    arch = Architecture.of("yolov8m", [Placement(9, "GAM", (("rate", 4), ("groups", 4)))])
    assert graft(Detector.load("yolov8m"), arch, explicit_widths=True).yaml["backbone"][10] == [
        -1, 1, "GAM", [576, 4, 4],
    ]  # fmt: skip


def test_nothing_passed_in_is_changed_and_unknown_keys_survive() -> None:
    detector = Detector.load("yolo26n")
    before = copy.deepcopy(detector.yaml)
    result = graft(detector, Architecture.of("yolo26n", [Placement(4, "GAM", (("rate", 4),))]))
    result.yaml["backbone"][0][3][0] = 8
    result.yaml["scales"].clear()
    assert detector.yaml == before
    assert (result.yaml["end2end"], result.yaml["reg_max"], result.yaml["scale"]) == (True, 1, "n")


@pytest.mark.parametrize("name", ["yolov8n", "yolov3", "yolov9e"])
def test_the_baseline_graft_reads_the_same_rows(name: str) -> None:
    detector = Detector.load(name)
    result = graft(detector, Architecture.of(name))
    again = Detector.from_yaml(name, result.yaml)
    assert again.rows == detector.rows and result.placed == {}


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        (
            [Placement(22, "GAM", GAM4)],
            "site 22 is Detect, which nothing can follow; yolov8n offers 2, 4, 6, 8, 9, 12, 15, 18, 21",
        ),
        ([Placement(4, "GAM", GAM4), Placement(4, "GAM", (("rate", 8),))], "site 4 has 2 placements; it can have one"),
        ([Placement(4, "GAM", GAM4, "branch", (22,))], "site 4: consumers 22 do not read it; in yolov8n rows 5, 14 do"),
        ([Placement(4, "GAM", GAM4, "branch")], "site 4: branch needs the rows that read the attended map"),
        ([Placement(4, "GAM", GAM4, "inline", (5,))], "site 4: branch needs the rows"),
        (
            [Placement(9, "GAM", GAM4, "inner")],
            "yolov8n: row 9 is SPPF, which has no bottlenecks that attention inside it could follow; "
            "it has them in rows 2, 4, 6, 8, 12, 15, 18, 21",
        ),
        (
            [Placement(2, "GAM", (("rate", 32),), "inner")],
            "inside site 2 of yolov8n: GAM: rate 32 is larger than the 16",
        ),
        ([Placement(4, "GAM", GAM4, "sideways")], "semantics must be one of inline, branch, inner, not 'sideways'"),
        ([Placement(2, "GAM", (("rate", 64),))], "site 2 of yolov8n: GAM: rate 64 is larger than the 32 channels"),
        ([Placement(2, "GAN", GAM4)], "there is no attention module 'GAN' (did you mean 'GAM'?)"),
        ([Placement(2, "GAM", (("rat", 4),))], "site 2 of yolov8n: GAM has no option 'rat' (did you mean 'rate'?)"),
    ],
)
def test_a_placement_that_cannot_be_made_is_refused_in_one_sentence(chosen: list[Placement], sentence: str) -> None:
    with pytest.raises(SpaceError) as error:
        graft(Detector.load("yolov8n"), Architecture.of("yolov8n", chosen))
    assert sentence in str(error.value)


def test_an_architecture_of_another_detector_is_refused() -> None:
    with pytest.raises(SpaceError, match="is for yolov8s and cannot be grafted on yolov8n"):
        graft(Detector.load("yolov8n"), Architecture.of("yolov8s"))

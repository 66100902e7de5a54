"""Model YAMLs as people publish them, and what is made of them."""

import random
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.paths import ROOT

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import ModelError, SpaceError
from gamsearch.space.detector import Detector
from gamsearch.space.encoding import canonical_module
from gamsearch.space.graft import graft
from gamsearch.space.imported import detector_of, read_imported

EXAMPLES = ROOT / "examples" / "import"
PORTS = "r4 g4 padding=zeros shuffle=True"

PUBLISHED = [  # what a row says (name, arguments after the channels), and the module and options that it means
    ("CBAM", [7], "CBAM", {"kernel": 7}),
    ("CBAM", [3], "CBAM", {"kernel": 3}),
    ("CBAM", [], "CBAM", {}),
    ("CBAM", [8], "CBAM", {"rate": 8}),
    ("CBAMBlock", [16, 7], "CBAM", {"rate": 16, "kernel": 7}),
    ("GAM_Attention", [], "GAM", {"rate": 4, "groups": 4, "shuffle": True, "padding": "zeros"}),
    ("GAMAttention", [True, 4], "GAM", {"rate": 4, "groups": 4, "shuffle": True, "padding": "zeros"}),
    ("GAM_Attention", [False, 8], "GAM", {"rate": 8, "padding": "zeros"}),
    ("GAM", [], "GAM", {}),
    ("GAM", [8], "GAM", {"rate": 8}),
    ("EMA", [], "EMA", {"factor": 8}),
    ("EMA", [4], "EMA", {"factor": 4}),
    ("SEAttention", [], "SE", {"rate": 16}),
    ("SE", [8], "SE", {"rate": 8}),
    ("ECAAttention", [], "ECA", {"kernel": 3}),
    ("eca_layer", [5], "ECA", {"kernel": 5}),
    ("SimAM", [], "SimAM", {}),
    ("SimAM", ["1e-3"], "SimAM", {"e_lambda": 1e-3}),
    ("CoordAtt", [], "CoordAtt", {"rate": 32}),
    ("CA", [16], "CoordAtt", {"rate": 16}),
    ("ShuffleAttention", [16, 8], "ShuffleAttention", {"groups": 8}),
    ("TripletAttention", [], "Triplet", {}),
    ("NAMAttention", [], "NAM", {}),
    ("SELayerV2", [], "SENetV2", {"bias": False}),
    ("LSKA", [11], "LSKA", {"kernel": 11}),
]


def written(tmp_path: Path, content: dict, name: str = "yolov8n-mine.yaml") -> Path:
    path = tmp_path / name
    path.write_text(yaml.safe_dump(content))
    return path


def edited(tmp_path: Path, *changes: tuple[str, str], of: str = "yolov8n-cbam.yaml") -> Path:
    text = (EXAMPLES / of).read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (tmp_path / of).write_text(text)
    return tmp_path / of


@pytest.mark.parametrize(
    ("name", "detector", "label"),
    [
        ("yolov8n-cbam", "yolov8n", "CBAM@2 r16 + CBAM@4 r16 + CBAM@6 r16 + CBAM@8 r16"),
        ("yolov8-gam", "yolov8n", f"GAM@12 {PORTS} branch→13 + GAM@15 {PORTS} + GAM@18 {PORTS} + GAM@21 {PORTS}"),
        ("yolov8n-ema", "yolov8n", "EMA@8 factor=8"),
        ("yolov8n-se-eca", "yolov8n", "SE@9 r16 + ECA@15"),
        ("yolov8n-gam-detect", "yolov8n", f"GAM@15 {PORTS} branch→22 + GAM@18 {PORTS} branch→22 + GAM@21 {PORTS}"),
        ("yolov8n-p2-ca", "yolov8n-p2", "CoordAtt@18 r4"),
    ],
)
def test_the_published_forms_are_named_as_placements(name: str, detector: str, label: str) -> None:
    path = EXAMPLES / f"{name}.yaml"
    assert read_imported(path, Detector.load(detector)).architecture.label == label
    assert detector_of(path).name == detector


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_ultralytics_builds_the_same_layers_from_a_file_and_from_the_graft_of_its_placements(path: Path) -> None:
    """The layers of the file, with every name of attention replaced by the row of the catalogue."""
    detector = detector_of(path)
    grafted = graft(detector, read_imported(path, detector).architecture)
    rows = [*grafted.yaml["backbone"], *grafted.yaml["head"]]
    content = yaml.safe_load(path.read_text())
    theirs = [*content["backbone"], *content["head"]]
    attended = set(grafted.placed.values())
    assert len(rows) == len(theirs)
    stock = [row[1:] for number, row in enumerate(rows) if number not in attended]
    assert [row[1:] for row in theirs if row[2] in ("Conv", "C2f", "SPPF", "Concat", "nn.Upsample", "Detect")] == stock


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9), name=st.sampled_from(["yolov8n", "yolov8s-p2", "yolo11n", "yolov5n", "yolov10n"]))
def test_a_random_architecture_as_people_would_publish_it_is_imported_as_itself(
    seed: int, name: str, tmp_path: Path
) -> None:
    rng, detector = random.Random(seed), Detector.load(name)
    rows = {}
    placements = []
    for site in rng.sample(detector.sites, rng.randint(1, 4)):
        channels, readers = detector.rows[site].channels, list(detector.readers(site))
        word, arguments, module, options = rng.choice(PUBLISHED)
        if channels in arguments:  # which a row cannot tell from the width
            continue
        try:
            placement = Placement(site, *canonical_module(module, channels, options))
            if len(readers) > 1 and rng.random() < 0.4:
                some = tuple(rng.sample(readers, rng.randint(1, len(readers) - 1)))
                placement = Placement(site, placement.module, placement.options, "branch", some)
            graft(detector, Architecture.of(name, [placement]))
        except SpaceError:  # the module cannot be that wide
            continue
        placements.append(placement)
        widths = rng.choice([[channels], [channels, channels], []])
        rows[site] = (word, [*widths, *arguments])
    if not placements:
        return
    architecture = Architecture.of(name, placements)
    grafted = graft(detector, architecture)
    content = {key: grafted.yaml[key] for key in ("nc", "backbone", "head")}
    flat = [*content["backbone"], *content["head"]]
    for site, number in grafted.placed.items():
        flat[number][2], flat[number][3] = rows[site]
    assert read_imported(written(tmp_path, content, "mine.yaml"), detector).architecture == architecture


def test_the_rows_that_gamsearch_writes_are_imported_too(tmp_path: Path) -> None:
    detector = Detector.load("yolov8n")
    options = (("groups", 4), ("padding", "zeros"), ("rate", 4), ("shuffle", True))
    places = [Placement(4, "GAM", options), Placement(6, "ECA"), Placement(15, "CBAM", (("kernel", 3), ("rate", 8)))]
    places += [Placement(8, "GAM", (("rate", 8),), "inner"), Placement(21, "SimAM", (), "inner")]
    architecture = Architecture.of("yolov8n", places)
    assert read_imported(written(tmp_path, graft(detector, architecture).yaml), detector).architecture == architecture


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("CBAM, [128, 7]", "CoTAttention, [128]"), "row 3, .*CoTAttention.*, is neither row 3 of yolov8n, .*Conv"),
        (("C2f, [512, True]", "C3, [512, True]"), "row 8, .*C3.*, is neither row 6 of yolov8n, .*C2f"),
        (("[[-1, 9], 1", "[[-1, 6], 1"), r"row 15, .*must read 14 and 8 \(or 9, its attention\) here, not \[-1, 6\]"),
        (("CBAM, [128, 7]", "CBAM, [100, 7]"), "row 3, .*: 100 is not the width of that row, 32 or 128"),
        (("CBAM, [128, 7]", "CBAM, [128, 7, 1, 2, 3, 4]"), "too many arguments: expected the channels and then kernel"),
        (("CBAM, [128, 7]", "CBAM, [128, 'seven']"), "CBAM option 'kernel' must be of type int, not 'seven'"),
        (("[-1, 1, CBAM, [128", "[-1, 2, CBAM, [128"), "must have 1 repeat, not 2"),
        (("[-1, 1, CBAM, [128", "[[-1, 0], 1, CBAM, [128"), "must read one row, such as -1"),
        (("[-1, 1, CBAM, [256", "[3, 1, CBAM, [256"), "row 6, .* is the second attention on row 2 of yolov8n"),
        (("Detect, [nc]]", "Detect, [nc, 5]]"), "row 26, .* is neither row 22"),
        (("C2f, [512, True]", "C2f_EMA, [512, True]"), "row 8, .*C2f_EMA.*, is neither row 6 of yolov8n, .*C2f"),
        (
            ("C2f, [512, True]", "InnerAttention, [C2f, [512, True], EMM, [8]]"),
            r"row 8, .* has EMM inside it, which is no attention module \(did you mean",
        ),
        (
            ("SPPF, [1024, 5]", "InnerAttention, [SPPF, [1024, 5], EMA, [8]]"),
            "cannot be placed: row 9 is SPPF, which has no bottlenecks",
        ),
        (("Conv, [64, 3, 2]", "Conv, 64"), r"row 0 must be \[from, repeats, module, arguments\]"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_row(change, sentence: str, tmp_path: Path) -> None:
    path = edited(tmp_path, change)
    with pytest.raises((SpaceError, ModelError), match=f"{re.escape(str(path))}.*{sentence}"):
        read_imported(path, Detector.load("yolov8n"))


def test_attention_that_no_row_reads_is_refused(tmp_path: Path) -> None:
    path = edited(tmp_path, ("[[22, 23, 24], 1", "[[15, 23, 24], 1"), of="yolov8n-gam-detect.yaml")
    with pytest.raises(SpaceError, match="row 22, .* is read by no row"):
        read_imported(path, Detector.load("yolov8n"))


def test_a_file_of_another_stock_detector_names_it(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="its base is yolov8n-p2, not yolov8n: give --model yolov8n-p2.yaml"):
        read_imported(EXAMPLES / "yolov8n-p2-ca.yaml", Detector.load("yolov8n"))


def test_a_file_of_no_stock_detector_is_refused_with_the_row_at_which_it_leaves_the_nearest_one(tmp_path: Path) -> None:
    mapping = yaml.safe_load((EXAMPLES / "yolov8n-cbam.yaml").read_text())
    mapping["backbone"][6] = [-1, 1, "C2f_EMA", [256]]
    sentence = "row 6, [-1, 1, 'C2f_EMA', [256]], is neither row 5 of yolov8, [-1, 1, 'Conv', [512, 3, 2]]"
    with pytest.raises(SpaceError, match=re.escape(sentence)):
        detector_of(written(tmp_path, mapping))
    with pytest.raises(SpaceError, match="has the rows of no stock detector"):
        detector_of(written(tmp_path, {"backbone": [[-1, 1, "Unknown", [3]]], "head": [[0, 1, "Detect", []]]}))


def test_a_file_without_attention_and_one_without_rows_are_refused(tmp_path: Path) -> None:
    detector = Detector.load("yolov8n")
    with pytest.raises(SpaceError, match="no attention, so there is nothing to import"):
        read_imported(written(tmp_path, detector.yaml), detector)
    with pytest.raises(ModelError, match="must have a list 'head:' of rows"):
        read_imported(written(tmp_path, {"backbone": []}), detector)
    with pytest.raises(ModelError, match="cannot be read"):
        read_imported(tmp_path / "missing.yaml", detector)


def test_other_scales_and_other_modules_of_the_same_name_are_explained() -> None:
    notes = read_imported(EXAMPLES / "yolov8n-cbam.yaml", Detector.load("yolov8s")).notes
    assert notes[0] == "it is for scale n; imported at scale s, that of --model" and "Ultralytics ships" in notes[1]

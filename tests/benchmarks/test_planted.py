"""The planted data sets: reproducible bytes, valid labels, and what a distant marker says about the class in each."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import planted
import pytest
from PIL import Image
from planted import WORLDS, Group, Size, World, make_planted

from gamsearch.errors import DataError
from gamsearch.runs import demo
from gamsearch.training.dataset import DataSet
from gamsearch.training.labels import label_path

SMALL = Size(train=60, val=20, imgsz=96)
BARE, ATTENTION = {"P2": 10, "P3": 20, "P4": 40}, {"P2": 24, "P3": 48, "P4": 96}
"""Reach of the levels of `nearsighted` in px, and what a GAM adds to it; see its YAML."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(image: Path) -> np.ndarray:
    with Image.open(image) as picture:
        return np.asarray(picture, dtype=float)


def labels(image: Path) -> tuple[set[int], np.ndarray]:
    """The classes and the boxes of an image (`n x 4`: left, top, right, bottom in px)."""
    rows = np.array([list(map(float, line.split())) for line in label_path(image).read_text().splitlines()])
    classes, centre, size = rows[:, 0], rows[:, 1:3] * 96, rows[:, 3:] * 96
    return set(classes.astype(int)), np.hstack([centre - size / 2, centre + size / 2]).round()


def coloured(image: Path) -> np.ndarray:
    """The positions (`n x 2`: row, column) of saturated pixels, which are neither grey digits nor background."""
    picture = pixels(image)
    return np.argwhere(picture.max(axis=2) - picture.min(axis=2) > 100)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return DataSet.read(make_planted(tmp_path_factory.mktemp("planted") / "data", SMALL))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """The data set without images whose digits themselves have the colour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(WORLDS, "plain", world_of(coloured=0.0))
        return DataSet.read(make_planted(tmp_path_factory.mktemp("plain") / "data", SMALL, world="plain"))


def world_of(**changes: float) -> World:
    """The world `planted` with other groups."""
    return World(tuple(replace(group, **changes) for group in WORLDS["planted"].groups))


def group_of(world: World, label: str, boxes: np.ndarray) -> Group:
    """The group of the digits in an image."""
    height = np.max(boxes[:, 3] - boxes[:, 1])
    fitting = [g for g in world.groups if not world.sizes_matter or label.startswith(g.name)]
    return min(fitting, key=lambda group: abs(sum(group.height) / 2 - height))


@pytest.fixture(scope="module", params=WORLDS)
def pictures(request, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, DataSet]:
    """The name of a world and its data set."""
    folder = tmp_path_factory.mktemp("world") / "data"
    return request.param, DataSet.read(make_planted(folder, Size(50, 200, 96), world=request.param))


def test_the_same_parameters_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    size = Size(4, 2, 96)
    one, two, other = (
        make_planted(tmp_path / name, size, seed).parent for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert contents(one) == contents(two)
    assert contents(one)["images/train/0000.png"] != contents(other)["images/train/0000.png"]


def test_it_is_a_valid_data_set_in_which_every_image_shows_one_class(data: DataSet) -> None:
    assert (len(data.train), len(data.val)) == (60, 20)
    assert len(data.names) == 9


def test_every_image_of_a_world_shows_one_class_and_every_class_occurs(pictures: tuple[str, DataSet]) -> None:
    world, data = WORLDS[pictures[0]], pictures[1]
    seen = set()
    for image in (*data.train, *data.val):
        (number,), boxes = labels(image)
        assert 1 <= len(boxes) <= group_of(world, data.names[number], boxes).objects
        assert ((boxes >= 0) & (boxes <= 96)).all()
        seen.add(number)
    assert seen == set(data.names)


def marker_of(image: Path) -> tuple[str, np.ndarray] | None:
    """The colour of the marker and its top left corner (x, y); None if the image has none."""
    places = coloured(image)
    if len(places) != planted.MARKER**2 or (np.ptp(places, axis=0) != planted.MARKER - 1).any():
        return None
    shade = pixels(image)[tuple(places[0])] / 255
    colour = min(planted.COLOURS, key=lambda name: np.abs(shade - planted.COLOURS[name]).max())
    return colour, places.min(axis=0)[::-1]


def worth_of_markers(world: World, images: list[Path], names: dict[int, str]) -> dict[str, float]:
    """By size: right answers of who reads the markers minus those of who sees the digits alone, as a share."""
    found = defaultdict(list)
    for image in images:
        (number,), boxes = labels(image)
        group, marker = group_of(world, names[number], boxes), marker_of(image)
        right = marker is not None and names[number].endswith(marker[0])
        found[group.name].append(0.0 if marker is None else right - 1 / group.colours)
    return {name: float(np.mean(values)) for name, values in found.items()}


HELPS, USELESS, BY_CHANCE, HARMS, DOUBTFUL = (0.3, 1.0), (0.0, 0.0), (-0.15, 0.15), (-0.3, -0.05), (0.05, 0.45)
IN_VALIDATION = {
    "planted-v1": {"tiny": USELESS},
    "planted-v2": {"medium": USELESS},
    "planted-harm": {"tiny": HARMS},
    "planted-signs": {"medium": DOUBTFUL},
    "planted-none": dict.fromkeys(("tiny", "medium", "large"), BY_CHANCE),
}


def test_a_marker_says_of_the_class_what_the_world_says(pictures: tuple[str, DataSet]) -> None:
    name, data = pictures
    for images, special in (
        (data.val, IN_VALIDATION.get(name, {})),
        (data.train, {g: w for g, w in IN_VALIDATION.get(name, {}).items() if w not in (HARMS, DOUBTFUL)}),
    ):
        for group, worth in worth_of_markers(WORLDS[name], images, data.names).items():
            low, high = special.get(group, HELPS)
            assert low <= worth <= high, (group, worth)


def test_two_levels_see_the_digits_that_overlap_and_neither_their_marker(tmp_path: Path) -> None:
    world = WORLDS["planted-overlap"]
    data = DataSet.read(make_planted(tmp_path / "data", Size(120, 1, 96), world="planted-overlap"))
    gaps = []
    for image in data.train:
        (number,), boxes = labels(image)
        marker = marker_of(image)
        if group_of(world, data.names[number], boxes).name == "between" and marker is not None:
            assert (boxes[:, 2:] - boxes[:, :2]).max() <= 16  # px, the largest box of P2
            assert (boxes[:, 3] - boxes[:, 1]).min() >= 8  # px, the stride of P3
            between = np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - (marker[1] + planted.MARKER / 2))
            gaps += list(between.max(axis=1) - planted.MARKER / 2)
    hidden = np.mean(np.array(gaps) > max(BARE["P2"], BARE["P3"]))
    reached = np.mean(np.array(gaps) < min(BARE["P2"] + ATTENTION["P2"], BARE["P3"] + ATTENTION["P3"]))
    assert hidden > 0.8 and reached > 0.8, (hidden, reached)


def test_another_world_replaces_the_images_of_a_folder(tmp_path: Path) -> None:
    first = contents(make_planted(tmp_path / "a", Size(4, 2, 96)).parent)
    other = contents(make_planted(tmp_path / "a", Size(4, 2, 96), world="planted-none").parent)
    assert first["gamsearch-demo.json"] != other["gamsearch-demo.json"]
    assert contents(make_planted(tmp_path / "a", Size(4, 2, 96)).parent) == first


def test_the_marker_has_the_colour_of_the_class_and_the_specified_distance_to_every_object(plain: DataSet) -> None:
    world = WORLDS["planted"]
    distances: dict[Group, list[float]] = {group: [] for group in world.groups}
    for image in (*plain.train, *plain.val):
        (number,), boxes = labels(image)
        group, name = group_of(world, plain.names[number], boxes), plain.names[number].split()[1]
        places = coloured(image)
        assert len(places) == planted.MARKER**2
        assert np.allclose(pixels(image)[tuple(places[0])] / 255, planted.COLOURS[name], atol=0.01)
        centre = (places.mean(axis=0) + 0.5)[::-1]
        distances[group] += list(np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - centre, axis=1))
    for group, found in distances.items():
        assert group.distance[0] - 1 <= min(found) and max(found) <= group.distance[1] + 1
        assert max(found) - min(found) > 0.6 * (group.distance[1] - group.distance[0])


def test_without_coloured_digits_only_the_marker_reveals_the_class(
    plain: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = dict(zip(planted.COLOURS, reversed(planted.COLOURS.values()), strict=True))
    monkeypatch.setattr(planted, "COLOURS", painted)
    monkeypatch.setitem(WORLDS, "plain", world_of(coloured=0.0))
    repainted = DataSet.read(make_planted(tmp_path / "data", SMALL, world="plain"))
    for image, other in zip(plain.train, repainted.train, strict=True):
        assert label_path(image).read_bytes() == label_path(other).read_bytes()
        differs = np.argwhere((pixels(image) != pixels(other)).any(axis=2))
        assert {tuple(place) for place in differs} <= {tuple(place) for place in coloured(image)}


def test_some_images_have_coloured_digits_and_no_marker(data: DataSet) -> None:
    bare = [image for image in (*data.train, *data.val) if marker_of(image) is None]
    assert 4 <= len(bare) <= 24
    for image in bare:
        (number,), boxes = labels(image)
        inside = [any(a <= x < c and b <= y < d for a, b, c, d in boxes) for y, x in coloured(image)]
        assert inside and all(inside)


def test_the_marker_touches_no_box_and_no_two_boxes_overlap(plain: DataSet) -> None:
    for image in plain.train:
        places = coloured(image)
        marker = [*places.min(axis=0)[::-1], *(places.max(axis=0) + 1)[::-1]]
        boxes = [marker, *labels(image)[1].tolist()]
        for i, (a, b, c, d) in enumerate(boxes):
            assert all(c < x or z < a or d < y or w < b for x, y, z, w in boxes[i + 1 :])


def test_a_finished_folder_is_not_generated_again_and_a_foreign_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_planted(tmp_path / "data", Size(3, 2, 96))
    monkeypatch.setattr(planted, "_picture", lambda *_: pytest.fail("generated again"))
    assert make_planted(tmp_path / "data", Size(3, 2, 96)) == first
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="holds something else"):
        make_planted(tmp_path / "mine", Size(3, 2, 96))


def test_every_augmentation_is_an_argument_of_ultralytics() -> None:
    from ultralytics.cfg import get_cfg

    get_cfg(overrides=dict(demo.AUGMENTATION))

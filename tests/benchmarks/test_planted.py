"""The planted data set: reproducible bytes, valid labels, and a class given by the colour of a distant marker."""

from pathlib import Path

import numpy as np
import planted
import pytest
from PIL import Image
from planted import Size, make_planted

from gamsearch.errors import DataError
from gamsearch.runs import demo
from gamsearch.training.dataset import DataSet
from gamsearch.training.labels import label_path

SMALL = Size(train=60, val=20, imgsz=96)


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
        patch.setattr(planted, "COLOURED", 0.0)
        return DataSet.read(make_planted(tmp_path_factory.mktemp("plain") / "data", SMALL))


def test_the_same_parameters_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    size = Size(4, 2, 96)
    one, two, other = (
        make_planted(tmp_path / name, size, seed).parent for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert contents(one) == contents(two)
    assert contents(one)["images/train/0000.png"] != contents(other)["images/train/0000.png"]


def test_it_is_a_valid_data_set_in_which_every_image_shows_one_class(data: DataSet) -> None:
    assert (len(data.train), len(data.val)) == (60, 20)
    assert list(data.names.values()) == [f"{group.name} {colour}" for group, colour in planted.CLASSES]
    seen = set()
    for image in (*data.train, *data.val):
        (number,), boxes = labels(image)
        assert 1 <= len(boxes) <= planted.CLASSES[number][0].objects
        assert ((boxes >= 0) & (boxes <= 96)).all()
        seen.add(number)
    assert seen == set(data.names)


def test_the_marker_has_the_colour_of_the_class_and_the_specified_distance_to_every_object(plain: DataSet) -> None:
    distances: dict[planted.Group, list[float]] = {group: [] for group in planted.GROUPS}
    for image in (*plain.train, *plain.val):
        (number,), boxes = labels(image)
        group, name = planted.CLASSES[number]
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
    monkeypatch.setattr(planted, "COLOURED", 0.0)
    repainted = DataSet.read(make_planted(tmp_path / "data", SMALL))
    for image, other in zip(plain.train, repainted.train, strict=True):
        assert label_path(image).read_bytes() == label_path(other).read_bytes()
        differs = np.argwhere((pixels(image) != pixels(other)).any(axis=2))
        assert {tuple(place) for place in differs} <= {tuple(place) for place in coloured(image)}


def test_some_images_have_coloured_digits_and_no_marker(data: DataSet) -> None:
    def marked(image: Path) -> bool:
        places = coloured(image)
        return len(places) == planted.MARKER**2 and (np.ptp(places, axis=0) == planted.MARKER - 1).all()

    bare = [image for image in (*data.train, *data.val) if not marked(image)]
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

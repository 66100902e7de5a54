"""The demonstration data set: deterministic, a sound detection problem, and never half a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gamsearch.errors import DataError
from gamsearch.runs import demo, digits
from gamsearch.training.dataset import DataSet
from gamsearch.training.labels import label_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(image: Path) -> np.ndarray:
    with Image.open(image) as picture:
        return np.asarray(picture, dtype=float)


def boxes(image: Path) -> list[list[int]]:
    """Return class, left, top, right, bottom of each label row in pixels."""
    side = len(pixels(image))
    rows = [list(map(float, line.split())) for line in label_path(image).read_text().splitlines()]
    edges = [(c, x - w / 2, y - h / 2, x + w / 2, y + h / 2) for c, x, y, w, h in rows]
    return [[int(c), *(round(edge * side) for edge in rest)] for c, *rest in edges]


def coloured(image: Path) -> np.ndarray:
    """Return the positions (`n x 2`: row, column) of saturated pixels."""
    picture = pixels(image)
    return np.argwhere(picture.max(axis=2) - picture.min(axis=2) > 100)


def test_the_same_parameters_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    one, two, other = (
        demo.make(tmp_path / name, 4, 2, 64, seed).parent for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert contents(one) == contents(two)
    assert contents(one)["images/train/0000.png"] != contents(other)["images/train/0000.png"]


@pytest.mark.parametrize("half", demo.HALVES)
def test_every_picture_shows_cards_of_one_class_that_do_not_overlap(tmp_path: Path, half: str) -> None:
    data = DataSet.read(demo.make(tmp_path / "cards", 40, 20, 64, half=half))
    assert (len(data.train), len(data.val), list(data.names.values())) == (40, 20, ["red", "green", "blue"])
    seen = set()
    for image in (*data.train, *data.val):
        rows = boxes(image)
        assert pixels(image).shape == (64, 64, 3) and 1 <= len(rows) <= demo.OBJECTS
        assert len({row[0] for row in rows}) == 1
        seen.add(rows[0][0])
        for i, (_, a, b, c, d) in enumerate(rows):
            assert (c - a, d - b) == (demo.CARD, demo.CARD) and min(a, b) >= 0 and max(c, d) <= 64
            assert all(c < x or z < a or d < y or w < b for _, x, y, z, w in rows[i + 1 :])
    assert seen == {0, 1, 2}


def test_in_the_context_half_only_a_marker_at_a_distance_has_the_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "COLOURED", 0.0)
    for image in DataSet.read(demo.make(tmp_path / "cards", 40, 1, 64)).train:
        rows, places = boxes(image), coloured(image)
        assert len(places) == demo.MARKER**2
        assert np.allclose(pixels(image)[tuple(places[0])] / 255, list(demo.COLOURS.values())[rows[0][0]], atol=0.01)
        centre = (places.mean(axis=0) + 0.5)[::-1]
        for _, left, top, right, bottom in rows:
            away = np.linalg.norm((np.array([left, top]) + (right, bottom)) / 2 - centre)
            assert demo.DISTANCE[0] - 1 <= away <= demo.DISTANCE[1] + 1


def test_the_halves_differ_only_in_what_has_the_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "COLOURED", 0.0)
    context, control = (DataSet.read(demo.make(tmp_path / half, 20, 1, 64, half=half)) for half in demo.HALVES)
    for image, other in zip(context.train, control.train, strict=True):
        assert label_path(image).read_bytes() == label_path(other).read_bytes()
        differs = (pixels(image) != pixels(other)).any(axis=2)
        allowed = np.zeros((64, 64), bool)
        allowed[tuple(coloured(image).T)] = True
        for _, left, top, right, bottom in boxes(image):
            allowed[top:bottom, left:right] = True
        assert not (differs & ~allowed).any()
        assert all(any(a <= x < c and b <= y < d for _, a, b, c, d in boxes(other)) for y, x in coloured(other))


def test_a_finished_folder_is_not_generated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = demo.make(tmp_path / "digits", 3, 2, 64)
    monkeypatch.setattr(demo, "_picture", lambda *_: pytest.fail("generated again"))
    assert demo.make(tmp_path / "digits", 3, 2, 64) == first


@pytest.mark.parametrize("harm", ["a lost image", "a lost marker value", "other parameters"])
def test_a_damaged_or_different_data_set_is_generated_again(tmp_path: Path, harm: str) -> None:
    folder = demo.make(tmp_path / "digits", 3, 2, 64).parent
    whole = contents(folder)
    if harm == "a lost image":
        (folder / "images/train/0001.png").unlink()
    elif harm == "a lost marker value":
        (folder / digits.MARKER).write_text("{")
    else:
        demo.make(folder, 5, 2, 64)
    assert contents(folder) != whole
    demo.make(folder, 3, 2, 64)
    assert contents(folder) == whole


def test_an_interrupted_call_leaves_nothing_and_the_next_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(digits, "ground", interrupted)
        demo.make(tmp_path / "digits", 3, 2, 64)
    assert list(tmp_path.iterdir()) == []
    assert demo.make(tmp_path / "digits", 3, 2, 64).exists()


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(DataError, match="holds something else"):
        demo.make(tmp_path, 3, 2, 64)
    assert (tmp_path / "thesis.txt").read_text() == "three years"


def test_the_marker_holds_the_parameters(tiny_data: Path) -> None:
    marker = json.loads((tiny_data.parent / digits.MARKER).read_text())
    assert marker == {"form": demo.FORM, "half": 0, "train": 12, "val": 6, "imgsz": 64, "seed": 0}

"""The demonstration data set: deterministic, a sound detection problem, and never half a folder."""

import json
import time
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


def test_the_same_parameters_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    one, two, other = (
        demo.make(tmp_path / name, 4, 2, 64, seed).parent for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert contents(one) == contents(two)
    assert contents(one)["images/train/0000.png"] != contents(other)["images/train/0000.png"]


def test_it_is_a_sound_data_set_of_ten_classes(tmp_path: Path) -> None:
    data = DataSet.read(demo.make(tmp_path / "digits", 40, 20, 96))
    assert (len(data.train), len(data.val), data.nc) == (40, 20, 10)
    assert {row[0] for image in data.train for row in boxes(image)} == set(range(10))
    assert all(1 <= len(boxes(image)) <= 4 for image in (*data.train, *data.val))
    assert {pixels(image).shape for image in data.train} == {(96, 96, 3)}


def test_no_two_digits_overlap_and_none_leaves_the_image(tmp_path: Path) -> None:
    for image in DataSet.read(demo.make(tmp_path / "digits", 40, 1, 64)).train:
        rows = boxes(image)
        assert all(0 <= v <= 64 for row in rows for v in row[1:])
        for i, (_, a, b, c, d) in enumerate(rows):
            assert all(c < x or z < a or d < y or w < b for _, x, y, z, w in rows[i + 1 :])


def test_a_box_is_tight_around_the_painted_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "BACKGROUNDS", (lambda side, rng: np.full((side, side, 3), 0.5),))
    monkeypatch.setattr(demo, "DIGITS", (1, 1))
    for image in DataSet.read(demo.make(tmp_path / "digits", 20, 1, 96)).train:
        painted = np.abs(pixels(image) - 128).max(axis=2) > 1
        [(_, left, top, right, bottom)] = boxes(image)
        inside = painted[top:bottom, left:right]
        assert not np.delete(painted, np.s_[top:bottom], axis=0).any()
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


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
        patch.setattr(digits, "inked", interrupted)
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
    assert marker == {"form": demo.FORM, "train": 12, "val": 6, "imgsz": 64, "seed": 0}


def test_the_shipped_size_is_generated_in_seconds(tmp_path: Path) -> None:
    size = demo.SIZE
    start = time.process_time()
    data = DataSet.read(demo.make(tmp_path / "digits", size.train, size.val, size.imgsz))
    assert time.process_time() - start < 10
    assert (len(data.train), len(data.val)) == (size.train, size.val)


def test_every_augmentation_is_an_argument_of_ultralytics() -> None:
    from ultralytics.cfg import get_cfg

    get_cfg(overrides=dict(demo.AUGMENTATION))

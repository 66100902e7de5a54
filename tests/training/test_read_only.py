"""The data set of a training is that of Ultralytics, image by image and pixel by pixel, and nothing is written."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.hostile import GOOD, UNREADABLE, copy_of, make_hostile, state_of
from ultralytics.cfg import get_cfg
from ultralytics.data.build import build_yolo_dataset
from ultralytics.data.utils import check_det_dataset

from gamsearch.errors import DataError
from gamsearch.training.dataset import DataSet
from gamsearch.training.read_only import ReadOnlyDataset, read_only_data
from gamsearch.training.readable import problem


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_hostile(tmp_path / "hostile")


def dataset(data: Path, split: str, cache: bool | str = False) -> SimpleNamespace:
    """Images and labels as `build_yolo_dataset` gives them; names are relative to the data set."""
    config, form = get_cfg(overrides={"imgsz": 64, "cache": cache, "task": "detect"}), check_det_dataset(str(data))
    found = build_yolo_dataset(config, form[split], 4, form, mode="val", rect=False, stride=32)
    loaded = [found.load_image(i) for i in range(len(found))]
    names = [str(Path(path).relative_to(data.parent)) for path in found.im_files]
    labels = [np.hstack([label["cls"], label["bboxes"]]).tolist() for label in found.labels]
    return SimpleNamespace(names=names, labels=labels, loaded=loaded, kind=type(found))


@pytest.mark.parametrize("cache", [False, "ram"])
def test_images_labels_and_pixels_are_those_of_ultralytics_and_no_file_changes(data, tmp_path, cache):
    before, copy = state_of(data.parent), copy_of(data, tmp_path / "copy")
    for split in ("train", "val"):
        with read_only_data():
            ours = dataset(data, split, cache)
        stock = dataset(copy, split)
        assert ours.kind is ReadOnlyDataset and stock.kind is not ReadOnlyDataset
        assert ours.names == stock.names and len(ours.names) == GOOD
        assert ours.labels == stock.labels
        for (image, original, resized), (other, *shapes) in zip(ours.loaded, stock.loaded, strict=True):
            assert np.array_equal(image, other) and [original, resized] == shapes
    assert state_of(data.parent) == before
    rewritten = [
        path for path, then in before.items() if path.endswith("g") and state_of(copy.parent)[path][0] != then[0]
    ]
    assert rewritten == [f"images/{split}/{i}.jpg" for split in ("train", "val") for i in (0, 1)]  # by Ultralytics
    assert DataSet.read(copy).fingerprint == DataSet.read(data).fingerprint  # so a run survives `yolo train`


def test_unreadable_images_are_counted_named_and_left_out(data):
    found = DataSet.read(data).checked()
    assert found.summary == "data.yaml: 8 train and 8 val images, 2 classes (dark, light), 8 and 8 boxes"
    assert {image.name for image in found.unreadable["train"]} == set(UNREADABLE) and "val" not in found.unreadable
    assert found.notes == found.warnings and len(found.notes) == 1
    assert found.notes[0].startswith("5 of 13 train images cannot be read and are left out: ")
    for image, reason in found.unreadable["train"].items():
        assert UNREADABLE[image.name] in reason and str(data.parent) not in reason
    assert found.fingerprint == DataSet.read(data).fingerprint


def test_no_package_is_installed_to_open_an_unknown_format(data, monkeypatch):
    from ultralytics.utils import checks

    monkeypatch.setattr(checks, "check_requirements", lambda *a, **k: pytest.fail("a package would be installed"))
    assert "cannot identify" in problem(data.parent / "images" / "train" / "text.jpg")


def test_a_few_unreadable_images_are_no_warning_of_the_report(data):
    found = DataSet.read(data).checked()
    many = DataSet(**{**vars(found), "train": found.train * 80})
    assert many.notes and not many.warnings


def test_a_split_without_a_readable_image_is_refused(data):
    for image in (data.parent / "images" / "val").glob("*.??g"):
        image.write_bytes(b"")
    with pytest.raises(DataError, match="no val image of .* can be read, e.g. .*0.jpg: the file is empty"):
        DataSet.read(data).checked()


@pytest.mark.parametrize("suffix", ["bmp", "webp", "tif"])
def test_a_truncated_image_of_another_format_is_left_out(data, suffix):
    from PIL import Image

    image = data.parent / f"x.{suffix}"
    Image.open(data.parent / "images/val/6.png").save(image)
    assert not problem(image)
    image.write_bytes(image.read_bytes()[:200])
    assert problem(image)


def test_an_image_that_only_ultralytics_refuses_is_an_error_and_not_dropped_in_silence(data):
    (data.parent / "labels" / "train" / "5.txt").write_text("7 0.5 0.5 0.5 0.5\n")  # there is no class 7
    with read_only_data(), pytest.raises(DataError, match="5.jpg with its labels"):
        dataset(data, "train")

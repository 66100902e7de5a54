"""The data of each task: read with its own labels, and refused in one sentence where they do not fit."""

import hashlib
import json
from pathlib import Path

import pytest
from support.task_data import TASKS, make_data

from gamsearch.errors import DataError
from gamsearch.tasks import task_named
from gamsearch.training.dataset import DataSet, training_images

SUMMARIES = {
    "segment": "24 and 12 polygons",
    "pose": "24 and 12 poses",
    "obb": "24 and 12 boxes",
    "classify": "2 classes (blue, red)",
}


def refusal(path: Path, task: str) -> str:
    with pytest.raises(DataError) as error:
        DataSet.read(path, task_named(task))
    assert "\n" not in str(error.value)
    return str(error.value)


def relabel(data: Path, row: str) -> Path:
    label = data.parent / "labels" / "train" / "3.txt"
    label.write_text(f"{label.read_text().splitlines()[0]}\n{row}\n")
    return data


@pytest.mark.parametrize("task", TASKS)
def test_the_data_of_a_task_are_read_with_their_labels(task, tmp_path):
    path = make_data(task, tmp_path / "data")
    data = DataSet.read(path, task_named(task)).checked()
    assert (len(data.train), len(data.val), data.nc) == (12, 6, 2) and training_images(path) == 12
    assert data.summary.endswith(SUMMARIES[task]) and not data.notes
    assert data.kpt_shape == ((4, 3) if task == "pose" else ())
    copy = make_data(task, tmp_path / "copy")
    assert DataSet.read(copy, task_named(task)).fingerprint == data.fingerprint


BOX = "0 0.5 0.5 0.2 0.2"


@pytest.mark.parametrize(
    ("task", "row", "sentence"),
    [
        (
            "segment",
            BOX,
            "instance segmentation needs rows of class x1 y1 x2 y2 x3 y3 …, but the row has 5 columns",
        ),
        ("obb", BOX, "oriented boxes needs rows of class x1 y1 x2 y2 x3 y3 x4 y4, but the row has 5 columns, which is"),
        ("obb", "0 0.1 0.1 0.2 0.1 0.2 0.2", "but the row has 7 columns"),
        ("pose", BOX, "width height and 4 x 3 values of key points, but the row has 5 columns, which is a box"),
        ("pose", f"{BOX} {'0.4 1.4 2 ' * 4}", "coordinates must be fractions from 0 to 1, but one is 1.4"),
        ("segment", "2 0.1 0.1 0.2 0.1 0.2 0.2", "the class must be a whole number from 0 to 1"),
    ],
)
def test_a_row_that_does_not_fit_the_task_is_refused_with_its_file_and_line(task, row, sentence, tmp_path):
    found = refusal(relabel(make_data(task, tmp_path), row), task)
    assert "labels/train/3.txt, line 2: " in found and sentence in found


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("", "`kpt_shape` of"),
        ("kpt_shape: [4, 5]", "must be [1 to 1000, 2 or 3], but is [4, 5]"),
        ("kpt_shape: 4", "must be [number of key points, 2 or 3]"),
        ("kpt_shape: [4, 3]\nflip_idx: [0, 1, 2]", "`flip_idx` of"),
        ("kpt_shape: [4, 3]\nkpt_oks_sigmas: [1, 1, 1, 0]", "must be 4 numbers above 0"),
    ],
)
def test_key_points_that_the_data_yaml_does_not_describe_are_refused(entry, sentence, tmp_path):
    data = make_data("pose", tmp_path)
    data.write_text(f"{data.read_text().split('kpt_shape')[0]}{entry}\n")
    assert sentence in refusal(data, "pose")


def test_visibility_is_no_coordinate_and_part_of_the_fingerprint_is_the_shape(tmp_path):
    data = make_data("pose", tmp_path)
    before = DataSet.read(data, task_named("pose")).fingerprint
    data.write_text(data.read_text().replace("kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]", "kpt_shape: [6, 2]"))
    with pytest.raises(DataError, match="one is 2"):  # as [6, 2] the visibility is a coordinate
        DataSet.read(data, task_named("pose"))
    assert "kpt_shape 4 3" in DataSet.read(make_data("pose", tmp_path / "again"), task_named("pose")).lines and before


def _without(folder: Path) -> str:
    (folder / "train").rename(folder / "training")
    return "has no folder `train`"


def _other_classes(folder: Path) -> str:
    (folder / "val" / "green").mkdir()
    return f"the class folder {folder / 'val' / 'green'} is missing in {folder / 'train'}"


def _one_class(folder: Path) -> str:
    (folder / "train" / "red").rename(folder / "red")
    return "has 1 class folders, but must have at least two"


def _no_validation(folder: Path) -> str:
    (folder / "val").rename(folder / "checks")
    return "has no folder `val`"


@pytest.mark.parametrize("change", [_without, _other_classes, _one_class, _no_validation])
def test_class_folders_that_ultralytics_would_mend_or_misread_are_refused(change, tmp_path):
    folder = make_data("classify", tmp_path / "cards")
    assert change(folder) in refusal(folder, "classify")


def test_a_yaml_for_a_classifier_and_a_folder_for_a_detector_are_refused(tmp_path):
    yaml = make_data("obb", tmp_path / "obb")
    assert "is a file: classification takes a folder with `train` and `val`" in refusal(yaml, "classify")
    assert "is a folder" in refusal(make_data("classify", tmp_path / "cards"), "detect")


def test_classification_reads_unreadable_and_unfinished_images_as_detection_does_and_writes_nothing(tmp_path):
    from gamsearch.training.read_only import ReadOnlyClassificationDataset, read_only_data

    folder = make_data("classify", tmp_path / "cards")
    (folder / "train" / "red" / "0.png").write_bytes(b"broken")
    from PIL import Image

    unfinished = folder / "train" / "blue" / "1.jpg"
    Image.open(folder / "train" / "blue" / "1.png").save(unfinished)
    unfinished.write_bytes(unfinished.read_bytes() + b"more")
    before = _contents(folder)
    data = DataSet.read(folder, task_named("classify")).checked()
    assert [path.name for path in data.unreadable["train"]] == ["0.png"] and len(data.train) == 12
    with read_only_data():
        read = ReadOnlyClassificationDataset(str(folder / "train"), _arguments(cache="ram"), prefix="train")
        fifth = ReadOnlyClassificationDataset(str(folder / "train"), _arguments(fraction=0.5), prefix="train")
    assert sorted(Path(one[0]) for one in read.samples) == sorted(data.train)
    assert len(fifth) == 6 and {one[0] for one in fifth.samples} < {one[0] for one in read.samples}
    assert read[0]["img"].shape == (3, 64, 64)
    assert _contents(folder) == before


def _arguments(**changed):
    from ultralytics.cfg import get_cfg

    return get_cfg(overrides={"imgsz": 64, "task": "classify", **changed})


def _contents(folder: Path) -> str:
    files = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.parent.rglob("*.*")}
    return json.dumps(files, sort_keys=True)

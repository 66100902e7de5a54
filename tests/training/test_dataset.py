"""What a data set must hold, and the one-sentence error for each thing that it lacks."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gamsearch.errors import DataError
from gamsearch.training.dataset import DataSet

BOX = "0 0.5 0.5 0.2 0.2\n"
GOOD = "train: images/train\nval: images/val\nnames: [cat, dog]\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a data set of two train images and one val image and returns its YAML."""

    def write(text: str = GOOD, labels: str | None = BOX, folder: str = "pets", images: bool = True) -> Path:
        root = tmp_path / folder
        for name in ("train/a", "train/b", "val/c") if images else ():
            image, label = root / "images" / f"{name}.png", root / "labels" / f"{name}.txt"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(b"png" + name.encode())
            if labels is not None:
                label.parent.mkdir(parents=True, exist_ok=True)
                label.write_text(labels)
        root.mkdir(exist_ok=True)
        (root / "data.yaml").write_text(text)
        return root / "data.yaml"

    return write


def refusal(path: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        DataSet.read(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


# ── what is read ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_good_data_set_is_read_with_its_names_images_and_boxes(write: Write) -> None:
    data = DataSet.read(write())
    assert data.names == {0: "cat", 1: "dog"}
    assert data.nc == 2
    assert [image.name for image in data.train] == ["a.png", "b.png"]
    assert [image.name for image in data.val] == ["c.png"]
    assert data.boxes == (2, 1)
    assert data.summary == "data.yaml: 2 train and 1 val images, 2 classes (cat, dog), 2 and 1 boxes"


@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}", "{'1': dog, '0': cat}", "[cat, dog]\nnc: 2"])
def test_names_may_be_a_list_or_a_mapping_in_any_order(write: Write, names: str) -> None:
    assert DataSet.read(write(GOOD.replace("[cat, dog]", names))).names == {0: "cat", 1: "dog"}


def test_a_split_may_be_a_list_of_folders(write: Write) -> None:
    file = write()
    shutil.move(file.parent / "images/train/b.png", file.parent / "images/val/b.png")
    shutil.copytree(file.parent / "images/val", file.parent / "images/more")
    shutil.copytree(file.parent / "labels/val", file.parent / "labels/more")
    file.write_text(GOOD.replace("images/train", "[images/train, images/more]"))
    assert len(DataSet.read(file).train) == 3


def test_a_text_file_may_list_the_images_relative_to_itself(write: Write) -> None:
    file = write(GOOD.replace("images/train", "train.txt"))
    (file.parent / "train.txt").write_text("./images/train/b.png\n")
    data = DataSet.read(file)
    assert [image.name for image in data.train] == ["b.png"]
    assert data.boxes == (1, 1)


def test_an_image_without_a_label_file_is_background(write: Write) -> None:
    file = write()
    (file.parent / "labels/train/a.txt").unlink()
    assert DataSet.read(file).boxes == (1, 1)


def test_polygons_count_as_boxes(write: Write) -> None:
    assert DataSet.read(write(labels="1 0.1 0.1 0.5 0.1 0.5 0.5\n")).boxes == (2, 1)


def test_a_coordinate_may_exceed_one_by_the_rounding_that_ultralytics_allows(write: Write) -> None:
    assert DataSet.read(write(labels="0 0.5 1.005 0.2 0.2\n")).boxes == (2, 1)


@pytest.mark.parametrize("path", ["absolute", "relative"])
def test_path_is_absolute_or_relative_to_the_working_directory(
    write: Write, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write().parent
    elsewhere = root.parent / "elsewhere.yaml"
    elsewhere.write_text(f"path: {root if path == 'absolute' else 'pets'}\n{GOOD}")
    monkeypatch.chdir(root.parent)
    assert len(DataSet.read(elsewhere).train) == 2


def test_a_relative_path_is_also_looked_for_in_the_datasets_folder_of_ultralytics(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    settings = tmp_path / "config" / "Ultralytics" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'{{"datasets_dir": "{tmp_path.as_posix()}"}}')
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "work" / "pets.yaml").write_text(f"path: pets\n{GOOD}")
    assert len(DataSet.read("pets.yaml").val) == 1


def test_images_and_labels_are_those_that_ultralytics_finds(write: Write) -> None:
    from ultralytics.data.utils import check_det_dataset, img2label_paths

    from gamsearch.training.labels import label_path

    file = write(GOOD.replace("images/train", "train.txt"))
    (file.parent / "train.txt").write_text("./images/train/b.png\n./images/train/a.png\n")
    data, stock = DataSet.read(file), check_det_dataset(str(file))
    assert stock["names"] == data.names
    assert Path(stock["val"]) == data.val[0].parent
    images = [*data.train, *data.val, Path("/x/images/y/images/z.tar.jpg"), Path("beside/a.png"), Path("images/a.png")]
    assert [str(label_path(image)) for image in images] == img2label_paths([str(image) for image in images])


def test_reading_loads_neither_torch_nor_ultralytics(tiny_data: Path) -> None:
    code = (
        "import sys; from gamsearch.training.dataset import DataSet; DataSet.read(sys.argv[1]); "
        "sys.exit(bool({'torch', 'ultralytics', 'optuna'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tiny_data)], check=False).returncode == 0


# ── the fingerprint ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_fingerprint_is_the_same_for_a_copy_elsewhere(write: Write) -> None:
    here, there = DataSet.read(write()), DataSet.read(write(folder="copy"))
    assert here.fingerprint == there.fingerprint
    assert len(here.fingerprint) == 12


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "labels/val/c.txt").write_text("1 0.5 0.5 0.2 0.2\n"),
        lambda root: (root / "images/train/a.png").write_bytes(b"another"),
        lambda root: (root / "images/train/a.png").rename(root / "images/train/z.png"),
        lambda root: (root / "data.yaml").write_text(GOOD.replace("cat", "cow")),
        lambda root: (root / "data.yaml").write_text(GOOD.replace("train: images/train", "train: images/train/a")),
    ],
    ids=["label", "image", "name of an image", "name of a class", "fewer images"],
)
def test_the_fingerprint_changes_with(write: Write, change: Callable[[Path], object]) -> None:
    file = write()
    for kind, suffix in (("images", "png"), ("labels", "txt")):
        (file.parent / kind / "train/a").mkdir()
        (file.parent / kind / f"train/a/d.{suffix}").write_text(BOX)
    before = DataSet.read(file).fingerprint
    change(file.parent)
    assert DataSet.read(file).fingerprint != before


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_file_is_refused_with_the_folder_that_was_searched(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(tmp_path / "data.yaml")


@pytest.mark.parametrize("name", ["coco8.yaml", "coco8"])
def test_a_stock_data_set_that_is_not_there_is_named_and_never_downloaded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = refusal(name)
    assert "downloads no data" in sentence
    assert "check_det_dataset('coco8.yaml')" in sentence
    assert os.listdir(tmp_path) == []


def test_a_stock_data_set_that_was_downloaded_is_found_by_its_name(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    write(folder="datasets/coco8")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "no-settings"))
    assert DataSet.read("coco8.yaml").nc == 80


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("names: [cat\ntrain: x\n", "at line 2"),
        ("day: 2024-99-99\n", "not valid YAML: month must be in 1..12"),
        ("!!python/object/apply:os.getcwd []\n", "not valid YAML"),
        ("- train\n- val\n", "must be a mapping with train, val and names, but holds a list"),
        ("", "holds nothing"),
        ("train: images/train\nval: images/val\n", "has no `names`"),
        (GOOD.replace("[cat, dog]", ""), "has no `names`"),
        (GOOD.replace("[cat, dog]", "cat"), "must be a list or a mapping"),
        (GOOD.replace("[cat, dog]", "{1: cat, 2: dog}"), "must number its 2 classes 0 to 1, but has [1, 2]"),
        (GOOD.replace("[cat, dog]", "{cat: 0, dog: 1}"), "must map class numbers to names"),
        (GOOD + "nc: 3\n", "`nc: 3`"),
        (GOOD + "channels: [3]\n", "`channels: [3]`"),
        (GOOD + "channels: 1\n", "`channels: 1`"),
        (GOOD.replace("train: images/train\n", ""), "has no `train`"),
        (GOOD.replace("val: images/val\n", ""), "has no `val`"),
        (GOOD.replace("images/val", "7"), "must be a folder, a .txt file or a list of these, but is 7"),
        (GOOD.replace("images/val", "images/none"), "does not exist"),
        (GOOD.replace("images/val", "labels/val"), "`val` of"),
        (GOOD + "path: 3\n", "`path` in"),
        (GOOD + "path: .\n", "remove `path`"),
        (GOOD.replace("train: images/train", "train: [images/train, images/train]"), "more than once"),
        (GOOD.replace("images/val", "images"), "share 2 images"),
    ],
)
def test_a_faulty_yaml_is_refused_in_one_sentence_that_names_it(
    write: Write, text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(text)
    (file.parent / "below").mkdir()
    monkeypatch.chdir(file.parent / "below")
    sentence = refusal(file)
    assert expected in sentence
    assert str(file) in sentence


def test_a_folder_instead_of_the_yaml_is_refused(write: Write) -> None:
    assert "is a folder" in refusal(write().parent)


def test_a_file_that_ultralytics_would_not_open_as_yaml_is_refused(write: Write) -> None:
    file = write()
    assert "must end in .yaml or .yml" in refusal(file.rename(file.with_suffix(".txt")))


def test_an_empty_label_folder_is_refused_with_the_path_where_a_label_belongs(write: Write) -> None:
    file = write(labels=None)
    (file.parent / "labels/train").mkdir(parents=True)
    sentence = refusal(file)
    assert "no label file for any of the 2 train images" in sentence
    assert str(file.parent / "labels/train/a.txt") in sentence


def test_label_files_without_a_single_box_are_refused(write: Write) -> None:
    assert "no row in any train label file" in refusal(write(labels="\n"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0 0.5 0.5 0.2", "the row has 4"),
        ("0 0.5 0.5 0.2 0.2 0.9", "the row has 6"),
        ("0 0.1 0.1 0.5 0.1 0.5 0.5 0.3", "the row has 8"),
        ("cat 0.5 0.5 0.2 0.2", "every column must be a number"),
        ("2 0.5 0.5 0.2 0.2", "from 0 to 1 (`names` has 2), but is 2"),
        ("-1 0.5 0.5 0.2 0.2", "but is -1"),
        ("0.5 0.5 0.5 0.2 0.2", "but is 0.5"),
        ("nan 0.5 0.5 0.2 0.2", "but is nan"),
        ("0 320 240 64 64", "but one is 320"),
        ("0 0.5 1.02 0.2 0.2", "but one is 1.02"),
        ("0 0.5 0.5 -0.001 0.2", "but one is -0.001"),
        ("0 0.5 nan 0.2 0.2", "but one is nan"),
    ],
)
def test_a_faulty_label_row_is_refused_with_its_file_and_line(write: Write, row: str, expected: str) -> None:
    file = write()
    label = file.parent / "labels/train/b.txt"
    label.write_text(f"{'' if len(row.split()) > 6 else BOX}\n{row}\n")
    sentence = refusal(file)
    assert expected in sentence
    assert f"{label}, line {2 if len(row.split()) > 6 else 3}" in sentence


def test_boxes_and_polygons_in_one_file_are_refused_as_ultralytics_would_drop_the_image(write: Write) -> None:
    assert "polygon file" in refusal(write(labels=BOX + "1 0.1 0.1 0.5 0.1 0.5 0.5\n"))


def test_a_listed_image_that_does_not_exist_is_refused(write: Write) -> None:
    file = write(GOOD.replace("images/train", "train.txt"))
    (file.parent / "train.txt").write_text("./images/train/a.png\n./images/train/gone.png\n")
    assert "gone.png, which does not exist" in refusal(file)


def test_polygons_are_used_for_their_boxes_and_that_is_noted(write: Write) -> None:
    file = write(labels="1 0.1 0.1 0.5 0.1 0.5 0.5\n")
    assert DataSet.read(file).notes == ["3 label files hold polygons (segmentation); their bounding boxes are used"]
    assert DataSet.read(write()).notes == []

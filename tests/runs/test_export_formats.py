"""Exports in the formats that are deployed: written by Ultralytics, run by their own runtimes, equal to the model."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from support.hidden import run_hidden
from support.task_data import make_data, model_yaml

from gamsearch.architecture import Architecture, Placement
from gamsearch.cli.main import main
from gamsearch.errors import ModelError, OptionError, RunError
from gamsearch.models.saving import round_as_written
from gamsearch.parser.build import build
from gamsearch.runs import conversion, export_folder
from gamsearch.runs.conversion import convert
from gamsearch.runs.export_formats import FORMATS, formats_named
from gamsearch.runs.exported_files import write_weights_files
from gamsearch.runs.quantisation import Decoding
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft
from gamsearch.tasks import TASKS
from gamsearch.training.baseline import write_checkpoint
from gamsearch.training.dataset import DataSet

PLACED = (Placement(2, "GAM", (("rate", 4),)), Placement(4, "SE", (("rate", 4),)), Placement(6, "CoordAtt", ()))


def tiny(task: str, *placements: Placement):
    """A small model of a task with attention that is not the identity, and its architecture."""
    torch.manual_seed(0)
    form = model_yaml("segment" if task == "detect" else task)
    if task == "detect":
        form["head"] = [[[4, 6], 1, "Detect", ["nc"]]]
    architecture = Architecture.of("tiny", placements)
    model = build(graft(Detector.from_yaml("tiny", form), architecture).yaml, nc=2).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    round_as_written(model)
    return model, architecture


def installed(name: str) -> list:
    """A format, unless what it needs is missing here."""
    for package in FORMATS[name].packages:
        pytest.importorskip(package)
    return formats_named([name])


CASES = [("openvino", "segment"), ("openvino", "classify"), ("ncnn", "detect"), ("ncnn", "pose"), ("ncnn", "obb")]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_grafted_model_computes_the_same_in_its_runtime(name, task, tmp_path):
    model, architecture = tiny(task, *PLACED)
    _, written, modules = write_weights_files(tmp_path / "best", model, architecture, 64, installed(name))
    assert written.path == tmp_path / f"best{FORMATS[name].suffix}" and written.path.is_dir()
    assert written.difference < 1e-4 and "run at 64 px" in written.how
    assert modules.path.name == "best_modules.py"


AS_A_USER = """
from ultralytics import YOLO
for name in {names!r}:
    found = YOLO(name, task="detect").predict("picture.png", imgsz=64, conf=1e-6, save=False, verbose=False)[0]
    print(len(found.names), "classes,", len(found.boxes), "boxes")
"""


def test_exports_are_run_by_ultralytics_without_gamsearch(tmp_path):
    from PIL import Image

    model, _ = tiny("detect", *PLACED)
    write_checkpoint(model, tmp_path / "best.pt", {"imgsz": 64})
    forms = [*installed("openvino"), *installed("ncnn")]
    names = [convert(tmp_path / "best.pt", form, 64)[0].name for form in forms]
    Image.new("RGB", (64, 64), (200, 30, 90)).save(tmp_path / "picture.png")
    (tmp_path / "Arial.ttf").touch()
    printed = run_hidden(tmp_path, AS_A_USER.format(names=names), YOLO_AUTOINSTALL="false").splitlines()
    found = [line for line in printed if line.endswith("boxes")]
    assert len(found) == 2 and all(line.startswith("2 classes, ") and " 0 boxes" not in line for line in found)


def test_what_ncnn_has_no_layer_for_is_named_and_nothing_of_the_working_folder_is_deleted(tmp_path, monkeypatch, capfd):
    forms = installed("ncnn")
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    monkeypatch.chdir(here)
    (here / "debug.param").write_text("mine")  # Ultralytics' exporter deletes a file of this name
    model, architecture = tiny("detect", Placement(4, "SimAM", ()))
    with pytest.raises(ModelError, match=r"best\.pt cannot be written as ncnn \(NCNN has no layer for aten::lerp"):
        write_weights_files(there / "best", model, architecture, 64, forms)
    assert [*here.iterdir()] == [here / "debug.param"] and Path.cwd() == here
    assert capfd.readouterr() == ("", "")


def test_what_ncnn_gives_up_on_half_way_is_refused(tmp_path):
    model, architecture = tiny("detect", Placement(4, "EMA", ()))
    with pytest.raises(ModelError, match="best_ncnn_model cannot be computed by NCNN"):
        write_weights_files(tmp_path / "best", model, architecture, 64, installed("ncnn"))


def test_no_package_is_installed_by_an_exporter(tmp_path, monkeypatch):
    from ultralytics.utils import checks

    monkeypatch.setattr(checks, "AUTOINSTALL", True)  # as where Ultralytics was imported before gamsearch
    with conversion._without_installing():
        assert not checks.check_requirements("a-package-that-nobody-has")
    assert checks.AUTOINSTALL


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "onx",
            r"there is no format 'onx' \(did you mean 'onnx'\?\); --formats takes onnx, torchscript, openvino, ncnn",
        ),
        (
            "rknn",
            r"export does not write rknn: .* from the exported \.pt with `yolo export model=best\.pt format=rknn`",
        ),
        ("mnn", r"export does not write mnn: .* with `yolo export model=best\.pt format=mnn`"),
        ("executorch", "--formats executorch needs a package that is not installed: pip install executorch, or leave"),
        ("engine", "--formats engine needs an NVIDIA GPU"),
    ],
)
def test_a_format_that_cannot_be_written_here_is_refused_in_one_sentence(name, sentence):
    if name == "executorch" and find_spec("executorch"):
        pytest.skip("ExecuTorch is installed")
    if name == "engine" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(OptionError, match=sentence):
        formats_named(["onnx", name])


def test_the_command_refuses_a_format_before_anything_is_read_or_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "nothing", "--out", "out", "--formats", "onx"]) == 2
    assert "there is no format 'onx'" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_only_what_an_export_wrote_is_replaced(tmp_path):
    made, folder = tmp_path / "made", tmp_path / "out"
    made.mkdir(), folder.mkdir()
    (folder / "best.pt").write_text("mine")
    with pytest.raises(RunError, match=r"best\.pt is there already and was not written by an export here: move it"):
        export_folder.refuse_foreign(folder, ["best.yaml", "best.pt"])
    for content in ("first", "second"):
        (made / "best_ncnn_model").mkdir()
        (made / "best_ncnn_model" / content).touch()
        export_folder.refuse_foreign(folder, ["best_ncnn_model"])
        export_folder.put(made, folder, ["best_ncnn_model"], {"run": "mine", "trial": 3})
    assert [path.name for path in (folder / "best_ncnn_model").iterdir()] == ["second"]
    assert (folder / "best.pt").read_text() == "mine"
    assert export_folder.recorded(folder) == ["best_ncnn_model"]


def test_a_record_that_no_export_wrote_is_neither_believed_nor_replaced(tmp_path):
    (tmp_path / "export.json").write_text('{"files": ["best.pt"]}')
    with pytest.raises(RunError, match=r"export\.json is there already and was not written by an export here"):
        export_folder.refuse_foreign(tmp_path, ["best.onnx"])


def test_what_was_moved_before_an_export_was_interrupted_is_known_as_its_own(tmp_path):
    made, folder = tmp_path / "made", tmp_path / "out"
    made.mkdir(), folder.mkdir()
    (made / "best.pt").touch()
    with pytest.raises(RunError, match="cannot be written to"):
        export_folder.put(made, folder, ["best.pt", "missing.onnx"], {"run": "mine", "trial": 3})
    assert (folder / "best.pt").exists()
    export_folder.refuse_foreign(folder, ["best.pt", "missing.onnx"])


def test_formats_may_be_given_as_one_text_with_commas():
    assert [form.name for form in formats_named("onnx,torchscript")] == ["onnx", "torchscript"]
    assert formats_named([]) == []


def test_a_link_in_the_folder_is_replaced_and_not_followed(tmp_path):
    made, folder, other = tmp_path / "made", tmp_path / "out", tmp_path / "other.pt"
    made.mkdir(), folder.mkdir()
    other.write_text("mine")
    record = tmp_path / "mine.json"
    record.write_text("mine")
    (folder / "export.json").symlink_to(record)
    (folder / "best.pt").symlink_to(other)
    (made / "best.pt").write_text("new")
    export_folder.put(made, folder, ["best.pt"], {})
    assert record.read_text() == "mine"
    assert other.read_text() == "mine" and (folder / "best.pt").read_text() == "new"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ncnn", "int8"), "ncnn is written in fp32 and fp16, not in int8, which onnx, openvino, engine are: call it"),
        (("onnx", "int9"), r"there is no precision 'int9' \(did you mean 'int8'\?\); there are fp32, fp16, int8"),
        (("torchscript", "fp16"), "torchscript is written in fp32, not in fp16, which openvino, ncnn, engine are"),
    ],
)
def test_a_precision_that_a_format_does_not_have_is_refused_in_one_sentence(words, sentence):
    for package in FORMATS[words[0]].packages:
        pytest.importorskip(package)
    with pytest.raises(OptionError, match=sentence):
        formats_named(*words)


def test_int8_of_openvino_names_the_package_that_it_needs():
    pytest.importorskip("openvino")
    if find_spec("nncf"):
        pytest.skip("NNCF is installed")
    with pytest.raises(OptionError, match=r"not installed: pip install 'gamsearch\[openvino-int8\]', or leave it out"):
        formats_named("openvino", "int8")


def test_what_is_quantised_is_all_but_the_decoding_of_the_head():
    head = Decoding(6, False)
    decodes = ["/model.6/dfl/conv/Conv", "/model.6/Concat_3", "/model.6/Sigmoid"]
    computes = ["/model.6/cv2.0/cv2.0.0/conv/Conv", "/model.6/one2one_cv3.0/Conv", "/model.4/dfl/Conv", "Relu"]
    assert [head.holds(name) for name in (*decodes, *computes)] == [True] * 3 + [False] * 4
    assert Decoding(6, True).holds("/model.6/cv2.0/Conv")


CASES_BY_PRECISION = [("onnx", "int8", "segment"), ("onnx", "int8", "classify"), ("openvino", "fp16", "obb")]


@pytest.mark.parametrize(("name", "precision", "task"), CASES_BY_PRECISION)
def test_a_smaller_precision_is_a_smaller_file_near_the_model_with_an_accuracy_of_its_own(
    name, precision, task, tmp_path
):
    installed(name)
    model, architecture = tiny(task, *PLACED)
    data = DataSet.read(make_data(task, tmp_path / "data", side=64), TASKS[task])
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    forms = formats_named(name, ["fp32", precision])
    checkpoint, whole, small, _ = write_weights_files(tmp_path / "best", model, architecture, 64, forms, data, True)
    assert small.path == tmp_path / f"best_{precision}{FORMATS[name].ending}"
    assert size(small.path) < size(whole.path)
    assert whole.difference < 1e-4 and small.difference < 0.5
    assert (small.difference > 1e-4) == (precision == "int8")  # the weights are those of a checkpoint, in fp16
    assert whole.metrics == pytest.approx(checkpoint.metrics, abs=1e-3) and small.metrics.keys() == whole.metrics.keys()
    assert TASKS[task].primary in small.metrics and "at 64 px" in small.line
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def size(path: Path) -> int:
    return sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*.*")))

"""Checkpoints, run folders and data sets from elsewhere: nothing in them runs, and nothing is fetched unasked."""

import json
import os
import re
import shutil
import socket
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from support.paths import ROOT
from support.verified_records import complete

from gamsearch.cli.main import main
from gamsearch.errors import ModelError, OptionError, RunError
from gamsearch.files import refuse_links
from gamsearch.models.checkpoint import load_checkpoint, open_checkpoint
from gamsearch.parser.build import build
from gamsearch.reporting.html_page import page
from gamsearch.reporting.tables import write_csv
from gamsearch.runs.export_choice import chosen, weights_of
from gamsearch.runs.export_header import header
from gamsearch.space.detector import Detector
from gamsearch.study import store
from gamsearch.study.storages import configure_storage
from gamsearch.study.table import read_record
from gamsearch.training import resume
from gamsearch.training.baseline import read_baseline, read_model, start_model, write_checkpoint
from gamsearch.training.recipe import check_overrides

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
SMALL = ["--epochs", "1", "--baseline-epochs", "1", "--imgsz", "64", "--batch", "4", "--noise-seeds", "1"]
YOLOV8N = Detector.load("yolov8n")


class Payload:
    """Leaves a file where it is unpickled."""

    def __init__(self, place: Path):
        self.code = f"import pathlib; pathlib.Path({str(place)!r}).touch()"

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.code,)


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """The file that a payload leaves when it runs."""
    return tmp_path / "ran"


def detector() -> Any:
    return start_model(YOLOV8N, None, {0: "a", 1: "b"}, 0)


# ── checkpoints ───────────────────────────────────────────────────────────────────────────────────────────────────────


def same(one: Any, other: Any) -> bool:
    """Whether two models have the same tensors, names and output."""
    ours, theirs = one.state_dict(), other.state_dict()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        equal = torch.equal(one.eval()(image)[0], other.eval()(image)[0])
    return equal and ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("name", ["yolov8n.yaml", "yolo11n.yaml"])
def test_what_ultralytics_saved_opens_without_trust_and_is_what_ultralytics_opens(tmp_path, name):
    from ultralytics import YOLO

    YOLO(name).save(tmp_path / "stock.pt")
    ours = open_checkpoint(tmp_path / "stock.pt")
    assert same(ours, load_checkpoint(tmp_path / "stock.pt"))
    assert ours.names[0] == "0" or ours.names == load_checkpoint(tmp_path / "stock.pt").names


def test_a_head_that_ultralytics_widened_comes_back_as_wide(tmp_path):
    from ultralytics import YOLO

    YOLO("yolov8n.yaml").save(tmp_path / "eighty.pt")
    stock, weights = read_model(str(tmp_path / "eighty.pt"))
    write_checkpoint(start_model(stock, weights, {0: "a", 1: "b"}, 0), tmp_path / "two.pt", {})
    ours = read_baseline(tmp_path / "two.pt")
    assert same(ours, load_checkpoint(tmp_path / "two.pt"))
    assert ours.names == {0: "a", 1: "b"} and ours.model[-1].nc == 2


def test_nothing_in_a_checkpoint_besides_its_tensors_is_run_or_kept(tmp_path, ran):
    model = detector()
    model.extra = Payload(ran)
    model.model[0].register_forward_hook(print)
    torch.save({"model": model, "train_args": {}, "more": Payload(ran)}, tmp_path / "model.pt")
    opened = open_checkpoint(tmp_path / "model.pt")
    assert not ran.exists()
    assert not opened.model[0]._forward_hooks and not hasattr(opened, "extra")
    assert same(opened, detector())


def test_the_yaml_in_a_checkpoint_cannot_run_code(tmp_path, ran):
    model = detector()
    model.yaml["activation"] = f"nn.SiLU(__import__('pathlib').Path({str(ran)!r}).touch())"
    torch.save({"model": model}, tmp_path / "model.pt")
    with pytest.raises(ModelError, match="activation must be like"):
        open_checkpoint(tmp_path / "model.pt")
    assert not ran.exists()


def test_only_trust_opens_what_cannot_be_inspected(tmp_path):
    torch.save({"model": detector()}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match="running code that is in it .* --trust-checkpoint"):
        open_checkpoint(tmp_path / "old.pt")
    assert same(open_checkpoint(tmp_path / "old.pt", trust=True), detector())


def test_every_command_needs_to_be_given_trust_again(tmp_path, tiny_data, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": detector()}, "old.pt", _use_new_zipfile_serialization=False)
    words = ["run", "--data", str(tiny_data), "--model", "old.pt", "--baseline-epochs", "0", "--name", "old"]
    assert main(words) == 2 and "--trust-checkpoint" in capsys.readouterr().err
    assert main([*words, "--trust-checkpoint"]) == 2 and "knows 2 classes" in capsys.readouterr().err
    assert not list(Path("results").rglob(store.JOURNAL))


def test_the_safe_globals_of_torch_are_left_unchanged(tmp_path):
    torch.save({"model": detector()}, tmp_path / "model.pt")
    before = list(torch.serialization.get_safe_globals())
    open_checkpoint(tmp_path / "model.pt")
    assert set(map(str, torch.serialization.get_safe_globals())) == set(map(str, before))


def test_the_checkpoint_of_an_interrupted_training_is_not_unpickled(tmp_path, ran):
    torch.save({**dict.fromkeys(resume.KEPT, 1), "more": Payload(ran)}, tmp_path / "kept.pt")
    assert resume.read(tmp_path / "kept.pt", 1) is None
    torch.save(dict.fromkeys(resume.KEPT, 1), tmp_path / "kept.pt")
    kept = resume.read(tmp_path / "kept.pt", 1)
    assert kept is not None
    with pytest.raises(RunError, match="does not fit"):
        resume.restore(types.SimpleNamespace(model=detector()), kept)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["resume", "model", "pretrained", "cfg", "distill_model", "project"])
def test_recorded_training_arguments_cannot_name_files_that_are_unpickled(name):
    with pytest.raises(OptionError, match=name):
        check_overrides({name: "evil.pt"})


# ── a whole run ───────────────────────────────────────────────────────────────────────────────────────────────────────


class NetworkError(AssertionError):
    """Somebody asked for the network."""


@pytest.fixture(scope="module")
def attempts() -> list[Any]:
    """The connections and look-ups that were tried."""
    return []


@pytest.fixture(scope="module")
def offline(attempts):
    """Sockets that refuse to connect and names that cannot be looked up."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        attempts.append(arguments)
        raise NetworkError(arguments)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, refuse)
        for name in ("create_connection", "getaddrinfo", "gethostbyname"):
            patch.setattr(socket, name, refuse)
        yield


@pytest.fixture(scope="module")
def finished(offline, tiny_data: Path, tmp_path_factory) -> Path:
    """A tiny run that was trained, reported and exported without the network."""
    home = tmp_path_factory.mktemp("offline")
    shutil.copytree(tiny_data.parent, home / "data")
    words = ["--data", str(home / "data" / tiny_data.name), "--space", "gam-demo", "--trials", "1", *SMALL]
    assert main(["run", *words, "--out", str(home / "results"), "--name", "one"]) == 0
    return home / "results" / "one"


def test_a_run_its_report_its_status_and_its_export_need_no_network(finished):
    assert main(["report", str(finished)]) == 0
    assert main(["status", str(finished)]) == 0
    assert main(["export", str(finished), "--trial", "0"]) == 0
    assert (finished / "export" / "trial-0.onnx").is_file()


@pytest.fixture
def shared(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run as somebody else may have passed it on."""
    shutil.copytree(finished, tmp_path / "results" / "one")
    return tmp_path / "results" / "one"


def test_payloads_in_a_run_folder_are_not_run(shared, ran, capsys):
    torch.save({"model": Payload(ran)}, shared / "baseline" / "baseline.pt")
    for file in (shared / "weights").glob("*.pt"):
        torch.save(Payload(ran), file)
    assert main(["report", str(shared)]) == 0
    for command in (["export", str(shared), "--trial", "0"], ["run", "--out", str(shared.parent), "--name", "one"]):
        assert main(command) == 2
        assert "baseline.pt" in capsys.readouterr().err
    (shared / "baseline" / "baseline.pt").unlink()
    torch.save({**dict.fromkeys(resume.KEPT, 1), "more": Payload(ran)}, shared / "baseline" / "kept.pt")
    assert main(["run", "--out", str(shared.parent), "--name", "one"]) in (0, 2)
    assert not ran.exists()


def test_code_in_a_recorded_detector_is_not_run(shared, ran, capsys):
    yaml = {**YOLOV8N.yaml, "activation": f"__import__('pathlib').Path({str(ran)!r}).touch()"}
    line = {"op_code": 2, "worker_id": "x", "study_id": 0, "user_attr": {"detector": {"name": "yolov8n", "yaml": yaml}}}
    with (shared / store.JOURNAL).open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert main(["report", str(shared)]) == 0
    assert main(["export", str(shared), "--trial", "0"]) == 2 and "activation" in capsys.readouterr().err
    assert not ran.exists()


# ── what a reader opens ───────────────────────────────────────────────────────────────────────────────────────────────

SCRIPT = "<script>alert(1)</script>"


def test_no_text_from_a_study_acts_as_a_command_in_html_csv_or_a_terminal(finished, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    text = (finished / store.JOURNAL).read_text()
    text = re.sub(r'"label":"GAM[^"]*"', f'"label":"=cmd|{SCRIPT}\\\\u001b[2J"', text)
    (folder / store.JOURNAL).write_text(text)
    odd = {f"{SCRIPT}": SCRIPT, "hardware": SCRIPT, "storage": "postgresql://me:secret@host/db", "command": SCRIPT}
    before = store.snapshot(folder).user_attrs["settings"]
    for name, value in {"settings": {**before, **odd}, "baseline_stage": {SCRIPT: SCRIPT}}.items():
        line = {"op_code": 2, "worker_id": "x", "study_id": 0, "user_attr": {name: value}}
        with (folder / store.JOURNAL).open("a") as file:
            file.write(json.dumps(line) + "\n")
    record = read_record(store.snapshot(folder), SCRIPT)
    written = page(record)
    assert SCRIPT not in written and "alert(1)" in written
    assert "secret" not in written
    assert (
        record.trials["label"].str.startswith("'=cmd").any()
        and "\x1b" not in write_csv(record, tmp_path / "trials.csv").read_text()
    )


def test_a_link_within_the_run_is_accepted(tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "latest").symlink_to("export")
    refuse_links(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a.pt").symlink_to("../../a.pt")
    with pytest.raises(RunError, match="a link out of"):
        refuse_links(tmp_path)


# ── what a review found ───────────────────────────────────────────────────────────────────────────────────────────────


def small(row: list[Any], **more: Any) -> dict[str, Any]:
    """A detector of one row between a convolution and a head."""
    rows = [[-1, 1, "Conv", [8, 3, 2]], row]
    return {"nc": 1, "backbone": rows, "head": [[[0], 1, "Detect", ["nc"]]], **more}


@pytest.mark.parametrize(
    ("yaml", "says"),
    [
        (small([-1, 1, "TorchVision", [8, "lraspp_mobilenet_v3_large", None]]), "names no classification model"),
        (small([-1, 1, "Conv", [8, "a b"]]), "cannot be built"),
        (small([-1, 1, "nn.MultiheadAttention", [7, 2]]), "cannot be built"),
        (small([-1, 1, "nn.Linear", ["70000", "1"]]), "beyond 65536"),
        (small([-1, 1, "nn.LayerNorm", [[70000]]]), "beyond 65536"),
        (small([-1, 5, "nn.Identity", []], scales={"n": [60, 0.25, 64]}, scale="n"), "scales must be"),
        (small([-1, 1, "nn.Identity", []], depth_multiple=1e9), "depth_multiple must be"),
        (small([-1, 1, "nn.Identity", []], reg_max=10**6), "reg_max must be"),
    ],
)
def test_a_model_yaml_that_would_download_or_exhaust_memory_is_refused(offline, yaml, says):
    with pytest.raises(ModelError, match=says):
        build(yaml, nc=1)


def test_a_checkpoint_whose_modules_multiply_when_traversed_is_refused(tmp_path):
    inner: Any = torch.nn.Identity()
    for _ in range(40):  # 2^40 modules in a file of a few kilobytes
        outer = torch.nn.Identity()
        outer.add_module("a", inner)
        outer.add_module("b", inner)
        inner = outer
    model = detector()
    model.model = inner
    torch.save({"model": model}, tmp_path / "c.pt")
    with pytest.raises(ModelError, match="more than 100000 modules"):
        open_checkpoint(tmp_path / "c.pt")


def test_a_checkpoint_with_endless_classes_is_refused(tmp_path):
    model = detector()
    model.yaml["nc"] = float("inf")
    torch.save({"model": model}, tmp_path / "c.pt")
    with pytest.raises(ModelError):
        open_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize("name", ["workers", "workers/1.log", "storage.json"])
def test_no_file_outside_the_folder_is_written_through_a_link(tmp_path, name):
    run, victim = tmp_path / "run", tmp_path / "victim"
    (run / name).parent.mkdir(parents=True)
    (run / name).symlink_to(victim)
    with pytest.raises(RunError, match="link out of the run's folder"):
        refuse_links(run)
    with pytest.raises(RunError, match="link out of the run's folder"):
        configure_storage(run, f"sqlite:///{tmp_path}/x.db", "run")
    assert not victim.exists()


def test_a_received_folder_never_causes_a_connection(tmp_path, capsys):
    outside = tmp_path / "outside.db"
    (tmp_path / "got").mkdir()
    (tmp_path / "got" / "storage.json").write_text(json.dumps({"storage": f"sqlite:///{outside}", "study": "x"}))
    for command in ("status", "report", "export", "verify"):
        assert main([command, str(tmp_path / "got")]) == 2
        assert "if that storage is yours" in capsys.readouterr().err
    assert main(["worker", str(tmp_path / "got")]) == 2
    assert not outside.exists()


def test_text_from_a_study_stays_in_the_comments_of_an_exported_yaml(tmp_path):
    evil = "cpu\u2028activation: evil()\u2029# \x85scale: x\nscale: y"
    held = complete()
    settings = {**held.settings, "hardware": evil, "data": evil, "train": {evil: evil}}
    held = replace(held, settings=settings, name=evil, detector_name=evil)
    choice = chosen(held, trial=1)
    lines = header(held, choice, weights_of(tmp_path, held, choice.row), (Path("a.yaml"), Path("a.pt")))
    text = "".join(f"# {line}\n" for line in lines) + "nc: 1\n"
    assert yaml.safe_load(text) == {"nc": 1}


@pytest.mark.parametrize("argument", [{"plots": True}, {"cache": "disk"}, {"save_json": True}])
def test_training_arguments_cannot_write_beside_the_images_or_plot(argument):
    with pytest.raises(OptionError):
        check_overrides(argument)


def test_a_training_downloads_no_font(finished, attempts):
    """Ultralytics swallows the error of a failed look-up, so attempts are counted."""
    assert attempts == []

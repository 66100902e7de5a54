"""The manifest of a run, and the run that it repeats."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from gamsearch.cli.main import main
from gamsearch.errors import RunError
from gamsearch.runs import demo, manifest, provenance, repeat
from gamsearch.runs.digits import MARKER
from gamsearch.runs.manifest import Manifest
from gamsearch.runs.settings import Settings
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace, shipped_spaces
from gamsearch.study import store
from gamsearch.study.table import trial_table
from gamsearch.training.dataset import DataSet

REPLAY = ["run", "--evaluator", "replay", "--sampler", "tpe", "--trials", "8"]
SMALL = ["--imgsz", "64", "--batch", "4", "--epochs", "1", "--baseline-epochs", "1", "--noise-seeds", "1"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """The folder of a finished replay; not to be written into."""
    home = tmp_path_factory.mktemp("original")
    with inside(home):
        assert main([*REPLAY, "--name", "a"]) == 0
    return home / "results" / "a"


@pytest.fixture
def replayed(original: Path, here: Path) -> Path:
    """The folder of a finished replay called `a`, in the folder where the test is."""
    return Path(shutil.copytree(original, here / "results" / "a"))


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def content(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "manifest.yaml").read_text(encoding="utf-8"))


def edited(folder: Path, **changes: Any) -> Path:
    """A copy of a run's manifest with other values, `a__b` for nested keys, in a file of its own."""
    known = content(folder)
    for key, value in changes.items():
        *outer, last = key.split("__")
        place = known
        for name in outer:
            place = place[name]
        place[last] = value
    path = folder.parent / "edited.yaml"
    path.write_text(yaml.safe_dump(known), encoding="utf-8")
    return path


def refused(capsys, *words: str) -> str:
    """Run a command that must be refused; return its one sentence."""
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("gamsearch: ")
    return lines[0]


def trials(folder: Path) -> pd.DataFrame:
    return trial_table(store.load(folder))


# -- what is written ----------------------------------------------------------------------------------------------


def test_a_run_leaves_a_manifest_with_all_that_made_it(replayed: Path):
    known = content(replayed)
    assert known["settings"]["trials"] == 8 and known["settings"]["space"] == "gam-small"
    assert set(known["fingerprints"]) == {"space", "table", "rungs"}
    assert known["seeds"] == {"search": 0, "baseline": [0, 1]}
    assert {"gamsearch", "python", "torch", "ultralytics", "optuna"} <= set(known["versions"])
    assert {"os", "cpu", "cores"} <= set(known["machine"])
    assert known["space"]["content"]["attention"] == {"GAM": {"rate": [16, 4]}}
    assert known["detector"]["yaml"]["backbone"][0] == [-1, 1, "Conv", [64, 3, 2]]


def test_resuming_leaves_the_manifest_as_it_is(replayed: Path):
    before = (replayed / "manifest.yaml").read_bytes()
    assert main(["run", "--name", "a", "--trials", "10"]) == 0
    assert (replayed / "manifest.yaml").read_bytes() == before


def test_resuming_adds_what_was_not_known(replayed: Path):
    known = content(replayed)
    del known["fingerprints"]["table"], known["seeds"]
    (replayed / "manifest.yaml").write_text(yaml.safe_dump(known | {"command": "mine"}), encoding="utf-8")
    assert main(["run", "--name", "a"]) == 0
    assert content(replayed)["command"] == "mine"
    assert {"seeds", "fingerprints"} <= set(content(replayed)) and "table" in content(replayed)["fingerprints"]


def test_a_run_from_before_manifests_gets_one_without_the_surroundings_of_today(replayed: Path):
    (replayed / "manifest.yaml").unlink()
    assert main(["run", "--name", "a"]) == 0
    assert not {"versions", "machine", "commit", "written"} & set(content(replayed))
    assert content(replayed)["settings"]["trials"] == 8


def test_passwords_in_urls_are_masked(tmp_path: Path):
    settings = Settings(name="a", data="https://ada:secret@host/data.yaml", evaluator="replay", table="bccd")
    url = "python -m gamsearch run --storage postgresql://ada:secret@db/x"
    study = {"settings": {"command": url}, "fingerprints": {}, "detector": {}}
    manifest.keep(tmp_path, manifest.facts(settings, SearchSpace.load("gam"), study, 1), resumed=False)
    text = (tmp_path / "manifest.yaml").read_text(encoding="utf-8")
    assert "secret" not in text and "ada:***@db" in text


@pytest.mark.parametrize("name", shipped_spaces())
def test_every_shipped_space_can_be_restored_from_its_content(name: str, tmp_path: Path):
    space = SearchSpace.load(name)
    manifest.write_yaml(tmp_path / f"{space.detector.name}.yaml", space.detector.yaml)
    manifest.write_yaml(tmp_path / f"{name}.yaml", manifest.space_content(space))
    restored = SearchSpace.load(tmp_path / f"{name}.yaml")
    assert (restored.name, restored.fingerprint) == (space.name, space.fingerprint)


def test_a_space_with_everything_in_it_can_be_restored(tmp_path: Path):
    rich = """
    detector: yolov8n
    sites: [15]
    semantics: branch
    attention: {GAM: {rate: [4, 16], groups: [1, 4]}}
    rules: {max_modules: 2}
    limits: {params_m: +20%, gflops: 12.5}
    objectives: [map50, params_m]
    """
    (tmp_path / "rich.yaml").write_text(rich)
    space = SearchSpace.load(tmp_path / "rich.yaml")
    manifest.write_yaml(tmp_path / "again" / "yolov8n.yaml", space.detector.yaml)
    manifest.write_yaml(tmp_path / "again" / "rich.yaml", manifest.space_content(space))
    assert SearchSpace.load(tmp_path / "again" / "rich.yaml").fingerprint == space.fingerprint


# -- where a run takes place --------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_the_commit_is_that_of_the_checkout_and_says_when_it_was_changed(tmp_path: Path):
    assert provenance.commit(tmp_path) is None
    git(tmp_path, "init")
    assert provenance.commit(tmp_path) is None  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "a")
    clean = provenance.commit(tmp_path)
    assert clean is not None and len(clean) == 40
    (tmp_path / "a").write_text("2")
    assert provenance.commit(tmp_path) == f"{clean}-dirty"


def test_without_git_there_is_no_commit_and_no_error(tmp_path: Path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert provenance.commit(tmp_path) is None


def test_the_processor_is_named_also_where_linux_does_not_tell(tmp_path: Path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Some CPU 3000\n")
    assert provenance.processor(tmp_path / "cpuinfo") == "Some CPU 3000"
    assert provenance.processor(tmp_path / "none")


# -- repeating ----------------------------------------------------------------------------------------------------


def test_a_replay_is_repeated_to_the_last_trial(replayed: Path, capsys):
    assert main(["run", "--from", "results/a/manifest.yaml"]) == 0
    again = replayed.parent / "a-again"
    pd.testing.assert_frame_equal(trials(replayed), trials(again))
    first, second = content(replayed), content(again)
    assert second["repeats"] == {"name": "a", "written": first["written"]}
    same = {**first["settings"], "name": "a-again"}
    assert second["settings"] == same and second["fingerprints"] == first["fingerprints"]


def test_another_name_and_folder_are_taken_and_the_same_command_goes_on(replayed: Path, here: Path, capsys):
    words = ["run", "--from", "results/a", "--name", "b", "--out", "elsewhere"]
    assert main(words) == 0
    assert "differs from results/a/manifest.yaml: " in capsys.readouterr().out
    assert len(trials(here / "elsewhere" / "b")) == len(trials(replayed))
    assert main(words) == 0
    assert "(resumed)" in capsys.readouterr().out


def test_what_differs_is_said_line_by_line(replayed: Path, capsys):
    path = edited(replayed, versions__torch="1.0", machine__cpu="Z80\x1b[2J", commit="abc", fingerprints__rungs="(1,)")
    assert main(["run", "--from", str(path)]) == 0
    said = capsys.readouterr().out
    for start in ("torch: 1.0 then, ", "cpu: Z80?[2J then, ", "commit: abc then, ", "rungs (fingerprint): (1,) then, "):
        assert f"differs from {path}: {start}" in said
    assert "\x1b" not in said


def test_nothing_differs_from_a_run_of_the_same_surroundings(replayed: Path):
    origin = Manifest.read(replayed)
    lines = repeat.differences(origin, origin.content)
    assert [line for line in lines if not line.startswith("commit: the checkout has uncommitted changes")] == []


def test_a_lost_space_file_and_a_changed_one_are_taken_from_the_manifest(here: Path, capsys):
    text = "detector: yolov8n\nsites: [4, 9]\nattention: {GAM: {rate: [4, 16]}}\nrules: {max_modules: 1}\n"
    (here / "mine.yaml").write_text(text)
    assert main([*REPLAY, "--space", "mine.yaml", "--name", "a"]) == 0
    for change in (lambda: (here / "mine.yaml").write_text(text.replace("[4, 9]", "[4]")), (here / "mine.yaml").unlink):
        change()
        capsys.readouterr()
        shutil.rmtree(here / "results" / "a-again", ignore_errors=True)
        assert main(["run", "--from", "results/a/manifest.yaml"]) == 0
        assert "the search space mine.yaml is lost or has changed; taken from the manifest" in capsys.readouterr().out
        pd.testing.assert_frame_equal(trials(here / "results" / "a"), trials(here / "results" / "a-again"))


def test_a_lost_model_yaml_is_taken_from_the_manifest(replayed: Path, here: Path):
    yaml_of = Detector.load("yolov8n").yaml
    path = edited(replayed, settings__evaluator="training", settings__model="gone/yolov8n.yaml", detector__yaml=yaml_of)
    settings, said = repeat.repeated(Manifest.read(path), {}, lambda folder: None)
    assert len(said) == 1 and "gone/yolov8n.yaml" in said[0]
    assert Detector.load(settings.model).yaml == yaml_of


def test_demonstration_data_is_drawn_anew(replayed: Path, tiny_data: Path, here: Path):
    drawn = demo.parameters_of(str(tiny_data))
    assert drawn is not None and drawn["train"] == 12
    path = edited(replayed, data={"drawn": drawn}, settings__data="gone/data.yaml")
    settings, _ = repeat.repeated(Manifest.read(path), {}, lambda folder: None)
    assert settings.data == "results/a-again/data/data.yaml"
    assert DataSet.read(settings.data).fingerprint == DataSet.read(tiny_data).fingerprint


# -- a real training ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tiny_data: Path, tmp_path_factory) -> tuple[Path, Path]:
    """A run on data of its own, and its repetition with the data moved away; both real trainings."""
    home = tmp_path_factory.mktemp("trained")
    shutil.copytree(tiny_data.parent, home / "mine", ignore=shutil.ignore_patterns(MARKER, "*.cache"))
    with inside(home):
        words = ["--data", "mine/data.yaml", "--space", "gam-demo", "--trials", "2", *SMALL]
        assert main(["run", *words, "--device", "cpu", "--name", "first"]) == 0
        shutil.move(home / "mine", home / "moved")
        assert main(["run", "--from", "results/first/manifest.yaml", "--data", "moved/data.yaml"]) == 0
    return home / "results" / "first", home / "results" / "first-again"


def test_the_first_trials_are_repeated_bit_for_bit(trained: tuple[Path, Path]):
    """After one epoch of so little data the mAP is 0.0 whatever the seed, so the trained weights are compared too."""
    first, again = (trials(folder) for folder in trained)
    for column in ("key", "map50_95", "map50", "params_m", "gflops", "curve"):
        assert first[column].head(3).tolist() == again[column].head(3).tolist(), column
    assert first["label"][0] == "baseline" and (first["state"].head(3) == "complete").all()
    for key in first["key"].head(3):
        ours, theirs = (torch.load(folder / "weights" / f"{key}-seed0.pt", weights_only=True) for folder in trained)
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours), key


def test_the_manifest_of_a_training_says_on_what_and_where(trained: tuple[Path, Path]):
    first, again = (content(folder) for folder in trained)
    assert first["data"]["summary"].startswith("data.yaml: 12 train and 6 val images, 10 classes")
    assert "drawn" not in first["data"]
    assert {"data", "device", "space", "baseline weights"} <= set(first["fingerprints"])
    assert first["machine"]["threads"] >= 1 and "CPU" in first["machine"]["device"]
    assert again["settings"]["data"] == "moved/data.yaml"


def test_other_data_is_refused_before_anything_is_trained(trained: tuple[Path, Path], here: Path, capsys):
    home = trained[0].parents[1]
    shutil.copytree(home / "moved", here / "other", ignore=shutil.ignore_patterns("*.cache"))
    label = sorted((here / "other").rglob("*.txt"))[0]
    label.write_text(label.read_text() + "0 0.5 0.5 0.1 0.1\n")
    words = ["run", "--from", str(trained[0]), "--data", "other/data.yaml"]
    assert "the data set is not that of" in refused(capsys, *words)
    assert not list((here / "results").rglob(store.JOURNAL))


def test_other_weights_are_refused(here: Path):
    (here / "mine.pt").write_bytes(b"one")
    space = SearchSpace.load("gam")
    settings = Settings(name="a", model="mine.pt")
    before = manifest.fingerprints(settings, space)
    (here / "mine.pt").write_bytes(b"two")
    origin = Manifest(here / "manifest.yaml", {"fingerprints": before, "settings": {}})
    with pytest.raises(RunError, match="the weights of --model are not those of"):
        repeat.refuse_other_inputs(origin, manifest.fingerprints(settings, space))


# -- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["--epochs", "3"], ["--train", "lr0=0.1"], ["--seed", "0"], ["--objectives", "map50"], ["--model", "x"]]
)
def test_other_options_do_not_go_with_from(replayed: Path, capsys, words: list[str]):
    sentence = refused(capsys, "run", "--from", "results/a", *words)
    assert f"so {words[0]} cannot be combined with it; only --name, --out, --data, --device can" in sentence


def test_the_originals_folder_is_not_written_into(replayed: Path, here: Path, capsys):
    before = (replayed / store.JOURNAL).read_bytes()
    (here / "linked").symlink_to(here / "results")
    assert "original's folder" in refused(capsys, "run", "--from", "results/a", "--name", "a")
    assert "original's folder" in refused(capsys, "run", "--from", "results/a", "--name", "a", "--out", "linked")
    shutil.copy(replayed / "manifest.yaml", here / "copied.yaml")
    assert "holds another run" in refused(capsys, "run", "--from", "copied.yaml", "--name", "a")
    (replayed / "manifest.yaml").unlink()
    assert "holds another run" in refused(capsys, "run", "--from", "copied.yaml", "--name", "a")
    assert (replayed / store.JOURNAL).read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold a mapping"),
        ("- 1\n", "must hold a mapping"),
        ("a: [1\n", "at line 2"),
        ("manifest: 1\nx: !!python/object/apply:os.system [echo]\n", "no plain YAML"),
        ("a: &a [x, x]\nb: [*a, *a]\n", "alias"),
        ("[" * 50_000, "nested too deeply"),
        ("- " * 50_000, "nested too deeply"),
        ("{a: " * 50_000, "nested too deeply"),
        ("a: " + "x" * (1 << 20), "larger than 1 MiB"),
        ("detector: yolov8n\nsites: stages\n", "must say 'manifest: 1'"),
        ("manifest: 2\n", "must say 'manifest: 1'"),
        ("manifest: 1\nsettings: {}\n", "lacks the key 'fingerprints'"),
        ("manifest: 1\nsetings: {}\n", "did you mean 'settings'"),
        ("manifest: 1\nsettings: []\n", "key 'settings': must be a mapping"),
        ("\x00", "no plain YAML"),
    ],
    ids=lambda value: value[:20],
)
def test_a_file_that_is_no_manifest(here: Path, capsys, text: str, said: str):
    (here / "manifest.yaml").write_text(text)
    assert said in refused(capsys, "run", "--from", "manifest.yaml")
    assert os.listdir(here) == ["manifest.yaml"]


def test_a_manifest_that_is_not_there_is_no_file_or_is_no_text(here: Path, capsys):
    assert "does not exist" in refused(capsys, "run", "--from", "none.yaml")
    assert "does not exist" in refused(capsys, "run", "--from", ".")
    os.mkfifo(here / "pipe")
    assert "is no file" in refused(capsys, "run", "--from", "pipe")
    (here / "binary.yaml").write_bytes(b"\xff\xfe\xfd")
    assert "not text in UTF-8" in refused(capsys, "run", "--from", "binary.yaml")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings__name": "../elsewhere"}, "settings.name"),
        ({"settings__name": ["a"]}, "settings.name"),
        ({"settings__trials": "many"}, "key 'settings.trials': must be a whole number"),
        ({"settings__trials": True}, "settings.trials"),
        ({"settings__trials": 10**4000}, "settings.trials"),
        ({"settings__trials": -1}, "--trials must be at least 1"),
        ({"settings__imgsz": 100}, "--imgsz"),
        ({"settings__storage": "x"}, "settings.storage"),
        ({"settings__stoping": "off"}, "did you mean 'stopping'"),
        ({"settings__objectives": "map50"}, "settings.objectives"),
        ({"settings__objectives": [1]}, "settings.objectives"),
        ({"settings__train": {"project": "/tmp"}}, "use --out"),
        ({"settings__train": {"lr0": {"a": 1}}}, "settings.train"),
        ({"settings__train": {"lr0": "\x1b[2J"}}, "settings.train"),
        ({"settings__evaluator": "magic"}, "there is no evaluator 'magic'"),
        ({"settings__table": "gone.json"}, "gone.json"),
        ({"settings__table": "/dev/zero"}, "must name a file"),
        ({"space__name": "../../evil"}, "space.name"),
        ({"space__name": "a\\b"}, "space.name"),
        ({"space__content": 3}, "space.content"),
        ({"detector__name": "/etc/x"}, "detector.name"),
        ({"detector__yaml": None}, "detector.yaml"),
        ({"detector__yaml": {"activation": "__import__('os').system('echo')"}}, "detector.yaml.activation"),
        ({"fingerprints__table": "0" * 12}, "the table is not that of"),
        ({"fingerprints__space": "0" * 12}, "the search space is not that of"),
        ({"fingerprints__table": [1]}, "key 'fingerprints'"),
        ({"data": {"drawn": {"train": 5}}}, "data.drawn"),
        (
            {"data": {"drawn": {"form": 1, "train": 10**9, "val": 1, "imgsz": 64, "seed": 0}}},
            "data.drawn.train",
        ),
        ({"surprise": 1}, "key 'surprise': unknown"),
    ],
    ids=str,
)
def test_a_manifest_that_says_what_cannot_be(replayed: Path, here: Path, capsys, changes: dict[str, Any], said: str):
    path = edited(replayed, **changes)
    assert said in refused(capsys, "run", "--from", str(path))
    assert not (here / "results" / "a-again" / store.JOURNAL).exists()
    assert sorted(os.listdir(here)) == ["results"]


def test_a_broken_manifest_does_not_lose_the_run(replayed: Path, capsys):
    (replayed / "manifest.yaml").write_text("[")
    sentence = refused(capsys, "run", "--name", "a", "--trials", "9")
    assert "delete it and the run continues" in sentence
    (replayed / "manifest.yaml").unlink()
    assert main(["run", "--name", "a", "--trials", "9"]) == 0

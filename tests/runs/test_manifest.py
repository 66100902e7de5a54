"""The manifest that a run writes, and files that are not manifests."""

import os
from pathlib import Path

import pytest
import yaml
from support.manifests import content, refused

from gamsearch.cli.main import main
from gamsearch.runs import manifest
from gamsearch.runs.settings import Settings
from gamsearch.runs.space_content import recorded_content
from gamsearch.space.search_space import SearchSpace, shipped_spaces


def test_a_run_writes_a_manifest_with_everything_that_determined_it(replayed: Path):
    known = content(replayed)
    assert known["settings"]["trials"] == 8 and known["settings"]["space"] == "gam-small"
    assert set(known["fingerprints"]) == {"space", "table", "rungs"}
    assert known["seeds"] == {"search": 0, "baseline": [0, 1]}
    assert {"gamsearch", "python", "torch", "ultralytics", "optuna"} <= set(known["versions"])
    assert {"os", "cpu", "cores"} <= set(known["machine"])
    assert known["space"]["content"]["attention"] == {"GAM": {"rate": [16, 4]}}
    assert known["detector"]["yaml"]["backbone"][0] == [-1, 1, "Conv", [64, 3, 2]]


def test_resuming_does_not_change_the_manifest(replayed: Path):
    before = (replayed / "manifest.yaml").read_bytes()
    assert main(["run", "--name", "a", "--trials", "10"]) == 0
    assert (replayed / "manifest.yaml").read_bytes() == before


def test_resuming_adds_missing_entries(replayed: Path):
    known = content(replayed)
    del known["fingerprints"]["table"], known["seeds"]
    (replayed / "manifest.yaml").write_text(yaml.safe_dump(known | {"command": "mine"}), encoding="utf-8")
    assert main(["run", "--name", "a"]) == 0
    assert content(replayed)["command"] == "mine"
    assert {"seeds", "fingerprints"} <= set(content(replayed)) and "table" in content(replayed)["fingerprints"]


def test_a_run_without_a_manifest_gets_one_without_the_present_versions_and_machine(replayed: Path):
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
    manifest.write_yaml(tmp_path / f"{name}.yaml", recorded_content(manifest.space_content(space)))
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must hold a mapping"),
        ("- 1\n", "must hold a mapping"),
        ("a: [1\n", "at line 2"),
        ("manifest: 1\nx: !!python/object/apply:os.system [echo]\n", "not plain YAML"),
        ("a: &a [x, x]\nb: [*a, *a]\n", "alias"),
        ("[" * 50_000, "nested too deeply"),
        ("- " * 50_000, "nested too deeply"),
        ("{a: " * 50_000, "nested too deeply"),
        ("a: " + "x" * (1 << 20), "larger than 1 MiB"),
        ("detector: yolov8n\nsites: stages\n", "must contain 'manifest: 1'"),
        ("manifest: 2\n", "must contain 'manifest: 1'"),
        ("manifest: 1\nsettings: {}\n", "lacks the key 'fingerprints'"),
        ("manifest: 1\nsetings: {}\n", "did you mean 'settings'"),
        ("manifest: 1\nsettings: []\n", "key 'settings': must be a mapping"),
        ("\x00", "not plain YAML"),
    ],
    ids=lambda value: value[:20],
)
def test_a_file_that_is_not_a_manifest_is_refused(here: Path, capsys, text: str, says: str):
    (here / "manifest.yaml").write_text(text)
    assert says in refused(capsys, "run", "--from", "manifest.yaml")
    assert os.listdir(here) == ["manifest.yaml"]


def test_a_manifest_that_is_missing_not_a_file_or_not_text_is_refused(here: Path, capsys):
    assert "does not exist" in refused(capsys, "run", "--from", "none.yaml")
    assert "does not exist" in refused(capsys, "run", "--from", ".")
    os.mkfifo(here / "pipe")
    assert "is not a file" in refused(capsys, "run", "--from", "pipe")
    (here / "binary.yaml").write_bytes(b"\xff\xfe\xfd")
    assert "not text in UTF-8" in refused(capsys, "run", "--from", "binary.yaml")


def test_a_run_with_a_broken_manifest_is_not_lost(replayed: Path, capsys):
    (replayed / "manifest.yaml").write_text("[")
    sentence = refused(capsys, "run", "--name", "a", "--trials", "9")
    assert "delete it and the run continues" in sentence
    (replayed / "manifest.yaml").unlink()
    assert main(["run", "--name", "a", "--trials", "9"]) == 0

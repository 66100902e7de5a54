"""Preparing a run: the evaluator by name, the space, the table of a replay."""

import hashlib
import json
from pathlib import Path

import optuna
import pytest
from made_up import timed_table

from gamsearch.errors import ModelError, OptionError, RunError
from gamsearch.runs.prepare import PREPARE, prepare_named
from gamsearch.runs.prepare_replay import prepare_replay
from gamsearch.runs.prepare_training import upload_shared
from gamsearch.runs.prepared import StageRecord, digest, predicted_metrics, space_of
from gamsearch.runs.settings import Settings
from gamsearch.study.artifacts import Artifacts


class Messages(list):
    """A progress that keeps its messages."""

    say = list.append


def replay(folder: Path, **more) -> Settings:
    table, space = timed_table(folder, "[4, 6]", 0.0)
    return Settings(evaluator="replay", table=str(table), space=str(space), epochs=3, name="a", **more)


def test_an_unknown_evaluator_is_refused_with_the_known_ones():
    assert all(prepare_named(name) is prepare for name, prepare in PREPARE.items())
    with pytest.raises(OptionError, match=r"'reply' \(did you mean 'replay'\?\); there are training, replay"):
        prepare_named("reply")


def test_training_needs_a_data_set():
    with pytest.raises(OptionError, match="--data is missing"):
        prepare_named("training")(Settings(name="a"), Messages(), False, None)


def test_a_replay_is_prepared_from_its_table_and_its_space(tmp_path):
    settings, messages = replay(tmp_path), Messages()
    prepared = prepare_replay(settings, messages)
    assert prepared.space.size == 9 and prepared.seeds == 1
    assert prepared.fingerprints == {"table": digest(Path(settings.table))}
    assert messages == [f"{settings.table}: 9 recorded architectures of yolov8n"]
    ready = prepared.start(None, Artifacts.__new__(Artifacts), StageRecord())
    assert ready.evaluator is not None and not ready.baseline_stage


def test_architectures_that_a_table_lacks_are_reported(tmp_path):
    settings, messages = replay(tmp_path), Messages()
    content = json.loads(Path(settings.table).read_text())
    Path(settings.table).write_text(json.dumps({**content, "rows": content["rows"][:7]}))
    prepare_replay(settings, messages)
    assert "7 recorded architectures" in messages[0] and "2 of the space 'little' are missing" in messages[0]


def test_a_table_without_the_baseline_is_refused(tmp_path):
    settings = replay(tmp_path)
    content = json.loads(Path(settings.table).read_text())
    rows = [row for row in content["rows"] if row["architecture"]["placements"]]
    Path(settings.table).write_text(json.dumps({**content, "rows": rows}))
    with pytest.raises(RunError, match="lacks the baseline, so its gains are unknown"):
        prepare_replay(settings, Messages())


def test_a_table_with_fewer_epochs_than_asked_for_is_refused(tmp_path):
    settings = Settings(**{**replay(tmp_path).to_dict(), "epochs": 4})
    with pytest.raises(OptionError, match="holds 3 epochs, so --epochs cannot be 4"):
        prepare_replay(settings, Messages())


def test_built_metrics_are_predicted_if_they_are_objectives_or_limits(tmp_path):
    settings = replay(tmp_path, objectives=("map50", "latency_ms", "params_m"))
    space = space_of(settings, None)
    assert space.objectives == ("map50", "latency_ms", "params_m")
    assert predicted_metrics(space) == ["params_m"]


def test_a_digest_is_that_of_the_content_and_a_missing_file_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"weights")
    assert digest(tmp_path / "a") == hashlib.sha256(b"weights").hexdigest()[:12]
    with pytest.raises(ModelError, match="cannot be read"):
        digest(tmp_path / "b")


def test_what_other_machines_need_is_uploaded_the_shared_network_too(tmp_path):
    folder, store = tmp_path / "run", tmp_path / "store"
    files = Artifacts(optuna.create_study(), str(store))
    for name in ("baseline/baseline.pt", "supernet/supernet.pt", "weights/other.pt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    upload_shared(files, folder)
    for name in ("baseline/baseline.pt", "supernet/supernet.pt"):
        assert files.download(name, tmp_path / "there" / name)
        assert (tmp_path / "there" / name).read_text() == name
    assert not files.download("weights/other.pt", tmp_path / "there" / "other.pt")

"""Workers that join a search."""

import json
import signal

import pytest
from made_up import alive_pids, checked, eventually, said, search_of, shares, start
from optuna.trial import TrialState
from support.searches import LITTLE_SIZE, open_study

from gamsearch.errors import RunError
from gamsearch.runs.worker import recorded_space
from gamsearch.space.detector import Detector
from gamsearch.study import store
from gamsearch.study.worker_entries import owner


def test_a_worker_can_join_later_and_leaves_on_sigterm(tmp_path, little, undisturbed):
    run = start(tmp_path, *search_of(tmp_path, *little))
    study = open_study(tmp_path)
    worker = start(tmp_path, "worker", "results/a")
    eventually(lambda: any(owner(t) for t in store.trials(study, TrialState.COMPLETE)) and len(alive_pids(study)) == 2)
    eventually(lambda: len(shares(study)) == 2)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert "left after its epoch" in said(tmp_path)
    assert run.wait(120) == 0
    assert checked(store.load(tmp_path / "results" / "a"), LITTLE_SIZE) == undisturbed


@pytest.mark.parametrize("folder, says", [("results/none", "there is no study"), ("results/a/../none", "there is no")])
def test_a_worker_without_a_run_is_refused_in_one_sentence(tmp_path, folder, says):
    assert start(tmp_path, "worker", folder).wait(30) == 2
    text = said(tmp_path)
    assert says in text and "Traceback" not in text
    assert not (tmp_path / "results").exists()


def test_a_worker_with_other_versions_or_another_table_is_refused(tmp_path, little):
    table, space = little
    assert start(tmp_path, *search_of(tmp_path, table, space, "--trials", 3)).wait(60) == 0
    folder = tmp_path / "results" / "a"
    study = store.load(folder)
    settings = study.user_attrs["settings"]
    study.set_user_attr("settings", {**settings, "versions": {**settings["versions"], "numpy": "1.2.3"}})
    assert start(tmp_path, "worker", folder).wait(30) == 2
    assert "numpy 1.2.3" in said(tmp_path)
    study.set_user_attr("settings", settings)
    table.write_text(json.dumps({**json.loads(table.read_text()), "note": "another file"}))
    assert start(tmp_path, "worker", folder).wait(30) == 2
    assert "the table of this machine" in said(tmp_path)


@pytest.mark.parametrize(
    "gone", [("space", "name"), ("space", "fingerprint"), ("detector", "yaml"), ("detector", None)]
)
def test_a_worker_for_a_study_that_lacks_its_space_is_refused(gone):
    whole = {
        "space": {"name": "gam", "fingerprint": "x", "content": {}},
        "detector": {"name": "yolov8n", "yaml": Detector.load("yolov8n").yaml},
    }
    part, key = gone
    known = {**whole, part: {k: v for k, v in whole[part].items() if k != key} if key else {}}
    with pytest.raises(RunError, match="lacks its search space or its detector"):
        recorded_space(known)

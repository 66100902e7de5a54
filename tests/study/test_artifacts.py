"""Files that machines share: uploaded, replaced, downloaded, and never through a place that only a record names."""

import shutil
from pathlib import Path

import optuna
import pytest
from made_up import said, shares, start
from optuna.trial import TrialState

from gamsearch.errors import OptionError, RunError
from gamsearch.study import artifacts, storages, store
from gamsearch.study.artifacts import Artifacts, check_place


def test_files_are_uploaded_replaced_and_downloaded(tmp_path):
    study = optuna.create_study()
    files = Artifacts(study, str(tmp_path / "store"))
    (tmp_path / "a").write_text("first")
    files.upload(tmp_path / "a", "weights/0123456789ab-seed0.pt")
    (tmp_path / "a").write_text("second")
    files.upload(tmp_path / "a", "weights/0123456789ab-seed0.pt")
    assert files.download("weights/0123456789ab-seed0.pt", tmp_path / "there" / "b")
    assert (tmp_path / "there" / "b").read_text() == "second"
    assert len(list((tmp_path / "store").iterdir())) == 1
    assert not files.download("other", tmp_path / "c") and not (tmp_path / "c").exists()


def test_a_place_that_only_the_study_names_is_not_used(tmp_path):
    with pytest.raises(RunError, match="if you trust the place"):
        artifacts.trusted_place("s3://somebody", "", needed=True)
    assert artifacts.trusted_place("s3://somebody", "", needed=False) == ""
    assert artifacts.trusted_place("s3://somebody", "s3://mine", needed=True) == "s3://mine"
    with pytest.raises(RunError, match="cannot be created"):
        Artifacts(optuna.create_study(), "x\0y")


def test_names_from_a_study_cannot_leave_the_folder():
    names = ["weights/0123456789ab-seed0.pt", "weights/../../x.pt", "/etc/passwd", "weights/0123456789ab-seed0.pt/../y"]
    assert artifacts.uploaded_weights({f"artifact:{name}": "1" for name in names}) == names[:1]


def test_an_artifact_id_that_is_a_path_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("x")
    study = optuna.create_study()
    study.set_user_attr("artifact:baseline/baseline.pt", "../secret")
    files = Artifacts(study, str(tmp_path / "store"))
    assert not files.download("baseline/baseline.pt", tmp_path / "out")


@pytest.mark.parametrize("place", ["s3://", "s3://Upper", "s3://bucket/folder", "s3://a b"])
def test_a_place_that_is_not_a_bucket_is_refused(place):
    with pytest.raises(OptionError, match="must be a folder or a bucket"):
        check_place(place)


def test_without_a_place_nothing_is_uploaded(tmp_path):
    study = optuna.create_study()
    (tmp_path / "a").touch()
    files = Artifacts(study)
    files.upload(tmp_path / "a", "latency.json")
    assert not study.user_attrs and not files.download("latency.json", tmp_path / "b")


def test_two_machines_train_for_one_search_and_share_their_weights(tmp_path, tiny_data, monkeypatch):
    """Real trainings; the second one has its own folder and its own copy of the data."""
    shutil.copytree(tiny_data.parent, tmp_path / "copy")
    url, shared = f"sqlite:///{tmp_path}/study.db", tmp_path / "store"
    sizes = ("--imgsz", 64, "--batch", 4, "--epochs", 2, "--baseline-epochs", 1, "--noise-seeds", 2, "--trials", 6)
    how = ("--space", "gam-small", "--sampler", "random", "--stopping", "off", "--train", "workers=0", "--name", "a")
    here = ("--data", tiny_data, "--device", "cpu", "--storage", url, "--artifacts", shared)
    run = start(tmp_path, "run", *here, *sizes, *how)
    there = ("--data", tmp_path / "copy" / tiny_data.name, "--out", "far", "--wait", 2, "--artifacts", shared)
    worker = start(tmp_path, "worker", "--storage", url, "--study", "a", *there)
    assert run.wait(240) == 0 and worker.wait(60) == 0, said(tmp_path)
    monkeypatch.setenv(storages.VARIABLE, url)
    study = store.load(tmp_path / "results" / "a")
    done = [t for t in store.trials(study, TrialState.COMPLETE) if "recalled_from" not in t.user_attrs]
    assert len(shares(study)) == 2 and len(done) == 7
    assert len({t.user_attrs["key"] for t in done}) == 7
    wanted = {f"{t.user_attrs['key']}-seed0.pt" for t in done}
    assert wanted <= {path.name for path in (tmp_path / "results" / "a" / "weights").iterdir()}
    assert (tmp_path / "far" / "a" / "baseline" / "baseline.pt").exists()
    assert len(study.user_attrs["baseline_seeds"]) == 2
    monkeypatch.delenv(storages.VARIABLE)
    unasked = start(tmp_path, "worker", "--storage", url, "--study", "a", "--out", "y")
    assert unasked.wait(60) == 2 and "if you trust the place" in said(tmp_path)
    given = ("--storage", url, "--study", "a", "--artifacts", shared, "--out", "x")
    other = start(tmp_path, "worker", *given, "--data", relabelled(tmp_path / "copy"))
    assert other.wait(60) == 2 and "the data of this machine" in said(tmp_path)


def relabelled(data: Path) -> Path:
    """A data set with one label changed."""
    label = next((data / "labels").rglob("*.txt"))
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    return data / "data.yaml"

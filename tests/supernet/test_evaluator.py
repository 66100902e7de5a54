"""A search whose candidates are measured in one shared network."""

from pathlib import Path

import pytest

import gamsearch as gs
from gamsearch.errors import GamsearchError, OptionError
from gamsearch.runs.settings import Settings, check


@pytest.fixture(scope="module")
def run(tiny_data: Path, tmp_path_factory):
    """A search of a whole space of nine architectures."""
    home = tmp_path_factory.mktemp("home")
    (home / "tiny.yaml").write_text(
        "detector: yolov8n.yaml\nsites: [4, 15]\nattention: {GAM: {rate: [16]}, SimAM: {}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        yield gs.search(
            data=str(tiny_data),
            space=str(home / "tiny.yaml"),
            evaluator="supernet",
            screen_steps=2,
            trials=8,
            imgsz=64,
            batch=4,
            baseline_epochs=1,
            sampler="random",
            out=str(home / "results"),
        )


def test_every_candidate_is_measured_with_costs_and_nothing_is_trained_alone(run):
    complete = run.trials[run.trials["state"] == "complete"]
    assert len(complete["key"].unique()) > 5 and complete["label"].iloc[0] == "baseline"
    assert complete["latency_ratio"].iloc[1:].gt(0.9).all() and complete["map50_95"].ge(0).all()
    assert not list((run.folder / "weights").glob("*.pt")) and (run.folder / "supernet" / "supernet.pt").is_file()


def test_a_candidate_is_exported_only_once_it_was_trained_on_its_own(run, monkeypatch):
    monkeypatch.chdir(run.folder.parents[1])
    best = run.trials[run.trials["label"] != "baseline"].sort_values("map50_95_gain", ascending=False).iloc[0]
    with pytest.raises(GamsearchError, match="no weights of its own; train it with `python -m gamsearch verify"):
        gs.export(run, trial=int(best["number"]))
    verified = gs.verify(run, top=1, seeds=2, epochs=1)
    number = verified.record.verification.finalists[0].number
    gs.export(verified, trial=number)
    assert len(list((run.folder / "export").glob("*.pt"))) == 1


@pytest.mark.parametrize("more", [{"epochs": 3}, {"epochs": 1, "screen": "supernet"}])
def test_what_makes_no_sense_beside_it_is_refused(more):
    with pytest.raises(OptionError, match="--evaluator supernet"):
        check(Settings(name="a", evaluator="supernet", **more))

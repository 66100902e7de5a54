"""A search whose candidates are measured in one shared network."""

from pathlib import Path

import pytest

import gamsearch as gs
from gamsearch.errors import GamsearchError, OptionError
from gamsearch.runs.settings import Settings, check


@pytest.fixture(scope="module")
def run(cards: Path, tmp_path_factory):
    """A search of a whole space of nine architectures."""
    home = tmp_path_factory.mktemp("home")
    (home / "tiny.yaml").write_text(
        "detector: yolov8n.yaml\nsites: [4, 15]\nattention: {GAM: {rate: [16]}, SimAM: {}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        yield gs.search(
            data=str(cards),
            space=str(home / "tiny.yaml"),
            evaluator="supernet",
            screen_steps=8,
            trials=8,
            imgsz=64,
            batch=8,
            baseline_epochs=12,
            sampler="random",
            out=str(home / "results"),
        )


def test_every_candidate_is_measured_with_costs_and_nothing_is_trained_alone(run):
    complete = run.trials[run.trials["state"] == "complete"]
    assert len(complete["key"].unique()) > 5 and complete["label"].iloc[0] == "baseline"
    assert complete["latency_ratio"].iloc[1:].gt(0.9).all() and complete["map50_95"].gt(0).all()
    assert not list((run.folder / "weights").glob("*.pt")) and (run.folder / "supernet" / "supernet.pt").is_file()


def test_the_answer_is_no_yes_and_leads_to_full_trainings(run):
    answer = run.answer
    assert answer.headline == "Unclear: no candidate was trained on its own." or "not trained enough" in answer.headline
    assert answer.trial is None


def test_an_export_of_a_candidate_has_no_weights_to_give(run):
    best = run.trials[run.trials["label"] != "baseline"]["number"].iloc[0]
    try:
        exported = gs.export(run, trial=int(best))
    except GamsearchError as error:
        assert "weights" in str(error)
    else:
        assert not list(Path(run.folder / "export").glob("*.pt")), exported


@pytest.mark.parametrize("more", [{"epochs": 3}, {"epochs": 1, "screen": "supernet"}])
def test_what_makes_no_sense_beside_it_is_refused(more):
    with pytest.raises(OptionError, match="--evaluator supernet"):
        check(Settings(name="a", evaluator="supernet", **more))

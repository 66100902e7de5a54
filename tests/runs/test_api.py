"""The Python interface: what the command line does, as functions on a `Run`."""

from pathlib import Path

import pandas as pd
import pytest

import gamsearch as gs
from gamsearch.cli.main import main
from gamsearch.study.store import JOURNAL


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def replayed(name: str = "a", **options: object) -> gs.Run:
    """A search of the shipped BCCD table; nothing is trained."""
    return gs.search(evaluator="replay", table="bccd", name=name, **{"trials": 6, "noise_seeds": 1, **options})


def test_a_search_gives_a_run_whose_trials_front_best_and_verdict_are_those_of_its_record(here):
    run = replayed()
    assert run.folder == Path("results/a") and run.name == "a" and (run.folder / JOURNAL).is_file()
    assert isinstance(run.trials, pd.DataFrame) and run.trials["label"].iloc[0] == "baseline"
    assert set(run.front["number"]) <= set(run.trials["number"]) and run.best["number"] in set(run.front["number"])
    assert run.verdict == run.answer.text and len(run.answer.headline.split()) <= 12
    assert run.settings["table"] == "bccd"
    assert run.settings["command"].startswith("gamsearch.search(") and "table='bccd'" in run.settings["command"]


def test_the_same_name_resumes_and_load_gives_the_same_run(here):
    first = replayed(trials=4)
    before = first.trials
    again = replayed(trials=8)
    assert len(again.trials) > len(before)
    pd.testing.assert_frame_equal(again.trials.iloc[: len(before)][["key"]], before[["key"]])
    assert gs.load("results/a") == again and gs.load(Path("results/a")).trials.equals(again.trials)


def test_python_and_the_command_line_find_the_same(here):
    run = replayed()
    words = "run --evaluator replay --table bccd --trials 6 --noise-seeds 1 --name b"
    assert main(words.split()) == 0
    other = gs.load("results/b")
    assert other.trials["key"].tolist() == run.trials["key"].tolist() and other.verdict == run.verdict


def test_a_space_may_be_a_value_and_the_run_can_be_resumed_with_it(here):
    space = gs.SearchSpace.load("gam-small", gs.Detector.load("yolov8n"))
    run = replayed(space=space, trials=3)
    assert (run.folder / "space/gam-small.yaml").is_file()
    assert len(replayed(space=space, trials=5).trials) > len(run.trials) - 1


def test_report_writes_into_the_folder_and_returns_what_it_wrote(here):
    run = replayed()
    written = gs.report(run)
    assert {path.name for path in written} == {"trials.csv", "report.html", "pareto.png"}
    assert all(path.is_file() and path.parent == run.folder for path in written)
    assert [path.name for path in gs.report("results/a")] == [path.name for path in written]


def test_runs_are_compared_and_the_page_is_written_where_it_is_asked_for(here):
    one, two = replayed("a"), replayed("b", seed=1)
    comparison = gs.compare([one, "results/b"], out="results/both")
    assert "hypervolume" in comparison.verdict() and (here / "results/both/compare.html").is_file()
    assert [run.name for run in comparison.runs] == [one.name, two.name]


def test_a_run_is_repeated_in_a_folder_of_its_own(here):
    run = replayed()
    again = gs.repeat(run.folder, name="c")
    assert again.folder == Path("results/c") and again.trials["key"].tolist() == run.trials["key"].tolist()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: gs.search(evaluator="replay", epoch=3), "no option 'epoch' \\(did you mean 'epochs'\\?\\)"),
        (lambda: gs.search(evaluator="replay", trials=0), "--trials must be at least 1"),
        (lambda: gs.search(data="nowhere.yaml"), "nowhere.yaml"),
        (lambda: gs.load("results/nothing"), "holds no run"),
        (lambda: gs.verify("results/nothing"), "holds no run"),
        (lambda: gs.export("results/nothing"), "holds no run"),
        (lambda: gs.report("results/nothing"), "holds no run"),
        (lambda: gs.compare([]), "two or more"),
        (lambda: gs.repeat("results/nothing/manifest.yaml"), "manifest.yaml"),
    ],
)
def test_what_cannot_be_raises_one_sentence(here, call, sentence):
    with pytest.raises(gs.errors.GamsearchError, match=sentence):
        call()


def test_verify_refuses_options_that_it_does_not_have(here):
    run = replayed()
    with pytest.raises(gs.errors.OptionError, match="verify has no option 'seed'"):
        gs.verify(run, seed=3)
    with pytest.raises(gs.errors.RunError, match="replays a table"):
        gs.verify(run)

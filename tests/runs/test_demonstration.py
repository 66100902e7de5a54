"""The runs of the demonstration: which there are, what they are called, how large they are."""

import time
from pathlib import Path

import pytest

from gamsearch.cli.main import main
from gamsearch.runs import demo, demonstration
from gamsearch.training.dataset import DataSet


def names(here: Path, **given: object) -> list[str | None]:
    options = dict.fromkeys(("data", "table", "evaluator", "name", "out"))
    return [one["name"] for one in demonstration.each({**options, "out": str(here), **given})]


def test_without_data_both_halves_are_run_under_the_given_name(tmp_path: Path) -> None:
    assert names(tmp_path) == ["demo-context", "demo-control"]
    assert names(tmp_path, name="mine") == ["mine-context", "mine-control"]


@pytest.mark.parametrize("given", [{"data": "data.yaml"}, {"evaluator": "replay"}, {"table": "bccd"}])
def test_with_data_or_a_table_there_is_one_run(tmp_path: Path, given: dict[str, str]) -> None:
    assert names(tmp_path, **given) == [None]


def test_the_name_of_a_half_runs_that_half_alone(tmp_path: Path) -> None:
    assert names(tmp_path, name="mine-control") == ["mine-control"]
    assert [demonstration.half_of(name) for name in ("mine-control", "mine-context", "anything")] == [
        "control",
        "context",
        "context",
    ]


def test_both_halves_are_carried_out_resumed_and_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        demonstration, "SIZE", demonstration.Size(train=12, val=6, epochs=1, trials=1, trial_epochs=1, noise_seeds=1)
    )
    assert main(["run", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    for half in demo.HALVES:
        assert (tmp_path / f"results/demo-{half}/report.html").exists()
        assert demo.parameters_of(f"results/demo-{half}/data/data.yaml") is not None
        assert f"demo-{half}: " in said
    assert main(["run", "--device", "cpu"]) == 0
    assert "run 'demo-control' in results/demo-control (resumed)" in capsys.readouterr().out


def test_the_shipped_size_is_generated_in_seconds(tmp_path: Path) -> None:
    size = demonstration.SIZE
    start = time.process_time()
    data = DataSet.read(demo.make(tmp_path / "digits", size.train, size.val, size.imgsz))
    assert time.process_time() - start < 10
    assert (len(data.train), len(data.val)) == (size.train, size.val)


def test_every_augmentation_is_an_argument_of_ultralytics() -> None:
    from ultralytics.cfg import get_cfg

    get_cfg(overrides=dict(demonstration.TRAINING))

"""A whole search of each task from the command line, trained on drawn data: its files name the task's metrics."""

from pathlib import Path

import pytest
import yaml
from support.task_data import TASKS, make_data, model_yaml

from gamsearch.cli.main import main
from gamsearch.reporting.tables import read_csv
from gamsearch.tasks import task_named

LITTLE = ["--imgsz", "64", "--batch", "4", "--epochs", "1", "--trials", "1", "--noise-seeds", "1"]


@pytest.mark.parametrize("task", TASKS)
def test_a_search_of_a_task_runs_from_data_to_report_and_export(task, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = make_data(task, Path("data"))
    files = {path: path.read_bytes() for path in Path("data").rglob("*.*")}
    Path("tiny.yaml").write_text(yaml.safe_dump(model_yaml(task)))
    Path("space.yaml").write_text("detector: tiny.yaml\nsites: [2, 6]\nattention: {SE: {}}\n")
    given = [
        "--data",
        str(data),
        "--model",
        "tiny.yaml",
        "--space",
        "space.yaml",
        "--name",
        "a",
        "--baseline-epochs",
        "3",
        *LITTLE,
    ]
    assert main(["run", *given]) == 0, capsys.readouterr().err
    table, primary = read_csv(Path("results/a/trials.csv")), task_named(task).primary
    assert len(table) == 2 and {*task_named(task).metrics, f"{primary}_gain"} <= set(table.columns)
    assert table[primary].between(0, 1).all()
    assert main(["export", "results/a", "--trial", "1"]) == 0, capsys.readouterr().err
    exported = yaml.safe_load(next(Path("results/a/export").glob("*.yaml")).read_text())
    assert exported.get("kpt_shape") == ([4, 3] if task == "pose" else None)  # that of the data
    assert {path: path.read_bytes() for path in Path("data").rglob("*.*")} == files

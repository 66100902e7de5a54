"""A run of another task from the command line, replayed from a table: its files and texts name the task's metrics."""

import json
from pathlib import Path

import pytest

from gamsearch.cli.main import main
from gamsearch.reporting.tables import read_csv
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.tasks import Task

SPACE = "detector: yolov8n\nsites: [4, 6]\nattention: {GAM: {rate: [4, 16]}}\n"


def table_of(model: str, space: Path) -> dict[str, object]:
    """Three epochs at three seeds; what is after row 4 helps."""
    found, rows = SearchSpace.load(space, Detector.load(model)), []
    task: Task = found.detector.task
    for architecture in found.enumerate():
        helps = 0.05 if any(p.site == 4 for p in architecture.placements) else -0.01 * len(architecture.placements)
        cost = 10.0 + sum(4 / int(dict(p.options)["rate"]) for p in architecture.placements)
        level = 0.4 + helps
        curves = {
            str(seed): [
                {"epoch": e, **dict.fromkeys(task.metrics, level * e / 3 + 0.002 * seed * (1 + cost % 3))}
                for e in (1, 2, 3)
            ]
            for seed in range(3)
        }
        metrics = {"params_m": cost, "gflops": cost, "latency_ms": cost, "latency_ratio": cost / 10}
        rows.append({"architecture": architecture.to_dict(), "metrics": metrics, "curves": curves})
    return {"detector": model, "task": task.name, "epochs": 3, "seeds": [0, 1, 2], "rows": rows}


@pytest.mark.parametrize(
    ("model", "title", "gained", "columns"),
    [
        ("yolov8n-seg", "mask mAP50-95", "mask mAP", ["mask_map50_95", "mask_map50", "map50_95", "map50"]),
        ("yolov8n-cls", "top-1 accuracy", "top-1 accuracy", ["top1", "top5"]),
    ],
)
def test_a_replayed_search_ranks_and_reports_in_the_metric_of_its_task(
    tmp_path, monkeypatch, capsys, model, title, gained, columns
):
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text(SPACE)
    Path("table.json").write_text(json.dumps(table_of(model, Path("space.yaml"))))
    words = ["--evaluator", "replay", "--table", "table.json", "--space", "space.yaml", "--epochs", "3"]
    assert main(["run", *words, "--trials", "8", "--stopping", "off", "--sampler", "brute", "--name", "a"]) == 0
    assert main(["status", "results/a"]) == 0
    said = capsys.readouterr().out
    assert f" {gained} for " in said and f"baseline {title} 0.4000" in said
    table = read_csv(Path("results/a/trials.csv"))
    first = table.columns.tolist().index("architecture") + 1
    assert table.columns.tolist()[first : first + len(columns)] == columns
    best = table.loc[table[f"{columns[0]}_gain"].idxmax()]
    assert best[f"{columns[0]}_gain"] == pytest.approx(0.05) and "GAM@4" in best["label"]
    page = Path("results/a/report.html").read_text()
    assert f"Baseline {title}" in page and "The recommended architecture" in page


def test_a_table_of_another_task_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text(SPACE)
    table = table_of("yolov8n-seg", Path("space.yaml"))
    Path("table.json").write_text(json.dumps({name: value for name, value in table.items() if name != "task"}))
    words = ["--evaluator", "replay", "--table", "table.json", "--space", "space.yaml", "--epochs", "3"]
    assert main(["run", *words]) == 2
    said = capsys.readouterr().err
    assert "table.json holds trainings for object detection and yolov8n-seg is for instance segmentation" in said

"""A search over a replay table, from the command line, works without torch."""

import copy
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from support.landscape import SMALL, table_of

import gamsearch
from gamsearch.errors import RunError
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.study import store
from gamsearch.study.table import trial_table
from gamsearch.training.replay import ReplayTable

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
from gamsearch.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_replay_searches_and_reports_without_torch(tmp_path: Path):
    space, rows = SearchSpace.load("gam-small", Detector.load("yolov8n")), []
    for i, architecture in enumerate(space.enumerate()):
        score, cost = 0.4 + i % 7 / 100, 10.0 + len(architecture.placements)
        metrics = {"params_m": cost, "gflops": cost, "latency_ms": cost}
        curve = [{"epoch": e, "map50_95": score * e / 9, "map50": score * e / 9} for e in range(1, 10)]
        rows.append({"architecture": architecture.to_dict(), "metrics": metrics, "curves": {"0": curve}})
    (tmp_path / "table.json").write_text(json.dumps({"detector": "yolov8n", "epochs": 9, "seeds": [0], "rows": rows}))
    words = ["run", "--evaluator", "replay", "--table", "table.json", "--space", "gam-small"]
    words += ["--sampler", "tpe", "--stopping", "off", "--trials", "15", "--epochs", "9", "--name", "replayed"]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *words],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(Path(gamsearch.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    table = trial_table(store.load(tmp_path / "results" / "replayed"))
    assert sum((table["state"] == "complete") & table["recalled_from"].isna()) == 16
    assert (tmp_path / "results" / "replayed" / "report.html").is_file()


def test_a_malformed_table_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "t.json").write_text('{"detector": "yolov8n", "rows": [{"architecture": {"detector": "yolov8n"}}]}')
    with pytest.raises(RunError, match="not a replay table"):
        ReplayTable.read(tmp_path / "t.json")
    good = json.loads(table_of(SMALL, tmp_path / "good.json").read_text())
    for place, value in (("metrics", "fast"), ("metrics", math.nan), ("curve", None), ("curve", math.inf)):
        bad = copy.deepcopy(good)
        if place == "metrics":
            bad["rows"][3]["metrics"]["latency_ms"] = value
        else:
            bad["rows"][3]["curves"]["0"][1]["map50_95"] = value
        (tmp_path / "t.json").write_text(json.dumps(bad))
        with pytest.raises(RunError, match="not a replay table"):
            ReplayTable.read(tmp_path / "t.json")
    (tmp_path / "t.json").write_text("[1, 2]")
    with pytest.raises(RunError, match="not a replay table"):
        ReplayTable.read(tmp_path / "t.json")
    with pytest.raises(RunError, match="cannot be read"):
        ReplayTable.read(tmp_path / "missing.json")

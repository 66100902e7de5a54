"""`--json`: one document on the standard output, from every command that prints what it found."""

import json
import os
import subprocess
import sys

import pytest
from support.paths import ROOT

from gamsearch.cli.inspect import LISTS
from gamsearch.cli.main import COMMANDS, main

REPLAY = ["run", "--evaluator", "replay", "--sampler", "random", "--noise-seeds", "2", "--trials", "3", "--json"]


def read(capsys, *words):
    """What a command prints on its standard output, which must be one document; and what went to standard error."""
    capsys.readouterr()
    assert main([*map(str, words)]) == 0
    printed = capsys.readouterr()
    return json.loads(printed.out), printed.err


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs by the command line, as a program would start them."""
    out = tmp_path_factory.mktemp("json") / "results"
    environment, found = {**os.environ, "PYTHONPATH": str(ROOT)}, []
    for name, seed in (("one", "0"), ("two", "1")):
        command = [sys.executable, "-m", "gamsearch", *REPLAY, "--out", str(out), "--name", name, "--seed", seed]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=True)
        assert "search ended" in done.stderr
        found.append(json.loads(done.stdout))
    return out, found


def test_a_run_prints_its_answer_its_front_and_its_files(runs):
    out, (one, _) = runs
    assert one["answer"]["kind"] in ("yes", "no", "unclear") and one["answer"]["headline"]
    assert one["counts"]["complete"] == 3 and one["baseline"]["label"] == "baseline"
    assert [m["name"] for m in one["objectives"]] == ["map50_95", "latency_ms"]
    assert all({"number", "label", "architecture", "map50_95", "latency_ms"} <= row.keys() for row in one["front"])
    assert set(one["files"]) == {str(out / "one" / name) for name in ("trials.csv", "report.html", "pareto.png")}


def test_report_and_status_agree_with_the_run(runs, capsys):
    out, (one, _) = runs
    again, text = read(capsys, "report", out / "one", "--json")
    assert again == one and "wrote" in text
    state, _ = read(capsys, "status", out / "one", "--json")
    assert {key: state[key] for key in ("name", "answer", "front", "counts")} == {
        key: one[key] for key in ("name", "answer", "front", "counts")
    }
    assert not state["running"] and state["state"].startswith("finished") and state["training"] == []
    assert state["used"] == {"amount": 3.0, "of": 3, "unit": "trainings"}


def test_compare_prints_hypervolumes_and_the_verdict(runs, capsys):
    out, _ = runs
    found, _ = read(capsys, "compare", out / "one", out / "two", "--out", out / "both", "--json")
    assert [run["name"] for run in found["runs"]] == ["one", "two"] and found["verdict"]
    assert all(run["hypervolume"] >= run["hypervolume_of_baseline"] > 0 for run in found["runs"])
    assert found["differing"]["seed"] == {"one": "0", "two": "1"}


def test_clean_prints_what_it_would_delete(runs, capsys):
    out, _ = runs
    found, _ = read(capsys, "clean", out / "one", "--dry-run", "--json")
    assert found == {"deleted": False, "files": 0, "bytes": 0, "parts": []}


def test_show_prints_sites_and_architectures(capsys):
    found, _ = read(capsys, "show", "gam-small", "--json")
    assert found["architectures"] > 10 and found["detector"] == "yolov8n" and found["modules"] == ["GAM"]
    assert all(site["placements"] for site in found["sites"]) and found["sampled"]["detector"] == "yolov8n"
    inner, _ = read(capsys, "show", "inner", "--json")
    widths = {site["site"]: (site["channels"], site["inner_channels"]) for site in inner["sites"]}
    assert widths[4] == (64, 32) and widths[9] == (256, None)


def test_explain_prints_placements(capsys):
    found, _ = read(capsys, "explain", *sorted((ROOT / "examples" / "import").glob("*.yaml")), "--json")
    assert all(one["placements"] and one["detector"].startswith("yolov8") for one in found)


@pytest.mark.parametrize("what", sorted(LISTS))
def test_every_list_is_a_list_of_mappings_with_the_same_keys(capsys, what):
    found, _ = read(capsys, "list", what, "--json")
    assert found and len({tuple(row) for row in found}) == 1


def test_an_error_prints_no_document(capsys):
    assert main(["status", "nowhere", "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("gamsearch: nowhere is not a folder")


def test_only_what_runs_until_it_is_stopped_or_prints_a_script_has_no_json():
    assert {command.name for command in COMMANDS if not command.json} == {"worker", "serve", "completion"}

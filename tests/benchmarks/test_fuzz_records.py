"""A sample of the damaged records of `benchmarks/fuzz_records.py`, and what they once broke."""

import json
import shutil

import pytest
from fuzz_records import DAMAGES, read, run_case
from support.paths import ROOT

BCCD = ROOT / "results" / "bccd-yolov8n"


@pytest.mark.parametrize("first", range(len(DAMAGES)), ids=[damage.__name__ for damage in DAMAGES])
def test_a_damaged_record_is_read_or_refused(first):
    for number in range(first, 4 * len(DAMAGES), len(DAMAGES)):
        assert run_case(BCCD, number, seed=7)[1] == ""


def test_the_fuzzer_notices_an_error(monkeypatch):
    def broken(folder):
        raise KeyError("a defect")

    monkeypatch.setattr("fuzz_records.store.snapshot", broken)
    assert "KeyError: 'a defect'" in run_case(BCCD, 0, seed=7)[1]


def test_a_trial_without_its_architecture_is_refused(tmp_path):
    shutil.copy(BCCD / "study.journal", tmp_path)
    lines = (tmp_path / "study.journal").read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if "architecture" in json.loads(line).get("user_attr", {}))
    (tmp_path / "study.journal").write_text("".join(lines[:at] + lines[at + 1 :]))
    read(tmp_path, BCCD, thorough=False)


TEXTS = (
    *("label", "reason", "hardware", "data_summary", "data_fingerprint", "command", "device", "data", "model", "out"),
    *("ended", "still_rising", "from", "notes", "versions", "scale_up", "latency_backend", "per_class", "train"),
)
HOSTILE = "\x1b[31mred\x07\u202e"


def hostile(value, name=""):
    """The value with every free text below it changed; names that are checked stay."""
    if isinstance(value, dict):
        keys = HOSTILE if name in ("versions", "per_class", "train") else ""
        return {
            key + keys: hostile(part, name if name in ("versions", "scale_up") else key) for key, part in value.items()
        }
    if isinstance(value, list):
        return [hostile(part, name) for part in value]
    return value + HOSTILE if isinstance(value, str) and name in TEXTS else value


def test_no_control_character_of_a_record_reaches_a_terminal_or_a_file(tmp_path):
    lines = (BCCD / "study.journal").read_text().splitlines()
    changed = [json.dumps(hostile(json.loads(line))) for line in lines]
    assert sum(a != b for a, b in zip(lines, changed, strict=True)) > 30
    (tmp_path / "study.journal").write_text("".join(f"{line}\n" for line in changed))
    read(tmp_path, BCCD, thorough=True)
    assert (tmp_path / "report.html").exists() and (tmp_path / "compared").exists()

"""A sample of the damaged inputs of `benchmarks/fuzz_inputs.py`, and what they once broke."""

import json
from collections import Counter

import pytest
import yaml
from fuzz_inputs import KINDS, MODEL, as_yaml, command, property_of, workplace, written_manifest

EXAMPLES = 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_input_is_read_or_refused(kind):
    tried = Counter()
    property_of(kind, EXAMPLES, tried)()
    assert tried[kind] >= EXAMPLES


@pytest.mark.parametrize("broken", (lambda words: 1, lambda words: 2, lambda words: print("\x1b[2J") or 0))
def test_the_fuzzer_notices_a_defect(monkeypatch, broken):
    monkeypatch.setattr("fuzz_inputs.command_line", broken)
    with pytest.raises(AssertionError, match=r"exit code 1|^\s*$|reach the terminal"):
        command("status", "x")


BROKE = {
    "arguments that are a mapping": (
        "model",
        as_yaml({**MODEL, "backbone": [[-1, 1, "Conv", {}], *MODEL["backbone"]]}),
    ),
    "a control character in a manifest": ("manifest", 'manifest: 1\nversions: {"\\x1b[2J\\x1f": "1\\x07"}'),
    "a control character in a folder's name": ("words", json.dumps(["worker", "\x1f"])),
    "a folder's name that is not text": ("words", json.dumps(["clean", "\ud800"])),
}


@pytest.mark.parametrize("case", BROKE)
def test_what_once_broke_is_refused(case, capsys):
    kind, content = BROKE[case]
    if kind == "manifest":
        content = as_yaml({**written_manifest(), **yaml.safe_load(content)})
    with workplace() as here:
        KINDS[kind][1](here, content.encode())


def test_every_argument_is_text_without_control_characters(capsys):
    from gamsearch.cli.main import main

    for word in ("\x1b[31mx", "a\nb", "\udcff", "\u202egpj.exe"):
        assert main(["status", word]) == 2
        said = capsys.readouterr().err
        assert "must be text in UTF-8 without control characters" in said and said.strip().isprintable()
    assert main(["status", "Aufnahme\u202f1 – größer"]) == 2
    assert "is not a folder" in capsys.readouterr().err

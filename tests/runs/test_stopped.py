"""Commands that are stopped by a signal, and resumed by the same command."""

import signal
import subprocess
from pathlib import Path

import pytest
import signals
from made_up import checked, command, environment, eventually, said, search_of, start
from support.searches import LITTLE_SIZE, open_study

from gamsearch.signals.stop_request import SENTENCE
from gamsearch.study import store


@pytest.mark.parametrize("sent", [["SIGINT"], ["SIGTERM"], ["SIGHUP"], ["SIGINT", "SIGTERM"]], ids="+".join)
def test_a_search_that_is_stopped_is_resumed_by_the_same_command(tmp_path: Path, little, undisturbed, sent):
    words = search_of(tmp_path, *little)
    run = start(tmp_path, *words)
    study = open_study(tmp_path)
    eventually(lambda: len(store.trials(study)) > 4)
    for name in sent:
        run.send_signal(getattr(signal, name))
    assert run.wait(30) == 130
    assert said(tmp_path).count(SENTENCE) == 1 and "Traceback" not in said(tmp_path)
    if sent == ["SIGINT"]:
        assert start(tmp_path, *words).wait(120) == 0, said(tmp_path)
        assert checked(store.load(tmp_path / "results" / "a"), LITTLE_SIZE) == undisturbed


def test_a_command_is_stopped_while_it_imports(tmp_path: Path):
    known = environment(PYTHONVERBOSE="1")
    with subprocess.Popen(
        command("list", "samplers"), env=known, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("import 'gamsearch.attention"):  # the handler is there, most of the rest is not
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert SENTENCE in rest and "Traceback" not in rest


def test_the_script_sends_signals_at_random_and_finds_nothing_broken(monkeypatch):
    monkeypatch.setattr(signals, "STRIKES", 1)
    strikes = signals.life(signals.SUBJECTS["run"], "run", 0, 0)
    assert strikes and not any(one.problem for one in strikes)
    assert f"| all | all | {len(strikes)} |" in signals.table(strikes)

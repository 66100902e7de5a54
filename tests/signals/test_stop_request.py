"""What a signal does to a command at each moment of its life, and to a program that uses the Python interface."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from support.paths import ROOT

from gamsearch.signals import stop_request
from gamsearch.signals.stop_request import SENTENCE, SIGNALS, StopRequested

BODY = """
import os, signal, sys, time
from gamsearch.signals import stop_request
stop_request.install()
def send(name="SIGINT"): os.kill(os.getpid(), getattr(signal, name))
try:
    with stop_request.allowed():
        {}
except BaseException as error:
    if not stop_request.was_requested():
        raise
    code = stop_request.report()
stop_request.finish(code)
{}
sys.exit(code)
"""
SWALLOWED = "type('D', (), {'__del__': lambda self: send()})(); code = 0; stop_request.check()"


def program(body: str, after: str = "", **options) -> subprocess.CompletedProcess:
    """Run a little program that handles signals as a command does."""
    code = BODY.format(body, after)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, **options)


@pytest.mark.parametrize(
    "body",
    [
        "send(); time.sleep(9)",
        "send('SIGTERM'); time.sleep(9)",
        "send('SIGHUP'); time.sleep(9)",
        SWALLOWED,
        "with stop_request.deferred(): send(); print('whole'); send('SIGTERM'); print('late')",
        "exec('send()'); time.sleep(9)",
        "import threading; threading.Thread(target=send).start(); time.sleep(9)",
    ],
)
def test_a_program_that_is_stopped_ends_with_130_and_one_sentence(body):
    done = program(body)
    assert (done.returncode, done.stderr) == (130, f"{SENTENCE}\n")
    assert "late" not in done.stdout


def test_whatever_a_library_makes_of_it_is_not_taken_for_an_error():
    hidden = "exec('try: send()\\nexcept BaseException: raise KeyError(1)')"
    done = program(hidden)
    assert (done.returncode, done.stderr) == (130, f"{SENTENCE}\n")


def test_a_deferred_block_is_finished_before_it_is_left():
    done = program("exec('with stop_request.deferred():\\n  send()\\n  print(1)\\nprint(2)')")
    assert (done.returncode, done.stdout) == (130, "1\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_after_the_end_changes_neither_the_exit_code_nor_the_output(number):
    done = program("code = 0", f"send('{number.name}')")
    assert (done.returncode, done.stderr) == (0, "")


def test_sigint_that_was_ignored_works_and_sighup_stays_ignored():
    def ignore() -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    assert program("send(); time.sleep(9)", preexec_fn=ignore).returncode == 130
    done = program("send('SIGHUP'); code = 7", preexec_fn=ignore)
    assert (done.returncode, done.stderr) == (7, "")


def test_a_closed_terminal_does_not_fail_the_end():
    done = program("os.close(1); os.close(2); send(); time.sleep(9)")
    assert done.returncode == 130


def test_a_program_of_somebody_else_gets_its_handlers_back_and_is_not_ended():
    before = [signal.getsignal(number) for number in SIGNALS]
    for _ in range(2):
        with pytest.raises(StopRequested), stop_request.handled():
            with pytest.raises(StopRequested):
                os.kill(os.getpid(), signal.SIGHUP)
            assert stop_request.was_requested()
            os.kill(os.getpid(), signal.SIGTERM)  # a second one raises again
        assert not stop_request.was_requested()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_other_threads_neither_defer_nor_raise():
    entered, leave, errors = threading.Event(), threading.Event(), []

    def work() -> None:
        try:
            with stop_request.deferred():
                entered.set()
                leave.wait(10)
            stop_request.check()
        except BaseException as error:
            errors.append(error)

    with pytest.raises(StopRequested), stop_request.handled():
        thread = threading.Thread(target=work)
        thread.start()
        entered.wait(10)
        try:
            os.kill(os.getpid(), signal.SIGINT)  # raises here, whatever the thread defers
        finally:
            leave.set()
            thread.join()
    assert not errors


def test_a_command_is_recognised_at_its_first_import():
    code = "import gamsearch, signal; print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.stdout == "True\n"

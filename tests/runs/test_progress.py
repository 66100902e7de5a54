"""The progress of a run as plain lines and as a live view."""

import io

from rich.console import Console

from gamsearch.runs.progress import LAST_TRIALS, RunProgress
from gamsearch.strategy.search_budget import SearchBudget


def written(act, terminal: bool) -> str:
    """What a progress writes while `act` reports to it."""
    out = io.StringIO()
    with RunProgress(Console(file=out, force_terminal=terminal, width=120)) as progress:
        act(progress)
    return out.getvalue()


def two_trials(progress: RunProgress) -> None:
    progress.started_baseline()
    progress.started(0, "baseline", 0.0, SearchBudget(4))
    progress.ended(0, "complete", 0.0)
    progress.started(1, "GAM@4 r4", 0.0, SearchBudget(4))
    progress.epoch(1, 5, {"map50_95": 0.25})
    progress.ended(1, "complete", 0.0123)


def test_without_a_terminal_every_event_is_a_line():
    lines = written(two_trials, terminal=False).splitlines()
    assert [line.split("] ", 1)[1] for line in lines] == [
        "baseline stage",
        "trial 0: baseline",
        "trial 0 complete, gain +0.0000",
        "trial 1: GAM@4 r4",
        "  epoch 1/5  map50_95 0.2500",
        "trial 1 complete, gain +0.0123",
    ]


def test_the_live_view_has_the_best_gain_so_far_and_the_last_trials_only():
    def many(progress: RunProgress) -> None:
        two_trials(progress)
        for number in range(2, 30):
            progress.started(number, f"GAM@{number}", float(number), SearchBudget(40))
            progress.ended(number, "pruned", None)
        console = Console(file=io.StringIO(), width=120)
        console.print(progress._render())
        text = console.file.getvalue()
        assert "best so far +0.0123 with GAM@4 r4" in text and "29 of 40 full trainings used" in text
        assert text.count("pruned") == LAST_TRIALS and "GAM@29" in text and "GAM@17\n" not in text

    written(many, terminal=True)


def test_messages_are_printed_as_they_are():
    text = "[bold]not markup[/bold] " + "x" * 200
    assert written(lambda progress: progress.say(text), terminal=False) == text + "\n"

"""The answer of a run: what its search or its verification shows, and the command to run next."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gamsearch.analysis.answer import (
    NO,
    UNCLEAR,
    UNTRAINED,
    UNTRAINED_HEADLINE,
    YES,
    Answer,
    in_words,
    no,
    short_name,
    yes,
)
from gamsearch.analysis.power import EFFECT
from gamsearch.analysis.screened import Screened
from gamsearch.analysis.search_verdict import Searched
from gamsearch.analysis.significance import BETTER
from gamsearch.analysis.verification import Verification
from gamsearch.errors import plural
from gamsearch.study.counts import Counts

AFFORDABLE = 4
"""More seeds than this many times those that are done are not suggested."""

Step = tuple[str, str]
"""What to do next and its command, as of `Answer`."""

OTHER_SPACES: Step = ("Look for another search space", "python -m gamsearch list spaces")
REAL_SEARCH: Step = ("A replay has no weights; search with real trainings", "python -m gamsearch run")


@dataclass(frozen=True)
class Commands:
    """The commands that work on a run.

    Attributes:
        folder: The run's folder.
        replay: Whether the run replays a table, so that there is nothing to train, verify or export.
    """

    folder: str
    replay: bool

    @classmethod
    def of(cls, settings: Mapping[str, Any], name: str, folder: str) -> "Commands":
        """Read them from a record.

        Args:
            settings: The recorded settings.
            name: Name of the run.
            folder: The run's folder; empty if only its name is known.

        Returns:
            The commands.
        """
        return cls(folder or f"{settings.get('out') or 'results'}/{name}", settings.get("evaluator") == "replay")

    def resume(self) -> str:
        """The command that continues the search."""
        path = Path(self.folder)
        out = "" if str(path.parent) == "results" else f" --out {shlex.quote(str(path.parent))}"
        return f"python -m gamsearch run --name {shlex.quote(path.name)}{out}"

    def on_folder(self, command: str, options: str = "") -> str:
        """A command that takes the folder."""
        return f"python -m gamsearch {command} {shlex.quote(self.folder)}{options}"


def untrained(reason: str) -> Answer:
    """The answer where the baseline is not trained enough.

    Args:
        reason: Why, and what to do.

    Returns:
        The answer, which compares nothing.
    """
    return Answer(UNTRAINED, UNTRAINED_HEADLINE, f"{reason[:1].upper()}{reason[1:].rstrip('.')}.")


def state(trials: pd.DataFrame, complete: pd.DataFrame, baseline: bool, counts: Counts) -> str:
    """Say why nothing can be compared yet.

    Args:
        trials: All trials.
        complete: Those that are complete.
        baseline: Whether the baseline is.
        counts: The counts of the run.

    Returns:
        One sentence.
    """
    if trials.empty:
        return "Nothing has been evaluated yet."
    among = f" ({counts.sentence})" if counts.candidates else ""
    if complete.empty:
        return f"No trial was completed{among}, so attention cannot be judged yet."
    if not baseline:
        return f"The baseline was not completed{among}, so no placement can be compared with it."
    return f"Only the baseline has been completed{among}, so no placement can be compared with it yet."


def unsearched(state: str, commands: Commands) -> Answer:
    """The answer before a candidate and the baseline are complete.

    Args:
        state: What there is so far.
        commands: The run's commands.

    Returns:
        The answer.
    """
    headline = "Unclear: no candidate has been compared with the baseline yet."
    return Answer(UNCLEAR, headline, state, "Continue the search", commands.resume())


def of_screening(screened: Screened, detector: str, commands: Commands) -> Answer:
    """The answer where the shared networks found nothing that pays, so that no candidate was trained.

    Args:
        screened: What they said.
        detector: Name of the stock detector.
        commands: The run's commands.

    Returns:
        The answer.
    """
    grounds = f"{plural(screened.seeds, 'shared network')}, {plural(screened.epochs, 'epoch')} each"
    detail = f"{screened.sentence} ({grounds}; no candidate was trained on its own)"
    return Answer(NO, no(detector), detail, "Search all the same", f"{commands.resume()} --search-anyway")


def of_shared(searched: Searched, commands: Commands) -> Answer:
    """The answer of a search whose candidates were measured in a shared network.

    Args:
        searched: The candidate that gained most there.
        commands: The run's commands.

    Returns:
        The answer, which recommends nothing.
    """
    gain = f"{searched.selected_gain:+.4f} {searched.task.primary_title}"
    detail = f"{searched.label} gained most in the shared network ({gain}); shared weights only suggest what to train."
    headline = "Unclear: no candidate was trained on its own."
    return Answer(UNCLEAR, headline, detail, "Let full trainings decide", commands.on_folder("verify"))


def of_search(searched: Searched, commands: Commands) -> Answer:
    """The answer of the short trainings.

    Args:
        searched: The best candidate.
        commands: The run's commands.

    Returns:
        The answer.
    """
    kind = searched.kind
    number = searched.number if kind == YES else None
    return Answer(kind, searched.headline, searched.detail, *_after_search(searched, commands), number)


def _after_search(searched: Searched, commands: Commands) -> Step:
    if searched.kind == NO:
        return OTHER_SPACES
    if searched.gain is None and searched.seeds > 1:
        return "Continue the search", commands.resume()
    if commands.replay:
        return REAL_SEARCH
    if searched.kind == YES:
        return "Confirm it by full trainings", commands.on_folder("verify")
    return "Let full trainings over five seeds decide", commands.on_folder("verify")


def of_verification(verification: Verification, detector: str, commands: Commands) -> Answer:
    """The answer of the full trainings, at least one finalist of which has two seeds.

    Args:
        verification: The finalists.
        detector: Name of the stock detector.
        commands: The run's commands.

    Returns:
        The answer.
    """
    detail = verification.verdict()
    tested = [one for one in verification.finalists if one.gain.count > 1 and not one.gain.reason]
    better = [one for one in tested if one.gain.claim == BETTER]
    best = max(better or tested, key=lambda one: one.gain.mean, default=None)
    if best is None:
        return Answer(UNCLEAR, "Unclear: the verification shows no noise to judge by.", detail)
    if better:
        name, task = short_name(best.label, best.number), verification.task
        headline = yes(name, best.gain.mean, best.gain.half_width, task, best.latency.mean)
        export = commands.on_folder("export", f" --trial {best.number}")
        return Answer(YES, headline, detail, "Export it", export, best.number)
    if best.gain.mean <= 0 or all(one.gain.high < EFFECT for one in tested):
        return Answer(NO, no(detector), detail, *OTHER_SPACES)
    count, needed = best.gain.count, best.gain.seeds_needed or 0
    headline = f"Unclear: {in_words(count)} seeds cannot tell the gain from chance."
    if not count < needed <= AFFORDABLE * count:
        return Answer(UNCLEAR, headline, detail, f"Keep {detector}, or look for another search space", OTHER_SPACES[1])
    epochs = verification.settings.get("epochs")
    options = f" --seeds {needed}" + (f" --epochs {epochs}" if epochs else "")
    return Answer(UNCLEAR, headline, detail, "Train at more seeds", commands.on_folder("verify", options))

"""The answer of a run, read from its record."""

from typing import Any, Protocol

import pandas as pd

from gamsearch.analysis.answer import NO, UNCLEAR, UNTRAINED, YES, Answer, short_name, yes
from gamsearch.analysis.search_verdict import Confirmation
from gamsearch.analysis.significance import BETTER
from gamsearch.analysis.verification import Verification


class Judged(Protocol):
    """The part of a record from which its answer is read."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def detector_name(self) -> str: ...
    @property
    def baseline_stage(self) -> dict[str, Any]: ...
    @property
    def baseline(self) -> pd.Series | None: ...
    @property
    def candidates(self) -> pd.DataFrame: ...
    @property
    def confirmation(self) -> Confirmation | None: ...
    @property
    def verification(self) -> Verification: ...
    @property
    def verified(self) -> bool: ...
    def verdict(self) -> str: ...


def answer(record: Judged) -> Answer:
    """Answer whether attention pays, by the verification if there is one, else by the search.

    Args:
        record: The run.

    Returns:
        The answer.
    """
    detail = record.verdict()
    if reason := str(record.baseline_stage.get("still_rising") or ""):
        return Answer(UNTRAINED, "The baseline is not trained enough to tell.", reason)
    return _verified(record, detail) if record.verified else _searched(record, detail)


def _verified(record: Judged, detail: str) -> Answer:
    best = record.verification.best
    if best is not None and best.gain.claim == BETTER:
        name, gain = short_name(best.label, best.number), best.gain
        headline = yes(name, gain.mean, gain.half_width, best.latency.mean)
        return Answer(YES, headline, detail, _command(record, f"export {{}} --trial {best.number}"), best.number)
    if best is not None and best.gain.mean > 0:
        seeds = best.gain.count
        more = _command(record, f"verify {{}} --seeds {2 * seeds}")
        return Answer(UNCLEAR, f"Unclear: {seeds} seeds cannot tell the gain from noise.", detail, more)
    return Answer(NO, f"No: keep {record.detector_name}.", detail)


def _searched(record: Judged, detail: str) -> Answer:
    if record.candidates.empty or record.baseline is None:
        return Answer(UNCLEAR, "Unclear: no candidate has been compared with the baseline.", detail)
    best, found = record.candidates.iloc[0], record.confirmation
    number, verify = int(best["number"]), _command(record, "verify {}")
    if found is not None and found.mean - found.half_width > 0:
        headline = yes(short_name(best["label"], number), found.mean, found.half_width, found.latency_ratio)
        return Answer(YES, headline, detail, verify, number)
    nothing = best["map50_95_gain"] <= 0
    if nothing or (found is not None and found.mean <= 0):
        return Answer(NO, f"No: keep {record.detector_name}.", detail)
    return Answer(UNCLEAR, "Unclear: the best gain may be noise.", detail, verify)


def _command(record: Judged, words: str) -> str:
    """The command on the run's folder; empty for a replay, which has nothing to train or export."""
    settings: dict[str, Any] = record.settings
    if settings.get("evaluator") == "replay":
        return ""
    folder = f"{settings.get('out', 'results')}/{record.name}"
    return f"python -m gamsearch {words.format(folder)}"

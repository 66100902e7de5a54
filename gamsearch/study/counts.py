"""What a run counts, with one meaning each. Every sentence, table and file that counts takes its numbers from here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from gamsearch.architecture import BASELINE
from gamsearch.errors import CandidateFailed, plural

PARTS = ("complete", "stopped", "paused", "failed", "running", "interrupted")
"""What can have become of a candidate; each candidate is counted in exactly one of these."""


@dataclass(frozen=True)
class Counts:
    """The counts of a run.

    A candidate is an architecture with attention whose training has begun, or which failed before its first epoch. It
    is one candidate however many trials it took. The baseline is never a candidate. All fields but `failures` are
    numbers of what they name.

    Attributes:
        candidates: Candidates; the sum of `complete` to `interrupted`.
        complete: Candidates trained to the end. Only these are compared with the baseline.
        stopped: Candidates whose training was ended early for good.
        paused: Candidates whose training was ended early and can be resumed.
        failed: Candidates that could not be evaluated.
        running: Candidates that are being trained.
        interrupted: Candidates whose training ended with the run and has not begun again.
        refused: Architectures with attention that were refused before training: by a rule, a limit or a prediction.
        repeats: Trials that proposed a known architecture and were answered from the record.
        compared: Candidates that have a gain over the baseline; `complete` once the baseline is complete.
        on_front: Members of the Pareto front, with the baseline if it is one.
        baseline_seeds: Seeds at which the baseline was trained.
        confirmations: Trainings of candidates at seeds other than the first.
        trials: Trials of the Optuna study: the baseline, all parts of trainings, repeats and refusals.
        failures: How many candidates failed for each reason.
    """

    candidates: int = 0
    complete: int = 0
    stopped: int = 0
    paused: int = 0
    failed: int = 0
    running: int = 0
    interrupted: int = 0
    refused: int = 0
    repeats: int = 0
    compared: int = 0
    on_front: int = 0
    baseline_seeds: int = 0
    confirmations: int = 0
    trials: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All candidates by what became of them, e.g. `9 candidates: 6 complete, 2 paused, 1 failed (1 nan)`."""
        parts = [f"{getattr(self, part)} {part}" for part in PARTS if getattr(self, part)]
        if self.failed:
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.failures.items())
            parts = [f"{part} ({reasons})" if part.endswith("failed") else part for part in parts]
        if not self.candidates:
            return "no candidate yet"
        return plural(self.candidates, "candidate") + ": " + ", ".join(parts)

    @property
    def besides(self) -> str:
        """What was not a candidate, e.g. `2 refused before training, 3 repeats answered from the record`."""
        parts = [f"{self.refused} refused before training"] * bool(self.refused)
        parts += [f"{plural(self.repeats, 'repeat')} answered from the record"] * bool(self.repeats)
        return ", ".join(parts)

    @property
    def sentence(self) -> str:
        """`text` and `besides` in one line."""
        return "; ".join(filter(None, [self.text, self.besides]))


def count(trials: pd.DataFrame, gain: str, baseline_seeds: int, confirmations: int) -> Counts:
    """Count the trials of a run.

    Args:
        trials: The trials as `Record.trials` holds them.
        gain: The column of their gains over the baseline.
        baseline_seeds: Seeds at which the baseline was trained.
        confirmations: Trainings of candidates at other seeds.

    Returns:
        The counts.
    """
    repeats = trials["recalled_from"].notna()
    own = trials[~repeats & (trials["label"] != BASELINE)]
    names = own["key"].where(own["key"] != "", "#" + own["number"].astype(str))
    fates, reasons = Counter[str](), Counter[str]()
    for parts in _parts_by(names, own):
        fate, reason = _fate(parts)
        fates[fate] += 1
        reasons[reason] += bool(reason)
    complete = trials[~repeats & (trials["state"] == "complete")]
    compared = complete["feasible"] & (complete["label"] != BASELINE) & complete[gain].notna()
    return Counts(
        candidates=sum(fates[part] for part in PARTS),
        **{part: fates[part] for part in (*PARTS, "refused")},
        repeats=int(repeats.sum()),
        compared=int(compared.sum()),
        on_front=int(complete["on_front"].sum()),
        baseline_seeds=baseline_seeds,
        confirmations=confirmations,
        trials=len(trials),
        failures={reason: n for reason, n in reasons.most_common() if n},
    )


class _Part(NamedTuple):
    """A trial of an architecture, as far as it decides what became of it."""

    state: str
    reason: str
    paused: bool
    epochs: float

    @property
    def lost(self) -> bool:
        """Whether it was interrupted."""
        return self.state == "failed" and _reason(self.reason) not in CandidateFailed.REASONS


def _parts_by(names: pd.Series, trials: pd.DataFrame) -> list[list[_Part]]:
    """The trials of each name, in order; one pass, since a group of a table costs a millisecond."""
    groups: dict[str, list[_Part]] = {}
    rows = zip(names, *(trials[column] for column in _Part._fields), strict=True)
    for name, *values in rows:
        groups.setdefault(name, []).append(_Part(*values))
    return list(groups.values())


def _fate(parts: Sequence[_Part]) -> tuple[str, str]:
    """What became of one architecture after these trials, and the reason if it failed.

    A complete trial decides; else the last one that was not interrupted.
    """
    if any(part.state == "complete" for part in parts):
        return "complete", ""
    last = next((part for part in reversed(parts) if not part.lost), None)
    if last is None:
        return "interrupted", ""
    if last.state == "failed":
        return "failed", _reason(last.reason)
    if last.state == "pruned":
        if last.paused:
            return "paused", ""
        return ("stopped" if last.epochs > 0 else "refused"), ""
    return "running", ""


def _reason(text: str) -> str:
    """The word of `CandidateFailed.REASONS` that a reason begins with."""
    return text.partition(":")[0].strip()

"""What a run is doing and how far it is, read from its folder while others write to it. Nothing there is changed."""

import platform
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from gamsearch.errors import RunError, one_line
from gamsearch.reporting.formatting import duration, signed
from gamsearch.runs.folder_lock import at_work, who
from gamsearch.runs.settings import Settings
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.study import store
from gamsearch.study.history import History, interrupted
from gamsearch.study.record import Record
from gamsearch.study.storages import Address
from gamsearch.study.workers import FOLDER, described, lock_held, owner, workers

WINDOW = timedelta(hours=1)
"""Rates are those of the last hour that the run was at work."""


def status(folder: Path, now: datetime | None = None) -> list[str]:
    """What there is to say about the run in `folder`, a line each; `RunError` if there is none.

    `now` is the local time, by default that of the clock.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is no folder; give that of a run, such as results/my-search")
    working = at_work(folder)
    if not store.exists(folder):
        if not working:
            raise RunError(f"{folder} holds no run (no {store.JOURNAL}); give the folder of a run")
        return [f"{folder}: {who(folder)}", "it has just begun: data and model are being read"]
    study = store.snapshot(folder)
    return _Status(folder, study, working, now or datetime.now()).lines()


class _Status:
    """One look at a study."""

    def __init__(self, folder: Path, study: optuna.Study, working: bool, now: datetime):
        self.folder, self.study, self.working = folder, study, working
        self.record: Record = store.record(study, folder.resolve().name)
        self.trials = store.trials(study)
        known = {k: v for k, v in self.record.settings.items() if k in Settings.__dataclass_fields__}
        self.settings = Settings(**{**known, "objectives": tuple(known.get("objectives", ()))})
        self.history = History(study).update()
        ends = [t.datetime_complete for t in self.trials if t.datetime_complete]
        self.now = now if working or not ends else max(ends)

    def lines(self) -> list[str]:
        """All lines that have something to say."""
        told: dict[str, str] = {
            "trials": self.record.tally() if self.trials else "none yet",
            "now": self._current() if self.working else "",
            "used": self._used(),
            "rate": self._rate(),
            "left": self._left() if self.working else "",
            "best": self._best(),
            "verified": self._verification(),
            "browse": self._browse(),
            **dict(zip(("workers", *(" " * n for n in range(1, 100))), self._workers(), strict=False)),
        }
        return [f"{self.folder}: {self._state()}", *(f"{name:<9} {text}" for name, text in told.items() if text)]

    def _state(self) -> str:
        if self.working:
            return who(self.folder)
        if "stopping" not in self.record.settings:
            return "recorded by an earlier gamsearch; it can be reported, not resumed"
        ended = str(self.study.user_attrs.get("ended", ""))
        if ended or self._amount >= self.search_budget.amount:
            return f"finished{f' ({one_line(ended)})' if ended else ''}"
        if any(": alive," in line for line in self._workers()):
            return "running without the process that led it"
        if any(
            facts.get("host") != platform.node() and not facts.get("left") for facts in workers(self.study).values()
        ):
            return "run on other machines"
        return "interrupted; the same command goes on from here"

    def _browse(self) -> str:
        """The command that shows the study in a browser; the dashboard cannot read through the gRPC proxy."""
        address = Address.of(self.folder)
        if address.url.startswith("grpc"):
            return ""
        return f"optuna-dashboard {address.shown}  (pip install 'gamsearch[dashboard]')"

    def _workers(self) -> list[str]:
        """Who takes part: whether those of this machine are alive, and when the others were last heard of."""
        found = workers(self.study)
        counts = Counter(owner(t) for t in self.trials if t.state == TrialState.COMPLETE)
        lines = []
        for worker, facts in found.items():
            if facts.get("left"):
                continue
            here = lock_held(self.folder / FOLDER, worker) if facts.get("host") == platform.node() else None
            state = {True: "alive", False: "dead", None: f"last heard of at {one_line(facts.get('at'))[:30]}"}[here]
            lines.append(f"{described(facts)}: {state}, {counts[worker]} complete")
        return lines

    def _current(self) -> str:
        """What is being trained."""
        running = [t for t in self.trials if t.state == TrialState.RUNNING]
        if running:
            return "; ".join(map(self._describe, running))
        if not self.trials:
            return f"baseline stage of {self.settings.baseline_epochs} epochs"
        return ""

    def _describe(self, trial: FrozenTrial) -> str:
        label = one_line(trial.user_attrs.get("label", "being proposed"))
        begun = trial.datetime_start
        since = duration(max(0.0, (self.now - begun).total_seconds())) if begun else ""
        return f"trial {trial.number}, {label}{f', for {since}' if since else ''}"

    @property
    def search_budget(self) -> SearchBudget:
        return self.settings.search_budget

    @property
    def _amount(self) -> float:
        """How much of the allowance is used up."""
        each = self.settings.epochs
        return self.search_budget.used(self.history.charged(each), each, self.history.seconds)

    def _used(self) -> str:
        return self.search_budget.state(self._amount) if "stopping" in self.record.settings else ""

    def _recent(self) -> tuple[list[FrozenTrial], float]:
        """The trials that ended in the last hour at work, and the hours that they took together with the waiting."""
        own = [t for t in self.trials if not interrupted(t) and "epochs_trained" in t.user_attrs]
        recent = [t for t in own if t.datetime_complete and self.now - WINDOW <= t.datetime_complete <= self.now]
        starts = [t.datetime_start for t in recent if t.datetime_start]
        if not starts:
            return [], 0.0
        return recent, min(WINDOW, self.now - min(starts)) / timedelta(hours=1)

    def _pace(self) -> tuple[float, float] | None:
        """Trials and epochs an hour, or None where nothing ended in the last hour."""
        recent, hours = self._recent()
        if hours <= 0:
            return None
        epochs = sum(int(t.user_attrs.get("epochs_trained", 0)) for t in recent)
        return len(recent) / hours, epochs / hours

    def _rate(self) -> str:
        pace = self._pace()
        return "" if pace is None else f"{pace[0]:.3g} trials and {pace[1]:.3g} epochs an hour"

    def _left(self) -> str:
        """The time left at the present rate; the controls at the end are not counted."""
        rest, pace = max(0.0, self.search_budget.amount - self._amount), self._pace()
        if self.search_budget.unit == "hours":
            return f"{duration(rest * 3600)} of training"
        if pace is None or pace[1] <= 0:
            return ""
        epochs = rest * (self.settings.epochs if self.search_budget.unit == "trainings" else 1)
        return f"about {duration(epochs / pace[1] * 3600)}"

    def _best(self) -> str:
        candidates, baseline = self.record.candidates, self.record.baseline
        if baseline is None:
            return ""
        against = f"baseline mAP50-95 {baseline['map50_95']:.4f}"
        if candidates.empty:
            return f"no candidate yet; {against}"
        best = candidates.iloc[0]
        return f"{signed(best['map50_95_gain'])} with {best['label']} (trial {int(best['number'])}); {against}"

    def _verification(self) -> str:
        found = self.record.verification
        if not found.chosen:
            return ""
        arms = 1 + len(found.chosen) + (found.control is not None)
        done = Counter({key: len(seeds) for key, seeds in found.trainings.items()})
        seeds = int(found.settings.get("seeds") or 0)
        epochs = found.settings.get("epochs", "?")
        return f"{done.total()} of {arms * seeds} trainings of {epochs} epochs ({seeds} seeds)"

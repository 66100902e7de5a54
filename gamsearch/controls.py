"""What a search compares with: the baseline, its noise over seeds, and the best candidate at other seeds."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import optuna

from gamsearch import pareto
from gamsearch import study as records
from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, GamsearchError, RunError
from gamsearch.evaluation import Budget, Evaluator


class Shows(Protocol):
    """What a training at another seed tells while it runs."""

    def started(self, number: int, label: str) -> None: ...
    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None: ...
    def ended(self, number: int, outcome: str, gain: float | None) -> None: ...


class Controls:
    """The trainings of one study that are no proposals; each is recorded as it ends, so they resume."""

    def __init__(self, study: optuna.Study, budget: Budget, evaluator: Evaluator, shows: Shows):
        self.study, self.budget, self.evaluator, self.shows = study, budget, evaluator, shows

    def baseline(self, architecture: Architecture, seeds: int, evaluate: Callable[[], None]) -> None:
        """Have trial 0 evaluated by `evaluate` and the baseline at further seeds, as far as the record lacks them."""
        if records.baseline_trial(self.study) is None:
            evaluate()
        control = records.baseline_trial(self.study)
        if control is None:
            reason = records.trials(self.study)[-1].user_attrs.get("reason", "unknown")
            raise RunError(f"the baseline could not be evaluated ({reason}), so nothing can be compared with it")
        if "reference_point" not in self.study.user_attrs:
            point = pareto.reference_point(control.values, records.objectives_of(self.study))
            self.study.set_user_attr("reference_point", list(point))
        first = {**control.user_attrs["measurement"]["metrics"], "seed": self.budget.seed}
        done = self.study.user_attrs.get("baseline_seeds", [first])
        self.study.set_user_attr("baseline_seeds", done)
        while len(done) < seeds:
            try:
                done.append(self._at_seed(architecture, 0, self.budget.seed + len(done)))
            except CandidateFailed as failure:
                raise RunError(f"the baseline failed at another seed ({failure}), so its noise is unknown") from failure
            self.study.set_user_attr("baseline_seeds", done)

    def confirm(self) -> None:
        """Train the best candidate at the baseline's other seeds as far as the record lacks them.

        The best of many gains at one seed is too good by selection; its paired gains at other seeds are not.
        """
        best = records.record(self.study, "").candidates.head(1)
        if best.empty or best["map50_95_gain"].iloc[0] <= 0:
            return
        key, architecture = best["key"].iloc[0], Architecture.from_dict(best["architecture"].iloc[0])
        kept = self.study.user_attrs.get("confirmations", {})
        done = kept.setdefault(key, [])
        for control in self.study.user_attrs["baseline_seeds"][1 + len(done) :]:
            try:
                done.append(self._at_seed(architecture, int(best["number"].iloc[0]), int(control["seed"])))
            except CandidateFailed as failure:
                self.shows.ended(int(best["number"].iloc[0]), f"not confirmed: {failure}", None)
                return
            self.study.set_user_attr("confirmations", kept)

    def _at_seed(self, architecture: Architecture, number: int, seed: int) -> dict[str, float]:
        """The metrics of an architecture at another seed; whatever goes wrong is a `CandidateFailed`."""
        self.shows.started(number, f"{architecture.label}, seed {seed}")
        try:
            budget = replace(self.budget, seed=seed, curve=False)
            measurement = self.evaluator.evaluate(architecture, budget, self._show_epoch)
        except (CandidateFailed, GamsearchError):
            raise
        except Exception as error:
            raise CandidateFailed("error", f"{type(error).__name__}: {error}") from error
        return {**measurement.metrics, "seed": seed}

    def _show_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        if epoch:
            self.shows.epoch(epoch, self.budget.epochs, metrics)

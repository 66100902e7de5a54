"""The baseline stage of a run: for a number of epochs or until its curve is flat, recorded after each validation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gamsearch.analysis.learning_curve import Curve, decay_epochs, flat_after, is_flat, still_rising
from gamsearch.errors import OptionError, plural
from gamsearch.evaluation import AutoBudget, TrialBudget
from gamsearch.runs.prepared import StageRecord
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.settings import AUTO, Settings
from gamsearch.space.detector import Detector
from gamsearch.tasks import Task
from gamsearch.training.dataset import DataSet

BOUNDS_FROM_SCRATCH, BOUNDS_FINE_TUNED = (20, 100), (8, 40)
"""Fewest and most epochs of a baseline that trains until its curve is flat."""


def check_baseline(settings: Settings, data: DataSet, weights: Any) -> None:
    """Refuse a baseline that is to be used without training but cannot be.

    Args:
        settings: The run's settings.
        data: The data set.
        weights: The model of a `.pt`; None if the baseline begins from scratch.

    Raises:
        OptionError: There are no weights, or they know other classes.
    """
    if settings.baseline_epochs != 0:
        return
    if weights is None:
        raise OptionError("--baseline-epochs 0 needs trained weights: give --model a .pt, or train at least one epoch")
    known, points = int(weights.yaml["nc"]), weights.yaml.get("kpt_shape")
    if known != data.nc:
        raise OptionError(
            f"--baseline-epochs 0 takes {settings.model} as it is, but it knows {known} classes and the "
            f"data has {data.nc}; train at least one epoch"
        )
    if data.kpt_shape and list(points) != list(data.kpt_shape):
        raise OptionError(
            f"--baseline-epochs 0 takes {settings.model} as it is, but its kpt_shape is {list(points)} and that of the "
            f"data {list(data.kpt_shape)}; train at least one epoch"
        )


def train_stage(
    settings: Settings,
    detector: Detector,
    weights: Any,
    data: DataSet,
    device: Any,
    record: StageRecord,
    progress: RunProgress,
) -> dict[str, Any]:
    """Train the baseline unless that is done.

    Args:
        settings: The run's settings.
        detector: The stock detector.
        weights: The model of a `.pt`; None to begin from scratch.
        data: The data set.
        device: Where to train.
        record: What the record holds of the stage, and how to write it.
        progress: Displays epochs and messages.

    Returns:
        What the record is to hold of the stage; see `Record.baseline_stage`.
    """
    from gamsearch.training.baseline import start_model, train_baseline

    scratch, facts = weights is None, {"from": settings.model, **record.known}
    stage = _Stage(detector.task, budget_of(settings, scratch, facts), facts, record, progress)
    progress.started_baseline()
    train_baseline(
        start_model(detector, weights, data.names, settings.seed, data.kpt_shape),
        stage.budget,
        data.yaml.resolve(),
        device,
        settings.folder / "baseline",
        from_scratch=scratch,
        user_arguments=settings.train,
        on_epoch=stage.on_epoch,
    )
    facts.setdefault("epochs", stage.budget.epochs)
    return _judged(facts, settings, scratch, stage)


@dataclass(frozen=True)
class _Stage:
    """A stage under way; `facts` is what its record holds."""

    task: Task
    budget: TrialBudget
    facts: dict[str, Any]
    record: StageRecord
    progress: RunProgress

    def on_epoch(self, epoch: int, results: dict[str, float]) -> None:
        """Record and show an epoch."""
        from gamsearch.training.baseline import validated

        facts, most = self.facts, self.budget.epochs
        figures = {m.name: m.compute(results) for m in self.task.trained_metrics if validated(results)}
        facts["curve"] = [list(reading) for reading in facts.get("curve", []) if reading[0] < epoch]
        if figures:
            facts["curve"].append([epoch, figures[self.task.primary]])
            facts.update(epochs=epoch, **figures)
            self._decide()
            self.record.write(dict(facts))
        last = self._last_epoch()
        self.progress.baseline_epoch(epoch, last or most, figures, certain=last is not None)

    def _decide(self) -> None:
        """Note after which epoch the learning rate decays, once the curve tells."""
        if not isinstance(self.budget, AutoBudget) or "decay_after" in self.facts:
            return
        most = self.budget.epochs
        after = flat_after(self.facts["curve"], self.budget.fewest, most)
        if after is not None:
            self.facts["decay_after"] = after
            why = "the curve is flat" if is_flat(self.facts["curve"]) else f"{most} epochs are the most it takes"
            self.progress.say(
                f"baseline: {why}; {plural(decay_epochs(after), 'more epoch')} with a falling learning rate"
            )

    def _last_epoch(self) -> int | None:
        """The last epoch; None while the curve has not decided."""
        if not isinstance(self.budget, AutoBudget):
            return self.budget.epochs
        after = self.facts.get("decay_after")
        return None if after is None else int(after) + decay_epochs(int(after))


def budget_of(settings: Settings, from_scratch: bool, known: Mapping[str, Any]) -> TrialBudget:
    """Return the budget of the stage.

    Args:
        settings: The run's settings.
        from_scratch: Whether the baseline begins with random weights.
        known: What is recorded of the stage; `decay_after` is followed where it is there.

    Returns:
        The given epochs, or an `AutoBudget`.
    """
    sizes = (settings.imgsz, settings.batch, settings.seed)
    if settings.baseline_epochs != AUTO:
        return TrialBudget(int(settings.baseline_epochs), *sizes)
    fewest, most = BOUNDS_FROM_SCRATCH if from_scratch else BOUNDS_FINE_TUNED
    return AutoBudget(most, *sizes, fewest=fewest, decay_after=known.get("decay_after"))


def _judged(facts: dict[str, Any], settings: Settings, from_scratch: bool, stage: _Stage) -> dict[str, Any]:
    """The facts with `still_rising`, where the curve at a constant or given learning rate is too steep to compare."""
    auto = settings.baseline_epochs == AUTO
    curve: Curve = [r for r in facts.get("curve", []) if not auto or r[0] <= facts.get("decay_after", r[0])]
    longer = 2 * int(facts["epochs"]) if auto else AUTO
    remedy = f"{'use a .pt or' if from_scratch else 'use'} --baseline-epochs {longer} with another --name"
    sentence = still_rising(curve, remedy, from_scratch, stage.task)
    facts.pop("still_rising", None)
    if sentence:
        stage.progress.say(f"warning: {sentence}")
    return {**facts, "still_rising": sentence} if sentence else facts

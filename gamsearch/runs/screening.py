"""The screening stage: shared networks are trained and say where attention pays. Resumable; torch only on demand.

Each network is kept in the run's folder while the stage lasts, its readings in the record as they come, so that an
interrupted stage continues where it stopped.
"""

import shutil
import time
from collections.abc import Sequence
from itertools import combinations, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, OptionError, RunError, plural
from gamsearch.evaluation import Evaluator, TrialBudget
from gamsearch.runs.forecast import span
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.settings import Settings
from gamsearch.signals import stop_request
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.screening import Screening
from gamsearch.strategy.shared_effects import Reading, recorded_readings
from gamsearch.supernet.paths import ALONE, Paths, epochs_for, spread

if TYPE_CHECKING:
    from gamsearch.supernet.trainer import TrainedNetwork

SCREENING = "screening"
"""Attribute of the study that holds the readings of the stage."""
ANSWER = "screening_answer"
"""Attribute that holds what the report shows of it."""
FOLDER = "screening"
"""Where a run's folder has the networks."""
MOST = 120
"""Architectures that are measured at most in each network."""
ROUND = 10
"""Architectures that are measured between two looks at the precision."""
PRECISION = 0.004
"""Half-width of the interval of the gain of every placement alone, a fraction, at which measuring ends."""
GAINED = 0.03
"""Measuring also ends where a round narrows the widest interval by a smaller share."""


def screen(
    settings: Settings, space: SearchSpace, evaluator: Evaluator, study: optuna.Study, progress: RunProgress
) -> Screening | None:
    """Do the screening stage, or what is left of it.

    Args:
        settings: The run's settings.
        space: The search space.
        evaluator: The run's evaluator, which has the baseline.
        study: The record.
        progress: Displays epochs and messages.

    Returns:
        What the shared networks say; None where the run has no screening.

    Raises:
        RunError: A network cannot be trained.
    """
    if settings.screen == "off":
        if settings.evaluator == "training" and (text := hint(settings, space)) and not study.user_attrs.get("open"):
            progress.say(text)
        return None
    done = Screening.read(space, study.user_attrs.get(SCREENING, {}))
    if done is None:
        done = _Stage(settings, space, evaluator, study, progress).result()
        shutil.rmtree(settings.folder / FOLDER, ignore_errors=True)
    progress.say(f"screening: {done.sentence}")
    return done


def hint(settings: Settings, space: SearchSpace) -> str:
    """Say that a screening would look at what the budget cannot.

    Args:
        settings: The run's settings.
        space: The search space.

    Returns:
        A sentence; empty where every placement could be tried alone, or the budget is a time.
    """
    placements, budget = sum(map(len, space.choices.values())), settings.search_budget
    if budget.unit != "trainings" or placements <= budget.amount:
        return ""
    networks = f"{plural(settings.screen_seeds, 'network')} of {plural(network_epochs(settings, space), 'epoch')}"
    return (
        f"'{space.name}' has {placements} placements, more than {plural(int(budget.amount), 'training')} can try: "
        f"--screen supernet looks at all of them first, in {networks}"
    )


class _Stage:
    """A stage under way."""

    def __init__(
        self, settings: Settings, space: SearchSpace, evaluator: Any, study: optuna.Study, progress: RunProgress
    ):
        from gamsearch.supernet.trainer import TrainedNetwork

        self.settings, self.space, self.study, self.progress = settings, space, study, progress
        self.paths = Paths(space)
        self.epochs = network_epochs(settings, space)
        self.budgets = [
            TrialBudget(self.epochs, settings.imgsz, settings.batch, settings.seed + i)
            for i in range(settings.screen_seeds)
        ]
        self.networks: list[TrainedNetwork] = [
            TrainedNetwork(
                space,
                evaluator.baseline,
                evaluator.data,
                evaluator.device,
                self.folder / f"seed{budget.seed}",
                settings.train,
            )
            for budget in self.budgets
        ]

    @property
    def folder(self) -> Path:
        return self.settings.folder / FOLDER

    def result(self) -> Screening:
        """Train the networks, measure architectures in them, and record all of it."""
        self.progress.say(
            f"screening '{self.space.name}': {plural(len(self.networks), 'shared network')}, "
            f"{plural(self.epochs, 'epoch')} each"
        )
        for number, (network, budget) in enumerate(zip(self.networks, self.budgets, strict=True), 1):
            where = f"screening: network {number} of {len(self.networks)}"
            network.train(budget, Training(self.progress, where, self.epochs).ended)
        try:
            return self._measured()
        finally:
            for network in self.networks:
                network.close()

    def _measured(self) -> Screening:
        """Measure architectures until the effects are known, or measuring tells no more."""
        facts, task = self.study.user_attrs.get(SCREENING, {}), self.space.detector.task
        order = list(islice(spread(self.space, self.paths, self.settings.seed), MOST))
        known = {(one.seed, one.architecture): one for one in recorded_readings(self.space, facts)}
        wanted = {(budget.seed, architecture) for budget in self.budgets for architecture in order}
        readings = {key: one for key, one in known.items() if key in wanted}
        widest, began, resumed = float("inf"), time.monotonic(), len(readings)
        reference = float(self.study.user_attrs.get("baseline_stage", {}).get(task.primary) or 0.0)
        for count, architecture in enumerate(order, 1):
            stop_request.check()
            for network, budget in zip(self.networks, self.budgets, strict=True):
                if (budget.seed, architecture) not in readings:
                    readings[budget.seed, architecture] = read(network, architecture, budget)
            if count % ROUND == 0 or count == len(order):
                screening = Screening(self.space, list(readings.values()), reference)
                before, widest = widest, max(effect.half_width for effect in screening.effects)
                pace = (time.monotonic() - began) / max(len(readings) - resumed, 1)
                left = f"; at most {span(pace * len(self.networks) * (len(order) - count))} left"
                precision = f"the gain of every placement is known to ±{widest:.4f} {task.primary_title}{left}"
                self.progress.say(f"screening: {plural(count, 'architecture')} measured, {precision}")
                precise = widest <= PRECISION or widest > (1 - GAINED) * before
                if (
                    precise
                    and count > min(len(screening.effects), ALONE)
                    and _together(order[:count]) == _together(order)
                ):
                    break
                self.study.set_user_attr(SCREENING, screening.facts(complete=False))
        self.study.set_user_attr(ANSWER, screening.answer(self.epochs).to_dict())
        self.study.set_user_attr(SCREENING, screening.facts(complete=True))
        return screening


def read(network: "TrainedNetwork", architecture: Architecture, budget: TrialBudget) -> Reading:
    """Measure an architecture in a trained network.

    Args:
        network: The network.
        architecture: What to measure.
        budget: The budget of the network's training.

    Returns:
        Its reading.

    Raises:
        RunError: It cannot be measured.
    """
    primary = network.space.detector.task.primary
    try:
        return Reading(budget.seed, architecture, network.measure(architecture, budget)[primary])
    except CandidateFailed as failure:
        what = f"{architecture.label} cannot be measured in the shared network of seed {budget.seed}"
        raise RunError(f"{what} ({failure.detail}); repeat the command, or search without --screen") from failure


def _together(architectures: Sequence[Architecture]) -> set[tuple[int, int]]:
    """Pairs of sites that have attention in the same architecture, without which no pair that pays could be seen."""
    return {pair for one in architectures for pair in combinations([p.site for p in one.placements], 2)}


class Training:
    """Shows the epochs of a network's training, and after the first, second, fourth, ... how long it takes."""

    def __init__(self, progress: RunProgress, name: str, epochs: int):
        self.progress, self.name, self.epochs, self.began = progress, name, epochs, time.monotonic()
        self.first: int | None = None

    def ended(self, epoch: int, results: dict[str, float]) -> None:
        """Show that an epoch ended.

        Args:
            epoch: The epoch, from 1.
            results: What the epoch gave, which is not shown.
        """
        self.first = epoch - 1 if self.first is None else self.first
        self.progress.epoch(epoch, self.epochs, {})
        if epoch & (epoch - 1) == 0 or epoch == self.epochs:
            each = (time.monotonic() - self.began) / (epoch - self.first)
            left = f"; about {span(each * (self.epochs - epoch))} of training left" if epoch < self.epochs else ""
            self.progress.say(f"{self.name}, epoch {epoch} of {self.epochs}{left}")
        stop_request.check()


def network_epochs(settings: Settings, space: SearchSpace) -> int:
    """Compute how long a shared network trains.

    Args:
        settings: The run's settings.
        space: The search space.

    Returns:
        Its epochs.

    Raises:
        OptionError: The space has no attention.
    """
    from gamsearch.training.dataset import training_images

    paths = Paths(space)
    if not paths.most:
        raise OptionError(f"a shared network needs a space with attention, and '{space.name}' has none")
    images = training_images(settings.data) * float(settings.train.get("fraction", 1.0))
    return epochs_for(paths, settings.screen_steps, max(1, -(-int(images) // settings.batch)))

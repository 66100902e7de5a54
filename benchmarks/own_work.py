"""What gamsearch does around each training of a study that several workers share, timed in each of them.

A training is replaced by a pause of known length, which is subtracted, as is the time in which a worker idly waits for
the others; everything else counts: sampling, claim, history, records, stopping, heartbeats.
"""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import optuna
import pandas as pd
from large_study import DETECTOR, make
from overhead import Enough, Stopwatch, SyntheticEvaluator

from gamsearch.architecture import Architecture
from gamsearch.evaluation import EpochReport, Measurement, TrialBudget
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import stopping_named
from gamsearch.study import store
from gamsearch.study.storages import VARIABLE
from gamsearch.study.workers import WorkerRegistry

EPOCHS = 3
ENDLESS = 10**6
"""Trials of a search budget that is never used up."""


class PausingEvaluator(SyntheticEvaluator):
    """An evaluator whose trainings take time but no work; `paused` is the sum of their seconds."""

    def __init__(self, seconds: float):
        self.each, self.paused = seconds / EPOCHS, 0.0

    def evaluate(self, architecture: Architecture, budget: TrialBudget, report: EpochReport) -> Measurement:
        """Pause before each epoch."""

        def slowly(epoch: int, metrics: Mapping[str, float]) -> None:
            if epoch:
                begun = time.perf_counter()
                time.sleep(self.each)
                self.paused += time.perf_counter() - begun
            report(epoch, metrics)

        return super().evaluate(architecture, budget, slowly)


class TimedRegistry(WorkerRegistry):
    """A worker registry that adds the time in which its worker waits idly to the pauses of `evaluator`."""

    def __init__(self, study: optuna.Study, folder: Path, leads: bool, evaluator: PausingEvaluator):
        super().__init__(study, folder, "cpu", leads)
        self.evaluator = evaluator

    def wait(self) -> None:
        """Sleep for a moment while the others are working."""
        begun = time.perf_counter()
        super().wait()
        self.evaluator.paused += time.perf_counter() - begun


class PausedStopwatch(Stopwatch):
    """A stopwatch that stands still while its worker pauses or waits."""

    def __init__(self, trials: int, evaluator: PausingEvaluator):
        super().__init__(trials)
        self.evaluator = evaluator

    def ended(self, number: int, outcome: str, gain: float | None) -> None:
        try:
            super().ended(number, outcome, gain)
        finally:
            self.wall[-1] -= self.evaluator.paused


def measure(
    folder: Path, trials: int, workers: int, each: int, seconds: float, sampler: str, url: str = ""
) -> pd.DataFrame:
    """Continue a made-up study with several workers.

    Args:
        folder: The folder of the new run.
        trials: Trials that the study has at the start.
        workers: Number of processes.
        each: Trials that each of them runs.
        seconds: Length of a training.
        sampler: Name of the sampler.
        url: URL of the storage; empty for the journal.

    Returns:
        One row per trial with `wall` and `cpu` milliseconds besides the pause, and whether it was a `repeat`.
    """
    spawn = get_context("spawn")
    making = [spawn.Process(target=_make, args=(folder, trials, url))]
    given = (each, seconds, sampler, url)
    working = [spawn.Process(target=work, args=(folder, number, *given)) for number in range(workers)]
    for processes in (making, working):
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            raise SystemExit("a process of the benchmark failed")
    return pd.concat([pd.read_json(folder / f"{number}.json", orient="split") for number in range(workers)])


def _make(folder: Path, trials: int, url: str) -> None:
    make(folder, trials, _space(), EPOCHS, url)


def _space() -> SearchSpace:
    return SearchSpace.load("gam", Detector.load(DETECTOR))


def work(folder: Path, number: int, each: int, seconds: float, sampler: str, url: str) -> None:
    """Run trials in this process, the first of which, in which caches are filled, does not count; write the times.

    Args:
        folder: The run's folder, in which `NUMBER.json` is written.
        number: Number of this worker; 0 leads.
        each: Trials to time.
        seconds: Length of a training.
        sampler: Name of the sampler.
        url: URL of the storage; empty for the journal.
    """
    os.environ[VARIABLE] = url
    study, space = store.load(folder), _space()
    plan = Plan(space, TrialBudget(EPOCHS), SearchBudget(ENDLESS), sampler, 2, stopping_named("default"))
    evaluator = PausingEvaluator(seconds)
    stopwatch = PausedStopwatch(each + 1, evaluator)
    with TimedRegistry(study, folder, number == 0, evaluator) as registry, suppress(Enough):
        search(study, plan, evaluator, stopwatch, registry)
    content = stopwatch.per_trial().to_dict("split", index=False)
    (folder / f"{number}.json").write_text(json.dumps(content))

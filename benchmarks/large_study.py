"""Large studies, made up in seconds: what a search of thousands of trials would have recorded. Nothing is trained."""

import json
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import IntDistribution, distribution_to_json
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages._rdb import models
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import insert

from gamsearch.architecture import Architecture
from gamsearch.metrics import metric_named
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.study import store
from gamsearch.study.journal import Journal
from gamsearch.study.storages import configure_storage

DETECTOR = "yolov8n"
STATES = (TrialState.COMPLETE,) * 15 + (TrialState.PRUNED,) * 4 + (TrialState.FAIL,)
"""States of the candidates, in turn."""
BEGUN = datetime(2026, 1, 1)
AT_ONCE = 2000
"""Trials that are written to a database in one step."""


class Memory(BaseJournalBackend):
    """A journal that is written to no disk; `logs` are its operations."""

    def __init__(self, logs: Iterable[dict[str, Any]]):
        self.logs = list(logs)

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The operations from a number on."""
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append operations."""
        self.logs += logs


def make(folder: Path, trials: int, space: SearchSpace, epochs: int = 5, url: str = "") -> optuna.Study:
    """Record a study of different architectures.

    Args:
        folder: The folder of the new run.
        trials: Number of its trials, the baseline included.
        space: The space that they are of.
        epochs: Length of a whole training.
        url: URL of the storage; empty for the journal in the folder.

    Returns:
        The study, as a search would continue it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    objectives = [metric_named(name) for name in space.objectives]
    if url:
        configure_storage(folder, url, folder.name)
    made = list(_trials(space, trials, epochs))
    study = store.create(folder, objectives, _attributes(space, trials, epochs, made[0]))
    (_write_rows if url else _write_lines)(study, folder, made)
    return store.load(folder)


def _attributes(space: SearchSpace, trials: int, epochs: int, baseline: FrozenTrial) -> dict[str, Any]:
    """What describes the run."""
    stock = Detector.load(DETECTOR)
    settings = {
        "model": f"{DETECTOR}.yaml",
        "space": space.name,
        "trials": trials,
        "epochs": epochs,
        "sampler": "random",
    }
    settings |= {"stopping": "default", "evaluator": "training", "seed": 0, "imgsz": 160, "data": "made-up/data.yaml"}
    metrics = baseline.user_attrs["measurement"]["metrics"]
    return {
        "settings": settings,
        "detector": {"name": DETECTOR, "yaml": stock.yaml},
        "reference_point": [0.0, 2 * metrics["latency_ms"]],
        "baseline_seeds": [{**metrics, "seed": s, "map50_95": metrics["map50_95"] + 0.004 * s} for s in range(3)],
        "anchors_enqueued": True,
        "open": True,
    }


def _trials(space: SearchSpace, count: int, epochs: int) -> Iterator[FrozenTrial]:
    """The baseline, then different candidates: whole, stopped and failed trainings."""
    yield _trial(space, space.baseline, 0, epochs, TrialState.COMPLETE)
    for number, architecture in enumerate(_architectures(space, count - 1), start=1):
        yield _trial(space, architecture, number, epochs, STATES[number % len(STATES)])


def _architectures(space: SearchSpace, count: int) -> Iterator[Architecture]:
    """Different architectures with attention: all of a space in random order if `count` is that many."""
    rng = random.Random(0)
    if space.size == count + 1:
        everything = [one for one in space.enumerate() if not one.is_baseline]
        yield from rng.sample(everything, count)
        return
    known = {space.baseline.key}
    while len(known) <= count:
        answers = {name: rng.randint(low, high) for name, (low, high) in space.parameters.items()}
        architecture = space.sample(lambda name, low, high, answers=answers: answers[name])
        if architecture.key not in known:
            known.add(architecture.key)
            yield architecture


def _trial(space: SearchSpace, architecture: Architecture, number: int, epochs: int, state: TrialState) -> FrozenTrial:
    """A trial with the attributes that a search records."""
    rng = random.Random(architecture.key)
    done = {TrialState.COMPLETE: epochs, TrialState.PRUNED: max(1, epochs // 2), TrialState.FAIL: 0}[state]
    cost = sum(2.0 / float(dict(p.options)["rate"]) for p in architecture.placements)
    built = {"params_m": 3.0 + cost, "gflops": 8.0 + cost, "latency_ms": 10.0 + cost}
    built |= {"latency_ratio": 1 + cost / 10, "latency_iqr_ms": 0.1}
    gain = 0.005 * sum(math.sin(p.site) for p in architecture.placements) + rng.gauss(0, 0.004) * bool(cost)
    levels = [0.3 + (0.1 + gain) * (1 - math.exp(-e)) + rng.gauss(0, 0.002) for e in range(1, done + 1)]
    curve = [{"epoch": e, "map50_95": level, "map50": level + 0.2} for e, level in enumerate(levels, start=1)]
    attributes: dict[str, Any] = {
        "worker": f"{number % 4:012x}",
        "architecture": architecture.to_dict(),
        "key": architecture.key,
        "label": architecture.label,
        "seed": 0,
        "started": round(BEGUN.timestamp() + 60.0 * number, 1),
        "claimed": True,
        "built": built,
        "epochs_trained": done,
        "took": 61.0 + rng.random(),
        "curve": curve,
    }
    if state is TrialState.FAIL:
        attributes["reason"] = "nan: loss is NaN at epoch 2, also in fp32"
    elif state is TrialState.PRUNED:
        reason = f"stopped: at best {levels[-1]:.4f} after {epochs} epochs, dominated by trial 0"
        stop = {"reason": reason, "epoch": done, "bound": levels[-1], "dominated_by": 0, "paused": False}
        attributes |= {"reason": reason, "stop": stop, "feasible": True}
    else:
        metrics = {**built, "map50_95": levels[-1], "map50": levels[-1] + 0.2}
        facts = {"seconds": attributes["took"], "audit": {"tensors_inherited": 355, "tensors_expected": 355}}
        facts["audit"] |= {"tensors_fresh": 8 * len(architecture.placements), "misplaced": 0}
        attributes |= {"measurement": {"metrics": metrics, "curve": curve, "provenance": facts}, "feasible": True}
    answers = space.encode(architecture)
    trial = create_trial(
        state=state,
        values=[attributes["measurement"]["metrics"][m] for m in space.objectives] if done == epochs else None,
        params=answers,
        distributions={name: IntDistribution(*space.parameters[name]) for name in answers},
        user_attrs=attributes,
        system_attrs={"constraints:rules": -1.0},
    )
    trial.number, trial.datetime_start = number, BEGUN + timedelta(minutes=number)
    trial.datetime_complete = trial.datetime_start + timedelta(seconds=attributes["took"])
    return trial


def _write_lines(study: optuna.Study, folder: Path, trials: Sequence[FrozenTrial]) -> None:
    """Append to the journal what a search would have written, line by line, in one step."""
    journal = Journal(folder / store.JOURNAL)
    memory = Memory(journal.read_logs(0))
    storage, before = JournalStorage(memory), len(memory.logs)
    for trial in trials:
        number = storage.create_new_trial(study._study_id)
        for name, value in trial.params.items():
            storage.set_trial_param(number, name, value, trial.distributions[name])
        for name, value in trial.user_attrs.items():
            storage.set_trial_user_attr(number, name, value)
        for name, value in trial.system_attrs.items():
            storage.set_trial_system_attr(number, name, value)
        storage.set_trial_state_values(number, trial.state, trial.values)
    journal.append_logs(memory.logs[before:])


def _write_rows(study: optuna.Study, folder: Path, trials: Sequence[FrozenTrial]) -> None:
    """Insert the rows of a database."""
    del folder
    backend = study._storage._storage._backend  # type: ignore[attr-defined]
    assert isinstance(backend, RDBStorage)
    table = models.TrialModel.__table__
    for first in range(0, len(trials), AT_ONCE):
        some = trials[first : first + AT_ONCE]
        with backend.engine.begin() as connection:
            new = insert(table).returning(table.c.trial_id, sort_by_parameter_order=True)
            ids = connection.execute(new, [_row(study, trial) for trial in some]).scalars().all()
            for model, rows in _details(list(zip(ids, some, strict=True))).items():
                connection.execute(insert(model.__table__), rows)


def _row(study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
    times = {"datetime_start": trial.datetime_start, "datetime_complete": trial.datetime_complete}
    return {"number": trial.number, "study_id": study._study_id, "state": trial.state, **times}


def _details(trials: Sequence[tuple[int, FrozenTrial]]) -> dict[Any, list[dict[str, Any]]]:
    """The rows of trials with these IDs in the tables of parameters, values and attributes."""
    params = [
        {
            "trial_id": number,
            "param_name": name,
            "param_value": float(value),
            "distribution_json": distribution_to_json(trial.distributions[name]),
        }
        for number, trial in trials
        for name, value in trial.params.items()
    ]
    kind = models.TrialValueModel.TrialValueType.FINITE
    values = [
        {"trial_id": number, "objective": index, "value": value, "value_type": kind}
        for number, trial in trials
        for index, value in enumerate(trial.values or [])
    ]
    user, system = (
        [
            {"trial_id": number, "key": key, "value_json": json.dumps(value)}
            for number, trial in trials
            for key, value in getattr(trial, which).items()
        ]
        for which in ("user_attrs", "system_attrs")
    )
    return {
        models.TrialParamModel: params,
        models.TrialValueModel: values,
        models.TrialUserAttributeModel: user,
        models.TrialSystemAttributeModel: system,
    }

"""The verification of a run: finalists and baseline at full budget from the original weights, paired by seed.

Each training is recorded in the run's own study as it ends, so an interrupted verification resumes where it was.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from gamsearch.architecture import BASELINE
from gamsearch.errors import RunError, plural
from gamsearch.runs.arms import Inputs, OnEpoch, VerifyOptions, arms_of, next_scale, read_inputs, train_arm
from gamsearch.runs.folder_lock import held
from gamsearch.runs.forecast import ATTRIBUTE as EXPECTED
from gamsearch.runs.predictions import keep_predictions
from gamsearch.runs.provenance import command_line, commit, versions
from gamsearch.runs.settings import Settings
from gamsearch.runs.space_content import import_recorded_plugins
from gamsearch.runs.verification_forecast import VerificationForecast
from gamsearch.signals import stop_request
from gamsearch.study import store
from gamsearch.study.lost_record import explained
from gamsearch.study.record import Record
from gamsearch.study.table import read_record
from gamsearch.study.urls import masked

ATTRIBUTE = "verification"

Say = Callable[[str], None]
State = dict[str, Any]
"""What the study records of a verification: settings, finalists, trainings by key, bootstraps by key."""


def verify(folder: Path, options: VerifyOptions, say: Say, on_epoch: OnEpoch) -> optuna.Study:
    """Train what is not trained yet.

    Args:
        folder: The run's folder.
        options: Finalists, seeds and epochs.
        say: Called with one line per training.
        on_epoch: Called with `(epoch, epochs, metrics)` after each epoch.

    Returns:
        The run's study, which holds the verification.

    Raises:
        OptionError: A number is too small, or a model is unknown.
        RunError: The run cannot be verified, or was verified with other settings.
    """
    options.check()
    # a folder without a run is refused before anything is written
    import_recorded_plugins(folder, store.snapshot(folder).user_attrs)
    with held(folder, "verification"):
        store.repair_torn_line(folder)
        study = store.load(folder)
        settings = _settings_of(study, folder)
        finalists = _finalists(read_record(study, folder.name), options.top)
        inputs = read_inputs(folder, settings, study.user_attrs["settings"], options)
        for note in inputs.data.notes:
            say(note)
        state = _state_of(study, inputs)
        known = {one["key"] for one in state["finalists"]}
        gain = store.task(study).gain
        state["finalists"] += [_described(row, gain) for row in finalists if row["key"] not in known]
        _record_factors(state)
        with explained(folder):
            _train_all(study, inputs, state, say, on_epoch)
        device = options.device or settings.device
        keep_predictions(folder, read_record(study, folder.name), Path(settings.data), device, say)
    return study


def _settings_of(study: optuna.Study, folder: Path) -> Settings:
    """Return the settings that the run was made with; refuse a replay."""
    known = {f.name for f in fields(Settings)}
    settings = Settings(**{k: v for k, v in study.user_attrs.get("settings", {}).items() if k in known})
    if settings.evaluator == "replay":
        raise RunError(f"{folder} replays a table, so there is nothing to train; verify a run on your own data")
    return settings


def _finalists(record: Record, top: int) -> list[pd.Series]:
    """The members of the front with the largest gains, without the baseline; the best candidate if there is none."""
    best = record.candidates
    if best.empty:
        raise RunError(
            f"{record.name} has no completed candidate, so there is nothing to verify; complete the search first"
        )
    chosen = best[best["on_front"]] if best["on_front"].any() else best.head(1)
    return [row for _, row in chosen.head(top).iterrows()]


def _described(row: pd.Series, gain: str) -> dict[str, Any]:
    return {
        "key": row["key"],
        "number": int(row["number"]),
        "label": row["label"],
        "architecture": row["architecture"],
        "brief_gain": float(row[gain]),
    }


def _state_of(study: optuna.Study, inputs: Inputs) -> State:
    """Return what is recorded so far; refuse other epochs or another device than those of recorded trainings."""
    settings, options = inputs.settings, inputs.options
    requested = {
        "epochs": options.epochs,
        "imgsz": settings.imgsz,
        "batch": settings.batch,
        "model": settings.model,
        "train": {**settings.train, **options.train},
        "hardware": inputs.hardware,
        "data_fingerprint": inputs.data.fingerprint,
    }
    begun = {"settings": {**requested, "attention_lr": ""}, "finalists": []}
    state: State = study.user_attrs.get(ATTRIBUTE) or begun
    for name, value in requested.items():
        if state["settings"].get(name) != value:
            if not any(state.get("trainings", {}).values()):  # interrupted before the first training was recorded
                shutil.rmtree(inputs.folder / "verify" / "paused", ignore_errors=True)
                state = begun
                break
            raise RunError(
                f"this run was verified with {name} {state['settings'].get(name)}, not {value}, and the results would "
                "not compare; give the same value, or search under another --name"
            )
    state["settings"] |= {
        "seeds": max(options.seeds, state["settings"].get("seeds", 0)),
        "latency": inputs.backend,
        "versions": versions(),
        "command": masked(command_line()),
        "commit": commit(),
    }
    for name in ("trainings", "bootstrap"):
        state.setdefault(name, {})
    return state


def arguments_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The training arguments of a verification; one of an earlier version continues with the factor 1 that it had."""
    before = {} if "attention_lr" in settings else {"attention_lr": 1.0}
    return {**before, **settings["train"]}


def _record_factors(state: State) -> None:
    """Record the learning-rate factors, unless the verification began without them."""
    from gamsearch.training.recipe import ATTENTION_LR, factors_of

    settings = state["settings"]
    if ATTENTION_LR in settings:
        placed = [p["module"] for one in state["finalists"] for p in one["architecture"]["placements"]]
        settings[ATTENTION_LR] = factors_of(placed, settings["train"])


def _train_all(study: optuna.Study, inputs: Inputs, state: State, say: Say, on_epoch: OnEpoch) -> None:
    """Train seed by seed, so that whatever is recorded at any moment is paired."""
    options, first = inputs.options, inputs.settings.seed
    larger = (state.get("scale_up") or {}).get("model") or options.scale_up
    larger = next_scale(inputs.settings.model) if larger == "next" else larger
    arms = arms_of(inputs, state["finalists"], larger)
    if larger:
        state["scale_up"] = {"name": arms[-1].label, "model": larger}
    study.set_user_attr(ATTRIBUTE, state)
    seeds = range(first, first + state["settings"]["seeds"])
    forecast = _forecast(study, inputs, [arm.key for arm in arms], seeds)

    def after_epoch(epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        unknown, text = not forecast.text, forecast.epoch()
        on_epoch(epoch, epochs, metrics)
        if unknown:
            say(text)

    arguments = arguments_of(state["settings"])
    for seed in seeds:
        for arm in arms:
            done = state["trainings"].setdefault(arm.key, [])
            if all(one["seed"] != seed for one in done):
                left = forecast.training(state["trainings"], arm.key)
                say(
                    f"verify: {arm.label}, seed {seed}, {plural(options.epochs, 'epoch')}{f' ({left})' if left else ''}"
                )
                trained = train_arm(inputs, arm, seed, arguments, after_epoch)
                with stop_request.deferred():
                    done.append(trained)
                    study.set_user_attr(ATTRIBUTE, state)
        if seed == first:
            state["bootstrap"] |= _bootstraps(inputs, state, seed, [one["key"] for one in state["finalists"]])
            study.set_user_attr(ATTRIBUTE, state)


def _forecast(study: optuna.Study, inputs: Inputs, arms: Sequence[str], seeds: Sequence[int]) -> VerificationForecast:
    """Begin the forecast of this call; the trials of a search on other hardware say nothing about its pace."""
    recorded = study.user_attrs.get("settings", {})
    trials = read_record(study, inputs.folder.name).trials
    trials = trials if recorded.get("hardware") == inputs.hardware else trials.head(0)

    def write(facts: dict[str, Any]) -> None:
        study.set_user_attr(EXPECTED, facts)

    write({})
    return VerificationForecast(arms, seeds, inputs.options.epochs, trials, write)


def _bootstraps(inputs: Inputs, state: State, seed: int, keys: Sequence[str]) -> dict[str, Any]:
    """Per finalist that lacks it, the paired difference over resampled validation images at one seed."""
    from gamsearch.analysis.image_bootstrap import Detections, paired_bootstrap

    found = {}
    for key in keys:
        files = [inputs.images(one, seed) for one in (BASELINE, key)]
        if key in state["bootstrap"] or not all(file.exists() for file in files):
            continue
        baseline, finalist = map(Detections.load, files)
        if len(baseline.target_cls):
            found[key] = {"seed": seed, **paired_bootstrap(finalist, baseline, task=inputs.detector.task)}
    return found

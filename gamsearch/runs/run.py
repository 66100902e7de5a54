"""One run from its settings to its record: folder, study, baseline stage, search."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna

from gamsearch.errors import RunError
from gamsearch.evaluation import Evaluator
from gamsearch.metrics import metric_named
from gamsearch.runs import cleaning, imports, manifest, repeat
from gamsearch.runs.callbacks import Notifier, NotifyingProgress
from gamsearch.runs.failed_start import NewFiles
from gamsearch.runs.folder_lock import held, make_folder, refuse_second_leader
from gamsearch.runs.forecast import RunForecast
from gamsearch.runs.manifest import Manifest
from gamsearch.runs.plan import plan_of
from gamsearch.runs.predictions import keep_predictions
from gamsearch.runs.prepare import PreparedRun, prepare_named
from gamsearch.runs.prepare_training import upload_shared
from gamsearch.runs.prepared import StageRecord
from gamsearch.runs.processes import WorkerPool
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.provenance import recorded_versions
from gamsearch.runs.run_context import RunContext
from gamsearch.runs.same_inputs import check_fingerprints, check_space, record_changes
from gamsearch.runs.screening import screen
from gamsearch.runs.settings import Settings
from gamsearch.runs.space_content import space_content
from gamsearch.runs.tracking.callback import Tracking
from gamsearch.runs.tracking.trackers import trackers_named
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.samplers import sampler_named
from gamsearch.strategy.stopping import stopping_named
from gamsearch.study import store, unreachable
from gamsearch.study.artifacts import Artifacts, trusted_place, uploaded_weights
from gamsearch.study.lost_record import explained
from gamsearch.study.table import read_record
from gamsearch.study.urls import masked
from gamsearch.study.workers import WorkerRegistry

STAGE = "baseline_stage"
"""Attribute of the study that holds what is recorded of the baseline stage."""


@dataclass(frozen=True)
class _LeadingRun:
    """One call of `run` once its inputs are read and its study exists; `resumed` if the study existed before."""

    settings: Settings
    prepared: PreparedRun
    study: optuna.Study
    progress: RunProgress
    context: RunContext
    origin: Manifest | None
    resumed: bool

    @property
    def plan(self) -> Plan:
        return plan_of(self.settings, self.prepared, self.study)


def run(
    settings: Settings,
    progress: RunProgress,
    command: str,
    origin: Manifest | None = None,
    context: RunContext | None = None,
) -> optuna.Study:
    """Carry out a run, or resume it where it stopped.

    Args:
        settings: The run's settings; `settings.folder` is created if need be.
        progress: Displays messages, trials and epochs.
        command: The command line to record.
        origin: The manifest of a run to repeat: other inputs are refused, other versions and machines reported.
        context: Trust, worker slots, storage and artifact store; by default one worker and the journal file.

    Returns:
        The study with all trials.

    Raises:
        RunError: The folder is in use, or the inputs are not those that the run began with.
        OptionError: A setting names something that does not exist.
    """
    folder, context = settings.folder, context or RunContext()
    prepare = prepare_named(settings.evaluator)
    new_files = context.new_files or NewFiles(folder)
    with new_files.removed_on_failure(), _folder_held(folder):
        store.repair_torn_line(folder)
        store.delete_incomplete(folder)
        existing = store.load(folder) if store.exists(folder) else None
        prepared = prepare(settings, progress, context.trust, None)
        progress.metric = prepared.space.detector.task.primary
        sampler_named(settings.sampler, prepared.space)  # an unknown one is refused before any work
        trackers_named(context.track)  # which plug-ins of the space may define
        if origin is not None:
            inputs = {**prepared.fingerprints, **manifest.fingerprints(settings, prepared.space)}
            repeat.refuse_other_inputs(origin, inputs, partial(prepared.data_changes, origin.path.parent))
        study = existing or _create(
            settings, prepared, command, origin, imports.of_run(settings, prepared.space.detector, origin, progress.say)
        )
        new_files.keep()
        check_space(study, prepared.space.fingerprint, settings.space)
        with explained(folder), WorkerRegistry(study, folder, settings.device or "default device") as registry:
            _lead(_LeadingRun(settings, prepared, study, progress, context, origin, existing is not None), registry)
    return study


@contextmanager
def _folder_held(folder: Path) -> Iterator[None]:
    make_folder(folder)
    with held(folder):
        unreachable.keep_in(folder)
        yield


def _lead(run: _LeadingRun, registry: WorkerRegistry) -> None:
    """Check the fingerprints, do the baseline stage, search, and record why the search ended."""
    study, progress = run.study, run.progress
    refuse_second_leader(registry, progress)
    rungs = stopping_named(run.settings.stopping).rungs(run.settings.epochs)
    changes = partial(run.prepared.data_changes, run.settings.folder)
    check_fingerprints(study, {**run.prepared.fingerprints, "rungs": str(rungs)}, changes)
    record_changes(study, run.settings.data, run.settings.search_anyway)
    facts = _update_manifest(run, run.resumed)
    if run.origin is not None:
        for line in repeat.differences(run.origin, facts) or ["nothing: versions, machine, commit and inputs agree"]:
            progress.say(f"differs from {run.origin.path}: {line}")
    files = _artifacts(study, run.context)
    study.set_user_attr("ready", True)
    progress.forecast = RunForecast(study, run.plan, len({slot.device for slot in run.context.slots}))
    stage = StageRecord(study.user_attrs.get(STAGE, {}), lambda facts: study.set_user_attr(STAGE, facts))
    ready = run.prepared.start(_reference_ms(study), files, stage)
    check_fingerprints(study, ready.fingerprints)
    stage.write(dict(ready.baseline_stage or stage.known))
    _update_manifest(run, resumed=True)
    notifier = _notifier(run)
    screening = screen(run.settings, run.prepared.space, ready.evaluator, study, progress)
    study.set_user_attr("ended", "")
    reason = _search(run, registry, ready.evaluator, files, notifier)
    if screening is not None and screening.nothing_pays and not run.settings.search_anyway:
        reason = f"{screening.sentence} Give --search-anyway to search all the same"
    study.set_user_attr("ended", reason)
    progress.say(f"search ended: {reason}")
    notifier.end()
    if freed := cleaning.delete_checkpoints(run.settings.folder):
        progress.say(f"deleted {freed.text}; with more --trials, a training that is resumed starts over")
    if run.settings.evaluator == "training":
        record, settings = read_record(study, run.settings.folder.name), run.settings
        keep_predictions(settings.folder, record, Path(settings.data), settings.device, progress.say)


def _notifier(run: _LeadingRun) -> Notifier:
    """What is called as trials end: trackers first, then the user's own."""
    study, folder, context = run.study, run.settings.folder, run.context
    callbacks = list(context.callbacks)
    if context.track:
        callbacks.insert(0, Tracking(trackers_named(context.track), study, folder, run.progress.say))
    return Notifier(study, folder.name, str(folder), callbacks)


def _search(
    run: _LeadingRun, registry: WorkerRegistry, evaluator: Evaluator, files: Artifacts, notifier: Notifier
) -> str:
    """Search with the workers of this machine and any that join from elsewhere; return why the search ended."""
    folder = run.settings.folder
    pool = WorkerPool(folder, list(run.context.slots[1:]), run.progress.say, run.context.storage)

    def opened() -> None:
        upload_shared(files, folder)
        pool.start()

    try:
        reason = search(run.study, run.plan, evaluator, NotifyingProgress(run.progress, notifier), registry, opened)
        pool.finish()
    finally:
        pool.stop()
    for name in uploaded_weights(run.study.user_attrs):
        if not (folder / name).exists():
            files.download(name, folder / name)
    return reason


def _artifacts(study: optuna.Study, context: RunContext) -> Artifacts:
    """Return the run's artifact store, whose place the study records for workers that join later."""
    if context.artifacts:
        study.set_user_attr("artifacts", context.artifacts)
    return Artifacts(study, trusted_place(str(study.user_attrs.get("artifacts", "")), context.artifacts, needed=True))


def _create(
    settings: Settings, prepared: PreparedRun, command: str, origin: Manifest | None, imported: list[dict[str, Any]]
) -> optuna.Study:
    """Create the study of a new run and record how it was made; a repetition keeps the length of the baseline stage."""
    space = prepared.space
    recorded = {**settings.to_dict(), "command": masked(command), "versions": recorded_versions(), **prepared.recorded}
    facts = {
        "settings": recorded,
        "space": {"name": space.name, "fingerprint": space.fingerprint, "content": space_content(space)},
        "detector": {"name": space.detector.name, "yaml": space.detector.yaml},
        "fingerprints": {},
        STAGE: {} if origin is None else dict(origin.content.get("baseline", {})),
        **({imports.IMPORTED: imported} if imported else {}),
    }
    return store.create(settings.folder, [metric_named(name) for name in space.objectives], facts)


def _update_manifest(run: _LeadingRun, resumed: bool) -> dict[str, Any]:
    """Write or complete the manifest; return the facts of this process."""
    plan, repeats = run.plan, None if run.origin is None else run.origin.identity
    facts = manifest.facts(run.settings, plan.space, run.study.user_attrs, plan.noise_seeds, repeats)
    manifest.keep(run.settings.folder, facts, resumed)
    return facts


def recorded_settings(folder: Path) -> dict[str, Any] | None:
    """Return the settings that an existing run recorded.

    Args:
        folder: The run's folder.

    Returns:
        The recorded settings, or None if the folder holds no run.

    Raises:
        RunError: The record is damaged, or an earlier gamsearch made it, so that the run cannot be resumed.
    """
    if not store.exists(folder):
        return None
    known = store.snapshot(folder).user_attrs
    settings, prints = dict(known.get("settings", {})), known.get("fingerprints", {})
    if settings and ("stopping" not in settings or "data" in prints and "recipe" not in prints):
        raise RunError(
            f"{folder} was recorded by an earlier gamsearch, whose trainings and latencies do not compare with those "
            "of this version; `report` still reads it, but a search needs a new --name"
        )
    return settings


def _reference_ms(study: optuna.Study) -> float | None:
    """Return the baseline's latency in ms, to which all latencies of the study refer, or None before trial 0."""
    control = store.baseline_trial(study)
    return None if control is None else control.user_attrs["measurement"]["metrics"]["latency_ms"]

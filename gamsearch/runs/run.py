"""One run from its settings to its record: the folder, the lock, the baseline stage, the search."""

import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout

from gamsearch.errors import RunError
from gamsearch.evaluation import Evaluator, TrialBudget
from gamsearch.files import refuse_links
from gamsearch.metrics import metric_named
from gamsearch.runs import manifest, repeat
from gamsearch.runs.folder_lock import LOCK, announced
from gamsearch.runs.manifest import Manifest
from gamsearch.runs.prepare import PreparedRun, prepare_named, upload_shared
from gamsearch.runs.processes import Slot, WorkerPool
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.provenance import versions
from gamsearch.runs.settings import Settings
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.samplers import sampler_named
from gamsearch.strategy.stopping import stopping_named
from gamsearch.study import store
from gamsearch.study.artifacts import Artifacts, trusted_place, uploaded_weights
from gamsearch.study.urls import masked
from gamsearch.study.workers import MISSED, WorkerRegistry

PACKAGES = ("gamsearch", "python", "ultralytics", "torch", "optuna", "numpy")
"""Those whose versions stand among the recorded settings; the manifest has more."""


@dataclass(frozen=True)
class RunContext:
    """What a run is told besides its settings, and what is recorded nowhere or without its secrets.

    `trust` lets a `--model` that cannot be opened otherwise run the code that it holds; whoever passes a folder on
    could write it there. `slots` are where the workers run, this one first; `storage` is the URL of a storage other
    than the journal, `artifacts` where machines that do not share the folder hand on files.
    """

    trust: bool = False
    slots: tuple[Slot, ...] = ()
    storage: str = ""
    artifacts: str = ""


def run(
    settings: Settings,
    progress: RunProgress,
    command: str,
    origin: Manifest | None = None,
    context: RunContext | None = None,
) -> optuna.Study:
    """Carry out a run, or go on with it where it was stopped; return its study. `RunError` if the folder is in use.

    With an `origin` it repeats the run of that manifest: other inputs are refused, other surroundings told.
    """
    folder, context = settings.folder, context or RunContext()
    prepare = prepare_named(settings.evaluator)
    _make(folder)
    with held(folder):
        store.repair_torn_line(folder)
        store.delete_incomplete(folder)
        existing = store.load(folder) if store.exists(folder) else None
        prepared = prepare(settings, progress, context.trust, None)
        sampler_named(settings.sampler, prepared.space)  # refused before any work
        if origin is not None:
            found = {**prepared.fingerprints, **manifest.fingerprints(settings, prepared.space)}
            repeat.refuse_other_inputs(origin, found)
        study = existing or _create(settings, prepared, command)
        _check_space(study, prepared, settings)
        rungs = stopping_named(settings.stopping).rungs(settings.epochs)
        with WorkerRegistry(study, folder, settings.device or "default device") as registry:
            refuse_second_leader(registry, progress)
            _check_fingerprints(study, {**prepared.fingerprints, "rungs": str(rungs)})
            plan = plan_of(settings, prepared)
            facts = _keep_manifest(settings, plan, study, origin, resumed=existing is not None)
            if origin is not None:
                for line in repeat.differences(origin, facts) or [
                    "nothing: versions, machine, commit and inputs agree"
                ]:
                    progress.say(f"differs from {origin.path}: {line}")
            files = _files(study, context)
            study.set_user_attr("ready", True)
            started = prepared.start(_reference_ms(study), files)
            _check_fingerprints(study, started.fingerprints)
            _keep_manifest(settings, plan, study, origin, resumed=True)
            stage = {**started.baseline_stage, **study.user_attrs.get("baseline_stage", {})}
            study.set_user_attr("baseline_stage", stage)
            study.set_user_attr("ended", "")
            why = _searched(study, plan, started.evaluator, progress, registry, folder, context, files)
            study.set_user_attr("ended", why)
            progress.say(f"search ended: {why}")
    return study


def plan_of(settings: Settings, prepared: PreparedRun) -> Plan:
    """What the search of a run with these settings is to do."""
    budget = TrialBudget(settings.epochs, settings.imgsz, settings.batch, settings.seed)
    seeds = min(settings.noise_seeds, prepared.seeds or settings.noise_seeds)
    stopping = stopping_named(settings.stopping)
    return Plan(prepared.space, budget, settings.search_budget, settings.sampler, seeds, stopping, settings.seed)


def _searched(
    study: optuna.Study,
    plan: Plan,
    evaluator: Evaluator,
    progress: RunProgress,
    registry: WorkerRegistry,
    folder: Path,
    context: RunContext,
    files: Artifacts,
) -> str:
    """Search together with further workers of this machine, and with whoever else takes part; return why it ended."""
    pool = WorkerPool(folder, list(context.slots[1:]), progress.say, context.storage)

    def opened() -> None:
        upload_shared(files, folder)
        pool.start()

    try:
        why = search(study, plan, evaluator, progress, registry, opened)
        pool.finish()
    finally:
        pool.stop()
    for name in uploaded_weights(study.user_attrs):
        if not (folder / name).exists():
            files.download(name, folder / name)
    return why


def _files(study: optuna.Study, context: RunContext) -> Artifacts:
    """Where the run hands files on; the study tells those who join it later."""
    if context.artifacts:
        study.set_user_attr("artifacts", context.artifacts)
    return Artifacts(study, trusted_place(str(study.user_attrs.get("artifacts", "")), context.artifacts, needed=True))


def refuse_second_leader(registry: WorkerRegistry, progress: RunProgress) -> None:
    """Two runs on one storage by mistake: the second is refused; one that died on another machine is waited for."""
    beats = registry.beats()
    said = False
    while leaders := registry.leaders():
        now = registry.beats()
        for worker in leaders:
            if registry.locked_here(worker) or now[worker] != beats.get(worker):
                raise RunError(
                    f"this study is led by another run ({registry.describe(worker)}); wait for it, join it with "
                    "`worker`, or give another --name"
                )
        if not said:
            minutes = registry.beat_s * (MISSED + 1) / 60
            progress.say(f"another run led this study and did not end it; watching for up to {minutes:.0f} min")
            said = True
        registry.wait()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
        refuse_links(folder)
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror}); mend it or give another --out") from error


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder; the lock vanishes with the process."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"{folder} is in use by another run; wait for it or give another --name") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def held(folder: Path, task: str = "search") -> Iterator[None]:
    """Hold a run's folder against every other writer, tell who does, and end on SIGTERM as on Ctrl-C."""
    with _lock(folder), _terminate_as_interrupt(), announced(folder, task):
        yield


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a run as cleanly as Ctrl-C does (main thread only)."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not in the main thread: the caller handles its signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _create(settings: Settings, prepared: PreparedRun, command: str) -> optuna.Study:
    """The study of a new run, with all that says how it was made."""
    space = prepared.space
    facts = {
        "settings": {**settings.to_dict(), "command": masked(command), "versions": _versions(), **prepared.shown},
        "space": {
            "name": space.name,
            "fingerprint": space.fingerprint,
            "content": manifest.space_content(space),
        },
        "detector": {"name": space.detector.name, "yaml": space.detector.yaml},
        "fingerprints": {},
        "baseline_stage": {},
    }
    return store.create(settings.folder, [metric_named(name) for name in space.objectives], facts)


def _keep_manifest(
    settings: Settings, plan: Plan, study: optuna.Study, origin: Manifest | None, resumed: bool
) -> dict[str, Any]:
    """Write or complete the manifest; return what it would say of this process."""
    repeats = None if origin is None else origin.identity
    facts = manifest.facts(settings, plan.space, study.user_attrs, plan.noise_seeds, repeats)
    manifest.keep(settings.folder, facts, resumed)
    return facts


def _check_space(study: optuna.Study, prepared: PreparedRun, settings: Settings) -> None:
    """A study has one space; its parameters cannot change."""
    if study.user_attrs.get("space", {}).get("fingerprint") != prepared.space.fingerprint:
        raise RunError(f"the search space '{settings.space}' changed since this run began; use another --name")


def _check_fingerprints(study: optuna.Study, found: Mapping[str, Any]) -> None:
    """Trials compare only if data, weights and device are those that the run began with; new ones are recorded."""
    known = study.user_attrs.get("fingerprints", {})
    for what, value in found.items():
        if known.setdefault(what, value) != value:
            raise RunError(f"the {what} changed since this run began, so trials would not compare; use another --name")
    study.set_user_attr("fingerprints", known)


def recorded_settings(folder: Path) -> dict[str, Any] | None:
    """The settings that an existing run recorded, or None if there is no run."""
    if not store.exists(folder):
        return None
    known = store.snapshot(folder).user_attrs
    settings, prints = dict(known.get("settings", {})), known.get("fingerprints", {})
    if settings and ("stopping" not in settings or "data" in prints and "recipe" not in prints):
        raise RunError(
            f"{folder} was recorded by an earlier gamsearch, whose trainings and latencies do not compare with this "
            "one's; `report` still reads it, but a search needs a new --name"
        )
    return settings


def _versions() -> dict[str, str]:
    found = versions()
    return {name: found[name] for name in PACKAGES if name in found}


def _reference_ms(study: optuna.Study | None) -> float | None:
    """The baseline's latency that all latencies of this study refer to, if it was measured already."""
    control = store.baseline_trial(study) if study is not None else None
    return None if control is None else control.user_attrs["measurement"]["metrics"]["latency_ms"]


def command_line() -> str:
    """The command as the user typed it, for the record."""
    return "python -m gamsearch " + shlex.join(sys.argv[1:])

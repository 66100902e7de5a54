"""`worker`: join a search that another process leads, on this machine or another one."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna

from gamsearch.errors import RunError, one_line
from gamsearch.files import refuse_links
from gamsearch.runs.manifest import write_yaml
from gamsearch.runs.plan import plan_of
from gamsearch.runs.prepare import prepare_named
from gamsearch.runs.prepare_training import BASELINE_FILE
from gamsearch.runs.prepared import StageRecord, WorkerContext
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.provenance import versions
from gamsearch.runs.settings import NAME, Settings, check
from gamsearch.runs.space_content import recorded_content
from gamsearch.signals import stop_request
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.study import store
from gamsearch.study.artifacts import Artifacts, trusted_place
from gamsearch.study.lost_record import explained
from gamsearch.study.outage import StorageUnreachable
from gamsearch.study.record import latency_backend
from gamsearch.study.single_worker import POLL_S
from gamsearch.study.storages import Address
from gamsearch.study.workers import WorkerRegistry


@dataclass(frozen=True)
class WorkerOptions:
    """Options of `worker`.

    Attributes:
        folder: The run's folder as this worker sees it.
        data: Data YAML on this machine; empty for the run's.
        device: Device of this worker; empty for the run's.
        artifacts: Folder or `s3://bucket` that holds the run's files, if the folder is not shared.
        wait_s: Seconds to wait for a study that does not exist yet.
        parent: Id of the process that started this worker, which leaves when that process is gone; 0 for none.
    """

    folder: Path
    data: str = ""
    device: str = ""
    artifacts: str = ""
    wait_s: float = 0.0
    parent: int = 0


def run_worker(options: WorkerOptions, progress: RunProgress) -> str:
    """Evaluate candidates of a study until its search ends or SIGTERM arrives.

    Args:
        options: The run's folder and what differs on this machine.
        progress: Displays messages, trials and epochs.

    Returns:
        Why the work ended, in one sentence.

    Raises:
        RunError: There is no such study, or versions, data, weights or hardware differ from the run's.
    """
    study = _study(options)
    attributes = study.user_attrs
    settings = _settings(attributes, options)
    _refuse_other_versions(attributes["settings"].get("versions", {}))
    space = recorded_space(attributes, options.folder)
    apart = settings.evaluator != "replay" and not (options.folder / BASELINE_FILE).exists()
    files = Artifacts(study, trusted_place(str(attributes.get("artifacts", "")), options.artifacts, apart))
    device = settings.device or "default device"
    registered = WorkerRegistry(study, options.folder, device, False, parent=options.parent)
    with explained(options.folder), registered as registry:
        try:
            return _work(study, settings, space, files, registry, progress)
        except KeyboardInterrupt:
            if not registry.leaving:
                raise
            return "left after its epoch, as requested; the other workers continue"


def _work(
    study: optuna.Study,
    settings: Settings,
    space: SearchSpace,
    files: Artifacts,
    registry: WorkerRegistry,
    progress: RunProgress,
) -> str:
    """Prepare, wait until the study is open, and search."""
    with stop_request.sigterm_calls(partial(setattr, registry, "leaving", True)):
        context = WorkerContext(space, registry.id)
        prepared = prepare_named(settings.evaluator)(settings, progress, False, context)
        progress.metric = space.detector.task.primary
        _compare(study, prepared.fingerprints, partial(prepared.data_changes, settings.folder))
        _wait_until_open(study, registry, progress)
        _compare(study, prepared.fingerprints)  # the run may have recorded more of them since
        if (ended := study.user_attrs.get("ended")) and not registry.leaders():
            return f"the search has already ended: {ended}"
        control = store.baseline_trial(study)
        assert control is not None  # the study is open
        ready = prepared.start(float(control.user_attrs["measurement"]["metrics"]["latency_ms"]), files, StageRecord())
        _compare(study, ready.fingerprints)
        return search(study, plan_of(settings, prepared, study), ready.evaluator, progress, registry)


def recorded_space(attributes: Mapping[str, Any], not_below: Path | None = None) -> SearchSpace:
    """Rebuild the search space from the study, since its file need not be on this machine.

    Args:
        attributes: The study's user attributes.
        not_below: The run's folder; plug-ins in it are not imported.

    Returns:
        The space with the recorded fingerprint.

    Raises:
        RunError: The record lacks the space or its detector, or does not match its fingerprint.
    """
    known, detector = attributes.get("space", {}), attributes.get("detector", {})
    if "content" not in known:
        raise RunError("this study was created by an earlier gamsearch and lacks the search space that workers need")
    if not known.keys() >= {"name", "fingerprint"} or not detector.keys() >= {"name", "yaml"}:
        raise RunError("this study lacks its search space or its detector; the record is damaged")
    if not NAME.fullmatch(known["name"]):
        raise RunError("this study's search space has an invalid name; the record is damaged")
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{known['name']}.yaml"
        write_yaml(path, {k: v for k, v in recorded_content(known["content"]).items() if k != "detector"})
        space = SearchSpace.load(path, Detector.from_yaml(detector["name"], detector["yaml"]), not_below)
    if space.fingerprint != known["fingerprint"]:
        raise RunError("this study's search space does not match its recorded fingerprint; start a new run")
    return space


def _study(options: WorkerOptions) -> optuna.Study:
    """Return the study once it exists and is ready for workers."""
    until = time.monotonic() + options.wait_s
    refuse_links(options.folder)
    while not _ready(options.folder, time.monotonic() < until):
        if options.parent and os.getppid() != options.parent:
            raise RunError("the run that started this worker has ended")
        if time.monotonic() >= until:
            address = Address.of(options.folder)
            raise RunError(
                f"there is no study '{address.study}' in {address.location} to join; start it with `run`, "
                "or give e.g. --wait 10 to wait 10 minutes for it"
            )
        stop_request.sleep(1.0)
    return store.load(options.folder)


def _ready(folder: Path, waits: bool) -> bool:
    """Return whether the leading run has written everything that a worker reads; one that `waits` needs no answer."""
    try:
        return store.exists(folder) and bool(store.load(folder).user_attrs.get("ready"))
    except StorageUnreachable:
        if not waits:
            raise
        return False


def _settings(attributes: Mapping[str, Any], options: WorkerOptions) -> Settings:
    """Return the run's settings with this machine's data, device and folder."""
    known = {f.name for f in fields(Settings)}
    recorded = {name: value for name, value in attributes["settings"].items() if name in known}
    here = {"data": options.data or recorded.get("data", ""), "device": options.device or recorded.get("device", "")}
    place = {"out": str(options.folder.parent), "name": options.folder.name}
    listed = {name: tuple(recorded.get(name, ())) for name in ("objectives", "imports")}
    backend = latency_backend(attributes["settings"])  # what `auto` was where the run began
    settings = Settings(**{**recorded, **here, **place, **listed, **({"latency": backend} if backend else {})})
    check(settings)
    return settings


def _refuse_other_versions(recorded: Mapping[str, str]) -> None:
    here = versions()
    for name in recorded:
        if recorded[name] != here.get(name):
            raise RunError(
                f"this run uses {name} {one_line(recorded[name])}, this machine {here.get(name, 'none')}, so trials "
                f"would not compare; install the same version"
            )


def _compare(study: optuna.Study, found: Mapping[str, Any], changes: Callable[[], str] = str) -> None:
    """Refuse data, weights or hardware other than the run's; `changes` names the files of the data that differ."""
    known = study.user_attrs.get("fingerprints", {})
    for what, value in found.items():
        if what in known and known[what] != value:
            remedy = "give --data the same data set" if what == "data" else "use one that matches"
            remedy = f"{text}; {remedy}" if what == "data" and (text := changes()) else remedy
            raise RunError(
                f"the {what} of this machine ({one_line(value)}) is not the run's ({one_line(known[what])}), "
                f"so trials would not compare; {remedy}"
            )


def _wait_until_open(study: optuna.Study, registry: WorkerRegistry, progress: RunProgress) -> None:
    """Wait until the leading run has evaluated the baseline."""
    reported = False
    while not study.user_attrs.get("open"):
        if not reported:
            progress.say("waiting for the leading run to evaluate the baseline")
            reported = True
        if registry.leaving:
            raise KeyboardInterrupt
        if not registry.leaders():
            raise RunError("the run that led this study ended before it evaluated the baseline; start `run` again")
        stop_request.sleep(POLL_S)

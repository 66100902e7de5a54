"""`worker`: take part in a search that another process opened, on this machine or another one."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna

from gamsearch.errors import RunError, one_line
from gamsearch.files import refuse_links
from gamsearch.runs.manifest import write_yaml
from gamsearch.runs.prepare import BASELINE_FILE, WorkerContext, prepare_named
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.provenance import versions
from gamsearch.runs.run import plan_of
from gamsearch.runs.settings import NAME, Settings, check
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.study import store
from gamsearch.study.artifacts import Artifacts, trusted_place
from gamsearch.study.storages import Address
from gamsearch.study.workers import POLL_S, WorkerRegistry


@dataclass(frozen=True)
class WorkerOptions:
    """Options of `worker`: its own `folder`, where data and artefacts are on this machine, and its device.

    `wait_s` is how long the study is waited for if it is not there yet, `parent` the process that started this one.
    """

    folder: Path
    data: str = ""
    device: str = ""
    artifacts: str = ""
    wait_s: float = 0.0
    parent: int = 0


def join(options: WorkerOptions, progress: RunProgress) -> str:
    """Work on the study of `options.folder` until its search ends or SIGTERM; return why it ended."""
    study = _study(options)
    own = study.user_attrs
    settings = _settings(own, options)
    _refuse_other_versions(own["settings"].get("versions", {}))
    space = recorded_space(own, options.folder)
    apart = settings.evaluator == "training" and not (options.folder / BASELINE_FILE).exists()
    files = Artifacts(study, trusted_place(str(own.get("artifacts", "")), options.artifacts, apart))
    with WorkerRegistry(
        study, options.folder, settings.device or "default device", False, parent=options.parent
    ) as registry:
        try:
            return _work(study, settings, space, files, registry, progress)
        except KeyboardInterrupt:
            if not registry.leaving:
                raise
            return "left after its epoch, as asked; the others go on"


def _work(
    study: optuna.Study,
    settings: Settings,
    space: SearchSpace,
    files: Artifacts,
    registry: WorkerRegistry,
    progress: RunProgress,
) -> str:
    """Prepare, wait until the study is open, and search."""
    with _leaving_on_sigterm(registry):
        context = WorkerContext(space, registry.id)
        prepared = prepare_named(settings.evaluator)(settings, progress, False, context)
        _compare(study, prepared.fingerprints)
        _wait_until_open(study, registry, progress)
        _compare(study, prepared.fingerprints)  # those that the run found since
        if (ended := study.user_attrs.get("ended")) and not registry.leaders():
            return f"the search has ended already: {ended}"
        control = store.baseline_trial(study)
        assert control is not None  # it is open
        started = prepared.start(float(control.user_attrs["measurement"]["metrics"]["latency_ms"]), files)
        _compare(study, started.fingerprints)
        return search(study, plan_of(settings, prepared), started.evaluator, progress, registry)


def recorded_space(attributes: Mapping[str, Any], not_below: Path | None = None) -> SearchSpace:
    """The search space as the study holds it: its file need not be on this machine."""
    known, detector = attributes.get("space", {}), attributes.get("detector", {})
    if "content" not in known:
        raise RunError("this study was begun by an earlier gamsearch, which kept no search space for others to join")
    if not known.keys() >= {"name", "fingerprint"} or not detector.keys() >= {"name", "yaml"}:
        raise RunError("this study does not say its search space and its detector; the record is damaged")
    if not NAME.fullmatch(known["name"]):
        raise RunError("the name of this study's search space is none; the record is damaged")
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{known['name']}.yaml"
        write_yaml(path, {k: v for k, v in known["content"].items() if k != "detector"})
        space = SearchSpace.load(path, Detector.from_yaml(detector["name"], detector["yaml"]), not_below)
    if space.fingerprint != known["fingerprint"]:
        raise RunError("the search space of this study is not what it was recorded to be; start a new run")
    return space


def _study(options: WorkerOptions) -> optuna.Study:
    """The study, once it is there and says how it was made."""
    begun = time.monotonic()
    refuse_links(options.folder)
    while not _ready(options.folder):
        if time.monotonic() - begun >= options.wait_s:
            address = Address.of(options.folder)
            raise RunError(
                f"there is no study '{address.study}' in {address.location} to take part in; start it with `run`, "
                "or give --wait 10 for as many minutes"
            )
        time.sleep(1.0)
    return store.load(options.folder)


def _ready(folder: Path) -> bool:
    """Whether the leading run has written all that a worker reads."""
    return store.exists(folder) and bool(store.load(folder).user_attrs.get("ready"))


def _settings(own: Mapping[str, Any], options: WorkerOptions) -> Settings:
    """The run's settings with what is different on this machine."""
    known = {f.name for f in fields(Settings)}
    recorded = {name: value for name, value in own["settings"].items() if name in known}
    here = {"data": options.data or recorded.get("data", ""), "device": options.device or recorded.get("device", "")}
    place = {"out": str(options.folder.parent), "name": options.folder.name}
    settings = Settings(**{**recorded, **here, **place, "objectives": tuple(recorded.get("objectives", ()))})
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


def _compare(study: optuna.Study, found: Mapping[str, Any]) -> None:
    """Refuse to work with other data, weights or hardware than the run's."""
    known = study.user_attrs.get("fingerprints", {})
    for what, value in found.items():
        if what in known and known[what] != value:
            mend = "give --data the same data set" if what == "data" else "use one that has the same"
            raise RunError(
                f"the {what} of this machine ({one_line(value)}) is not the run's ({one_line(known[what])}), "
                f"so trials would not compare; {mend}"
            )


def _wait_until_open(study: optuna.Study, registry: WorkerRegistry, progress: RunProgress) -> None:
    """Wait until the leading run has evaluated the baseline."""
    said = False
    while not study.user_attrs.get("open"):
        if not said:
            progress.say("waiting until the leading run has evaluated the baseline")
            said = True
        if registry.leaving:
            raise KeyboardInterrupt
        if not registry.leaders():
            raise RunError("the run that leads this study is gone and its baseline is unknown; start `run` again")
        time.sleep(POLL_S)


@contextmanager
def _leaving_on_sigterm(registry: WorkerRegistry) -> Iterator[None]:
    """SIGTERM ends the work after the epoch, a second one at once; the training is kept for the others."""

    def leave(number: int, frame: Any) -> None:
        if registry.leaving:
            raise KeyboardInterrupt
        registry.leaving = True

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

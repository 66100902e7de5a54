"""From settings to an evaluator: read data and model, train the baseline, or open a table. Torch only on demand."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gamsearch.architecture import Architecture
from gamsearch.errors import ModelError, OptionError, RunError, nearest
from gamsearch.evaluation import Evaluator, TrialBudget
from gamsearch.metrics import METRICS
from gamsearch.models.register import quiet_ultralytics
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.settings import Settings
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.study.artifacts import Artifacts
from gamsearch.training.dataset import DataSet

if TYPE_CHECKING:
    from gamsearch.training.replay import ReplayTable

BASELINE_FILE, LATENCIES = "baseline/baseline.pt", "latency.json"
"""Where a run's folder has the weights that all candidates inherit, and the latency table."""
TABLE_SECONDS = 60.0
"""So long the latency table is measured at most, in a short search less, and no longer than it takes to be precise."""


@dataclass(frozen=True)
class ReadyEvaluator:
    """An evaluator that is ready, and what the stage before it adds to the record."""

    evaluator: Evaluator
    fingerprints: Mapping[str, Any] = field(default_factory=dict)
    baseline_stage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PreparedRun:
    """What a run needs once its inputs are read and before anything is trained.

    `start(reference_ms, files)` does the baseline stage and returns the evaluator. `recorded` goes into the recorded
    settings; `fingerprints` must be the same whenever the run is resumed; `seeds` is how many seeds can be measured.
    """

    space: SearchSpace
    start: Callable[[float | None, Artifacts], ReadyEvaluator]
    recorded: Mapping[str, Any] = field(default_factory=dict)
    fingerprints: Mapping[str, Any] = field(default_factory=dict)
    seeds: int | None = None


@dataclass(frozen=True)
class WorkerContext:
    """What a worker has from the study that it takes part in: its space, and a name of its own."""

    space: SearchSpace
    worker: str


def prepare_training(
    settings: Settings, progress: RunProgress, trust: bool = False, context: WorkerContext | None = None
) -> PreparedRun:
    """Read data, model and space; the start trains the baseline (or takes it up again, or has it from the others)."""
    if not settings.data:
        raise OptionError("--data is missing: give the data YAML of your detection data set")
    data = DataSet.read(settings.data)
    progress.say(data.summary)
    quiet_ultralytics()
    from gamsearch.models import device as devices
    from gamsearch.models.latency.backends import resolved
    from gamsearch.training.baseline import read_baseline, read_model
    from gamsearch.training.evaluator import TrainingEvaluator
    from gamsearch.training.recipe import SHORT_TRAINING
    from gamsearch.training.setup import CostSettings, Folders, Recipe
    from gamsearch.training.trainer import FRESH_LR_FACTOR

    device = devices.select(settings.device)
    backend = resolved(settings.latency, device)
    if context is None:
        detector, weights = read_model(settings.model, trust)
        space = _space(settings, detector)
    else:
        space, detector, weights = context.space, context.space.detector, None
    progress.say(f"{detector.name}, space '{space.name}': {space.size} architectures on {devices.describe(device)}")
    if context is None:
        _check_baseline(settings, data, weights)

    def start(reference_ms: float | None, files: Artifacts) -> ReadyEvaluator:
        path, stage = settings.folder / BASELINE_FILE, {}
        if context is None:
            stage = _baseline_stage(settings, data, detector, weights, device, progress)
        else:
            _download_shared(files, settings.folder)
        baseline = read_baseline(path)
        evaluator = TrainingEvaluator(
            detector,
            baseline,
            data.yaml.resolve(),
            device,
            Folders(
                scratch=settings.folder / "baseline" / ("scratch" if context is None else f"scratch-{context.worker}"),
                weights=settings.folder / "weights",
                paused=settings.folder / "paused",
                artifacts=files,
            ),
            Recipe(user=settings.train),
            CostSettings(
                backend=backend,
                reference_ms=reference_ms,
                latency_ratio=_latencies(settings, space, baseline, device, backend, progress),
                predicted=_predicted_metrics(space),
                imgsz=settings.imgsz,
            ),
        )
        return ReadyEvaluator(evaluator, {"baseline weights": _digest(path)}, stage)

    hardware = devices.describe(device)
    shown = {"data_summary": data.summary, "data_fingerprint": data.fingerprint}
    shown |= {"hardware": hardware, "latency_backend": backend}
    recipe = ", ".join(f"{key} {value}" for key, value in {**SHORT_TRAINING, "attention": FRESH_LR_FACTOR}.items())
    return PreparedRun(space, start, shown, {"data": data.fingerprint, "device": hardware, "recipe": recipe})


def _download_shared(files: Artifacts, folder: Path) -> None:
    """Have the baseline's weights and the latency table that the leading run made, unless they are in the folder."""
    if not (folder / BASELINE_FILE).exists() and not files.download(BASELINE_FILE, folder / BASELINE_FILE):
        raise RunError(
            f"the baseline's weights are not in {folder} and were not handed on; give --artifacts to both, "
            "or let them share the run's folder"
        )
    if not (folder / LATENCIES).exists():
        files.download(LATENCIES, folder / LATENCIES)


def upload_shared(files: Artifacts, folder: Path) -> None:
    """Give other machines what they need to take part in the run in `folder`."""
    for name in (BASELINE_FILE, LATENCIES):
        if (folder / name).exists():
            files.upload(folder / name, name)


def _check_baseline(settings: Settings, data: DataSet, weights: Any) -> None:
    """Refuse to take as a baseline, without training, what cannot be one."""
    if settings.baseline_epochs > 0:
        return
    if weights is None:
        raise OptionError("--baseline-epochs 0 needs trained weights: give --model a .pt, or train at least one epoch")
    if weights.model[-1].nc != data.nc:
        raise OptionError(
            f"--baseline-epochs 0 takes {settings.model} as it is, but it knows {weights.model[-1].nc} classes and the "
            f"data has {data.nc}; train at least one epoch"
        )


def _baseline_stage(
    settings: Settings, data: DataSet, detector: Detector, weights: Any, device: Any, progress: RunProgress
) -> dict[str, Any]:
    """Train the baseline unless it is there already; return what the record keeps of the stage."""
    from gamsearch.training.baseline import start_model, train_baseline, validated

    last: dict[str, float] = {}
    progress.started_baseline()

    def on_epoch(epoch: int, results: dict[str, float]) -> None:
        trained = [m for m in METRICS.values() if m.stage == "trained" and validated(results)]
        figures = {m.name: m.compute(results) for m in trained}
        last.update(epochs=epoch, **figures)
        progress.epoch(epoch, settings.baseline_epochs, figures)

    budget = TrialBudget(settings.baseline_epochs, settings.imgsz, settings.batch, settings.seed)
    train_baseline(
        start_model(detector, weights, data.names, settings.seed),
        budget,
        data.yaml.resolve(),
        device,
        settings.folder / "baseline",
        from_scratch=weights is None,
        user_arguments=settings.train,
        on_epoch=on_epoch,
    )
    return {"epochs": settings.baseline_epochs, "from": settings.model, **last}


def _predicted_metrics(space: SearchSpace) -> list[str]:
    """The built metrics besides latency that decide what is worth training: objectives and limits."""
    wanted = dict.fromkeys([*space.objectives, *(limit.metric for limit in space.limits)])
    return [name for name in wanted if METRICS[name].stage == "built" and name != "latency_ms"]


def _latencies(
    settings: Settings, space: SearchSpace, baseline: Any, device: Any, backend: str, progress: RunProgress
) -> Callable[[Architecture], float]:
    """Latency ratios by an additive table that is measured when it is first asked, and kept in the run's folder."""
    from gamsearch.models.latency.measure_table import measure_table
    from gamsearch.models.latency.table import LatencyTable, conditions_of

    path, seconds = settings.folder / LATENCIES, min(TABLE_SECONDS, 2.0 * settings.trials)
    tables: list[LatencyTable] = []

    def ratio(architecture: Architecture) -> float:
        if not tables:
            conditions = conditions_of(space, baseline, settings.imgsz, device, backend)
            if not path.exists():
                progress.say(f"measuring what each placement of '{space.name}' adds to the latency")
                measured = measure_table(space, baseline, settings.imgsz, device, 1.0, backend=backend, seconds=seconds)
                measured.write(path)
            tables.append(LatencyTable.read(path, conditions))
        return tables[0].predict(architecture).ratio

    return ratio


def prepare_replay(
    settings: Settings, progress: RunProgress, trust: bool = False, context: WorkerContext | None = None
) -> PreparedRun:
    """Search a table of earlier measurements; nothing is trained and torch is not needed."""
    from gamsearch.training.replay import ReplayEvaluator, ReplayTable, table_file

    path = table_file(settings.table)
    table = ReplayTable.read(path)
    if settings.epochs > table.epochs:
        raise OptionError(f"{settings.table} holds {table.epochs} epochs, so --epochs cannot be {settings.epochs}")
    space = _space(settings, None) if context is None else context.space
    if context is None and space.detector.name != table.detector:
        space = _space(settings, Detector.load(table.detector))
    _check_table(settings.table, table, space)
    missing = space.size - len(table.rows)
    said = f"; {missing} of the space '{space.name}' are missing and will fail" if missing > 0 else ""
    progress.say(f"{settings.table}: {len(table.rows)} recorded architectures of {table.detector}{said}")
    shown, fingerprints = {"replayed": settings.table}, {"table": _digest(path)}
    return PreparedRun(
        space, lambda reference_ms, files: ReadyEvaluator(ReplayEvaluator(table)), shown, fingerprints, len(table.seeds)
    )


def _check_table(name: str, table: "ReplayTable", space: SearchSpace) -> None:
    """Refuse a table that cannot answer what a search asks: the baseline, and every built objective and limit."""
    if space.baseline.key not in table.rows:
        raise RunError(f"{name} lacks the baseline, so nothing in it can be compared; record it with the others")
    for metric in ["latency_ms", *_predicted_metrics(space)]:
        if any(metric not in row["metrics"] for row in table.rows.values()):
            raise RunError(f"{name} lacks {metric} in some row, which the search needs; choose another table")


def _space(settings: Settings, detector: Detector | None) -> SearchSpace:
    space = SearchSpace.load(settings.space, detector, not_below=settings.folder)
    return space.with_objectives(settings.objectives) if settings.objectives else space


def _digest(path: Path) -> str:
    """Twelve hexadecimal digits of a file's content."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error


Prepare = Callable[[Settings, RunProgress, bool, WorkerContext | None], PreparedRun]
"""Settings, progress, whether a `--model` may run code that it holds, and what a worker has from the others."""

PREPARE: dict[str, Prepare] = {"training": prepare_training, "replay": prepare_replay}


def prepare_named(name: str) -> Prepare:
    """Return what prepares the evaluator called `name`, or say which there are."""
    if name not in PREPARE:
        raise OptionError(f"there is no evaluator '{name}'{nearest(name, PREPARE)}; there are {', '.join(PREPARE)}")
    return PREPARE[name]

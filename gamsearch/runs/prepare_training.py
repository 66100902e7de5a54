"""Preparing a run that trains: read data, model and space, train the baseline. Torch only on demand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gamsearch.architecture import Architecture
from gamsearch.errors import OptionError, RunError, plural
from gamsearch.parser.register import quiet_ultralytics
from gamsearch.runs.baseline_stage import check_baseline, train_stage
from gamsearch.runs.prepared import (
    PreparedRun,
    ReadyEvaluator,
    StageRecord,
    WorkerContext,
    check_measurable,
    digest,
    predicted_metrics,
    space_of,
)
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.settings import Settings
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.study.artifacts import Artifacts
from gamsearch.training import data_listing
from gamsearch.training.data_listing import LISTING, changes
from gamsearch.training.dataset import DataSet

BASELINE_FILE, LATENCIES, SUPERNET = "baseline/baseline.pt", "latency.json", "supernet/supernet.pt"
"""Where a run's folder has the weights that all candidates inherit, the latency table, and the shared network."""
TABLE_SECONDS = 60.0
"""Longest time for measuring the latency table; a short search takes less, and it ends once it is precise."""


@dataclass(frozen=True)
class _Inputs:
    """What a training run has read; `worker` is the ID of a worker that joins it, empty in the leading process."""

    settings: Settings
    data: DataSet
    device: Any
    backend: str
    space: SearchSpace
    weights: Any
    progress: RunProgress
    worker: str = ""


def prepare_training(
    settings: Settings, progress: RunProgress, trust: bool = False, context: WorkerContext | None = None
) -> PreparedRun:
    """Read data, model and space.

    Args:
        settings: The run's settings.
        progress: Displays messages and epochs.
        trust: Let a `--model` that cannot be opened otherwise run the code that it holds.
        context: What a worker takes from the study; None in the leading process.

    Returns:
        The run; its start trains the baseline, resumes its training, or downloads it from the leading process.

    Raises:
        GamsearchError: Data, model or space cannot be used.
    """
    data = _data_before_torch(settings, context)
    quiet_ultralytics()
    from gamsearch.models import device as devices
    from gamsearch.models.latency.backends import resolved
    from gamsearch.training.baseline import read_model
    from gamsearch.training.recipe import SHORT_TRAINING, factors_of

    if context is None:
        detector, weights = read_model(settings.model, trust)
    data = data or DataSet.read(settings.data, detector.task).checked()
    for line in (data.summary, *data.notes):
        progress.say(line)
    device = devices.select(settings.device)
    backend, hardware = resolved(settings.latency, device), devices.describe(device)
    if context is None:
        space = space_of(settings, detector)
        check_baseline(settings, data, weights)
    else:
        space, weights = context.space, None
    check_measurable(device)
    progress.say(f"{space.detector.name}, space '{space.name}': {plural(space.size, 'architecture')} on {hardware}")
    worker = context.worker if context else ""
    inputs = _Inputs(settings, data, device, backend, space, weights, progress, worker)
    factors = factors_of((m.name for m in space.modules), settings.train)
    recipe = ", ".join(f"{key} {value}" for key, value in {**SHORT_TRAINING, "attention": factors}.items())
    fingerprints = {"data": data.fingerprint, "device": hardware, "recipe": recipe}
    return PreparedRun(
        space,
        partial(_start, inputs),
        {**_recorded(data), "hardware": hardware, "latency_backend": backend},
        fingerprints,
        data_changes=lambda folder: changes(data.lines, folder / LISTING),
    )


def _data_before_torch(settings: Settings, context: WorkerContext | None) -> DataSet | None:
    """The data set, so that its faults are found before torch is loaded; None for a `.pt`, whose task is not known."""
    if not settings.data:
        raise OptionError("--data is missing: give the data YAML of your data set, for classification its folder")
    if context is None and settings.model.endswith(".pt"):
        return None
    detector = context.space.detector if context else Detector.load(settings.model)
    return DataSet.read(settings.data, detector.task).checked()


def _recorded(data: DataSet) -> dict[str, Any]:
    warnings = {"data_warnings": data.warnings} if data.warnings else {}
    return {"data_summary": data.summary, "data_fingerprint": data.fingerprint, **warnings}


def _start(inputs: _Inputs, reference_ms: float | None, artifacts: Artifacts, record: StageRecord) -> ReadyEvaluator:
    """Do the baseline stage, or download what the leading process made; build the evaluator."""
    from gamsearch.training.baseline import read_baseline
    from gamsearch.training.evaluator import TrainingEvaluator
    from gamsearch.training.setup import CostSettings, Folders, Recipe

    settings, path, stage = inputs.settings, inputs.settings.folder / BASELINE_FILE, {}
    if inputs.worker:
        _download_shared(artifacts, settings.folder)
    else:
        data_listing.keep(inputs.data, settings.folder)
        data, device = inputs.data, inputs.device
        stage = train_stage(settings, inputs.space.detector, inputs.weights, data, device, record, inputs.progress)
    baseline = read_baseline(path)
    scratch = settings.folder / "baseline" / (f"scratch-{inputs.worker}" if inputs.worker else "scratch")
    evaluator = TrainingEvaluator(
        inputs.space.detector,
        baseline,
        inputs.data.yaml.resolve(),
        inputs.device,
        Folders(scratch, settings.folder / "weights", settings.folder / "paused", artifacts),
        Recipe(user=settings.train),
        CostSettings(
            backend=inputs.backend,
            reference_ms=reference_ms,
            latency_ratio=_latency_ratios(inputs, baseline),
            predicted=predicted_metrics(inputs.space),
            imgsz=settings.imgsz,
        ),
    )
    return ReadyEvaluator(evaluator, {"baseline weights": digest(path)}, stage)


def _download_shared(artifacts: Artifacts, folder: Path) -> None:
    """Download the baseline's weights and the latency table of the leading process, unless the folder has them."""
    if not (folder / BASELINE_FILE).exists() and not artifacts.download(BASELINE_FILE, folder / BASELINE_FILE):
        raise RunError(
            f"the baseline's weights are not in {folder} and were not uploaded; give --artifacts to both, "
            "or let them share the run's folder"
        )
    if not (folder / LATENCIES).exists():
        artifacts.download(LATENCIES, folder / LATENCIES)


def upload_shared(artifacts: Artifacts, folder: Path) -> None:
    """Upload what other machines need to join the run in `folder`."""
    for name in (BASELINE_FILE, LATENCIES, SUPERNET):
        if (folder / name).exists():
            artifacts.upload(folder / name, name)


def _latency_ratios(inputs: _Inputs, baseline: Any) -> Callable[[Architecture], float]:
    """Latency ratios by an additive table, which is measured when it is first needed and kept in the run's folder."""
    from gamsearch.models.latency.measure_table import measure_table
    from gamsearch.models.latency.table import LatencyTable, conditions_of

    settings, space = inputs.settings, inputs.space
    path, seconds = settings.folder / LATENCIES, min(TABLE_SECONDS, 2.0 * settings.trials)
    where = (settings.imgsz, inputs.device)
    tables: list[LatencyTable] = []

    def ratio(architecture: Architecture) -> float:
        if not tables:
            conditions = conditions_of(space, baseline, *where, inputs.backend)
            if not path.exists():
                inputs.progress.say(f"measuring what each placement of '{space.name}' adds to the latency")
                measure_table(space, baseline, *where, 1.0, backend=inputs.backend, seconds=seconds).write(path)
            tables.append(LatencyTable.read(path, conditions))
        return tables[0].predict(architecture).ratio

    return ratio

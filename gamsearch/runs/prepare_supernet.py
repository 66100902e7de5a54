"""Preparing a run that measures architectures in a shared network instead of training them."""

from dataclasses import replace
from functools import partial

from gamsearch.evaluation import TrialBudget
from gamsearch.runs.prepare_training import SUPERNET, prepare_training
from gamsearch.runs.prepared import PreparedRun, ReadyEvaluator, StageRecord, WorkerContext
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.screening import Training, network_epochs
from gamsearch.runs.settings import Settings
from gamsearch.study.artifacts import Artifacts


def prepare_supernet(
    settings: Settings, progress: RunProgress, trust: bool = False, context: WorkerContext | None = None
) -> PreparedRun:
    """Read data, model and space; see `prepare_training` for the arguments.

    Its start does the baseline stage and trains the shared network.
    """
    prepared = prepare_training(settings, progress, trust, context)
    return replace(prepared, start=partial(_start, settings, prepared, progress), seeds=1)


def _start(
    settings: Settings,
    prepared: PreparedRun,
    progress: RunProgress,
    reference_ms: float | None,
    artifacts: Artifacts,
    record: StageRecord,
) -> ReadyEvaluator:
    from gamsearch.supernet.evaluator import SharedEvaluator
    from gamsearch.supernet.trainer import TrainedNetwork

    ready = prepared.start(reference_ms, artifacts, record)
    trained = ready.evaluator
    network = TrainedNetwork(
        prepared.space,
        trained.baseline,  # type: ignore[attr-defined]
        trained.data,  # type: ignore[attr-defined]
        trained.device,  # type: ignore[attr-defined]
        (settings.folder / SUPERNET).parent,
        settings.train,
    )
    if not network.weights.exists():
        artifacts.download(SUPERNET, network.weights)
    epochs = network_epochs(settings, prepared.space)
    budget = TrialBudget(epochs, settings.imgsz, settings.batch, settings.seed)
    network.train(budget, Training(progress, "shared network", epochs).ended)
    return replace(ready, evaluator=SharedEvaluator(network, budget, trained))  # type: ignore[arg-type]

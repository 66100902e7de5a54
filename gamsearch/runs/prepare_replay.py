"""Preparing a replay: a search of a table of recorded trainings. Nothing is trained and torch is not needed."""

from gamsearch.errors import OptionError, RunError
from gamsearch.runs.prepared import PreparedRun, ReadyEvaluator, WorkerContext, digest, predicted_metrics, space_of
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.settings import Settings
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.replay import ReplayEvaluator, ReplayTable, table_file


def prepare_replay(
    settings: Settings, progress: RunProgress, trust: bool = False, context: WorkerContext | None = None
) -> PreparedRun:
    """Read the table and the space; see `prepare_training` for the arguments."""
    path = table_file(settings.table)
    table = ReplayTable.read(path)
    if settings.epochs > table.epochs:
        raise OptionError(f"{settings.table} holds {table.epochs} epochs, so --epochs cannot be {settings.epochs}")
    space = space_of(settings, None) if context is None else context.space
    if context is None and space.detector.name != table.detector:
        space = space_of(settings, Detector.load(table.detector))
    _check_table(settings.table, table, space)
    missing = space.size - len(table.rows)
    gaps = f"; {missing} of the space '{space.name}' are missing and will fail" if missing > 0 else ""
    progress.terse = not table.in_time
    progress.say(f"{settings.table}: {len(table.rows)} recorded architectures of {table.detector}{gaps}")
    return PreparedRun(
        space,
        start=lambda reference_ms, artifacts, stage: ReadyEvaluator(ReplayEvaluator(table)),
        recorded={"replayed": settings.table},
        fingerprints={"table": digest(path)},
        seeds=len(table.seeds),
    )


def _check_table(name: str, table: ReplayTable, space: SearchSpace) -> None:
    """Refuse a table that lacks what a search needs: its task, the baseline, every built objective and limit."""
    if table.task != space.detector.task:
        raise RunError(
            f"{name} holds trainings for {table.task.noun} and {space.detector.name} is for "
            f"{space.detector.task.noun}; choose another table or space"
        )
    if space.baseline.key not in table.rows:
        raise RunError(f"{name} lacks the baseline, so its gains are unknown; record the baseline as well")
    for metric in ["latency_ms", *predicted_metrics(space)]:
        if any(metric not in row["metrics"] for row in table.rows.values()):
            raise RunError(f"{name} lacks {metric} in some rows, which the search needs; choose another table")

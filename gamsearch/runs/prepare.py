"""From a run's settings to an evaluator, by the name of the evaluator."""

from collections.abc import Callable

from gamsearch.errors import OptionError, nearest
from gamsearch.runs.prepare_replay import prepare_replay
from gamsearch.runs.prepare_supernet import prepare_supernet
from gamsearch.runs.prepare_training import prepare_training
from gamsearch.runs.prepared import PreparedRun, WorkerContext
from gamsearch.runs.progress import RunProgress
from gamsearch.runs.settings import Settings

Prepare = Callable[[Settings, RunProgress, bool, WorkerContext | None], PreparedRun]
"""Called with settings, progress, whether a `--model` may run code that it holds, and the context of a worker."""

PREPARE: dict[str, Prepare] = {
    "training": prepare_training,
    "replay": prepare_replay,
    "supernet": prepare_supernet,
}


def prepare_named(name: str) -> Prepare:
    """Return the preparation of the evaluator called `name`; raise `OptionError` for an unknown name."""
    if name not in PREPARE:
        raise OptionError(f"there is no evaluator '{name}'{nearest(name, PREPARE)}; there are {', '.join(PREPARE)}")
    return PREPARE[name]

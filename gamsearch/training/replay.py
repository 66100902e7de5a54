"""Replay: evaluations looked up in a table of recorded trainings. A search takes seconds and needs no torch.

The table is JSON: `{"detector": name, "epochs": n, "seeds": [...], "rows": [...]}`. A row has an `architecture` (in the
form of `Architecture.to_dict`), its built `metrics`, and `curves`: for each seed one mapping per epoch with the trained
metrics, those of object detection unless the table has a `"task"`. With `"in_time": true` every epoch takes the
`seconds_per_epoch` of its row, as it did when it was recorded.
`benchmarks/record_table.py` records such tables; `results/tables/` holds the shipped ones.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, OptionError, RunError
from gamsearch.evaluation import EpochReport, Measurement, TrialBudget
from gamsearch.files import UnreadableError, read_json
from gamsearch.signals import stop_request
from gamsearch.tasks import DETECT, Task, task_named

Row = dict[str, Any]

LARGEST = 1 << 28
"""Bytes of a table."""
LONGEST_EPOCH_S = 10**6
SETTINGS: dict[str, tuple[str, type]] = {
    "space": ("space", str),
    "epochs": ("epochs", int),
    "baseline_epochs": ("fork_epochs", int),
    "imgsz": ("imgsz", int),
    "batch": ("batch", int),
}
"""Settings of a run that a table may hold: the key in the table, and its type."""
DEFAULT_TABLE = "bccd"


def shipped_tables() -> list[str]:
    """Names of the tables that come with the package."""
    return sorted(path.stem for path in _shipped_folder().glob("*.json"))


def table_file(name_or_path: str) -> Path:
    """Find a table.

    Args:
        name_or_path: The name of a shipped table, or a path.

    Returns:
        The table's file, which may not exist.
    """
    path = Path(name_or_path)
    if path.is_file() or name_or_path not in shipped_tables():
        return path
    return _shipped_folder() / f"{name_or_path}.json"


def _shipped_folder() -> Path:
    """In an installed package the tables lie inside it, in a checkout beside it."""
    package = Path(__file__).parents[1]
    inside = package / "tables"
    return inside if inside.is_dir() else package.parent / "results" / "tables"


@dataclass(frozen=True)
class ReplayTable:
    """Recorded trainings.

    Attributes:
        detector: The detector they are of.
        epochs: Length of their curves.
        seeds: Their seeds.
        rows: Rows by architecture key.
        settings: What is known of the settings that it was recorded with.
        in_time: Whether a replay takes as long as the recording did.
        task: What they are for.
    """

    detector: str
    epochs: int
    seeds: tuple[int, ...]
    rows: dict[str, Row]
    settings: dict[str, Any] = field(default_factory=dict)
    in_time: bool = False
    task: Task = DETECT

    @property
    def space(self) -> str:
        """Name of the space that was recorded; empty if unknown."""
        return str(self.settings.get("space", ""))

    @classmethod
    def read(cls, path: Path) -> "ReplayTable":
        """Read a table.

        Args:
            path: A JSON file.

        Returns:
            The table.

        Raises:
            RunError: The file cannot be read, or something in it is wrong; the message says what.
        """
        try:
            content = read_json(path, LARGEST)
            seeds = tuple(int(seed) for seed in content["seeds"])
            epochs, task = int(content["epochs"]), task_named(str(content.get("task", DETECT.name)))
            rows = {
                Architecture.from_dict(row["architecture"]).key: _checked(row, seeds, epochs, task)
                for row in content["rows"]
            }
            settings = {name: kind(content[key]) for name, (key, kind) in SETTINGS.items() if content.get(key)}
            return cls(str(content["detector"]), epochs, seeds, rows, settings, content.get("in_time") is True, task)
        except OSError as error:
            known = f"--table takes a path or one of {', '.join(shipped_tables())}"
            raise RunError(f"the table {path} cannot be read ({error.strerror}); {known}") from error
        except (UnreadableError, OptionError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            needs = "JSON with 'detector', 'epochs', 'seeds' and 'rows'"
            raise RunError(
                f"{path} is not a replay table: it needs {needs} ({type(error).__name__}: {error})"
            ) from error


def _checked(row: Row, seeds: tuple[int, ...], epochs: int, task: Task) -> Row:
    """The row if it holds built metrics and a whole curve per seed, all of it finite numbers."""
    if not dict(row["metrics"]) or not seeds:
        raise ValueError("a row without metrics, or no seeds")
    if not 0 <= float(row.get("seconds_per_epoch", 0.0)) <= LONGEST_EPOCH_S:
        raise ValueError(f"'seconds_per_epoch' must be between 0 and {LONGEST_EPOCH_S}")
    for seed in seeds:
        curve = row["curves"][str(seed)]
        if [int(point["epoch"]) for point in curve] != list(range(1, epochs + 1)):
            raise ValueError(f"a curve without every epoch from 1 to {epochs}")
        for value in (*row["metrics"].values(), *(point[name] for point in curve for name in task.metrics)):
            if isinstance(value, (str, bool)) or not isfinite(value):
                raise ValueError(f"{value!r} instead of a finite number")
    return row


class ReplayEvaluator:
    """Evaluate by looking up a table; architectures that it lacks fail as candidates, the run continues.

    The budget's seed selects a recorded seed, modulo their number.
    """

    def __init__(self, table: ReplayTable):
        self.table = table

    def evaluate(self, architecture: Architecture, budget: TrialBudget, report: EpochReport) -> Measurement:
        """Report the recorded built metrics, then each recorded epoch that the budget has left.

        Args:
            architecture: What to look up.
            budget: Epochs, the epochs that are done already, and the seed.
            report: Called with `(epoch, metrics)`; what it raises passes through.

        Returns:
            The recorded figures.

        Raises:
            CandidateFailed: The table lacks the architecture.
            RunError: The table holds fewer epochs than the budget has.
        """
        row = self._row(architecture)
        if budget.epochs > self.table.epochs:
            raise RunError(f"the table holds {self.table.epochs} epochs, not {budget.epochs}; give fewer --epochs")
        report(0, row["metrics"])
        curve = self._curve(row, budget)
        each = float(row.get("seconds_per_epoch", 0.0))
        for point in curve[budget.done :]:
            stop_request.check()
            time.sleep(each if self.table.in_time else 0.0)
            validated = budget.curve or point is curve[-1]
            report(int(point["epoch"]), {k: v for k, v in point.items() if k != "epoch"} if validated else {})
        last = {k: v for k, v in curve[-1].items() if k != "epoch"}
        seconds = each * (budget.epochs - budget.done)
        return Measurement(
            {**row["metrics"], **last}, curve if budget.curve else curve[-1:], {"replayed": True, "seconds": seconds}
        )

    def predict_costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Look up the built metrics.

        Args:
            architecture: Any architecture.

        Returns:
            The recorded built metrics; None where the table lacks the architecture.
        """
        row = self.table.rows.get(architecture.key)
        return None if row is None else dict(row["metrics"])

    def _row(self, architecture: Architecture) -> Row:
        row = self.table.rows.get(architecture.key)
        if row is None:
            raise CandidateFailed("error", f"the table has no row for {architecture.label}")
        return row

    def _curve(self, row: Row, budget: TrialBudget) -> list[dict[str, float]]:
        seed = self.table.seeds[budget.seed % len(self.table.seeds)]
        return list(row["curves"][str(seed)][: budget.epochs])

"""Answer evaluations from a table of earlier measurements: a search in seconds, without torch.

The table is JSON: `{"detector": name, "rows": [{"architecture": ..., "metrics": ..., "curve": [...]}, ...]}`, where an
architecture has the form of `Architecture.to_dict` and the curve one mapping per epoch. With a budget shorter than the
curve, the trained metrics are those of the budget's last epoch.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gamsearch.architecture import Architecture
from gamsearch.errors import CandidateFailed, RunError
from gamsearch.evaluation import Budget, Measurement, Report
from gamsearch.metrics import METRICS


@dataclass(frozen=True)
class ReplayTable:
    """Measured rows by architecture key; `detector` is the name that the space is resolved for."""

    detector: str
    rows: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> "ReplayTable":
        """Read a table, or say in one sentence what is wrong with it."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            rows = {Architecture.from_dict(r["architecture"]).key: r for r in content["rows"] if dict(r["metrics"])}
            return cls(str(content["detector"]), rows)
        except OSError as error:
            raise RunError(f"the table {path} cannot be read ({error.strerror}); check --table") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path} is no replay table: it needs JSON with 'detector' and 'rows' ({error})") from error


class ReplayEvaluator:
    """Evaluate by looking up; architectures that the table lacks fail as candidates, not as a run."""

    def __init__(self, table: ReplayTable):
        self.table = table

    def evaluate(self, architecture: Architecture, budget: Budget, report: Report) -> Measurement:
        """Report the recorded built metrics, then each recorded epoch of the budget; see `Evaluator`."""
        row = self.table.rows.get(architecture.key)
        if row is None:
            raise CandidateFailed("error", f"the table has no row for {architecture.label}")
        trained = {m.name for m in METRICS.values() if m.stage == "trained"}
        report(0, {k: v for k, v in row["metrics"].items() if k not in trained})
        curve = [epoch for epoch in row.get("curve", []) if epoch["epoch"] <= budget.epochs]
        for epoch in curve:
            report(int(epoch["epoch"]), {k: v for k, v in epoch.items() if k in trained})
        last = {k: v for k, v in curve[-1].items() if k in trained} if curve else {}
        return Measurement({**row["metrics"], **last}, curve, {"replayed": True})

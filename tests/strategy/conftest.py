"""The evaluator of most searches here."""

from pathlib import Path

import pytest
from support.landscape import SMALL, table_of

from gamsearch.training.replay import ReplayEvaluator, ReplayTable


@pytest.fixture
def evaluator(tmp_path: Path) -> ReplayEvaluator:
    return ReplayEvaluator(ReplayTable.read(table_of(SMALL, tmp_path / "table.json")))

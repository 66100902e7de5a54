"""What the tests of the study folder share."""

from pathlib import Path

import optuna
import pytest

from gamsearch.metrics import metric_named
from gamsearch.study import store


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """A new study without trials."""
    return store.create(tmp_path, [metric_named("map50_95"), metric_named("latency_ms")], {"settings": {}})

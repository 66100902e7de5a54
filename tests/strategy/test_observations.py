"""Measured gains as observations of the surrogate."""

from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from support.curves import SPACE

from gamsearch.strategy import observations as module
from gamsearch.strategy.observations import observations
from gamsearch.study.history import ArchitectureHistory

ARCHITECTURES = [a for a in SPACE.enumerate() if not a.is_baseline]


def history(*lasts: int):
    """Trainings up to these epochs, whose gain after epoch e is e / 100."""
    known = [
        ArchitectureHistory(a, n, TrialState.COMPLETE, curve={e: {} for e in range(1, last + 1)})
        for n, (a, last) in enumerate(zip(ARCHITECTURES, lasts, strict=False))
    ]
    return SimpleNamespace(candidates=known, gain=lambda known, epoch: epoch / 100)


def test_gains_are_averaged_between_the_marks_at_the_geometric_mean_of_the_epochs():
    second, first = observations(history(6), (2, 6))
    assert (first.gain, first.count) == (pytest.approx(0.015), 2) and first.epoch == pytest.approx(2**0.5)
    assert (second.gain, second.count) == (pytest.approx(0.045), 4)


def test_only_the_latest_are_used_in_the_order_of_appearance(monkeypatch):
    monkeypatch.setattr(module, "MOST_OBSERVATIONS", 2)
    assert [o.architecture for o in observations(history(1, 1, 1), (1,))] == ARCHITECTURES[1:3]

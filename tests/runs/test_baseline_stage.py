"""The baseline stage as it is recorded: its length from its curve, and whether it is trained enough to compare with."""

import math

import pytest

from gamsearch.errors import OptionError
from gamsearch.runs.baseline_stage import _judged, _Stage, budget_of
from gamsearch.runs.prepared import StageRecord
from gamsearch.runs.settings import AUTO, Settings, check
from gamsearch.tasks import DETECT

FLATTENS = [0.4 * (1 - math.exp(-epoch / 8)) + 0.002 * (-1) ** epoch for epoch in range(1, 101)]
RISES = [0.002 * epoch for epoch in range(1, 101)]
RESULTS = ("metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)")


class Progress:
    """Notes what is said, and the last epoch that is shown with whether it is certain."""

    def __init__(self):
        self.said, self.shown = [], []

    def say(self, text: str) -> None:
        self.said.append(text)

    def baseline_epoch(self, epoch: int, epochs: int, metrics: dict, certain: bool) -> None:
        self.shown.append((epochs, certain))


def recorded(heights: list[float], settings: Settings, known: dict | None = None, first: int = 1):
    """The facts and the progress of a stage with these map50_95, to its last epoch or that of `heights`."""
    facts, written, progress = dict(known or {}), [], Progress()
    stage = _Stage(DETECT, budget_of(settings, True, facts), facts, StageRecord(known or {}, written.append), progress)
    for epoch, height in enumerate(heights[first - 1 :], start=first):
        stage.on_epoch(epoch, dict.fromkeys(RESULTS, height))
        if epoch == stage._last_epoch():
            break
    assert written[-1] == facts
    return _judged(facts, settings, True, stage), progress


def test_an_auto_stage_ends_after_its_curve_is_flat_and_is_trained_enough():
    facts, progress = recorded(FLATTENS, Settings(baseline_epochs=AUTO))
    after, last = facts["decay_after"], facts["epochs"]
    assert 16 <= after < last < 60 and "still_rising" not in facts
    assert facts["curve"][-1] == [last, FLATTENS[last - 1]]
    assert progress.shown[0] == (100, False) and progress.shown[-1] == (last, True)
    assert any("the curve is flat" in line for line in progress.said)


def test_an_auto_stage_that_rises_to_its_last_epoch_says_so():
    facts, progress = recorded(RISES, Settings(baseline_epochs=AUTO))
    assert facts["epochs"] == 100 and "--baseline-epochs 200 with another --name" in facts["still_rising"]
    assert f"warning: {facts['still_rising']}" in progress.said


@pytest.mark.parametrize(("heights", "steep"), [(FLATTENS, False), (RISES, True)])
def test_a_given_number_is_kept_and_judged(heights, steep):
    facts, progress = recorded(heights, Settings(baseline_epochs=40))
    assert facts["epochs"] == 40 and "decay_after" not in facts and progress.shown[0] == (40, True)
    assert ("use a .pt or --baseline-epochs auto" in facts.get("still_rising", "")) is steep


def test_a_resumed_stage_has_the_same_curve_and_length_and_a_repeated_one_the_recorded_length():
    settings = Settings(baseline_epochs=AUTO)
    whole, _ = recorded(FLATTENS, settings)
    for killed in (5, whole["decay_after"], whole["decay_after"] + 1):
        before, _ = recorded(FLATTENS[:killed], settings)
        before.pop("still_rising", None)
        assert recorded(FLATTENS, settings, before, first=max(1, killed))[0] == whole
    assert recorded(RISES, settings, {"decay_after": whole["decay_after"]})[0]["epochs"] == whole["epochs"]


def test_the_length_is_a_number_or_auto():
    check(Settings(name="a", baseline_epochs=AUTO))
    with pytest.raises(OptionError, match="--baseline-epochs must be a whole number or auto, not 'long'"):
        check(Settings(name="a", baseline_epochs="long"))

"""The latency table: increments that add up, and the conditions that they are valid for."""

import pytest
import torch
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import RunError, SpaceError
from gamsearch.models.latency.increments import Increment
from gamsearch.models.latency.table import HeldOut, LatencyTable, conditions_of
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.baseline import start_model

CPU = torch.device("cpu")


def gam(site: int, rate: int, **form) -> Placement:
    return Placement(site, "GAM", (("rate", rate),), **form)


TABLE = LatencyTable(
    "yolov8n",
    20.0,
    {gam(4, 4): Increment(0.10, 0.003), gam(9, 16): Increment(0.05, 0.004)},
    rounds=12,
    conditions={"imgsz": 160, "hardware": "CPU"},
    held_out=(HeldOut("a", 1.10, 1.00, 0.99, 1.01), HeldOut("b", 1.00, 1.25, 1.2, 1.3)),
)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.load("gam-small")


@pytest.fixture(scope="module")
def baseline(space) -> nn.Module:
    return start_model(space.detector, None, {0: "a"}, seed=0).eval()


def test_a_prediction_is_the_baseline_plus_the_increments_and_errors_add_in_quadrature():
    both = TABLE.predict(Architecture.of("yolov8n", [gam(4, 4), gam(9, 16)]))
    assert (both.ratio, both.latency_ms, both.error) == pytest.approx((1.15, 23.0, 0.005))
    alone = TABLE.predict(Architecture.of("yolov8n"))
    assert (alone.ratio, alone.latency_ms, alone.error) == (1.0, 20.0, 0.0)


@pytest.mark.parametrize("architecture", [Architecture.of("yolov8n", [gam(6, 4)]), Architecture.of("yolov8s")])
def test_architectures_that_were_not_measured_are_not_predicted(architecture):
    with pytest.raises(SpaceError, match="not in the latency table of yolov8n"):
        TABLE.predict(architecture)


def test_a_table_round_trips_and_states_its_held_out_error(tmp_path):
    path = tmp_path / "latency.json"
    TABLE.write(path)
    assert LatencyTable.read(path, {"imgsz": 160, "hardware": "CPU"}) == TABLE
    assert TABLE.errors == pytest.approx((0.15, 0.20))
    assert [p.name for p in tmp_path.iterdir()] == ["latency.json"]


def test_a_damaged_table_or_one_of_other_conditions_is_rejected_with_what_to_do(tmp_path):
    path = tmp_path / "latency.json"
    TABLE.write(path)
    with pytest.raises(RunError, match="imgsz 160, but this run has 320; delete it"):
        LatencyTable.read(path, {"imgsz": 320})
    path.write_text(path.read_text()[:40])
    with pytest.raises(RunError, match="delete it"):
        LatencyTable.read(path, {})


def test_conditions_distinguish_image_sizes_and_spaces(space, baseline):
    here = conditions_of(space, baseline, 64, CPU, "torch")
    assert here == conditions_of(SearchSpace.load("gam-small"), baseline, 64, CPU, "torch")
    assert here != conditions_of(space, baseline, 96, CPU, "torch")
    assert here != conditions_of(SearchSpace.load("gam-neck"), baseline, 64, CPU, "torch")

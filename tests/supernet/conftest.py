"""A small space, a detector that finds something, and a shared network that was trained on it for two epochs."""

from pathlib import Path

import pytest
from support.devices import DEVICE

from gamsearch.evaluation import TrialBudget
from gamsearch.runs import demo, demonstration
from gamsearch.space.search_space import SearchSpace
from gamsearch.supernet.trainer import TrainedNetwork
from gamsearch.training.baseline import read_baseline, start_model, train_baseline
from gamsearch.training.dataset import DataSet


@pytest.fixture(scope="session")
def space(tmp_path_factory) -> SearchSpace:
    """Two rates of GAM, which share weights, and SimAM, which shares nothing, at two sites."""
    file = tmp_path_factory.mktemp("space") / "two.yaml"
    file.write_text("detector: yolov8n.yaml\nsites: [4, 15]\nattention: {GAM: {rate: [4, 16]}, SimAM: {}}\n")
    return SearchSpace.load(file)


@pytest.fixture(scope="session")
def cards(tmp_path_factory) -> Path:
    """Coloured cards that are large enough to be found after a few steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "CARD", 20)
        return demo.make(tmp_path_factory.mktemp("shared") / "cards", train=48, val=16, imgsz=64, half=demo.CONTROL)


@pytest.fixture(scope="session")
def fork(space, cards, tmp_path_factory):
    """The baseline."""
    path = train_baseline(
        start_model(space.detector, None, DataSet.read(cards).names, seed=0),
        TrialBudget(epochs=12, imgsz=64, batch=8),
        cards,
        DEVICE,
        tmp_path_factory.mktemp("fork"),
        from_scratch=True,
        user_arguments=demonstration.TRAINING,
    )
    return read_baseline(path)


@pytest.fixture(scope="session")
def budget() -> TrialBudget:
    """The budget of the trained network."""
    return TrialBudget(2, 64, 8, seed=1)


@pytest.fixture(scope="session")
def make_network(space, cards, fork):
    """Called with a folder: a shared network there."""
    return lambda folder: TrainedNetwork(space, fork, cards, DEVICE, folder, demonstration.TRAINING)


@pytest.fixture(scope="session")
def trained(make_network, budget, tmp_path_factory) -> TrainedNetwork:
    """A trained network."""
    network = make_network(tmp_path_factory.mktemp("network"))
    network.train(budget)
    return network

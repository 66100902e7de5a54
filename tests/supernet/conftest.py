"""A small space, a detector that finds something, and a shared network that was trained on it for two epochs."""

from pathlib import Path

import pytest
from support.cards import baseline_on, make_cards
from support.devices import DEVICE

from gamsearch.evaluation import TrialBudget
from gamsearch.runs import demonstration
from gamsearch.space.search_space import SearchSpace
from gamsearch.supernet.trainer import TrainedNetwork


@pytest.fixture(scope="session")
def space(tmp_path_factory) -> SearchSpace:
    """Two rates of GAM, which share weights, and SimAM, which shares nothing, at two sites."""
    file = tmp_path_factory.mktemp("space") / "two.yaml"
    file.write_text("detector: yolov8n.yaml\nsites: [4, 15]\nattention: {GAM: {rate: [4, 16]}, SimAM: {}}\n")
    return SearchSpace.load(file)


@pytest.fixture(scope="session")
def cards(tmp_path_factory) -> Path:
    """The data."""
    return make_cards(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="session")
def fork(cards, tmp_path_factory):
    """The baseline."""
    return baseline_on(cards, tmp_path_factory.mktemp("fork"), 12)


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

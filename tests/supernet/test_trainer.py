"""A shared network is trained on random architectures, resumes as if it had not stopped, and measures any of them."""

import pytest
import torch
from support.devices import DEVICE

from gamsearch.errors import RunError
from gamsearch.supernet.network import build_shared
from gamsearch.training import batches
from gamsearch.training.baseline_trainer import kept_in


class Stopped(Exception):
    """Raised by a test to interrupt a training."""


def weights(network) -> dict[str, torch.Tensor]:
    return torch.load(network.weights, map_location="cpu", weights_only=True)


def test_training_moves_every_placement(trained, space, fork, budget):
    network = build_shared(space, fork, 64, budget.seed)
    fresh = network.fresh()
    before = {name: p for name, p in network.model.named_parameters() if id(p) in fresh}
    after = weights(trained)
    last = [name for name in before if name.endswith(("linear2.weight", "norm2.weight", "gamma"))]
    assert len(last) == 6  # two of GAM and one of SimAM at two sites; the weaker GAM has none
    assert not [name for name in last if torch.equal(before[name], after[name].float())]


def test_a_training_that_was_interrupted_ends_as_one_that_was_not(make_network, trained, tmp_path, budget):
    if DEVICE.type != "cpu":
        pytest.skip("bit for bit on the CPU only")
    network = make_network(tmp_path / "again")

    def stop(epoch: int, results: dict[str, float]) -> None:
        if kept_in(network.folder).exists():  # written after the first epoch
            raise Stopped

    with pytest.raises(Stopped):
        network.train(budget, stop)
    assert not network.weights.exists() and kept_in(network.folder).exists()
    epochs: list[int] = []
    network.train(budget, lambda epoch, results: epochs.append(epoch))
    assert epochs == [2] and not kept_in(network.folder).exists()
    one, other = weights(trained), weights(network)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_no_training_batch_is_kept_but_those_of_validation_are(make_network, tmp_path, budget, monkeypatch):
    kept: dict = {}
    monkeypatch.setattr(batches, "_EPOCHS", kept)
    network = make_network(tmp_path)
    network.train(budget)
    network.measure(network.space.baseline, budget)
    network.close()
    assert kept and not [key for key in kept if "train" in key]


def test_a_trained_network_is_not_trained_again(trained, budget):
    trained.train(budget, lambda epoch, results: pytest.fail("trained again"))


def test_measuring_repeats_exactly_in_any_order_and_tells_architectures_apart(trained, space, budget):
    some = [a for a in space.enumerate() if len(a.placements) < 2]
    first = [trained.measure(a, budget) for a in some]
    again = [trained.measure(a, budget) for a in reversed(some)][::-1]
    assert first == again and first[0]["map50_95"] > 0.05
    assert len({tuple(one.values()) for one in first}) > 1
    trained.close()
    assert trained.measure(some[1], budget) == first[1]


def test_a_checkpoint_that_does_not_fit_is_one_sentence(make_network, tmp_path, budget):
    network = make_network(tmp_path / "torn")
    network.folder.mkdir()
    content = {"epoch": 1, "model": {}, "average": {}, "updates": 1, "optimizer": {}, "scaler": {}}
    torch.save(content, kept_in(network.folder))
    with pytest.raises(RunError, match="does not fit"):
        network.train(budget)

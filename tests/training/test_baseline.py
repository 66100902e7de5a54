"""The baseline stage resumes after an interruption, whenever that came, also where its curve decides its length."""

import pytest
import torch
from support.devices import DEVICE

from gamsearch.analysis.learning_curve import decay_epochs, flat_after
from gamsearch.evaluation import AutoBudget, TrialBudget
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import read_baseline, start_model, train_baseline, validated
from gamsearch.training.baseline_trainer import BaselineTrainer, kept_in
from gamsearch.training.dataset import DataSet

YOLOV8N = Detector.load("yolov8n")


def test_an_interrupted_baseline_stage_resumes_where_it_stopped(tiny_data, tmp_path):
    names, budget, epochs = DataSet.read(tiny_data).names, TrialBudget(3, 64, 4, 0), []

    def stop_after_the_second(epoch, results):
        epochs.append(epoch)
        if epoch == 3:
            raise KeyboardInterrupt

    def note(epoch, results):
        epochs.append(epoch)

    def stage(on_epoch):
        model = start_model(YOLOV8N, None, names, seed=0)
        return train_baseline(
            model, budget, tiny_data, DEVICE, tmp_path, from_scratch=True, user_arguments={}, on_epoch=on_epoch
        )

    with pytest.raises(KeyboardInterrupt):
        stage(stop_after_the_second)
    path = stage(note)
    assert epochs == [1, 2, 3, 3]
    assert stage(note) == path and epochs == [1, 2, 3, 3]  # finished: not trained again


def test_a_stage_that_was_killed_after_its_last_epoch_or_during_a_write_resumes(tiny_data, tmp_path, monkeypatch):
    names, budget, epochs = DataSet.read(tiny_data).names, TrialBudget(2, 64, 4, 0), []

    def stage(folder):
        model = start_model(YOLOV8N, None, names, seed=0)
        more = {"from_scratch": True, "user_arguments": {}, "on_epoch": lambda epoch, results: epochs.append(epoch)}
        return train_baseline(model, budget, tiny_data, DEVICE, folder, **more)

    def die(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("gamsearch.training.baseline.write_checkpoint", die)
        with pytest.raises(KeyboardInterrupt):
            stage(tmp_path)
    assert kept_in(tmp_path).is_file()
    epochs.clear()
    again = read_baseline(stage(tmp_path)).state_dict()
    assert epochs == [2] and not kept_in(tmp_path).exists()  # the last epoch alone
    whole = read_baseline(stage(tmp_path / "whole")).state_dict()
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    (tmp_path / "torn").mkdir()
    kept_in(tmp_path / "torn").write_bytes(b"torn")
    assert stage(tmp_path / "torn").is_file()


def test_a_stage_until_its_curve_is_flat_resumes_bit_for_bit_with_the_same_length(tiny_data, tmp_path, monkeypatch):
    names, rates = DataSet.read(tiny_data).names, {}
    budget = AutoBudget(8, 64, 4, 0, fewest=5)

    class Noted(BaselineTrainer):
        def save_metrics(self, metrics):
            rates.setdefault(self.epoch + 1, set()).add(round(self.optimizer.param_groups[0]["lr"], 9))
            super().save_metrics(metrics)

    monkeypatch.setattr("gamsearch.training.baseline.BaselineTrainer", Noted)

    def stage(folder, stop_at, within=budget):
        curve: list[tuple[int, float]] = []

        def on_epoch(epoch, results):
            if epoch == stop_at:
                raise KeyboardInterrupt
            if validated(results):
                curve.append((epoch, results["metrics/mAP50-95(B)"]))

        model = start_model(YOLOV8N, None, names, seed=0)
        more = {"from_scratch": True, "user_arguments": {"lrf": 0.0}, "on_epoch": on_epoch}
        return train_baseline(model, within, tiny_data, DEVICE, folder, **more), curve

    whole, curve = stage(tmp_path / "whole", 0)
    after = flat_after(curve, 5, 8)
    assert after is not None and curve[-1][0] == after + decay_epochs(after) <= 8
    full = max(rates[after])
    assert max(rates[curve[-1][0]]) == pytest.approx(full / (decay_epochs(after) + 1))  # constant, then falling
    for stop_at in (2, after + 1):  # during the constant rate, and during its decay
        with pytest.raises(KeyboardInterrupt):
            stage(tmp_path / "interrupted", stop_at)
    again, rest = stage(tmp_path / "interrupted", 0)
    assert rest == curve[after:]
    one, other = (read_baseline(path).state_dict() for path in (whole, again))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert all(len(seen) == 1 for seen in rates.values())  # resumed epochs had the same learning rates
    known = AutoBudget(8, 64, 4, 0, fewest=5, decay_after=4)  # a repetition keeps the recorded length
    assert stage(tmp_path / "repeated", 0, known)[1][-1][0] == 5

"""The baseline stage resumes after an interruption, whenever that came."""

import pytest
import torch
from support.devices import DEVICE

from gamsearch.evaluation import TrialBudget
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import kept_in, read_baseline, start_model, train_baseline
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

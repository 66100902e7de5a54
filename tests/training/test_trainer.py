"""A lean training equals the stock training without its side effects and pitfalls."""

import copy
import gc
import weakref
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from support.cards import baseline_on, make_cards
from support.devices import DEVICE
from support.evaluators import training_evaluator
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import CandidateFailed
from gamsearch.evaluation import TrialBudget
from gamsearch.models.candidate import build_candidate
from gamsearch.models.device import ultralytics_name
from gamsearch.space.detector import Detector
from gamsearch.training import batches
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.streams import start_streams
from gamsearch.training.trainer import LeanTrainer

YOLOV8N = Detector.load("yolov8n")
GAM4 = Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),))])
BUDGET = TrialBudget(epochs=2, imgsz=64, batch=8, seed=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_cards(tmp_path_factory.mktemp("lean"))


@pytest.fixture(scope="module")
def baseline(data: Path, tmp_path_factory) -> nn.Module:
    return baseline_on(data, tmp_path_factory.mktemp("baseline"), 15)


def trainer(baseline, data, folder, budget=BUDGET, user=None, on_epoch=lambda epoch, results: None, **options):
    model = build_candidate(YOLOV8N, GAM4, baseline, budget.imgsz).model
    return LeanTrainer(
        model, arguments(SHORT_TRAINING, budget, data, DEVICE, folder / "scratch", user or {}), on_epoch, **options
    )


def test_without_reestimation_every_map_is_bit_for_bit_that_of_the_stock_path(baseline, data, tmp_path):
    """The stock path is `YOLO(...).train(...)`; it augments each image as the lean one does, in every epoch.

    The second lean training gets the batches that the first one loaded.
    """
    from ultralytics import YOLO

    lean_maps, again, stock_maps = [], [], []

    def note(maps):
        return lambda t: maps.append((t.validator.metrics.box.map, t.validator.metrics.box.map50, t.loss.item()))

    model = build_candidate(YOLOV8N, GAM4, baseline, BUDGET.imgsz).model
    torch.save({"model": model, "train_args": {"task": "detect"}}, tmp_path / "candidate.pt")
    stock = YOLO(tmp_path / "candidate.pt")
    stock.add_callback("on_train_epoch_start", lambda t: start_streams(t, t.epoch))
    stock.add_callback("on_train_epoch_end", lambda t: setattr(t, "final_eval", lambda: None))  # it repeats the last
    stock.add_callback("on_fit_epoch_end", note(stock_maps))
    same = {"mosaic": 0.0, "close_mosaic": 0, "nbs": BUDGET.batch, "seed": BUDGET.seed, **SHORT_TRAINING}
    given = {
        "epochs": BUDGET.epochs,
        "imgsz": BUDGET.imgsz,
        "batch": BUDGET.batch,
        "device": ultralytics_name(DEVICE),
        **same,
    }
    stock.train(data=str(data), project=str(tmp_path), name="stock", plots=False, **given)
    for maps in lean_maps, again:
        lean = trainer(baseline, data, tmp_path, reestimate=False, resumable=True)
        lean.add_callback("on_fit_epoch_end", note(maps))
        lean.train()
    assert lean_maps == again == stock_maps and len(lean_maps) == BUDGET.epochs
    assert min(curve[0] for curve in lean_maps) > 0
    trained = stock.trainer.ema.ema.state_dict()
    assert all(torch.equal(tensor, trained[name]) for name, tensor in lean.validated.state_dict().items())


def test_a_lean_training_leaves_no_plots_no_checkpoints_and_no_csv(baseline, data, tmp_path):
    trainer(baseline, data, tmp_path).train()
    assert {p.name for p in (tmp_path / "scratch").rglob("*") if p.is_file()} == {"args.yaml"}


def test_a_validation_computes_and_reports_no_loss(baseline, data, tmp_path):
    results = []
    run = trainer(baseline, data, tmp_path, on_epoch=lambda epoch, found: results.append(found))
    run.train()
    assert len(results) == BUDGET.epochs
    assert all("metrics/mAP50-95(B)" in found and not any("val/" in name for name in found) for found in results)
    assert getattr(run.validated, "criterion", None) is None  # which the first loss would have made
    assert "loss" not in vars(run.validated)


def test_data_are_read_once_per_process(baseline, data, tmp_path, monkeypatch):
    from ultralytics.data import base

    trainer(baseline, data, tmp_path).train()
    monkeypatch.setattr(base, "imread", lambda *a, **k: pytest.fail("an image was read again"))
    monkeypatch.setattr(base.BaseDataset, "get_img_files", lambda *a: pytest.fail("the data set was scanned again"))
    trainer(baseline, data, tmp_path).train()


AUGMENTED = {"multi_scale": 0.5, "mosaic": 0.5, "close_mosaic": 1, "mixup": 0.3, "degrees": 10.0}


def losses(run) -> list[float]:
    """The training loss of every batch, which shows what it held and at which size it was seen."""
    seen = []
    run.add_callback("on_train_batch_end", lambda t: seen.append(float(t.loss.detach())))
    run.train()
    return seen


@pytest.mark.parametrize("user", [{}, AUGMENTED])
def test_batches_are_augmented_once_and_then_shared_by_every_training_bit_for_bit(
    baseline, data, tmp_path, monkeypatch, user
):
    from ultralytics.data.base import BaseDataset

    def run(epochs=3, seed=3, **options):
        return trainer(baseline, data, tmp_path, TrialBudget(epochs, 64, 8, seed), user, **options)

    batches._EPOCHS.clear()
    first = losses(run(resumable=True))
    with monkeypatch.context() as patch:
        patch.setattr(BaseDataset, "__getitem__", lambda *_: pytest.fail("an image was augmented again"))
        patch.setattr(LeanTrainer, "_statistics", lambda self: [torch.zeros(2, 3, 64, 64, dtype=torch.uint8)])
        assert losses(run(resumable=True)) == first
    monkeypatch.setattr(batches, "SHARE_OF_MEMORY", 0.0)
    batches._EPOCHS.clear()
    assert losses(run(resumable=True)) == first  # as if nothing were kept
    assert not batches._EPOCHS
    assert losses(run(seed=4, resumable=True)) != first


def test_no_training_changes_the_shared_batches(baseline, data, tmp_path):
    batches._EPOCHS.clear()
    trainer(baseline, data, tmp_path, resumable=True).train()
    shared = [batch for epoch in batches._EPOCHS.values() for batch, _ in epoch]
    before = [{key: copy.deepcopy(value) for key, value in batch.items()} for batch in shared]
    trainer(baseline, data, tmp_path, resumable=True).train()
    assert len(shared) == 2 * 6 + 1  # two epochs of 48 images, one validation of 16
    for batch, copied in zip(shared, before, strict=True):
        assert batch.keys() == copied.keys() and batch["img"].dtype == torch.uint8
        assert all(torch.equal(batch[name], copied[name]) for name in ("img", "cls", "bboxes", "batch_idx"))


def test_other_arguments_give_other_batches(baseline, data, tmp_path):
    def seen(**user):
        return losses(trainer(baseline, data, tmp_path, user=user, resumable=True))

    assert seen(degrees=0.0) != seen(degrees=45.0)


def test_a_closed_trainer_holds_no_tensor_that_waits_for_the_garbage_collector(baseline, data, tmp_path):
    run = trainer(baseline, data, tmp_path, TrialBudget(1, 64, 8), resumable=True)
    run.train()
    moments = next(iter(run.optimizer.state.values()))["exp_avg"]
    held = [weakref.ref(t) for t in (next(run.model.parameters()), next(run.ema.ema.parameters()), moments, run.loss)]
    validated = weakref.ref(next(run.validated.parameters()))
    del moments
    gc.disable()
    try:
        run.close()
        assert all(tensor() is None for tensor in held) and validated() is not None
        run.close()
        del run
        assert validated() is None
    finally:
        gc.enable()


def test_an_evaluated_candidate_is_gone_without_the_garbage_collector(baseline, data, tmp_path):
    validated = []

    class Watched(LeanTrainer):
        def close(self):
            validated.append(weakref.ref(next(self.validated.parameters())))
            super().close()

    options = {"reference_ms": 10.0, "trainer": Watched, "weights": tmp_path / "weights", "paused": tmp_path}
    evaluator = training_evaluator(YOLOV8N, baseline, data, DEVICE, tmp_path / "scratch", **options)
    evaluator.evaluate(GAM4, TrialBudget(1, 64, 8), lambda epoch, metrics: None)
    gc.collect()
    gc.disable()
    try:
        evaluator.evaluate(GAM4, TrialBudget(1, 64, 8), lambda epoch, metrics: None)
        assert len(validated) == 2 and validated[1]() is None
    finally:
        gc.enable()


def test_nothing_is_downloaded_for_mixed_precision(baseline, data, tmp_path, monkeypatch):
    from ultralytics.engine import trainer as engine

    monkeypatch.setattr(engine, "check_amp", lambda model: pytest.fail("the AMP check would download a model"))
    trainer(baseline, data, tmp_path, user={"amp": True})._setup_train()


def test_a_slow_machine_changes_no_map(baseline, data, tmp_path, monkeypatch):
    """The clock jumps ten seconds at every reading, at which the stock path drops the boxes of most images."""
    from ultralytics.utils import nms

    class JumpingClock:
        now = 0.0

        @classmethod
        def time(cls):
            cls.now += 10.0
            return cls.now

    def maps():
        seen = []
        slow = {"lr0": 1e-5}  # so that it still finds what the baseline finds
        one = TrialBudget(epochs=1, imgsz=64, batch=8)

        def note(epoch, results):
            seen.append(results["metrics/mAP50-95(B)"])

        trainer(baseline, data, tmp_path, one, slow, note).train()
        return seen

    undisturbed = maps()
    monkeypatch.setattr(nms, "time", JumpingClock)
    assert maps() == undisturbed and JumpingClock.now and undisturbed[0] > 0


def test_running_out_of_memory_fails_the_candidate_instead_of_halving_the_batch(baseline, data, tmp_path):
    run = trainer(baseline, data, tmp_path)

    def exhausted(batch):
        raise RuntimeError("CUDA out of memory")

    run.preprocess_batch = exhausted
    with pytest.raises(CandidateFailed, match="batch 8 does not fit") as failure:
        run.train()
    assert failure.value.reason == "out_of_memory"


def test_a_share_of_the_data_is_random_and_the_same_for_every_training(baseline, data, tmp_path):
    def images(fraction, seed=0):
        run = trainer(baseline, data, tmp_path, TrialBudget(1, 64, 8, seed), user={"fraction": fraction})
        run._setup_train()
        assert len(run.test_loader.dataset) == 16
        assert sum(map(len, run._statistics())) == len(run.train_loader.dataset)
        return run.train_loader.dataset.im_files

    whole, half = images(1.0), images(0.5)
    assert len(half) == 24 and set(half) < set(whole) and half != whole[:24]
    assert images(0.5, seed=1) == half == images(24)
    assert set(images(0.25)) < set(half)


def test_trainings_leave_nothing_behind_in_memory(baseline, data, tmp_path):
    def left_after_training():
        trainer(baseline, data, tmp_path, TrialBudget(1, 64, 8)).train()
        gc.collect()
        count = sum(issubclass(type(thing), (torch.Tensor, nn.Module)) for thing in gc.get_objects())
        return count, psutil.Process().memory_info().rss

    for _ in range(2):
        left_after_training()
    (tensors, size), *_, (tensors_later, size_later) = [left_after_training() for _ in range(4)]
    assert tensors_later <= tensors
    assert size_later < 1.05 * size


@pytest.mark.parametrize("reestimate", [True, False])
def test_a_training_that_validates_once_ends_as_one_that_validates_every_epoch(baseline, data, tmp_path, reestimate):
    def run(curve):
        seen = {}
        budget = replace(BUDGET, curve=curve)
        options = {"on_epoch": lambda epoch, results: seen.update({epoch: results}), "reestimate": reestimate}
        trained = trainer(baseline, data, tmp_path, budget, resumable=True, **options)
        trained.train()
        return seen, trained.validated.state_dict()

    (every, weights), (once, same) = run(True), run(False)
    assert list(every) == list(once) == [1, 2] and all(every.values())
    assert not once[1]
    if reestimate or DEVICE.type == "cpu":  # in mixed precision Ultralytics decodes a model's first boxes in fp16
        assert once[2]["metrics/mAP50-95(B)"] == every[2]["metrics/mAP50-95(B)"] > 0
    assert all(torch.equal(tensor, weights[name]) for name, tensor in same.items())

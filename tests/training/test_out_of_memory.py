"""A training that runs out of memory is tried once more with half the batch, and says so."""

import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.devices import DEVICE
from support.evaluators import training_evaluator
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.errors import CandidateFailed
from gamsearch.evaluation import Paused, TrialBudget
from gamsearch.models import device as devices
from gamsearch.models.latency.backends import BACKENDS, LatencyBackend, torch_backend
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import start_model
from gamsearch.training.dataset import DataSet
from gamsearch.training.trainer import LeanTrainer

YOLOV8N = Detector.load("yolov8n")
GAM4 = Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),))])
BUDGET = TrialBudget(epochs=2, imgsz=64, batch=4)
CUDA_WORDS = "CUDA out of memory. Tried to allocate 2.00 GiB."


def silent(epoch, metrics): ...


def too_large():
    return torch.empty(2**50, dtype=torch.uint8)


@pytest.fixture(scope="module")
def baseline(tiny_data: Path) -> nn.Module:
    return start_model(YOLOV8N, None, DataSet.read(tiny_data).names, seed=0)


@pytest.fixture
def evaluator(baseline, tiny_data, tmp_path):
    def build(trainer, **options):
        options = {"reference_ms": 10.0, "trainer": trainer, "paused": tmp_path / "paused", **options}
        return training_evaluator(YOLOV8N, baseline, tiny_data, DEVICE, tmp_path / "scratch", **options)

    return build


def trainer_that_fits(largest: int, epoch: int = 0, validating: bool = False, exhausted=too_large):
    """A trainer whose batches above `largest` fail from `epoch` on (from 0), and that records what it does."""

    class Tight(LeanTrainer):
        batches: list = []
        steps: list = []
        alive: list = []

        def __init__(self, model, *args, **options):
            assert not [one for one in Tight.alive if one() is not None], "the failed model is still there"
            super().__init__(model, *args, **options)
            Tight.alive.append(weakref.ref(model))
            Tight.batches.append(self.batch_size)

        def fail_if_large(self):
            if self.batch_size > largest and self.epoch >= epoch:
                exhausted()

        def preprocess_batch(self, batch):
            if not validating:
                self.fail_if_large()
            return super().preprocess_batch(batch)

        def validate(self):
            if validating:
                self.fail_if_large()
            return super().validate()

        def optimizer_step(self):
            Tight.steps.append(self.batch_size)
            super().optimizer_step()

    return Tight


def raise_cuda():
    raise torch.OutOfMemoryError(CUDA_WORDS)


@pytest.mark.parametrize("exhausted", [too_large, raise_cuda])
def test_half_the_batch_is_tried_once_with_as_many_steps_and_noted(evaluator, exhausted):
    reports, tight, roomy = [], trainer_that_fits(2, exhausted=exhausted), trainer_that_fits(4)
    measured = evaluator(tight).evaluate(GAM4, BUDGET, lambda epoch, metrics: reports.append(epoch))
    whole = evaluator(roomy).evaluate(GAM4, BUDGET, silent)
    assert tight.batches == [4, 2] and reports == [0, 1, 2]
    (note,) = measured.provenance["notes"]
    assert note.startswith("batch halved to 2 after: ") and measured.provenance["batch"] == 2
    assert whole.provenance["notes"] == [] and whole.provenance["batch"] == 4
    assert len(tight.steps) == len(roomy.steps) == 6
    assert measured.metrics["latency_ratio"] > 0 and [one["epoch"] for one in measured.curve] == [1, 2]


@pytest.mark.parametrize(("batch", "tried"), [(4, [4, 2]), (3, [3])], ids=["half fails too", "nothing to halve"])
def test_a_training_that_does_not_fit_with_half_the_batch_fails_as_out_of_memory(evaluator, tmp_path, batch, tried):
    tight = trainer_that_fits(1)
    with pytest.raises(CandidateFailed) as failure:
        evaluator(tight).evaluate(GAM4, replace(BUDGET, batch=batch), silent)
    assert failure.value.reason == "out_of_memory" and tight.batches == tried
    assert not list((tmp_path / "paused").glob("*"))


@pytest.mark.parametrize(
    ("architecture", "options"),
    [(Architecture.of("yolov8n", []), {}), (GAM4, {"halve_batch": False})],
    ids=["baseline", "verify"],
)
def test_what_others_are_compared_with_is_never_trained_at_half_the_batch(evaluator, architecture, options):
    tight = trainer_that_fits(2)
    with pytest.raises(CandidateFailed, match="out_of_memory"):
        evaluator(tight, **options).evaluate(architecture, BUDGET, silent)
    assert tight.batches == [4]


@pytest.mark.parametrize("validating", [False, True], ids=["training", "validation"])
def test_a_failure_after_an_epoch_starts_over_from_the_first(evaluator, validating):
    reports, tight = [], trainer_that_fits(2, epoch=1, validating=validating)
    measured = evaluator(tight).evaluate(GAM4, BUDGET, lambda epoch, metrics: reports.append(epoch))
    assert reports == [0, 1, 1, 2] and tight.batches == [4, 2]
    assert [one["epoch"] for one in measured.curve] == [1, 2] and measured.provenance["batch"] == 2


def pausing_after(epoch, reports):
    def report(now, metrics):
        reports.append(now)
        if now == epoch:
            raise Paused

    return report


def test_a_paused_training_with_half_the_batch_resumes_with_that_batch_and_keeps_its_note(evaluator):
    budget, tight = TrialBudget(epochs=3, imgsz=64, batch=4, rungs=(1,)), trainer_that_fits(2)
    with pytest.raises(Paused):
        evaluator(tight).evaluate(GAM4, budget, pausing_after(1, []))
    tight.alive.clear()
    reports: list = []
    measured = evaluator(tight).evaluate(GAM4, replace(budget, done=1), lambda epoch, metrics: reports.append(epoch))
    assert tight.batches == [4, 2, 2] and reports == [0, 2, 3]
    halved, resumed = measured.provenance["notes"]
    assert halved.startswith("batch halved to 2 after: ") and resumed == "went on after epoch 1"
    assert measured.provenance["batch"] == 2


def test_a_halved_training_is_not_halved_again_after_a_pause(evaluator, tmp_path):
    budget = TrialBudget(epochs=3, imgsz=64, batch=8, rungs=(1,))
    with pytest.raises(Paused):
        evaluator(trainer_that_fits(4)).evaluate(GAM4, budget, pausing_after(1, []))
    tighter = trainer_that_fits(2)
    with pytest.raises(CandidateFailed, match="out_of_memory"):
        evaluator(tighter).evaluate(GAM4, replace(budget, done=1), silent)
    assert tighter.batches == [4] and not list((tmp_path / "paused").glob("*"))


def test_a_checkpoint_at_the_whole_batch_is_not_resumed_with_half_of_it(evaluator):
    budget = TrialBudget(epochs=3, imgsz=64, batch=4, rungs=(2,))
    with pytest.raises(Paused):
        evaluator(trainer_that_fits(4)).evaluate(GAM4, budget, pausing_after(2, []))
    tight, reports = trainer_that_fits(2), []
    measured = evaluator(tight).evaluate(GAM4, replace(budget, done=2), lambda epoch, metrics: reports.append(epoch))
    assert tight.batches == [4, 2] and reports == [0, 1, 2, 3]
    assert [note[:21] for note in measured.provenance["notes"]] == ["batch halved to 2 aft"]


def test_a_latency_measurement_that_runs_out_of_memory_is_tried_again(evaluator):
    passes, reports = [], []

    def full_at_first(model, imgsz, device):
        passes.append(model)
        if len(passes) == 1:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
        return torch_backend(model, imgsz, device)

    roomy = trainer_that_fits(4)
    with BACKENDS.temporarily("full", LatencyBackend("full", full_at_first)):
        measured = evaluator(roomy, backend="full").evaluate(GAM4, BUDGET, lambda e, m: reports.append(e))
    assert roomy.batches == [2] and reports == [0, 1, 2]
    assert "CUBLAS_STATUS_ALLOC_FAILED" in measured.provenance["notes"][0]


def test_a_nan_and_a_lack_of_memory_are_each_retried_once(evaluator, monkeypatch):
    class Both(trainer_that_fits(2)):  # type: ignore[misc]
        def train(self):
            if self.args.amp:
                raise CandidateFailed("nan", "the training loss is not finite in epoch 1")
            super().train()

    retrying = evaluator(Both)
    monkeypatch.setattr(retrying, "_uses_amp", lambda: True)
    measured = retrying.evaluate(GAM4, BUDGET, silent)
    assert Both.batches == [4, 4, 2]
    assert [note.partition(" after: ")[0] for note in measured.provenance["notes"]] == [
        "retried in fp32",
        "batch halved to 2",
    ]


def test_other_errors_are_not_retried(evaluator):
    def break_down():
        raise RuntimeError("shapes do not fit")

    tight = trainer_that_fits(2, exhausted=break_down)
    with pytest.raises(CandidateFailed, match="error: shapes do not fit"):
        evaluator(tight).evaluate(GAM4, BUDGET, silent)
    assert tight.batches == [4]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("anything"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"), False),
        (RuntimeError("DataLoader worker (pid 3) exited unexpectedly"), False),
    ],
    ids=str,
)
def test_lack_of_memory_is_distinguished_from_other_errors(error, expected):
    assert devices.is_out_of_memory(error) is expected


def test_an_allocation_that_the_cpu_refuses_is_lack_of_memory():
    with pytest.raises(RuntimeError) as refusal:
        too_large()
    assert devices.is_out_of_memory(refusal.value)

"""Segmentation, pose, oriented boxes and classification: trained, validated and exported as Ultralytics would."""

from functools import cache
from pathlib import Path

import pytest
import torch
import yaml as pyyaml
from support.devices import DEVICE
from support.evaluators import training_evaluator
from support.task_data import TASKS, make_data, model_yaml

from gamsearch.architecture import Architecture, Placement
from gamsearch.evaluation import TrialBudget
from gamsearch.models.candidate import build_candidate
from gamsearch.models.device import ultralytics_name
from gamsearch.models.saving import read_weights
from gamsearch.runs.exported_files import write_weights_files
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.supernet.trainer import TrainedNetwork
from gamsearch.training import resume
from gamsearch.training.baseline import read_baseline, start_model, train_baseline
from gamsearch.training.dataset import DataSet
from gamsearch.training.details import DetailedTrainer
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.streams import start_streams
from gamsearch.training.task_parts import trainer_for
from gamsearch.training.trainer import LeanTrainer

BUDGET = TrialBudget(epochs=2, imgsz=64, batch=4, seed=3)
PLACED = Architecture.of("tiny", [Placement(site, "SE", (("rate", 4),)) for site in (2, 6)])
"""Row 6 is the one before the head."""


class Case:
    """A task with its data and a baseline that was trained on them."""

    def __init__(self, task: str, folder: Path):
        self.detector = Detector.from_yaml("tiny", model_yaml(task))
        self.task, self.path = self.detector.task, make_data(task, folder / "data")
        self.data = DataSet.read(self.path, self.task).checked()
        start = start_model(self.detector, None, self.data.names, 0, self.data.kpt_shape)
        budget = TrialBudget(12, 64, 4)
        done = train_baseline(
            start, budget, self.data.yaml, DEVICE, folder / "b", from_scratch=True, user_arguments={"lr0": 0.01}
        )
        self.baseline = read_baseline(done)

    def candidate(self):
        return build_candidate(self.detector, PLACED, self.baseline, imgsz=64)

    def arguments(self, folder: Path, **user):
        return arguments(SHORT_TRAINING, BUDGET, self.data.yaml, DEVICE, folder, user)


@pytest.fixture(scope="module")
def case_of(tmp_path_factory):
    return cache(lambda task: Case(task, tmp_path_factory.mktemp(task)))


@pytest.mark.parametrize("task", TASKS)
def test_the_lean_training_is_bit_for_bit_the_stock_one_where_statistics_are_not_reestimated(task, case_of, tmp_path):
    from ultralytics import YOLO

    case, lean_curve, again, stock_curve = case_of(task), [], [], []
    primary = next(m for m in case.task.trained_metrics if m.name == case.task.primary)

    def note(curve):
        return lambda t: curve.append((primary.compute(t.metrics), t.loss.item()))

    model = case.candidate().model
    torch.save({"model": model, "train_args": {"task": task}}, tmp_path / "candidate.pt")
    stock = YOLO(tmp_path / "candidate.pt")
    assert stock.task == task
    stock.add_callback("on_train_epoch_start", lambda t: start_streams(t, t.epoch))
    stock.add_callback("on_train_epoch_end", lambda t: setattr(t, "final_eval", lambda: None))
    stock.add_callback("on_fit_epoch_end", note(stock_curve))
    given = {"epochs": BUDGET.epochs, "imgsz": 64, "batch": 4, "seed": 3, "device": ultralytics_name(DEVICE)}
    same = {"mosaic": 0.0, "close_mosaic": 0, "nbs": 4, "cache": "ram", **SHORT_TRAINING}
    stock.train(data=str(case.data.yaml), project=str(tmp_path), name="stock", plots=False, **given, **same)
    for curve in lean_curve, again:  # the second gets the batches that the first loaded
        lean = trainer_for(model, LeanTrainer)(
            case.candidate().model, case.arguments(tmp_path / "s"), lambda *_: None, reestimate=False, resumable=True
        )
        lean.add_callback("on_fit_epoch_end", note(curve))
        lean.train()
    assert lean_curve == again == stock_curve and len(lean_curve) == BUDGET.epochs
    assert lean_curve[-1][0] > 0
    trained = stock.trainer.ema.ema.state_dict()
    assert all(torch.equal(tensor, trained[name]) for name, tensor in lean.validated.state_dict().items())


@pytest.mark.parametrize("task", TASKS)
def test_the_exported_checkpoint_has_the_metrics_of_the_trial_and_every_format_runs(task, case_of, tmp_path):
    from ultralytics import YOLO

    case, curve = case_of(task), []
    options = {"trainer": DetailedTrainer, "weights": tmp_path / "weights", "reference_ms": 1.0}
    evaluator = training_evaluator(case.detector, case.baseline, case.data.yaml, DEVICE, tmp_path / "s", **options)
    measured = evaluator.evaluate(PLACED, BUDGET, lambda epoch, metrics: curve.append(metrics))
    assert measured.metrics[case.task.primary] == curve[-1][case.task.primary] > 0
    assert {"params_m", "gflops", "latency_ms"} <= set(measured.metrics)
    assert set(measured.provenance["per_class"]) == {"red", "blue"}
    assert all(case.task.primary in found for found in measured.provenance["per_class"].values())
    model = case.candidate().model
    read_weights(model, next((tmp_path / "weights").glob("*.pt")))
    files = write_weights_files(tmp_path / "best", model.eval(), PLACED, 64)
    assert [file.path.suffix for file in files] == [".pt", ".onnx", ".torchscript", ".py"]
    found = YOLO(tmp_path / "best.pt").val(
        data=str(case.data.yaml), imgsz=64, batch=8, device="cpu", plots=False, project=str(tmp_path)
    )
    exported = {m.name: m.compute(found.results_dict) for m in case.task.trained_metrics}
    assert exported == pytest.approx({name: measured.metrics[name] for name in exported}, abs=1e-5)


@pytest.mark.parametrize("task", ["segment", "classify"])
def test_a_shared_network_of_a_task_is_trained_and_measured(task, case_of, tmp_path):
    case = case_of(task)
    (tmp_path / "tiny.yaml").write_text(pyyaml.safe_dump(model_yaml(task)))
    (tmp_path / "space.yaml").write_text("detector: tiny.yaml\nsites: [2, 6]\nattention: {SE: {}}\n")
    space = SearchSpace.load(tmp_path / "space.yaml")
    network = TrainedNetwork(space, case.baseline, case.data.yaml, DEVICE, tmp_path / "n", {"workers": 0})
    budget = TrialBudget(1, 64, 4, 0)
    network.train(budget)
    found = network.measure(space.baseline, budget)
    network.close()
    assert set(found) == set(case.task.metrics) and 0 < found[case.task.primary] <= 1


def test_a_paused_training_of_a_classifier_equals_the_uninterrupted_one(case_of, tmp_path):
    """Its augmentation draws from PyTorch's random stream, which restarts at every epoch too."""
    case, trainers = case_of("classify"), []

    def train(on_epoch, **options):
        new = trainer_for(case.baseline, LeanTrainer)
        trainers.append(
            new(case.candidate().model, case.arguments(tmp_path / "s"), on_epoch, resumable=True, **options)
        )
        trainers[-1].train()
        return trainers[-1].validated.state_dict()

    def keep(epoch, results):
        if epoch == 1:
            resume.keep(trainers[-1], tmp_path / "kept.pt", {})

    whole = train(keep)
    resumed = train(lambda *_: None, paused=resume.read(tmp_path / "kept.pt", 1))
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())

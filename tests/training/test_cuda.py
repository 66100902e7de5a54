"""Tests that need a CUDA device; skipped elsewhere."""

import gc
from pathlib import Path

import pytest
import torch
from support.devices import DEVICE
from support.evaluators import training_evaluator
from torch import nn

from gamsearch.architecture import Architecture, Placement
from gamsearch.evaluation import TrialBudget
from gamsearch.models import device as devices
from gamsearch.models.candidate import build_candidate
from gamsearch.models.device_lock import path_of
from gamsearch.models.latency.backends import BACKENDS, torch_backend
from gamsearch.models.latency.measure import measure
from gamsearch.models.latency.measure_table import measure_table
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training import batches
from gamsearch.training.baseline import read_baseline, start_model, train_baseline
from gamsearch.training.dataset import DataSet
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.trainer import LeanTrainer

pytestmark = pytest.mark.skipif(DEVICE.type != "cuda", reason="needs GAMSEARCH_TEST_DEVICE=cuda:0")

YOLOV8N = Detector.load("yolov8n")
STOCK = Architecture.of("yolov8n")
GAM4 = Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),))])
SIX = Architecture.of("yolov8n", [Placement(site, "GAM", (("rate", 4),)) for site in (2, 4, 6, 8, 15, 18)])
BUDGET = TrialBudget(epochs=2, imgsz=64, batch=4)


def silent(epoch, metrics): ...


@pytest.fixture(scope="module")
def gpu() -> torch.device:
    return devices.select(str(DEVICE))


@pytest.fixture(scope="module")
def baseline(tiny_data: Path, gpu, tmp_path_factory) -> nn.Module:
    """Trained on the device, as in a search."""
    model, folder = start_model(YOLOV8N, None, DataSet.read(tiny_data).names, seed=0), tmp_path_factory.mktemp("gpu")
    return read_baseline(train_baseline(model, BUDGET, tiny_data, gpu, folder, from_scratch=True, user_arguments={}))


@pytest.fixture
def evaluator(baseline, tiny_data, gpu, tmp_path):
    def build(model=baseline, **options):
        return training_evaluator(YOLOV8N, model, tiny_data, gpu, tmp_path / "scratch", **options)

    return build


def test_a_trial_says_where_and_how_its_latency_was_measured(evaluator, gpu):
    measured = evaluator().evaluate(GAM4, BUDGET, silent)
    latency, name = measured.provenance["latency"], torch.cuda.get_device_name(gpu)
    assert (latency["clock"], latency["precision"], latency["threads"]) == ("device events", "fp16", 0)
    assert latency["backend"] == "cudagraph" and latency["ratio"] > 1.02
    assert latency["device"] == measured.provenance["device"] == name
    assert measured.provenance["audit"]["tensors_inherited"] == 355 and measured.provenance["notes"] == []


@pytest.mark.parametrize("backend", ["torch", "cudagraph"])
def test_attention_is_the_exact_identity_in_half_precision_too(baseline, gpu, backend):
    """Fused, fp16, as it is timed."""
    attended = build_candidate(YOLOV8N, SIX, baseline, 64).model
    prepared = [BACKENDS[backend].prepare(model, 64, gpu) for model in (attended, baseline)]
    gc.collect()  # a graph must keep what it reads: junk of the same sizes would take its place
    weights = [tensor.half() for tensor in attended.state_dict().values()]
    junk = [torch.full_like(tensor, float("nan"), device=gpu) for tensor in 4 * weights]
    first, second = (output_of(network) for network in prepared)
    assert len(junk) == 4 * len(weights) and first.dtype == torch.float16 and first.abs().sum() > 0
    assert torch.equal(first, second)


def output_of(network) -> torch.Tensor:
    """The predictions of a pass; a graph writes them into the tensors of its capture."""
    found = network.run()
    torch.cuda.synchronize()
    return (found[0] if isinstance(found, tuple) else found).clone()


@pytest.mark.parametrize("name", ["yolov5n", "yolo11n", "yolo12n", "yolo26n"])
def test_every_detector_can_be_captured_as_a_graph(name, gpu):
    detector = Detector.load(name)
    stock = start_model(detector, None, {0: "a", 1: "b"}, seed=0)
    attended = build_candidate(detector, Architecture.of(name, [Placement(4, "GAM", (("rate", 4),))]), stock, 64)
    assert measure(attended.model, stock, 64, gpu, backend="cudagraph", seconds=0.3).ratio > 1.0


@pytest.mark.parametrize("backend", ["torch", "cudagraph"])
def test_attention_costs_time_and_a_network_takes_as_long_as_itself(baseline, gpu, backend):
    attended = build_candidate(YOLOV8N, SIX, baseline, 64).model
    assert measure(attended, baseline, 64, gpu, backend=backend, seconds=1.0).ratio > 1.05
    control = measure(baseline, baseline, 64, gpu, backend=backend, seconds=1.0)
    assert control.ratio == pytest.approx(1.0, abs=0.03) and control.precision == "fp16"


def test_a_graph_is_faster_than_its_kernels_one_by_one(baseline, gpu):
    eager, graph = (measure(baseline, baseline, 64, gpu, backend=b, seconds=0.5) for b in ("torch", "cudagraph"))
    assert graph.baseline_ms < 0.8 * eager.baseline_ms


def test_a_device_lock_is_named_by_the_uuid_of_the_device(gpu):
    assert str(torch.cuda.get_device_properties(gpu).uuid) in path_of(gpu).name


def test_validation_runs_in_fp32_even_after_training_in_mixed_precision(baseline, tiny_data, gpu, tmp_path):
    run = LeanTrainer(
        build_candidate(YOLOV8N, GAM4, baseline, 64).model,
        arguments(SHORT_TRAINING, BUDGET, tiny_data, gpu, tmp_path, {}),
        silent,
    )
    run.train()
    boxes = run.validated.model[-1]
    assert run.amp and boxes.anchors.dtype == boxes.strides.dtype == torch.float32
    assert all(tensor.dtype != torch.float16 for tensor in run.validated.state_dict().values())


def test_memory_that_runs_out_halves_the_batch_and_the_next_trial_has_all_of_it(evaluator, gpu):
    """The process may use only what the trial with half the batch needs, and a little more."""
    trials, roomy = evaluator(), TrialBudget(epochs=1, imgsz=640, batch=12)
    total = torch.cuda.get_device_properties(gpu).total_memory
    needs = {batch: peak_of(trials, TrialBudget(epochs=1, imgsz=640, batch=batch), gpu) for batch in (6, 12)}
    try:
        torch.cuda.set_per_process_memory_fraction((needs[6] + 0.5 * (needs[12] - needs[6])) / total, gpu)
        measured = trials.evaluate(GAM4, roomy, silent)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, gpu)
    assert measured.provenance["batch"] == 6 and "batch halved to 6" in measured.provenance["notes"][0]
    assert trials.evaluate(GAM4, roomy, silent).provenance["batch"] == 12


def peak_of(trials, budget, gpu) -> int:
    """Peak of the bytes that PyTorch reserves for a trial."""
    devices.release_memory(gpu)
    torch.cuda.reset_peak_memory_stats(gpu)
    trials.evaluate(GAM4, budget, silent)
    return torch.cuda.max_memory_reserved(gpu)


def test_an_overflow_in_mixed_precision_is_tried_again_in_fp32(evaluator, baseline):
    """One layer's outputs exceed fp16, and the next layer divides by the factor."""
    wild = build_candidate(YOLOV8N, STOCK, baseline, 64).model
    with torch.no_grad():
        wild.model[0].bn.weight *= 1e6
        wild.model[0].bn.bias *= 1e6
        wild.model[1].conv.weight /= 1e6
    measured = evaluator(wild).evaluate(GAM4, BUDGET, silent)
    assert "retried in fp32" in measured.provenance["notes"][0]


def test_memory_of_the_device_does_not_grow_from_trial_to_trial(evaluator, gpu):
    trials, held = evaluator(reference_ms=1.0), []
    batches._EPOCHS.clear()
    for _ in range(3):
        trials.evaluate(GAM4, BUDGET, silent)
        devices.release_memory(gpu)
        held.append(torch.cuda.memory_reserved(gpu))  # graphs have pools of their own
    assert held[2] <= held[0] + 2**22


def test_a_table_predicts_the_latency_of_a_graph(baseline, gpu):
    space = SearchSpace.load("gam-small", YOLOV8N)
    table = measure_table(space, baseline, 64, gpu, 1.0, seconds=1.0)
    assert table.conditions["backend"] == "cudagraph" and table.rounds == 0
    pair = Architecture.of("yolov8n", [Placement(site, "GAM", (("rate", 4),)) for site in (4, 9)])
    direct = measure(build_candidate(YOLOV8N, pair, baseline, 64).model, baseline, 64, gpu, seconds=1.0)
    assert table.predict(pair).ratio == pytest.approx(direct.ratio, rel=0.05)


def test_a_graph_gives_the_same_output_as_the_eager_pass(baseline, gpu):
    eager = torch_backend(baseline, 64, gpu)
    assert torch.equal(output_of(BACKENDS["cudagraph"].prepare(baseline, 64, gpu)), output_of(eager))

"""Real, tiny trainings: what a short training measures, and what would make two of them incomparable."""

import math
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import torch
from support.devices import DEVICE
from support.evaluators import training_evaluator
from torch import nn

import gamsearch
from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.errors import CandidateFailed
from gamsearch.evaluation import Paused, TrialBudget
from gamsearch.models.candidate import build_candidate, fresh_parameters
from gamsearch.space.detector import Detector
from gamsearch.training import evaluator as evaluator_module
from gamsearch.training.baseline import read_baseline, start_model, train_baseline
from gamsearch.training.dataset import DataSet
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.trainer import LeanTrainer

YOLOV8N = Detector.load("yolov8n")
STOCK = Architecture.of("yolov8n")
GAM4 = Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),))])
BUDGET = TrialBudget(epochs=1, imgsz=64, batch=4, seed=0)


def silent(epoch, metrics): ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def baseline(tiny_data: Path, folder: Path) -> nn.Module:
    model = start_model(YOLOV8N, None, DataSet.read(tiny_data).names, seed=0)
    path = train_baseline(model, BUDGET, tiny_data, DEVICE, folder / "baseline", from_scratch=True, user_arguments={})
    return read_baseline(path)


def evaluator(baseline: nn.Module, data: Path, folder: Path, **options):
    return training_evaluator(YOLOV8N, baseline, data, DEVICE, folder / "scratch", reference_ms=10.0, **options)


def trainer(baseline, data, folder, architecture=GAM4, budget=BUDGET, **options) -> LeanTrainer:
    candidate = build_candidate(YOLOV8N, architecture, baseline, budget.imgsz)
    given = arguments(SHORT_TRAINING, budget, data, DEVICE, folder / "scratch", {})
    return LeanTrainer(candidate.model, given, silent, fresh_parameters(candidate), **options)


def test_a_training_reports_costs_before_and_accuracy_after_each_epoch(baseline, tiny_data, folder):
    reports = []
    budget = TrialBudget(epochs=2, imgsz=64, batch=4, seed=0)
    measured = evaluator(baseline, tiny_data, folder, weights=folder / "weights").evaluate(
        GAM4, budget, lambda epoch, metrics: reports.append((epoch, dict(metrics)))
    )
    assert [epoch for epoch, _ in reports] == [0, 1, 2]
    assert {"params_m", "gflops", "latency_ms", "latency_ratio"} <= set(reports[0][1])
    assert [e["epoch"] for e in measured.curve] == [1, 2]
    assert measured.metrics["map50_95"] == measured.curve[-1]["map50_95"]
    assert measured.provenance["audit"]["tensors_inherited"] == 355
    assert measured.provenance["starts"] == {"GAM@4 r4": "paper"}
    assert (folder / "weights" / f"{GAM4.key}-seed0.pt").is_file()


def test_a_refusal_at_epoch_0_comes_before_any_training(baseline, tiny_data, folder):
    class RefusedError(Exception):
        pass

    def refuse(epoch, metrics):
        assert epoch == 0
        raise RefusedError

    with pytest.raises(RefusedError):
        evaluator(baseline, tiny_data, folder).evaluate(GAM4, BUDGET, refuse)


def test_the_same_seed_gives_the_same_curve_bit_for_bit_whatever_was_trained_in_between(baseline, tiny_data, folder):
    evaluate = evaluator(baseline, tiny_data, folder).evaluate
    first = _weights_after(baseline, tiny_data, folder, seed=0)
    evaluate(STOCK, BUDGET, silent)
    assert torch.equal(_weights_after(baseline, tiny_data, folder, seed=0), first)
    assert not torch.equal(_weights_after(baseline, tiny_data, folder, seed=1), first)


def test_attention_inside_a_block_learns_and_repeats_bit_for_bit(baseline, tiny_data, folder):
    inside = Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),), "inner"), Placement(9, "SE", {})])
    runs = [trainer(baseline, tiny_data, folder, inside) for _ in range(2)]
    start = {name: tensor.clone() for name, tensor in runs[0].model.state_dict().items()}
    for run in runs:
        run.train()
    first, second = (run.validated.state_dict() for run in runs)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    own = [name for name in first if ".4.m.attention." in name]
    learnt = [name for name in own if not torch.equal(first[name].cpu(), start[name].half().float())]
    assert {"linear2.weight", "norm2.weight", "norm1.running_mean"} <= {n.split("attention.")[1] for n in learnt}
    stale, norm = runs[0].ema.ema.state_dict(), "model.4.m.attention.norm1.running_var"
    assert not torch.allclose(first[norm], stale[norm])  # re-estimated


def test_the_first_training_of_a_process_sees_what_every_other_sees(baseline, tiny_data, folder):
    """The first training builds the data sets; were that to change its random streams, trial 0 would be no control."""
    from gamsearch.training import cached_data as module

    module._DATASETS.clear()
    first = _weights_after(baseline, tiny_data, folder, seed=0, epochs=3)
    assert torch.equal(_weights_after(baseline, tiny_data, folder, seed=0, epochs=3), first)


def _weights_after(baseline, data, folder, seed, epochs=1):
    run = trainer(baseline, data, folder, budget=TrialBudget(epochs, 64, 4, seed))
    run.train()
    return torch.cat([p.detach().flatten() for p in run.model.parameters()])


def test_every_candidate_sees_the_same_batches_at_the_same_seed(baseline, tiny_data, folder):
    def stream(architecture, seed):
        run, sums = trainer(baseline, tiny_data, folder, architecture, TrialBudget(2, 64, 4, seed)), []
        stock = run.preprocess_batch
        run.preprocess_batch = lambda batch: sums.append(float(batch["img"].double().sum())) or stock(batch)
        run.train()
        return sums

    nine = Architecture.of("yolov8n", [Placement(s, "GAM", (("rate", 4),)) for s in (4, 9, 15)])
    one = stream(STOCK, 0)
    assert stream(nine, 0) == one
    assert stream(STOCK, 1) != one


def test_attention_gets_its_own_learning_rate_and_no_parameter_is_lost(baseline, tiny_data, folder):
    run = trainer(baseline, tiny_data, folder)
    run._setup_train()
    groups = run.optimizer.param_groups
    ids = [id(p) for g in groups for p in g["params"]]
    assert sorted(ids) == sorted(id(p) for p in run.model.parameters())
    for group in groups:
        expected = SHORT_TRAINING["lr0"] * (run.fresh.get(id(group["params"][0]), 1))
        assert group["initial_lr"] == pytest.approx(expected)
        assert len({id(p) in run.fresh for p in group["params"]}) == 1


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "RMSProp", "MuSGD", "auto"])
def test_every_optimiser_keeps_decay_and_momentum_and_multiplies_the_rate_of_attention_alone(
    baseline, tiny_data, folder, name
):
    run = trainer(baseline, tiny_data, folder)
    run.data, run.fresh = {"nc": 3}, dict.fromkeys(run.fresh, 7.0)
    own, stock = (
        {
            id(p): group
            for group in build(run.model, name, 0.01, 0.9, 1e-4, 20_000).param_groups
            for p in group["params"]
        }
        for build in (run.build_optimizer, super(LeanTrainer, run).build_optimizer)
    )
    assert own.keys() == stock.keys() and run.fresh.keys() <= own.keys()
    for parameter, group in own.items():
        factor = run.fresh.get(parameter, 1.0)
        assert group["lr"] == pytest.approx(factor * stock[parameter]["lr"])
        assert group["weight_decay"] == stock[parameter]["weight_decay"]
        assert (group.get("param_group") == "bias") <= (parameter not in run.fresh)  # no hot start of its biases


def test_the_factor_is_the_modules_own_unless_attention_lr_replaces_it(baseline, tiny_data, folder):
    mixed = Architecture.of("yolov8n", [Placement(4, "GAM", (("rate", 4),)), Placement(6, "SE", (("rate", 16),))])
    candidate = build_candidate(YOLOV8N, mixed, baseline, 64)
    rows = [candidate.model.model[candidate.graft.placed[site]] for site in (4, 6)]
    for given, expected in ((None, [spec_named(m).lr_factor for m in ("GAM", "SE")]), (1, [1.0, 1.0])):
        factors = fresh_parameters(candidate, given)
        assert [{factors[id(p)] for p in row.parameters()} for row in rows] == [{one} for one in expected]
    assert len(factors) == sum(1 for row in rows for _ in row.parameters())


def test_the_learning_rate_of_a_short_training_does_not_decay(baseline, tiny_data, folder):
    """Its epochs are then those of a longer training, and it ranks better."""
    run, rates = trainer(baseline, tiny_data, folder, budget=TrialBudget(3, 64, 4)), []
    run.add_callback("on_train_batch_end", lambda t: rates.append({g["lr"] for g in t.optimizer.param_groups}))
    run.train()
    factor = spec_named("GAM").lr_factor
    assert len(rates) == 9 and all(each == {SHORT_TRAINING["lr0"], factor * SHORT_TRAINING["lr0"]} for each in rates)


def test_validation_uses_reestimated_statistics_and_training_keeps_its_own(baseline, tiny_data, folder):
    run = trainer(baseline, tiny_data, folder)
    run.train()
    fresh, stale = run.validated.state_dict(), run.ema.ema.state_dict()
    norms = [n for n in fresh if n.endswith("running_var")]
    assert any(not torch.allclose(fresh[n], stale[n]) for n in norms)
    written = {n: stale[n].half().float() for n in stale if n.endswith("conv.weight")}
    assert all(torch.equal(fresh[n], written[n]) for n in written)
    off = trainer(baseline, tiny_data, folder, reestimate=False)
    off.train()
    assert all(torch.equal(off.validated.state_dict()[n], off.ema.ema.state_dict()[n]) for n in norms)


def test_a_set_up_that_loses_the_inherited_weights_fails_the_candidate(baseline, tiny_data, folder, monkeypatch):
    def rebuild(self, *args):
        self.model = start_model(YOLOV8N, None, self.data["names"], seed=7)

    monkeypatch.setattr(LeanTrainer, "setup_model", rebuild)  # what Ultralytics does with a path or a foreign trainer
    with pytest.raises(CandidateFailed, match="lost inherited weights"):
        evaluator(baseline, tiny_data, folder).evaluate(STOCK, BUDGET, silent)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_diverges_is_a_recorded_failure_not_a_silent_nan(baseline, tiny_data, folder):
    with pytest.raises(CandidateFailed) as failure:
        evaluator(baseline, tiny_data, folder, user={"cls": 1e38}).evaluate(GAM4, BUDGET, silent)
    assert failure.value.reason == "nan"


def test_a_batch_that_ultralytics_halved_is_a_failure(baseline, tiny_data, folder):
    run = trainer(baseline, tiny_data, folder)
    run.batch_size //= 2
    with pytest.raises(CandidateFailed, match="batch 4 does not fit"):
        run._build_train_pipeline()


def test_no_time_limit_cuts_non_maximum_suppression_short(baseline, tiny_data, folder, monkeypatch):
    from ultralytics.utils import nms

    limits = []
    stock = nms.non_max_suppression
    monkeypatch.setattr(nms, "non_max_suppression", lambda *a, **k: limits.append(k["max_time_img"]) or stock(*a, **k))
    trainer(baseline, tiny_data, folder).train()
    assert limits and min(limits) > 600


def test_a_nan_under_amp_is_tried_once_more_in_fp32_and_noted(baseline, tiny_data, folder, monkeypatch):
    amp, train = [], LeanTrainer.train

    def first_overflows(self):
        amp.append(bool(self.args.amp))
        if len(amp) == 1:
            raise CandidateFailed("nan", "the training loss is not finite in epoch 1")
        train(self)

    monkeypatch.setattr(LeanTrainer, "train", first_overflows)
    retrying = evaluator(baseline, tiny_data, folder)
    monkeypatch.setattr(retrying, "_uses_amp", lambda: True)
    measured = retrying.evaluate(GAM4, BUDGET, silent)
    assert amp == [True, False]
    assert "retried in fp32" in measured.provenance["notes"][0]


def test_statistics_that_are_not_finite_fail_the_candidate(baseline, tiny_data, folder, monkeypatch):
    from gamsearch.training import trainer as module

    def overflow(model, batches):
        next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)).running_var.fill_(float("inf"))

    monkeypatch.setattr(module, "reestimate_statistics", overflow)
    with pytest.raises(CandidateFailed, match="not finite in epoch 1"):
        trainer(baseline, tiny_data, folder).train()


def test_metrics_are_finite_fractions(baseline, tiny_data, folder):
    metrics = evaluator(baseline, tiny_data, folder).evaluate(STOCK, BUDGET, silent).metrics
    assert all(math.isfinite(v) for v in metrics.values())
    assert 0 <= metrics["map50_95"] <= metrics["map50"] <= 1


def test_trainings_work_at_the_lower_end_of_the_supported_range(lowest):
    """The files of Ultralytics are those of its lowest supported release; the tests are some of those above."""
    chosen = "reports_costs or interrupted or same_seed or diverges"
    command = [
        sys.executable,
        "-m",
        "pytest",
        __file__,
        str(Path(__file__).with_name("test_baseline.py")),
        "-k",
        f"({chosen}) and not lower_end",
        "-p",
        "no:cacheprovider",
    ]
    paths = os.pathsep.join(map(str, (lowest, Path(gamsearch.__file__).parents[1])))
    command += ["-W", "ignore"]  # its warnings are those of its time
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "7 passed" in done.stdout


def pausing_after(rung: int, reports: list):
    def report(epoch, metrics):
        reports.append((epoch, dict(metrics)))
        if epoch == rung < 3:
            raise Paused

    return report


@pytest.fixture(scope="module")
def uninterrupted(baseline, tiny_data, folder):
    """Three epochs of GAM@4 in one piece: what was reported, and the final weights."""
    reports: list = []
    budget = TrialBudget(epochs=3, imgsz=64, batch=4, seed=0, rungs=(1, 2))
    whole = evaluator(baseline, tiny_data, folder, weights=folder / "whole")
    whole.evaluate(GAM4, budget, lambda *report: reports.append(report))
    return reports[1:], torch.load(folder / "whole" / f"{GAM4.key}-seed0.pt", weights_only=True)


def test_a_paused_training_equals_the_uninterrupted_one_bit_for_bit(baseline, tiny_data, folder, uninterrupted):
    parts: list = []
    for done in (0, 1, 2):
        budget = TrialBudget(epochs=3, imgsz=64, batch=4, seed=0, rungs=(1, 2), done=done)
        again = evaluator(baseline, tiny_data, folder, weights=folder / "parts", paused=folder / "paused")
        reports: list = []
        try:
            measured = again.evaluate(GAM4, budget, pausing_after(done + 1, reports))
        except Paused:
            assert len(list((folder / "paused").glob("*.pt"))) == 1
        parts += reports[1:]
    assert parts == uninterrupted[0]
    kept = torch.load(folder / "parts" / f"{GAM4.key}-seed0.pt", weights_only=True)
    assert all(torch.equal(kept[name], value) for name, value in uninterrupted[1].items())
    assert measured.provenance["notes"] == ["went on after epoch 2"]
    assert not list((folder / "paused").glob("*.pt"))


def test_a_training_whose_checkpoint_is_lost_or_damaged_starts_over(baseline, tiny_data, folder, uninterrupted):
    paused_in = folder / "damaged"
    paused_in.mkdir()
    (paused_in / f"{GAM4.key}-seed0.pt").write_bytes(b"no checkpoint")
    reports: list = []
    budget = TrialBudget(epochs=3, imgsz=64, batch=4, seed=0, rungs=(1, 2), done=2)
    evaluator(baseline, tiny_data, folder, paused=paused_in).evaluate(GAM4, budget, lambda *r: reports.append(r))
    assert reports[1:] == uninterrupted[0]


def test_an_interrupted_training_resumes_from_its_last_checkpoint_bit_for_bit(
    baseline, tiny_data, folder, uninterrupted, monkeypatch
):
    monkeypatch.setattr(evaluator_module, "KEEP_EVERY_S", 0.0)
    budget = TrialBudget(epochs=3, imgsz=64, batch=4, seed=0)
    places = {"weights": folder / "resumed", "paused": folder / "under-way"}

    def interrupting(epoch, metrics):
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluator(baseline, tiny_data, folder, **places).evaluate(GAM4, budget, interrupting)
    trained, step = [], LeanTrainer.optimizer_step
    monkeypatch.setattr(LeanTrainer, "optimizer_step", lambda self: (trained.append(self.epoch), step(self)))
    reports: list = []
    again = evaluator(baseline, tiny_data, folder, **places)
    measured = again.evaluate(GAM4, budget, lambda *report: reports.append(report))
    assert set(trained) == {2} and measured.provenance["notes"] == ["went on after epoch 2"]
    assert reports[1:] == uninterrupted[0]
    assert [one["epoch"] for one in measured.curve] == [1, 2, 3]
    kept = torch.load(folder / "resumed" / f"{GAM4.key}-seed0.pt", weights_only=True)
    assert all(torch.equal(kept[name], value) for name, value in uninterrupted[1].items())
    assert not list((folder / "under-way").iterdir())


def test_a_training_that_is_stopped_for_good_leaves_no_checkpoint(baseline, tiny_data, folder, monkeypatch):
    monkeypatch.setattr(evaluator_module, "KEEP_EVERY_S", 0.0)
    seen = []

    def stopping(epoch, metrics):
        seen.append(list((folder / "stopped").glob("*.pt")))
        if epoch == 2:
            raise optuna.TrialPruned

    with pytest.raises(optuna.TrialPruned):
        stopped = evaluator(baseline, tiny_data, folder, paused=folder / "stopped")
        stopped.evaluate(GAM4, TrialBudget(epochs=3, imgsz=64, batch=4, seed=0), stopping)
    assert seen[-1] and not list((folder / "stopped").glob("*.pt"))


def test_parameters_and_flops_are_predicted_exactly_before_anything_is_built(baseline, tiny_data, folder):
    both = Architecture.of("yolov8n", [*GAM4.placements, Placement(9, "GAM", (("rate", 8),))])
    predicting = evaluator(
        baseline, tiny_data, folder, latency_ratio=lambda a: 1.05, predicted=("params_m", "gflops"), imgsz=64
    )
    candidate = build_candidate(YOLOV8N, both, baseline, 64)
    truth = {"params_m": candidate.params_m(), "gflops": candidate.gflops()}
    truth |= {"latency_ratio": 1.05, "latency_ms": 10.5}
    assert predicting.predict_costs(both) == pytest.approx(truth, rel=1e-9)

"""A lean trial against the training that a user would start by hand: paired, interleaved, in one process.

    python benchmarks/lean.py --data bccd/bccd.yaml
    python benchmarks/lean.py --data bccd/bccd.yaml --imgsz 96 --rounds 3 --trials 30

stock     `YOLO("yolov8n-candidate.yaml").load("candidate.pt").train(data=..., epochs=2, imgsz=..., batch=...)`, all
          else at Ultralytics' defaults; with `--recipe brief` it learns by the search's recipe (optimiser, learning
          rates, warm-up, mosaic, and as many optimiser steps as batches).
lean      what a search does for a candidate: graft, build, inherit, audit, train, validate once, in the same recipe.
          Re-estimation of the batch-norm statistics and the higher learning rate of attention are off, as the stock
          path has neither.
curve     the same with every epoch validated, as stopping and the sampler `freeze_thaw` need it.
searched  a trial as the search runs it by default: its recipe, every epoch validated, both switched on; without its
          latency measurement.

Each of `--sites` makes a candidate: GAM at rate 4 after that one row. All arms start from the same weights (a baseline
that this script trains first, with GAM added) and in each epoch from the same random streams, so mAP of stock, lean and
curve must be equal in every epoch that they validate, bit for bit; on a GPU that is shown, not asked for, as in mixed
precision a model that was validated before can read otherwise. Each round runs the arms of each candidate in random
order; the figures are medians with quartiles of the ratios (arm / stock, less is better) of all rounds and candidates,
in CPU time of the process and in wall time, of which the latter follows the load of the machine. What the lean arm
spends inside its epochs (batches, optimiser and its one validation; the rest is building and set-up) is printed too.
One torch thread. A first round is not counted: it pays for imports, fonts, label caches and, for the lean arms, the
batches kept in memory. Garbage is collected between the arms, so that none pays for another's. What gamsearch does to
keep Ultralytics quiet (no network probes, no integrations) is in force for the stock arm as well.

`--trials N` then has the search's evaluator measure and train N architectures and compares the memory of the process
(RSS) after the third and after the last. Exit code 1 when a target is missed or mAP differs.
"""

import argparse
import contextlib
import gc
import io
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from gamsearch.architecture import Architecture, Placement
from gamsearch.evaluation import TrialBudget
from gamsearch.models.candidate import Candidate, build_candidate, fresh_parameters
from gamsearch.models.device import select, ultralytics_name
from gamsearch.models.register import quiet_ultralytics
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.baseline import read_baseline, start_model, train_baseline
from gamsearch.training.dataset import DataSet
from gamsearch.training.evaluator import TrainingEvaluator
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.setup import Folders
from gamsearch.training.trainer import LeanTrainer, start_streams

TARGETS = {96: 0.5, 160: 0.7}
GROWTH = 0.05


@dataclass(frozen=True)
class Setting:
    """A candidate, and what its arms have in common."""

    detector: Detector
    baseline: Any
    architecture: Architecture
    data: Path
    budget: TrialBudget
    folder: Path
    learnt: dict[str, Any]
    device: torch.device
    epochs_cpu_s: list[float] = field(default_factory=list)
    """CPU seconds of each lean trial from the first batch of an epoch to the end of its validation, over all epochs."""

    def candidate(self) -> Candidate:
        return build_candidate(self.detector, self.architecture, self.baseline, self.budget.imgsz, self.budget.seed)


def stock(setting: Setting) -> list[float]:
    """Train as a user would by hand; unrounded map50_95 of every epoch."""
    from ultralytics import YOLO

    maps: list[float] = []
    model = YOLO(setting.folder / "yolov8n-candidate.yaml").load(setting.folder / "candidate.pt")
    model.add_callback("on_train_epoch_start", lambda trainer: start_streams(trainer, trainer.epoch))
    model.add_callback("on_fit_epoch_end", lambda trainer: maps.append(float(trainer.validator.metrics.box.map)))
    budget = setting.budget
    model.train(
        data=str(setting.data),
        epochs=budget.epochs,
        imgsz=budget.imgsz,
        batch=budget.batch,
        seed=budget.seed,
        device=ultralytics_name(setting.device),
        project=str(setting.folder),
        name="stock",
        exist_ok=True,
        **setting.learnt,
    )
    return maps[: budget.epochs]  # the last one is the second validation, of the checkpoint in half precision


def lean(setting: Setting) -> list[float]:
    """The same training by the lean path."""
    return _trained(setting, setting.candidate(), curve=False, watch=setting.epochs_cpu_s, reestimate=False)


def curve(setting: Setting) -> list[float]:
    """The same with every epoch validated."""
    return _trained(setting, setting.candidate(), reestimate=False)


def searched(setting: Setting) -> list[float]:
    """A trial with what the stock path cannot do: re-estimated statistics and a learning rate for attention."""
    candidate = setting.candidate()
    brief = replace(setting, learnt=searched_recipe(setting.budget.batch))
    return _trained(brief, candidate, fresh=frozenset(fresh_parameters(candidate)))


def _trained(
    setting: Setting, candidate: Candidate, curve: bool = True, watch: list[float] | None = None, **options: Any
) -> list[float]:
    maps: list[float] = []
    begun: list[float] = []
    ended: list[float] = []

    def note(epoch: int, results: dict[str, float]) -> None:
        if results:
            maps.append(float(trainer.validator.metrics.box.map))

    recipe = {**stock_defaults("nbs", "mosaic", "close_mosaic"), **setting.learnt}
    budget = replace(setting.budget, curve=curve)
    given = arguments(recipe, budget, setting.data, setting.device, setting.folder / "scratch", {})
    trainer = LeanTrainer(candidate.model, given, note, resumable=True, **options)
    trainer.add_callback("on_train_epoch_start", lambda _: begun.append(time.process_time()))
    trainer.add_callback("on_fit_epoch_end", lambda _: ended.append(time.process_time()))
    trainer.train()
    trainer.close()
    if watch is not None:
        watch.append(sum(end - begin for begin, end in zip(begun, ended, strict=True)))
    return maps


def searched_recipe(batch: int) -> dict[str, Any]:
    """What decides what a brief training of the search learns."""
    return {**SHORT_TRAINING, "mosaic": 0.0, "close_mosaic": 0, "nbs": batch}


def stock_defaults(*names: str) -> dict[str, Any]:
    """Ultralytics' defaults of what gamsearch has others for."""
    from ultralytics.cfg import DEFAULT_CFG_DICT

    return {name: DEFAULT_CFG_DICT[name] for name in names}


ARMS: dict[str, Callable[[Setting], list[float]]] = {"stock": stock, "lean": lean, "curve": curve, "searched": searched}


def main() -> int:
    """Compare at every image size, then watch the memory."""
    options = read_options()
    quiet_ultralytics()
    torch.set_num_threads(1)
    missed = [not compared(prepared(options, imgsz), options.rounds) for imgsz in options.imgsz]
    if options.trials:
        missed.append(not memory_is_flat(prepared(options, options.imgsz[0])[0], options.trials))
    return int(any(missed))


def prepared(options: argparse.Namespace, imgsz: int) -> list[Setting]:
    """Train the baseline for this image size and write the candidates that the stock arm starts from."""
    detector, data, device = Detector.load("yolov8n"), DataSet.read(options.data), select(options.device)
    folder = options.out / str(imgsz)
    path = train_baseline(
        start_model(detector, None, data.names, seed=0),
        TrialBudget(options.fork_epochs, imgsz, 8),
        data.yaml.resolve(),
        device,
        folder / "baseline",
        from_scratch=True,
        user_arguments={},
    )
    learnt = searched_recipe(options.batch) if options.recipe == "brief" else {}
    budget, baseline = TrialBudget(options.epochs, imgsz, options.batch), read_baseline(path)
    settings = []
    for site in options.sites:
        architecture = Architecture.of("yolov8n", [Placement(site, "GAM", (("rate", 4),))])
        place = (folder / f"after-{site}").resolve()
        setting = Setting(detector, baseline, architecture, data.yaml.resolve(), budget, place, learnt, device)
        model = setting.candidate().model
        place.mkdir(exist_ok=True)
        (place / "yolov8n-candidate.yaml").write_text(yaml.safe_dump(model.yaml), encoding="utf-8")
        torch.save({"model": model, "train_args": {"task": "detect"}}, place / "candidate.pt")  # fp32: the same weights
        settings.append(setting)
    return settings


@dataclass
class Timed:
    """What one arm cost for one candidate, a value per counted round, and the mAP curves that it gave in any round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    curves: set[tuple[float, ...]] = field(default_factory=set)


def compared(settings: list[Setting], rounds: int) -> bool:
    """Run the rounds, print the ratios; whether the target is met at equal mAP."""
    timings = [{name: Timed() for name in ARMS} for _ in settings]
    order = random.Random(0)
    for number in range(rounds + 1):
        for setting, arms in zip(settings, timings, strict=True):
            run_round(setting, arms, number, order)
    budget = settings[0].budget
    recipe = "the search's recipe" if settings[0].learnt else "Ultralytics' defaults"
    print(f"{budget.imgsz} px, {budget.epochs} epochs, batch {budget.batch}, {recipe}")
    equal = True
    for setting, arms in zip(settings, timings, strict=True):
        print(f"  {setting.architecture.label}")
        lean_ratio(setting, arms)
        equal &= same_map(arms) or setting.device.type != "cpu"
    medians = {name: shown(name, timings) for name in list(ARMS)[1:]}
    target = TARGETS.get(budget.imgsz) if settings[0].device.type == "cpu" else None
    met = target is None or medians["lean"] <= target
    if target is not None:
        print(f"  target: lean at most {target} of the stock CPU time: {'met' if met else 'MISSED'}")
    return met and equal


def run_round(setting: Setting, arms: dict[str, Timed], number: int, order: random.Random) -> None:
    """Run every arm of one candidate once; round 0 is not counted."""
    for name in order.sample(list(ARMS), len(ARMS)):
        gc.collect()
        cpu_s, wall_s, curve = timed(lambda name=name: ARMS[name](setting))
        arms[name].curves.add(tuple(curve))
        label = f"{setting.budget.imgsz} px, {setting.architecture.label}, round {number}, {name:<9}"
        print(f"{label} CPU {cpu_s:6.2f} s   wall {wall_s:6.2f} s", flush=True)
        if number:
            arms[name].cpu.append(cpu_s)
            arms[name].wall.append(wall_s)


def lean_ratio(setting: Setting, arms: dict[str, Timed]) -> None:
    """Print what each arm cost for one candidate, and the lean one's ratio, whole and inside its epochs alone."""
    for name, arm in arms.items():
        cpu_s, wall_s = statistics.median(arm.cpu), statistics.median(arm.wall)
        print(f"    {name:<9} CPU {cpu_s:6.2f} s   wall {wall_s:6.2f} s")
    inside = divided(setting.epochs_cpu_s[1:], arms["stock"].cpu)
    whole = divided(arms["lean"].cpu, arms["stock"].cpu)
    print(f"    lean / stock: CPU {spread(whole)}, what it spends inside its epochs: {spread(inside)}")


def same_map(arms: dict[str, Timed]) -> bool:
    """Whether stock, lean and curve gave one mAP in every epoch that they validated; printed."""
    stock, lean, curve = (arms[name].curves for name in ("stock", "lean", "curve"))
    equal = curve == stock and lean == {maps[-1:] for maps in stock} and len(stock) == 1
    curves = "; ".join(" ".join(f"{value:.6f}" for value in curve) for curve in lean | curve | stock)
    print(f"    map50_95 of stock and lean {'equal, bit for bit' if equal else 'DIFFER'}: {curves}")
    return equal


def divided(ours: list[float], theirs: list[float]) -> list[float]:
    """Paired ratios."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def timed(call: Callable[[], list[float]]) -> tuple[float, float, list[float]]:
    """CPU seconds of the process, wall seconds, and what `call` returns; what it prints is dropped."""
    wall, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        result = call()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def shown(name: str, timings: list[dict[str, Timed]]) -> float:
    """Print an arm's paired ratios over all candidates in CPU and wall time, and return the median of the former."""
    cpu = [ratio for arms in timings for ratio in divided(arms[name].cpu, arms["stock"].cpu)]
    wall = [ratio for arms in timings for ratio in divided(arms[name].wall, arms["stock"].wall)]
    print(f"  {name + ' / stock':<17} CPU {spread(cpu)}   wall {spread(wall)}   {len(cpu)} pairs", flush=True)
    return statistics.median(cpu)


def spread(values: list[float]) -> str:
    """Median and quartiles, e.g. `0.45 [0.44, 0.47]`."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def memory_is_flat(setting: Setting, trials: int) -> bool:
    """Run trials as a search does; print the memory after the third and the last, and whether it grew less than 5 %.

    Another architecture of `gam-small` each time, with its latency measurement, and its weights written.
    """
    scratch, kept = setting.folder / "scratch", setting.folder / "weights"
    kept.mkdir(exist_ok=True)
    given = (setting.detector, setting.baseline, setting.data, setting.device)
    evaluator = TrainingEvaluator(*given, Folders(scratch, kept))
    architectures = [a for a in SearchSpace.load("gam-small", setting.detector).enumerate() if not a.is_baseline]
    sizes = []
    for number in range(trials):
        architecture = architectures[number % len(architectures)]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator.evaluate(architecture, setting.budget, lambda epoch, metrics: None)
        sizes.append(resident_mib())
    early, late = sizes[min(2, trials - 1)], sizes[-1]
    growth = late / early - 1
    print(f"  memory after trial 3: {early:.0f} MiB, after trial {trials}: {late:.0f} MiB, {growth:+.1%}, ", end="")
    print(f"largest {max(sizes):.0f} MiB; target less than {GROWTH:+.0%}: {'met' if growth < GROWTH else 'MISSED'}")
    return growth < GROWTH


def resident_mib() -> float:
    """Resident memory of this process, MiB."""
    import psutil

    return float(psutil.Process().memory_info().rss / 2**20)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--imgsz", type=int, nargs="+", default=list(TARGETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=0, help="trials for the memory figure, 0: none")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--recipe", choices=("stock", "brief"), default="stock", help="by which both arms learn")
    parser.add_argument(
        "--sites", type=int, nargs="+", default=[2, 4, 6, 8], help="GAM after that row, a candidate each"
    )
    parser.add_argument("--fork-epochs", type=int, default=4)
    parser.add_argument("--device", default="cpu", help="cpu, or an index such as 0, where wall time is what counts")
    parser.add_argument("--out", type=Path, default=Path("lean"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

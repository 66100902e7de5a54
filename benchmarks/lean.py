"""Cost of a trial compared with a training that a user would start by hand: paired, interleaved, in one process.

    python benchmarks/lean.py --data bccd/bccd.yaml
    python benchmarks/lean.py --data bccd/bccd.yaml --imgsz 96 --rounds 3 --trials 30

stock     `YOLO("yolov8n-candidate.yaml").load("candidate.pt").train(data=..., epochs=2, imgsz=..., batch=...)`, all
          else at Ultralytics' defaults; with `--recipe brief` it uses the search's recipe (optimiser, learning rates,
          warm-up, mosaic, and one optimiser step per batch).
lean      what a search does for a candidate: graft, build, inherit, audit, train, validate once, with the same recipe.
          Re-estimation of the batch-norm statistics and the higher learning rate of attention are off, since the stock
          path has neither.
curve     the same with every epoch validated, as stopping and the sampler `freeze_thaw` require.
searched  a trial with the search's defaults: its recipe, every epoch validated, both options on; without the latency
          measurement.

Each of `--sites` is a candidate: GAM at rate 4 after that row. All arms start from the same weights (a baseline that
this script trains first, with GAM added) and each epoch from the same random streams. On a CPU, the mAP of stock, lean
and curve must be bit-identical in every epoch that they validate. On a GPU the mAP is only printed, since in mixed
precision an earlier validation can change the result. Each round runs the arms of each candidate in random order. The
results are the medians and quartiles of the ratios arm / stock (smaller is better) over all rounds and candidates, in
CPU time of the process and in wall time, which depends on the load of the machine. The time of the lean arm inside its
epochs (batches, optimiser and its one validation, without building and set-up) is printed as well. There is one torch
thread. The first round is a warm-up for imports, fonts, label caches and the batches that the lean arms keep in memory.
Garbage is collected between the arms. The settings by which gamsearch silences Ultralytics (no network probes, no
integrations) apply to the stock arm as well.

With `--trials N` the search's evaluator then measures and trains N architectures, and the memory of the process (RSS)
after the third and after the last one is compared. The exit code is 1 if a target is missed or mAP differs.
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
from gamsearch.parser.register import quiet_ultralytics
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.baseline import read_baseline, start_model, train_baseline
from gamsearch.training.dataset import DataSet
from gamsearch.training.evaluator import TrainingEvaluator
from gamsearch.training.recipe import SHORT_TRAINING, arguments
from gamsearch.training.setup import Folders
from gamsearch.training.streams import start_streams
from gamsearch.training.trainer import LeanTrainer

TARGETS = {96: 0.5, 160: 0.7}
GROWTH = 0.05


@dataclass(frozen=True)
class Setting:
    """A candidate and the settings that its arms share."""

    detector: Detector
    baseline: Any
    architecture: Architecture
    data: Path
    budget: TrialBudget
    folder: Path
    recipe: dict[str, Any]
    device: torch.device
    epochs_cpu_s: list[float] = field(default_factory=list)
    """CPU seconds of each lean trial from the first batch of an epoch to the end of its validation, over all epochs."""

    def candidate(self) -> Candidate:
        return build_candidate(self.detector, self.architecture, self.baseline, self.budget.imgsz, self.budget.seed)


def stock(setting: Setting) -> list[float]:
    """Train as a user would by hand; returns the unrounded map50_95 of every epoch."""
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
        **setting.recipe,
    )
    return maps[: budget.epochs]  # the last value is from the final validation, of the half-precision checkpoint


def lean(setting: Setting) -> list[float]:
    """The same training by the path of the search, validated once."""
    return _trained(setting, setting.candidate(), curve=False, watch=setting.epochs_cpu_s, reestimate=False)


def curve(setting: Setting) -> list[float]:
    """The same with every epoch validated."""
    return _trained(setting, setting.candidate(), reestimate=False)


def searched(setting: Setting) -> list[float]:
    """A trial with the features that the stock path lacks: re-estimated statistics, a learning rate for attention."""
    candidate = setting.candidate()
    short = replace(setting, recipe=searched_recipe(setting.budget.batch))
    return _trained(short, candidate, fresh=fresh_parameters(candidate))


def _trained(
    setting: Setting, candidate: Candidate, curve: bool = True, watch: list[float] | None = None, **options: Any
) -> list[float]:
    maps: list[float] = []
    starts: list[float] = []
    ends: list[float] = []

    def note(epoch: int, results: dict[str, float]) -> None:
        if results:
            maps.append(float(trainer.validator.metrics.box.map))

    recipe = {**stock_defaults("nbs", "mosaic", "close_mosaic"), **setting.recipe}
    budget = replace(setting.budget, curve=curve)
    given = arguments(recipe, budget, setting.data, setting.device, setting.folder / "scratch", {})
    trainer = LeanTrainer(candidate.model, given, note, resumable=True, **options)
    trainer.add_callback("on_train_epoch_start", lambda _: starts.append(time.process_time()))
    trainer.add_callback("on_fit_epoch_end", lambda _: ends.append(time.process_time()))
    trainer.train()
    trainer.close()
    if watch is not None:
        watch.append(sum(end - start for start, end in zip(starts, ends, strict=True)))
    return maps


def searched_recipe(batch: int) -> dict[str, Any]:
    """The recipe of the search's short training."""
    return {**SHORT_TRAINING, "mosaic": 0.0, "close_mosaic": 0, "nbs": batch}


def stock_defaults(*names: str) -> dict[str, Any]:
    """Ultralytics' defaults of settings for which gamsearch has its own."""
    from ultralytics.cfg import DEFAULT_CFG_DICT

    return {name: DEFAULT_CFG_DICT[name] for name in names}


ARMS: dict[str, Callable[[Setting], list[float]]] = {"stock": stock, "lean": lean, "curve": curve, "searched": searched}


def main() -> int:
    """Compare at every image size, then measure the memory."""
    options = read_options()
    quiet_ultralytics()
    torch.set_num_threads(1)
    missed = [not compared(prepared(options, imgsz), options.rounds) for imgsz in options.imgsz]
    if options.trials:
        missed.append(not memory_is_flat(prepared(options, options.imgsz[0])[0], options.trials))
    return int(any(missed))


def prepared(options: argparse.Namespace, imgsz: int) -> list[Setting]:
    """Train the baseline for this image size and write the candidates from which the stock arm starts."""
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
    recipe = searched_recipe(options.batch) if options.recipe == "brief" else {}
    budget, baseline = TrialBudget(options.epochs, imgsz, options.batch), read_baseline(path)
    settings = []
    for site in options.sites:
        architecture = Architecture.of("yolov8n", [Placement(site, "GAM", (("rate", 4),))])
        subfolder = (folder / f"after-{site}").resolve()
        setting = Setting(detector, baseline, architecture, data.yaml.resolve(), budget, subfolder, recipe, device)
        model = setting.candidate().model
        subfolder.mkdir(exist_ok=True)
        (subfolder / "yolov8n-candidate.yaml").write_text(yaml.safe_dump(model.yaml), encoding="utf-8")
        torch.save(
            {"model": model, "train_args": {"task": "detect"}}, subfolder / "candidate.pt"
        )  # fp32: the same weights
        settings.append(setting)
    return settings


@dataclass
class Timed:
    """Times of one arm for one candidate, one value per counted round, and the mAP curves of all rounds."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    curves: set[tuple[float, ...]] = field(default_factory=set)


def compared(settings: list[Setting], rounds: int) -> bool:
    """Run the rounds and print the ratios; returns whether the target is met at equal mAP."""
    timings = [{name: Timed() for name in ARMS} for _ in settings]
    order = random.Random(0)
    for number in range(rounds + 1):
        for setting, arms in zip(settings, timings, strict=True):
            run_round(setting, arms, number, order)
    budget = settings[0].budget
    recipe = "the search's recipe" if settings[0].recipe else "Ultralytics' defaults"
    print(f"{budget.imgsz} px, {budget.epochs} epochs, batch {budget.batch}, {recipe}")
    equal = True
    for setting, arms in zip(settings, timings, strict=True):
        print(f"  {setting.architecture.label}")
        lean_ratio(setting, arms)
        equal &= same_map(arms) or setting.device.type != "cpu"
    medians = {name: print_ratios(name, timings) for name in list(ARMS)[1:]}
    target = TARGETS.get(budget.imgsz) if settings[0].device.type == "cpu" else None
    met = target is None or medians["lean"] <= target
    if target is not None:
        print(f"  target: lean at most {target} of the stock CPU time: {'met' if met else 'MISSED'}")
    return met and equal


def run_round(setting: Setting, arms: dict[str, Timed], number: int, order: random.Random) -> None:
    """Run every arm of one candidate once; round 0 is a warm-up."""
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
    """Print the times of each arm for one candidate, and the ratio of the lean arm in total and inside its epochs."""
    for name, arm in arms.items():
        cpu_s, wall_s = statistics.median(arm.cpu), statistics.median(arm.wall)
        print(f"    {name:<9} CPU {cpu_s:6.2f} s   wall {wall_s:6.2f} s")
    inside = divided(setting.epochs_cpu_s[1:], arms["stock"].cpu)
    whole = divided(arms["lean"].cpu, arms["stock"].cpu)
    print(f"    lean / stock: CPU {spread(whole)}, inside its epochs: {spread(inside)}")


def same_map(arms: dict[str, Timed]) -> bool:
    """Print and return whether stock, lean and curve have the same mAP in every epoch that they validated."""
    stock, lean, curve = (arms[name].curves for name in ("stock", "lean", "curve"))
    equal = curve == stock and lean == {maps[-1:] for maps in stock} and len(stock) == 1
    curves = "; ".join(" ".join(f"{value:.6f}" for value in curve) for curve in lean | curve | stock)
    print(f"    map50_95 of stock and lean {'bit-identical' if equal else 'DIFFER'}: {curves}")
    return equal


def divided(times: list[float], reference: list[float]) -> list[float]:
    """Paired ratios."""
    return [a / b for a, b in zip(times, reference, strict=True)]


def timed(call: Callable[[], list[float]]) -> tuple[float, float, list[float]]:
    """CPU seconds of the process, wall seconds, and the result of `call`, whose output is discarded."""
    wall, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        result = call()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def print_ratios(name: str, timings: list[dict[str, Timed]]) -> float:
    """Print the paired ratios of an arm over all candidates; returns the median in CPU time."""
    cpu = [ratio for arms in timings for ratio in divided(arms[name].cpu, arms["stock"].cpu)]
    wall = [ratio for arms in timings for ratio in divided(arms[name].wall, arms["stock"].wall)]
    print(f"  {name + ' / stock':<17} CPU {spread(cpu)}   wall {spread(wall)}   {len(cpu)} pairs", flush=True)
    return statistics.median(cpu)


def spread(values: list[float]) -> str:
    """Median and quartiles, e.g. `0.45 [0.44, 0.47]`."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def memory_is_flat(setting: Setting, trials: int) -> bool:
    """Run trials as a search does and print the memory after the third and the last; returns whether growth is < 5 %.

    Each trial has another architecture of `gam-small`, measures its latency and writes its weights.
    """
    scratch, kept = setting.folder / "scratch", setting.folder / "weights"
    kept.mkdir(exist_ok=True)
    inputs = (setting.detector, setting.baseline, setting.data, setting.device)
    evaluator = TrainingEvaluator(*inputs, Folders(scratch, kept))
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
    print(f"largest {max(sizes):.0f} MiB; target below {GROWTH:+.0%}: {'met' if growth < GROWTH else 'MISSED'}")
    return growth < GROWTH


def resident_mib() -> float:
    """Resident memory of this process in MiB."""
    import psutil

    return float(psutil.Process().memory_info().rss / 2**20)


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--imgsz", type=int, nargs="+", default=list(TARGETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=0, help="trials for the memory test (default: none)")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--recipe",
        choices=("stock", "brief"),
        default="stock",
        help="of both arms; brief is that of the search's short training",
    )
    parser.add_argument(
        "--sites", type=int, nargs="+", default=[2, 4, 6, 8], help="rows after which GAM is placed, one candidate each"
    )
    parser.add_argument("--fork-epochs", type=int, default=4)
    parser.add_argument(
        "--device", default="cpu", help="cpu, or an index such as 0, for which wall time is the one to read"
    )
    parser.add_argument("--out", type=Path, default=Path("lean"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Short trainings from a fork at several learning rates, for the baseline and a few placements.

    python benchmarks/recipe.py --data bccd/bccd.yaml --lr0 0.0003 0.001 0.002 0.003 --seeds 0 1

Prints one line per training: fork, learning rate, seed, architecture, map50_95 of every epoch. The fork is a baseline
that this script trains first (`--fork-epochs`; with `--fork-lrf 1` its learning rate is constant).
"""

import argparse
from pathlib import Path

import torch

from gamsearch.architecture import Architecture, Placement
from gamsearch.evaluation import TrialBudget
from gamsearch.parser.register import quiet_ultralytics
from gamsearch.space.detector import Detector
from gamsearch.training.baseline import read_baseline, start_model, train_baseline
from gamsearch.training.dataset import DataSet
from gamsearch.training.evaluator import TrainingEvaluator
from gamsearch.training.setup import Folders, Recipe

SITES = {"baseline": (), "GAM@4": (4,), "GAM@9": (9,), "GAM@15+18+21": (15, 18, 21)}
CPU = torch.device("cpu")


def main() -> None:
    """Train the fork, then every architecture at every learning rate and seed."""
    options = read_options()
    quiet_ultralytics()
    detector, data = Detector.load("yolov8n"), DataSet.read(options.data)
    path = train_baseline(
        start_model(detector, None, data.names, seed=0),
        TrialBudget(options.fork_epochs, options.imgsz, options.batch),
        data.yaml.resolve(),
        CPU,
        options.out / f"fork-{options.fork_epochs}-{options.fork_lrf}",
        from_scratch=True,
        user_arguments={"lrf": options.fork_lrf},
    )
    for lr0 in options.lr0:
        arguments = {"lr0": lr0, "lrf": options.lrf}
        evaluator = TrainingEvaluator(
            detector,
            read_baseline(path),
            data.yaml.resolve(),
            CPU,
            Folders(options.out / "scratch"),
            Recipe(user=arguments),
        )
        for seed in options.seeds:
            for name, sites in SITES.items():
                placements = [Placement(site, "GAM", (("rate", 4),)) for site in sites]
                budget = TrialBudget(options.epochs, options.imgsz, options.batch, seed)
                curve = evaluator.evaluate(Architecture.of("yolov8n", placements), budget, lambda e, m: None).curve
                figures = " ".join(f"{epoch['map50_95']:.4f}" for epoch in curve)
                print(f"{path.parent.name}  lr0 {lr0}  seed {seed}  {name:<13} {figures}", flush=True)


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--lr0", type=float, nargs="+", default=[0.001])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--fork-epochs", type=int, default=25)
    parser.add_argument(
        "--lrf", type=float, default=1.0, help="final learning rate after the fork, relative to the first"
    )
    parser.add_argument("--fork-lrf", type=float, default=0.01)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("recipe"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

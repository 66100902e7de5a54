"""What shared networks say of a planted world, against what is known of it.

    python benchmarks/screening.py planted-v1 --epochs 10 --seeds 0 1 --out screening
    python benchmarks/scores.py results/tables/planted.json --scores screening/planted/scores-10-0-1.json

Trains one network for each seed from the baseline that `record_table.py world` forks, measures every architecture in
each, prints the gain of every placement with its interval, the answer, and the seconds of CPU, and writes the predicted
gains as scores for `scores.py`. Their cost is that of the trainings, and the epochs that could have been trained while
architectures were measured. Networks and readings are kept in `--out`: the same command resumes.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from record_table import Fork, fork_of, world_options

from gamsearch.evaluation import TrialBudget
from gamsearch.strategy.screening import Screening
from gamsearch.strategy.shared_effects import Reading
from gamsearch.supernet.trainer import TrainedNetwork


def readings_of(fork: Fork, budget: TrialBudget, folder: Path) -> tuple[list[Reading], dict[str, float]]:
    """Train a network and measure every architecture of the space in it; return also the seconds of CPU of each."""
    kept = folder / "readings.json"
    architectures = list(fork.space.enumerate())
    if not kept.exists():
        network = TrainedNetwork(fork.space, fork.baseline, fork.data, torch.device("cpu"), folder, fork.user)
        began = time.process_time()
        network.train(budget)
        trained = time.process_time()
        values = {a.key: network.measure(a, budget)["map50_95"] for a in architectures}
        spent = {"train": trained - began, "measure": time.process_time() - trained}
        network.close()
        kept.write_text(json.dumps({"values": values, "seconds": spent}))
    content = json.loads(kept.read_text())
    return [Reading(budget.seed, a, content["values"][a.key]) for a in architectures], content["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a world of planted.py, with -modules or -sites for another space")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--attention-lr", type=float, help="learning rate of attention relative to the others, not 30")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    recording = world_options(argparse.Namespace(name=options.name, epochs=50, seeds=[0, 1], out=options.out))
    fork, readings, seconds = fork_of(recording), [], []
    kind = f"{options.epochs}"
    if options.attention_lr:
        kind, user = f"{options.epochs}-lr{options.attention_lr:g}", {"attention_lr": options.attention_lr}
        fork = replace(fork, user={**fork.user, **user})
    for seed in options.seeds:
        budget = TrialBudget(options.epochs, recording.imgsz, recording.batch, seed)
        found, spent = readings_of(fork, budget, recording.out / f"network-{kind}-{seed}")
        readings, seconds = [*readings, *found], [*seconds, spent]
        print(f"seed {seed}: {spent['train']:.0f} s of CPU to train, {spent['measure']:.0f} s to measure", flush=True)
    screening = Screening(fork.space, readings)
    for effect in screening.effects:
        interval = f"{effect.gain:+.4f} +- {effect.half_width:.4f}"
        print(f"row {effect.site} {effect.option:<12} {interval}{'  pays' if effect.pays else ''}")
    print(screening.sentence)
    architectures = list(fork.space.enumerate())
    gains = dict(zip([a.key for a in architectures], screening.gains(architectures), strict=True))
    scores = recording.out / f"scores-{kind}-{'-'.join(map(str, options.seeds))}.json"
    cost = sum(options.epochs * (1 + spent["measure"] / spent["train"]) for spent in seconds)
    scores.write_text(json.dumps({**gains, "epochs": round(cost)}))
    print(f"scores: {scores}, {cost:.0f} epochs all in")


if __name__ == "__main__":
    main()

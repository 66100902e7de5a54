"""Record a replay table: long trainings of every architecture of a small space, paired by seed, epoch by epoch.

    python benchmarks/record_table.py world planted-v1
    python benchmarks/record_table.py record --data bccd/bccd.yaml --space gam-small --epochs 20 --seeds 0 1 --out table
    python benchmarks/record_table.py assemble --out table --to results/tables/bccd.json

`record` trains a baseline for `--fork-epochs`, forks every architecture from it and trains each at every seed with a
constant learning rate, so that the first epochs of a long training are a short training. It writes one file per
training, so it can be interrupted and resumed, and processes with different `--seeds` can share a folder. `assemble`
joins the finished trainings into the JSON that `run --evaluator replay --table` searches; architectures that lack a
seed are left out. `world` does both for a data set of planted.py, in the settings of `results/tables/planted.json`; the
same command resumes it. With `-modules` or `-sites` after the name it records the space planted-modules.yaml or
planted-sites.yaml.
"""

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from planted import WORLDS, make_planted

from gamsearch.architecture import Architecture
from gamsearch.evaluation import TrialBudget
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.tasks import DETECT

CONSTANT = {"lrf": 1.0}
PLANTED = (
    "--fork-epochs 40 --fork-batch 8 --fork-train lr0=0.005 --imgsz 96 --batch 8 --train lr0=0.001 workers=0 "
    "--fresh-lr-factor 30"
)
"""Settings of the tables of all planted worlds."""
SPACES = {"": "planted", "-modules": "benchmarks/planted-modules.yaml", "-sites": "benchmarks/planted-sites.yaml"}
"""The space of a world by what follows its name."""


def record_world(options: argparse.Namespace) -> None:
    """Record a world and assemble its table."""
    recording = world_options(options)
    record(recording)
    assemble(argparse.Namespace(out=recording.out, to=options.to / f"{options.name}.json"))


def world_options(options: argparse.Namespace) -> argparse.Namespace:
    """The options of `record` for a world."""
    suffix = next(suffix for suffix in reversed(SPACES) if options.name.endswith(suffix))
    world = options.name.removesuffix(suffix)
    chosen = ["--data", world, "--space", SPACES[suffix], "--out", str(options.out / options.name)]
    repeated = ["--epochs", str(options.epochs), "--seeds", *map(str, options.seeds)]
    return read_options(["record", *chosen, *repeated, *PLANTED.split()])


@dataclass(frozen=True)
class Fork:
    """What the trainings of a table have in common.

    Attributes:
        space: The space.
        baseline: The trained baseline.
        data: The data YAML.
        user: Ultralytics training arguments, that of attention included.
    """

    space: SearchSpace
    baseline: Any
    data: Path
    user: dict[str, Any]


def fork_of(options: argparse.Namespace) -> Fork:
    """Record the settings of a table, make the data of a world, and train the baseline unless it is there."""
    import torch

    from gamsearch.parser.register import quiet_ultralytics
    from gamsearch.runs.demo import AUGMENTATION
    from gamsearch.training.baseline import read_baseline, start_model, train_baseline
    from gamsearch.training.dataset import DataSet
    from gamsearch.training.recipe import parse_overrides

    quiet_ultralytics()
    space = SearchSpace.load(options.space, Detector.load(options.model) if options.model else None)
    detector, user = space.detector, {**CONSTANT, **parse_overrides(options.train)}
    if options.data in WORLDS:
        options.data = str(make_planted(options.out / "data", world=options.data))
        user = {**AUGMENTATION, **user}
    data = DataSet.read(options.data)
    fork = {**user, **parse_overrides(options.fork_train)}
    head = {
        "detector": detector.name,
        "space": options.space,
        "data": data.summary,
        "data_fingerprint": data.fingerprint,
        "imgsz": options.imgsz,
        "batch": options.batch,
        "fork_epochs": options.fork_epochs,
        "epochs": options.epochs,
        "train": user,
        "fresh_lr_factor": options.fresh_lr_factor,
        **({"fork_train": fork} if fork != user else {}),
    }
    _keep(options.out / "table.json", head)
    with FileLock(options.out / "fork.lock"):  # another process may be training it
        path = train_baseline(
            start_model(detector, None, data.names, seed=0),
            TrialBudget(options.fork_epochs, options.imgsz, options.fork_batch),
            data.yaml.resolve(),
            torch.device(options.device),
            options.out / "fork",
            from_scratch=True,
            user_arguments=fork,
            on_epoch=lambda epoch, results: print(f"baseline epoch {epoch} {_trained(results)}", flush=True),
        )
    user = {**user, "attention_lr": options.fresh_lr_factor}
    return Fork(space, read_baseline(path), data.yaml.resolve(), user)


def record(options: argparse.Namespace) -> None:
    """Train all architectures that have no file yet: the baseline first, then the others in a fixed random order."""
    import torch

    from gamsearch.training.evaluator import TrainingEvaluator
    from gamsearch.training.setup import Folders, Recipe

    fork, scratch = fork_of(options), options.out / f"scratch-{'-'.join(map(str, options.seeds))}"
    evaluator = TrainingEvaluator(
        fork.space.detector,
        fork.baseline,
        fork.data,
        torch.device(options.device),
        Folders(scratch),
        Recipe(user=fork.user),
    )
    files = options.out / "trainings"
    todo = [
        (architecture, seed, file)
        for architecture in _in_order(fork.space)
        for seed in options.seeds
        if not (file := files / f"{architecture.key}-seed{seed}.json").exists()
    ]
    for number, (architecture, seed, file) in enumerate(todo, 1):
        budget = TrialBudget(options.epochs, options.imgsz, options.batch, seed)
        measured = evaluator.evaluate(architecture, budget, lambda epoch, metrics: None)
        _keep(file, {"architecture": architecture.to_dict(), "seed": seed, **measured.to_dict()})
        seconds, last = measured.provenance["seconds"], measured.metrics["map50_95"]
        left = f"about {seconds * (len(todo) - number) / 3600:.1f} h left"
        done = f"{number} of {len(todo)}  {architecture.label:<26} seed {seed}"
        print(f"{done}  {last:.4f}  {seconds:.0f} s, {left}", flush=True)


def _in_order(space: SearchSpace) -> list[Architecture]:
    """The baseline, then all others in a random order that is the same at every start."""
    rest = [a for a in space.enumerate() if not a.is_baseline]
    random.Random(0).shuffle(rest)
    return [space.baseline, *rest]


def _trained(results: dict[str, float]) -> dict[str, float]:
    """The metrics of an epoch of a detector; empty if it was not validated."""
    validated = "metrics/mAP50-95(B)" in results
    return {m.name: round(m.compute(results), 4) for m in DETECT.trained_metrics if validated}


def _keep(file: Path, content: dict[str, Any]) -> None:
    """Write a file atomically; an existing one must have the same content."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content)
    if file.exists():
        if json.loads(file.read_text()) != json.loads(text):
            raise SystemExit(f"{file} was recorded with other settings; choose another --out")
        return
    partial = file.with_suffix(f".partial{random.getrandbits(32)}")
    partial.write_text(text)
    partial.replace(file)


def assemble(options: argparse.Namespace) -> None:
    """Join the trainings in `--out` into one table and print its size."""
    trainings = [json.loads(file.read_text()) for file in sorted((options.out / "trainings").glob("*.json"))]
    seeds = sorted({training["seed"] for training in trainings})
    rows: dict[str, dict[str, Any]] = {}
    for training in trainings:
        key = Architecture.from_dict(training["architecture"]).key
        row = rows.setdefault(key, {"architecture": training["architecture"], "built": [], "curves": {}, "seconds": []})
        row["built"].append({k: v for k, v in training["metrics"].items() if k not in ("map50", "map50_95")})
        row["curves"][str(training["seed"])] = [
            {"epoch": e["epoch"], "map50_95": round(e["map50_95"], 5), "map50": round(e["map50"], 5)}
            for e in training["curve"]
        ]
        row["seconds"].append(training["provenance"]["seconds"])
    whole = {key: row for key, row in rows.items() if len(row["curves"]) == len(seeds)}
    table = json.loads((options.out / "table.json").read_text())
    table["seeds"] = seeds
    table["rows"] = _at_one_reference([_row(row, table["epochs"]) for _, row in sorted(whole.items())])
    options.to.parent.mkdir(parents=True, exist_ok=True)
    options.to.write_text(
        json.dumps(table, indent=None, separators=(",", ":")).replace('{"architecture"', '\n{"architecture"') + "\n"
    )
    print(f"{options.to}: {len(whole)} architectures at seeds {seeds}, {table['epochs']} epochs each")


def _at_one_reference(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Latencies as ratio times the baseline's milliseconds, since each recording process had its own reference."""
    reference = next(r["metrics"] for r in rows if not r["architecture"]["placements"])["latency_ms"]
    for row in rows:
        ratio = row["metrics"]["latency_ratio"] if row["architecture"]["placements"] else 1.0
        row["metrics"] |= {"latency_ratio": ratio, "latency_ms": float(f"{ratio * reference:.6g}")}
    return rows


def _row(row: dict[str, Any], epochs: int) -> dict[str, Any]:
    """One row of the table: medians of the built metrics, mean seconds per epoch, and the curves."""
    names = row["built"][0]
    middle = {name: sorted(built[name] for built in row["built"])[len(row["built"]) // 2] for name in names}
    metrics = {name: float(f"{value:.6g}") for name, value in middle.items()}
    seconds = round(sum(row["seconds"]) / len(row["seconds"]) / epochs, 2)
    return {
        "architecture": row["architecture"],
        "metrics": metrics,
        "seconds_per_epoch": seconds,
        "curves": row["curves"],
    }


def main() -> None:
    options = read_options()
    options.action(options)


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(required=True)
    _add_world(actions.add_parser("world"))
    recording = actions.add_parser("record")
    recording.add_argument(
        "--data", required=True, help=f"a data YAML, or a data set of planted.py: {', '.join(WORLDS)}"
    )
    recording.add_argument("--model", help="default: the space's")
    recording.add_argument("--space", default="gam-small")
    recording.add_argument("--fork-epochs", type=int, default=10)
    recording.add_argument("--fork-batch", type=int, default=8)
    recording.add_argument("--epochs", type=int, default=20)
    recording.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    recording.add_argument("--imgsz", type=int, default=96)
    recording.add_argument("--batch", type=int, default=16)
    recording.add_argument("--device", default="cpu")
    recording.add_argument("--train", nargs="*", default=[], metavar="KEY=VALUE")
    recording.add_argument(
        "--fresh-lr-factor", type=float, default=3.0, help="learning rate of attention relative to the others"
    )
    recording.add_argument(
        "--fork-train", nargs="*", default=[], metavar="KEY=VALUE", help="arguments of the baseline only"
    )
    recording.add_argument("--out", type=Path, required=True)
    recording.set_defaults(action=record)
    assembling = actions.add_parser("assemble")
    assembling.add_argument("--out", type=Path, required=True)
    assembling.add_argument("--to", type=Path, required=True)
    assembling.set_defaults(action=assemble)
    return parser.parse_args(arguments)


def _add_world(parser: argparse.ArgumentParser) -> None:
    """The options of `world`."""
    names = [name + suffix for suffix in SPACES for name in WORLDS]
    also = " or ".join(filter(None, SPACES))
    parser.add_argument("name", choices=names, metavar="NAME", help=f"{', '.join(WORLDS)}, each also with {also}")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, default=Path("recordings"), help="folder of the trainings")
    parser.add_argument("--to", type=Path, default=Path("results/tables"), help="folder of the table")
    parser.set_defaults(action=record_world)


if __name__ == "__main__":
    main()

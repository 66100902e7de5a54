"""Baselines of a given number of epochs and of `auto`: epochs, map50_95 at their end, and CPU time.

    python benchmarks/baseline.py --data bccd/bccd.yaml --epochs 25 auto --seeds 0

Prints one line per training. A folder of `--out` that holds a finished training is not trained again.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from gamsearch.parser.register import quiet_ultralytics
from gamsearch.runs.baseline_stage import budget_of
from gamsearch.runs.settings import Settings
from gamsearch.training.baseline import read_model, start_model, train_baseline, validated
from gamsearch.training.dataset import DataSet

CPU = torch.device("cpu")


def main() -> None:
    """Train every baseline."""
    options = read_options()
    quiet_ultralytics()
    data, (detector, weights) = DataSet.read(options.data), read_model(options.model)
    for seed in options.seeds:
        for length in options.epochs:
            sizes = {"imgsz": options.imgsz, "batch": options.batch, "seed": seed}
            settings = Settings(baseline_epochs=length if length == "auto" else int(length), **sizes)
            out = options.out / f"{data.yaml.stem}-{Path(options.model).stem}-{length}-{seed}"
            curve, begun = [], time.process_time()

            def on_epoch(epoch: int, results: dict[str, float], curve: list = curve) -> None:
                if validated(results):
                    curve.append((epoch, round(results["metrics/mAP50-95(B)"], 4)))

            train_baseline(
                start_model(detector, weights, data.names, seed),
                budget_of(settings, weights is None, {}),
                data.yaml.resolve(),
                CPU,
                out,
                from_scratch=weights is None,
                user_arguments={"workers": 0},
                on_epoch=on_epoch,
            )
            if curve:
                facts = {"curve": curve, "cpu_s": round(time.process_time() - begun)}
                (out / "curve.json").write_text(json.dumps(facts), encoding="utf-8")
            facts = json.loads((out / "curve.json").read_text(encoding="utf-8"))
            epoch, reached = facts["curve"][-1]
            print(f"{out.name}: {epoch} epochs, map50_95 {reached:.4f}, {facts['cpu_s']} CPU s", flush=True)


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="yolov8n.yaml")
    parser.add_argument("--epochs", nargs="+", default=["25", "auto"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--imgsz", type=int, default=96)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("baselines"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

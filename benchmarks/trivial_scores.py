"""How well scores that measure nothing rank the architectures of a replay table, as a control for every other ranking.

    python benchmarks/trivial_scores.py results/tables/planted.json
    python benchmarks/trivial_scores.py results/tables/bccd.json --last 5

score      the number of modules, or the added latency, both of which are known before training
tau        Kendall's tau-b against the long gain (mean over seeds), with a 95 % bootstrap interval over architectures
sites      the same over pairs with equally many modules at different sites only; a tie counts 0
epochs     spent on complete trainings until they hold 80 % and 95 % of the true hypervolume: median over 20 random
           orders of equal scores, with a 95 % bootstrap interval. The next architecture is always the one that would
           add most hypervolume if its score were its gain.

A method that does not beat both scores has not been shown to learn anything from training. Nothing is trained.
"""

import argparse
import random
import sys
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from ranking import Gains, tau
from summary import LEVELS, interval, middle
from truth import OBJECTIVES, Truth, baseline_row

from gamsearch.analysis import pareto
from gamsearch.architecture import Architecture
from gamsearch.errors import GamsearchError
from gamsearch.training.replay import ReplayTable

ORDERS = 20
TIE = 1e-12

Scores = Mapping[str, float]


def scores_of(table: ReplayTable, keys: tuple[str, ...]) -> dict[str, Scores]:
    """The trivial scores of architectures; larger is supposed to be better."""
    stock = float(baseline_row(table)["metrics"]["latency_ms"])
    forms = {key: Architecture.from_dict(table.rows[key]["architecture"]) for key in keys}
    return {
        "number of modules": {key: float(len(form.placements)) for key, form in forms.items()},
        "added latency": {key: float(table.rows[key]["metrics"]["latency_ms"]) - stock for key in keys},
    }


def sites_agreement(table: ReplayTable, score: Scores, gains: Scores) -> float:
    """Concordant minus discordant pairs, as a share of the pairs with equally many modules at different sites."""
    sites = {
        key: tuple(p.site for p in Architecture.from_dict(table.rows[key]["architecture"]).placements) for key in gains
    }
    pairs = [(a, b) for a, b in combinations(gains, 2) if len(sites[a]) == len(sites[b]) and sites[a] != sites[b]]
    signs = [np.sign(score[a] - score[b]) * np.sign(gains[a] - gains[b]) for a, b in pairs]
    return float(np.mean(signs)) if signs else 0.0


def greedy_order(truth: Truth, score: Scores, seed: int) -> list[str]:
    """The architectures, each the one that adds most hypervolume to those before it; `seed` breaks ties."""
    rest, order, found = list(score), list[str](), 0.0
    random.Random(seed).shuffle(rest)

    def volume(keys: list[str]) -> float:
        points = [(score[key], truth.ratios[key]) for key in keys]
        return pareto.hypervolume(points, truth.reference_point, OBJECTIVES)

    while rest:
        volumes = {key: volume([*order, key]) for key in rest}
        best = max(rest, key=lambda key: volumes[key])
        if volumes[best] <= found * (1 + TIE):  # nothing adds anything: the order of the shuffle
            return [*order, *rest]
        found = volumes[best]
        order.append(best)
        rest.remove(best)
    return order


def epochs_to(truth: Truth, orders: list[list[str]], level: float, epochs: int) -> tuple[float, float, float]:
    """Median and interval of the epochs until complete trainings in these orders have found `level` of the volume."""
    spent = [next(n for n in range(1, len(order) + 1) if truth.share(order[:n]) >= level) * epochs for order in orders]
    return float(middle(np.array(spent))), *interval(middle, np.array(spent))


def rows(table: ReplayTable, last: int = 1) -> list[dict[str, Any]]:
    """One row per score: `score`, `tau` (with `low` and `high`), `sites`, `epochs` (median and interval by level)."""
    found = Gains.of(table)
    gains = found.settled(last).mean(axis=1)
    by_key = dict(zip(found.keys, map(float, gains), strict=True))
    truth = Truth.of(table)
    result = []
    for name, score in scores_of(table, found.keys).items():
        orders = [greedy_order(truth, score, seed) for seed in range(ORDERS)]
        ranked = tau([(np.array([score[key] for key in found.keys]), gains)], np.random.default_rng(0))
        spent = {level: epochs_to(truth, orders, level, table.epochs) for level in LEVELS}
        result.append({"score": name, **ranked, "sites": sites_agreement(table, score, by_key), "epochs": spent})
    return result


def markdown(found: list[dict[str, Any]]) -> str:
    """One line per score."""
    lines = ["| score | tau | sites | epochs to 80 % | epochs to 95 % |", "|---|--:|--:|--:|--:|"]
    for row in found:
        interval = f"[{row['low']:.2f}, {row['high']:.2f}]"
        spent = " | ".join(f"{mid:.0f} [{low:.0f}, {high:.0f}]" for mid, low, high in row["epochs"].values())
        lines.append(f"| {row['score']} | {row['tau']:.2f} {interval} | {row['sites']:.2f} | {spent} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--last", type=int, default=1, help="last epochs over which the long gain is averaged")
    options = parser.parse_args()
    try:
        for path in options.tables:
            table = ReplayTable.read(path)
            print(f"\n{path.stem}: {len(table.rows) - 1} architectures\n\n{markdown(rows(table, options.last))}")
    except GamsearchError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

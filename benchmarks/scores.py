"""What scores are worth on a recorded table, beginning with those that measure nothing.

    python benchmarks/scores.py results/tables/planted.json
    python benchmarks/scores.py results/tables/planted.json --scores results/forks/graded/constant.json mine.json
    python benchmarks/scores.py results/tables/bccd.json --last 5

A file of scores is JSON, `{"architecture key": score, ...}` with one score for every architecture of the table; larger
is better, and the baseline has 0 if it is not among them. An entry `"epochs"` is what the scores cost. A recorded table
of short trainings can be given as well: it stands for two scores at each of its seeds, the gain after its last epoch,
and gains added up from five of its trainings (baseline, each site alone, all sites at once).

cost       epochs
tau        Kendall's tau-b against the long gain (mean over seeds)
sites      share of concordant pairs among architectures of equally many modules at different sites. A tie counts one
           half, so 1 is the right order, 0.5 a coin or a constant, 0 the reverse. (Concordant minus discordant pairs is
           twice this minus 1: 0.7 there is 0.85 here.)
front      true hypervolume of the front that the score would recommend, as a share of that of the table, and the number
           of architectures on it. Recommending everything gets 1.00, so the number matters.
epochs     until complete trainings hold 95 % of the true hypervolume, cost included. The next architecture is always
           the one that would add most hypervolume if its score were its gain.

Intervals are 95 % bootstrap intervals over architectures; those of epochs over 20 random orders of equal scores. A
method that does not beat the first three lines has not been shown to learn anything from training. Nothing is trained.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from agreement import Interval, cell, resampled, sites_gate, tau
from orders import Scores, chosen_trainings, greedy_order
from ranking import Gains
from summary import interval, middle
from truth import LEVEL, Truth, baseline_row, trivial_scores

from gamsearch.architecture import Architecture
from gamsearch.errors import GamsearchError, RunError
from gamsearch.files import UnreadableError, read_json
from gamsearch.training.replay import ReplayTable

ORDERS = 20
EPOCHS = "epochs"

Costed = dict[str, tuple[Scores, int]]
"""Scores and their cost in epochs, by name."""


def read_scores(path: Path) -> Costed:
    """The scores in a file, or those that a table of short trainings stands for; `RunError` if they do not fit."""
    try:
        content = read_json(path)
    except (OSError, UnreadableError) as error:
        raise RunError(
            f"the scores {path} cannot be read ({error}); give JSON with a score by architecture key"
        ) from error
    if isinstance(content, dict) and "rows" in content:
        return _short_trainings(path.stem, ReplayTable.read(path))
    if not isinstance(content, dict) or any(type(value) not in (int, float) for value in content.values()):
        raise RunError(f"{path} holds no scores: it needs JSON with one number by architecture key")
    return {path.stem: (content, int(content.pop(EPOCHS, 0)))}


def _short_trainings(name: str, short: ReplayTable) -> Costed:
    """Gains after the last epoch at each seed, and those added up from five trainings."""
    found, costed = Gains.of(short), Costed()
    for number, seed in enumerate(short.seeds):
        gains = dict(zip(found.keys, map(float, found.values[:, number, -1]), strict=True))
        costed[f"{name}, all, seed {seed}"] = gains, short.epochs * len(short.rows)
        costed[f"{name}, chosen, seed {seed}"] = chosen_trainings(short, seed, short.epochs)
    return costed


def gains_by(score: Scores, name: str, table: ReplayTable, truth: Truth) -> dict[str, float]:
    """The score of every architecture minus that of the baseline, if it has one; `RunError` if some are missing."""
    stock = Architecture.from_dict(baseline_row(table)["architecture"]).key
    if missing := [label for key, label in truth.labels.items() if key not in score]:
        raise RunError(f"{name} lacks {len(missing)} architectures of the table, such as {missing[0]}; score them all")
    return {key: float(score[key]) - float(score.get(stock, 0.0)) for key in truth.gains}


def rows(table: ReplayTable, scores: Costed | None = None, last: int = 1) -> list[dict[str, Any]]:
    """One row per score, the trivial ones first: `score`, `cost`, and figures with intervals."""
    found, truth = Gains.of(table), Truth.of(table)
    long = found.settled(last).mean(axis=1)
    forms = [Architecture.from_dict(table.rows[key]["architecture"]) for key in found.keys]
    costed: Costed = {**{name: (score, 0) for name, score in trivial_scores(table.rows).items()}, **(scores or {})}
    by_name = {name: (gains_by(score, name, table, truth), cost) for name, (score, cost) in costed.items()}
    result = []
    for name, (gains, cost) in by_name.items():
        values = np.array([gains[key] for key in found.keys])
        ranked = tau([(values, long)], np.random.default_rng(0))
        result.append(
            {
                "score": name,
                "cost": cost,
                "tau": (ranked["tau"], ranked["low"], ranked["high"]),
                "sites": sites_gate(values, long, forms, np.random.default_rng(0)),
                "front": recommended(truth, gains),
                "size": len(truth.front_by(gains)),
                EPOCHS: epochs_to(truth, gains, table.epochs, cost),
            }
        )
    return result


def recommended(truth: Truth, gains: Scores) -> Interval:
    """Share of the true hypervolume of the front by these gains; the interval is over spaces of fewer architectures."""
    keys, shares = np.array(list(truth.gains)), []
    for weights in resampled(len(keys), np.random.default_rng(0)):
        present = keys[weights > 0].tolist()
        if (volume := truth.volume(present)) > 0:
            shares.append(truth.volume(truth.front_by({key: gains[key] for key in present})) / volume)
    low, high = np.quantile(shares, [0.025, 0.975])
    return truth.share(truth.front_by(gains)), float(low), float(high)


def epochs_to(truth: Truth, gains: Scores, epochs: int, cost: int) -> Interval:
    """Median and interval of the epochs until complete trainings in greedy orders hold most of the hypervolume."""
    orders = [greedy_order(truth, gains, seed) for seed in range(ORDERS)]
    needed = [next(n for n in range(1, len(order) + 1) if truth.share(order[:n]) >= LEVEL) for order in orders]
    spent = cost + epochs * np.array(needed, dtype=float)
    return float(middle(spent)), *interval(middle, spent)


def markdown(found: list[dict[str, Any]]) -> str:
    """One line per score."""
    lines = [f"| score | cost | tau | sites | front (size) | epochs to {LEVEL:.0%} |", "|---|--:|--:|--:|--:|--:|"]
    for row in found:
        agreement = f"{cell(*row['tau'])} | {cell(*row['sites'])} | {cell(*row['front'])} ({row['size']})"
        mid, low, high = row[EPOCHS]
        lines.append(f"| {row['score']} | {row['cost']} | {agreement} | {mid:.0f} [{low:.0f}, {high:.0f}] |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--scores", type=Path, nargs="+", default=[], metavar="FILE", help="scores or short trainings")
    parser.add_argument("--last", type=int, default=1, help="last epochs over which the long gain is averaged")
    options = parser.parse_args()
    try:
        for path in options.tables:
            table, scores = ReplayTable.read(path), Costed()
            for file in options.scores:
                scores |= read_scores(file)
            print(
                f"\n{path.stem}: {len(table.rows) - 1} architectures\n\n{markdown(rows(table, scores, options.last))}"
            )
    except GamsearchError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

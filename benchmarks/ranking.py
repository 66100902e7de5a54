"""Agreement of short and long trainings in ranking: Kendall's tau-b by epoch count, on recorded replay tables.

    python benchmarks/ranking.py results/tables/bccd.json results/tables/planted.json
    python benchmarks/ranking.py fork-5.json fork-10.json --long results/tables/bccd.json

short      the paired difference to the baseline in map50_95 after k epochs at one seed, on which a search decides;
           with `--pooled` the mean over all short seeds, which costs as many trainings
long       the same difference after the last epoch, in three versions
             other seeds   mean over the seeds other than that of the short training: no shared noise
             same seed     at the seed of the short training: includes it, so tau is 1 at the last epoch by construction
             all seeds     mean over all seeds: closest to the truth, but shares the noise of the short training

Each value is the mean over the seeds of the short trainings, with a 95 % percentile bootstrap interval over
architectures. The test-retest value is tau between the long rankings of two seeds, the best that a short training can
be expected to achieve against other seeds. With `--long` the long rankings come from other tables, for tables with few
epochs (e.g. other fork points), and the architectures in both are compared. Several long tables are joined over their
seeds, as are the short ones with `--join`. With `--last 5` the long gain is the mean over the last five epochs; the
test-retest value shows how much this reduces the noise. With `--additive` the short gains are fitted by one effect per
placement (ridge regression, regularised by leave-one-out), as in the surrogate of the search, which averages over
architectures that share placements. Every table begins with the scores that measure nothing. Nothing is trained.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from agreement import Matrix, Weights, cell, resampled, tau, weighted_tau
from sklearn.linear_model import RidgeCV
from truth import baseline_row, trivial_scores

from gamsearch.architecture import Architecture
from gamsearch.errors import GamsearchError, OptionError, RunError
from gamsearch.training.replay import ReplayTable, Row

MIN_ARCHITECTURES = 3
VERSIONS = ("other seeds", "same seed", "all seeds")


@dataclass(frozen=True)
class Gains:
    """Paired gains in map50_95: `values` is `architectures x seeds x epochs`, in the order of `keys` and `seeds`."""

    keys: tuple[str, ...]
    seeds: tuple[int, ...]
    values: Matrix

    @classmethod
    def of(cls, table: ReplayTable) -> "Gains":
        """The gains of all architectures of a table but the baseline."""
        baseline = baseline_row(table)
        rows = {key: row for key, row in sorted(table.rows.items()) if row is not baseline}

        def curves(row: dict[str, Any]) -> list[list[float]]:
            return [[float(point["map50_95"]) for point in row["curves"][str(seed)]] for seed in table.seeds]

        values = np.array([curves(row) for row in rows.values()]) - np.array(curves(baseline))
        return cls(tuple(rows), table.seeds, values)

    @classmethod
    def joined(cls, parts: Sequence["Gains"]) -> "Gains":
        """The architectures that are in all parts, at all seeds; `RunError` if seeds or epochs do not fit."""
        seeds = tuple(seed for part in parts for seed in part.seeds)
        epochs = {part.values.shape[2] for part in parts}
        if len(epochs) > 1 or len(set(seeds)) < len(seeds):
            lengths = " and ".join(map(str, sorted(epochs)))
            raise RunError(
                f"tables of {lengths} epochs at seeds {list(seeds)} cannot be joined; "
                "join tables with the same number of epochs and different seeds"
            )
        keys = [key for key in parts[0].keys if all(key in part.keys for part in parts)]
        return cls(tuple(keys), seeds, np.concatenate([part.only(keys).values for part in parts], axis=1))

    def additive(self, placed: Mapping[str, Sequence[str]]) -> "Gains":
        """The gains fitted by a sum of effects; `placed` has the labels of the placements by architecture."""
        names = sorted({name for key in self.keys for name in placed[key]})
        design = np.array([[name in placed[key] for name in names] for key in self.keys], dtype=float)
        design = np.vstack([design, np.zeros(len(names))])  # the baseline, with gain 0
        values = np.empty_like(self.values)
        for seed, epoch in np.ndindex(self.values.shape[1:]):
            gains = np.append(self.values[:, seed, epoch], 0.0)
            values[:, seed, epoch] = RidgeCV(np.logspace(-3, 2, 16)).fit(design, gains).predict(design)[:-1]
        return Gains(self.keys, self.seeds, values)

    def only(self, keys: list[str]) -> "Gains":
        """The gains of some of the architectures."""
        index = [self.keys.index(key) for key in keys]
        return Gains(tuple(keys), self.seeds, self.values[index])

    def settled(self, last: int) -> Matrix:
        """Mean gain over the `last` epochs, `architectures x seeds`."""
        return np.asarray(self.values[:, :, -last:].mean(axis=2))


def long_ranking(long: Gains, seeds: Sequence[int], version: str, last: int) -> Matrix | None:
    """The long gains to compare with short trainings at `seeds`; None if no seed remains for the version."""
    chosen = {
        "other seeds": [i for i, other in enumerate(long.seeds) if other not in seeds],
        "same seed": [i for i, other in enumerate(long.seeds) if other in seeds],
        "all seeds": list(range(len(long.seeds))),
    }[version]
    return long.settled(last)[:, chosen].mean(axis=1) if chosen else None


def compare(short: Gains, long: Gains, last: int = 1, pooled: bool = False) -> list[dict[str, Any]]:
    """One row per version and epoch count, for the short gains or, if `pooled`, their mean over seeds.

    Raises `RunError` if too few architectures are in both.
    """
    common = [key for key in short.keys if key in long.keys]
    if len(common) < MIN_ARCHITECTURES:
        raise RunError(
            f"{len(common)} architectures are in both tables, at least {MIN_ARCHITECTURES} are needed; record more"
        )
    short, long = short.only(common), long.only(common)
    each = [((seed,), short.values[:, i]) for i, seed in enumerate(short.seeds)]
    trained = [(short.seeds, short.values.mean(axis=1))] if pooled else each
    rows = []
    for version in VERSIONS:
        rankings = [(gains, long_ranking(long, seeds, version, last)) for seeds, gains in trained]
        usable = [(gains, ranking) for gains, ranking in rankings if ranking is not None]
        for epoch in range(1, short.values.shape[2] + 1) if usable else ():
            pairs = [(gains[:, epoch - 1], ranking) for gains, ranking in usable]
            figures = tau(pairs, np.random.default_rng(epoch))
            rows.append({"version": version, "epochs": epoch, "architectures": len(common), **figures})
    return rows


def retest(long: Gains, last: int = 1) -> dict[str, Any] | None:
    """Mean tau between the long rankings of two seeds, over all pairs of seeds; None for a single seed."""
    gains = long.settled(last)
    pairs = [(gains[:, a], gains[:, b]) for a, b in combinations(range(len(long.seeds)), 2)]
    return tau(pairs, np.random.default_rng(0)) if pairs else None


def difference(short: Gains, other: Gains, long: Gains, last: int = 1) -> dict[str, float]:
    """Tau of `short` minus tau of `other`, after their last epochs, against the mean over all long seeds.

    Each tau is the mean over its seeds; both are resampled jointly over the architectures that are in all three.
    """
    common = [key for key in short.keys if key in other.keys and key in long.keys]
    if len(common) < MIN_ARCHITECTURES:
        raise RunError(
            f"{len(common)} architectures are in all tables, at least {MIN_ARCHITECTURES} are needed; record more"
        )
    ranking = long.only(common).settled(last).mean(axis=1)
    ones = np.ones((1, len(common)), dtype=np.int64)
    drawn = resampled(len(common), np.random.default_rng(0))

    def taus(gains: Gains, weights: Weights) -> Matrix:
        final = gains.only(common).values[:, :, -1].T
        return np.asarray(np.mean([weighted_tau(each, ranking, weights) for each in final], axis=0))

    low, high = np.nanquantile(taus(short, drawn) - taus(other, drawn), [0.025, 0.975])
    return {"tau": float((taus(short, ones) - taus(other, ones))[0]), "low": float(low), "high": float(high)}


def trivial_rows(rows: dict[str, Row], long: Gains, last: int = 1) -> list[dict[str, Any]]:
    """One row per score that measures nothing, against the mean over all long seeds."""
    keys = [key for key in long.keys if key in rows]
    ranking = long.only(keys).settled(last).mean(axis=1)
    return [
        {"score": name, **tau([(np.array([score[key] for key in keys]), ranking)], np.random.default_rng(0))}
        for name, score in trivial_scores(rows).items()
    ]


def markdown(rows: list[dict[str, Any]], trivial: list[dict[str, Any]]) -> str:
    """One line per trivial score, then one per epoch count; one column per version."""
    versions = [version for version in VERSIONS if any(row["version"] == version for row in rows)]
    cells = {(row["version"], row["epochs"]): _cell(row) for row in rows}
    lines = ["| epochs | " + " | ".join(f"tau, {version}" for version in versions) + " |"]
    lines.append("|--:|" + "--:|" * len(versions))
    before = " | " * (len(versions) - 1)  # trivial scores know no seed
    lines += [f"| *{row['score']}* | {before}*{_cell(row)}* |" for row in trivial]
    for epoch in sorted({row["epochs"] for row in rows}):
        lines.append(f"| {epoch} | " + " | ".join(cells[version, epoch] for version in versions) + " |")
    return "\n".join(lines)


def _cell(figures: dict[str, Any]) -> str:
    return cell(figures["tau"], figures["low"], figures["high"])


def report(
    paths: Sequence[Path], long_paths: Sequence[Path], last: int, additive: bool = False, pooled: bool = False
) -> dict[str, Any]:
    """Compare one table, or several joined, with its own or another long ranking; print and return the result."""
    tables = [ReplayTable.read(path) for path in paths]
    short = Gains.joined([Gains.of(table) for table in tables])
    long_tables = [ReplayTable.read(path) for path in long_paths] or tables
    long = Gains.joined([Gains.of(table) for table in long_tables]) if long_paths else short
    if additive:
        rows_of = {key: row for table in tables for key, row in table.rows.items()}
        forms = {key: Architecture.from_dict(row["architecture"]) for key, row in rows_of.items()}
        short = short.additive({key: [p.label for p in form.placements] for key, form in forms.items()})
    rows, repeated = compare(short, long, last, pooled), retest(long, last)
    trivial = trivial_rows(long_tables[0].rows, long, last)
    name, source = _stems(paths), _stems(long_paths or paths)
    how = (", additive" if additive else "") + (", mean of the short seeds" if pooled else "")
    print(f"\n{name}{how}: {rows[0]['architectures']} architectures, short seeds {list(short.seeds)};", end=" ")
    print(f"long: {source}, {long.values.shape[2]} epochs, seeds {list(long.seeds)}\n")
    print(markdown(rows, trivial))
    if repeated is not None:
        print(f"\ntest-retest, long against long at another seed: {_cell(repeated)}")
    epochs = {"epochs": short.values.shape[2], "long_epochs": long.values.shape[2], "last": last}
    options = {"additive": additive, "pooled": pooled}
    return {
        "table": name,
        "long": source,
        **options,
        **epochs,
        "trivial": trivial,
        "rows": rows,
        "test_retest": repeated,
    }


def _stems(paths: Sequence[Path]) -> str:
    return " + ".join(path.stem for path in paths)


def main() -> int:
    options = read_options()
    try:
        if options.last < 1:
            raise OptionError(f"--last must be at least 1 epoch, not {options.last}")
        groups = [options.tables] if options.join else [[path] for path in options.tables]
        found = [report(paths, options.long, options.last, options.additive, options.pooled) for paths in groups]
        for one, path in ((a, b) for a in options.tables for b in options.versus):
            first, second = (Gains.of(ReplayTable.read(each)) for each in (one, path))
            long = Gains.joined([Gains.of(ReplayTable.read(each)) for each in options.long or [path]])
            print(f"\n{one.stem} minus {path.stem}: {_cell(difference(first, second, long, options.last))}")
    except GamsearchError as error:
        print(error, file=sys.stderr)
        return 2
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "ranking.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument(
        "--long",
        type=Path,
        nargs="+",
        default=[],
        metavar="TABLE",
        help="tables of the long rankings (default: each table's own)",
    )
    parser.add_argument(
        "--versus",
        type=Path,
        nargs="+",
        default=[],
        metavar="TABLE",
        help="also print the paired difference in tau of each table to these, after the last epoch (never --additive)",
    )
    parser.add_argument("--join", action="store_true", help="join all tables over their seeds")
    parser.add_argument(
        "--last", type=int, default=1, help="number of last epochs over which the long gain is averaged"
    )
    parser.add_argument("--additive", action="store_true", help="fit the short gains by a sum of effects")
    parser.add_argument("--pooled", action="store_true", help="average the short gains over the short seeds")
    parser.add_argument("--out", type=Path, help="folder for ranking.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

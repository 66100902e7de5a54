"""Hypervolume over epochs spent, on replay tables: gamsearch's searches, Optuna's samplers and Syne Tune's MOASHA.

    python benchmarks/search.py results/tables/bccd.json results/tables/planted.json --seeds 20 --out results/benchmark
    python benchmarks/search.py results/tables/bccd.json --arms random thaw --seeds 4 --out benchmark

number of modules ...         complete trainings in the order of a score that measures nothing, see orders.py
chosen                        five chosen short trainings, added up, then complete trainings in that order
shared                        gains in two shared networks, see screening.py, then complete trainings in that order
random, nsga2, tpe, gp        Optuna's samplers, every candidate fully trained, through `gamsearch.strategy.loop`: with
                              the same encoding, hand-designed architectures and handling of repeats
moasha                        Syne Tune's scheduler (`pip install gamsearch[bench]`), see moasha.py
thaw, thaw-off                the freeze-thaw sampler with stopping `default` and `off`
tpe-default                   Optuna's TPE with the stopping of gamsearch

Both measures are hypervolumes at *true* values (mean gain over the table's seeds, latency relative to the baseline), as
a fraction of that of the whole table: 0 is the baseline alone, 1 the whole front (reference point: truth.py).

found         that of all fully trained candidates, over the epochs of the candidates. The baseline and the confirmation
              of the winner are the same for every arm and excluded; a resumed training is counted once.
recommended   that of the front which the user would be handed: by the gains measured in the run, or predicted by
              `chosen` and `shared`. All epochs count, those of the baseline included: one complete training, in the
              loop of gamsearch one for each seed of the table, from which it knows the noise.

Run i has sampler seed i, and sees each architecture with the gains of one recorded training, chosen by i and equal in
all arms, so that even a nearly deterministic sampler sees different noise at every seed. A run ends when the front is
found or the space is exhausted; noise can keep what is found from being recommended.

`--out` receives one JSON per table with every run, and a plot as PNG and HTML. The printed table has medians over seeds
with 95 % bootstrap intervals; a run that never reaches a level counts as infinite. The ratio is to the alternative
(random to moasha) with the smallest median, over the same seeds.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import drawing
import optuna
from moasha import moasha
from optuna.study import StudyDirection
from optuna.trial import TrialState
from orders import Traces, by_chosen_trainings, by_shared_networks, by_trivial_score, measured_gains, screened
from summary import Run, markdown, summary
from truth import LEVEL, Truth, baseline_row, reached, trivial_scores

from gamsearch.errors import GamsearchError, OptionError, nearest
from gamsearch.evaluation import TrialBudget
from gamsearch.metrics import metric_named
from gamsearch.space.detector import Detector
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.loop import search
from gamsearch.strategy.plan import Plan
from gamsearch.strategy.search_budget import SearchBudget
from gamsearch.strategy.stopping import STOPPING
from gamsearch.training.replay import ReplayEvaluator, ReplayTable

Arm = Callable[[ReplayTable, SearchSpace, Truth, int], Traces]


class Finished(Exception):
    """Ends a search that has found the whole front."""


class Watch:
    """A progress observer that notes what every trial adds, and ends a search once it is finished."""

    def __init__(self, study: optuna.Study, table: ReplayTable, truth: Truth):
        self.study, self.truth, self.gains = study, truth, measured_gains(table)
        self.spent, self.before = 0, table.epochs * len(table.seeds)
        self.known: dict[str, float] = {}
        self.traces = Traces([], [])

    def started(self, number: int, label: str, used: float, search_budget: SearchBudget) -> None: ...

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None: ...

    def ended(self, number: int, outcome: str, gain: float | None) -> None:
        """Note a trial; the baseline's, and recalled trials, neither cost nor add anything."""
        trial = self.study.get_trials(deepcopy=False)[number]
        key, epochs = trial.user_attrs.get("key"), int(trial.user_attrs.get("epochs_trained", 0))
        if key not in self.gains or "recalled_from" in trial.user_attrs or epochs == 0:
            return
        self.spent += epochs
        if trial.state == TrialState.COMPLETE:
            self.known[key] = self.gains[key]
        recommended = self.truth.front_by(self.known)
        self.traces.found.append((self.spent, self.truth.share(self.known)))
        self.traces.recommended.append((self.before + self.spent, self.truth.share(recommended)))
        if self.traces.finished:
            raise Finished


def searched(sampler: str, stopping: str, table: ReplayTable, space: SearchSpace, truth: Truth, seed: int) -> Traces:
    """One run of `gamsearch.strategy.loop` over the table, in memory."""
    directions = [StudyDirection[metric_named(name).direction.upper()] for name in space.objectives]
    study = optuna.create_study(directions=directions)
    study.set_user_attr("objectives", list(space.objectives))
    budget = TrialBudget(table.epochs)
    plan = Plan(space, budget, SearchBudget(space.size), sampler, len(table.seeds), STOPPING[stopping], seed)
    watch = Watch(study, table, truth)
    with suppress(Finished):
        search(study, plan, ReplayEvaluator(table), watch)
    return watch.traces


ALTERNATIVES: dict[str, Arm] = {
    "random": partial(searched, "random", "off"),
    "nsga2": partial(searched, "nsga2", "off"),
    "tpe": partial(searched, "tpe", "off"),
    "gp": partial(searched, "gp", "off"),
    "moasha": moasha,
}
ARMS: dict[str, Arm] = {
    **{name: partial(by_trivial_score, name) for name in trivial_scores({})},
    "chosen": by_chosen_trainings,
    "shared": by_shared_networks,
    **ALTERNATIVES,
    "thaw": partial(searched, "thaw", "default"),
    "thaw-off": partial(searched, "thaw", "off"),
    "tpe-default": partial(searched, "tpe", "default"),
}


@dataclass(frozen=True)
class Case:
    """A table with its space and its true values."""

    name: str
    table: ReplayTable
    space: SearchSpace
    truth: Truth

    @classmethod
    def read(cls, path: Path, space: str = "") -> "Case":
        """Read a table and its space, which is `space` or the one that the table names."""
        table = ReplayTable.read(path)
        if not (space or table.space):
            raise OptionError(f"{path} does not name its space; add --space")
        searched = SearchSpace.load(space or table.space)
        if searched.detector.name != table.detector:
            searched = SearchSpace.load(space or table.space, Detector.load(table.detector))
        return cls(path.stem, table, searched, Truth.of(table))


def resampled(table: ReplayTable, seed: int) -> ReplayTable:
    """The table with a resampled curve per architecture at seed 0: a recorded baseline plus a recorded gain.

    The other seeds follow in order, as recorded; those of the baseline provide the noise over seeds.
    """
    rng, baseline = random.Random(seed), baseline_row(table)
    first = rng.choice(table.seeds)
    reference = baseline["curves"][str(first)]
    others = [other for other in table.seeds if other != first]
    rows = {}
    for key, row in table.rows.items():
        chosen = str(rng.choice(table.seeds))
        pairs = zip(reference, row["curves"][chosen], baseline["curves"][chosen], strict=True)
        curve = [
            {"epoch": base["epoch"], **{m: base[m] + own[m] - paired[m] for m in ("map50_95", "map50")}}
            for base, own, paired in pairs
        ]
        recorded = {str(number): row["curves"][str(other)] for number, other in enumerate(others, 1)}
        rows[key] = {**row, "curves": {"0": curve, **recorded}}
    return replace(table, seeds=tuple(range(len(table.seeds))), rows=rows)


def runs_of(case: Case, arms: list[str], seeds: int, show: Callable[[str], None] = print) -> list[Run]:
    """Every arm at every seed, seed by seed, so that arms are comparable at any time."""
    runs = []
    for seed in range(seeds):
        for arm in arms:
            start = time.process_time()
            traces = ARMS[arm](resampled(case.table, seed), case.space, case.truth, seed)
            runs.append({"arm": arm, "seed": seed, **traces._asdict()})
            took, epochs = time.process_time() - start, reached(traces.found, LEVEL)
            show(f"{case.name} {arm} seed {seed}: {LEVEL:.0%} after {epochs:.0f} epochs, {took:.1f} s of CPU")
    return runs


def write(case: Case, runs: list[Run], rows: list[dict[str, Any]], out: Path) -> None:
    """Write every run, the summary and the true front as JSON, and the curves as PNG and HTML."""
    out.mkdir(parents=True, exist_ok=True)
    content = {
        "table": case.name,
        "space": case.space.name,
        "architectures": len(case.truth.gains),
        "epochs": case.table.epochs,
        "reference_point": {"gain": case.truth.reference_point[0], "latency_ratio": case.truth.reference_point[1]},
        "front": case.truth.described_front(),
        "summary": rows,
        "runs": runs,
    }
    text = json.dumps(_finite(content)).replace('{"arm"', '\n{"arm"')
    (out / f"{case.name}.json").write_text(text + "\n", encoding="utf-8")
    title = f"{case.name}: {len(case.truth.gains)} architectures, {case.table.epochs} epochs each"
    drawing.draw(runs, title, out / case.name)


def front_text(truth: Truth) -> str:
    """E.g. `GAM@9 r16 (+0.012 at 1.05 x the latency)`, fastest first."""
    return ", ".join(
        f"{m['label']} (+{m['gain']:.3f} at {m['latency_ratio']:.2f} x the latency)" for m in truth.described_front()
    )


def _finite(value: Any) -> Any:
    """The value with None in place of infinite numbers, which JSON lacks."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def main() -> int:
    options = read_options()
    try:
        for arm in options.arms:
            if arm not in ARMS:
                raise OptionError(f"there is no arm '{arm}'{nearest(arm, ARMS)}; available: {', '.join(ARMS)}")
        for path in options.tables:
            case = Case.read(path, options.space)
            arms = [arm for arm in options.arms if arm != "shared" or screened(case.space)]
            runs = runs_of(case, arms, options.seeds, lambda line: print(line, file=sys.stderr, flush=True))
            rows = summary(runs, ALTERNATIVES)
            write(case, runs, rows, options.out)
            print(f"\n{case.name}, {options.seeds} seeds\n\n{markdown(rows)}\n\ntrue front: {front_text(case.truth)}")
    except GamsearchError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), metavar="ARM", help=f"default: {' '.join(ARMS)}")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--space", default="", help="space of tables that do not name theirs")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark"))
    return parser.parse_args()


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sys.exit(main())

"""Complete trainings in the order that a score suggests: of scores, five chosen short trainings, shared networks."""

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from truth import OBJECTIVES, Trace, Truth, baseline_row, complete, final, trivial_scores

from gamsearch.analysis import pareto
from gamsearch.architecture import Architecture
from gamsearch.space.search_space import SearchSpace
from gamsearch.training.replay import ReplayTable, Row

SHORT = 5
"""Epochs of a chosen short training."""
TIE = 1e-12
SCREENED = Path(__file__).parents[1] / "results" / "screening"
"""Where screening.py's scores are kept: a file for each pair of shared networks, named after the space."""

Scores = Mapping[str, float]


class Traces(NamedTuple):
    """What a search has after each training, as shares of the true hypervolume.

    Attributes:
        found: Of all architectures that are trained to the end, by epochs spent on candidates.
        recommended: Of those that the measured or predicted gains put on the front, by epochs spent on anything.
    """

    found: Trace
    recommended: Trace

    @property
    def finished(self) -> bool:
        """Whether the whole front is found."""
        return complete(self.found)


def measured_gains(table: ReplayTable) -> dict[str, float]:
    """The gains after complete trainings at the first seed of the table, which a search sees."""
    baseline = baseline_row(table)
    rows = {key: row for key, row in table.rows.items() if row is not baseline}
    return {key: final(row, table.seeds[0]) - final(baseline, table.seeds[0]) for key, row in rows.items()}


def greedy_order(truth: Truth, score: Scores, seed: int) -> list[str]:
    """The architectures, each the one that adds most hypervolume to those before it; `seed` breaks ties."""
    rest, order, found = list(truth.gains), list[str](), 0.0
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


def trained(
    table: ReplayTable, truth: Truth, score: Scores, seed: int, spent: int = 0, predicts: bool = False
) -> Traces:
    """Train in the greedy order; `spent` epochs went into the score, which replaces gains if it `predicts` them.

    The recommendation pays for one complete training of the baseline, with which gains are measured.
    """
    gains, known = measured_gains(table), dict(score) if predicts else {}
    traces = Traces([(spent, 0.0)], [(spent, truth.share(truth.front_by(known)))])
    done: list[str] = []
    for key in greedy_order(truth, score, seed):
        if traces.finished:
            break
        done.append(key)
        known[key] = gains[key]
        epochs = spent + len(done) * table.epochs
        traces.found.append((epochs, truth.share(done)))
        traces.recommended.append((epochs + table.epochs, truth.share(truth.front_by(known))))
    return traces


def by_trivial_score(name: str, table: ReplayTable, space: SearchSpace, truth: Truth, seed: int) -> Traces:
    """The arm of a score that measures nothing."""
    del space
    return trained(table, truth, _above_baseline(trivial_scores(table.rows)[name], table), seed)


def by_chosen_trainings(table: ReplayTable, space: SearchSpace, truth: Truth, seed: int) -> Traces:
    """The arm of five chosen short trainings."""
    del space
    score, epochs = chosen_trainings(table, table.seeds[0], SHORT)
    return trained(table, truth, score, seed, epochs, predicts=True)


def by_shared_networks(table: ReplayTable, space: SearchSpace, truth: Truth, seed: int) -> Traces:
    """The arm of shared networks: each run has the next recorded pair."""
    pairs = screened(space)
    score = json.loads(pairs[seed % len(pairs)].read_text())
    stock = Architecture.from_dict(baseline_row(table)["architecture"]).key
    epochs, _ = score.pop("epochs"), score.pop(stock)
    return trained(table, truth, score, seed, epochs, predicts=True)


def screened(space: SearchSpace) -> list[Path]:
    """The recorded scores of shared networks of a space, a file for each pair: its name, the epochs and the seeds."""
    name = re.compile(rf"{re.escape(space.name)}-\d+-\d+-\d+\.json")
    return sorted(path for path in SCREENED.iterdir() if name.fullmatch(path.name))


def chosen_trainings(table: ReplayTable, seed: int, epochs: int) -> tuple[dict[str, float], int]:
    """Gains added up from short trainings of the baseline, each site alone, and all sites at once; and their cost.

    Each site has its slowest option. All sites at once are left out if the table lacks them. An architecture is
    predicted to gain the sum of its sites' effects, fitted by least squares, whatever its options.
    """
    forms = {key: Architecture.from_dict(row["architecture"]) for key, row in table.rows.items()}
    slowest_last = sorted(forms, key=lambda key: table.rows[key]["metrics"]["latency_ms"])
    alone = {forms[key].placements[0].site: key for key in slowest_last if len(forms[key].placements) == 1}
    together = {forms[key].placements[0] for key in alone.values()}
    chosen = [*alone.values(), *(key for key, form in forms.items() if set(form.placements) == together)]

    def sites(key: str) -> list[float]:
        return [float(site in {p.site for p in forms[key].placements}) for site in alone]

    def level(row: Row) -> float:
        return float(row["curves"][str(seed)][epochs - 1]["map50_95"])

    baseline = level(baseline_row(table))
    gains = [level(table.rows[key]) - baseline for key in chosen]
    effects = np.linalg.lstsq(np.array([sites(key) for key in chosen]), np.array(gains), rcond=None)[0]
    predicted = {key: float(np.dot(sites(key), effects)) for key, form in forms.items() if not form.is_baseline}
    return predicted, epochs * (1 + len(chosen))


def _above_baseline(score: Scores, table: ReplayTable) -> dict[str, float]:
    """The score minus that of the baseline."""
    stock = Architecture.from_dict(baseline_row(table)["architecture"]).key
    return {key: value - score[stock] for key, value in score.items() if key != stock}

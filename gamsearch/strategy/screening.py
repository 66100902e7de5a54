"""What shared networks say before a search: effects with intervals, a predicted front, one sentence. No torch.

Figures of shared networks are not results: what they recommend is trained on its own.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product
from math import isfinite
from statistics import mean
from typing import Any

from scipy import stats

from gamsearch.analysis import pareto
from gamsearch.analysis.power import EFFECT
from gamsearch.analysis.screened import Effect, Screened, best_by_site
from gamsearch.architecture import Architecture, Placement
from gamsearch.metrics import METRICS
from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.cost_predictions import PredictCosts
from gamsearch.strategy.screening_sentence import paying_sentence
from gamsearch.strategy.shared_effects import Reading, SharedEffects, recorded_readings

DISAGREE = 0.3
"""Two seeds whose readings agree less than this (Kendall's tau) are said to disagree."""
MOST_SITES = 6
"""Sites, the best ones, whose placements are combined where a space is too large to enumerate."""
ENUMERABLE = 5000


class Screening:
    """The answer of shared networks for a space.

    Args:
        space: The space.
        readings: The primary metric of architectures in the networks; the same architectures for every seed.
        reference: That of the trained baseline, with which the networks began; 0 if unknown.
    """

    def __init__(self, space: SearchSpace, readings: Sequence[Reading], reference: float = 0.0):
        self.space, self.readings, self.reference = space, tuple(readings), reference
        self.model, self._metric = SharedEffects(space, readings), space.detector.task.primary_title

    @classmethod
    def read(cls, space: SearchSpace, facts: Mapping[str, Any]) -> "Screening | None":
        """Rebuild what `facts` wrote.

        Args:
            space: The space.
            facts: What the study recorded of the screening.

        Returns:
            The screening; None if there was none, it is not complete, or its record is damaged.
        """
        if not facts.get("complete"):
            return None
        readings = recorded_readings(space, facts)
        complete = readings and len(readings) == len(facts["architectures"]) * len(facts["values"])
        return cls(space, readings, float(facts.get("reference", 0.0))) if complete else None

    def gains(self, architectures: Sequence[Architecture]) -> list[float]:
        """Predict the gains of architectures.

        Args:
            architectures: Architectures of the space.

        Returns:
            The expected gain of each in the primary metric.
        """
        return [float(gain) for gain in self.model.gains(architectures)] if architectures else []

    @cached_property
    def placements(self) -> tuple[Placement, ...]:
        """Every placement of the space, in the order of the sites."""
        return tuple(placement for offered in self.space.choices.values() for placement in offered)

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """The effect of every placement alone."""
        gains, sds = self.model.predict([self._alone(placement) for placement in self.placements])
        likely = stats.t.ppf(0.975, self._freedom)
        return tuple(
            Effect(p.site, _option(p), float(gain), float(likely * sd), bool(gain > self._certain * sd))
            for p, gain, sd in zip(self.placements, gains, sds, strict=True)
        )

    @property
    def _freedom(self) -> int:
        """Degrees of freedom of the deviation between seeds; its prior counts as two."""
        seeds = len({reading.seed for reading in self.readings})
        return (seeds - 1) * len(self.space.sites) + 2

    @property
    def _certain(self) -> float:
        """Standard deviations above zero from which a gain is beyond doubt, corrected for the number of sites."""
        return float(stats.t.ppf(1 - 0.025 / len(self.space.sites), self._freedom))

    @cached_property
    def pays(self) -> bool:
        """Whether a placement gains beyond doubt, or several that are placed together do."""
        if any(effect.pays for effect in self.effects):
            return True
        gains, sds = self.model.predict(self._candidates)
        return bool((gains > self._certain * sds).any())

    @property
    def nothing_pays(self) -> bool:
        """Whether several sound networks leave no room for a gain of `EFFECT`, by a placement alone or by any."""
        sure = self.agreement is not None and not self.pays and not self._collapsed
        return sure and self._bound < EFFECT and self._gain_of_any < EFFECT

    @property
    def _collapsed(self) -> bool:
        """Whether a network has lost half of the level with which it began, so that its readings tell nothing."""
        return any(r.value < self.reference / 2 for r in self.readings if r.architecture.is_baseline)

    @property
    def _gain_of_any(self) -> float:
        """By how much single placements are above the architecture without attention, on average over all of them.

        The model attributes nothing to it: where every placement gains alike and no second one adds to that, the
        effects of placements are small all the same.
        """
        alone = [r.value for r in self.readings if len(r.architecture.placements) == 1]
        without = [r.value for r in self.readings if r.architecture.is_baseline]
        return mean(alone) - mean(without) if alone and without else 0.0

    @property
    def _bound(self) -> float:
        """The largest gain that is likely of any placement alone."""
        return max(effect.gain + effect.half_width for effect in self.effects)

    @cached_property
    def agreement(self) -> float | None:
        """Kendall's tau between the gains that the first two seeds show; None with one seed."""
        seeds = sorted({reading.seed for reading in self.readings})[:2]
        if len(seeds) < 2:
            return None
        first, second = ([r.value for r in self.readings if r.seed == seed] for seed in seeds)
        tau = float(stats.kendalltau(first, second).statistic)
        return tau if isfinite(tau) else 0.0  # networks that detect nothing have no order

    def front(self, predict_costs: PredictCosts, most: int) -> list[Architecture]:
        """Predict the Pareto front, costs included.

        Args:
            predict_costs: The costs of architectures.
            most: How many members to return.

        Returns:
            Members with attention within the limits of the space, evenly spread from the cheapest to the best.
        """
        objectives = [METRICS[name] for name in self.space.objectives]
        candidates = [self.space.baseline, *self._candidates]
        costs = [predict_costs(architecture) or {} for architecture in candidates]
        gains = self.gains(candidates)
        needed = {m.name for m in objectives if m.stage == "built"}
        known = [i for i, built in enumerate(costs) if built.keys() >= needed and self._within_limits(built, costs[0])]
        values = [[costs[i][m.name] if m.stage == "built" else gains[i] for m in objectives] for i in known]
        on_front = pareto.front(values, objectives)
        members = [candidates[i] for i, on in zip(known, on_front, strict=True) if on and gains[i] > 0]
        expected = dict(zip(candidates, gains, strict=True))
        members.sort(key=expected.__getitem__, reverse=True)
        if len(members) <= most:
            return members
        return [members[round(i * (len(members) - 1) / max(most - 1, 1))] for i in range(most)]

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        if self.nothing_pays:
            most = f"{max(self._bound, 0):.4f} {self._metric}"
            return f"Nothing pays: no placement alone is likely to gain more than {most}."
        if not self.pays:
            return f"Unclear: {self._doubt}."
        best = best_by_site(self.effects)
        paying = [site for site, effect in best.items() if effect.pays]
        if not paying:
            return "No placement is shown to pay alone, but some pay together."
        return paying_sentence(self.space, paying, [site for site in best if site not in paying])

    @property
    def _doubt(self) -> str:
        """Why the networks do not tell whether anything pays."""
        if self._collapsed:
            lost = f"a shared network lost most of its {self.space.detector.task.quantity} in training"
            return f"{lost}; give a smaller learning rate, --train lr0=0.0003"
        if self._gain_of_any >= EFFECT:
            above = f"architectures with one module are {self._gain_of_any:.4f} {self._metric} above the one without"
            return f"{above}, whichever module it is, which may be due to how the networks were trained"
        why = "one network cannot tell" if self.agreement is None else "the networks cannot tell"
        if self.agreement is not None and self.agreement < DISAGREE:
            why = f"two networks rank the architectures differently (tau {self.agreement:+.2f})"
        return f"{why}, and a placement alone may still gain {self._bound:.4f} {self._metric}"

    def facts(self, complete: bool) -> dict[str, Any]:
        """Collect what the study records, from which `read` rebuilds the screening.

        Args:
            complete: Whether the stage is done.

        Returns:
            Plain values.
        """
        seeds = list(dict.fromkeys(reading.seed for reading in self.readings))
        architectures = [r.architecture.to_dict() for r in self.readings if r.seed == seeds[0]]
        values = {str(seed): [r.value for r in self.readings if r.seed == seed] for seed in seeds}
        readings = {"architectures": architectures, "values": values}
        return {**readings, "reference": self.reference, "complete": complete}

    def answer(self, epochs: int) -> Screened:
        """Collect what the report shows.

        Args:
            epochs: Epochs of each network.

        Returns:
            The answer as values.
        """
        seeds = {reading.seed for reading in self.readings}
        measured = len(self.readings) // len(seeds)
        return Screened(self.sentence, self.nothing_pays, len(seeds), epochs, measured, self.agreement, self.effects)

    @cached_property
    def _candidates(self) -> list[Architecture]:
        """All architectures with attention, or combinations of the best placements of the best sites."""
        if self.space.size <= ENUMERABLE:
            return [architecture for architecture in self.space.enumerate() if not architecture.is_baseline]
        gains = {placement: effect.gain for placement, effect in zip(self.placements, self.effects, strict=True)}
        ranked = {site: sorted(offered, key=gains.__getitem__)[::-1] for site, offered in self.space.choices.items()}
        sites = sorted(ranked, key=lambda site: -gains[ranked[site][0]])[:MOST_SITES]
        offered = [[None, *ranked[site][:2]] for site in sites]
        combined = (Architecture.of(self.space.detector.name, [p for p in chosen if p]) for chosen in product(*offered))
        alone = [self._alone(placement) for placement in self.placements]
        admissible = [one for one in (*alone, *combined) if self.space.refusal(one) is None and not one.is_baseline]
        return list(dict.fromkeys(admissible))

    def _within_limits(self, built: Mapping[str, float], baseline: Mapping[str, float]) -> bool:
        limits = [limit for limit in self.space.limits if limit.metric in built]
        return all(built[limit.metric] <= limit.bound(baseline[limit.metric]) for limit in limits)

    def _alone(self, placement: Placement) -> Architecture:
        return Architecture.of(self.space.detector.name, [placement])


def _option(placement: Placement) -> str:
    """The module with its options, e.g. `GAM r4`."""
    return placement.label.replace(f"@{placement.site}", "", 1)

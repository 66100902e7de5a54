"""How often the answer of shared networks is right where the truth is known: simulated readings of a small space.

    python benchmarks/screening_calibration.py
    python benchmarks/screening_calibration.py --networks 1 --spaces 200

Four sites with two rates each. Every network has its own level and deviates at every site; every reading is noisy. One
line for each truth and deviation: answers that something pays, false ones among them, answers that nothing pays, and
the share of intervals that hold the true gain. Nothing is trained.
"""

import argparse
from collections.abc import Mapping

import numpy as np

from gamsearch.space.search_space import SearchSpace
from gamsearch.strategy.screening import Screening
from gamsearch.strategy.shared_effects import Reading

SPACE = SearchSpace.load("gam-small")
NOISE = 0.003
NOTHING = dict.fromkeys(SPACE.sites, 0.0)
TRUTHS: dict[str, Mapping[int, float]] = {
    "no effect": NOTHING,
    "one site harms by 0.03": {**NOTHING, 9: -0.03},
    "one site gains 0.006": {**NOTHING, 4: 0.006},
    "one site gains 0.012": {**NOTHING, 4: 0.012},
    "gains and harm": {**NOTHING, 4: 0.02, 9: -0.01, 15: 0.005},
}
DEVIATIONS = (0.001, 0.003)


def simulated(gains: Mapping[int, float], deviation: float, networks: int, seed: int) -> Screening:
    """The answer of networks that deviate from the true gains by so much at each site."""
    rng, readings = np.random.default_rng(seed), []
    architectures = list(SPACE.enumerate())
    for network in range(networks):
        level, own = 0.35 + rng.normal(0, 0.03), {site: rng.normal(0, deviation) for site in SPACE.sites}
        for one in architectures:
            gain = sum(gains[p.site] + own[p.site] for p in one.placements)
            readings.append(Reading(network, one, level + gain + rng.normal(0, NOISE)))
    return Screening(SPACE, readings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=2)
    parser.add_argument("--spaces", type=int, default=60)
    options = parser.parse_args()
    print(f"{'truth':<24} deviation  pays  false  nothing pays  intervals")
    for name, gains in TRUTHS.items():
        for deviation in DEVIATIONS:
            found = [simulated(gains, deviation, options.networks, 500 + i) for i in range(options.spaces)]
            false = sum(any(e.pays and gains[e.site] <= 0 for e in one.effects) for one in found)
            held = np.mean([abs(e.gain - gains[e.site]) <= e.half_width for one in found for e in one.effects])
            pays, nothing = sum(one.pays for one in found), sum(one.nothing_pays for one in found)
            print(f"{name:<24} {deviation:<9}  {pays:<4}  {false:<5}  {nothing:<12}  {held:.3f}", flush=True)


if __name__ == "__main__":
    main()

"""How random architectures are chosen: few modules, and often the same one where a rule looks at modules."""

import random

from gamsearch.space.encoding import Choose, Encoding

TYPICAL_MODULES = 1.5
"""Expected number of modules in a random architecture."""
ALIKE = 0.5
"""Share of the architectures that have one module at all their sites, where a rule looks at modules.

Under `same_module`, modules chosen at each site for itself are hardly ever admissible together.
"""


def sparse(rng: random.Random, encoding: Encoding, ruled: bool) -> Choose:
    """Return a choosing function for one architecture of about `TYPICAL_MODULES` modules.

    Args:
        rng: The source of random numbers.
        encoding: The encoding of the space.
        ruled: Whether a rule looks at modules.

    Returns:
        The function.
    """
    occupied = min(0.5, TYPICAL_MODULES / len(encoding.sites))
    common = rng.choice(encoding.modules) if ruled and rng.random() < ALIKE else None

    def choose(name: str, low: int, high: int) -> int:
        site, _, what = name.partition(".")
        if what == "strength":
            return rng.randint(1, high) if rng.random() < occupied else 0
        here = encoding.modules_at(int(site.removeprefix("site")))
        if what == "module" and common in here:
            return here.index(common)
        return rng.randint(low, high)

    return choose

"""The sentence that names the sites after which attention pays. No torch."""

from collections.abc import Sequence

from gamsearch.space.search_space import SearchSpace


def paying_sentence(space: SearchSpace, paying: Sequence[int], rest: Sequence[int]) -> str:
    """Name the sites that pay and those that do not.

    Args:
        space: The space.
        paying: Sites after which attention pays, at least one.
        rest: All other sites.

    Returns:
        E.g. `Attention pays after rows 4 and 9; nothing is shown to pay in the neck.`
    """
    said = f"Attention pays after {_rows(paying)}"
    return f"{said}; nothing is shown to pay {_place(space, rest)}." if rest else f"{said}."


def _rows(sites: Sequence[int]) -> str:
    words = [str(site) for site in sorted(sites)]
    return f"row {words[0]}" if len(words) == 1 else f"rows {', '.join(words[:-1])} and {words[-1]}"


def _place(space: SearchSpace, sites: Sequence[int]) -> str:
    """`in the neck` where these are all sites of a part of the detector, else the rows."""
    backbone = len(space.detector.yaml["backbone"])
    parts = {"backbone": [s for s in space.sites if s < backbone], "neck": [s for s in space.sites if s >= backbone]}
    part = next((name for name, all_of_it in parts.items() if set(all_of_it) == set(sites)), "")
    return f"in the {part}" if part else f"after {_rows(sites)}"

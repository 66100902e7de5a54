"""Site selectors: words for sets of rows that attention may follow, such as `stages` or `neck`.

A selector is one function and a decorator.
"""

from collections.abc import Callable
from typing import Any

from gamsearch.errors import SpaceError, nearest
from gamsearch.plugins.registry import Registry, origin_of
from gamsearch.space.detector import Detector

Selector = Callable[[Detector], tuple[int, ...]]

SELECTORS: Registry[Selector] = Registry("site selector", SpaceError)


def selector(find: Selector) -> Selector:
    """Register a function as a word for `sites:` in a space file: `@gamsearch.register.selector`.

    Args:
        find: Takes a `Detector` and returns row numbers that attention may follow; its name is the word.

    Returns:
        The function, unchanged.

    Raises:
        SpaceError: The name is taken.
    """
    SELECTORS.add(find.__name__.rstrip("_"), find, origin_of(find))
    return find


@selector
def stages(detector: Detector) -> tuple[int, ...]:
    """After every block of backbone and neck: 2, 4, 6, 8, 9, 12, 15, 18, 21 in YOLOv8."""
    return detector.stage_sites


@selector
def backbone(detector: Detector) -> tuple[int, ...]:
    """After the blocks of the backbone."""
    return tuple(i for i in detector.stage_sites if detector.rows[i].part == "backbone")


@selector
def neck(detector: Detector) -> tuple[int, ...]:
    """After the blocks of the neck."""
    return tuple(i for i in detector.stage_sites if detector.rows[i].part == "neck")


@selector
def all_(detector: Detector) -> tuple[int, ...]:
    """After every row that attention may follow at all; costly after Concat and Upsample."""
    return detector.sites


def select(detector: Detector, written: Any) -> tuple[int, ...]:
    """Resolve the `sites:` of a space file.

    Args:
        detector: The detector whose rows are meant.
        written: A selector, a row number, or a list of them.

    Returns:
        Row numbers, ascending.

    Raises:
        SpaceError: A word is unknown, repeated or matches no row, or attention cannot follow a row.
    """
    words = written if isinstance(written, list) else [written]
    if not words:
        raise SpaceError(f"at least one site must be given; write a row number or one of {', '.join(SELECTORS)}")
    repeated = [word for i, word in enumerate(words) if word in words[:i]]
    if repeated:
        raise SpaceError(f"{repeated[0]} is given twice; give it once")
    return tuple(sorted({site for word in words for site in _sites_of(detector, word)}))


def _sites_of(detector: Detector, word: Any) -> tuple[int, ...]:
    if type(word) is int:
        detector.check_site(word)
        return (word,)
    if not isinstance(word, str) or word not in SELECTORS:
        raise SpaceError(
            f"{word!r} is neither a row number nor a selector{nearest(word, SELECTORS)}; "
            f"the selectors are {', '.join(SELECTORS)}"
        )
    found = SELECTORS[word](detector)
    if not found:
        first, last = detector.sites[0], detector.sites[-1]
        raise SpaceError(f"'{word}' matches no row of {detector.name}; give row numbers from {first} to {last}")
    return found

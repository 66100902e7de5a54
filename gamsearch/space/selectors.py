"""Site selectors: words for sets of rows that attention may follow, such as `stages`, `neck` or `P3`.

A selector is one function and a decorator.
"""

import re
from collections.abc import Callable
from typing import Any

from gamsearch.errors import SpaceError, nearest
from gamsearch.plugins.registry import Registry, origin_of
from gamsearch.space.detector import Detector

Selector = Callable[[Detector], tuple[int, ...]]

SELECTORS: Registry[Selector] = Registry("site selector", SpaceError)
ROW = re.compile(r"row (\d+)")


def selector(find: Selector | None = None, *, name: str = "") -> Any:
    """Register a function as a word for `sites:` in a space file: `@gamsearch.register.selector`.

    Args:
        find: Takes a `Detector` and returns row numbers that attention may follow; left out where the decorator is
            called with a name.
        name: The word; the function's name by default.

    Returns:
        The function, unchanged.

    Raises:
        SpaceError: The name is taken.
    """

    def register(find: Selector) -> Selector:
        SELECTORS.add(name or find.__name__.rstrip("_"), find, origin_of(find))
        return find

    return register if find is None else register(find)


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


@selector(name="P2")
def p2(detector: Detector) -> tuple[int, ...]:
    """After the blocks at stride 4."""
    return _at_stride(detector, 4)


@selector(name="P3")
def p3(detector: Detector) -> tuple[int, ...]:
    """After the blocks at stride 8."""
    return _at_stride(detector, 8)


@selector(name="P4")
def p4(detector: Detector) -> tuple[int, ...]:
    """After the blocks at stride 16."""
    return _at_stride(detector, 16)


@selector(name="P5")
def p5(detector: Detector) -> tuple[int, ...]:
    """After the blocks at stride 32."""
    return _at_stride(detector, 32)


@selector(name="P6")
def p6(detector: Detector) -> tuple[int, ...]:
    """After the blocks at stride 64, where the detector has them."""
    return _at_stride(detector, 64)


def _at_stride(detector: Detector, stride: int) -> tuple[int, ...]:
    return tuple(i for i in detector.stage_sites if detector.rows[i].stride == stride)


@selector
def detect_inputs(detector: Detector) -> tuple[int, ...]:
    """After the rows that the head reads: 15, 18, 21 in YOLOv8."""
    return tuple(i for i in detector.sites if i in detector.rows[-1].sources)


@selector
def bottlenecks(detector: Detector) -> tuple[int, ...]:
    """The blocks with bottlenecks, in which attention can be (`semantics: inner`): all of YOLOv8's but the SPPF."""
    return tuple(i for i in detector.sites if detector.rows[i].inner)


@selector
def before_sppf(detector: Detector) -> tuple[int, ...]:
    """Before the pyramid pooling (SPPF, SPP or SPPELAN) of the backbone: 8 in YOLOv8."""
    pools = [row for row in detector.rows if row.module.startswith("SPP")]
    return tuple(i for i in detector.sites if any(i in row.sources for row in pools))


@selector
def backbone_end(detector: Detector) -> tuple[int, ...]:
    """After the last block of the backbone: SPPF in YOLOv8, C2PSA in YOLO11."""
    return backbone(detector)[-1:]


@selector
def all_(detector: Detector) -> tuple[int, ...]:
    """After every row that attention may follow at all; costly after Concat and Upsample."""
    return detector.sites


def select(detector: Detector, written: Any) -> tuple[int, ...]:
    """Resolve the `sites:` of a space file.

    Args:
        detector: The detector whose rows are meant.
        written: A number of a block, `row 16` for a row of any kind, selectors of which a row must match all
            (`backbone P3`), or a list of these, of which it must match one.

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


def names_sites(written: Any) -> bool:
    """Check whether a value of a rule names sites in words.

    Args:
        written: Any value.

    Returns:
        Whether it is `row 16`, or a text in which every word is a selector.
    """
    if not isinstance(written, str):
        return False
    words = _words_of(written)
    return ROW.fullmatch(written) is not None or (bool(words) and all(word in SELECTORS for word in words))


def _words_of(written: str) -> list[str]:
    """The selectors in a text, whose names may be written with hyphens: `detect-inputs`."""
    return written.replace("-", "_").split()


def _sites_of(detector: Detector, written: Any) -> tuple[int, ...]:
    if type(written) is int:
        detector.check_site(written)
        if written not in detector.stage_sites:
            row = detector.rows[written]
            raise SpaceError(
                f"row {written} of {detector.name} is {row.module} and not a block; write selectors such as "
                f"'{row.part} P3', which fit every detector, or 'row {written}' if this row is meant"
            )
        return (written,)
    number = ROW.fullmatch(written) if isinstance(written, str) else None
    if number:
        detector.check_site(int(number[1]))
        return (int(number[1]),)
    words = _words_of(written) if isinstance(written, str) else []
    for word in words or [written]:
        if not isinstance(word, str) or word not in SELECTORS:
            raise SpaceError(
                f"{word!r} is neither a row number nor a selector{nearest(word, SELECTORS)}; "
                f"the selectors are {', '.join(SELECTORS)}"
            )
    found = [set(SELECTORS[word](detector)) for word in words]
    both = tuple(sorted(set.intersection(*found)))
    if not both:
        sites = detector.sites
        hint = f"give row numbers from {sites[0]} to {sites[-1]}" if sites else "attention can follow none of its rows"
        raise SpaceError(f"'{written}' matches no row of {detector.name}; {hint}")
    return both

"""Architecture to model YAML: insert attention rows and rewrite every `from`. Dictionary in, dictionary out; no torch.

`inline`: all readers of the site read the attended map. `branch`: only the rows in `consumers` do; all others, the
next row with its -1 included, still read the raw map. `inner`: no row is inserted; the block's row says what is in it.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gamsearch.architecture import SEMANTICS, Architecture, Placement
from gamsearch.attention.catalogue import spec_named
from gamsearch.attention.spec import INNER_ROW
from gamsearch.errors import SpaceError
from gamsearch.space.detector import Detector
from gamsearch.space.layers import Row, absolute_sources


@dataclass(frozen=True)
class Graft:
    """A grafted YAML.

    Attributes:
        yaml: The model YAML.
        row_map: Stock rows to their numbers in it.
        placed: Sites to the numbers of their attention rows; of the block where attention is inside it.
    """

    yaml: dict[str, Any]
    row_map: dict[int, int]
    placed: dict[int, int]


def graft(detector: Detector, architecture: Architecture, explicit_widths: bool = False) -> Graft:
    """Insert an architecture's attention rows `[-1, 1, NAME, ["c2", ...]]` directly after their sites.

    Attention inside a block changes the block's row: `[-1, 3, InnerAttention, [C2f, [128, True], NAME, [...]]]`.

    Args:
        detector: The stock detector; it is not changed.
        architecture: The placements.
        explicit_widths: Write the width of the site instead of `c2`, which the stock parser resolves to it.

    Returns:
        The grafted YAML and the origin of its rows.

    Raises:
        SpaceError: A placement cannot be made; the message names its site.
    """
    placements = {p.site: p for p in _checked(detector, architecture)}
    after = {site for site, p in placements.items() if p.semantics != "inner"}
    row_map = {i: i + sum(site < i for site in after) for i in range(len(detector.rows))}
    placed = {site: row_map[site] + (site in after) for site in placements}
    yaml = copy.deepcopy(detector.yaml)
    stock = [*yaml["backbone"], *yaml["head"]]
    grafted: dict[str, list[Any]] = {"backbone": [], "head": []}
    for i, row in enumerate(stock):
        part = grafted["backbone" if i < len(yaml["backbone"]) else "head"]
        sources = _rewired(i, row[0], placements, row_map, placed)
        part.append([sources, *(row[1:] if i in after or i not in placements else _with_inner(row, placements[i]))])
        if i in after:
            part.append(attention_row(detector, placements[i], explicit_widths))
    return Graft({**yaml, **grafted}, row_map, placed)


def grafted_rows(detector: Detector, grafted: Graft) -> tuple[Row, ...]:
    """List the rows of a grafted YAML; nothing is built, as attention keeps the shape of its input.

    Args:
        detector: The stock detector.
        grafted: What `graft` made of it.

    Returns:
        The stock rows and those of attention, in the numbering of the grafted YAML.
    """
    stock = {new: detector.rows[old] for old, new in grafted.row_map.items()}
    stock |= {
        new: replace(detector.rows[site], convolutions=0) for site, new in grafted.placed.items() if new not in stock
    }
    written = [*grafted.yaml["backbone"], *grafted.yaml["head"]]
    return tuple(
        replace(stock[i], index=i, sources=absolute_sources(i, source), repeats=repeats, module=block_name(row))
        for i, row in enumerate(written)
        for source, repeats, *_ in [row]
    )


def block_name(row: Sequence[Any]) -> str:
    """The module of a row of a grafted YAML, or that of the block that has attention inside it.

    Args:
        row: The row.

    Returns:
        E.g. `C2f`.
    """
    return str(row[3][0] if row[2] == INNER_ROW else row[2])


def attention_row(detector: Detector, placement: Placement, explicit_width: bool = False) -> list[Any]:
    """The YAML row of one placement: `[-1, 1, NAME, ["c2" or the width, *options]]`."""
    width = detector.rows[placement.site].channels if explicit_width else "c2"
    spec = spec_named(placement.module)
    return [-1, 1, spec.row_name, [width, *spec.row_arguments(dict(placement.options))]]


def _with_inner(row: Sequence[Any], placement: Placement) -> list[Any]:
    """The row of a block, without its sources, with attention inside it."""
    spec, (_, repeats, block, arguments) = spec_named(placement.module), row
    return [repeats, INNER_ROW, [block, arguments, spec.row_name, spec.row_arguments(dict(placement.options))]]


def _rewired(
    reader: int, source: Any, placements: Mapping[int, Placement], row_map: dict[int, int], placed: dict[int, int]
) -> Any:
    """The `from` of a stock row in the grafted numbering; -1 is kept where it still refers to the same row."""
    if isinstance(source, list):
        return [_rewired(reader, f, placements, row_map, placed) for f in source]
    stock = reader + source if source < 0 else source
    if stock < 0:
        return source
    placement = placements.get(stock)
    attended = placement is not None and (placement.semantics == "inline" or reader in placement.consumers)
    row = placed[stock] if attended else row_map[stock]
    return -1 if source == -1 and row == row_map[reader] - 1 else row


def _checked(detector: Detector, architecture: Architecture) -> tuple[Placement, ...]:
    """Return the placements if all of them can be made on the detector."""
    if architecture.detector != detector.name:
        raise SpaceError(f"the architecture is for {architecture.detector} and cannot be grafted on {detector.name}")
    sites = [p.site for p in architecture.placements]
    for placement in architecture.placements:
        if sites.count(placement.site) > 1:
            raise SpaceError(f"site {placement.site} has {sites.count(placement.site)} placements; it can have one")
        detector.check_site(placement.site)
        _check_readers(detector, placement)
        try:
            channels = detector.channels(placement.site, placement.semantics)
            spec_named(placement.module).check(channels, dict(placement.options))
        except SpaceError as error:
            inside = "inside " if placement.semantics == "inner" else ""
            raise SpaceError(f"{inside}site {placement.site} of {detector.name}: {error}") from error
    return architecture.placements


def _check_readers(detector: Detector, placement: Placement) -> None:
    """Check `semantics` and `consumers` of a placement against the rows that read its site."""
    site, readers = placement.site, detector.readers(placement.site)
    if placement.semantics not in SEMANTICS:
        raise SpaceError(f"site {site}: semantics must be one of {', '.join(SEMANTICS)}, not '{placement.semantics}'")
    if (placement.semantics == "branch") != bool(placement.consumers):
        raise SpaceError(
            f"site {site}: branch needs the rows that read the attended map as consumers, and inline and inner have "
            f"none, but the consumers of {placement.semantics} are {list(placement.consumers)}"
        )
    if placement.semantics == "inner":
        detector.check_inner(site)
    unrelated = sorted(set(placement.consumers) - set(readers))
    if unrelated:
        raise SpaceError(
            f"site {site}: consumers {', '.join(map(str, unrelated))} do not read it; "
            f"in {detector.name} rows {', '.join(map(str, readers))} do"
        )

"""A drawing of a detector with its attention as inline SVG: rows in columns by part and in bands by stride.

A neck with a top-down and a bottom-up path has one column for each, so that nearly all data flows vertically within a
column and to the right between columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log2

from gamsearch.architecture import Architecture, Placement
from gamsearch.attention.catalogue import CATALOGUE
from gamsearch.attention.spec import START_WORDS
from gamsearch.reporting import theme
from gamsearch.space.detector import Detector
from gamsearch.space.graft import graft, grafted_rows
from gamsearch.space.layers import Row

WIDTH, HEIGHT, PITCH, GAP, LEFT, TOP, TIP = 150, 30, 46, 62, 78, 44, 3
FLOW, EDGE = "#8b95a0", "#8b95a0"
LONGEST_BOLD = 11
"""Most letters of an attention box that do not reach its channels."""


@dataclass(frozen=True)
class Box:
    """Position of a row: its column, its first and last line, and whether data flows upwards in the column."""

    column: int
    line: float
    last_line: float
    upwards: bool = False

    @property
    def x(self) -> float:
        return LEFT + self.column * (WIDTH + GAP)

    @property
    def y(self) -> float:
        return TOP + self.line * PITCH

    @property
    def height(self) -> float:
        return (self.last_line - self.line) * PITCH + HEIGHT


def drawing(stock: Detector, architecture: Architecture) -> str:
    """The grafted detector as one `<svg>`; rows of attention, or with it inside, are coloured, bold and rounded."""
    grafted = graft(stock, architecture)
    rows = grafted_rows(stock, grafted)
    boxes, bands = _layout(rows)
    shown = {grafted.placed[p.site]: p for p in architecture.placements}
    numbers = {copy: site for site, copy in grafted.row_map.items()}
    width = LEFT + (max(b.column for b in boxes.values()) + 1) * (WIDTH + GAP) - GAP + 4
    height = TOP + sum(bands.values()) * PITCH
    parts = [*_bands(bands, width), *_headings(rows, boxes)]
    parts += _edges(rows, boxes, {row for row, p in shown.items() if p.semantics != "inner"})
    parts += [_row(row, boxes[row.index], numbers.get(row.index), shown.get(row.index)) for row in rows]
    return (
        f'<svg class="drawing" role="img" viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}" '
        f'aria-label="{escape(stock.name)} with {escape(architecture.label)}">{_arrow("flow", FLOW)}'
        f"{_arrow('attended', theme.ATTENTION)}{''.join(parts)}</svg>"
    )


def descriptions(stock: Detector, architecture: Architecture) -> list[str]:
    """One sentence per placement, e.g. `GAM after row 4 (C2f, backbone, P3, 64 channels): rate 8`."""
    lines = []
    for p in architecture.placements:
        row = stock.rows[p.site]
        options = ", ".join(f"{name} {value}" for name, value in p.options) or "defaults"
        readers = f"; read only by rows {', '.join(map(str, p.consumers))}" if p.consumers else ""
        where = f"{row.module}, {row.part}, {level(row.stride)}, {stock.channels(p.site, p.semantics)} channels"
        inner = p.semantics == "inner"
        place = f"after the last bottleneck of row {p.site}" if inner else f"after row {p.site}"
        lines.append(f"{p.module} {place} ({where}): {options}{readers}{_module_of(p)}")
    return lines


def _module_of(placement: Placement) -> str:
    """What the module is and how it starts; empty if it is not installed."""
    spec = CATALOGUE.get(placement.module)
    return f". {spec.origin}; {START_WORDS[spec.start_of(dict(placement.options))]}" if spec else ""


def level(stride: int) -> str:
    """`P3` for stride 8."""
    return f"P{round(log2(stride))}" if stride > 0 else "P?"


def _columns(rows: Sequence[Row]) -> dict[int, tuple[int, bool]]:
    """Column of each row and whether it flows upwards: backbone, one per direction of the neck, head."""
    columns: dict[int, int] = {}
    flows = {0: 1}
    column, before = 0, rows[0]
    for row in rows:
        step = (row.stride > before.stride) - (row.stride < before.stride)
        turns = row.part == "neck" == before.part and step and flows[column] not in (0, step)
        if row.part != before.part or turns:
            column += 1
            flows[column] = 0
        if row.part == "neck" and step:
            flows[column] = step
        columns[row.index], before = column, row
    return {index: (column, flows[column] < 0) for index, column in columns.items()}


def _layout(rows: Sequence[Row]) -> tuple[dict[int, Box], dict[int, int]]:
    """Boxes by row and the number of lines per stride; the head spans the lines of its inputs."""
    columns = _columns(rows)
    stacks: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        if row.part != "head":
            stacks.setdefault((row.stride, columns[row.index][0]), []).append(row.index)
    bands = {s: max(len(v) for (t, _), v in stacks.items() if t == s) for s in sorted({s for s, _ in stacks})}
    boxes: dict[int, Box] = {}
    start = 0
    for stride, lines in bands.items():
        for (s, column), stack in stacks.items():
            if s == stride:
                for place, index in enumerate(stack):
                    up = columns[index][1]
                    line = start + (lines - 1 - place if up else place)
                    boxes[index] = Box(column, line, line, up)
        start += lines
    for row in rows:
        if row.part == "head":
            read = [boxes[s].line for s in row.sources if s in boxes] or [0]
            boxes[row.index] = Box(columns[row.index][0], min(read), max(read))
    return boxes, bands


def _bands(bands: Mapping[int, int], width: float) -> Iterator[str]:
    """A hairline above the band of each stride and its name on the left."""
    line = 0
    for stride, lines in bands.items():
        y = TOP + line * PITCH - (PITCH - HEIGHT) / 2
        yield f'<line x1="0" x2="{width}" y1="{y}" y2="{y}" stroke="{theme.HAIRLINE}"/>'
        yield f'<text x="0" y="{y + 20}" class="level">{level(stride)}</text>'
        yield f'<text x="0" y="{y + 36}" class="small">stride {stride}</text>'
        line += lines


def _headings(rows: Sequence[Row], boxes: Mapping[int, Box]) -> Iterator[str]:
    """The name of each column, with its direction if the neck has two."""
    first: dict[int, Row] = {}
    for row in rows:
        first.setdefault(boxes[row.index].column, row)
    necks = sum(row.part == "neck" for row in first.values())
    for row in first.values():
        box = boxes[row.index]
        way = f", {'top-down' if box.upwards else 'bottom-up'}" if row.part == "neck" and necks > 1 else ""
        yield f'<text x="{box.x + WIDTH / 2}" y="18" class="heading">{row.part.capitalize()}{way}</text>'


def _edges(rows: Sequence[Row], boxes: Mapping[int, Box], attended: set[int]) -> Iterator[str]:
    """An arrow from each input to its reader, coloured if it leaves an attention row."""
    taken = {(box.column, box.line) for box in boxes.values()}
    for row in rows:
        for source in row.sources:
            if source >= 0:
                color, kind, pen = (theme.ATTENTION, "attended", 2.2) if source in attended else (FLOW, "flow", 1.4)
                path = _path(boxes[source], boxes[row.index], taken)
                yield f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{pen}" marker-end="url(#{kind})"/>'


def _path(a: Box, b: Box, taken: set[tuple[int, float]]) -> str:
    """An arrow within a column, or a bend and a straight line between columns."""
    if a.column == b.column:
        return _vertical(a, b, taken)
    x0, x1 = (a.x + WIDTH, b.x - TIP) if b.column > a.column else (a.x, b.x + WIDTH + TIP)
    y0 = a.y + HEIGHT / 2
    y1 = y0 if b.line <= a.line <= b.last_line else b.y + HEIGHT / 2
    gap = GAP - TIP if b.column > a.column else TIP - GAP
    late = any((column, b.line) in taken for column in range(a.column + 1, b.column))
    bend = x1 - gap if late else x0
    middle = bend + gap / 2
    return f"M{x0},{y0}H{bend}C{middle},{y0} {middle},{y1} {bend + gap},{y1}H{x1}"


def _vertical(a: Box, b: Box, taken: set[tuple[int, float]]) -> str:
    """A straight arrow between neighbours in a column, else a curve around the boxes between them."""
    low, high = sorted((a.line, b.line))
    if not any(column == a.column and low < line < high for column, line in taken):
        start, end = (a.y + HEIGHT, b.y - TIP) if b.line > a.line else (a.y, b.y + HEIGHT + TIP)
        return f"M{a.x + WIDTH / 2},{start}V{end}"
    side, y0, y1 = a.x + WIDTH, a.y + HEIGHT / 2, b.y + HEIGHT / 2
    return f"M{side},{y0}C{side + 34},{y0} {side + 34},{y1} {side + TIP},{y1}"


def _row(row: Row, box: Box, stock_row: int | None, placement: Placement | None) -> str:
    """One box: row number, module and output channels; an attention box has its site and options."""
    middle = box.y + box.height / 2 + 4.5
    plain = row.module.removeprefix("nn.")
    if placement:
        inner = placement.semantics == "inner"
        words = f"{plain}+{placement.module}" if inner else placement.label.replace(f"@{placement.site}", "", 1)
        words = words if len(words) <= LONGEST_BOLD else placement.module  # the options stand above the drawing
        name, fill, edge, radius, kind = (
            _short(words, LONGEST_BOLD),
            theme.ATTENTION,
            theme.INK,
            HEIGHT / 2,
            "attention",
        )
    else:
        name, fill, edge, radius, kind = _short(plain, 12), theme.PAPER, EDGE, 5, "module"
    number = f"@{placement.site}" if placement else f"{stock_row}"
    hover = f"{placement.label}" if placement else f"row {stock_row}: {row.module}"
    return (
        f'<g><title>{escape(hover)}, {row.channels} channels, stride {row.stride}</title><rect x="{box.x}" y="{box.y}" '
        f'width="{WIDTH}" height="{box.height}" rx="{radius}" fill="{fill}" stroke="{edge}"/>'
        f'<text x="{box.x + 10}" y="{middle}" class="index {kind}">{number}</text>'
        f'<text x="{box.x + 36}" y="{middle}" class="{kind}">{escape(name)}</text>'
        f'<text x="{box.x + WIDTH - 10}" y="{middle}" class="channels {kind}">'
        f"{'' if row.part == 'head' else row.channels}</text></g>"
    )


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _arrow(name: str, color: str) -> str:
    return (
        f'<defs><marker id="{name}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0.5L7,4L0,7.5z" fill="{color}"/></marker></defs>'
    )

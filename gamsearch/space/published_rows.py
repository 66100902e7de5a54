"""Rows of a hand-written model YAML beside those of a stock one: which are the same, which attention was inserted.

Rows keep their order, so each is the next stock row or attention. Numbers do not: every `from` is followed to the
stock row that it means, raw or attended. No torch.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gamsearch.attention.row_options import OWN_WIDTH
from gamsearch.attention.spec import INNER_ARGUMENTS, INNER_ROW
from gamsearch.errors import SpaceError, nearest
from gamsearch.space.layers import absolute_sources

IMAGE = -1


class RowError(SpaceError):
    """A row that has no meaning beside the stock rows.

    Attributes:
        number: Its number in the file.
    """

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.number = number


@dataclass(frozen=True)
class Inserted:
    """An attention row that somebody inserted.

    Attributes:
        number: Its number in the file.
        site: The stock row that it reads.
        module: What it calls its module.
        arguments: Its arguments.
        readers: The stock rows that read it; none if it is inside a block.
    """

    number: int
    site: int
    module: str
    arguments: list[Any]
    readers: tuple[int, ...]


@dataclass
class _Traced:
    """The rows of a file so far: what each gives out as `(stock row, attended)`, and who reads attended maps."""

    outputs: dict[int, tuple[int, bool]] = field(default_factory=lambda: {IMAGE: (IMAGE, False)})
    attention: dict[int, int] = field(default_factory=dict)  # site to the number of its attention row
    readers: dict[int, list[int]] = field(default_factory=dict)


def find_inserted(
    name: str, stock: Sequence[Sequence[Any]], written: Sequence[Sequence[Any]], known: Collection[str]
) -> list[Inserted]:
    """Find the attention rows in a file that otherwise holds the stock rows.

    Args:
        name: Name of the stock detector, for messages.
        stock: Its rows.
        written: The rows of the file, each of the right form.
        known: Names of attention modules.

    Returns:
        The inserted rows in their order.

    Raises:
        RowError: A row is neither the next stock row nor attention, or it reads another row than it should.
    """
    traced, place = _Traced(), 0
    inside: list[Inserted] = []
    for number, given in enumerate(written):
        row, inner = _without_inner(given)
        if place < len(stock) and same(stock[place], row, place == len(stock) - 1):
            _trace_stock(traced, name, number, row, place, absolute_sources(place, stock[place][0]))
            inside += [Inserted(number, place, module, [OWN_WIDTH, *options], ()) for module, options in inner]
            place += 1
        elif row[2] in known:
            _trace_attention(traced, name, number, row)
        else:
            raise RowError(number, _neither(name, stock, place, row, known))
        for module, _ in inner:
            if module not in known:
                raise RowError(number, f"has {module} inside it, which is no attention module{nearest(module, known)}")
    if place < len(stock):
        missing = f"row {place} of {name}, {list(stock[place])}, is missing after it"
        raise RowError(len(written) - 1, f"is the last one, but {missing}")
    for site, number in traced.attention.items():
        if not traced.readers.get(site):
            raise RowError(number, "is read by no row, so it would do nothing; let a row read it, or leave it out")
    return inside + [
        Inserted(number, site, written[number][2], list(written[number][3]), tuple(traced.readers[site]))
        for site, number in traced.attention.items()
    ]


def _without_inner(row: Sequence[Any]) -> tuple[Sequence[Any], list[tuple[str, list[Any]]]]:
    """The row of a block as the stock YAML has it, and the module that gamsearch wrote into it with its options."""
    if row[2] != INNER_ROW or [type(one) for one in row[3]] != INNER_ARGUMENTS:
        return row, []
    block, arguments, module, options = row[3]
    return [*row[:2], block, arguments], [(module, options)]


def same(stock: Sequence[Any], row: Sequence[Any], is_head: bool = False) -> bool:
    """Whether two rows have the same module, repeats and arguments; a head may state its number of classes.

    Args:
        stock: A row of a stock YAML.
        row: A row of another one.
        is_head: Whether they are the last rows.

    Returns:
        Whether they are the same but for their sources.
    """
    plain = [_plain(one, is_head) for one in (stock, row)]
    return plain[0] == plain[1]


def _plain(row: Sequence[Any], is_head: bool) -> tuple[Any, ...]:
    arguments = [None if value == "None" else value for value in row[3]]
    if is_head and arguments and type(arguments[0]) is int:
        arguments[0] = "nc"
    return row[1], str(row[2]).removeprefix("nn."), [(type(value), value) for value in arguments]


def _trace_stock(
    traced: _Traced, name: str, number: int, row: Sequence[Any], place: int, expected: Sequence[int]
) -> None:
    """Check the sources of a stock row, and note which of the maps that it reads are attended."""
    found = [traced.outputs[source] for source in absolute_sources(number, row[0])]
    if [site for site, _ in found] != list(expected):
        numbers = {output: n for n, output in traced.outputs.items()}
        wanted = " and ".join(_number_of(site, numbers) for site in expected)
        raise RowError(number, f"is row {place} of {name} and must read {wanted} here, not {row[0]}")
    traced.outputs[number] = (place, False)
    for site in {site for site, attended in found if attended}:
        if (site, False) in found:
            raise RowError(number, f"reads row {site} of {name} both with and without attention; let it read one")
        traced.readers.setdefault(site, []).append(place)


def _number_of(site: int, numbers: Mapping[tuple[int, bool], int]) -> str:
    """The number of a stock row in the file, and that of its attention."""
    attended = numbers.get((site, True))
    return f"{numbers[site, False]}" + (f" (or {attended}, its attention)" if attended is not None else "")


def _trace_attention(traced: _Traced, name: str, number: int, row: Sequence[Any]) -> None:
    """Note which stock row an attention row reads."""
    sources = absolute_sources(number, row[0])
    if len(sources) != 1 or isinstance(row[0], list):
        raise RowError(number, f"must read one row, such as -1, not {row[0]}")
    if row[1] != 1:
        raise RowError(number, f"must have 1 repeat, not {row[1]}")
    site, attended = traced.outputs[sources[0]]
    if site == IMAGE:
        raise RowError(number, f"reads the image; attention can follow a row of {name}")
    if attended or site in traced.attention:
        other = traced.attention[site]
        raise RowError(number, f"is the second attention on row {site} of {name}, after row {other}; leave one of them")
    traced.attention[site] = number
    traced.outputs[number] = (site, True)


def _neither(name: str, stock: Sequence[Sequence[Any]], place: int, row: Sequence[Any], known: Collection[str]) -> str:
    if place == len(stock):
        return f"follows the head of {name}, after which nothing may come"
    likely = nearest(str(row[2]), known)
    return (
        f"is neither row {place} of {name}, {list(stock[place])}, nor an attention module{likely}; "
        "`python -m gamsearch list attention` names the modules, and a plug-in adds your own"
    )

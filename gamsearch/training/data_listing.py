"""The files of a data set as a run found them, to name those that differ later. No torch."""

import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path

from gamsearch.errors import one_line
from gamsearch.files import UnreadableError, read_regular
from gamsearch.training.dataset import DataSet

LISTING = "data_files.txt.gz"
"""In a run's folder: a line per image of split, name, bytes, and twelve hexadecimal digits of its labels."""
UNREADABLE = "unreadable_images.txt"
"""In a run's folder, if there are any: split, path and reason."""
NAMED = 5
"""Most files that a message names."""
LARGEST = 1 << 27
"""Bytes of a listing that is read; a million images need half of it."""


def keep(data: DataSet, folder: Path) -> None:
    """Write the listing of a data set, and the names of its unreadable images, unless that was done before.

    Args:
        data: The data set, checked.
        folder: The run's folder.
    """
    listing = folder / LISTING
    if listing.exists():
        return
    lost = [f"{split} {path}: {reason}" for split, found in data.unreadable.items() for path, reason in found.items()]
    if lost:
        (folder / UNREADABLE).write_text("\n".join(lost) + "\n", encoding="utf-8")
    listing.write_bytes(gzip.compress("\n".join(map(_short, data.lines)).encode(), mtime=0))


def changes(lines: Sequence[str], path: Path) -> str:
    """Say which files of a data set differ from those of a listing.

    Args:
        lines: `DataSet.lines` of the data set as it is.
        path: The listing of the data set as it was.

    Returns:
        One clause that names the first few, or an empty string where that is not known.
    """
    then, now = _by_name(_read(path)), _by_name([_short(line) for line in lines])
    if not then:
        return ""
    found = [_change(name, then.get(name), now.get(name)) for name in sorted({*then, *now})]
    different = [one_line(change) for change in found if change]
    if not different:
        return ""
    more = f" and {len(different) - NAMED} more" if len(different) > NAMED else ""
    differ = "1 differs" if len(different) == 1 else f"{len(different)} differ"
    return f"{differ}: {'; '.join(different[:NAMED])}{more}"


def _short(line: str) -> str:
    return line if line.startswith(("name ", "kpt_shape ")) else line[: len(line) - 64 + 12]


def _read(path: Path) -> list[str]:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(read_regular(path, LARGEST))) as file:
            content = file.read(LARGEST + 1)
        return content.decode().split("\n") if len(content) <= LARGEST else []
    except (OSError, EOFError, ValueError, zlib.error, UnreadableError):  # damaged: the comparison says less
        return []


def _by_name(lines: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Size and label digest by image, name by class number; lines of another form are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        if line.startswith("name "):
            _, number, name = line.split(" ", 2)
            found[f"class {number}"] = (name,)
        elif line.count(" ") >= 3:
            split, rest = line.split(" ", 1)
            name, size, labels = rest.rsplit(" ", 2)
            found[f"{split} {name}"] = (size, labels)
    return found


def _change(name: str, then: tuple[str, ...] | None, now: tuple[str, ...] | None) -> str:
    if then == now:
        return ""
    if then is None or now is None:
        return f"{name} is {'new' if then is None else 'missing'}"
    if len(then) != 2 or len(now) != 2:
        return f"{name} was {then[0]}, is {now[0]}"
    if then[0] != now[0]:
        return f"{name} had {then[0]} bytes, has {now[0]}"
    return f"the labels of {name} changed"

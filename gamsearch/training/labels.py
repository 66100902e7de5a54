"""YOLO label files: where they lie and what a row may hold. No torch, no ultralytics."""

import os
from collections.abc import Callable
from pathlib import Path

from gamsearch.errors import DataError
from gamsearch.files import UnreadableError, read_regular

LONGEST = 16 << 20
"""Bytes of a label file."""
TOLERANCE = 0.01
"""Ultralytics accepts coordinates up to 1 + this, because annotation tools round."""


def label_path(image: str | Path) -> Path:
    """Return where Ultralytics looks for the labels of an image: its last `/images/` as `/labels/`, suffix `.txt`."""
    there = f"{os.sep}labels{os.sep}".join(str(image).rsplit(f"{os.sep}images{os.sep}", 1))
    return Path(there.rsplit(".", 1)[0] + ".txt")


def label_text(path: Path) -> str | None:
    """Return the text of a label file, None where there is none (an image without objects)."""
    try:
        return read_regular(path, LONGEST).decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except UnreadableError as error:
        raise DataError(f"the label file {path} must be a text file, but {error}; remove it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the label file {path} cannot be read as text: {error}") from error


def count_boxes(path: Path, text: str, nc: int) -> int:
    """Return the number of rows of a label file, or raise for the first that Ultralytics would reject."""
    rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    polygons = has_polygons(text)
    for number, words in rows:
        problem = _problem(words, nc, polygons)
        if problem:
            raise DataError(f"{path}, line {number}: {problem}")
    return len(rows)


def has_polygons(text: str) -> bool:
    """Whether a label file holds polygons, of which Ultralytics takes the bounding boxes: more than 6 columns."""
    return any(len(line.split()) > 6 for line in text.splitlines())


def _problem(words: list[str], nc: int, polygons: bool) -> str | None:
    """Return what is wrong with a label row, or None. A file holds boxes (5 columns) or polygons (odd, 7 or more)."""
    fits: Callable[[int], bool] = (lambda n: n >= 7 and n % 2 == 1) if polygons else (lambda n: n == 5)
    if not fits(len(words)):
        rule = (
            "polygon file needs class x1 y1 x2 y2 x3 y3 …" if polygons else "box has 5 columns, class x y width height"
        )
        return f"a {rule}, but the row has {len(words)}"
    try:
        number, *coordinates = map(float, words)
    except ValueError:
        return f"every column must be a number, but the row is '{' '.join(words[:7])}'"
    if not (number.is_integer() and 0 <= number < nc):
        return f"the class must be a whole number from 0 to {nc - 1} (`names` has {nc}), but is {words[0]}"
    outside = next((value for value in coordinates if not 0 <= value <= 1 + TOLERANCE), None)
    if outside is not None:
        return f"coordinates must be fractions from 0 to 1, but one is {outside:g}: divide pixels by width and height"
    return None

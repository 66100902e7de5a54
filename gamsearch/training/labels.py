"""YOLO label files: where they lie and what a row may hold. No torch, no ultralytics."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from gamsearch.errors import DataError
from gamsearch.files import UnreadableError, read_regular
from gamsearch.tasks import Task

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


@dataclass(frozen=True)
class LabelForm:
    """What a row of a label file must hold.

    Attributes:
        task: The task of the model.
        nc: Number of classes.
        kpt_shape: Number of key points and of values for each; empty where there are none.
    """

    task: Task
    nc: int
    kpt_shape: tuple[int, ...] = ()

    def count(self, path: Path, text: str) -> int:
        """Return the number of rows of a label file, or raise for the first that Ultralytics would reject."""
        rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        polygons = has_polygons(text)
        for number, words in rows:
            problem = self._wrong_form(len(words), polygons) or self._wrong_value(words)
            if problem:
                raise DataError(f"{path}, line {number}: {problem}")
        return len(rows)

    @property
    def rule(self) -> str:
        """The columns of a row."""
        return {
            "detect": "class x y width height",
            "segment": "class x1 y1 x2 y2 x3 y3 …",
            "obb": "class x1 y1 x2 y2 x3 y3 x4 y4",
            "pose": f"class x y width height and {' x '.join(map(str, self.kpt_shape))} values of key points",
        }[self.task.name]

    def _wrong_form(self, columns: int, polygons: bool) -> str | None:
        """Why a row has the wrong number of columns. A detector takes boxes or the boxes around polygons."""
        if self.task.name == "detect":
            fits = columns >= 7 and columns % 2 == 1 if polygons else columns == 5
            rule = "polygon file needs class x1 y1 x2 y2 x3 y3 …" if polygons else f"box has 5 columns, {self.rule}"
            return None if fits else f"a {rule}, but the row has {columns}"
        values = 4 + math.prod(self.kpt_shape) if self.kpt_shape else 8
        if columns >= 7 and columns % 2 == 1 if self.task.name == "segment" else columns == 1 + values:
            return None
        box = ", which is a box: label what the task needs, or give a detector as --model" if columns == 5 else ""
        return f"{self.task.noun} needs rows of {self.rule}, but the row has {columns} columns{box}"

    def _wrong_value(self, words: list[str]) -> str | None:
        try:
            number, *values = map(float, words)
        except ValueError:
            return f"every column must be a number, but the row is '{' '.join(words[:7])}'"
        if not (number.is_integer() and 0 <= number < self.nc):
            return (
                f"the class must be a whole number from 0 to {self.nc - 1} (`names` has {self.nc}), but is {words[0]}"
            )
        if self.kpt_shape:  # after x and y of a key point comes its visibility, which is no coordinate
            each = self.kpt_shape[1]
            values = [*values[:4], *(v for i, v in enumerate(values[4:]) if i % each < 2)]
        outside = next((value for value in values if not 0 <= value <= 1 + TOLERANCE), None)
        if outside is not None:
            return (
                f"coordinates must be fractions from 0 to 1, but one is {outside:g}: divide pixels by width and height"
            )
        return None


def has_polygons(text: str) -> bool:
    """Whether a label file holds polygons, of which Ultralytics takes the bounding boxes: more than 6 columns."""
    return any(len(line.split()) > 6 for line in text.splitlines())

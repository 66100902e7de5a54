"""The errors of the package, and what their messages say.

    GamsearchError                  the user can fix it: one sentence, exit code 2
    ├── SpaceError                  a search space file, a placement, an option of an attention module
    ├── DataError                   the data YAML, the images, the labels
    ├── ModelError                  the --model file, its checkpoint, its YAML
    ├── RunError                    the results folder, its settings, its record
    └── OptionError                 a command-line option

    CandidateFailed                 one candidate could not be evaluated: recorded with its reason, the search continues

A message says what must hold, what was found, and how to fix it.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Any
from unicodedata import category

ESCAPE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
"""A control sequence of a terminal: colours, cursor, titles. Its visible rest would garble a message."""
REORDERING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
"""Characters that change the direction of the text after them."""
LONGEST = 2000
"""Most characters of a message, which may quote file names and values from anywhere."""


class GamsearchError(Exception):
    """Base of every error that the user can fix; its text is the one sentence that the command line prints."""


class SpaceError(GamsearchError):
    """A search space file, a placement or an attention option is invalid."""


class DataError(GamsearchError):
    """The data set cannot be read as a YOLO data set of the task."""


class ModelError(GamsearchError):
    """The detector cannot be read or built."""


class RunError(GamsearchError):
    """The results folder cannot be used."""


class OptionError(GamsearchError):
    """An option, or the name of a metric, sampler or backend, is invalid."""


class CandidateFailed(Exception):
    """One candidate could not be evaluated.

    Attributes:
        reason: One of `REASONS`.
        detail: What happened, in one sentence.
    """

    REASONS = ("nan", "out_of_memory", "build", "identity", "batch_changed", "nms_time_limit", "latency", "error")

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the closest known name.

    Args:
        name: What the user wrote.
        known: The valid names.

    Returns:
        ` (did you mean 'X'?)`, or an empty string if none is close.
    """
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def plural(number: float, noun: str, many: str = "") -> str:
    """Write a number with its noun in the right form.

    Args:
        number: The number.
        noun: What is counted, in the singular.
        many: The plural where that is not the singular with an `s`.

    Returns:
        E.g. `1 candidate` or `3 candidates`.
    """
    text = f"{number:.0f}" if number == int(number) else f"{number:g}"
    return f"{text} {noun if number == 1 else many or noun + 's'}"


def is_control(character: str) -> bool:
    """Check whether a terminal could obey a character, or whether it is none.

    Args:
        character: One character.

    Returns:
        True for control characters, line separators, lone surrogates and what changes the direction of the text.
    """
    if character.isprintable():
        return False
    return character in REORDERING or category(character) in ("Cc", "Cs", "Zl", "Zp")


def one_line(text: Any) -> str:
    """Make a text safe to print: one line of bounded length, without control characters and sequences.

    Args:
        text: Anything that can be converted to a string.

    Returns:
        The line.
    """
    line = " ".join(ESCAPE.sub("", str(text)).split())
    safe = "".join("?" if is_control(c) else c for c in line)
    return safe if len(safe) <= LONGEST else f"{safe[:LONGEST]}…"

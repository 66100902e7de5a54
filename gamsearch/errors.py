"""What can go wrong, and who is told.

    GamsearchError                  the user can mend it: one sentence, exit code 2
    ├── SpaceError                  a search space file, a placement, an option of an attention module
    ├── DataError                   the data YAML, the images, the labels
    ├── ModelError                  the --model file, its checkpoint, its YAML
    ├── RunError                    the results folder, its settings, its record
    └── OptionError                 a command-line option

    CandidateFailed                 one candidate could not be evaluated: recorded with its reason, the search goes on

A message says what must hold, what came, and what to do.
"""

import difflib
from collections.abc import Iterable
from typing import Any

LONGEST = 2000
"""Characters of a message; file names and values in it may come from anywhere."""


class GamsearchError(Exception):
    """Base of every error that the user can mend; its text is the one sentence that the command line prints."""


class SpaceError(GamsearchError):
    """A search space file, a placement or an attention option is not admissible."""


class DataError(GamsearchError):
    """The data set cannot be read as a YOLO detection data set."""


class ModelError(GamsearchError):
    """The detector cannot be read or built."""


class RunError(GamsearchError):
    """The results folder cannot be used."""


class OptionError(GamsearchError):
    """A command-line option has a value that it cannot have."""


class CandidateFailed(Exception):
    """One candidate could not be evaluated; `reason` is one of `REASONS`."""

    REASONS = ("nan", "out_of_memory", "build", "identity", "batch_changed", "nms_time_limit", "error")

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'X'?)` for the known name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def one_line(text: Any) -> str:
    """The text on one line of bounded length, without characters that would do something to a terminal."""
    line = " ".join(str(text).split())
    shown = "".join(c if c.isprintable() else "?" for c in line)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"

"""The console that commands print to, which ends a command quietly once nobody reads its output any more."""

import os
import sys

from rich.console import Console


class OutputClosed(KeyboardInterrupt):
    """The reader of the output, such as `head`, has ended: a search stops as after Ctrl-C, without a message."""


class Output(Console):
    """A `rich` console that raises `OutputClosed` where the output is a pipe whose reader has ended."""

    def on_broken_pipe(self) -> None:
        """Raise `OutputClosed`; whatever is printed afterwards is discarded."""
        self.quiet = True
        discard_output()
        raise OutputClosed


def discard_output() -> None:
    """Redirect the standard output to nowhere, so that Python does not fail on it again while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""The command `completion`, which prints a script that lets a shell complete commands, options and names."""

import argparse
from collections.abc import Callable, Iterable

from gamsearch.cli.parser import Command, Parser
from gamsearch.errors import OptionError, nearest

SHELLS = ("bash", "zsh", "tcsh")
FILES = ("YAML", "MANIFEST", "MODEL", "PEM")
"""What stands for a file in the help of an option."""
FOLDERS = ("folder", "folders", "out")
"""Arguments that are folders."""


def _names() -> dict[str, Iterable[str]]:
    """What options and arguments can be, where that is known without the user's files."""
    from gamsearch.cli.inspect import LISTS
    from gamsearch.models.latency.backends import BACKENDS
    from gamsearch.runs.export_formats import FORMATS, PRECISIONS
    from gamsearch.runs.prepare import PREPARE
    from gamsearch.runs.settings import SCREENS
    from gamsearch.runs.tracking.trackers import TRACKERS
    from gamsearch.space.search_space import shipped_spaces
    from gamsearch.strategy.samplers import SAMPLERS
    from gamsearch.strategy.stopping import STOPPING

    return {
        "space": shipped_spaces(),
        "sampler": SAMPLERS.names(),
        "latency": BACKENDS.names(),
        "track": TRACKERS.names(),
        "stopping": STOPPING,
        "evaluator": PREPARE,
        "screen": SCREENS,
        "formats": FORMATS,
        "precision": PRECISIONS,
        "what": LISTS,
        "shell": SHELLS,
    }


def script(parser: Parser, shell: str) -> str:
    """Write the completion of the whole command line.

    Args:
        parser: The parser; its actions are changed, so it is not used for parsing afterwards.
        shell: One of `SHELLS`.

    Returns:
        The script.

    Raises:
        OptionError: There is no completion for that shell.
    """
    import shtab

    if shell not in SHELLS:
        raise OptionError(
            f"there is no completion for '{shell}'{nearest(shell, SHELLS)}; there are {', '.join(SHELLS)}"
        )
    known = _names()
    for one in (parser, *parser.commands.values()):
        one.prog = one.prog.replace("python -m gamsearch", "gamsearch")
        for action in one._actions:
            if action.dest in known:
                action.choices = list(known[action.dest])
            elif action.dest in FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif action.metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(parser, shell=shell)


def command(parser: Callable[[], Parser]) -> Command:
    """The command.

    Args:
        parser: Builds the parser of the whole command line.

    Returns:
        The command, which completes itself as well.
    """

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("shell", help=", ".join(SHELLS))

    def carry_out(options: argparse.Namespace) -> None:
        print(script(parser(), options.shell))

    return Command(
        "completion",
        "print a script with which a shell completes commands, options and names",
        ("bash > ~/.local/share/bash-completion/completions/gamsearch", "zsh"),
        add,
        carry_out,
        "SHELL",
        json=False,
    )

"""The parser of `python -m gamsearch`: commands with examples, options in groups, suggestions for misspelt words."""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from rich_argparse import RawDescriptionRichHelpFormatter

from gamsearch import __version__
from gamsearch.errors import OptionError, nearest

PROGRAM = "python -m gamsearch"
JSON = "print one JSON document; everything else goes to standard error (default: text)"
DESCRIPTION = (
    "Find out whether attention is worth its latency in your YOLO detector: which module, where, and how strong."
)


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: The word after `python -m gamsearch`.
        summary: One line for the overview.
        examples: Arguments of two typical calls.
        add_options: Adds its options to a parser.
        carry_out: Does what the parsed options say, prints it, and returns it as plain values for `--json`; None where
            the command has no such option.
        arguments: What stands without a flag, for the usage line.
        json: Whether it has `--json`.
    """

    name: str
    summary: str
    examples: tuple[str, ...]
    add_options: Callable[[argparse.ArgumentParser], None]
    carry_out: Callable[[argparse.Namespace], Any]
    arguments: str = ""
    json: bool = True


class Formatter(RawDescriptionRichHelpFormatter):
    """Help in colour on a terminal, plain text elsewhere; a bit wider than argparse's own."""

    def __init__(self, prog: str, **options: Any):
        super().__init__(prog, max_help_position=30, **options)


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one sentence that suggests the nearest known word."""

    def error(self, message: str) -> NoReturn:
        """Raise `OptionError` instead of printing the usage and leaving the process."""
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        if unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            word = unknown[1].partition("=")[0]
            raise OptionError(f"unknown option '{word}'{nearest(word, flags)}; see `{self.prog} --help`")
        wrong = re.search(r"invalid choice: '?(.*?)'? \(choose from", message)
        if wrong:
            known = list(self.commands)
            raise OptionError(f"unknown command '{wrong[1]}'{nearest(wrong[1], known)}; there are {', '.join(known)}")
        raise OptionError(f"{message}; see `{self.prog} --help`")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown options in the command that they were given to, which knows the nearest ones."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    @property
    def commands(self) -> dict[str, "Parser"]:
        """The parsers of the commands by name."""
        return {name: below for a in self._actions for name, below in (getattr(a, "choices", None) or {}).items()}


def build_parser(commands: Sequence[Command]) -> Parser:
    """Build the parser of the whole command line.

    Args:
        commands: The commands, in the order of the overview.

    Returns:
        A parser whose result has `carry_out`, the chosen command's function; None where no command was given.
    """
    examples = "\n".join(f"  {PROGRAM} {command.name} {command.examples[0]}".rstrip() for command in commands)
    whole = Parser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=f"examples:\n{examples}\n\n`{PROGRAM} COMMAND --help` explains the options of a command.",
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=__version__)
    whole.set_defaults(carry_out=None)
    below = whole.add_subparsers(metavar="command", parser_class=Parser)
    for command in commands:
        lines = "\n".join(f"  {PROGRAM} {command.name} {example}".rstrip() for example in command.examples)
        parser = below.add_parser(
            command.name,
            usage=f"{PROGRAM} {command.name} [options]{f' {command.arguments}' if command.arguments else ''}",
            help=command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=f"examples:\n{lines}",
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        parser.set_defaults(carry_out=command.carry_out, json=False)
        command.add_options(parser)
        if command.json:
            parser.add_argument("--json", action="store_true", help=JSON)
    return whole

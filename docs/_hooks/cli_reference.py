"""Fills `<!-- cli reference -->` with the commands and options that the parser has."""

import argparse
import re

from gamsearch.cli.main import COMMANDS, parser
from gamsearch.cli.parser import PROGRAM

MARK = "<!-- cli reference -->"
DEFAULT = re.compile(r" ?\((default: [^()]*|required)\)$")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called by mkdocs for every page."""
    return markdown.replace(MARK, reference()) if MARK in markdown else markdown


def reference() -> str:
    """The reference of all commands as Markdown."""
    commands = parser().commands
    return "\n\n".join(_section(command.name, command.summary, command.examples, commands) for command in COMMANDS)


def _section(name: str, summary: str, examples: tuple[str, ...], commands: dict) -> str:
    calls = "\n".join(f"{PROGRAM} {name} {example}".rstrip() for example in examples)
    groups = "\n\n".join(filter(None, map(_group, commands[name]._action_groups)))
    return f"## {name}\n\n{summary[0].upper()}{summary[1:]}.\n\n```\n{calls}\n```\n\n{groups}"


def _group(group: argparse._ArgumentGroup) -> str:
    rows = [_row(action) for action in group._group_actions if action.option_strings[:1] != ["-h"]]
    if not rows:
        return ""
    title = {"positional arguments": "Arguments", "options": "Options"}.get(group.title or "", group.title or "")
    title = title[:1].upper() + title[1:]
    return f"| {title} | | default |\n|---|---|---|\n" + "\n".join(rows)


def _row(action: argparse.Action) -> str:
    flag = ", ".join(action.option_strings) or action.metavar or action.dest
    value = "" if action.nargs == 0 or not action.option_strings else f" {action.metavar or action.dest.upper()}"
    text, default = _split((action.help or "").replace("|", "\\|"))
    return f"| `{flag}{value}` | {text} | {default} |"


def _split(text: str) -> tuple[str, str]:
    """The help of an option without its default, and the default."""
    found = DEFAULT.search(text)
    if not found:
        return text, ""
    return text[: found.start()], found[1].removeprefix("default: ")

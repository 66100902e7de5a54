"""Fills `<!-- cli reference -->` with the commands and options that the parser has."""

import argparse

from gamsearch.cli.main import COMMANDS, parser
from gamsearch.cli.parser import PROGRAM

MARK = "<!-- cli reference -->"


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
    title = {"positional arguments": "Arguments", "options": "Options"}.get(group.title or "", group.title)
    return f"**{(title or '').capitalize()}**\n\n| option | |\n|---|---|\n" + "\n".join(rows)


def _row(action: argparse.Action) -> str:
    flag = ", ".join(action.option_strings) or action.metavar or action.dest
    value = "" if action.nargs == 0 or not action.option_strings else f" {action.metavar or action.dest.upper()}"
    return f"| `{flag}{value}` | {(action.help or '').replace('|', chr(92) + '|')} |"

"""The command `clean`, which frees what a run's folder no longer needs."""

import argparse
from pathlib import Path
from typing import Any

from gamsearch.cli.arguments import add_folder
from gamsearch.cli.parser import Command


def _add_clean(parser: argparse.ArgumentParser) -> None:
    add_folder(parser)
    parser.add_argument("--dry-run", action="store_true", help="only list what would be deleted (default: delete it)")
    parser.add_argument(
        "--weights", action="store_true", help="delete trained weights too, which `export` needs (default: keep them)"
    )


def _clean(options: argparse.Namespace) -> dict[str, Any]:
    """Delete, or list, what can be deleted; say what is kept."""
    from gamsearch.runs.cleaning import Freed, clean

    freed = clean(Path(options.folder), options.weights, options.dry_run)
    for one in freed:
        print(one.text)
    total = Freed("", sum(one.files for one in freed), sum(one.size for one in freed))
    weights = "" if options.weights else ", weights that `export` needs"
    verb = "would free" if options.dry_run else "freed"
    print(f"{verb} {total.amount}; kept: record, reports, exports, baseline{weights}")
    parts = [{"what": one.what, "files": one.files, "bytes": one.size} for one in freed]
    return {"deleted": not options.dry_run, "files": total.files, "bytes": total.size, "parts": parts}


COMMANDS = (
    Command(
        "clean",
        "delete checkpoints and other files that a run no longer needs; never its record or its exports",
        ("results/mine --dry-run", "results/mine --weights"),
        _add_clean,
        _clean,
        "FOLDER",
    ),
)

"""Arguments that several commands share."""

import argparse
from typing import Any


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add the argument that most commands have.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("folder", help="the run's folder, e.g. results/my-search")


def add_trust(group: Any) -> None:
    """Add `--trust-checkpoint`.

    Args:
        group: A parser or a group of options.
    """
    group.add_argument(
        "--trust-checkpoint",
        action="store_true",
        default=None,
        help="open a .pt that can only be read by running code in it (default: refuse)",
    )


def training_arguments(pairs: list[str] | None) -> dict[str, Any] | None:
    """Read `--train`.

    Args:
        pairs: `key=value` texts, or None.

    Returns:
        Typed arguments, or None where none were given.

    Raises:
        OptionError: An argument is unknown, reserved or malformed.
    """
    if not pairs:
        return None
    from gamsearch.training.recipe import parse_overrides

    return parse_overrides(pairs)

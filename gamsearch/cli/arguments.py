"""Arguments that several commands share."""

import argparse
from collections.abc import Sequence
from typing import Any

from gamsearch.errors import one_line


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


def add_precision(parser: argparse.ArgumentParser, usual: Sequence[str]) -> None:
    """Add `--precision`, and `--data` for the images that int8 needs.

    Args:
        parser: The command's parser.
        usual: The precisions where none are named.
    """
    parser.add_argument(
        "--precision",
        nargs="+",
        default=usual,
        metavar="PRECISION",
        help=f"fp32, fp16, int8: of each format (default: {' '.join(usual)})",
    )
    parser.add_argument("--data", metavar="YAML", help="the run's data set, if it was moved (default: the run's path)")


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


def number_or_auto(text: str) -> int | str:
    """Read a whole number or `auto`.

    Args:
        text: What was given.

    Returns:
        The number, or `auto`.

    Raises:
        ArgumentTypeError: It is neither.
    """
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a whole number or auto, not '{one_line(text)[:80]}'") from error


def minutes(text: str) -> float:
    """Read a number of minutes.

    Args:
        text: What was given.

    Returns:
        The number, at least 0.

    Raises:
        ArgumentTypeError: It is negative or not finite.
    """
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of minutes, not '{text[:80]}'")
    return number


def names(text: str) -> tuple[str, ...]:
    """Read names that are separated by commas.

    Args:
        text: What was given.

    Returns:
        The names.
    """
    return tuple(text.split(","))

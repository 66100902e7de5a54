"""`python -m gamsearch`: parse, carry out one command, turn errors into one sentence. Heavy imports stay inside."""

import contextlib
import sys
from collections.abc import Sequence

from gamsearch.cli import benchmark, clean, completion, inspect, results, run
from gamsearch.cli.parser import Parser, build_parser
from gamsearch.cli.printing import as_json
from gamsearch.errors import GamsearchError, OptionError, is_control, one_line
from gamsearch.plugins.loading import load_entry_points
from gamsearch.runs.output import OutputClosed, discard_output
from gamsearch.signals import stop_request

CLOSED = 141
"""The exit code that a shell reports for a program that ends as its output pipe is closed (128 + SIGPIPE)."""

COMMANDS = (
    *run.COMMANDS,
    *results.COMMANDS,
    *benchmark.COMMANDS,
    *clean.COMMANDS,
    *inspect.COMMANDS,
    completion.command(lambda: parser()),
)


def parser() -> Parser:
    """The parser of the whole command line; the reference in docs/ is generated from it."""
    return build_parser(COMMANDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after the program's name; those of the process if left out.

    Returns:
        The exit code: 0, 2 after an error that the user can fix, 130 after Ctrl-C, or 141 where the output was piped to
        a program that ended first, such as `head`.
    """
    try:
        with stop_request.precedence():
            return _command(arguments)
    except (BrokenPipeError, OutputClosed):
        discard_output()
        return CLOSED
    except SystemExit:  # of --help and --version
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            discard_output()
            return CLOSED
        raise
    except GamsearchError as error:
        return _refused(str(error))
    except OSError as error:
        return _refused(f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}")
    except (RecursionError, MemoryError) as error:
        return _refused(f"something in the input is too large or nested too deeply ({type(error).__name__}); fix it")
    except KeyboardInterrupt:
        return stop_request.report()


def _command(arguments: Sequence[str] | None) -> int:
    """Parse and carry out; return the exit code."""
    _refuse_control_characters(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(arguments)
    if options.carry_out is None:
        parser().print_help()
        return 0
    load_entry_points()
    if options.json:
        with contextlib.redirect_stdout(sys.stderr):
            content = options.carry_out(options)
        print(as_json(content))
    else:
        options.carry_out(options)
    stop_request.check()
    sys.stdout.flush()
    return 0


def _refuse_control_characters(words: Sequence[str]) -> None:
    """Refuse what a terminal would obey when a name is printed, and what is not text, in every argument alike."""
    for word in words:
        if any(map(is_control, word)):
            raise OptionError(
                f"the argument '{one_line(word)[:80]}' must be text in UTF-8 without control characters; rename "
                "what it names, or leave them out"
            )


def _refused(sentence: str) -> int:
    """Print why nothing was done, on one line; return the exit code for it."""
    print(f"gamsearch: {one_line(sentence)}", file=sys.stderr)
    return 2

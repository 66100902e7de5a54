"""`python -m gamsearch` and the script `gamsearch`: the signals are handled before anything heavy is imported."""

import sys

from gamsearch.signals import stop_request


def main() -> int:
    """Run the command line of this process.

    Returns:
        The exit code; see `gamsearch.cli.main.main`.
    """
    stop_request.install()
    try:
        with stop_request.allowed():
            from gamsearch.cli.main import main as command_line

            code = command_line()
    except BaseException:
        if not stop_request.was_requested():
            raise
        code = stop_request.report()
    stop_request.finish(code)
    return code


if __name__ == "__main__":
    sys.exit(main())

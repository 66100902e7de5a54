"""`python -m gamsearch`."""

import sys

from gamsearch.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m gamsearch`."""

import sys

from gamsearch.cli import main

if __name__ == "__main__":
    sys.exit(main())

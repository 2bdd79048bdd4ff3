"""``python -m chunkseg.cli``: the command line, where its script is not on the path."""

import sys

from chunkseg.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())

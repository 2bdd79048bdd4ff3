"""``chunkseg methods``: a Methods paragraph of a result."""

from __future__ import annotations

import argparse

from chunkseg.api.result import Result
from chunkseg.cli.printing import say
from chunkseg.report.methods import methods


def command(args: argparse.Namespace) -> int:
    """Print the paragraph."""
    say([methods(Result.open(args.output)).rstrip("\n")])
    return 0

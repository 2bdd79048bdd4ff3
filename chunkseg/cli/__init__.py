"""The command line."""

from chunkseg.cli.entry import main

__all__ = ["main"]

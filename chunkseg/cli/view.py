"""``chunkseg view``: a result in napari."""

from __future__ import annotations

import argparse

from chunkseg.napari.viewing import show


def command(args: argparse.Namespace) -> int:
    """Show a result until the window is closed."""
    show(args.output)
    return 0

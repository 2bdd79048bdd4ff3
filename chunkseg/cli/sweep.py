"""``chunkseg sweep``: several radii of erosion tried on one mask."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from chunkseg.api.radius import RadiusSweep, sweep_radius
from chunkseg.cli.messages import progress
from chunkseg.cli.printing import aligned, say
from chunkseg.cli.run import chosen_workflow, opened
from chunkseg.report.extra import missing
from chunkseg.report.radius import write_pictures
from chunkseg.storage.places import folder_of

SHOWN = ("radius", "t", "mask", "eroded", "final", "split", "median", "min", "max")


def command(args: argparse.Namespace) -> int:
    """Sweep, print the table, write it and the pictures."""
    out = folder_of(args.output)
    with progress() as tell:
        swept = sweep_radius(
            opened(args),
            args.radii,
            out,
            workflow=chosen_workflow(args),
            input_is_mask=args.input_is_mask,
            workers=args.workers,
            overwrite=args.overwrite,
            progress=tell,
        )
    table = swept.table
    table.to_csv(out / "sweep.csv", index=False)
    say([*_lines(table), *aligned([["written to", str(out)]])])
    _draw(swept, out)
    return 0


def _lines(table: pd.DataFrame) -> list[str]:
    shown = table[[name for name in SHOWN if name in table]]
    rows = [[f"{value:g}" for value in row] for row in shown.to_numpy(dtype=float)]
    return aligned([list(shown.columns), *rows])


def _draw(swept: RadiusSweep, out: Path) -> None:
    """Write the pictures, where the libraries are there."""
    absent = missing()
    if absent:
        say([f"no pictures: {', '.join(absent)} not installed"])
        return
    write_pictures(swept, out)

"""``chunkseg convert``: any image that can be opened, as OME-Zarr."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from chunkseg.api.saving import Saving
from chunkseg.cli.cluster import cluster_of
from chunkseg.cli.messages import progress
from chunkseg.cli.printing import aligned, say
from chunkseg.cli.run import opened

DIFFERENT = 1


def command(args: argparse.Namespace) -> int:
    """Convert, and return 1 if what is read back differs."""
    saving = Saving.of(
        opened(args), args.output, args.chunks, args.shards, args.levels, args.ome_zarr, None
    )
    with cluster_of(args) as execution, progress() as tell:
        saving.save(execution, tell)
        differences = saving.differences(execution, tell) if args.verify else None
    say(converted_lines(saving, differences))
    return DIFFERENT if differences else 0


def converted_lines(saving: Saving, differences: Sequence[str] | None) -> list[str]:
    """Lines about what was written, and what came of reading it back."""
    saved = saving.saved
    shapes = (" x ".join(map(str, level.shape)) for level in saved.levels)
    rows = [
        ["written to", str(saved.place)],
        ["format", f"OME-Zarr {saved.frames.version}, {saved.dtype}"],
        ["levels", ", ".join(shapes)],
    ]
    if differences is not None:
        told = "; ".join(differences) or "every voxel is that of the input, every level as it must"
        rows.append(["verified", told])
    return aligned(rows)

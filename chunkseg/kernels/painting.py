"""Painting the runs of a block into a box of voxels, each id by its entry in a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Slices
from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.runs import Local, Runs
from chunkseg.kernels.separable import volume_axes


def paint(runs: Runs, core: Box, table: NDArray[Any], out: NDArray[Any], box: Box) -> None:
    """Paint the part of a block that lies within a box.

    Parameters
    ----------
    runs
        Runs of the block; of more than three axes they are spread out first.
    core
        Where the block lies.
    table
        Value of each local id; entry 0 is the background's.
    out
        The voxels of ``box``, C-contiguous, and of the background's value where the block is: ids
        of that value are not painted.
    box
        Where ``out`` lies.
    """
    part = core.intersect(box)
    if not part.size:
        return
    if len(core.shape) > 3:
        out[part.slices(box.start)] = table[runs.filled()[part.slices(core.start)]]
        return
    ones = volume_axes(core.start, 0), volume_axes(part.start, 0), volume_axes(part.stop, 1)
    shape = np.array(volume_axes(core.shape, 1))
    _paint(
        runs.stop,
        runs.region,
        shape,
        np.array(ones[0]),
        np.array(ones[1]),
        np.array(ones[2]),
        table,
        out.reshape(volume_axes(out.shape, 1)),
        np.array(volume_axes(box.start, 0)),
    )


def plane(runs: Runs, axis: int, side: int) -> Local:
    """Ids on the first (``side`` 0) or last (-1) plane of an axis, flat in C order.

    Examples
    --------
    >>> from chunkseg.kernels.runs import label_runs
    >>> plane(label_runs(np.array([[7, 7, 0], [5, 7, 7]]))[1], axis=1, side=-1).tolist()
    [0, 1]
    """
    part = [slice(0, n) for n in runs.shape]
    part[axis] = slice(0, 1) if side == 0 else slice(runs.shape[axis] - 1, runs.shape[axis])
    return within(runs, tuple(part)).reshape(-1)


def within(runs: Runs, part: Slices) -> Local:
    """Ids in a part of the block, given by slices with both ends and no steps."""
    if len(runs.shape) > 3:
        return runs.filled()[part]
    box = Box(tuple(s.start for s in part), tuple(s.stop for s in part))
    out = np.zeros(box.shape, np.uint32)
    table = np.arange(int(runs.region.max(initial=0)) + 1, dtype=np.uint32)
    paint(runs, Box.whole(runs.shape), table, out, box)
    return out


@compiled()
def _paint(
    stops: Any,
    region: Any,
    shape: Any,
    origin: Any,
    low: Any,
    high: Any,
    table: Any,
    out: Any,
    corner: Any,
) -> None:  # pragma: no cover - compiled
    run, background = 0, table[0]
    for z in range(shape[0]):
        for y in range(shape[1]):
            first = (z * shape[1] + y) * shape[2]
            end = first + shape[2]
            gz, gy = z + origin[0], y + origin[1]
            if not (low[0] <= gz < high[0] and low[1] <= gy < high[1]):
                while run < stops.size and stops[run] <= end:
                    run += 1
                continue
            row = out[gz - corner[0], gy - corner[1]]
            shift = origin[2] - first
            stop = first
            while stop < end:
                start, stop = stop, stops[run]
                value = table[region[run]]
                run += 1
                a = max(start + shift, low[2]) - corner[2]
                b = min(stop + shift, high[2]) - corner[2]
                if value != background and a < b:
                    row[a:b] = value

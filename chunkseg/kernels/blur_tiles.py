"""The three sweeps of a Gaussian blur, fused: a few planes at a time, a row of voxels at a time.

SciPy sweeps the whole array once per axis and keeps every sweep's result in memory. Here the z
sweep turns the rows of one y into doubles once and writes one row per plane into a ring that holds
as many rows as the y kernel is long; the y sweep combines a ring into one row; the x sweep combines
that row with itself, shifted, into the output. All between input and output stays in cache.

Bits are kept because each voxel sees SciPy's own arithmetic in SciPy's own order: the centre first,
then the symmetric pairs from the outside in, in double precision, rounded to the image's precision
after each axis. Nothing is contracted or reordered.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.vectors import weigh, weigh_two

PLANES = 8
_TILE = 320


@compiled()
def blur_box(image: Any, scale: float, wz: Any, wy: Any, wx: Any, box: Any, out: Any) -> None:
    """Blur ``image`` over ``box`` into ``out``, tile by tile of a few planes and some columns."""
    tile = box.copy()
    columns = box[2, 1] - box[2, 0]
    tiles = max(1, -(-columns // _TILE))
    for z in range(box[0, 0], box[0, 1], PLANES):
        tile[0] = z, min(z + PLANES, box[0, 1])
        for i in range(tiles):
            tile[2] = box[2, 0] + columns * i // tiles, box[2, 0] + columns * (i + 1) // tiles
            _blur_tile(image, scale, wz, wy, wx, box[:, 0], tile, out)


@compiled()
def _blur_tile(
    image: Any, scale: float, wz: Any, wy: Any, wx: Any, origin: Any, tile: Any, out: Any
) -> None:
    """Sweep down the rows of a few planes: z into the rings, rings into a row, row into ``out``."""
    nz, ny, nx = image.shape
    z, x = tile[0, 0], tile[2, 0]
    planes, columns = tile[0, 1] - z, tile[2, 1] - x
    rz, ry, rx = wz.size - 1, wy.size - 1, wx.size - 1
    left, right = max(x - rx, 0), min(x + columns + rx, nx)
    width = right - left
    depth = min(2 * ry + 2, ny)
    rings = np.empty(planes * depth * width)
    stack = np.empty(min(nz, planes + 2 * rz) * width)
    rows = np.empty((2, columns + 2 * rx))
    line = np.empty(columns)
    taps = np.empty(2 * max(rz, ry) + 2, np.int64)
    shifts = np.arange(2 * rx + 1)
    ready = max(tile[1, 0] - ry, 0)
    for y in range(tile[1, 0], tile[1, 1], 2):
        both = y + 1 < tile[1, 1]
        while ready < min(y + both + ry + 1, ny):
            first = _load(image, scale, z - rz, z + planes + rz, ready, left, stack, width)
            ring = rings[ready % depth * width :]
            _sweep_z(stack, wz, z, planes, nz, first, taps, ring, depth * width, width)
            for p in range(planes):
                _round(ring[p * depth * width :][:width], out)
            ready += 1
        _row_taps(taps, y, ry, ny, 0, depth, width)
        middle = rows[:, left - x + rx : right - x + rx]
        for p in range(planes):
            ring = rings[p * depth * width : (p + 1) * depth * width]
            _weigh_rows(middle[0], middle[1], both, ring, taps[: 2 * ry + 2], wy)
            for k in range(1 + both):
                row = rows[k]
                _round(middle[k], out)
                row[: left - x + rx] = middle[k, 0]
                row[right - x + rx :] = middle[k, -1]
                weigh(line, row, shifts, wx)
                _store(out[z + p - origin[0], y + k - origin[1]], line, x - origin[2])


@compiled()
def _sweep_z(
    stack: Any,
    weights: Any,
    z: int,
    planes: int,
    nz: int,
    first: int,
    taps: Any,
    ring: Any,
    step: int,
    width: int,
) -> None:
    """Combine the rows of one y over z, one row per plane, ``step`` apart in the rings."""
    radius = weights.size - 1
    for p in range(0, planes, 2):
        both = p + 1 < planes
        _row_taps(taps, z + p, radius, nz, first, nz, width)
        one, other = ring[p * step :][:width], ring[(p + both) * step :][:width]
        _weigh_rows(one, other, both, stack, taps[: 2 * radius + 2], weights)


@compiled()
def _weigh_rows(one: Any, other: Any, both: bool, source: Any, taps: Any, weights: Any) -> None:
    """Weigh one row, or ``both`` of two that follow each other."""
    if both:
        weigh_two(one, other, source, taps, weights)
    else:
        weigh(one, source, taps[:-1], weights)


@compiled()
def _load(
    image: Any, scale: float, start: int, stop: int, y: int, left: int, stack: Any, width: int
) -> int:
    """Fill ``stack`` with row ``y`` of the planes start..stop-1, scaled; return the first plane."""
    first = max(start, 0)
    for z in range(first, min(stop, image.shape[0])):
        source = image[z, y, left : left + width]
        target = stack[(z - first) * width : (z - first + 1) * width]
        for i in range(width):
            target[i] = source[i] * scale
    return first


@compiled()
def _row_taps(
    taps: Any, centre: int, radius: int, n: int, first: int, depth: int, width: int
) -> None:
    """Where the rows around ``centre`` and the one after it begin; clamped to rows 0..n-1.

    They are counted from row ``first`` and wrap around after ``depth`` rows.
    """
    for k in range(2 * radius + 2):
        row = min(max(centre - radius + k, 0), n - 1)
        taps[k] = (row - first) % depth * width


@compiled()
def _round(row: Any, out: Any) -> None:
    """Round doubles to the precision of ``out``, as SciPy does between two axes."""
    for i in range(row.size):
        row[i] = out.dtype.type(row[i])


@compiled()
def _store(target: Any, line: Any, start: int) -> None:
    for i in range(line.size):
        target[start + i] = line[i]

"""Sums over the 2 x 2 (x 2) windows of a block, per region: which of the voxels are the region's.

Blocks add up, provided that each window is counted once. The rule: a window belongs, *for each
label in it*, to the block whose core holds the window's first voxel (in raster order) of that
label. A block then never adds to a label that its core does not hold, and windows that straddle
the frame's edge, where everything outside is background, need no rule of their own.

Windows in which all voxels are equal contribute nothing and are found a row at a time; the others
are looked up by their bits, once per label in them: cost follows from the voxels and the surfaces,
never from the number of labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import KindError
from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.components import Local
from chunkseg.kernels.separable import as_volume, inner_box, volume_axes

HALO = 1


def need_dimensions(name: str, grown: Local, dimensions: tuple[int, ...]) -> None:
    """Raise KindError where a measure is not defined for the dimensions of a block."""
    if grown.ndim not in dimensions:
        needed = " or ".join(f"{n}-D" for n in dimensions)
        raise KindError(
            f"{name} is defined for {needed} label images only; got {grown.ndim} dimensions. "
            "Leave it out of the properties."
        )


def window(code: int) -> NDArray[np.bool_]:
    """Voxels of a 2 x 2 x 2 window by its number: bit 0 is the first voxel, x runs fastest."""
    return (code >> np.arange(8) & 1).astype(bool).reshape(2, 2, 2)


def window_table(
    ndim: int, columns: Callable[[NDArray[np.bool_]], Sequence[int]]
) -> NDArray[np.int64]:
    """Tabulate whole numbers over the 256 windows; ``columns`` gives a row for a window's voxels.

    A 2-D window is taken for one of 3-D with two equal planes, so that its first plane decides.
    """
    windows = [window(code) if ndim == 3 else window(code)[0] for code in range(256)]
    return np.array([columns(window) for window in windows], np.int64)


def window_sums(
    grown: Local, inner: Sequence[slice], count: int, table: NDArray[Any]
) -> NDArray[Any]:
    """Sum a table's rows over the windows of each region that a block is to count.

    Parameters
    ----------
    grown
        Local ids of a 2-D or 3-D block grown by ``HALO`` or more, clipped to the frame.
    inner
        The core within ``grown``.
    count
        Number of local ids that the core holds: 1 to ``count``. Others are not counted.
    table
        One row per window, shape (256, k), int64 or float64; zero for windows 0 and 255 (in 2-D:
        wherever the first plane is uniform).

    Returns
    -------
    (count, k) array of the table's dtype
    """
    core = inner_box(grown.shape, inner)
    start, stop = volume_axes(core.start, 0), volume_axes(core.stop, 1)
    sums = np.zeros((count, table.shape[1]), table.dtype)
    if core.size:
        labels = as_volume(np.ascontiguousarray(grown, np.uint32))
        _sweep_windows(labels, start, stop, grown.ndim - 2, table, sums)
    return sums


@compiled()
def _sweep_windows(
    labels: Any, start: Any, stop: Any, deep: int, table: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    """Go through all windows that meet the core; ``deep`` is 0 for a 2-D block (one plane), else 1.

    The four rows of voxels of a row of windows are copied to ``lines``, with what surrounds them.
    """
    nz, ny, nx = stop[0] - start[0], stop[1] - start[1], stop[2] - start[2]
    lines = np.zeros((2, 2, nx + 2), np.uint32)
    mixed = np.zeros((2, nx + 2), np.uint32)
    for z in range(-deep, nz):
        owned_z = _owned(z, nz, 0x0F) if deep else 0xFF
        for y in range(-2, ny):
            for plane in range(1 + deep):
                row = lines[plane, y & 1]
                _load(labels, start[0] + z + plane, start[1] + y + 1, start[2] - 1, row)
            if y >= -1:
                a, b = lines[0, y & 1 ^ 1], lines[0, y & 1]
                c, d = lines[deep, y & 1 ^ 1], lines[deep, y & 1]
                _find_mixed(a, b, c, d, mixed)
                _add_row(a, b, c, d, mixed[1], owned_z & _owned(y, ny, 0x33), table, sums)


@compiled()
def _load(labels: Any, z: int, y: int, x: int, line: Any) -> None:  # pragma: no cover - compiled
    """Copy a row of a block from ``x`` on; what lies outside the block is background."""
    planes, rows, columns = labels.shape
    line[:] = 0
    if 0 <= z < planes and 0 <= y < rows:
        first, last = max(x, 0), min(x + line.size, columns)
        line[first - x : last - x] = labels[z, y, first:last]


@compiled()
def _owned(at: int, length: int, lower: int) -> int:  # pragma: no cover - compiled
    """Bits of a window's voxels, at ``at`` and ``at + 1`` along one axis, that lie in the core.

    ``lower`` has the bits of those at ``at``; the core goes from 0 to ``length``.
    """
    first = lower if at >= 0 else 0
    second = 0xFF ^ lower if at + 1 < length else 0
    return first | second


@compiled()
def _find_mixed(a: Any, b: Any, c: Any, d: Any, mixed: Any) -> None:  # pragma: no cover - compiled
    """Set ``mixed[1]`` to other than 0 where windows over four rows hold different values."""
    columns, windows = mixed[0], mixed[1]
    for x in range(a.size):
        columns[x] = (a[x] ^ b[x]) | (a[x] ^ c[x]) | (a[x] ^ d[x])
    for x in range(a.size - 1):
        windows[x] = columns[x] | columns[x + 1] | (a[x] ^ a[x + 1])


@compiled()
def _add_row(
    a: Any, b: Any, c: Any, d: Any, mixed: Any, owned_zy: int, table: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    """Add the mixed windows over four rows to the labels in them."""
    for x in range(a.size - 1):
        if not mixed[x]:
            continue
        owned = owned_zy & _owned(x - 1, a.size - 2, 0x55)
        left = 0xFF ^ _where(a, b, c, d, x, np.uint32(0))
        while left:
            first = _lowest(left)
            row = c if first & 4 else a
            if first & 2:
                row = d if first & 4 else b
            value = row[x + (first & 1)]
            code = _where(a, b, c, d, x, value)
            left &= ~code
            if owned >> first & 1:
                for column in range(table.shape[1]):
                    sums[value - 1, column] += table[code, column]


@compiled()
def _where(a: Any, b: Any, c: Any, d: Any, x: int, value: Any) -> int:  # pragma: no cover
    """Bits of the voxels of a window that have a value."""
    code = (a[x] == value) | (a[x + 1] == value) << 1
    code |= (b[x] == value) << 2 | (b[x + 1] == value) << 3
    code |= (c[x] == value) << 4 | (c[x + 1] == value) << 5
    return code | (d[x] == value) << 6 | (d[x + 1] == value) << 7


@compiled()
def _lowest(bits: int) -> int:  # pragma: no cover - compiled
    """Place of the lowest bit that is set."""
    place = 0
    while not bits >> place & 1:
        place += 1
    return place

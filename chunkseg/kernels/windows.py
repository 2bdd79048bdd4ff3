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
from chunkseg.kernels.runs import Local
from chunkseg.kernels.separable import as_volume, inner_box

HALO = 1

_LOWEST = np.array([0] + [(n & -n).bit_length() - 1 for n in range(1, 256)])
"""Place of the lowest bit that is set."""


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
    labels = as_volume(surrounded(grown, inner, HALO))
    sums = np.zeros((count, table.shape[1]), table.dtype)
    if all(n > 2 * HALO for n in labels.shape[3 - grown.ndim :]):
        _sweep_windows(labels, grown.ndim - 2, table, sums)
    return sums


def surrounded(grown: Local, inner: Sequence[slice], halo: int) -> Local:
    """Copy the core with exactly ``halo`` voxels around it, background where the frame ends."""
    core = inner_box(grown.shape, inner)
    result = np.zeros([n + 2 * halo for n in core.shape], np.uint32)
    source, target = [], []
    for start, stop, length in zip(core.start, core.stop, grown.shape, strict=True):
        first, last = max(start - halo, 0), min(stop + halo, length)
        source.append(slice(first, last))
        target.append(slice(first - start + halo, last - start + halo))
    result[tuple(target)] = grown[tuple(source)]
    return result


@compiled()
def _sweep_windows(labels: Any, deep: int, table: Any, sums: Any) -> None:  # pragma: no cover
    """Go through all windows that meet the core, which has one voxel around it.

    ``deep`` is 0 for a 2-D block (one plane), else 1.
    """
    planes, rows, columns = labels.shape
    mixed = np.zeros((2, columns), np.uint32)
    for z in range(planes - deep):
        owned_z = _owned(z - 1, planes - 2, 0x0F) if deep else 0xFF
        for y in range(rows - 1):
            a, b = labels[z, y], labels[z, y + 1]
            c, d = labels[z + deep, y], labels[z + deep, y + 1]
            if _find_mixed(a, b, c, d, mixed):
                owned = owned_z & _owned(y - 1, rows - 2, 0x33)
                _add_row(a, b, c, d, mixed[1], owned, table, sums)


@compiled()
def _owned(at: int, length: int, lower: int) -> int:  # pragma: no cover - compiled
    """Bits of a window's voxels, at ``at`` and ``at + 1`` along one axis, that lie in the core.

    ``lower`` has the bits of those at ``at``; the core goes from 0 to ``length``.
    """
    first = lower if at >= 0 else 0
    second = 0xFF ^ lower if at + 1 < length else 0
    return first | second


@compiled()
def _find_mixed(a: Any, b: Any, c: Any, d: Any, mixed: Any) -> Any:  # pragma: no cover - compiled
    """Set ``mixed[1]`` to other than 0 where windows over four rows hold different values.

    Returns other than 0 if there are such windows.
    """
    columns, windows = mixed[0], mixed[1]
    one = np.uint64(1)
    some = np.uint32(0)
    for x in range(np.uint64(a.size)):
        columns[x] = (a[x] ^ b[x]) | (a[x] ^ c[x]) | (a[x] ^ d[x])
    for x in range(np.uint64(a.size - 1)):
        windows[x] = columns[x] | columns[x + one] | (a[x] ^ a[x + one])
        some |= windows[x]
    return some


@compiled()
def _add_row(
    a: Any, b: Any, c: Any, d: Any, mixed: Any, owned_zy: int, table: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    """Add each mixed window over four rows to those of its labels whose first voxel is owned."""
    for x in range(np.uint64(mixed.size - 1)):
        if not mixed[x]:
            continue
        owned = owned_zy & _owned(np.int64(x) - 1, mixed.size - 2, 0x55)
        left = 0xFF ^ _where(a, b, c, d, x, np.uint32(0))
        while left:
            first = _LOWEST[left]
            at = x + np.uint64(first & 1)
            upper = b[at] if first & 2 else a[at]
            lower = d[at] if first & 2 else c[at]
            value = lower if first & 4 else upper
            code = _where(a, b, c, d, x, value)
            left &= ~code
            if owned >> first & 1:
                for column in range(np.uint64(table.shape[1])):
                    sums[np.uint64(value - 1), column] += table[code, column]


@compiled()
def _where(a: Any, b: Any, c: Any, d: Any, x: Any, value: Any) -> int:  # pragma: no cover
    """Bits of the voxels of a window that have a value."""
    after = x + np.uint64(1)
    code = (a[x] == value) | (a[after] == value) << 1
    code |= (b[x] == value) << 2 | (b[after] == value) << 3
    code |= (c[x] == value) << 4 | (c[after] == value) << 5
    return code | (d[x] == value) << 6 | (d[after] == value) << 7

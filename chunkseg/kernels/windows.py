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
from numba import njit
from numpy.typing import NDArray

from chunkseg.errors import KindError
from chunkseg.kernels.components import Local
from chunkseg.kernels.separable import as_volume, inner_box

HALO = 1


def need_dimensions(name: str, grown: Local, dimensions: tuple[int, ...]) -> None:
    """Raise KindError where a measure is not defined for the dimensions of a block."""
    if grown.ndim not in dimensions:
        needed = " or ".join(f"{n}-D" for n in dimensions)
        raise KindError(
            f"{name} is defined for {needed} label images only; got {grown.ndim} dimensions. "
            "Leave it out of the properties."
        )


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
    _sweep_windows(labels, table, sums)
    return sums


@njit(cache=True, nogil=True)
def _sweep_windows(labels: Any, table: Any, sums: Any) -> None:  # pragma: no cover - compiled
    nz, ny, nx = labels.shape
    mixed = np.empty((2, nx), np.uint32)
    values = np.empty(8, np.uint32)
    deep = nz > 1
    for z in range(max(nz - 1, 1)):
        above, below = labels[z], labels[z + deep]
        owned_z = _owned(z, nz, 0x0F) if deep else 0xFF
        for y in range(ny - 1):
            _find_mixed(above[y], above[y + 1], below[y], below[y + 1], mixed)
            owned_zy = owned_z & _owned(y, ny, 0x33)
            for x in range(nx - 1):
                if mixed[1, x]:
                    for dx in range(2):
                        values[dx] = above[y, x + dx]
                        values[2 + dx] = above[y + 1, x + dx]
                        values[4 + dx] = below[y, x + dx]
                        values[6 + dx] = below[y + 1, x + dx]
                    _add_window(values, owned_zy & _owned(x, nx, 0x55), table, sums)


@njit(cache=True, nogil=True)
def _owned(at: int, length: int, lower: int) -> int:  # pragma: no cover - compiled
    """Bits of a window's voxels that lie in the core along one axis; ``lower``: its lower half."""
    first = lower if at > 0 else 0
    second = 0xFF ^ lower if at < length - 2 else 0
    return first | second


@njit(cache=True, nogil=True)
def _find_mixed(a: Any, b: Any, c: Any, d: Any, mixed: Any) -> None:  # pragma: no cover - compiled
    """Set ``mixed[1]`` to other than 0 where a row's windows hold different values.

    ``a`` to ``d`` are the four rows of voxels of a row of windows.
    """
    columns, windows = mixed[0], mixed[1]
    for x in range(a.size):
        columns[x] = (a[x] ^ b[x]) | (a[x] ^ c[x]) | (a[x] ^ d[x])
    for x in range(a.size - 1):
        windows[x] = columns[x] | columns[x + 1] | (a[x] ^ a[x + 1])


@njit(cache=True, nogil=True)
def _add_window(
    values: Any, owned: int, table: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    done = 0
    for first in range(8):
        value = values[first]
        if value == 0 or done >> first & 1:
            continue
        code = 0
        for i in range(8):
            code |= (values[i] == value) << i
        done |= code
        if owned >> first & 1:
            for column in range(table.shape[1]):
                sums[value - 1, column] += table[code, column]

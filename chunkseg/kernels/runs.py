"""Runs of equal labels along the rows of a block, its labels numbered anew.

Objects are made of far fewer runs than voxels. What is summed per label takes a step per run, and
where intensities are summed it goes through a run's stretch of the image without looking at labels
again; so the labels of a block are looked at once, whatever is measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.separable import inner_box, volume_axes

Local = NDArray[np.uint32]

_STEP = 16


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of a block, in raster order; none goes beyond its row.

    Attributes
    ----------
    shape
        Shape of the block.
    stop
        Where each run ends, counted in voxels from the block's first; it begins where the one
        before ended.
    region
        Local id of each run, 0 for background.
    """

    shape: tuple[int, ...]
    stop: NDArray[np.int64]
    region: NDArray[np.uint32]

    @property
    def volume(self) -> tuple[int, int, int]:
        """Shape with axes of length 1 put in front, up to three."""
        planes, rows, columns = (*(1,) * (3 - len(self.shape)), *self.shape)
        return planes, rows, columns

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of voxels of each run."""
        return np.diff(self.stop, prepend=0)

    def filled(self) -> Local:
        """The block's local ids."""
        local = np.empty(self.shape, np.uint32)
        _fill(self.stop, self.region, local.reshape(-1))
        return local

    def within(self, inner: Sequence[slice]) -> Runs:
        """Runs of a part of the block."""
        core = inner_box(self.shape, inner)
        start, stop = volume_axes(core.start, 0), volume_axes(core.stop, 1)
        size = len(self.stop) if core.size else 0
        stops, region = np.empty(size, np.int64), np.empty(size, np.uint32)
        count = _cut(self.stop, self.region, self.volume, start, stop, stops, region) if size else 0
        return Runs(core.shape, stops[:count], region[:count])


def label_runs(labels: NDArray[Any]) -> tuple[NDArray[np.int64], Runs]:
    """Runs of a block of labels, numbered from 1 in order of first occurrence.

    Memory and time follow from the labels that occur, never from the largest one.

    Parameters
    ----------
    labels
        Integer block; 0 is background.

    Returns
    -------
    ids : int64 array
        The label of each local id; ``ids[i]`` belongs to local id ``i + 1``.
    runs : Runs

    Examples
    --------
    >>> ids, runs = label_runs(np.array([[7, 7, 0], [5, 7, 7]]))
    >>> ids.tolist(), runs.stop.tolist(), runs.region.tolist()
    ([7, 5], [2, 3, 4, 6], [1, 0, 2, 1])
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    length = labels.shape[-1] if labels.ndim else 1
    stop = np.empty(_count(flat, length), np.int64)
    region = np.empty(len(stop), np.uint32)
    ids = _label_runs(flat, length, stop, region)
    return ids, Runs(labels.shape, stop, region)


def id_runs(local: Local) -> Runs:
    """Runs of a block that holds local ids already."""
    return Runs(local.shape, *value_runs(local))


def value_runs(image: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Where each run of equal values ends, and the bits of its value, as an unsigned integer.

    Equal values have equal bits, so that the kernels are compiled for half of the dtypes.
    """
    flat = np.ascontiguousarray(image).reshape(-1).view(f"u{image.itemsize}")
    length = image.shape[-1] if image.ndim else 1
    stop = np.empty(_count(flat, length), np.int64)
    value = np.empty(len(stop), flat.dtype)
    _find_runs(flat, length, stop, value)
    return stop, value


def background_runs(shape: tuple[int, ...]) -> Runs:
    """Runs of a block that holds background only: one per row.

    Examples
    --------
    >>> background_runs((2, 3)).stop.tolist()
    [3, 6]
    """
    rows, length = math.prod(shape[:-1]), shape[-1]
    return Runs(shape, length * np.arange(1, rows + 1), np.zeros(rows, np.uint32))


def compact(labels: NDArray[Any]) -> tuple[NDArray[np.int64], Local]:
    """Number the labels that occur in a block from 1: as :func:`label_runs`, but voxel by voxel.

    Returns
    -------
    ids : int64 array
        The label of each local id; ``ids[i]`` belongs to local id ``i + 1``.
    local : uint32 array
        Local ids, shaped as ``labels``.
    """
    ids, runs = label_runs(labels)
    return ids, runs.filled()


@compiled()
def _count(flat: Any, length: int) -> int:  # pragma: no cover - compiled
    """Count the runs of rows of a length."""
    total = 0
    one = np.uint64(1)
    for start in range(0, flat.size, max(length, 1)):
        changes = 0
        for i in range(np.uint64(start + 1), np.uint64(start + length)):
            changes += flat[i] != flat[i - one]
        total += 1 + changes
    return total


@compiled()
def _end(flat: Any, at: Any, stop: Any) -> Any:  # pragma: no cover - compiled
    """End of the run that begins at a voxel, in a row that ends at ``stop``; all unsigned."""
    step = np.uint64(_STEP)
    value = flat[at]
    at += np.uint64(1)
    while at + step <= stop:
        different = flat[at] ^ value
        for k in range(np.uint64(_STEP)):
            different |= flat[at + k] ^ value
        if different:
            break
        at += step
    while at < stop and flat[at] == value:
        at += np.uint64(1)
    return at


@compiled()
def _find_runs(flat: Any, length: int, stops: Any, region: Any) -> None:  # pragma: no cover
    run = 0
    for start in range(0, flat.size, max(length, 1)):
        at, stop = np.uint64(start), np.uint64(start + length)
        while at < stop:
            region[run] = flat[at]
            at = _end(flat, at, stop)
            stops[run] = at
            run += 1


@compiled()
def _slot(keys: Any, values: Any, key: int) -> int:  # pragma: no cover - compiled
    """Place of ``key`` in an open-addressing table (values are 0 where a place is free)."""
    mask = keys.size - 1
    place = (key * 0x2545F4914F6CDD1D >> 24) & mask
    while values[place] and keys[place] != key:
        place = (place + 1) & mask
    return place


@compiled()
def _label_runs(flat: Any, length: int, stops: Any, region: Any) -> Any:  # pragma: no cover
    keys = np.zeros(1024, np.int64)
    values = np.zeros(1024, np.uint32)
    ids = np.empty(512, np.int64)
    count = 0
    run = 0
    for start in range(0, flat.size, max(length, 1)):
        at, stop = np.uint64(start), np.uint64(start + length)
        while at < stop:
            key = np.int64(flat[at])
            value = np.uint32(0)
            if key != 0:
                place = _slot(keys, values, key)
                if values[place] == 0:
                    if count == ids.size:
                        keys, values, ids = _grown(ids)
                        place = _slot(keys, values, key)
                    ids[count] = key
                    count += 1
                    keys[place] = key
                    values[place] = count
                value = values[place]
            at = _end(flat, at, stop)
            stops[run] = at
            region[run] = value
            run += 1
    return ids[:count].copy()


@compiled()
def _grown(ids: Any) -> Any:  # pragma: no cover - compiled
    """Return the tables at twice the size, filled again from the ids seen so far."""
    keys = np.zeros(4 * ids.size, np.int64)
    values = np.zeros(4 * ids.size, np.uint32)
    more = np.empty(2 * ids.size, np.int64)
    for i in range(ids.size):
        more[i] = ids[i]
        place = _slot(keys, values, ids[i])
        keys[place] = ids[i]
        values[place] = i + 1
    return keys, values, more


@compiled()
def _fill(stops: Any, region: Any, local: Any) -> None:  # pragma: no cover - compiled
    start = 0
    for run in range(stops.size):
        local[start : stops[run]] = region[run]
        start = stops[run]


@compiled()
def _cut(
    stops: Any, region: Any, volume: Any, low: Any, high: Any, new_stops: Any, new_region: Any
) -> int:  # pragma: no cover - compiled
    """Find the runs of the box from ``low`` to ``high``; return their number."""
    run, count, done = 0, 0, 0
    for z in range(volume[0]):
        for y in range(volume[1]):
            first = (z * volume[1] + y) * volume[2]
            inside = low[0] <= z < high[0] and low[1] <= y < high[1]
            stop = first
            while stop < first + volume[2]:
                start, stop = stop, stops[run]
                length = min(stop - first, high[2]) - max(start - first, low[2])
                if inside and length > 0:
                    done += length
                    new_stops[count] = done
                    new_region[count] = region[run]
                    count += 1
                run += 1
    return count

"""Partial sums per label of one block: one sweep yields every additive contribution.

The sweep goes along runs of equal ids, so that counts, bounding boxes and coordinate sums cost one
step per run and not one per voxel. Coordinates are sums of whole numbers and exact; so are the
intensity sums of integer images (below 2**63); those of float images are taken in raster order in
float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from chunkseg.kernels.components import Local


@dataclass(frozen=True, slots=True)
class RegionSums:
    """Sums over the voxels of each region; row ``i`` belongs to local id ``i + 1``.

    Coordinates count from the block's first voxel; a region without a voxel has ``num_pixels`` 0.
    """

    num_pixels: NDArray[np.int64]
    bbox_start: NDArray[np.int64]
    bbox_stop: NDArray[np.int64]
    coordinates: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class IntensitySums:
    """Sum, smallest and largest intensity of each region."""

    total: NDArray[Any]
    smallest: NDArray[Any]
    largest: NDArray[Any]


def region_sums(local: Local, count: int) -> RegionSums:
    """Count, bounding box and coordinate sums of the regions 1 to ``count`` of a block."""
    ndim = local.ndim
    wide = local.reshape((1,) * (3 - ndim) + local.shape)
    num_pixels, start, stop, coordinates = _region_sums(wide, count)
    axes = slice(3 - ndim, 3)
    return RegionSums(num_pixels, start[:, axes], stop[:, axes], coordinates[:, axes])


@njit(cache=True, nogil=True)
def _region_sums(local: Local, count: int) -> Any:  # pragma: no cover - compiled
    num_pixels = np.zeros(count, np.int64)
    start = np.full((count, 3), np.iinfo(np.int64).max)
    stop = np.zeros((count, 3), np.int64)
    coordinates = np.zeros((count, 3), np.int64)
    nz, ny, nx = local.shape
    for z in range(nz):
        for y in range(ny):
            x = 0
            while x < nx:
                region = local[z, y, x]
                begin = x
                x += 1
                while x < nx and local[z, y, x] == region:
                    x += 1
                if region == 0:
                    continue
                row = region - 1
                length = x - begin
                num_pixels[row] += length
                coordinates[row, 0] += z * length
                coordinates[row, 1] += y * length
                coordinates[row, 2] += (begin + x - 1) * length // 2
                start[row, 0] = min(start[row, 0], z)
                start[row, 1] = min(start[row, 1], y)
                start[row, 2] = min(start[row, 2], begin)
                stop[row, 0] = max(stop[row, 0], z + 1)
                stop[row, 1] = max(stop[row, 1], y + 1)
                stop[row, 2] = max(stop[row, 2], x)
    return num_pixels, start, stop, coordinates


def intensity_sums(local: Local, count: int, image: NDArray[Any]) -> IntensitySums:
    """Sum, minimum and maximum of ``image`` over the regions 1 to ``count`` of a block.

    Sums of boolean and integer images are int64 (exact); those of 64-bit unsigned and of float
    images are float64. Extremes have the image's dtype, of float16 images float32.
    """
    dtype = image.dtype
    if dtype == np.bool_:
        image = image.view(np.uint8)
    if dtype == np.float16:
        image = image.astype(np.float32)
    exact = dtype.kind in "bi" or (dtype.kind == "u" and dtype.itemsize < 8)
    total = np.zeros(count, np.int64 if exact else np.float64)
    smallest = np.zeros(count, image.dtype)
    largest = np.zeros(count, image.dtype)
    seen = np.zeros(count, np.bool_)
    flat = np.ascontiguousarray(image).reshape(-1)
    _intensity_sums(local.reshape(-1), flat, total, smallest, largest, seen)
    return IntensitySums(total, smallest, largest)


@njit(cache=True, nogil=True)
def _intensity_sums(
    local: Local, image: Any, total: Any, smallest: Any, largest: Any, seen: Any
) -> None:  # pragma: no cover - compiled
    for i in range(local.size):
        region = local[i]
        if region == 0:
            continue
        row = region - 1
        value = image[i]
        total[row] += value
        if not seen[row]:
            seen[row] = True
            smallest[row] = value
            largest[row] = value
        else:
            smallest[row] = min(smallest[row], value)
            largest[row] = max(largest[row], value)


def compact(labels: NDArray[Any]) -> tuple[NDArray[np.int64], Local]:
    """Number the labels that occur in a block from 1, in order of first occurrence.

    Memory and time follow from the labels that occur, never from the largest one.

    Parameters
    ----------
    labels
        Integer block; 0 is background.

    Returns
    -------
    ids : int64 array
        The label of each local id; ``ids[i]`` belongs to local id ``i + 1``.
    local : uint32 array
        Local ids, shaped as ``labels``.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    ids, local = _compact(flat)
    return ids, local.reshape(labels.shape)


@njit(cache=True, nogil=True)
def _slot(keys: Any, values: Any, key: int) -> int:  # pragma: no cover - compiled
    """Place of ``key`` in an open-addressing table (values are 0 where a place is free)."""
    mask = keys.size - 1
    place = (key * 0x2545F4914F6CDD1D >> 24) & mask
    while values[place] and keys[place] != key:
        place = (place + 1) & mask
    return place


@njit(cache=True, nogil=True)
def _compact(flat: Any) -> Any:  # pragma: no cover - compiled
    local = np.empty(flat.size, np.uint32)
    keys = np.zeros(1024, np.int64)
    values = np.zeros(1024, np.uint32)
    ids = np.empty(512, np.int64)
    count = 0
    last_key = np.int64(0)
    last_value = np.uint32(0)
    for i in range(flat.size):
        key = np.int64(flat[i])
        if key != last_key:
            last_key = key
            if key == 0:
                last_value = np.uint32(0)
            else:
                place = _slot(keys, values, key)
                if values[place] == 0:
                    if count == ids.size:
                        keys, values, ids = _grown(ids)
                        place = _slot(keys, values, key)
                    ids[count] = key
                    count += 1
                    keys[place] = key
                    values[place] = count
                last_value = values[place]
        local[i] = last_value
    return ids[:count].copy(), local


@njit(cache=True, nogil=True)
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

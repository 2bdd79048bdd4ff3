"""Partial sums per label of one block, one sweep per kind of sum, and labels numbered anew.

Sweeps go along runs of equal ids, so that counts, bounding boxes and coordinate sums cost one step
per run and not one per voxel, and a sum of intensities one addition to memory. Coordinates are sums
of whole numbers and exact; so are the intensity sums of integer images; those of float images are
taken in raster order in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled
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


def region_sums(local: Local, count: int) -> RegionSums:
    """Count, bounding box and coordinate sums of the regions 1 to ``count`` of a block."""
    num_pixels, start, stop, coordinates = _region_sums(_wide(local), count)
    axes = slice(3 - local.ndim, 3)
    return RegionSums(num_pixels, start[:, axes], stop[:, axes], coordinates[:, axes])


@compiled()
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


def intensity_totals(local: Local, count: int, image: NDArray[Any]) -> NDArray[Any]:
    """Sum of ``image`` over each of the regions 1 to ``count`` of a block.

    Sums of boolean and of integer images of up to 32 bits are int64 and exact (a block would need
    2**31 voxels to leave that range); those of 64-bit integers and of floats are float64, added
    along runs in raster order.
    """
    exact = image.dtype.kind in "bui" and image.dtype.itemsize < 8
    totals = np.zeros(count, np.int64 if exact else np.float64)
    _totals(_wide(local), _wide(_plain(image)), totals)
    return totals


def intensity_extremes(
    local: Local, count: int, image: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Smallest and largest intensity of each of the regions 1 to ``count`` of a block.

    Both have the image's dtype (float32 for float16); NaN anywhere in a region makes both NaN; rows
    of regions without a voxel hold the ends of the dtype's range.
    """
    plain = _plain(image)
    low, high = _ends(plain.dtype)
    smallest, largest = np.full(count, high), np.full(count, low)
    _extremes(_wide(local), _wide(plain), smallest, largest)
    return smallest, largest


def squared_deviations(
    local: Local, image: NDArray[Any], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum of ``(image - mean)**2`` over each region, about the region's own mean.

    Centred before squaring, so that nothing cancels however far the intensities lie from 0.
    """
    deviations = np.zeros(len(means))
    _deviations(_wide(local), _wide(_plain(image)), means, deviations)
    return deviations


def _plain(image: NDArray[Any]) -> NDArray[Any]:
    """Return the image in a dtype that Numba knows."""
    if image.dtype == np.bool_:
        return image.view(np.uint8)
    return image.astype(np.float32) if image.dtype == np.float16 else image


def _ends(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    if dtype.kind == "f":
        return dtype.type(-np.inf), dtype.type(np.inf)
    return dtype.type(np.iinfo(dtype).min), dtype.type(np.iinfo(dtype).max)


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    """Return a block with axes of length 1 put in front, up to three, in C order."""
    return np.ascontiguousarray(array.reshape((1,) * (3 - array.ndim) + array.shape))


@compiled()
def _totals(local: Local, image: Any, totals: Any) -> None:  # pragma: no cover - compiled
    for z in range(local.shape[0]):
        for y in range(local.shape[1]):
            region = np.uint32(0)
            subtotal = totals.dtype.type(0)
            for x in range(local.shape[2]):
                if local[z, y, x] != region:
                    if region:
                        totals[region - 1] += subtotal
                    region = local[z, y, x]
                    subtotal = totals.dtype.type(0)
                subtotal += totals.dtype.type(image[z, y, x])
            if region:
                totals[region - 1] += subtotal


@compiled()
def _extremes(
    local: Local, image: Any, smallest: Any, largest: Any
) -> None:  # pragma: no cover - compiled
    for z in range(local.shape[0]):
        for y in range(local.shape[1]):
            for x in range(local.shape[2]):
                region = local[z, y, x]
                if region == 0:
                    continue
                value = image[z, y, x]
                if value < smallest[region - 1] or value != value:
                    smallest[region - 1] = value
                if value > largest[region - 1] or value != value:
                    largest[region - 1] = value


@compiled()
def _deviations(
    local: Local, image: Any, means: Any, deviations: Any
) -> None:  # pragma: no cover - compiled
    for z in range(local.shape[0]):
        for y in range(local.shape[1]):
            region = np.uint32(0)
            mean = 0.0
            subtotal = 0.0
            for x in range(local.shape[2]):
                if local[z, y, x] != region:
                    if region:
                        deviations[region - 1] += subtotal
                    region = local[z, y, x]
                    subtotal = 0.0
                    if region:
                        mean = means[region - 1]
                if region:
                    deviation = image[z, y, x] - mean
                    subtotal += deviation * deviation
            if region:
                deviations[region - 1] += subtotal


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


@compiled()
def _slot(keys: Any, values: Any, key: int) -> int:  # pragma: no cover - compiled
    """Place of ``key`` in an open-addressing table (values are 0 where a place is free)."""
    mask = keys.size - 1
    place = (key * 0x2545F4914F6CDD1D >> 24) & mask
    while values[place] and keys[place] != key:
        place = (place + 1) & mask
    return place


@compiled()
def _compact(flat: Any) -> Any:  # pragma: no cover - compiled
    local = np.empty(flat.size, np.uint32)
    keys = np.zeros(1024, np.int64)
    values = np.zeros(1024, np.uint32)
    ids = np.empty(512, np.int64)
    count = 0
    i = 0
    while i < flat.size:
        label = flat[i]
        value = np.uint32(0)
        if label != 0:
            key = np.int64(label)
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
        while i < flat.size and flat[i] == label:
            local[i] = value
            i += 1
    return ids[:count].copy(), local


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

"""Partial sums per label of one block, one sweep over its runs per kind of sum.

Counts, bounding boxes and coordinate sums cost one step per run and not one per voxel, a sum of
intensities one addition to memory. Coordinates are sums of whole numbers and exact; so are the
intensity sums of integer images; those of float images are taken in raster order in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.compiled import compiled
from chunkseg.kernels.runs import Runs


@dataclass(frozen=True, slots=True)
class RegionSums:
    """Sums over the voxels of each region; row ``i`` belongs to local id ``i + 1``.

    Coordinates count from the block's first voxel; a region without a voxel has ``num_pixels`` 0.
    """

    num_pixels: NDArray[np.int64]
    bbox_start: NDArray[np.int64]
    bbox_stop: NDArray[np.int64]
    coordinates: NDArray[np.int64]


def region_sums(runs: Runs, count: int) -> RegionSums:
    """Count, bounding box and coordinate sums of the regions 1 to ``count`` of a block."""
    num_pixels = np.zeros(count, np.int64)
    start = np.full((count, 3), np.iinfo(np.int64).max)
    stop = np.zeros((count, 3), np.int64)
    coordinates = np.zeros((count, 3), np.int64)
    _region_sums(runs.stop, runs.region, runs.volume, num_pixels, start, stop, coordinates)
    axes = slice(3 - len(runs.shape), 3)
    return RegionSums(num_pixels, start[:, axes], stop[:, axes], coordinates[:, axes])


@compiled()
def _region_sums(
    stops: Any, region: Any, volume: Any, num_pixels: Any, start: Any, stop: Any, coordinates: Any
) -> None:  # pragma: no cover - compiled
    run = 0
    first = 0
    for z in range(volume[0]):
        for y in range(volume[1]):
            end = 0
            while end < volume[2]:
                begin, end = end, stops[run] - first
                row = np.int64(region[run]) - 1
                run += 1
                if row < 0:
                    continue
                length = end - begin
                num_pixels[row] += length
                coordinates[row, 0] += z * length
                coordinates[row, 1] += y * length
                coordinates[row, 2] += (begin + end - 1) * length // 2
                start[row, 0] = min(start[row, 0], z)
                start[row, 1] = min(start[row, 1], y)
                start[row, 2] = min(start[row, 2], begin)
                stop[row, 0] = max(stop[row, 0], z + 1)
                stop[row, 1] = max(stop[row, 1], y + 1)
                stop[row, 2] = max(stop[row, 2], end)
            first += volume[2]


def intensity_totals(runs: Runs, count: int, image: NDArray[Any]) -> NDArray[Any]:
    """Sum of ``image`` over each of the regions 1 to ``count`` of a block.

    Sums of boolean and of integer images of up to 32 bits are int64 and exact (a block would need
    2**31 voxels to leave that range); those of 64-bit integers and of floats are float64, added
    along runs in raster order.
    """
    exact = image.dtype.kind in "bui" and image.dtype.itemsize < 8
    totals = np.zeros(count, np.int64 if exact else np.float64)
    _totals(runs.stop, runs.region, flat(image), totals)
    return totals


def intensity_extremes(
    runs: Runs, count: int, image: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Smallest and largest intensity of each of the regions 1 to ``count`` of a block.

    Both have the image's dtype (float32 for float16); NaN anywhere in a region makes both NaN; rows
    of regions without a voxel hold the ends of the dtype's range.
    """
    values = flat(image)
    low, high = _ends(values.dtype)
    smallest, largest = np.full(count, high), np.full(count, low)
    _extremes(runs.stop, runs.region, values, smallest, largest)
    return smallest, largest


def squared_deviations(
    runs: Runs, image: NDArray[Any], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum of ``(image - mean)**2`` over each region, about the region's own mean.

    Centred before squaring, so that nothing cancels however far the intensities lie from 0.
    """
    deviations = np.zeros(len(means))
    _deviations(runs.stop, runs.region, flat(image), means, deviations)
    return deviations


def flat(image: NDArray[Any]) -> NDArray[Any]:
    """Return the image's voxels in raster order, in a dtype that Numba knows."""
    plain = image.astype(np.float32) if image.dtype == np.float16 else image
    plain = plain.view(np.uint8) if plain.dtype == np.bool_ else plain
    return np.ascontiguousarray(plain).reshape(-1)


def _ends(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    if dtype.kind == "f":
        return dtype.type(-np.inf), dtype.type(np.inf)
    return dtype.type(np.iinfo(dtype).min), dtype.type(np.iinfo(dtype).max)


@compiled()
def _totals(stops: Any, region: Any, image: Any, totals: Any) -> None:  # pragma: no cover
    start = np.uint64(0)
    for run in range(stops.size):
        stop = np.uint64(stops[run])
        if region[run]:
            subtotal = totals.dtype.type(0)
            for i in range(start, stop):
                subtotal += totals.dtype.type(image[i])
            totals[region[run] - 1] += subtotal
        start = stop


@compiled()
def _extremes(
    stops: Any, region: Any, image: Any, smallest: Any, largest: Any
) -> None:  # pragma: no cover - compiled
    start = np.uint64(0)
    for run in range(stops.size):
        stop = np.uint64(stops[run])
        if region[run]:
            low, high = smallest[region[run] - 1], largest[region[run] - 1]
            for i in range(start, stop):
                value = image[i]
                low = value if value < low or value != value else low
                high = value if value > high or value != value else high
            smallest[region[run] - 1], largest[region[run] - 1] = low, high
        start = stop


@compiled()
def _deviations(
    stops: Any, region: Any, image: Any, means: Any, deviations: Any
) -> None:  # pragma: no cover - compiled
    start = np.uint64(0)
    for run in range(stops.size):
        stop = np.uint64(stops[run])
        if region[run]:
            mean, subtotal = means[region[run] - 1], 0.0
            for i in range(start, stop):
                deviation = image[i] - mean
                subtotal += deviation * deviation
            deviations[region[run] - 1] += subtotal
        start = stop

"""Contributions: what one block adds to each region's row, and how rows of one label merge.

A contribution is a small record: a function of a :class:`View` of the block that gives arrays of
one row per local id, and for each array the way its rows merge. Merging is a sort by label and a
reduce over runs of equal labels, done elsewhere; here it says which. Coordinates and intensities
are summed as whole numbers where they are whole; moments are taken about the region's middle in the
block and moved to its middle in the frame before they are added; squared deviations follow the
parallel-axis rule. Nothing cancels, however large the frame or bright the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Slices
from chunkseg.kernels import moments as moment_kernels
from chunkseg.kernels import sums as kernels
from chunkseg.kernels.components import Local
from chunkseg.kernels.moments import Exponents, exponents

Array = NDArray[Any]
ORDER = 3


@dataclass(frozen=True)
class View:
    """One block as contributions see it.

    Attributes
    ----------
    local
        Local ids of the core, uint32, 1 to ``count``; 0 is background.
    grown
        Local ids of the block grown by the halo that was asked for, clipped to the frame. Ids that
        occur only outside the core have rows that nobody reads.
    inner
        Where the core lies in ``grown``.
    count
        Number of local ids.
    images
        Intensities of the core, one array per channel.
    core, frame
        Where the block lies, and the box of the whole frame.
    spacing
        Size of a voxel along each axis.
    """

    local: Local
    grown: Local
    inner: Slices
    count: int
    images: tuple[Array, ...]
    core: Box
    frame: Box
    spacing: tuple[float, ...]

    @classmethod
    def flat(cls, local: Local, count: int, images: tuple[Array, ...], core: Box) -> View:
        """View of a block without a halo, of voxels of size 1."""
        everything = tuple(slice(0, n) for n in local.shape)
        frame = Box.whole(core.stop)
        return cls(local, local, everything, count, images, core, frame, (1.0,) * local.ndim)

    @cached_property
    def regions(self) -> kernels.RegionSums:
        """Counts, boxes and coordinate sums, in voxels of the block."""
        return kernels.region_sums(self.local, self.count)

    @cached_property
    def reference(self) -> NDArray[np.int64]:
        """Whole voxel near the middle of each region, in voxels of the block."""
        return reference(self.regions.num_pixels, self.regions.coordinates)

    @cached_property
    def totals(self) -> list[Array]:
        """Sum of the intensities of each region, per channel."""
        return [kernels.intensity_totals(self.local, self.count, image) for image in self.images]

    def per_channel(self, values: list[Array], *tail: int) -> Array:
        """Stack the channels' rows along the second axis, also where there is no channel."""
        return np.stack(values, axis=1) if values else np.empty((self.count, 0, *tail))


def reference(num_pixels: Array, coordinates: Array) -> NDArray[np.int64]:
    """Whole voxel at or before the centroid of each region, by which moments are taken."""
    middle: NDArray[np.int64] = coordinates // np.maximum(num_pixels, 1)[:, np.newaxis]
    return middle


@dataclass(frozen=True)
class Rows:
    """Rows of several blocks, sorted by label and within a label in block order.

    Attributes
    ----------
    columns
        Sorted rows by name.
    starts
        Where each label begins.
    merged
        Merged columns so far.
    """

    columns: Mapping[str, Array]
    starts: NDArray[np.int64]
    merged: dict[str, Array] = field(default_factory=dict)

    def reduce(self, reduce: np.ufunc, rows: Array) -> Array:
        """Reduce the rows of each label."""
        result: Array = reduce.reduceat(rows, self.starts, axis=0) if len(self.starts) else rows
        return result

    def spread(self, merged: Array) -> Array:
        """Give every row its label's merged value."""
        lengths = np.diff(self.starts, append=len(self.columns["num_pixels"]))
        return np.repeat(merged, lengths, axis=0)


Merge = Callable[[Rows, str], Array]


@dataclass(frozen=True)
class Contribution:
    """What one block adds to each region's row.

    Attributes
    ----------
    name
        Its name in ``CONTRIBUTIONS``.
    block
        Gives the arrays of one block, one row per local id.
    merge
        How each array merges.
    halo
        Voxels around the core that ``block`` looks at.
    needs
        Contributions whose merged arrays the merge looks at.
    """

    name: str
    block: Callable[[View], Mapping[str, Array]]
    merge: Mapping[str, Merge]
    halo: int = 0
    needs: tuple[str, ...] = ()


def reducing(reduce: np.ufunc) -> Merge:
    """Merge by a plain reduction."""
    return partial(_reduce, reduce)


def _reduce(reduce: np.ufunc, rows: Rows, name: str) -> Array:
    return rows.reduce(reduce, rows.columns[name])


def _num_pixels(view: View) -> dict[str, Array]:
    return {"num_pixels": view.regions.num_pixels}


def _bbox(view: View) -> dict[str, Array]:
    origin = np.array(view.core.start, np.int64)
    sums = view.regions
    return {"bbox_start": sums.bbox_start + origin, "bbox_stop": sums.bbox_stop + origin}


def _coordinates(view: View) -> dict[str, Array]:
    origin = np.array(view.core.start, np.int64)
    sums = view.regions
    return {"coordinates": sums.coordinates + sums.num_pixels[:, np.newaxis] * origin}


def _totals(view: View) -> dict[str, Array]:
    return {"totals": view.per_channel(view.totals)}


def _merge_totals(rows: Rows, name: str) -> Array:
    """Add whole numbers exactly; in float64 where the sum might leave their range."""
    totals = rows.columns[name]
    if totals.dtype.kind == "i":
        bound = rows.reduce(np.add, np.abs(totals).astype(float))
        if bound.size and bound.max() > 2**62:
            return rows.reduce(np.add, totals.astype(float))
    return rows.reduce(np.add, totals)


def _extremes(view: View) -> dict[str, Array]:
    found = [kernels.intensity_extremes(view.local, view.count, image) for image in view.images]
    smallest, largest = [low for low, _ in found], [high for _, high in found]
    return {"smallest": view.per_channel(smallest), "largest": view.per_channel(largest)}


def _deviations(view: View) -> dict[str, Array]:
    pixels = np.maximum(view.regions.num_pixels, 1)
    found: list[Array] = [
        kernels.squared_deviations(view.local, image, totals / pixels)
        for image, totals in zip(view.images, view.totals, strict=True)
    ]
    return {"deviations": view.per_channel(found)}


def _merge_deviations(rows: Rows, name: str) -> Array:
    """Squared deviations within the blocks and those of the blocks' means from the mean of all."""
    pixels = rows.columns["num_pixels"][:, np.newaxis]
    means = rows.spread(rows.merged["totals"] / rows.merged["num_pixels"][:, np.newaxis])
    between = pixels * (rows.columns["totals"] / pixels - means) ** 2
    return rows.reduce(np.add, rows.columns[name] + between)


def _moments(degree: int, name: str, view: View) -> dict[str, Array]:
    powers = moment_powers(view.local.ndim, degree)
    return {name: moment_kernels.moment_sums(view.local, view.reference, powers)}


def _weighted_moments(degree: int, name: str, view: View) -> dict[str, Array]:
    powers = moment_powers(view.local.ndim, degree)
    found: list[Array] = [
        moment_kernels.moment_sums(view.local, view.reference, powers, image)
        for image in view.images
    ]
    return {name: view.per_channel(found, len(powers))}


def moment_powers(ndim: int, degree: int) -> Exponents:
    """Exponents of the moments kept: up to a total degree, or for degree 3 up to 3 on each axis."""
    return exponents(ndim, degree, ndim * degree if degree == ORDER else degree)


def _merge_moments(degree: int, rows: Rows, name: str) -> Array:
    """Move the moments of each row to its label's reference point in the frame, then add them."""
    ours = reference(rows.columns["num_pixels"], rows.columns["coordinates"])
    common = reference(rows.merged["num_pixels"], rows.merged["coordinates"])
    offset = (ours - rows.spread(common)).astype(float)
    values = rows.columns[name]
    channels = values.size // max(1, len(values) * values.shape[-1]) if values.ndim == 3 else 1
    flat = values.reshape(-1, values.shape[-1])
    powers = moment_powers(offset.shape[1], degree)
    moved = moment_kernels.shifted(flat, powers, np.repeat(offset, channels, axis=0))
    return rows.reduce(np.add, moved.reshape(values.shape))


def _moments_of(name: str, degree: int) -> Contribution:
    block = _weighted_moments if name.startswith("weighted") else _moments
    merge = {name: partial(_merge_moments, degree)}
    return Contribution(name, partial(block, degree, name), merge, needs=("coordinates",))


_SUM, _LOW, _HIGH = (reducing(f) for f in (np.add, np.minimum, np.maximum))

CONTRIBUTIONS: dict[str, Contribution] = {
    c.name: c
    for c in (
        Contribution("num_pixels", _num_pixels, {"num_pixels": _SUM}),
        Contribution("bbox", _bbox, {"bbox_start": _LOW, "bbox_stop": _HIGH}),
        Contribution("coordinates", _coordinates, {"coordinates": _SUM}),
        Contribution("totals", _totals, {"totals": _merge_totals}),
        Contribution("extremes", _extremes, {"smallest": _LOW, "largest": _HIGH}),
        Contribution(
            "deviations", _deviations, {"deviations": _merge_deviations}, needs=("totals",)
        ),
        _moments_of("second", 2),
        _moments_of("moments", ORDER),
        _moments_of("weighted_first", 1),
        _moments_of("weighted", ORDER),
    )
}


def contributions(names: set[str]) -> tuple[Contribution, ...]:
    """Contributions of these names and those that they need, in merging order.

    The number of voxels is always there. Lower moments are left out where all moments are taken.
    """
    wanted = {"num_pixels"} | names | {n for name in names for n in CONTRIBUTIONS[name].needs}
    if "moments" in wanted:
        wanted.discard("second")
    if "weighted" in wanted:
        wanted.discard("weighted_first")
    return tuple(c for name, c in CONTRIBUTIONS.items() if name in wanted)

"""Merged sums, and what several properties derive from them: central moments, inertia, centroids.

Moments are kept about a whole voxel near the region's middle. Central moments are that, moved by
less than a voxel; moments about the corner of the bounding box, which is where scikit-image takes
them, are moved by whole voxels. Everything is vectorised over the regions and made when first
asked for.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.moments import Exponents, shifted
from chunkseg.passes.measure.additive import ORDER, moment_powers
from chunkseg.passes.measure.contributions import Array, reference
from chunkseg.passes.measure.merging import MeasureRecord


@dataclass(frozen=True)
class Merged:
    """Merged sums of the regions of a frame.

    Attributes
    ----------
    record
        The sums, one row per label.
    spacing
        Size of a voxel along each axis.
    """

    record: MeasureRecord
    spacing: tuple[float, ...]

    def __getitem__(self, name: str) -> Array:
        """Merged column of a contribution."""
        return self.record.columns[name]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spacing)

    @property
    def label(self) -> NDArray[np.int64]:
        """The labels."""
        return self.record.label

    @property
    def num_pixels(self) -> NDArray[np.int64]:
        """Number of voxels."""
        return self["num_pixels"]

    @cached_property
    def area(self) -> Array:
        """Number of voxels times the size of one."""
        return self.num_pixels * np.prod(self.spacing)

    @cached_property
    def area_bbox(self) -> Array:
        """Voxels of the bounding box times the size of one."""
        lengths = self["bbox_stop"] - self["bbox_start"]
        return np.prod(lengths, axis=1) * np.prod(self.spacing)

    @property
    def centroid(self) -> Array:
        """Mean position."""
        return self["coordinates"] / self.num_pixels[:, np.newaxis] * np.array(self.spacing)

    @property
    def centroid_local(self) -> Array:
        """Mean position, counted from the corner of the bounding box."""
        pixels = self.num_pixels[:, np.newaxis]
        offsets = self["coordinates"] - pixels * self["bbox_start"]
        return offsets / pixels * np.array(self.spacing)

    @cached_property
    def _reference(self) -> NDArray[np.int64]:
        return reference(self.num_pixels, self["coordinates"])

    @cached_property
    def _to_corner(self) -> Array:
        return (self._reference - self["bbox_start"]).astype(float)

    @cached_property
    def moments(self) -> Array:
        """Moments about the corner of the bounding box, shape (regions, 4, 4[, 4])."""
        powers = moment_powers(self.ndim, ORDER)
        return self._tensor(shifted(self["moments"], powers, self._to_corner))

    @cached_property
    def moments_central(self) -> Array:
        """Moments about the centroid, shaped as ``moments``."""
        return self._tensor(_central(self["moments"], moment_powers(self.ndim, ORDER)))

    @cached_property
    def moments_weighted(self) -> Array:
        """Moments of the intensity, shape (regions, 4, 4[, 4], channels)."""
        powers = moment_powers(self.ndim, ORDER)
        moved = [
            self._tensor(shifted(channel, powers, self._to_corner)) for channel in self._weighted
        ]
        return np.stack(moved, axis=-1)

    @cached_property
    def moments_weighted_central(self) -> Array:
        """Moments of the intensity about its own centroid, shaped as ``moments_weighted``."""
        powers = moment_powers(self.ndim, ORDER)
        moved = [self._tensor(_central(channel, powers)) for channel in self._weighted]
        return np.stack(moved, axis=-1)

    @property
    def _weighted(self) -> list[Array]:
        """Moments of the intensity about the reference point, per channel."""
        name = "weighted" if "weighted" in self.record.columns else "weighted_first"
        return list(np.moveaxis(self[name], 1, 0))

    @cached_property
    def centroid_weighted_local(self) -> Array:
        """Mean position weighted by intensity, shape (regions, axes, channels)."""
        degree = ORDER if "weighted" in self.record.columns else 1
        powers = moment_powers(self.ndim, degree)
        corner = self._to_corner
        found = [_mean_position(channel, powers) + corner for channel in self._weighted]
        return np.stack(found, axis=-1) * np.array(self.spacing)[:, np.newaxis]

    @property
    def centroid_weighted(self) -> Array:
        """The same, counted from the frame's first voxel."""
        corner = self["bbox_start"] * np.array(self.spacing)
        return self.centroid_weighted_local + corner[:, :, np.newaxis]

    def _tensor(self, moments: Array) -> Array:
        """Shape moments as a tensor, in units of the spacing."""
        tensor = moments.reshape(-1, *(ORDER + 1,) * self.ndim)
        for axis, step in enumerate(self.spacing):
            scale = float(step) ** np.arange(ORDER + 1)
            tensor = tensor * scale.reshape(-1, *(1,) * (self.ndim - 1 - axis))
        return tensor

    @cached_property
    def inertia_tensor(self) -> Array:
        """Tensor of inertia of each region over its number of voxels, shape (regions, d, d)."""
        full = "moments" in self.record.columns
        powers = moment_powers(self.ndim, ORDER if full else 2)
        central = _central(self["moments" if full else "second"], powers)
        axes = range(self.ndim)
        spread = np.empty((len(central), self.ndim, self.ndim))
        for i, j in itertools.product(axes, axes):
            power = tuple((k == i) + (k == j) for k in axes)
            size = self.spacing[i] * self.spacing[j]
            spread[:, i, j] = central[:, powers.index(power)] * size / self.num_pixels
        tensor = -spread
        total = np.trace(spread, axis1=1, axis2=2)
        for i in axes:
            tensor[:, i, i] = total - spread[:, i, i]
        return tensor

    @cached_property
    def inertia_tensor_eigvals(self) -> Array:
        """Eigenvalues, descending, negative ones set to 0 as in scikit-image."""
        if not len(self.label):
            return np.empty((0, self.ndim))
        return np.clip(np.linalg.eigvalsh(self.inertia_tensor)[:, ::-1], 0, None)

    @cached_property
    def axis_lengths(self) -> Array:
        """Axes of the ellipse or ellipsoid of the same inertia, descending."""
        values = self.inertia_tensor_eigvals
        if self.ndim == 2:
            return 4 * np.sqrt(values)
        signs = np.array([[1, 1, -1], [1, -1, 1], [-1, 1, 1]])
        squares = [10 * (values * sign).sum(axis=1) for sign in signs]
        return np.sqrt(np.maximum(np.stack(squares, axis=1), 0))

    def normalized(self, central: Array) -> Array:
        """Moments over a power of the number of voxels, NaN where their degree is below 2.

        ``central`` has one axis for the regions, one per axis, and may have one for channels.
        """
        result = np.full_like(central, np.nan)
        scale = min(self.spacing)
        origin: tuple[Any, ...] = (slice(None), *(0,) * self.ndim)
        zeroth = central[origin]
        for powers in itertools.product(range(ORDER + 1), repeat=self.ndim):
            degree = sum(powers)
            if degree >= 2:
                place: tuple[Any, ...] = (slice(None), *powers)
                size = zeroth ** (degree / self.ndim + 1)
                result[place] = central[place] / scale**degree / size
        return result


def _mean_position(moments: Array, powers: Exponents) -> Array:
    """First moments over the zeroth, shape (regions, axes)."""
    ndim = len(powers[0])
    first = [powers.index(tuple(int(k == axis) for k in range(ndim))) for axis in range(ndim)]
    return moments[:, first] / moments[:, powers.index((0,) * ndim), np.newaxis]


def _central(moments: Array, powers: Exponents) -> Array:
    """Moments about their own mean position."""
    return shifted(moments, powers, -_mean_position(moments, powers))


def hu(nu: Array) -> Array:
    """Hu's seven invariants of normalized moments, shape (regions, 4, 4) to (regions, 7).

    Examples
    --------
    >>> import numpy as np
    >>> nu = np.zeros((1, 4, 4))
    >>> nu[0, 2, 0], nu[0, 0, 2] = 0.5, 0.25
    >>> hu(nu)[0, :2].tolist()
    [0.75, 0.0625]
    """
    n20, n02, n11 = nu[:, 2, 0], nu[:, 0, 2], nu[:, 1, 1]
    n30, n03, n21, n12 = nu[:, 3, 0], nu[:, 0, 3], nu[:, 2, 1], nu[:, 1, 2]
    difference, twice = n20 - n02, 2 * n11
    a, b = n30 + n12, n21 + n03
    c, d = n30 - 3 * n12, 3 * n21 - n03
    even, odd = a * (a * a - 3 * b * b), b * (3 * a * a - b * b)
    return np.stack(
        [
            n20 + n02,
            difference**2 + twice**2,
            c**2 + d**2,
            a**2 + b**2,
            c * even + d * odd,
            difference * (a * a - b * b) + 2 * twice * a * b,
            d * even - c * odd,
        ],
        axis=1,
    )


def equivalent_diameter(area: Array, ndim: int) -> Array:
    """Diameter of the disk or ball of the same area or volume."""
    return (2 * ndim * area / math.pi) ** (1 / ndim)


def orientation(tensor: Array) -> Array:
    """Angle of the major axis to the first axis, within -pi/2 and pi/2, of 2-D tensors."""
    a, b, c = tensor[:, 0, 0], tensor[:, 0, 1], tensor[:, 1, 1]
    round_ones = np.where(b < 0, math.pi / 4, -math.pi / 4)
    return np.where(a == c, round_ones, 0.5 * np.arctan2(-2 * b, c - a))


def eccentricity(eigvals: Array) -> Array:
    """Focal distance over the major axis; 0 where there is no extent."""
    first, last = eigvals[:, 0], eigvals[:, -1]
    return np.where(first == 0, 0.0, np.sqrt(1 - last / np.where(first == 0, 1.0, first)))

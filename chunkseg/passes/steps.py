"""Voxel-wise steps and chains of them: what is done to a grown block before a pass looks at it.

A step states its halo; a chain's halo is the sum. A chain is run from the grown block inwards: each
step is asked for just the box that the steps after it need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Shape, Slices, add_halos
from chunkseg.kernels.blur import gaussian, gaussian_halo, gaussian_parts
from chunkseg.kernels.erosion import erode_ball, erosion_halo
from chunkseg.kernels.expansion import expand_labels, expansion_halo
from chunkseg.kernels.footprint import erode_reflected


class Step(Protocol):
    """One voxel-wise operation on a grown block."""

    @property
    def halo(self) -> Shape:
        """How far away, in voxels per axis, an input voxel can still matter."""

    def __call__(self, array: NDArray[Any], inner: Slices) -> NDArray[Any]:
        """Result for the part ``inner`` of ``array``."""


Chain = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Blur:
    """Gaussian blur as :func:`skimage.filters.gaussian` with its defaults."""

    sigma: tuple[float, ...]
    mode: str = "nearest"
    cval: float = 0.0
    preserve_range: bool = False
    truncate: float = 4.0

    @property
    def halo(self) -> Shape:
        """Truncated radius of the Gaussian along each axis."""
        return gaussian_halo(self.sigma, self.truncate)

    def __call__(self, array: NDArray[Any], inner: Slices) -> NDArray[Any]:
        """Blur."""
        return gaussian(array, self.sigma, inner=inner, **self._options())

    def parts(self, array: NDArray[Any], inner: Slices) -> Iterator[NDArray[Any]]:
        """Blur, some planes at a time; each part is gone when the next is asked for."""
        return gaussian_parts(array, self.sigma, inner=inner, **self._options())

    def bounds(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Limits of the blur that follow from the least and the largest voxel, to the last bit.

        A voxel is a sum of voxels times weights that are not negative, in an order that is the same
        everywhere, and rounding keeps order. So none is below what an array of nothing but the
        least voxel becomes, nor above what one of the largest does; and that is one value, which
        need not be the voxel itself, since weights add up to 1 but for rounding.

        Returns
        -------
        low, high : ndarray
            Arrays of one voxel; of an array with NaN they are NaN. None where the image goes on
            with another value beyond its ends.
        """
        if self.mode == "constant" or not array.size:
            return None
        ones = (np.full((1,) * array.ndim, end) for end in (array.min(), array.max()))
        low, high = (gaussian(one, self.sigma, **self._options()) for one in ones)
        return low, high

    def _options(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "cval": self.cval,
            "preserve_range": self.preserve_range,
            "truncate": self.truncate,
        }


@dataclass(frozen=True, slots=True)
class BlurAbove:
    """Voxels brighter than a threshold after a blur, without the blurred block in memory."""

    blur: Blur
    threshold: Any

    @property
    def halo(self) -> Shape:
        """Halo of the blur."""
        return self.blur.halo

    def __call__(self, array: NDArray[Any], inner: Slices) -> NDArray[Any]:
        """Blur and compare."""
        low, high = self.blur.bounds(array) or (None, None)
        if high is not None and (high <= self.threshold or low > self.threshold):
            return np.full([s.stop - s.start for s in inner], high > self.threshold, np.bool_)
        return self.watched(array, inner, lambda part, plane: None)

    def watched(
        self, array: NDArray[Any], inner: Slices, watch: Callable[[NDArray[Any], int], None]
    ) -> NDArray[Any]:
        """Blur and compare, and show what is blurred.

        Parameters
        ----------
        array, inner
            As for a step.
        watch
            Called with some planes at a time and the number of the first; they are gone when the
            next ones come.
        """
        mask = np.empty([s.stop - s.start for s in inner], np.bool_)
        done = 0
        for part in self.blur.parts(array, inner):
            np.greater(part, self.threshold, out=mask[done : done + len(part)])
            watch(part, done)
            done += len(part)
        return mask


@dataclass(frozen=True, slots=True)
class NotZero:
    """Voxels that are not 0: an image that is already a mask."""

    ndim: int

    @property
    def halo(self) -> Shape:
        """No neighbour matters."""
        return (0,) * self.ndim

    def __call__(self, array: NDArray[Any], inner: Slices) -> NDArray[Any]:
        """Compare."""
        return np.asarray(array[inner] != 0)


@dataclass(frozen=True, slots=True)
class ErodeFootprint:
    """Erosion by a footprint of odd lengths as :func:`skimage.morphology.erosion` has it."""

    footprint: NDArray[np.bool_]

    @property
    def halo(self) -> Shape:
        """Half of the footprint."""
        return tuple(n // 2 for n in self.footprint.shape)

    def __call__(self, array: NDArray[Any], inner: Slices) -> NDArray[Any]:
        """Erode."""
        return erode_reflected(array, self.footprint)[inner]


@dataclass(frozen=True, slots=True)
class ErodeBall:
    """Erosion of a mask by a ball or disk, ``iterations`` times.

    The radius is in voxels, or in the unit of ``spacing``.
    """

    radius: float
    ndim: int
    iterations: int = 1
    spacing: tuple[float, ...] | None = None

    @property
    def halo(self) -> Shape:
        """Return the voxels that the radius spans along each axis, once per iteration."""
        once = erosion_halo(self.radius, self.spacing, self.ndim)
        return tuple(n * self.iterations for n in once)

    def __call__(self, array: NDArray[Any], inner: Slices) -> NDArray[Any]:
        """Erode."""
        for _ in range(self.iterations - 1):
            array = erode_ball(array, self.radius, spacing=self.spacing)
        return erode_ball(array, self.radius, inner, self.spacing)


@dataclass(frozen=True, slots=True)
class Expand:
    """Expansion of labels as :func:`skimage.segmentation.expand_labels`."""

    distance: float
    spacing: tuple[float, ...]

    @property
    def halo(self) -> Shape:
        """Return the voxels that the distance spans along each axis."""
        return expansion_halo(self.distance, self.spacing)

    def __call__(self, array: NDArray[Any], inner: Slices) -> NDArray[Any]:
        """Expand."""
        return expand_labels(array, self.distance, self.spacing, inner=inner)


def chain_halo(chain: Sequence[Step], ndim: int) -> Shape:
    """Halo of a chain: its steps' halos added up."""
    return add_halos((0,) * ndim, *(step.halo for step in chain))


def run_chain(
    chain: Sequence[Step], array: NDArray[Any], read: Box, core: Box, frame: Box
) -> NDArray[Any]:
    """Run a chain on a grown block and return what it gives for the core.

    Parameters
    ----------
    chain
        The steps, first to last.
    array
        The block as read.
    read
        The box that ``array`` covers: ``core`` grown by the chain's halo, clipped to ``frame``.
    core, frame
        The box wanted and the box of the whole frame.
    """
    for step, inner in _asked(chain, read, core, frame):
        array = step(array, inner)
    return array


def run_chain_in_parts(
    chain: Sequence[Step], array: NDArray[Any], read: Box, core: Box, frame: Box
) -> Iterator[NDArray[Any]]:
    """Run a chain as :func:`run_chain` does, for what looks at each voxel of the result once.

    Yields
    ------
    ndarray
        The next planes of the core along its first axis, of which there may be any number; gone
        when the next ones are asked for.
    """
    asked = _asked(chain, read, core, frame)
    for step, inner in asked[:-1]:
        array = step(array, inner)
    if not asked:
        yield array
        return
    last, inner = asked[-1]
    if isinstance(last, Blur):
        yield from last.parts(array, inner)
    else:
        yield last(array, inner)


def _asked(chain: Sequence[Step], read: Box, core: Box, frame: Box) -> list[tuple[Step, Slices]]:
    """Return each step and which part of its input's box it is asked for."""
    boxes = [core]
    for step in reversed(chain):
        boxes.append(boxes[-1].grow(step.halo, frame))
    if boxes[-1] != read:
        raise AssertionError(f"the chain needs {boxes[-1]}, but {read} was read")
    pairs = zip(chain, boxes[:0:-1], boxes[-2::-1], strict=True)
    return [(step, inner.slices(origin=outer.start)) for step, outer, inner in pairs]

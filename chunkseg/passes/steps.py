"""Voxel-wise steps and chains of them: what is done to a grown block before a pass looks at it.

A step states its halo; a chain's halo is the sum. A chain is run from the grown block inwards: each
step is asked for just the box that the steps after it need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Shape, Slices, add_halos
from chunkseg.kernels.blur import gaussian, gaussian_halo
from chunkseg.kernels.erosion import erode_ball
from chunkseg.kernels.expansion import expand_labels, expansion_halo


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
        return gaussian(
            array,
            self.sigma,
            mode=self.mode,
            cval=self.cval,
            preserve_range=self.preserve_range,
            truncate=self.truncate,
            inner=inner,
        )


@dataclass(frozen=True, slots=True)
class Above:
    """Voxels brighter than a threshold."""

    threshold: Any
    ndim: int

    @property
    def halo(self) -> Shape:
        """No neighbour matters."""
        return (0,) * self.ndim

    def __call__(self, array: NDArray[Any], inner: Slices) -> NDArray[Any]:
        """Compare."""
        return np.asarray(array[inner] > self.threshold)


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
class ErodeBall:
    """Erosion of a mask by a ball or disk of ``radius`` voxels, ``iterations`` times."""

    radius: int
    ndim: int
    iterations: int = 1

    @property
    def halo(self) -> Shape:
        """Return the radius, once per iteration."""
        return (self.radius * self.iterations,) * self.ndim

    def __call__(self, array: NDArray[Any], inner: Slices) -> NDArray[Any]:
        """Erode."""
        for _ in range(self.iterations - 1):
            array = erode_ball(array, self.radius)
        return erode_ball(array, self.radius, inner=inner)


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
    boxes = [core]
    for step in reversed(chain):
        boxes.append(boxes[-1].grow(step.halo, frame))
    if boxes[-1] != read:
        raise AssertionError(f"the chain needs {boxes[-1]}, but {read} was read")
    for step, outer, inner in zip(chain, boxes[:0:-1], boxes[-2::-1], strict=True):
        array = step(array, inner.slices(origin=outer.start))
    return array

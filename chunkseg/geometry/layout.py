"""Which axes of an array are looped over and which make up a frame.

Arrays with named axes are looped over ``t`` and ``c``: nothing is blurred, labelled or expanded
across them. Axes without names are all spatial, as in scikit-image. Axes may come in any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Shape, Slices

LOOPED = ("t", "c")


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape of an array and the roles of its axes.

    Attributes
    ----------
    shape
        Shape of the whole array.
    looped, spatial
        Numbers of the axes looped over and of those that make up a frame, each ascending.
    """

    shape: Shape
    looped: Shape
    spatial: Shape

    @classmethod
    def of(cls, shape: Sequence[int], dims: Sequence[str] | None = None) -> Layout:
        """Layout of an array with the given names of axes, or of one without names."""
        names = dims if dims is not None else [""] * len(shape)
        looped = tuple(i for i, name in enumerate(names) if name in LOOPED)
        spatial = tuple(i for i, name in enumerate(names) if name not in LOOPED)
        return cls(tuple(shape), looped, spatial)

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.spatial)

    @property
    def loop_shape(self) -> Shape:
        """Length of the looped axes."""
        return tuple(self.shape[i] for i in self.looped)

    @property
    def frame_shape(self) -> Shape:
        """Shape of one frame."""
        return tuple(self.shape[i] for i in self.spatial)

    @property
    def frame_size(self) -> int:
        """Number of voxels of one frame."""
        return math.prod(self.frame_shape)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return math.prod(self.loop_shape)

    def slices(self, frame: int, box: Box) -> Slices:
        """Slices that cut a box of one frame out of the whole array, all axes kept."""
        result = [slice(None)] * len(self.shape)
        if self.looped:
            where = np.unravel_index(frame, self.loop_shape)
            for axis, i in zip(self.looped, where, strict=True):
                result[axis] = slice(int(i), int(i) + 1)
        for axis, s in zip(self.spatial, box.slices(), strict=True):
            result[axis] = s
        return tuple(result)

    def take_frame(self, array: NDArray[Any]) -> NDArray[Any]:
        """Drop the looped axes, of length 1, from a part of the array."""
        return array.reshape([array.shape[i] for i in self.spatial])

    def give_frame(self, array: NDArray[Any]) -> NDArray[Any]:
        """Put looped axes of length 1 back into a part of a frame."""
        shape = [1] * len(self.shape)
        for axis, n in zip(self.spatial, array.shape, strict=True):
            shape[axis] = n
        return array.reshape(shape)

    def per_axis(self, spatial: Sequence[Any], looped: Any) -> tuple[Any, ...]:
        """Spread values of the spatial axes over all axes, with ``looped`` for the others."""
        result = [looped] * len(self.shape)
        for axis, value in zip(self.spatial, spatial, strict=True):
            result[axis] = value
        return tuple(result)

    def map_frames(
        self, function: Callable[[NDArray[Any]], NDArray[Any]], array: NDArray[Any]
    ) -> NDArray[Any]:
        """Apply a function of one frame to every frame of a part of the array, shape kept."""
        if not self.looped:
            return function(array)
        moved = np.moveaxis(array, self.looped, range(len(self.looped)))
        loops = moved.shape[: len(self.looped)]
        flat = moved.reshape((-1, *moved.shape[len(self.looped) :]))
        results = np.stack([function(frame) for frame in flat])
        back = results.reshape(loops + results.shape[1:])
        return np.moveaxis(back, range(len(self.looped)), self.looped)

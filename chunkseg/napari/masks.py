"""The mask of a preview: made where it is asked for, and kept for the next one.

What erodes, expands or chooses objects leaves the mask as it is, and most of a preview's time goes
into reading and blurring. So the mask that was made last is kept, somewhat larger than was asked
for: a larger radius, the next plane or a view a little aside finds it there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Box
from chunkseg.passes.masking import Masking
from chunkseg.runner.sweep import Input

MOST_VOXELS = 2**25
MARGIN = 12


@dataclass(frozen=True)
class Region:
    """A part of one frame of an image, and how large its voxels are.

    Attributes
    ----------
    image
        The image.
    frame
        Number of the frame.
    core
        The part.
    axes
        Names of the axes of a frame.
    spacing
        Size of a voxel along each.
    """

    image: Input
    frame: int
    core: Box
    axes: tuple[str, ...]
    spacing: tuple[float, ...]

    @property
    def whole(self) -> Box:
        """Box of the frame."""
        return Box.whole(self.image.layout.frame_shape)

    def read(self, box: Box) -> NDArray[Any]:
        """Pixels of a box of the frame."""
        layout = self.image.layout
        pixels = layout.take_frame(np.asarray(self.image.data[layout.slices(self.frame, box)]))
        return np.ascontiguousarray(pixels)


MaskOf = Callable[[Region, Masking, Box], NDArray[np.bool_]]
"""What makes the mask of a box of a region's frame."""


def computed(region: Region, masking: Masking, box: Box) -> NDArray[np.bool_]:
    """Mask of a box, from the image.

    Raises
    ------
    ParameterError
        If the box with the halo of the blur is too large to be computed while somebody waits.
    """
    read = masking.grown(box, region.frame, region.whole)
    if read.size > MOST_VOXELS:
        raise ParameterError(
            f"the view of {' x '.join(map(str, region.core.shape))} voxels needs {read.size:.2g} "
            f"voxels with the halos of all steps, more than {MOST_VOXELS:.2g}; zoom in, or take "
            "fewer planes"
        )
    mask, _ = masking(region.read(read), region.frame, box, box, region.whole)
    return mask


@dataclass
class Masks:
    """The mask that was made last."""

    _key: str | None = None
    _box: Box = field(default_factory=lambda: Box((), ()))
    _mask: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((), np.bool_))

    def of(self, key: str) -> MaskOf:
        """What makes masks, or takes them from the kept one.

        Parameters
        ----------
        key
            Text of all that a mask follows from: image, frame, blur and threshold.
        """
        return partial(self._mask_of, key)

    def _mask_of(self, key: str, region: Region, masking: Masking, box: Box) -> NDArray[np.bool_]:
        if key != self._key or box.intersect(self._box) != box:
            larger = box.grow((MARGIN,) * len(box.start), region.whole)
            fits = masking.grown(larger, region.frame, region.whole).size <= MOST_VOXELS
            kept = larger if fits else box
            self._mask, self._box, self._key = computed(region, masking, kept), kept, key
        return self._mask[box.slices(origin=self._box.start)]

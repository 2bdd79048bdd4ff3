"""How an image becomes a mask, and what is counted on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box
from chunkseg.passes.steps import Blur, BlurAbove, Chain, NotZero, chain_halo, run_chain
from chunkseg.passes.threshold import counts_of_bounds, counts_within

Masked = tuple[NDArray[np.bool_], NDArray[np.int64] | None]


@dataclass(frozen=True)
class Masking:
    """How an image becomes a mask: blur and compare, or it is one.

    Attributes
    ----------
    blur
        The blur; None where the image is a mask already.
    thresholds
        The threshold of each frame.
    ndim
        Number of spatial axes.
    ends
        The range of each frame whose blurred voxels are counted as well.
    nbins
        In how many bins.
    """

    blur: Blur | None
    thresholds: Mapping[int, Any]
    ndim: int
    ends: Mapping[int, tuple[Any, Any]] = field(default_factory=dict)
    nbins: int = 0

    def chain(self, frame: int) -> Chain:
        """Return the steps for one frame."""
        if self.blur is None:
            return (NotZero(self.ndim),)
        return (BlurAbove(self.blur, self.thresholds[frame]),)

    def grown(self, box: Box, frame: int, bounds: Box) -> Box:
        """Box that is read for the mask in a box."""
        return box.grow(chain_halo(self.chain(frame), self.ndim), bounds)

    def __call__(
        self, image: NDArray[Any], frame: int, masked: Box, core: Box, bounds: Box
    ) -> Masked:
        """Make the mask of a box, and count the voxels of the block that it belongs to.

        Parameters
        ----------
        image
            What was read for the box: :meth:`grown`.
        frame
            Number of the frame.
        masked, core
            The box, and the block's own part of it.
        bounds
            The box of the frame.

        Returns
        -------
        mask, counts
            The counts are None where none are wanted.
        """
        read = self.grown(masked, frame, bounds)
        (step,) = chain = self.chain(frame)
        if frame not in self.ends or not isinstance(step, BlurAbove):
            return run_chain(chain, image, read, masked, bounds), None
        ends = self.ends[frame]
        known = counts_of_bounds(step.blur.bounds(image), *ends, self.nbins, core.size)
        inner = masked.slices(origin=read.start)
        if known is not None:
            return step(image, inner), known.counts
        first, *rest = core.slices(origin=masked.start)
        counts = np.zeros(self.nbins, np.int64)

        def count(part: NDArray[Any], plane: int) -> None:
            start, stop = max(first.start - plane, 0), min(first.stop - plane, len(part))
            if start < stop:
                counts[:] += counts_within(part, (slice(start, stop), *rest), *ends, self.nbins)

        return step.watched(image, inner, count), counts

"""Movies of small frames on their way into bundles.

Tasks compute frame by frame, and a file holds the frames of a bundle. So blocks go to an array in
scratch first, where each frame has chunks of its own; when a group of frames is complete, one task
per bundle writes its file, of every level. Where frames are added to a movie, the last bundle of
the former frames is written anew, with those that it holds already.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Shape
from chunkseg.storage.arrays import create_array
from chunkseg.storage.pyramids import PyramidSink
from chunkseg.storage.scratch import ScratchSource
from chunkseg.storage.sinks import Sink


@dataclass(frozen=True)
class BundledSink:
    """Where the blocks of a movie of small frames go.

    Attributes
    ----------
    single
        The frames, each by itself.
    pyramid
        The image whose files hold bundles.
    """

    single: Sink
    pyramid: PyramidSink

    @classmethod
    def beside(cls, folder: Path, pyramid: PyramidSink, block: Shape) -> BundledSink:
        """Let frames go to an array in a folder first, in the given blocks."""
        full = pyramid.sinks[0]
        array = create_array(folder, full.layout, block, full.array.dtype)
        return cls(Sink(array, full.layout), pyramid)

    def write(self, frame: int, box: Box, data: NDArray[Any]) -> None:
        """Write a block of one frame."""
        self.single.write(frame, box, data)

    def intact(self, frame: int, box: Box) -> bool:
        """Whether every chunk of a block is there and passes its checksum."""
        return self.single.intact(frame, box)

    def write_bundle(self, first: int, frames: range) -> int:
        """Write the bundle that begins with a frame; return the number of its voxels.

        Parameters
        ----------
        first
            The frame.
        frames
            Those that are there by themselves; earlier ones of the bundle are in its file.
        """
        stop = min(first + self.pyramid.bundle, frames.stop)
        begin = max(first, frames.start)
        values = ScratchSource(self.single.array)[begin:stop]
        if first < begin:
            former = ScratchSource(self.pyramid.sinks[0].array)[first:begin]
            values = np.concatenate([former, values])
        self.pyramid.write_bundle(first, values)
        return values.size

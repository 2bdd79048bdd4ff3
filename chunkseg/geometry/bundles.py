"""Bundles: consecutive frames of a movie that are stored in one file.

A movie of ten thousand small frames must not become as many files. Frame ``n`` belongs to bundle
``n // length``, and the length follows from the shape of a frame alone: not from the number of
frames, which may grow, nor from the blocks that a frame is computed in.
"""

from __future__ import annotations

from chunkseg.geometry.layout import Layout

BUNDLE_FRAMES = 64
BUNDLE_VOXELS = 2**21


def bundle_length(layout: Layout) -> int:
    """Frames per bundle: a power of two; 1 unless time is all that is looped over.

    Examples
    --------
    >>> [bundle_length(Layout.of((9, n, n), "tyx")) for n in (32, 512, 1024, 2048)]
    [64, 8, 2, 1]
    >>> bundle_length(Layout.of((9, 32, 32), "zyx")), bundle_length(Layout.of((9, 2, 8), "tcx"))
    (1, 1)
    """
    if len(layout.looped) != 1:
        return 1
    fitting = BUNDLE_VOXELS // max(1, layout.frame_size)
    return 1 << max(1, min(BUNDLE_FRAMES, fitting)).bit_length() - 1


def bundle_starts(frames: range, length: int) -> range:
    """First frames of the bundles that some frames belong to.

    Examples
    --------
    >>> list(bundle_starts(range(20, 130), 64))
    [0, 64, 128]
    """
    return range(frames.start - frames.start % length, frames.stop, length)

"""Which part of an image is seen in napari, as a box of one frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chunkseg.geometry.boxes import Box, Shape


@dataclass(frozen=True)
class Seen:
    """A part of an image.

    Attributes
    ----------
    frame
        Number of the frame.
    box
        The part of it, in voxels of the full resolution.
    """

    frame: int
    box: Box


def seen(
    dims: str,
    shape: Shape,
    corners: Sequence[Sequence[float]],
    point: Sequence[float],
    displayed: Sequence[int],
    planes: int,
) -> Seen:
    """Box of what is seen: along shown axes the view, else some planes around the one shown.

    Parameters
    ----------
    dims, shape
        Names and lengths of the layer's axes.
    corners
        First and last voxel in view along each axis, at full resolution.
    point
        Voxel that is looked at along each axis.
    displayed
        Numbers of the axes that are shown.
    planes
        How many planes are taken along an axis that is not shown; of time one.

    Examples
    --------
    >>> seen("zyx", (9, 50, 60), [[0, 5, 10], [8, 14, 70]], (4, 0, 0), (1, 2), planes=3)
    Seen(frame=0, box=Box(start=(3, 5, 10), stop=(6, 15, 60)))
    """
    frame = 0
    spans = []
    for axis, (dim, n) in enumerate(zip(dims, shape, strict=True)):
        at = min(n - 1, max(0, round(point[axis])))
        if dim == "t":
            frame = at
        elif axis in displayed:
            spans.append(_span(corners[0][axis], corners[1][axis], n))
        else:
            start = max(0, min(at - planes // 2, n - planes))
            spans.append((start, min(n, start + planes)))
    return Seen(frame, Box(tuple(a for a, _ in spans), tuple(b for _, b in spans)))


def _span(first: float, last: float, n: int) -> tuple[int, int]:
    start = min(n - 1, max(0, math.floor(first)))
    return start, max(start + 1, min(n, math.floor(last) + 1))


def seen_of(viewer: Any, layer: Any, dims: str, planes: int) -> Seen:
    """What a viewer shows of a layer."""
    factors = layer.downsample_factors[layer.data_level] if layer.multiscale else (1,) * layer.ndim
    first, last = layer.corner_pixels
    corners = (
        [float(a * f) for a, f in zip(first, factors, strict=True)],
        [float((b + 1) * f - 1) for b, f in zip(last, factors, strict=True)],
    )
    data = layer.data[0] if layer.multiscale else layer.data
    offset = viewer.dims.ndim - layer.ndim
    displayed = [axis - offset for axis in viewer.dims.displayed]
    point = layer.world_to_data(viewer.dims.point)
    return seen(dims, tuple(data.shape), corners, point, displayed, planes)

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
    """What a viewer shows of a layer: in two dimensions the view, in three all of its axes."""
    shape = tuple((layer.data[0] if layer.multiscale else layer.data).shape)
    offset = viewer.dims.ndim - layer.ndim
    displayed = [axis - offset for axis in viewer.dims.displayed]
    corners: Sequence[Sequence[float]] = ([0.0] * len(shape), [n - 1.0 for n in shape])
    if viewer.dims.ndisplay == 2:
        corners = _corners(viewer, layer)
    point = layer.world_to_data(viewer.dims.point)
    return seen(dims, shape, corners, point, displayed, planes)


def _corners(viewer: Any, layer: Any) -> tuple[Sequence[float], Sequence[float]]:
    """First and last voxel in view; a layer itself knows it to whole chunks only."""
    canvas = viewer.window._qt_viewer.canvas.size
    low, high = list(viewer.dims.point), list(viewer.dims.point)
    centre = viewer.camera.center[-2:]
    for axis, middle, edge in zip(viewer.dims.displayed, centre, canvas, strict=True):
        low[axis] = middle - edge / viewer.camera.zoom / 2
        high[axis] = middle + edge / viewer.camera.zoom / 2
    first, last = layer.world_to_data(low), layer.world_to_data(high)
    return [min(pair) for pair in zip(first, last, strict=True)], [
        max(pair) for pair in zip(first, last, strict=True)
    ]

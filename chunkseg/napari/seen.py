"""Which part of an image is seen in napari, as a box of one frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkseg.geometry.boxes import Box, Shape

Corners = tuple[Sequence[float], Sequence[float]]


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
    corners: Corners,
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
    >>> seen("zyx", (9, 50, 60), ([0, 5, 10], [8, 14, 70]), (4, 0, 0), (1, 2), planes=3)
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
    """What a viewer shows of a layer on its canvas: in three dimensions, all of its axes."""
    shape = tuple((layer.data[0] if layer.multiscale else layer.data).shape)
    offset = viewer.dims.ndim - layer.ndim
    displayed = [axis - offset for axis in viewer.dims.displayed]
    flat = viewer.dims.ndisplay == 2
    corners = _corners(viewer, layer) if flat else ([0.0] * len(shape), shape)
    point = layer.world_to_data(viewer.dims.point)
    return seen(dims, shape, corners, point, displayed, planes)


def _corners(viewer: Any, layer: Any) -> Corners:
    """First and last voxel in view along each axis.

    napari tells a plugin what is in view only by layer, to whole chunks and not always anew.
    """
    low, high = list(viewer.dims.point), list(viewer.dims.point)
    camera = viewer.scene.camera
    centre, zoom = camera.center[-2:], camera.zoom
    for axis, middle, edge in zip(viewer.dims.displayed, centre, viewer.canvas.size, strict=True):
        low[axis], high[axis] = middle - edge / zoom / 2, middle + edge / zoom / 2
    ends = np.array([layer.world_to_data(low), layer.world_to_data(high)])
    return ends.min(axis=0).tolist(), ends.max(axis=0).tolist()

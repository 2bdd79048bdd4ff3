"""Objects that are dropped: at which faces of the frame, or for their size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Shape
from chunkseg.passes.components import Components


def face_names(dims: Sequence[str]) -> list[str]:
    """Names of the faces of a frame, in the order of their bits (``Border.faces``).

    Examples
    --------
    >>> face_names("yx")
    ['y low', 'y high', 'x low', 'x high']
    """
    return [f"{dim} {side}" for dim in dims for side in ("low", "high")]


def dropped_objects(
    objects: Components, kept: NDArray[np.bool_], dims: Sequence[str], shape: Shape
) -> dict[str, list[Any]]:
    """List the dropped objects of a frame.

    Parameters
    ----------
    objects
        All objects of the frame.
    kept
        Which of them are not dropped.
    dims, shape
        Names and lengths of the axes of a frame.

    Returns
    -------
    dict of lists
        Columns, one row per object, by first voxel: ``why``, which is the faces that it touches,
        as ``"z low, x high"``, or ``"size"``; ``area``, its number of voxels; ``first-0``, ...:
        its first voxel in raster order.
    """
    rows = np.flatnonzero(~kept)
    voxels = np.zeros(objects.count, np.int64) if objects.voxels is None else objects.voxels
    columns: dict[str, list[Any]] = {
        "why": _reasons(objects.faces[rows], face_names(dims)),
        "area": voxels[rows].tolist(),
    }
    for axis, index in enumerate(np.unravel_index(objects.first[rows], shape)):
        columns[f"first-{axis}"] = index.tolist()
    return columns


def _reasons(faces: NDArray[np.uint32], names: Sequence[str]) -> list[str]:
    """Write the faces out; the same words for the same bits."""
    distinct, where = np.unique(faces, return_inverse=True)
    words = [
        ", ".join(name for bit, name in enumerate(names) if int(value) >> bit & 1) or "size"
        for value in distinct
    ]
    return [words[i] for i in where]


def dropped_counts(dropped: dict[str, list[Any]]) -> dict[str, int]:
    """How many objects were dropped for each reason; one that touches two faces counts twice.

    Examples
    --------
    >>> dropped_counts({"why": ["z low, x high", "z low", "size"]})
    {'size': 1, 'x high': 1, 'z low': 2}
    """
    reasons = [reason for why in dropped["why"] for reason in why.split(", ")]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}

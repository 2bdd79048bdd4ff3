"""The measure pass: partial sums per label and block, merged by label, finished to properties.

A property is finished from the merged sums by one small function, all of them in ``PROPERTIES``;
what a property needs decides which sums are kept. Records come in block order, and rows of equal
label are reduced in that order, so that the sums of float images are reproducible to the byte.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import KindError, ParameterError
from chunkseg.geometry.boxes import Box
from chunkseg.kernels import sums as kernels
from chunkseg.kernels.components import Local


@dataclass(frozen=True, slots=True)
class MeasureRecord:
    """Partial sums of the regions of one block, or of a frame: one row per label.

    Attributes
    ----------
    label
        The regions' labels.
    num_pixels
        Number of voxels.
    bbox_start, bbox_stop
        Bounding box in the frame, shape (regions, axes).
    coordinates
        Sums of the voxels' indices in the frame, shape (regions, axes).
    total, smallest, largest
        Of the intensities, shape (regions, channels); no channels without an intensity image.
    """

    label: NDArray[np.int64]
    num_pixels: NDArray[np.int64]
    bbox_start: NDArray[np.int64]
    bbox_stop: NDArray[np.int64]
    coordinates: NDArray[np.int64]
    total: NDArray[Any]
    smallest: NDArray[Any]
    largest: NDArray[Any]


def measure_block(
    local: Local, ids: NDArray[np.int64], images: Sequence[NDArray[Any]], core: Box
) -> MeasureRecord:
    """Sums of one block.

    Parameters
    ----------
    local
        Local ids of the voxels of ``core``, 1 to ``len(ids)``.
    ids
        Label of each local id; 0 for one that is not to be measured.
    images
        Intensity images of the block, one per channel.
    core
        Where the block lies in the frame.
    """
    count = len(ids)
    sums = kernels.region_sums(local, count)
    kept = np.flatnonzero((ids != 0) & (sums.num_pixels > 0))
    origin = np.array(core.start, np.int64)
    channels = [kernels.intensity_sums(local, count, image) for image in images]
    pixels = sums.num_pixels[kept]
    return MeasureRecord(
        ids[kept].astype(np.int64),
        pixels,
        sums.bbox_start[kept] + origin,
        sums.bbox_stop[kept] + origin,
        sums.coordinates[kept] + pixels[:, np.newaxis] * origin,
        _columns([c.total[kept] for c in channels], len(kept)),
        _columns([c.smallest[kept] for c in channels], len(kept)),
        _columns([c.largest[kept] for c in channels], len(kept)),
    )


def _columns(channels: list[NDArray[Any]], rows: int) -> NDArray[Any]:
    return np.stack(channels, axis=1) if channels else np.empty((rows, 0))


_REDUCE: dict[str, np.ufunc] = {
    "num_pixels": np.add,
    "bbox_start": np.minimum,
    "bbox_stop": np.maximum,
    "coordinates": np.add,
    "total": np.add,
    "smallest": np.minimum,
    "largest": np.maximum,
}


def merge_measures(records: Iterable[MeasureRecord]) -> MeasureRecord:
    """Merge the rows of equal label; the result is sorted by label."""
    records = list(records)
    columns = {
        f.name: np.concatenate([getattr(r, f.name) for r in records]) for f in fields(MeasureRecord)
    }
    order = np.argsort(columns["label"], kind="stable")
    label = columns["label"][order]
    starts = np.flatnonzero(np.concatenate([[True], label[1:] != label[:-1]])[: len(label)])
    merged = {
        name: _reduced(reduce, columns[name][order], starts) for name, reduce in _REDUCE.items()
    }
    return MeasureRecord(label=label[starts], **merged)


def _reduced(reduce: np.ufunc, rows: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[Any]:
    return reduce.reduceat(rows, starts, axis=0) if len(starts) else rows


Finish = Callable[[MeasureRecord, tuple[float, ...]], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Property:
    """How a property is finished from the merged sums and the spacing.

    ``columns`` is ``"one"`` for a single column, ``"axes"`` for one per axis, ``"bbox"`` for two
    per axis and ``"channels"`` for one per intensity channel.
    """

    finish: Finish
    columns: str = "one"

    @property
    def needs_intensity(self) -> bool:
        """Whether an intensity image is needed."""
        return self.columns == "channels"


def _area(sums: MeasureRecord, spacing: tuple[float, ...]) -> NDArray[Any]:
    return sums.num_pixels * np.prod(spacing)


def _bbox(sums: MeasureRecord, spacing: tuple[float, ...]) -> NDArray[Any]:
    return np.concatenate([sums.bbox_start, sums.bbox_stop], axis=1)


def _area_bbox(sums: MeasureRecord, spacing: tuple[float, ...]) -> NDArray[Any]:
    return np.prod(sums.bbox_stop - sums.bbox_start, axis=1) * np.prod(spacing)


def _centroid(sums: MeasureRecord, spacing: tuple[float, ...]) -> NDArray[Any]:
    return sums.coordinates / sums.num_pixels[:, np.newaxis] * np.array(spacing)


def _equivalent_diameter(sums: MeasureRecord, spacing: tuple[float, ...]) -> NDArray[Any]:
    ndim = len(spacing)
    return (2 * ndim * _area(sums, spacing) / math.pi) ** (1 / ndim)


PROPERTIES: dict[str, Property] = {
    "label": Property(lambda sums, spacing: sums.label),
    "num_pixels": Property(lambda sums, spacing: sums.num_pixels),
    "area": Property(_area),
    "bbox": Property(_bbox, "bbox"),
    "area_bbox": Property(_area_bbox),
    "extent": Property(lambda sums, spacing: _area(sums, spacing) / _area_bbox(sums, spacing)),
    "equivalent_diameter_area": Property(_equivalent_diameter),
    "centroid": Property(_centroid, "axes"),
    "intensity_mean": Property(
        lambda sums, spacing: sums.total / sums.num_pixels[:, np.newaxis], "channels"
    ),
    "intensity_min": Property(lambda sums, spacing: sums.smallest.astype(float), "channels"),
    "intensity_max": Property(lambda sums, spacing: sums.largest.astype(float), "channels"),
}


def check_properties(properties: Sequence[str], ndim: int, has_intensity: bool) -> None:
    """Refuse what can't be measured.

    Raises
    ------
    ParameterError
        For an unknown property (near names are listed), or an intensity without an image.
    KindError
        For label images that are neither two- nor three-dimensional.
    """
    if ndim not in (2, 3):
        raise KindError(
            f"regionprops_table needs 2-D or 3-D label images, as in scikit-image; got {ndim} "
            "dimensions. Looped axes must be named 't' or 'c' (see chunkseg.from_array)."
        )
    for name in properties:
        if name not in PROPERTIES:
            near = difflib.get_close_matches(name, PROPERTIES, n=3, cutoff=0.4)
            raise ParameterError(
                f"unknown property {name!r}; did you mean one of {near or sorted(PROPERTIES)}?"
            )
        if PROPERTIES[name].needs_intensity and not has_intensity:
            raise ParameterError(
                f"property {name!r} needs an intensity image, but none was given: pass it as "
                "intensity_image"
            )


def column_names(name: str, ndim: int, channels: Sequence[str] | None) -> list[str]:
    """Names of a property's columns; ``channels`` is None for a single unnamed channel."""
    kind = PROPERTIES[name].columns
    if kind == "channels" and channels is not None:
        return [f"{name}-{channel}" for channel in channels]
    if kind == "axes":
        return [f"{name}-{axis}" for axis in range(ndim)]
    if kind == "bbox":
        return [f"{name}-{edge}" for edge in range(2 * ndim)]
    return [name]


def finish(
    sums: MeasureRecord,
    properties: Sequence[str],
    spacing: tuple[float, ...],
    channels: Sequence[str] | None = None,
) -> dict[str, NDArray[Any]]:
    """Columns of the table, in the order asked for, named as scikit-image names them."""
    table: dict[str, NDArray[Any]] = {}
    for name in properties:
        values = PROPERTIES[name].finish(sums, spacing)
        names = column_names(name, len(spacing), channels)
        for column, data in zip(names, values.reshape(len(values), len(names)).T, strict=True):
            table[column] = np.ascontiguousarray(data)
    return table

"""Contributions of single voxels: counts, boxes, coordinates, moments and intensities.

Coordinates and intensities are summed as whole numbers where they are whole; moments are taken
about the region's middle in the block and moved to its middle in the frame before they are added;
squared deviations follow the parallel-axis rule. Nothing cancels, however large the frame or bright
the image.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from chunkseg.kernels import moments as moment_kernels
from chunkseg.kernels import sums as kernels
from chunkseg.kernels.moments import Exponents, exponents
from chunkseg.passes.measure.contributions import (
    Array,
    Contribution,
    Rows,
    View,
    reducing,
    reference,
)

ORDER = 3
WHOLE_LIMIT = 2**62


def _num_pixels(view: View) -> dict[str, Array]:
    return {"num_pixels": view.regions.num_pixels}


def _bbox(view: View) -> dict[str, Array]:
    origin = np.array(view.core.start, np.int64)
    sums = view.regions
    return {"bbox_start": sums.bbox_start + origin, "bbox_stop": sums.bbox_stop + origin}


def _coordinates(view: View) -> dict[str, Array]:
    origin = np.array(view.core.start, np.int64)
    sums = view.regions
    return {"coordinates": sums.coordinates + sums.num_pixels[:, np.newaxis] * origin}


def _totals(view: View) -> dict[str, Array]:
    return {"totals": view.per_channel(view.totals)}


def _merge_totals(rows: Rows, name: str) -> Array:
    """Add whole numbers exactly; in float64 the labels whose sum might leave their range."""
    totals = rows.columns[name]
    merged = rows.reduce(np.add, totals)
    if totals.dtype.kind != "i":
        return merged
    beyond = rows.reduce(np.add, np.abs(totals).astype(float)) > WHOLE_LIMIT
    if not beyond.any():
        return merged
    return np.where(beyond, rows.reduce(np.add, totals.astype(float)), merged.astype(float))


def _extremes(view: View) -> dict[str, Array]:
    found = [kernels.intensity_extremes(view.runs, view.count, image) for image in view.images]
    smallest, largest = [low for low, _ in found], [high for _, high in found]
    return {"smallest": view.per_channel(smallest), "largest": view.per_channel(largest)}


def _deviations(view: View) -> dict[str, Array]:
    pixels = np.maximum(view.regions.num_pixels, 1)
    found: list[Array] = [
        kernels.squared_deviations(view.runs, image, totals / pixels)
        for image, totals in zip(view.images, view.totals, strict=True)
    ]
    return {"deviations": view.per_channel(found)}


def _merge_deviations(rows: Rows, name: str) -> Array:
    """Squared deviations within the blocks and those of the blocks' means from the mean of all."""
    pixels = rows.columns["num_pixels"][:, np.newaxis]
    means = rows.spread(rows.merged["totals"] / rows.merged["num_pixels"][:, np.newaxis])
    between = pixels * (rows.columns["totals"] / pixels - means) ** 2
    return rows.reduce(np.add, rows.columns[name] + between)


def _moments(degree: int, name: str, view: View) -> dict[str, Array]:
    powers = moment_powers(len(view.spacing), degree)
    return {name: moment_kernels.moment_sums(view.runs, view.reference, powers)}


def _weighted_moments(degree: int, name: str, view: View) -> dict[str, Array]:
    powers = moment_powers(len(view.spacing), degree)
    found: list[Array] = [
        moment_kernels.moment_sums(view.runs, view.reference, powers, image)
        for image in view.images
    ]
    return {name: view.per_channel(found, len(powers))}


def moment_powers(ndim: int, degree: int) -> Exponents:
    """Exponents of the moments kept: up to a total degree, or for degree 3 up to 3 on each axis."""
    return exponents(ndim, degree, ndim * degree if degree == ORDER else degree)


def _merge_moments(degree: int, rows: Rows, name: str) -> Array:
    """Move the moments of each row to its label's reference point in the frame, then add them."""
    ours = reference(rows.columns["num_pixels"], rows.columns["coordinates"])
    common = reference(rows.merged["num_pixels"], rows.merged["coordinates"])
    offset = (ours - rows.spread(common)).astype(float)
    values = rows.columns[name]
    channels = values.size // max(1, len(values) * values.shape[-1]) if values.ndim == 3 else 1
    flat = values.reshape(-1, values.shape[-1])
    powers = moment_powers(offset.shape[1], degree)
    moved = moment_kernels.shifted(flat, powers, np.repeat(offset, channels, axis=0))
    return rows.reduce(np.add, moved.reshape(values.shape))


def _moments_of(name: str, degree: int) -> Contribution:
    weighted = name.startswith("weighted")
    block = partial(_weighted_moments if weighted else _moments, degree, name)
    merge = {name: partial(_merge_moments, degree)}
    return Contribution(name, block, merge, needs=("coordinates",), images=weighted)


_SUM, _LOW, _HIGH = (reducing(f) for f in (np.add, np.minimum, np.maximum))

ADDITIVE = (
    Contribution("num_pixels", _num_pixels, {"num_pixels": _SUM}),
    Contribution("bbox", _bbox, {"bbox_start": _LOW, "bbox_stop": _HIGH}),
    Contribution("coordinates", _coordinates, {"coordinates": _SUM}),
    Contribution("totals", _totals, {"totals": _merge_totals}, images=True),
    Contribution("extremes", _extremes, {"smallest": _LOW, "largest": _HIGH}, images=True),
    Contribution(
        "deviations", _deviations, {"deviations": _merge_deviations}, needs=("totals",), images=True
    ),
    _moments_of("second", 2),
    _moments_of("moments", ORDER),
    _moments_of("weighted_first", 1),
    _moments_of("weighted", ORDER),
)

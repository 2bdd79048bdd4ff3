"""Arrays that are in memory or open already, as images: named axes and physical coordinates."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr

from chunkseg.errors import KindError
from chunkseg.geometry.calibration import (
    Calibration,
    Spacing,
    Unit,
    calibration_of,
    spacing_of,
    with_coordinates,
)
from chunkseg.geometry.dims import parse_dims
from chunkseg.geometry.layout import LOOPED
from chunkseg.geometry.units import PIXEL
from chunkseg.storage.formats.zarr import CALIBRATION, CHANNELS, of_array
from chunkseg.storage.leaves import MemorySource
from chunkseg.storage.sources import ZarrSource, as_dask

Dims = str | Sequence[str]
MASKED = np.ma.MaskedArray


def from_array(
    array: Any,
    dims: Dims | None = None,
    spacing: Spacing | None = None,
    unit: Unit | None = None,
    channels: Sequence[str] | None = None,
    name: str | None = None,
) -> xr.DataArray:
    """Name the axes of an array and calibrate it.

    Parameters
    ----------
    array
        NumPy or dask array, zarr array (read lazily), or a DataArray to be calibrated anew; its
        own dims, coordinates, name and attributes stay unless told otherwise.
    dims
        One letter of ``t c z y x`` per axis; by default ``yx`` or ``zyx``, of a zarr array what
        its metadata say.
    spacing, unit
        Physical spacing and unit of the spatial axes: a mapping by axis (``t`` allowed, in
        seconds unless ``unit`` is a mapping as well), a number per axis, or one for all. Without
        both, an axis has spacing 1 in ``"pixel"``.
    channels
        Names along ``c``.
    name
        Of the result.

    Returns
    -------
    DataArray
        Around the same NumPy or dask array.

    Raises
    ------
    KindError
        If it is no array of numbers.
    ParameterError
        If names, spacing or unit do not fit, or a spacing comes without a unit.

    Examples
    --------
    >>> image = from_array(np.zeros((2, 3)), spacing=0.26, unit="um")
    >>> image.dims, float(image.x[1]), image.x.attrs["units"]
    (('y', 'x'), 0.26, 'micrometer')
    """
    refuse_unsure(array, "array")
    if isinstance(array, xr.DataArray):
        return _recalibrated(array, dims, spacing, unit, channels, name)
    if not isinstance(array, np.ndarray | da.Array | zarr.Array) or array.dtype.kind not in "biuf":
        kind = f"{type(array).__name__} of {getattr(array, 'dtype', 'no dtype')}"
        raise KindError(
            f"from_array takes a NumPy, dask or zarr array or a DataArray of numbers, not {kind}"
        )
    if isinstance(array, zarr.Array):
        names = _zarr_dims(array, dims)
        looped = [i for i, d in enumerate(names) if d in LOOPED]
        array = as_dask(ZarrSource(array), looped=looped)
    else:
        names = parse_dims(dims, array.shape)
    return _calibrated(array, names, Calibration(), spacing, unit, channels, name, {})


def refuse_unsure(array: Any, what: str) -> None:
    """Refuse an array whose shape is not known, or some of whose voxels do not count.

    Raises
    ------
    KindError
        If a dask array has chunks of unknown size, or an array is masked.
    """
    if any(np.isnan(n) for n in getattr(array, "shape", ())):
        raise KindError(
            f"the {what} has chunks of unknown size; call compute_chunk_sizes() on it first"
        )
    data = array.data if isinstance(array, xr.DataArray) else array
    if isinstance(data if isinstance(data, np.ndarray) else getattr(data, "_meta", None), MASKED):
        raise KindError(
            f"the {what} is a masked array, and scikit-image takes no notice of such masks; fill "
            "it first, as with filled(0) of numpy.ma or dask.array.ma"
        )


def lazy_array(array: Any) -> da.Array | None:
    """Return a dask array as it is, a zarr or NumPy array as one; None for anything else."""
    if isinstance(array, da.Array):
        return array
    if isinstance(array, zarr.Array):
        return as_dask(ZarrSource(array))
    if isinstance(array, np.ndarray):
        return as_dask(MemorySource(array))
    return None


def _zarr_dims(array: zarr.Array[Any], dims: Dims | None) -> tuple[str, ...]:
    found = of_array(array)
    if dims is None and not found.doubt:
        return tuple(str(d) for d in found.dims)
    return parse_dims(dims, array.shape)


def _recalibrated(
    image: xr.DataArray,
    dims: Dims | None,
    spacing: Spacing | None,
    unit: Unit | None,
    channels: Sequence[str] | None,
    name: str | None,
) -> xr.DataArray:
    old = tuple(str(d) for d in image.dims)
    names = parse_dims(old if dims is None else dims, image.shape)
    kept = [n for n, m in zip(names, old, strict=True) if n == m and n in image.coords]
    if channels is None and "c" in kept:
        channels = [str(c) for c in image.coords["c"].values]
    known = _known(image, [n for n in kept if n != "c"], replaced_axes(names, spacing))
    name = name if name is not None else _text(image.name)
    return _calibrated(image.data, names, known, spacing, unit, channels, name, image.attrs)


def replaced_axes(names: Sequence[str], spacing: Spacing | None) -> set[str]:
    """Axes whose coordinates are about to be replaced, so that they need not be regular."""
    if spacing is None:
        return set()
    return set(spacing) if isinstance(spacing, Mapping) else set(names) - set(LOOPED)


def _text(name: Hashable | None) -> str | None:
    return None if name is None else str(name)


def _known(image: xr.DataArray, dims: Sequence[str], replaced: set[str]) -> Calibration:
    """Calibration of a DataArray's coordinates; those without a unit are in pixels."""
    read = [d for d in dims if d not in replaced]
    steps = dict(zip(read, spacing_of(image, read), strict=True))
    units = {d: image.coords[d].attrs.get("units", PIXEL) for d in dims if _has_unit(image, d)}
    origin = {d: float(image.coords[d].values[0]) for d in read if image.sizes[d]}
    return Calibration(steps, units, origin)


def _has_unit(image: xr.DataArray, dim: str) -> bool:
    """Whether an axis is in some unit: ``t`` without one counts frames."""
    return dim != "t" or "units" in image.coords[dim].attrs


def _calibrated(
    array: Any,
    dims: tuple[str, ...],
    known: Calibration,
    spacing: Spacing | None,
    unit: Unit | None,
    channels: Sequence[str] | None,
    name: str | None,
    attrs: Mapping[Any, Any],
) -> xr.DataArray:
    full, _ = known.override(dims, spacing, unit).complete(dims)
    return with_coordinates(
        array, dims, full.spacing, full.units, full.origin, channels, name, attrs
    )


def described(image: xr.DataArray) -> dict[str, Any]:
    """Attributes that tell an image's calibration and channels to whoever opens its array."""
    attributes: dict[str, Any] = {CALIBRATION: asdict(calibration_of(image))}
    if "c" in image.dims and "c" in image.coords:
        attributes[CHANNELS] = [str(name) for name in image.coords["c"].values]
    return attributes

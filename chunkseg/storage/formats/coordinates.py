"""Coordinates as xarray's ``to_zarr`` stores them: 1-D arrays beside the image, named as its axes.

They are kept as they are, so that falling, uneven or shifted ones come back unchanged; only their
units take our names. Those of ``c`` are the channels' names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
import zarr

from chunkseg.errors import FormatError
from chunkseg.geometry.calibration import Calibration

_PACKED = ("scale_factor", "add_offset")


def beside(
    group: zarr.Group, names: Sequence[str | None], shape: Sequence[int]
) -> dict[str, xr.Variable]:
    """Coordinates that a group has for the axes of one of its arrays, by small-letter name.

    Parameters
    ----------
    group
        The group around the array.
    names, shape
        Names of the array's axes, as stored, and its shape.
    """
    found = {}
    for name, n in zip(names, shape, strict=True):
        array = group.get(name) if name else None
        if isinstance(array, zarr.Array) and array.shape == (n,) and n:
            found[str(name).lower()] = _variable(str(name).lower(), array)
    return found


def _variable(dim: str, array: zarr.Array[Any]) -> xr.Variable:
    check_unpacked(array)
    attrs = {k: array.attrs[k] for k in ("units", "spacing") if k in array.attrs}
    if "units" in attrs:
        attrs["units"] = str(attrs["units"]).split(" since ")[0]
    return xr.Variable((dim,), np.asarray(array[:]), attrs)


def check_unpacked(array: zarr.Array[Any]) -> None:
    """Refuse an array whose numbers xarray would turn into others.

    Raises
    ------
    FormatError
        If it has a scale factor or an offset.
    """
    packed = [key for key in _PACKED if key in array.attrs]
    if packed:
        raise FormatError(
            f"the array {array.path or array.store_path} is packed by {' and '.join(packed)}; "
            "open it with xarray.open_zarr, which unpacks it, and pass the DataArray"
        )


def channel_names(coordinates: Mapping[str, xr.Variable]) -> tuple[str, ...] | None:
    """Names along ``c``, if there are such coordinates."""
    return tuple(map(str, coordinates["c"].values)) if "c" in coordinates else None


def calibration(coordinates: Mapping[str, xr.Variable]) -> Calibration:
    """Spacing, unit and origin of the coordinates that are numbers.

    Of uneven ones the spacing is a mean, to stand beside the coordinates themselves.
    """
    numbers = {
        d: v for d, v in coordinates.items() if d != "c" and v.dtype.kind in "iuf" and v.size
    }
    spacing = {d: _step(v) for d, v in numbers.items()}
    units = {d: str(v.attrs["units"]) for d, v in numbers.items() if "units" in v.attrs}
    return Calibration(spacing, units, {d: float(v.values[0]) for d, v in numbers.items()})


def _step(variable: xr.Variable) -> float:
    values = variable.values.astype(np.float64)
    stated = variable.attrs.get("spacing")
    mean = abs(values[-1] - values[0]) / (len(values) - 1) if len(values) > 1 else 0.0
    if isinstance(stated, int | float) and (mean == 0 or abs(mean - stated) <= 1e-9 * mean):
        return float(stated)
    return float(mean) if np.isfinite(mean) and mean > 0 else 1.0

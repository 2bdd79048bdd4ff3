"""Physical spacing and units of axes, and how they sit in xarray coordinates.

A calibrated axis carries a float64 coordinate ``origin + spacing * index`` with ``attrs["units"]``
(the canonical name that OME-Zarr uses) and ``attrs["spacing"]`` (so that an axis of length 1 keeps
it, and 0.26 comes back as exactly 0.26). What a file or an array says is a :class:`Calibration`;
:meth:`Calibration.override` puts what the user says on top, and :meth:`Calibration.complete` fills
the rest with 1 pixel. Nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import xarray as xr

from chunkseg.errors import ParameterError
from chunkseg.geometry.dims import spatial
from chunkseg.geometry.units import PIXEL, normalise_unit

Spacing = float | Sequence[float] | Mapping[str, float]
Unit = str | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of the axes: spacing, unit and origin by name; unknown ones are absent.

    Attributes
    ----------
    spacing
        Distance between neighbouring voxels, in the axis' unit.
    units
        Unit of an axis, in any spelling.
    origin
        Coordinate of the first voxel, in the axis' unit.
    """

    spacing: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, float] = field(default_factory=dict)

    def only(self, dims: Iterable[str]) -> Calibration:
        """Return the part that concerns the given axes."""
        keep = set(dims)
        parts = ({d: v for d, v in part.items() if d in keep} for part in self._parts())
        return Calibration(*parts)

    def _parts(self) -> tuple[Mapping[str, Any], ...]:
        return self.spacing, self.units, self.origin

    def override(
        self, dims: Sequence[str], spacing: Spacing | None = None, unit: Unit | None = None
    ) -> Calibration:
        """Put the user's ``spacing=`` and ``unit=`` over what is known.

        Parameters
        ----------
        dims
            Names of the axes.
        spacing
            A mapping by axis (``t`` allowed), one number per spatial axis, or one for them all.
            The origin of an axis with a new spacing is 0.
        unit
            Unit of the spatial axes in ``spacing``, or without ``spacing`` the unit of all the
            spacings already known (``"pixel"`` then sets them to 1); or a mapping by axis. Without
            it an axis keeps its unit or takes that of the other spatial axes; ``t`` is in seconds.

        Raises
        ------
        ParameterError
            If a spacing is not finite and positive, an axis does not exist, or a spacing comes
            without a unit or a unit without a spacing.
        """
        new = _given_spacing(dims, spacing)
        units = _given_units(dims, unit, new)
        if spacing is None and unit is not None and set(units.values()) == {PIXEL}:
            new = dict.fromkeys(units, 1.0)
        lost = [d for d in units if d not in new and d not in self.spacing]
        if lost:
            raise ParameterError(
                f"unit= was given for {', '.join(lost)} but no spacing is known there; "
                "pass spacing= as well"
            )
        names = {d: units.get(d) or self._unit_for(d, dims) for d in new}
        return Calibration(
            {**self.spacing, **new},
            {**self.units, **units, **names},
            {d: v for d, v in self.origin.items() if d not in new},
        )

    def _unit_for(self, dim: str, dims: Sequence[str]) -> str:
        if dim in self.units:
            return normalise_unit(self.units[dim])
        if dim == "t":
            return "second"
        others = {normalise_unit(self.units[d]) for d in spatial(dims) if d in self.units}
        if len(others) != 1:
            raise ParameterError(
                f"a spacing along {dim} needs a unit; pass unit=, for example unit='micrometer' "
                "(or unit='pixel')"
            )
        return others.pop()

    def complete(self, dims: Sequence[str]) -> tuple[Calibration, tuple[str, ...]]:
        """Fill unknown spatial axes with 1 pixel; returns also the names of those axes.

        An axis is known if it has a positive spacing and a unit. An unknown ``t`` counts frames
        and has no unit.
        """
        known = {d for d in dims if d in self.units and _positive(self.spacing.get(d))}
        missing = tuple(d for d in spatial(dims) if d not in known)
        mine = self.only(known - {"c"})
        units = {d: normalise_unit(u) for d, u in mine.units.items()}
        filled = {**mine.spacing, **dict.fromkeys(missing, 1.0)}
        return Calibration(filled, {**units, **dict.fromkeys(missing, PIXEL)}, mine.origin), missing


def _positive(value: object) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(value) and bool(value > 0)


def _given_spacing(dims: Sequence[str], spacing: Spacing | None) -> dict[str, float]:
    axes = spatial(dims)
    if spacing is None:
        return {}
    if isinstance(spacing, Mapping):
        given = dict(spacing)
    elif np.ndim(spacing) == 0:
        given = dict.fromkeys(axes, cast(float, spacing))
    else:
        values = list(np.asarray(spacing, dtype=object))
        if len(values) != len(axes):
            raise ParameterError(
                f"spacing= has {len(values)} numbers for the {len(axes)} spatial axes "
                f"{', '.join(axes)}"
            )
        given = dict(zip(axes, values, strict=True))
    _check_axes("spacing", given, dims)
    for dim, value in given.items():
        if not _positive(value):
            raise ParameterError(f"spacing along {dim} must be finite and positive, not {value!r}")
    return {dim: float(value) for dim, value in given.items()}


def _given_units(
    dims: Sequence[str], unit: Unit | None, new: Mapping[str, float]
) -> dict[str, str]:
    if unit is None:
        return {}
    if isinstance(unit, Mapping):
        _check_axes("unit", unit, dims)
        return {dim: normalise_unit(text) for dim, text in unit.items()}
    return dict.fromkeys(spatial(new) or spatial(dims), normalise_unit(unit))


def _check_axes(name: str, given: Mapping[str, object], dims: Sequence[str]) -> None:
    allowed = [d for d in dims if d != "c"]
    for dim in given:
        if dim not in allowed:
            raise ParameterError(f"{name}= names axis {dim!r}; it can be given for {allowed}")


def with_coordinates(
    array: Any,
    dims: Sequence[str],
    spacing: Mapping[str, float],
    units: Mapping[str, str],
    origin: Mapping[str, float],
    channels: Sequence[str] | None = None,
    name: str | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.DataArray:
    """Name an array's axes and give them physical coordinates.

    Parameters
    ----------
    array
        NumPy or dask array; it is wrapped as it is.
    dims
        Name of each axis.
    spacing, units, origin
        By axis; an absent spacing is 1, an absent origin 0, an absent unit is left out.
    channels
        Names along ``c``; ``"0"``, ``"1"``, ... without.
    name, attrs
        Of the result.

    Returns
    -------
    DataArray
        With a float64 coordinate on each axis but ``c``, whose coordinate is the channel names.

    Raises
    ------
    ParameterError
        If there are not as many channel names as channels.

    Examples
    --------
    >>> image = with_coordinates(np.zeros((3, 2)), "yx", {"y": 0.26}, {"y": "micrometer"}, {})
    >>> image.y.values.tolist(), image.y.attrs["spacing"]
    ([0.0, 0.26, 0.52], 0.26)
    """
    coords: dict[str, Any] = {}
    for dim, n in zip(dims, array.shape, strict=True):
        if dim == "c":
            coords[dim] = (dim, _channel_names(channels, n))
            continue
        step = float(spacing.get(dim, 1.0))
        values = float(origin.get(dim, 0.0)) + step * np.arange(n, dtype=np.float64)
        unit = {"units": units[dim]} if dim in units else {}
        coords[dim] = (dim, values, {**unit, "spacing": step})
    image = xr.DataArray(array, dims=list(dims), coords=coords, attrs=dict(attrs or {}))
    image.name = name  # xarray would take the name of a dask array's graph
    return image


def _channel_names(channels: Sequence[str] | None, n: int) -> np.ndarray[Any, Any]:
    if channels is None:
        return np.array([str(i) for i in range(n)], dtype=str)
    if len(channels) != n:
        raise ParameterError(f"the image has {n} channels, but {len(channels)} names were given")
    return np.array([str(c) for c in channels], dtype=str)


def spacing_of(image: xr.DataArray, dims: Iterable[Hashable]) -> tuple[float, ...]:
    """Spacing of an image along some axes, from its coordinates.

    Parameters
    ----------
    image
        Any DataArray. An axis without coordinates has spacing 1; one of length 1 has what
        ``attrs["spacing"]`` says (else 1); falling coordinates give the absolute spacing.
    dims
        The axes to be asked for.

    Returns
    -------
    tuple of float
        In the coordinates' units. Where ``attrs["spacing"]`` agrees with the differences to 1e-9
        relative, it is returned as it stands, else the mean difference.

    Raises
    ------
    ParameterError
        If coordinates are no numbers, or not regular to 1e-6 of their spacing.

    Examples
    --------
    >>> spacing_of(xr.DataArray(np.zeros(3), coords={"x": [0.0, 0.5, 1.0]}, dims="x"), ["x"])
    (0.5,)
    """
    return tuple(_axis_spacing(image, dim) for dim in dims)


def _axis_spacing(image: xr.DataArray, dim: Hashable) -> float:
    if dim not in image.coords:
        return 1.0
    coordinate = image.coords[dim]
    stated = coordinate.attrs.get("spacing")
    if coordinate.size < 2:
        return float(stated) if _positive(stated) else 1.0
    mean = _regular_step(coordinate.values, dim)
    if _positive(stated) and abs(mean - stated) <= 1e-9 * mean:
        return float(stated)
    return mean


def _regular_step(values: np.ndarray[Any, Any], dim: Hashable) -> float:
    if values.dtype.kind not in "iuf":
        raise ParameterError(f"coordinates along {dim} are no numbers: {values.dtype}")
    values = values.astype(np.float64)
    mean = float(values[-1] - values[0]) / (len(values) - 1)
    off = float(np.max(np.abs(np.diff(values) - mean)))
    if not (off <= 1e-6 * abs(mean) and mean != 0):
        raise ParameterError(
            f"coordinates along {dim} are not evenly spaced (mean step {mean:g}, off by up to "
            f"{off:g}); resample the image, or pass spacing= and unit="
        )
    return abs(mean)


def unit_of(image: xr.DataArray, dims: Iterable[Hashable]) -> str:
    """Return the one unit that some axes of an image share.

    Parameters
    ----------
    image
        Any DataArray; the unit of an axis is its coordinate's ``attrs["units"]``.
    dims
        The axes to be asked for.

    Returns
    -------
    str
        Canonical name; ``"pixel"`` where no axis has a unit.

    Raises
    ------
    ParameterError
        If axes differ in their unit; nothing is converted.
    FormatError
        If a unit is not known.
    """
    found = {str(d): _axis_unit(image, d) for d in dims}
    if len(set(found.values())) > 1:
        seen = ", ".join(f"{d}: {u}" for d, u in found.items())
        raise ParameterError(
            f"the axes have different units ({seen}) and are not converted; pass spacing= for "
            "all of them in one unit, and unit="
        )
    return next(iter(found.values()), PIXEL)


def _axis_unit(image: xr.DataArray, dim: Hashable) -> str:
    attrs = image.coords[dim].attrs if dim in image.coords else {}
    return normalise_unit(str(attrs.get("units", PIXEL)))


def calibration_of(image: xr.DataArray) -> Calibration:
    """Gather spacing, unit and origin of the calibrated axes; what is irregular is left out."""
    spacing, units, origin = {}, {}, {}
    for dim in map(str, image.dims):
        unit = image.coords[dim].attrs.get("units") if dim in image.coords else None
        if unit is None or not image.sizes[dim]:
            continue
        try:
            spacing[dim] = _axis_spacing(image, dim)
        except ParameterError:
            continue
        units[dim] = str(unit)
        origin[dim] = float(image.coords[dim].values.min())
    return Calibration(spacing, units, origin)

"""From a napari layer to an image with named, calibrated axes; and to the file that it shows.

napari's axes have no roles of their own: the last two are y and x, before them comes z, before that
t. Of three axes the first is z, unless the layer says or the user ticks that it is time.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import xarray as xr

from chunkseg.api.run_input import opened_image
from chunkseg.errors import FormatError, KindError, ParameterError
from chunkseg.geometry.calibration import unit_of
from chunkseg.geometry.dims import spatial
from chunkseg.geometry.units import PIXEL, normalise_unit
from chunkseg.napari.layers import KEY
from chunkseg.storage.identity import canonical
from chunkseg.storage.opening import from_array, open_image, opened_with
from chunkseg.storage.sources import as_dask, source_of

AXES = {2: "yx", 3: "zyx", 4: "tzyx"}


class Layer(Protocol):
    """What is asked of napari's layers."""

    name: str
    data: Any
    ndim: int
    multiscale: bool
    scale: Any
    translate: Any
    units: Any
    axis_labels: Sequence[str]
    metadata: Mapping[str, Any]
    source: Any


def may_be_time(layer: Layer) -> bool:
    """Whether a user has to say what the first axis of a layer is."""
    return layer.ndim == 3 and layer.axis_labels[0] not in ("t", "z")


def says_time(layer: Layer) -> bool:
    """Whether the first axis of a layer is time as far as the layer says."""
    return layer.ndim == 4 or (layer.ndim == 3 and layer.axis_labels[0] == "t")


def dims_of(layer: Layer, time: bool) -> str:
    """Names of a layer's axes; ``time`` says what the first of three is.

    Raises
    ------
    KindError
        For colour images, for an axis of channels, for fewer than two axes or more than four, and
        for axes that say themselves that they are in another order.
    """
    if getattr(layer, "rgb", False):
        raise KindError(f"{layer.name} is a colour image; split its channels into layers first")
    if layer.ndim not in AXES:
        raise KindError(
            f"a layer needs two to four axes, (t), (z), y and x; {layer.name} has {layer.ndim}"
        )
    dims = "tyx" if time and layer.ndim == 3 else AXES[layer.ndim]
    told = [str(name) for name in layer.axis_labels]
    if "c" in told:
        raise KindError(
            f"{layer.name} has an axis of channels; split it into layers first (right click on the "
            "layer, Split Stack)"
        )
    if any(name in set("tzyx") and name != dim for name, dim in zip(told, dims, strict=True)):
        raise KindError(
            f"a layer needs its axes in the order (t), (z), y, x; those of {layer.name} are "
            f"{', '.join(told)}"
        )
    return dims


def spacing_of_layer(layer: Layer, dims: str) -> tuple[float, ...]:
    """Size of a voxel along the spatial axes."""
    return tuple(float(s) for s, dim in zip(layer.scale, dims, strict=True) if dim != "t")


def unit_of_layer(layer: Layer, dims: str) -> str:
    """Unit of a layer's spatial axes, ``"pixel"`` where they have none or not one."""
    found = {str(u) for u, dim in zip(layer.units, dims, strict=True) if dim != "t"}
    try:
        return normalise_unit(found.pop()) if len(found) == 1 else PIXEL
    except FormatError:
        return PIXEL


def has_file(layer: Layer) -> bool:
    """Whether a layer was opened from a file, as far as it says."""
    return _file_of(layer, None)[0] is not None


def full_data(layer: Layer) -> Any:
    """Full resolution of a layer's data."""
    return layer.data[0] if layer.multiscale else layer.data


def named(layer: Layer, time: bool) -> xr.DataArray:
    """Image of a layer at full resolution, its axes named, in voxels."""
    dims = dims_of(layer, time)
    data = full_data(layer)
    data = data.data if isinstance(data, xr.DataArray) else data
    source = source_of(data)
    looped = [number for number, dim in enumerate(dims) if dim == "t"]
    return from_array(data if source is None else as_dask(source, looped=looped), dims)


def calibrated(layer: Layer, time: bool) -> xr.DataArray:
    """Image of a layer at full resolution, with the layer's scale where it has a unit."""
    dims = dims_of(layer, time)
    image = named(layer, time)
    unit = unit_of_layer(layer, dims)
    if unit == PIXEL:
        return image
    return from_array(image, spacing=spacing_of_layer(layer, dims), unit=unit)


@dataclass(frozen=True)
class Shown:
    """What an image layer shows, as a run would open it.

    Attributes
    ----------
    image
        With named, calibrated axes, opened from the file if there is one.
    file
        The file; None where there is none.
    options
        What the file was opened with, arguments of :func:`chunkseg.open_image`.
    origin
        Text that tells one image from another: file and options, or which array of this process
        with which axes and calibration.
    """

    image: xr.DataArray
    file: str | None
    options: Mapping[str, Any]
    origin: str

    @classmethod
    def of_file(cls, image: xr.DataArray) -> Shown:
        """Take an image that was opened from a file, which it tells itself."""
        file, options = image.attrs["source"], opened_with(image)
        return cls(image, file, options, origin_of(file, options))


def origin_of(file: str | None, options: Mapping[str, Any]) -> str:
    """Text that tells images of files from one another."""
    return canonical([file, options])


_NUMBERS = itertools.count()
_NUMBERED: dict[int, tuple[weakref.ref[Any], int]] = {}


def _number_of(array: Any) -> int:
    """Number of an array in memory; unlike its id, no later array gets it."""
    known = _NUMBERED.get(id(array))
    if known is None or known[0]() is not array:
        known = _NUMBERED[id(array)] = weakref.ref(array), next(_NUMBERS)
    return known[1]


def shown(layer: Layer, time: bool, channel: str | None = None) -> Shown:
    """What a layer shows: its file opened as a run does, else its data.

    Parameters
    ----------
    layer
        An image.
    time
        Whether the first of three axes is time.
    channel
        Name or number of the file's channel that the layer shows.

    Raises
    ------
    ParameterError
        If the file holds an image of another shape.
    KindError, PathError, FormatError
        If layer or file can't be used.
    """
    dims = dims_of(layer, time)
    file, options = _file_of(layer, channel)
    if file is None:
        voxel = f"{spacing_of_layer(layer, dims)} {unit_of_layer(layer, dims)}"
        number = _number_of(full_data(layer))
        return Shown(calibrated(layer, time), None, {}, f"array {number}: {dims}, {voxel}")
    image = _opened(file, options, dims)
    unit = unit_of_layer(layer, dims)
    axes = spatial(image.dims)
    if unit != PIXEL and unit_of(image, axes) == PIXEL:
        size = {"spacing": list(spacing_of_layer(layer, dims)), "unit": unit}
        image = opened_image(open_image(file, **{**opened_with(image), **size}), None)
    shape = tuple(full_data(layer).shape)
    if tuple(image.sizes.get(d, 1) for d in dims) != shape or not set(image.dims) <= set(dims):
        raise ParameterError(
            f"the layer {layer.name} has axes {dims} of {shape}, but {file} holds "
            f"{''.join(map(str, image.dims))} of {image.shape}; name the channel, say whether "
            "the first axis is time, or split a layer of several channels (right click, Split "
            "Stack)"
        )
    return Shown.of_file(image)


def _file_of(layer: Layer, channel: str | None) -> tuple[str | None, dict[str, Any]]:
    """File that a layer was opened from, by chunkseg or by another reader."""
    about = layer.metadata.get(KEY, {})
    if about.get("source"):
        return about["source"], dict(about["opened_with"])
    path = getattr(layer.source, "path", None)
    return (path, {} if channel is None else {"channel": channel})


def _opened(file: str, options: dict[str, Any], dims: str) -> xr.DataArray:
    """Open a file; where it does not say what its axes are, or others, they are the layer's."""
    named_so = {**options, "dims": dims}
    try:
        image = opened_image(open_image(file, **options), None)
    except FormatError:
        if "dims" in options:
            raise
        return opened_image(open_image(file, **named_so), None)
    if set(image.dims) == set(dims) or image.ndim != len(dims) or options:
        return image
    return opened_image(open_image(file, **named_so), None)

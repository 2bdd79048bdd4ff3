"""Channels of an image: the one that is segmented, and those whose intensities are measured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from chunkseg.errors import ParameterError
from chunkseg.storage.identity import canonical
from chunkseg.storage.opening import OPENED_WITH, open_image, opened_with

Channels = str | Sequence[str | int] | Mapping[str, xr.DataArray] | None


def channel_names(image: xr.DataArray) -> list[str]:
    """Names of the channels of an image; their numbers where they have none.

    Raises
    ------
    ParameterError
        If the image has no axis ``c``.
    """
    if "c" not in image.dims:
        raise _without_channels()
    if "c" in image.coords:
        return [str(name) for name in image["c"].values]
    return [str(number) for number in range(image.sizes["c"])]


def channel_index(image: xr.DataArray, channel: str | int) -> int:
    """Find the number of a channel given by name or number.

    Raises
    ------
    ParameterError
        If there is none, or the image has no axis ``c``.
    """
    if "c" not in image.dims:
        raise ParameterError(f"channel {channel!r} was asked for, but the image has no axis 'c'")
    names = channel_names(image)
    index = names.index(channel) if channel in names else channel
    if not isinstance(index, int) or not 0 <= index < image.sizes["c"]:
        raise ParameterError(
            f"there is no channel {channel!r}: the image has {image.sizes['c']}, named {names}"
        )
    return index


def channel_indices(image: xr.DataArray, channels: str | Sequence[str | int]) -> list[int]:
    """Find the numbers of ``"all"`` channels, of one, or of several.

    Raises
    ------
    ParameterError
        If one is not there or named twice, or none is named.
    """
    if isinstance(channels, str):
        channels = range(image.sizes["c"]) if channels == "all" else [channels]
    indices = [channel_index(image, channel) for channel in channels]
    if not indices or len(set(indices)) < len(indices):
        raise ParameterError(f"intensity_channels must name channels once each; got {channels!r}")
    return indices


def one_channel(image: xr.DataArray, channel: str | int) -> xr.DataArray:
    """Take one channel of an image, by name or number."""
    index = channel_index(image, channel)
    taken = canonical(opened_with(image) | {"channel": index})
    return image.isel(c=index).assign_attrs({OPENED_WITH: taken})


def intensity_images(image: Any, channels: Channels) -> dict[str, xr.DataArray] | None:
    """Return the images whose intensities are to be measured, by the names of their channels.

    Parameters
    ----------
    image
        The image, with all its channels, or its path.
    channels
        ``"all"``, or names and numbers, or images by name; None for no choice, and so None.

    Raises
    ------
    ParameterError
        If there is no such channel, or one is named twice.
    """
    if channels is None or isinstance(channels, Mapping):
        return None if channels is None else dict(channels)
    stored = isinstance(image, str | os.PathLike)
    whole = open_image(image) if stored else image
    if not isinstance(whole, xr.DataArray):
        raise _without_channels()
    names = channel_names(whole)
    indices = channel_indices(whole, channels)
    if stored:
        return {names[index]: open_image(image, channel=index) for index in indices}
    return {names[index]: whole.isel(c=index) for index in indices}


def _without_channels() -> ParameterError:
    return ParameterError(
        "intensity_channels needs an image with an axis 'c'; name its axes with dims= of "
        "open_image or from_array"
    )

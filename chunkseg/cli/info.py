"""``chunkseg info``: what an image file holds, from its metadata, and what a run of it needs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

import xarray as xr

from chunkseg.api.given import Given
from chunkseg.api.planning import Planning
from chunkseg.cli.printing import aligned, say
from chunkseg.errors import ParameterError
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.geometry.units import PIXEL
from chunkseg.plan.parameters import Parameters
from chunkseg.report.words import size_text
from chunkseg.runner.execution import Execution
from chunkseg.runner.sweep import Input
from chunkseg.storage.bioimages import BioSource
from chunkseg.storage.damage import missing_chunks
from chunkseg.storage.formats.asked import place
from chunkseg.storage.formats.found import Found
from chunkseg.storage.hdf5 import Hdf5Source
from chunkseg.storage.leaves import FileSource, TiffSource, ZarrSource
from chunkseg.storage.opening import find_image, image_of
from chunkseg.storage.sources import Source, Stack, View, source_of

STORED = {
    ZarrSource: "zarr array",
    FileSource: "uncompressed file",
    TiffSource: "compressed TIFF",
    Hdf5Source: "HDF5 data set",
    BioSource: "file read by bioio",
}
MOST_SERIES = 8


def command(args: argparse.Namespace) -> int:
    """Print what was found."""
    where = place(args.input)
    found = find_image(where, args.level, args.series)
    image = image_of(where, found, args.channel, args.dims, args.spacing, args.unit)
    say(info_lines(image, found, args.level))
    return 0


def info_lines(image: xr.DataArray, found: Found, level: int) -> list[str]:
    """Lines about an image, as it was found and as :func:`chunkseg.open_image` returns it."""
    source = source_of(image.data)
    rows = [
        ["image", str(image.attrs["source"])],
        *_series(found),
        *_levels(found, level),
        ["axes", _per_axis(image, image.shape)],
        ["pixels", f"{_kind(found)}{image.dtype}, {size_text(image.nbytes)} in memory"],
    ]
    if source is not None:
        rows += [["stored as", _stored(source)], ["chunks", _chunks(image, source)]]
    rows += [*_missing(found.source), ["spacing", _spacing(image)], *_channels(image)]
    return [*aligned([*rows, ["reading", _reading(image)]]), *_needs(image, found)]


def _series(found: Found) -> list[list[str]]:
    """Name the images of the file, where there are several."""
    if len(found.series) < 2:
        return []
    named = [f"{i}: {name}" for i, name in enumerate(found.series[:MOST_SERIES])]
    more = len(found.series) - len(named)
    return [["series", ", ".join(named) + (f", and {more} more" if more else "")]]


def _levels(found: Found, level: int) -> list[list[str]]:
    return [["levels", f"{found.levels}, this is {level}"]] if found.levels > 1 else []


def _kind(found: Found) -> str:
    return "labels, " if found.is_labels else ""


def _missing(source: Source) -> list[list[str]]:
    """Count the chunks that a zarr store lacks: the format reads them as its fill value."""
    if not isinstance(source, ZarrSource):
        return []
    missing = missing_chunks(source.array)
    if missing is None:
        return [["missing", "not known, since the store can't be listed"]]
    if not missing.count:
        return []
    names = ", ".join(missing.first) + (", ..." if missing.count > len(missing.first) else "")
    fill = source.array.fill_value
    return [
        [
            "missing",
            f"{missing.count} of {missing.total} chunks are not stored and read as "
            f"{0 if fill is None else fill}: {names}",
        ]
    ]


def _per_axis(image: xr.DataArray, values: Iterable[Any]) -> str:
    return ", ".join(f"{d} {v}" for d, v in zip(image.dims, values, strict=True))


def _stored(source: Source) -> str:
    """Say in what the pixels lie, below whatever is stacked and selected."""
    if isinstance(source, View):
        return _stored(source.source)
    if isinstance(source, Stack):
        return f"{len(source.members)} x {_stored(source.members[0])}"
    return STORED.get(type(source), type(source).__name__)


def _chunks(image: xr.DataArray, source: Source) -> str:
    """Say what has to be read and decoded as a whole."""
    if max(source.chunks) == 1:
        return "none, any voxel can be read alone"
    return _per_axis(image, source.chunks)


def _spacing(image: xr.DataArray) -> str:
    return ", ".join(_axis_spacing(image, str(d)) for d in image.dims if d != "c")


def _axis_spacing(image: xr.DataArray, dim: str) -> str:
    unit = unit_of(image, [dim])
    if dim == "t" and unit == PIXEL:
        return "t not calibrated"
    try:
        return f"{dim} {spacing_of(image, [dim])[0]:g} {unit}"
    except ParameterError:
        return f"{dim} uneven, in {unit}"


def _channels(image: xr.DataArray) -> list[list[str]]:
    if "c" not in image.dims:
        return []
    names = image["c"].values if "c" in image.coords else range(image.sizes["c"])
    return [["channels", ", ".join(f"{i}: {name}" for i, name in enumerate(names))]]


def _reading(image: xr.DataArray) -> str:
    given = Given.of(image)
    source, spacing = Input.of(given.data, given.layout), (1.0,) * given.layout.ndim
    planning = Planning(Parameters(), source, spacing, Execution(None, client=None))
    if planning.staged(planning.plan().block_shape):
        return (
            "staged: copied once into scratch by a run, since a block can't be read without "
            "decoding far more"
        )
    return "block by block from the file"


def _needs(image: xr.DataArray, found: Found) -> list[str]:
    """Say what a run needs besides the file."""
    needs = []
    if image.sizes.get("c", 1) > 1:
        needs.append("to run it, choose a channel: --channel NAME_OR_INDEX")
    if not {"y", "x"} <= set(image.dims):
        needs.append("to run it, name its axes: --dims, with at least y and x")
    if found.is_labels:
        needs.append("to measure these labels: chunkseg measure")
    return needs

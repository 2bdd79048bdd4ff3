"""``chunkseg info``: what an image file holds, from its metadata, and what a run of it needs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

import xarray as xr

from chunkseg.api.given import Given
from chunkseg.cli.printing import aligned, say
from chunkseg.cli.run import opened
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.geometry.units import PIXEL
from chunkseg.plan.blocks import block_shape
from chunkseg.runner.execution import Execution
from chunkseg.runner.staging import needs_staging
from chunkseg.runner.sweep import Input
from chunkseg.storage.leaves import FileSource, TiffSource, ZarrSource
from chunkseg.storage.sources import Source, Stack, View, source_of

STORED = {
    ZarrSource: "zarr array",
    FileSource: "uncompressed file",
    TiffSource: "compressed TIFF",
}


def command(args: argparse.Namespace) -> int:
    """Print what was found."""
    image = opened(args)
    say(info_lines(image))
    return 0


def info_lines(image: xr.DataArray) -> list[str]:
    """Lines about an image as :func:`chunkseg.open_image` returns it."""
    source = source_of(image.data)
    rows = [
        ["image", str(image.attrs["source"])],
        ["axes", _per_axis(image, image.shape)],
        ["pixels", f"{image.dtype}, {size_text(image.nbytes)}"],
    ]
    if source is not None:
        rows += [["stored as", _stored(source)], ["chunks", _chunks(image, source)]]
    rows += [["spacing", _spacing(image)], *_channels(image), ["reading", _reading(image)]]
    return [*aligned(rows), *_needs(image)]


def _per_axis(image: xr.DataArray, values: Iterable[Any]) -> str:
    return ", ".join(f"{d} {v}" for d, v in zip(image.dims, values, strict=True))


def size_text(size: int) -> str:
    """Return a number of bytes for people, in decimal units.

    Examples
    --------
    >>> size_text(576312), size_text(64_000_000_000)
    ('0.58 MB', '64.00 GB')
    """
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.2f} MB"


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
    dims = [str(d) for d in image.dims if d != "c"]
    parts = []
    for dim, step in zip(dims, spacing_of(image, dims), strict=True):
        calibrated = dim != "t" or unit_of(image, ["t"]) != PIXEL
        parts.append(
            f"{dim} {step:g} {unit_of(image, [dim])}" if calibrated else "t not calibrated"
        )
    return ", ".join(parts)


def _channels(image: xr.DataArray) -> list[list[str]]:
    if "c" not in image.dims:
        return []
    names = image["c"].values if "c" in image.coords else range(image.sizes["c"])
    return [["channels", ", ".join(f"{i}: {name}" for i, name in enumerate(names))]]


def _reading(image: xr.DataArray) -> str:
    given = Given.of(image)
    block = block_shape(given.layout.frame_shape)
    entire = (0,) * given.layout.ndim
    if needs_staging(Input.of(given.data, given.layout), block, entire, Execution(None)):
        return "staged: copied once into scratch, since a block can't be read economically"
    return "block by block from the file"


def _needs(image: xr.DataArray) -> list[str]:
    """Say what a run needs besides the file."""
    needs = []
    if image.sizes.get("c", 1) > 1:
        needs.append("to run it, choose a channel: --channel NAME_OR_INDEX")
    if not {"y", "x"} <= set(image.dims):
        needs.append("to run it, name its axes: --dims, with at least y and x")
    return needs

"""TIFF through tifffile: ImageJ hyperstacks, OME-TIFF, tifffile's own and bare stacks of pages.

Pages that lie in the file as plain numbers become :class:`FileSource`, all at once where they
follow one another; compressed ones become :class:`TiffSource`, decoded page by page. A resolution
in the TIFF tags counts only with ImageJ's ``unit``: alone, or in inches, it is for printers.
"""

from __future__ import annotations

import logging
import math
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

import tifffile

from chunkseg.errors import FormatError
from chunkseg.geometry.boxes import Shape
from chunkseg.geometry.calibration import Calibration
from chunkseg.storage.formats.found import Found, check_level, known_axes, reading, stem
from chunkseg.storage.sources import FileSource, Source, Stack, TiffSource

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_X_RESOLUTION, _Y_RESOLUTION = 282, 283

logger = logging.getLogger("chunkseg")


def claims(path: str, head: bytes) -> bool:
    """Whether the file begins as a TIFF or BigTIFF does."""
    return head.startswith(_MAGIC)


def read(path: str, level: int) -> Found:
    """Find the image of a TIFF file; of several, the first, with a warning.

    Parameters
    ----------
    path
        The file.
    level
        Resolution level of a pyramidal TIFF, 0 the finest.

    Raises
    ------
    FormatError
        If the file is damaged, cut short or lacks pages that its metadata announce.
    ParameterError
        If the level does not exist.
    """
    with reading(path, "TIFF"), tifffile.TiffFile(path) as tif:
        return _read(path, tif, level)


def _read(path: str, tif: tifffile.TiffFile, level: int) -> Found:
    if not tif.series:
        raise FormatError(f"{path} is a TIFF without images")
    _check_chain(path, tif)
    _tell_others(path, tif)
    full = tif.series[0]
    check_level(path, level, len(full.levels))
    series = full.levels[level]
    dims = _dims(series.axes)
    calibration, channels = _metadata(tif, dims, series)
    if level:
        calibration = _coarser(calibration, dims, full.shape, series.shape)
    source = _source(path, tif.byteorder, series)
    return Found(source, dims, calibration, channels, stem(path), doubt=_doubt(dims, series))


def _check_chain(path: str, tif: tifffile.TiffFile) -> None:
    """Refuse a file whose chain of pages breaks off, where tifffile would take the pages before."""
    where = tif.pages.next_page_offset
    tif.filehandle.seek(where or 0)
    following = tif.filehandle.read(tif.tiff.offsetsize)
    if where is None or len(following) < tif.tiff.offsetsize or any(following):
        raise FormatError(
            f"{path} is cut short or damaged: its chain of pages breaks off after page "
            f"{len(tif.pages)}; copy the file again"
        )


def _tell_others(path: str, tif: tifffile.TiffFile) -> None:
    if len(tif.series) > 1:
        shapes = ", ".join(str(s.shape) for s in tif.series)
        logger.warning(
            "%s holds %d images of shapes %s; the first is opened", path, len(tif.series), shapes
        )


def _dims(axes: str) -> tuple[str | None, ...]:
    """Names of the axes; the samples of a colour image (S) are channels."""
    names = {"T": "t", "C": "c", "Z": "z", "Y": "y", "X": "x"}
    if "C" not in axes:
        names["S"] = "c"
    return tuple(names.get(a) for a in axes)


def _doubt(dims: tuple[str | None, ...], series: tifffile.TiffPageSeries) -> str:
    if known_axes(dims):
        return ""
    return (
        f"a TIFF of shape {series.shape} whose first axes the file does not name "
        f"(tifffile sees {series.axes})"
    )


def _source(path: str, byteorder: str, series: tifffile.TiffPageSeries) -> Source:
    stored = series.dtype.newbyteorder(byteorder)
    shape = tuple(series.shape)
    if not series.is_multifile and series.dataoffset is not None:
        return FileSource(path, series.dataoffset, stored, shape)
    pages = list(series.pages)
    if None in pages:
        raise FormatError(
            f"{path} lacks {pages.count(None)} of the {len(pages)} pages that its metadata "
            "announce; put the other files of the set beside it, or save the image again"
        )
    outer, inner = _outer_inner(path, shape, len(pages), series.keyframe.size)
    members = tuple(_page_source(page, series, inner) for page in pages)
    return Stack(members, outer) if outer else members[0]


def _outer_inner(path: str, shape: Shape, pages: int, size: int) -> tuple[Shape, Shape]:
    """Split the shape of a series into that of its stack of pages and that of a page."""
    for cut in range(len(shape)):
        if math.prod(shape[:cut]) == pages and math.prod(shape[cut:]) == size:
            return shape[:cut], shape[cut:]
    raise FormatError(f"{path} has {pages} pages of {size} pixels, which do not make up {shape}")


def _page_source(page: Any, series: tifffile.TiffPageSeries, shape: Shape) -> Source:
    file = os.path.abspath(page.parent.filehandle.path)
    end = max(a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=True))
    if end > os.path.getsize(file):
        raise FormatError(
            f"{file} is cut short: a page ends at byte {end}, the file before; copy it again"
        )
    if page.is_final:
        stored = series.dtype.newbyteorder(page.parent.byteorder)
        return FileSource(file, page.dataoffsets[0], stored, shape)
    return TiffSource(file, page.offset, series.dtype.newbyteorder("="), shape)


def _metadata(
    tif: tifffile.TiffFile, dims: tuple[str | None, ...], series: tifffile.TiffPageSeries
) -> tuple[Calibration, tuple[str, ...] | None]:
    if tif.is_ome:
        return _ome(tif.ome_metadata)
    calibration = _imagej(tif) if tif.is_imagej else Calibration()
    return calibration, _colours(series) or _imagej_channels(tif, dims, series)


def _ome(xml: str) -> tuple[Calibration, tuple[str, ...] | None]:
    """Physical sizes (micrometers unless stated), time increment (seconds) and channel names."""
    pixels = ElementTree.fromstring(xml.encode()).find("{*}Image/{*}Pixels")
    if pixels is None:
        return Calibration(), None
    spacing, units = {}, {}
    for dim, key, default in (
        ("x", "PhysicalSizeX", "µm"),
        ("y", "PhysicalSizeY", "µm"),
        ("z", "PhysicalSizeZ", "µm"),
        ("t", "TimeIncrement", "s"),
    ):
        if key in pixels.attrib:
            spacing[dim] = float(pixels.attrib[key])
            units[dim] = pixels.attrib.get(f"{key}Unit", default)
    names = [c.attrib.get("Name", "") for c in pixels.findall("{*}Channel")]
    return Calibration(spacing, units), tuple(names) if names and all(names) else None


def _imagej(tif: tifffile.TiffFile) -> Calibration:
    """Spacing of ImageJ: 1 / resolution in x and y, ``spacing`` in z, ``finterval`` in t."""
    told: Mapping[str, Any] = tif.imagej_metadata or {}
    tags = tif.pages.first.tags
    unit = str(told.get("unit", ""))
    spacing, units = {}, {}
    for dim, step, own in (
        ("x", _inverse(tags.valueof(_X_RESOLUTION)), unit),
        ("y", _inverse(tags.valueof(_Y_RESOLUTION)), str(told.get("yunit", unit))),
        ("z", _size(told.get("spacing")), str(told.get("zunit", unit))),
        ("t", _size(told.get("finterval")), str(told.get("tunit", "sec"))),
    ):
        if step and own and own.casefold() not in ("inch", "in"):
            spacing[dim], units[dim] = step, own
    return Calibration(spacing, units)


def _inverse(resolution: tuple[int, int] | None) -> float | None:
    if not resolution or not all(resolution):
        return None
    return resolution[1] / resolution[0]


def _size(value: object) -> float | None:
    """Return the size of an ImageJ number: it stores falling stacks with a negative spacing."""
    return abs(float(value)) if isinstance(value, int | float) and value else None


def _colours(series: tifffile.TiffPageSeries) -> tuple[str, ...] | None:
    if series.axes.endswith("S") and series.keyframe.photometric == tifffile.PHOTOMETRIC.RGB:
        return ("red", "green", "blue", "alpha")[: series.shape[-1]]
    return None


def _imagej_channels(
    tif: tifffile.TiffFile, dims: tuple[str | None, ...], series: tifffile.TiffPageSeries
) -> tuple[str, ...] | None:
    """ImageJ labels pages, not channels: they are names of channels where pages are channels."""
    labels = (tif.imagej_metadata or {}).get("Labels")
    if dims[:-2] != ("c",) or not isinstance(labels, list) or len(labels) != series.shape[0]:
        return None
    return tuple(str(label) for label in labels)


def _coarser(
    calibration: Calibration, dims: tuple[str | None, ...], full: Shape, shape: Shape
) -> Calibration:
    """Calibration of a lower resolution level, which covers the same field with fewer voxels."""
    factors = {d: a / b for d, a, b in zip(dims, full, shape, strict=True) if d}
    spacing = {d: s * factors.get(d, 1.0) for d, s in calibration.spacing.items()}
    return Calibration(spacing, calibration.units)

"""TIFF through tifffile: ImageJ hyperstacks, OME-TIFF, tifffile's own and bare stacks of pages.

Pages that lie in the file as plain numbers become :class:`FileSource`, all at once where they
follow one another; compressed ones become :class:`TiffSource`, decoded page by page. A resolution
in the TIFF tags counts only with ImageJ's ``unit``: alone, or in inches, it is for printers. One
per centimetre beside ``unit=um`` is converted, as ImageJ does; beside another name of the
micrometre, which ImageJ takes to be the unit of the resolution, the two contradict and neither is
believed.
"""

from __future__ import annotations

import logging
import math
import os
import struct
from collections.abc import Mapping
from typing import Any

import tifffile

from chunkseg.errors import FormatError
from chunkseg.geometry.boxes import Shape
from chunkseg.geometry.calibration import Calibration
from chunkseg.geometry.units import is_unit
from chunkseg.storage.damage import check_page
from chunkseg.storage.formats import omexml
from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.formats.found import Found, check_level, known_axes, number_of, reading
from chunkseg.storage.sources import FileSource, Source, Stack, TiffSource

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_PER_CENTIMETRE = 3

logger = logging.getLogger("chunkseg")


def claims(asked: Asked) -> bool:
    """Whether the file begins as a TIFF or BigTIFF does."""
    return asked.head.startswith(_MAGIC)


def read(asked: Asked) -> Found:
    """Find an image of a TIFF file; of several the first, with a warning, if none is asked for.

    Raises
    ------
    FormatError
        If the file is damaged, cut short or lacks pages that its metadata announce.
    ParameterError
        If the level (of a pyramidal TIFF) or the series does not exist.
    """
    with reading(asked.name, "TIFF"), tifffile.TiffFile(asked.path) as tif:
        _check_circle(asked.name, tif)
        return _read(asked, tif)


def _read(asked: Asked, tif: tifffile.TiffFile) -> Found:
    if not tif.series:
        raise FormatError(f"{asked.name} is a TIFF without images")
    _check_chain(asked.name, tif)
    names = tuple(s.name or str(i) for i, s in enumerate(tif.series))
    number = _chosen(asked, tif, names)
    full = tif.series[number]
    check_level(asked.name, asked.level, len(full.levels))
    series = full.levels[asked.level]
    dims = _dims(series.axes)
    calibration, channels, remark = _metadata(tif, dims, series, number)
    if asked.level:
        calibration = _coarser(calibration, dims, full.shape, series.shape)
    return Found(
        _source(asked.path, tif.byteorder, series),
        dims,
        calibration,
        channels,
        asked.stem,
        doubt=_doubt(dims, series),
        remark=remark,
        series=names,
        levels=len(full.levels),
    )


def _chosen(asked: Asked, tif: tifffile.TiffFile, names: tuple[str, ...]) -> int:
    """Number of the series that is asked for; else the first, with a warning if there are more."""
    if asked.series is not None:
        return number_of("series", asked.series, names)
    if len(names) > 1:
        logger.warning(
            "%s holds %d images of shapes %s (%s); the first is opened, another by series=",
            asked.name,
            len(names),
            ", ".join(str(s.shape) for s in tif.series),
            ", ".join(names),
        )
    return 0


def _check_circle(path: str, tif: tifffile.TiffFile) -> None:
    """Refuse a file in whose chain of pages one comes again, which tifffile would follow on."""
    kind, file, seen = tif.tiff, tif.filehandle, set()
    if kind.is_ndpi:  # has offsets of its own
        return
    where = kind.offsetsize  # classic: byte 4, BigTIFF: byte 8
    while offset := _number(file, where, kind.offsetformat):
        if offset in seen:
            raise FormatError(
                f"{path} is damaged: its chain of pages comes back to byte {offset}; "
                "copy the file again"
            )
        seen.add(offset)
        where = offset + kind.tagnosize + kind.tagsize * _number(file, offset, kind.tagnoformat)


def _number(file: tifffile.FileHandle, where: int, layout: str) -> int:
    """Read a whole number of a file; 0 behind its end."""
    if where > file.size:
        return 0
    file.seek(where)
    content = file.read(struct.calcsize(layout))
    return int(struct.unpack(layout, content)[0]) if len(content) == struct.calcsize(layout) else 0


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
    check_page(file, page, shape)
    return TiffSource(file, page.offset, series.dtype.newbyteorder("="), shape)


def _metadata(
    tif: tifffile.TiffFile,
    dims: tuple[str | None, ...],
    series: tifffile.TiffPageSeries,
    number: int,
) -> tuple[Calibration, tuple[str, ...] | None, str]:
    """Calibration, names of channels, and why what the file says was not used."""
    if tif.is_ome and tif.ome_metadata:
        image = _ome(tif.ome_metadata, len(tif.series), number)
        return image.calibration, image.channels or _colours(series), ""
    calibration, remark = _imagej(tif, dims) if tif.is_imagej else (Calibration(), "")
    return calibration, _colours(series) or _imagej_channels(tif, dims, series), remark


def _ome(xml: str, count: int, number: int) -> omexml.OmeImage:
    """Return what OME-XML says of one series; nothing where it lists others than there are."""
    images = omexml.images(xml)
    if len(images) != count:
        return omexml.OmeImage("", Calibration(), None)
    return images[number]


def _imagej(tif: tifffile.TiffFile, dims: tuple[str | None, ...]) -> tuple[Calibration, str]:
    """Spacing of ImageJ: 1 / resolution in x and y, ``spacing`` in z, ``finterval`` in t."""
    told: Mapping[str, Any] = tif.imagej_metadata or {}
    tags = tif.pages.first.tags
    unit = str(told.get("unit", ""))
    factor, remark = _per_unit(tags.valueof(_RESOLUTION_UNIT), unit)
    spacing, units = {}, {}
    for dim, step, own in (
        ("x", _inverse(tags.valueof(_X_RESOLUTION), factor), unit),
        ("y", _inverse(tags.valueof(_Y_RESOLUTION), factor), str(told.get("yunit", unit))),
        ("z", _size(told.get("spacing")), str(told.get("zunit", unit))),
        ("t", _size(told.get("finterval")), str(told.get("tunit", "sec"))),
    ):
        if step and own and own.casefold() not in ("inch", "in"):
            spacing[dim], units[dim] = step, own
    if "x" in spacing and "z" in dims and "z" not in spacing:
        remark = "ImageJ does not write a spacing of 1, nor one that is not known"
    return Calibration(spacing, units), remark


def _per_unit(resolution_unit: Any, unit: str) -> tuple[float | None, str]:
    """How many of ImageJ's units make up the unit of the resolution; None if they contradict."""
    if resolution_unit != _PER_CENTIMETRE or not is_unit(unit, "micrometer"):
        return 1.0, ""
    if unit == "um":
        return 1e4, ""
    return None, (
        f"the resolution is per centimetre by the TIFF's tags, but per {unit} by ImageJ's text"
    )


def _inverse(resolution: tuple[int, int] | None, factor: float | None) -> float | None:
    if factor is None or not resolution or not all(resolution):
        return None
    return factor * resolution[1] / resolution[0]


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

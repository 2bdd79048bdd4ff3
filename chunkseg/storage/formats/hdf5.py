"""HDF5: a data set, named after the file (``stack.h5:/volumes/raw``) or the only one of its kind.

Axes are named by ilastik's ``axistags`` or the labels of HDF5's dimensions, voxels are sized by
``element_size_um`` (z, y, x in micrometres, as Fiji's plug-in writes it). An Imaris file is read by
its own reader.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from chunkseg.errors import FormatError, PathError
from chunkseg.geometry.calibration import Calibration
from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.formats.found import Found, check_level, known_axes, number_of, reading
from chunkseg.storage.formats.npy import default_dims, no_names
from chunkseg.storage.hdf5 import Hdf5Source, open_hdf5

MAGIC = b"\x89HDF\r\n\x1a\n"
_SIZE = "element_size_um"
_MOST_LISTED = 10


def claims(asked: Asked) -> bool:
    """Whether the file begins as HDF5 does."""
    return asked.head.startswith(MAGIC)


def read(asked: Asked) -> Found:
    """Find a data set of an HDF5 file; it has one level.

    Raises
    ------
    FormatError
        If the file is damaged, or holds several images of which none is asked for.
    ParameterError
        If the level or series does not exist, or h5py is not installed.
    PathError
        If there is nothing at the path inside the file.
    """
    check_level(asked.name, asked.level, 1)
    with reading(asked.name, "HDF5"), open_hdf5(asked.path) as file:
        return _read(asked, file)


def _read(asked: Asked, file: Any) -> Found:
    if asked.inside and asked.inside not in file:
        listed = ", ".join(_datasets(file)[:_MOST_LISTED]) or "none"
        raise PathError(f"there is no {asked.inside} in {asked.path}; its images are {listed}")
    node = file[asked.inside or "/"]
    names = [asked.inside] if hasattr(node, "dtype") else _datasets(node)
    dataset = node if hasattr(node, "dtype") else node[names[_chosen(asked, names)]]
    source = Hdf5Source.of(asked.path, dataset)
    dims = _dims(dataset)
    calibration, remark = _calibration(dataset, dims)
    unknown = no_names(source) if None in dims else f"its axes are named {dims}"
    return Found(
        source,
        dims,
        calibration,
        name=asked.stem,
        doubt="" if known_axes(dims) else unknown,
        remark=remark,
        series=tuple(names),
    )


def _datasets(group: Any) -> list[str]:
    """Names of the data sets of numbers with two or more axes."""
    found: list[str] = []

    def visit(name: str, node: Any) -> None:
        if hasattr(node, "dtype") and node.ndim >= 2 and node.dtype.kind in "biuf":
            found.append(name)

    group.visititems(visit)
    return found


def _chosen(asked: Asked, names: list[str]) -> int:
    if asked.series is not None:
        return number_of("series", asked.series, names)
    if len(names) != 1:
        seen = ", ".join(names[:_MOST_LISTED]) + (", ..." if len(names) > _MOST_LISTED else "")
        raise FormatError(
            f"{asked.name} holds {len(names)} images ({seen or 'none'}); choose one by series=, "
            f"or by its path, as in {asked.path}:/NAME"
        )
    return 0


def _dims(dataset: Any) -> tuple[str | None, ...]:
    names = _axistags(dataset) or [d.label for d in dataset.dims]
    if len(names) == dataset.ndim and all(names):
        return tuple(str(n).lower() for n in names)
    return default_dims(dataset.ndim)


def _axistags(dataset: Any) -> list[str]:
    tags = dataset.attrs.get("axistags")
    return [axis["key"] for axis in json.loads(tags)["axes"]] if tags is not None else []


def _calibration(dataset: Any, dims: Sequence[str | None]) -> tuple[Calibration, str]:
    """Sizes of voxels, where it is clear which is which; else why they are not used."""
    if _SIZE not in dataset.attrs:
        return Calibration(), ""
    sizes = [float(v) for v in dataset.attrs[_SIZE]]
    axes = [str(d) for d in dims if d in ("z", "y", "x")]
    if axes != ["z", "y", "x"] or len(sizes) != len(axes):
        return Calibration(), f"its {_SIZE} {sizes} can't be told apart among the axes {dims}"
    return Calibration(dict(zip(axes, sizes, strict=True)), dict.fromkeys(axes, "micrometer")), ""

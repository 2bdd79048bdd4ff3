"""Whatever bioio opens (CZI, ND2, LIF, ...): with the extra ``bioio`` and a reader for the format.

A scene is a series. Sizes of voxels count where the reader states their unit; others do not.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from chunkseg.errors import FormatError
from chunkseg.geometry.calibration import Calibration
from chunkseg.storage.bioimages import BioSource, open_bioimage
from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.formats.found import Found, check_level, known_axes, number_of, reading

_ENDINGS = (".czi", ".nd2", ".lif", ".dv", ".r3d", ".sld", ".oib", ".oif", ".oir", ".vsi")
_NO_READER = "UnsupportedFileFormatError"


def claims(asked: Asked) -> bool:
    """Whether the file has an ending of such a format, or bioio is there to be asked."""
    if not asked.head or asked.inside:
        return False
    return asked.path.lower().endswith(_ENDINGS) or find_spec("bioio") is not None


def read(asked: Asked) -> Found:
    """Find one scene and level of a file that bioio opens.

    Raises
    ------
    FormatError
        If no reader of bioio opens it.
    ParameterError
        If the level or series does not exist, or bioio is not installed.
    """
    with reading(asked.name, "an image by bioio"):
        image = _opened(asked)
        scenes = tuple(map(str, image.scenes))
        scene = 0 if asked.series is None else number_of("series", asked.series, scenes)
        image.set_scene(scene)
        levels = len(image.resolution_levels)
        check_level(asked.name, asked.level, levels)
        if asked.level:
            image.set_resolution_level(asked.level)
        return _found(asked, image, scene, scenes, levels)


def _opened(asked: Asked) -> Any:
    try:
        return open_bioimage(asked.path)
    except Exception as error:
        if type(error).__name__ != _NO_READER:
            raise
        raise FormatError(
            f"{asked.path} is not an image in a known format, and no reader of bioio that is "
            "installed opens it; install the one for this format, such as bioio-czi"
        ) from error


def _found(asked: Asked, image: Any, scene: int, scenes: tuple[str, ...], levels: int) -> Found:
    lazy = image.dask_data
    dims = tuple(d.lower() for d in image.dims.order)
    source = BioSource(
        asked.path, scene, asked.level, lazy.dtype.newbyteorder("="), lazy.shape, lazy.chunksize
    )
    channels = image.channel_names
    return Found(
        source,
        dims,
        _calibration(image),
        tuple(map(str, channels)) if channels else None,
        asked.stem,
        fixed_layout=True,
        doubt="" if known_axes(dims) else f"bioio names its axes {dims}",
        series=scenes,
        levels=levels,
    )


def _calibration(image: Any) -> Calibration:
    sizes, properties = image.scale, image.dimension_properties
    spacing, units = {}, {}
    for dim in "tzyx":
        size, unit = getattr(sizes, dim.upper()), getattr(properties, dim.upper()).unit
        if size is not None:
            spacing[dim] = float(size)
        if unit is not None:
            units[dim] = str(unit)
    return Calibration(spacing, units)

"""What bioio opens, as a source: opened for each read by the reader that bioio chooses.

bioio and its readers are optional (and some readers are GPL); this is the only module that calls
them, and only when such a file is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Shape, Slices
from chunkseg.storage.damage import naming_part
from chunkseg.storage.leaves import Array, DType, Region


def open_bioimage(path: str, scene: int = 0, level: int = 0) -> Any:
    """Open a file with bioio.

    Returns
    -------
    bioio.BioImage
        At the given scene and resolution level.

    Raises
    ------
    ParameterError
        If bioio is not installed.
    """
    try:
        from bioio import BioImage
    except ImportError as error:
        raise ParameterError(
            f"{path} is for a reader of bioio; pip install 'chunkseg[bioio]' and the reader for "
            "this format, such as bioio-czi, bioio-nd2 or bioio-lif"
        ) from error
    image = BioImage(path)
    image.set_scene(scene)
    if level:
        image.set_resolution_level(level)
    return image


@dataclass(frozen=True)
class BioSource(Region):
    """One scene and level of a file that bioio opens, with its axes as bioio has them.

    Attributes
    ----------
    path
        The file.
    scene, level
        Numbers of the scene and of the resolution level.
    dtype
        In native byte order.
    shape
        In voxels.
    chunks
        What the reader decodes as a whole.
    """

    path: str
    scene: int
    level: int
    dtype: DType
    shape: Shape
    chunks: Shape

    def _read(self, spans: Slices) -> Array:
        with naming_part(self.path, spans):
            lazy = open_bioimage(self.path, self.scene, self.level).dask_data[spans]
            return np.array(lazy.compute(scheduler="synchronous"), dtype=self.dtype, order="C")

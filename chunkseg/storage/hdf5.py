"""A data set of an HDF5 file as a source: opened for each read, so that nothing stays open.

h5py is optional; it is imported where a file is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Shape, Slices
from chunkseg.storage.damage import naming_part
from chunkseg.storage.leaves import Array, DType, Region


def open_hdf5(path: str) -> Any:
    """Open a file for reading, without locking it.

    Returns
    -------
    h5py.File
        To be closed by the caller.

    Raises
    ------
    ParameterError
        If h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ParameterError(
            f"{path} is HDF5, which needs h5py; pip install 'chunkseg[hdf5]'"
        ) from error
    return h5py.File(path, "r", locking=False)


@dataclass(frozen=True)
class Hdf5Source(Region):
    """A data set of an HDF5 file, or its first voxels along each axis.

    Attributes
    ----------
    path
        The file.
    name
        Of the data set in the file.
    dtype
        In native byte order.
    shape
        In voxels; not beyond that of the data set.
    chunks
        What is decoded as a whole; 1 along each axis of a contiguous data set.
    """

    path: str
    name: str
    dtype: DType
    shape: Shape
    chunks: Shape

    @classmethod
    def of(cls, path: str, dataset: Any, shape: Shape | None = None) -> Hdf5Source:
        """Source of a data set (``h5py.Dataset``) that is open now."""
        whole = tuple(int(n) for n in dataset.shape)
        chunks = dataset.chunks or (1,) * len(whole)
        return cls(path, dataset.name, dataset.dtype.newbyteorder("="), shape or whole, chunks)

    def _read(self, spans: Slices) -> Array:
        what = f"the data set {self.name} of {self.path}"
        with naming_part(what, spans), open_hdf5(self.path) as file:
            return np.array(file[self.name][spans], dtype=self.dtype, order="C")

"""Putting an intermediate on disk."""

from __future__ import annotations

import os
from typing import Any

from chunkseg.api.given import Given, Lazy
from chunkseg.api.sweeping import kept_at, written
from chunkseg.errors import KindError
from chunkseg.storage.places import place_of


def store(x: Any, path: str | os.PathLike[str]) -> Lazy:
    """Compute an array into a checksummed zarr store, region by region, and give it back lazily.

    Parameters
    ----------
    x : DataArray, dask or NumPy array
        What to compute; never held whole in memory.
    path : path
        Folder or address of the store. While a folder is written it has ``.partial`` after its
        name; what goes to an address is written where this process is, then moved there. The same
        call after an interruption goes on with what is done, and finds a store that is complete.

    Returns
    -------
    DataArray or dask array
        The same values, chunks and coordinates, read from ``path``. A DataArray's axes, spacing,
        units and channel names are stored too: :func:`chunkseg.open_image` finds them.

    Raises
    ------
    OutputExistsError
        If ``path`` is there already and holds anything else.
    BusyError
        If another process is writing it.
    BlocksError
        If some blocks could not be computed or written; the others are.
    PathError
        If ``path`` can't be written to.
    KindError
        If ``x`` is no array of numbers.

    Examples
    --------
    >>> import numpy as np, chunkseg as cs, tempfile
    >>> blurred = cs.gaussian(np.eye(4), sigma=1)
    >>> kept = cs.store(blurred, tempfile.mkdtemp() + "/blurred.zarr")
    >>> bool((kept == blurred).all().compute())
    True
    """
    given = Given.of(x, "array")
    if given.data.dtype.kind not in "biufc":
        raise KindError(f"only arrays of numbers are stored; got dtype {given.data.dtype}")
    into = kept_at(place_of(path), given, given.data.dtype, "store")
    return given.back(written(given, into))

"""Saving images as OME-Zarr."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import dask.array as da
import numpy as np
import xarray as xr

from chunkseg.api.facts import image_source
from chunkseg.api.given import Given
from chunkseg.api.sweeping import step_identity
from chunkseg.errors import KindError, ParameterError
from chunkseg.geometry.boxes import Shape
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.geometry.dims import AXES
from chunkseg.geometry.layout import Layout
from chunkseg.geometry.pyramid import levels_of
from chunkseg.passes.copying import Extremes, whole_range
from chunkseg.runner.coarsening import coarsen
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import Progress, silent
from chunkseg.runner.saving import SaveTask, copy_differs, levels_differ
from chunkseg.runner.staging import needs_staging, stage
from chunkseg.runner.sweep import Input, Sweeper
from chunkseg.runner.workers import refuse_unshared
from chunkseg.storage.apart import refuse_input
from chunkseg.storage.arrays import Stored
from chunkseg.storage.kept import SavedImage, filled_at
from chunkseg.storage.ome import Frames, channel_metadata, parse_version
from chunkseg.storage.opening import LABELS, from_array, open_image
from chunkseg.storage.places import place_of
from chunkseg.storage.records import Records
from chunkseg.storage.sources import View, as_dask, source_of

Lengths: TypeAlias = int | Sequence[int] | Mapping[str, int]

BLOCK_EDGE = {2: 4096, 3: 256}

_log = logging.getLogger("chunkseg")


def save_image(
    image: Any,
    path: str | os.PathLike[str],
    *,
    chunks: Lengths | None = None,
    shards: Lengths | None = None,
    levels: int | None = None,
    ome_version: str = "0.5",
    labels: bool | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> xr.DataArray:
    """Save an image as OME-Zarr with its calibration, channel names and coarser levels.

    Out of core: blocks are computed, written and forgotten. The same call after an interruption
    goes on with what is done, and finds an image that is complete.

    Parameters
    ----------
    image : DataArray, dask, zarr or NumPy array
        With the axes y, x, and any of t, c, z; axes without names are taken as
        :func:`chunkseg.from_array` does.
    path : path
        Folder to be made, as ``cells.ome.zarr``, or an address, as
        ``s3://bucket/cells.ome.zarr``. While a folder is written it has ``.partial`` after its
        name. What goes to an address is written where this process is, then moved there.
    chunks : int, sequence or mapping by axis, optional
        Length of the chunks along the spatial axes, or one for all; by default up to 128 voxels
        in 3-D, 1024 in 2-D. A chunk holds one time point of one channel.
    shards : int, sequence or mapping by axis, optional
        Length of the shards, in whole chunks; by default there are none. Needs OME-Zarr 0.5.
    levels : int, optional
        Number of resolution levels; by default until no edge is longer than 256 voxels. Each halves
        y, x, and z unless its voxels are the longer by more than the square root of two.
    ome_version : {"0.5", "0.4"}
        0.5 is zarr 3, 0.4 is zarr 2.
    labels : bool, optional
        Whether it is a label image; by default what ``image.attrs["kind"]`` says. The coarser
        levels of labels and masks keep every second voxel, those of images are means of two per
        halved axis (integers rounded half up).
    workers : int, optional
        Number of threads; as many as there are cores by default.
    progress : callable, optional
        Called as ``progress(name of the pass, blocks done, blocks in all)``.

    Returns
    -------
    DataArray
        The saved image, lazily: axes in the order t, c, z, y, x, with the same values and
        coordinates. What OME-Zarr can't tell is logged: other coordinates, and those of an axis
        without a unit that do not count voxels.

    Raises
    ------
    KindError
        If it is no image of real numbers with these axes.
    ParameterError
        If an option can't be used, or coordinates are uneven or falling.
    PathError
        If ``path`` can't be written to.
    OutputExistsError
        If ``path`` is there already and holds anything else.
    BusyError
        If another process is writing it.
    BlocksError
        If some blocks could not be computed or written; the others are.

    Examples
    --------
    >>> import chunkseg as cs, tempfile
    >>> image = cs.from_array(np.eye(600, dtype=np.uint8), spacing=0.26, unit="um")
    >>> path = tempfile.mkdtemp() + "/eye.ome.zarr"
    >>> cs.save_image(image, path).x.attrs["spacing"]
    0.26
    >>> coarse = cs.open_image(path, level=2)
    >>> coarse.shape, coarse.x.attrs["spacing"], float(coarse.x[0])
    ((150, 150), 1.04, 0.39)
    """
    saving = Saving.of(image, path, chunks, shards, levels, ome_version, labels)
    saving.save(Execution(workers), progress)
    back = open_image(path)
    saving.tell_lost(back)
    return back


@dataclass(frozen=True)
class Saving:
    """An image and where it is saved.

    Attributes
    ----------
    given
        The image, axes in the order of OME-Zarr.
    saved
        What is written.
    """

    given: Given
    saved: SavedImage

    @classmethod
    def of(
        cls,
        image: Any,
        path: str | os.PathLike[str],
        chunks: Lengths | None,
        shards: Lengths | None,
        levels: int | None,
        ome_version: str,
        labels: bool | None,
    ) -> Saving:
        """Check what is asked for and decide on blocks and levels; see :func:`save_image`."""
        place, version = place_of(path), parse_version(ome_version)
        refuse_input(place, [image_source(image)])
        where, address = filled_at(place)
        named = _ordered(image if isinstance(image, xr.DataArray) else from_array(image))
        given = Given.of(named)
        frames = replace(_frames(named, given.layout), version=version)
        names = [frames.dims[axis] for axis in given.layout.spatial]
        stored = _stored(chunks, shards, names, version == "0.4")
        if levels is not None and (not isinstance(levels, int) or levels < 1):
            raise ParameterError(f"levels must be a whole number, 1 or more; got {levels!r}")
        shape = given.layout.frame_shape
        found = levels_of(shape, _block(given, stored), frames.spatial_spacing, levels)
        marked = labels if labels is not None else named.attrs.get("kind") == LABELS
        asked = {"chunks": stored.chunks, "shards": stored.shards, "OME-Zarr": version}
        identity = step_identity(
            given, "save_image", levels=len(found), labels=bool(marked), stored=asked
        )
        dtype = given.data.dtype
        mean = not marked and dtype.kind != "b"
        described = (frames, found, dtype, stored, mean, bool(marked))
        return cls(given, SavedImage(where, identity, *described, address=address))

    @property
    def source(self) -> Input:
        """The image, to be read block by block."""
        return Input.of(self.given.data, self.given.layout)

    def save(self, execution: Execution, progress: Progress) -> None:
        """Write what is not there yet."""
        saved = self.saved
        saved.settle()
        if saved.complete:
            return
        refuse_unshared([self.source], execution.client)
        every = range(self.given.layout.frames)
        with saved.filling() as pyramid:
            sweeper: Sweeper[Extremes] = Sweeper(saved.grid, every, execution, progress)
            records = Records(Extremes, saved.records)
            source = self._staged(execution, progress)
            sweeper.run(SaveTask(pyramid), [source], records, sinks=[pyramid])
            coarsen(pyramid, every, execution, progress, saved.state / "levels")
            saved.describe(self._name(), self._channels(records))

    def _staged(self, execution: Execution, progress: Progress) -> Input:
        """Return the image; staged, if blocks can't be read without decoding far more."""
        source, block = self.source, self.saved.levels[0].block
        lazily = isinstance(source.data, da.Array)
        if lazily or not needs_staging(source, block, (0,) * len(block), execution):
            return source
        return stage(source, self.saved.state / "input", execution, progress)

    def _name(self) -> str:
        named = self.given.named
        assert named is not None
        stem = self.saved.path.name.removesuffix(".zarr").removesuffix(".ome")
        return stem if named.name is None else str(named.name)

    def _channels(self, records: Records[Extremes]) -> dict[str, Any]:
        """OME metadata of the channels, with the range of their values."""
        named = self.given.named
        assert named is not None
        names = _channel_names(named)
        if not names or self.saved.labels:
            return {}
        seen: list[list[Extremes]] = [[] for _ in names]
        for block, found in records:
            seen[block.frame % len(names)].append(found)
        return channel_metadata(names, list(map(whole_range, seen)), self.saved.dtype)

    def differences(self, execution: Execution, progress: Progress) -> list[str]:
        """Read all levels back; say which differ from the image or from the level below."""
        try:
            pyramid = self.saved.opened()
        except Exception as error:
            return [f"{self.saved.place} can't be opened: {error}"]
        first = copy_differs(self.source, pyramid, self.saved.grid, execution, progress)
        return [*([first] if first else []), *levels_differ(pyramid, execution, progress)]

    def tell_lost(self, back: xr.DataArray) -> None:
        """Log which coordinates of the image the saved one lacks."""
        named = self.given.named
        assert named is not None
        lost = [str(c) for c in named.coords if c not in back.coords and c not in named.dims]
        for dim in (str(d) for d in named.dims if d in named.coords and d in back.coords):
            here, there = named[dim].values, back[dim].values
            if dim != "c" and not np.allclose(here, there, rtol=1e-6):
                lost.append(f"{dim} (it has no unit)")
        if lost:
            _log.warning("%s does not hold the coordinates %s", self.saved.place, ", ".join(lost))


def _ordered(image: xr.DataArray) -> xr.DataArray:
    """Put the axes in the order of OME-Zarr; what can be read by coordinates stays so."""
    dims = [str(d) for d in image.dims]
    if not {"y", "x"} <= set(dims) <= set(AXES) or image.dtype.kind not in "biuf":
        raise KindError(
            "an image that is saved has real numbers and the axes y, x, and any of t, c, z; this "
            f"one has {image.dtype} and {tuple(dims)}. Name the axes by image.rename(...)."
        )
    if not image.size:
        raise ParameterError(f"the image has no voxels: its shape is {image.shape}")
    order = [d for d in AXES if d in dims]
    source = source_of(image.data)
    moved = image.transpose(*order)
    if order == dims or source is None:
        return moved
    axes = tuple(dims.index(d) for d in order)
    view = View(source, (None,) * len(dims), axes)
    chunks = tuple(image.data.chunks[axis] for axis in axes)
    return moved.copy(data=as_dask(view, chunks))


def _channel_names(image: xr.DataArray) -> list[str]:
    """Names of the channels; of an image without ``c`` the one that it is of, if that is known."""
    if "c" in image.coords and "c" in image.dims:
        return [str(name) for name in image["c"].values]
    if "c" in image.dims:
        return [str(number) for number in range(image.sizes["c"])]
    return [str(image.attrs["channel"])] if "channel" in image.attrs else []


def _frames(image: xr.DataArray, layout: Layout) -> Frames:
    """Axes and calibration."""
    dims = tuple(str(d) for d in image.dims)
    spacing, origin, units = [], [], []
    for dim in dims:
        known = dim != "c" and dim in image.coords
        values = image[dim].values if known else np.zeros(1)
        if len(values) > 1 and values[0] > values[-1]:
            raise ParameterError(
                f"the coordinates along {dim} fall, which OME-Zarr can't tell; turn the image "
                f"round first: image.sortby('{dim}')"
            )
        spacing.append(spacing_of(image, [dim])[0] if known else 1.0)
        origin.append(float(values[0]))
        units.append(unit_of(image, [dim]) if known else "pixel")
    return Frames(dims, layout, tuple(spacing), tuple(origin), tuple(units))


def _stored(
    chunks: Lengths | None, shards: Lengths | None, dims: Sequence[str], old: bool
) -> Stored:
    """Zarr version, chunks and shards as asked for."""
    inner, outer = _lengths("chunks", chunks, dims), _lengths("shards", shards, dims)
    if outer is None:
        return Stored(2 if old else 3, inner)
    if old:
        raise ParameterError("shards need OME-Zarr 0.5; version 0.4 has none")
    inner = inner or tuple(min(n, 64) for n in outer)
    if any(s % c for s, c in zip(outer, inner, strict=True)):
        raise ParameterError(f"shards {outer} must be whole multiples of the chunks {inner}")
    return Stored(3, inner, outer)


def _lengths(name: str, given: Lengths | None, dims: Sequence[str]) -> Shape | None:
    if given is None:
        return None
    if isinstance(given, Mapping):
        missing = set(given) ^ set(dims)
        lengths = [] if missing else [given[d] for d in dims]
    else:
        lengths = [given] * len(dims) if isinstance(given, int) else list(given)
    if len(lengths) != len(dims) or not all(isinstance(n, int) and n > 0 for n in lengths):
        raise ParameterError(
            f"{name} needs one positive length for each of {', '.join(dims)}; got {given!r}"
        )
    return tuple(lengths)


def _block(given: Given, stored: Stored) -> Shape:
    """Shape of the blocks: whole chunks or shards, of about the size of what is read at a time."""
    shape = given.layout.frame_shape
    wanted = tuple(BLOCK_EDGE[len(shape)] for _ in shape)
    if source_of(given.data) is None:
        wanted = tuple(max(lengths) for lengths in given.grid.chunks)
    units = stored.shards or stored.chunks or (1,) * len(shape)
    axes = zip(shape, wanted, units, strict=True)
    return tuple(min(n, max(1, w // u) * u) for n, w, u in axes)

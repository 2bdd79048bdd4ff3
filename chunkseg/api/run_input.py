"""What a run is asked for: opened, checked before any work starts, and on what it is planned."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from chunkseg.api.channels import channel_names, one_channel
from chunkseg.api.facts import run_identity
from chunkseg.api.given import Given
from chunkseg.api.planning import Planning
from chunkseg.errors import KindError, ParameterError
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.geometry.layout import Layout
from chunkseg.geometry.units import PIXEL
from chunkseg.plan.parameters import PHYSICAL, Parameters
from chunkseg.runner.execution import Execution
from chunkseg.runner.sweep import Input
from chunkseg.storage.identity import Identity
from chunkseg.storage.ome import Frames, Version, parse_version
from chunkseg.storage.opening import from_array, open_image
from chunkseg.storage.site import KEPT

Image: TypeAlias = str | os.PathLike[str] | Any


@dataclass(frozen=True)
class RunInput:
    """An image that a workflow can be run on, and how.

    Attributes
    ----------
    image
        The image that is segmented: opened, of one channel.
    given
        The same as it is swept.
    frames
        Axes and calibration of what is written.
    planning
        What decides on the passes and the blocks.
    """

    image: xr.DataArray
    given: Given
    frames: Frames
    planning: Planning

    @classmethod
    def of(
        cls,
        parameters: Parameters,
        image: Image,
        channel: str | int | None,
        is_mask: bool,
        keep: Collection[str],
        until: str | None,
        workers: int | None,
        ome_version: str = "0.5",
    ) -> RunInput:
        """Open an image and check what is asked; all as for :meth:`chunkseg.Workflow.run`."""
        check_options(keep, until, workers)
        opened = opened_image(image, channel)
        check_image(parameters, opened, is_mask)
        given = Given.of(opened)
        frames = frames_of(opened, given.layout, parse_version(ome_version))
        source, execution = Input.of(given.data, given.layout), Execution(workers)
        kept = sorted({*keep, *(["mask"] if until == "mask" else [])})
        planning = Planning(parameters, source, frames.voxel, execution, is_mask, until, kept)
        return cls(opened, given, frames, planning)

    def intensities(self, chosen: Mapping[str, xr.DataArray] | None) -> list[Input]:
        """Images whose intensities are measured: those chosen, or the one that is segmented."""
        if chosen is None:
            return [] if self.planning.is_mask else [self.planning.image]
        what, layout = "image of intensities", self.given.layout
        return [Input.of(self.given.aligned(image, what), layout) for image in chosen.values()]

    def identity(self, channels: Collection[str] | None) -> Identity:
        """Who the run is, with the names of the channels chosen for intensities."""
        asked, version = self.planning, self.frames.version
        told: dict[str, Any] = {"until": asked.until, "mask": asked.is_mask, "OME-Zarr": version}
        if channels is not None:
            told["intensity channels"] = list(channels)
        workflow = asked.parameters.as_dict()
        return run_identity(
            workflow, self.image, self.given, self.frames, keep=list(asked.keep), **told
        )


def check_options(keep: Collection[str], until: str | None, workers: int | None) -> None:
    """Refuse what can't be asked of a run."""
    unknown = [name for name in keep if name not in KEPT]
    if isinstance(keep, str) or unknown:
        raise ParameterError(f"keep must be some of {', '.join(KEPT)}; got {keep!r}")
    if until not in (None, "mask"):
        raise ParameterError(f'until must be "mask" or None; got {until!r}')
    if until == "mask" and set(keep) - {"mask"}:
        raise ParameterError(f"until='mask' stops before {keep!r} exist; drop one of both")
    if workers is not None and workers < 1:
        raise ParameterError(f"workers must be at least 1; got {workers}")


def check_image(parameters: Parameters, image: xr.DataArray, is_mask: bool) -> None:
    """Refuse an image that a workflow can't be run on."""
    spatial = [str(d) for d in image.dims if d not in ("t", "c")]
    if len(spatial) not in (2, 3) or not set(spatial) <= set("zyx"):
        raise KindError(
            "the image needs two or three spatial axes named z, y, x (and t); it has "
            f"{tuple(image.dims)}. Name them with dims= of open_image or from_array."
        )
    if image.size == 0:
        raise ParameterError(f"the image has no voxels: its shape is {image.shape}")
    if isinstance(parameters.sigma, tuple) and len(parameters.sigma) != len(spatial):
        raise ParameterError(
            f"sigma must be one number or one per spatial axis ({', '.join(spatial)}); got "
            f"{parameters.sigma}"
        )
    for axis in parameters.clear_border_axes or ():
        if axis not in spatial:
            raise ParameterError(
                f"clear_border_axes names {axis!r}, but the image has {', '.join(spatial)}"
            )
    if parameters.units == PHYSICAL and unit_of(image, spatial) == PIXEL:
        raise ParameterError(
            "units='physical' needs an image whose voxels have a size in a unit; this one has "
            "none. Give spacing= and unit= to open_image or from_array, or all lengths in voxels "
            "and units='pixels'"
        )
    _check_dtype(image, is_mask)
    if not is_mask:
        _check_threshold(parameters, image)


def _check_threshold(parameters: Parameters, image: xr.DataArray) -> None:
    value = parameters.threshold
    if isinstance(value, str) or image.dtype.kind not in "ui" or value <= 1:
        return
    top = np.iinfo(image.dtype).max
    raise ParameterError(
        f"threshold {value:g} is above 1, but {image.dtype} images are scaled to 0..1 before "
        f"blurring; the same threshold is {value:g}/{top} = {value / top:.6g}"
    )


def _check_dtype(image: xr.DataArray, is_mask: bool) -> None:
    if is_mask and image.dtype.kind not in "bui":
        raise KindError(
            f"a mask must be of bool or integers; got dtype {image.dtype}. Run it as an image, or "
            "compare first, as in image > threshold."
        )
    if image.dtype.kind not in "buif":
        raise KindError(f"the image must be of real numbers; got dtype {image.dtype}")


def opened_image(image: Image, channel: str | int | None) -> xr.DataArray:
    """Open or wrap the image and take the one channel to be segmented."""
    if isinstance(image, str | os.PathLike):
        opened = open_image(image, channel=channel)
    else:
        opened = image if isinstance(image, xr.DataArray) else from_array(image)
        opened = opened if channel is None else one_channel(opened, channel)
    if "c" in opened.dims:
        if opened.sizes["c"] > 1:
            names = f" {channel_names(opened)}" if "c" in opened.coords else ""
            raise ParameterError(
                f"the image has {opened.sizes['c']} channels{names}; say which one to segment "
                "with channel= (a name or a number)"
            )
        opened = opened.isel(c=0)
    return opened


def frames_of(image: xr.DataArray, layout: Layout, version: Version = "0.5") -> Frames:
    """Axes and calibration of what will be written: ``t`` first, then the spatial axes."""
    spatial = [str(image.dims[axis]) for axis in layout.spatial]
    dims = [str(image.dims[axis]) for axis in layout.looped] + spatial
    unit = unit_of(image, spatial)
    units = [unit if d in spatial else unit_of(image, [d]) for d in dims]
    origin = [float(image[d].values.min()) if d in image.coords else 0.0 for d in dims]
    shape = [image.sizes[d] for d in dims]
    spacing = spacing_of(image, dims)
    whole = Layout.of(shape, dims)
    return Frames(tuple(dims), whole, spacing, tuple(origin), tuple(units), version)

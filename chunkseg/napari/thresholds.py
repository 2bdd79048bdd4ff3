"""The threshold that a preview takes: given, of a finished run, or found once and remembered.

Otsu's threshold follows from a whole frame (or movie), so a region can't tell it. A finished run of
the same image, blur and scope has it; else it is searched out of core: an estimate is there first,
then the true one, which is kept for as long as the dock is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from chunkseg.api.checking_files import input_check
from chunkseg.api.checks import OK, Subject
from chunkseg.api.result import Result
from chunkseg.api.workflow import Workflow
from chunkseg.errors import ChunksegError
from chunkseg.geometry.layout import Layout
from chunkseg.napari.described import Layer, Shown, origin_of
from chunkseg.napari.layers import KEY
from chunkseg.napari.searching import otsu_thresholds
from chunkseg.runner.progress import Progress
from chunkseg.storage.identity import canonical
from chunkseg.storage.sources import View, as_dask, source_of

GIVEN, OF_RUN, FOUND = "as given", "of the run {}", "Otsu's, found in the image"
ESTIMATED = "estimated, not yet verified"
BLUR = ("units", "sigma", "threshold", "threshold_scope")


@dataclass(frozen=True)
class Threshold:
    """A threshold, and where it is from."""

    value: float
    origin: str


@dataclass
class Thresholds:
    """Thresholds by what they follow from."""

    _known: dict[str, Threshold] = field(default_factory=dict)

    def each(
        self,
        workflow: Workflow,
        shown: Shown,
        frame: int,
        layers: Iterable[Layer],
        progress: Progress,
    ) -> Iterator[Threshold]:
        """Thresholds of a frame: an estimate, where it takes time to be sure; at last the run's.

        Parameters
        ----------
        workflow
            The parameters.
        shown
            The image.
        frame
            Number of the frame.
        layers
            Layers that may show the labels of finished runs.
        progress
            Who is told while it is searched; what it raises ends the search.
        """
        if not isinstance(workflow.threshold, str):
            yield Threshold(workflow.threshold, GIVEN)
            return
        key = _key(workflow, shown, frame)
        known = self._known.get(key) or _of_runs(workflow, shown, frame, layers)
        if known is None:
            part = searched(workflow, shown.image, frame)
            for value, verified in otsu_thresholds(workflow, part, progress):
                known = Threshold(value, FOUND if verified else ESTIMATED)
                if not verified:
                    yield known
        assert known is not None
        self._known[key] = known
        yield known


def _key(workflow: Workflow, shown: Shown, frame: int) -> str:
    """What an Otsu threshold follows from."""
    one_for_all = workflow.threshold_scope == "movie"
    return canonical([shown.origin, _blur(workflow), None if one_for_all else frame])


def _blur(workflow: Any) -> dict[str, Any]:
    values = workflow.as_dict()
    return {name: values[name] for name in BLUR}


def _of_runs(
    workflow: Workflow, shown: Shown, frame: int, layers: Iterable[Layer]
) -> Threshold | None:
    """Look for the threshold among the runs whose labels are layers."""
    for folder in {layer.metadata.get(KEY, {}).get("run") for layer in layers} - {None}:
        value = _of_run(workflow, shown, frame, str(folder))
        if value is not None:
            return Threshold(value, OF_RUN.format(folder))
    return None


def _of_run(workflow: Workflow, shown: Shown, frame: int, folder: str) -> float | None:
    """Threshold of a run, if it is one of this image and blur, and the image is what it was."""
    try:
        result = Result.open(folder)
        subject = Subject.of(result.path, result.run)
    except ChunksegError:
        return None
    told = result.run["input"]
    same = shown.origin == origin_of(told["source"], told.get("opened_with", {}))
    if not same or subject.is_mask or _blur(subject.parameters) != _blur(workflow):
        return None
    check, _ = input_check(subject, None)
    return float(subject.frames[frame]["threshold"]) if check.outcome == OK else None


def searched(workflow: Workflow, image: xr.DataArray, frame: int) -> xr.DataArray:
    """What an Otsu threshold follows from: the whole movie, or one frame of it."""
    one_for_all = workflow.threshold_scope == "movie" or "t" not in image.dims
    return image if one_for_all else one_frame(image, frame)


def one_frame(image: xr.DataArray, frame: int) -> xr.DataArray:
    """One time point of an image, read as directly as the whole."""
    rest = image.isel(t=frame, drop=True)
    source = source_of(image.data)
    if source is None:
        return rest
    layout = Layout.of(image.shape, [str(dim) for dim in image.dims])
    index = tuple(frame if axis in layout.looped else None for axis in range(image.ndim))
    return rest.copy(data=as_dask(View(source, index, layout.spatial)))

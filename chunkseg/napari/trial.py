"""One trial of the workflow dock: the part that is seen, as the full run would have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chunkseg.api.given import Given
from chunkseg.api.run_input import check_image
from chunkseg.api.workflow import Workflow
from chunkseg.geometry.calibration import spacing_of, spatial
from chunkseg.napari.described import Layer, Shown, shown
from chunkseg.napari.preview import Preview, Region, preview
from chunkseg.napari.seen import Seen
from chunkseg.napari.thresholds import Threshold, Thresholds
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import Input


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Attributes
    ----------
    workflow
        The parameters.
    layer
        The image's layer.
    time
        Whether the first of three axes is time.
    channel
        Channel of the file that the layer shows, if it has several.
    seen
        The part that is seen.
    """

    workflow: Workflow
    layer: Layer
    time: bool
    channel: str | None
    seen: Seen

    def run(
        self, thresholds: Thresholds, layers: Iterable[Layer], progress: Progress
    ) -> tuple[Preview, Threshold]:
        """Compute what is seen, after its threshold has been found.

        Raises
        ------
        ChunksegError
            For what a run would refuse, and for a part that is too large.
        """
        image = shown(self.layer, self.time, self.channel)
        check_image(self.workflow, image.image, False)
        region = region_of(image, self.seen)
        threshold = thresholds.of(self.workflow, image, self.seen.frame, layers, progress)
        return preview(self.workflow, region, threshold.value), threshold

    @property
    def placed(self) -> dict[str, Any]:
        """Where its arrays lie: calibration of layers, of a movie without the axis of time."""
        looped = self.layer.ndim - len(self.seen.box.shape)
        scale, origin = self.layer.scale[looped:], self.layer.translate[looped:]
        corner = zip(origin, self.seen.box.start, scale, strict=True)
        translate = [float(o + n * s) for o, n, s in corner]
        steps = [float(s) for s in scale]
        time = [float(self.layer.scale[0])] if looped else []
        at = [float(self.layer.translate[0]) + self.seen.frame * time[0]] if looped else []
        units = tuple(map(str, self.layer.units))
        return {"scale": (*time, *steps), "translate": (*at, *translate), "units": units}


def region_of(image: Shown, seen: Seen) -> Region:
    """The part of an image that is seen."""
    given = Given.of(image.image)
    axes = spatial(image.image.dims)
    spacing = spacing_of(image.image, axes)
    return Region(Input.of(given.data, given.layout), seen.frame, seen.box, axes, spacing)

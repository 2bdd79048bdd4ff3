"""One trial of the workflow dock: the part that is seen, as the full run would have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from chunkseg.api.given import Given
from chunkseg.api.run_input import check_image
from chunkseg.api.workflow import Workflow
from chunkseg.geometry.calibration import spacing_of
from chunkseg.geometry.dims import spatial
from chunkseg.napari.described import Layer, Shown, full_data, shown
from chunkseg.napari.masks import Masks, Region
from chunkseg.napari.preview import Preview, preview
from chunkseg.napari.seen import Seen
from chunkseg.napari.thresholds import Threshold, Thresholds
from chunkseg.runner.progress import Progress
from chunkseg.runner.sweep import Input
from chunkseg.storage.identity import canonical


@dataclass(frozen=True)
class Known:
    """What is kept from one trial to the next."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    masks: Masks = field(default_factory=Masks)


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

    def attempts(
        self, known: Known, layers: Iterable[Layer], progress: Progress
    ) -> Iterator[Attempt]:
        """Compute what is seen: with an estimated threshold, if need be, then with the true one.

        Raises
        ------
        ChunksegError
            For what a run would refuse, and for a part that is too large.
        """
        image = shown(self.layer, self.time, self.channel)
        check_image(self.workflow, image.image, False)
        region = region_of(image, self.seen)
        made: Attempt | None = None
        frame = self.seen.frame
        for threshold in known.thresholds.each(self.workflow, image, frame, layers, progress):
            if made is not None and made.threshold.value == threshold.value:
                made = replace(made, threshold=threshold)
            else:
                mask_of = known.masks.of(self._mask_key(image, threshold))
                found = preview(self.workflow, region, threshold.value, mask_of)
                made = Attempt(self, found, threshold)
            yield made

    def too_thin(self, found: Preview) -> bool:
        """Whether most objects are cut, and more planes could be taken."""
        box = self.seen.box.shape
        thin = len(box) == 3 and box[0] < full_data(self.layer).shape[-3]
        return thin and found.cut > found.whole

    def _mask_key(self, image: Shown, threshold: Threshold) -> str:
        """Text of all that a mask follows from."""
        blur = [self.workflow.units, self.workflow.sigma]
        return canonical([image.origin, self.seen.frame, blur, threshold.value])

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


@dataclass(frozen=True)
class Attempt:
    """What a trial has found, with a threshold that may be an estimate."""

    trial: Trial
    preview: Preview
    threshold: Threshold


def region_of(image: Shown, seen: Seen) -> Region:
    """The part of an image that is seen."""
    given = Given.of(image.image)
    axes = spatial(image.image.dims)
    spacing = spacing_of(image.image, axes)
    return Region(Input.of(given.data, given.layout), seen.frame, seen.box, axes, spacing)

"""What the measure dock does: groups of measures of the objects of a layer, out of core."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chunkseg.api.measurement import measured
from chunkseg.api.result import Result
from chunkseg.errors import ChunksegError, IncompleteError, ParameterError
from chunkseg.geometry.units import PIXEL
from chunkseg.napari.described import Layer, dims_of, named, spacing_of_layer, unit_of_layer
from chunkseg.napari.layers import KEY, table_of
from chunkseg.napari.objects import VOXELS, Objects
from chunkseg.passes.measure import choose
from chunkseg.report.words import length_unit
from chunkseg.runner.progress import Progress, silent
from chunkseg.storage.commit import committed

GROUPS = {
    "size": "Size",
    "intensity": "Intensity",
    "perimeter": "Perimeter",
    "shape": "Shape",
    "position": "Position",
    "moments": "Moments",
}
SCALED = "multiples of the layer's scale"
LABEL, CENTROID = "label", "centroid"


def properties_of(
    groups: Sequence[str], spacing: tuple[float, ...], has_image: bool
) -> dict[str, tuple[str, ...]]:
    """Properties of each of some groups, as far as they are defined.

    Examples
    --------
    >>> properties_of(["perimeter"], (1.0, 1.0), False)
    {'perimeter': ('label', 'perimeter', 'perimeter_crofton')}
    """
    return {name: choose(name, spacing, None, has_image).properties for name in groups}


def measure(
    labels: Layer,
    image: Layer | None,
    groups: Sequence[str],
    *,
    time: bool = False,
    progress: Progress = silent,
) -> Objects:
    """Measure the objects of a labels layer, in units of its scale.

    Parameters
    ----------
    labels, image
        Layers; the image gives the intensities, and may be missing.
    groups
        Some of ``GROUPS``.
    time
        Whether the first of three axes is time.
    progress
        Who is told how far it is; what it raises ends the measurement.

    Raises
    ------
    ParameterError
        If only intensities are asked for and there is no image; whatever
        :func:`chunkseg.regionprops_table` raises.
    """
    if image is None and list(groups) == ["intensity"]:
        raise ParameterError("intensities need an image: choose one, or tick other measures")
    dims = dims_of(labels, time)
    spacing = spacing_of_layer(labels, dims)
    intensities = None if image is None else named(image, time)
    chosen = properties_of(groups, spacing, image is not None)
    names = dict.fromkeys([LABEL, *(name for each in chosen.values() for name in each), CENTROID])
    table = measured(named(labels, time), intensities, list(names), spacing, progress=progress)
    unit = unit_of_layer(labels, dims)
    scaled = VOXELS if set(spacing) == {1.0} else SCALED
    nothing = [GROUPS[group] for group, found in chosen.items() if set(found) <= {LABEL}]
    return Objects(table, spacing, scaled if unit == PIXEL else length_unit(unit), tuple(nothing))


def known_objects(labels: Layer) -> Objects | None:
    """Objects that the run has measured whose labels a layer shows; None for any other layer."""
    run = labels.metadata.get(KEY, {}).get("run")
    try:
        table = None if run is None else table_of(Result.open(run))
    except ChunksegError:  # gone or overwritten since
        return None
    return None if table is None else Objects(table)


def save_csv(objects: Objects | None, path: str | Path) -> None:
    """Write a table as CSV, in its own order.

    Raises
    ------
    IncompleteError
        If nothing has been measured.
    """
    if objects is None:
        raise IncompleteError("there is no table yet: press Measure first")
    with committed(Path(path)) as partial:
        objects.table.to_csv(partial, index=False)

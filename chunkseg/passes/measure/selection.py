"""What is to be measured: names and groups of properties, checked, with all that follows from them.

Groups are those of the tick boxes of napari-skimage-regionprops. A property asked for by name
raises where scikit-image does not define it for the input; a group leaves it out and says so once.
Two groups, "perimeter" and "moments", share their name with a property: alone it means the group,
in a list, where scikit-image's users write it, the property.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chunkseg.errors import ChunksegError, KindError, ParameterError
from chunkseg.passes.measure.additive import ADDITIVE
from chunkseg.passes.measure.contributions import Array, Contribution, View
from chunkseg.passes.measure.local import LOCAL
from chunkseg.passes.measure.merged import Merged
from chunkseg.passes.measure.merging import (
    MeasureRecord,
    Parts,
    measure_block,
    merge_measures,
    merge_rows,
)
from chunkseg.passes.measure.properties import PROPERTIES, WHOLES, Kind

CONTRIBUTIONS = {c.name: c for c in ADDITIVE + LOCAL}
KINDS: dict[str, Kind] = {**PROPERTIES, **WHOLES}

GROUPS: dict[str, tuple[str, ...]] = {
    "size": ("area", "num_pixels", "area_bbox", "equivalent_diameter_area", "area_convex"),
    "intensity": ("intensity_max", "intensity_mean", "intensity_min", "intensity_std"),
    "perimeter": ("perimeter", "perimeter_crofton"),
    "shape": (
        *("extent", "solidity", "feret_diameter_max", "centroid_local"),
        *("axis_major_length", "axis_intermediate_length", "axis_minor_length"),
        *("orientation", "eccentricity", "aspect_ratio", "roundness", "circularity"),
    ),
    "position": ("centroid", "bbox", "centroid_weighted"),
    "moments": ("moments", "moments_normalized", "moments_central", "moments_hu"),
    "all": tuple(KINDS),
}

_log = logging.getLogger("chunkseg")


@dataclass(frozen=True)
class Measures:
    """A choice of properties for frames of one kind.

    What sums over blocks can't give (``wholes``) is measured elsewhere; ``swept`` is the rest.

    Attributes
    ----------
    properties
        Names, as their columns will be ordered.
    spacing
        Size of a voxel along each axis.
    channels
        Names of the channels; None for one without a name, or for no intensity image.
    """

    properties: tuple[str, ...]
    spacing: tuple[float, ...]
    channels: tuple[str, ...] | None = None

    @property
    def wholes(self) -> tuple[str, ...]:
        """Properties that need whole objects."""
        return tuple(name for name in self.properties if name in WHOLES)

    def swept(self, with_boxes: bool) -> Measures:
        """Return the properties made of sums, with the labels and, if wanted, the boxes."""
        names = [name for name in self.properties if name not in WHOLES]
        places = ["label", "bbox"] if with_boxes else ["label"]
        return replace(self, properties=tuple(dict.fromkeys(names + places)))

    @cached_property
    def contributions(self) -> tuple[Contribution, ...]:
        """What blocks have to sum."""
        return _contributions({n for name in self.properties for n in PROPERTIES[name].needs})

    @cached_property
    def halo(self) -> int:
        """Voxels around a block that have to be read."""
        return max(c.halo for c in self.contributions)

    @cached_property
    def needs_images(self) -> bool:
        """Whether the intensities have to be read."""
        return any(c.images for c in self.contributions)

    def block(self, view: View, ids: NDArray[np.int64]) -> MeasureRecord:
        """Measure one block; ``ids`` holds the label of each local id, 0 for none."""
        return measure_block(view, ids, self.contributions)

    def merge(self, records: Iterable[MeasureRecord]) -> MeasureRecord:
        """Merge records, which must come in block order."""
        return merge_measures(records, self.contributions)

    def finish(self, record: MeasureRecord) -> dict[str, Array]:
        """Columns of the table, in the order asked for, named as scikit-image names them."""
        merged = Merged(record, self.spacing)
        table: dict[str, Array] = {}
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for name in self.properties:
                table |= self._columns(name, merged)
        return table

    def table(self, parts: Parts, first: int, last: int) -> dict[str, Array]:
        """Merge and finish the labels from ``first`` to ``last``."""
        return self.finish(merge_rows(parts.between(first, last), self.contributions))

    def _columns(self, name: str, merged: Merged) -> dict[str, Array]:
        kind = PROPERTIES[name]
        values = kind.finish(merged)
        names = self.column_names(name)
        flat = np.array(values.reshape(len(merged.label), len(names)).T, kind.dtype, order="C")
        if flat.dtype.kind == "f":
            flat[np.isinf(flat)] = np.nan
        return dict(zip(names, flat, strict=True))

    def column_names(self, name: str) -> list[str]:
        """Names of a property's columns."""
        kind = KINDS[name]
        indices = np.ndindex(kind.index_shape(len(self.spacing)))
        names = ["-".join([name, *map(str, index)]) for index in indices]
        if kind.intensity and self.channels is not None:
            return [f"{column}-{channel}" for column in names for channel in self.channels]
        return names


def choose(
    properties: str | Sequence[str],
    spacing: tuple[float, ...],
    channels: Sequence[str] | None = None,
    has_intensity: bool = True,
) -> Measures:
    """Choose what to measure.

    Parameters
    ----------
    properties
        A group or a name, or a list of both; with a group, ``label`` comes first unless named.
    spacing
        Size of a voxel along each axis.
    channels
        Names of the channels, None for a single one without a name.
    has_intensity
        Whether there is an intensity image.

    Raises
    ------
    KindError
        For frames that are neither 2-D nor 3-D, and named properties that are not defined for them.
    ParameterError
        For an unknown property (near names are listed), and for a named property that needs an
        intensity image or another spacing.
    """
    ndim = len(spacing)
    if ndim not in (2, 3):
        raise KindError(
            f"regionprops_table needs 2-D or 3-D label images, as in scikit-image; got {ndim} "
            "dimensions. Looped axes must be named 't' or 'c' (see chunkseg.from_array)."
        )
    names: list[str] = []
    left_out: list[str] = []
    for name, optional in _members(properties):
        error = _undefined(name, spacing, has_intensity)
        if error is None:
            names.append(name)
        elif optional:
            left_out.append(str(error))
        else:
            raise error
    if left_out:
        _log.warning("left out: %s", "; ".join(dict.fromkeys(left_out)))
    named = None if channels is None else tuple(channels)
    return Measures(tuple(dict.fromkeys(names)), spacing, named)


def _members(properties: str | Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Names asked for, and whether each is there as a member of a group."""
    if isinstance(properties, str):
        asked, groups = [properties], set(GROUPS)
    else:
        asked, groups = list(properties), set(GROUPS) - set(KINDS)
    if "label" not in asked and not groups.isdisjoint(asked):
        yield "label", True
    for name in asked:
        for member in GROUPS[name] if name in groups else (name,):
            yield member, name in groups


def _contributions(names: set[str]) -> tuple[Contribution, ...]:
    """Contributions of these names and those that they need, in merging order.

    The number of voxels is always there. Lower moments are left out where all moments are taken.
    """
    wanted = {"num_pixels"} | names | {n for name in names for n in CONTRIBUTIONS[name].needs}
    if "moments" in wanted:
        wanted.discard("second")
    if "weighted" in wanted:
        wanted.discard("weighted_first")
    return tuple(c for name, c in CONTRIBUTIONS.items() if name in wanted)


def _undefined(name: str, spacing: tuple[float, ...], has_intensity: bool) -> ChunksegError | None:
    """Say why a property can't be measured; None if it can."""
    if name not in KINDS:
        return ParameterError(f"unknown property {name!r}; {_meant(str(name))}")
    kind, ndim = KINDS[name], len(spacing)
    if ndim not in kind.dimensions:
        only = " or ".join(f"{d}-D" for d in kind.dimensions)
        return KindError(f"property {name!r} is defined for {only} labels; these are {ndim}-D")
    if kind.intensity and not has_intensity:
        return ParameterError(
            f"property {name!r} needs an intensity image, but none was given: pass it as "
            "intensity_image"
        )
    if not _fits(kind.spacing, spacing):
        wanted = "equal along all axes" if kind.spacing == "isotropic" else "1 along all axes"
        return ParameterError(
            f"property {name!r} is defined for a spacing that is {wanted}; got {spacing}"
        )
    return None


def _meant(name: str) -> str:
    """Say which property is meant; of scikit-image's older names the one of the same words.

    Examples
    --------
    >>> _meant("mean_intensity"), _meant("major_axis_length")
    ("did you mean one of ['intensity_mean']?", "did you mean one of ['axis_major_length']?")
    """
    known = list(dict.fromkeys([*KINDS, *GROUPS]))
    words = sorted(name.lower().split("_"))
    near = [other for other in known if sorted(other.split("_")) == words]
    near = near or difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    return f"did you mean one of {near}?" if near else f"known are {', '.join(known)}"


def _fits(wanted: str, spacing: tuple[float, ...]) -> bool:
    if wanted == "one":
        return all(step == 1 for step in spacing)
    return wanted == "any" or len(set(spacing)) == 1

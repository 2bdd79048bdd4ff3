"""Choosing the radius: what several radii of erosion make of one mask."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from chunkseg.api.comparing import compare_masks
from chunkseg.api.result import Result
from chunkseg.api.run_input import Image
from chunkseg.api.workflow import Workflow
from chunkseg.errors import ParameterError
from chunkseg.passes.tables import default_column
from chunkseg.runner.progress import Progress
from chunkseg.storage.places import folder_of

SHOWN = 3


@dataclass(frozen=True)
class RadiusSweep:
    """What :func:`sweep_radius` found.

    Attributes
    ----------
    mask
        The run that made the mask.
    results
        The run of each radius, with its ``seeds``.
    """

    mask: Result
    results: dict[float, Result]

    @property
    def table(self) -> pd.DataFrame:
        """One row per radius (and time point).

        ``radius``; the number of components of the ``mask``, after erosion (``eroded``), after
        expansion, and in the end (``final``, within the border and the limits of size); ``split``,
        components of the mask that hold several final objects; count, mean, standard deviation,
        range and quartiles of the final objects' sizes.
        """
        rows = [self._rows(radius, result) for radius, result in self.results.items()]
        return pd.concat(rows, ignore_index=True)

    @property
    def sizes(self) -> pd.DataFrame:
        """One row per final object and radius: ``radius``, ``t`` if there is one, and its size."""
        parts = []
        for radius, result in self.results.items():
            names = [n for n in ("t", default_column(result.table)) if n in result.table]
            part = result.table[names].copy()
            part.insert(0, "radius", radius)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def _rows(self, radius: float, result: Result) -> pd.DataFrame:
        summary = result.summary.reset_index(drop=result.summary.index.name != "t")
        counts = result.counts[["mask", "eroded", "expanded", "final"]]
        parts = compare_masks(result.labels, self.mask.mask).components
        several = parts[parts["objects"] > 1]
        frames = several["frame"] if "frame" in several else pd.Series(0, several.index)
        split = [int((frames == n).sum()) for n in range(len(counts))]
        sizes = summary[["column", "unit", "mean", "std", "range", "min", "max"]]
        places = summary[["t"]] if "t" in summary else pd.DataFrame(index=summary.index)
        spread = self._quartiles(result, len(counts))
        found = pd.concat([places, counts.assign(split=split), sizes, spread], axis=1)
        found.insert(0, "radius", radius)
        return found

    @staticmethod
    def _quartiles(result: Result, frames: int) -> pd.DataFrame:
        table, name = result.table, default_column(result.table)
        times = table["t"] if "t" in table else pd.Series(0, table.index)
        values = [table[name][times == n].to_numpy(dtype=float) for n in range(frames)]
        names = {"q1": 25, "median": 50, "q3": 75}
        return pd.DataFrame(
            {
                name: [float(np.percentile(v, at)) if len(v) else np.nan for v in values]
                for name, at in names.items()
            }
        )

    def planes(self, most: int = SHOWN) -> list[tuple[int, int]]:
        """Frames and planes where radii differ most: those through most objects that one splits.

        Pairs of frame and plane along ``z`` (0 in 2-D), ascending. An object is seen in the middle
        half of its planes; each plane after the first is the one through most of the objects that
        are not yet seen. Where no radius splits anything, the planes through most objects.
        """
        places: list[pd.DataFrame] = []
        everything: list[pd.DataFrame] = []
        for result in self.results.values():
            objects = _places(result)
            everything.append(objects)
            compared = compare_masks(result.labels, self.mask.mask).objects
            # NaN: the component of the mask holds other objects as well
            parted = compared["lost"].isna().to_numpy()
            places.append(objects[parted])
        found = pd.concat(places)
        return sorted(_seeing(pd.concat(everything) if found.empty else found, most))


def _places(result: Result) -> pd.DataFrame:
    """Frame, and first and last (exclusive) plane of the middle half, of each object."""
    table = result.table
    zeros = pd.Series(0, table.index)
    low, high = zeros, zeros + 1
    if "bbox-5" in table:
        quarter = (table["bbox-3"] - table["bbox-0"]) // 4
        low, high = table["bbox-0"] + quarter, table["bbox-3"] - quarter
    frame = table.get("t", zeros)
    return pd.DataFrame({"frame": frame, "low": low, "high": high})


def _seeing(objects: pd.DataFrame, most: int) -> list[tuple[int, int]]:
    """Planes through most objects, each through most of those that none before it sees."""
    chosen: list[tuple[int, int]] = []
    while len(objects) and len(chosen) < most:
        depth = int(objects["high"].max()) + 1
        steps = np.zeros((int(objects["frame"].max()) + 1) * depth, np.int64)
        np.add.at(steps, objects["frame"] * depth + objects["low"], 1)
        np.add.at(steps, objects["frame"] * depth + objects["high"], -1)
        seen = np.cumsum(steps)
        best = np.flatnonzero(seen == seen.max())
        together = best[best - best[0] == np.arange(len(best))]  # the first stretch of such planes
        frame, plane = divmod(int(together[len(together) // 2]), depth)
        chosen.append((frame, plane))
        through = (objects["low"] <= plane) & (plane < objects["high"])
        objects = objects[~(through & (objects["frame"] == frame))]
    return chosen


def sweep_radius(
    image: Image,
    radii: Iterable[float],
    out: str | os.PathLike[str],
    *,
    workflow: Workflow | None = None,
    channel: str | int | None = None,
    input_is_mask: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> RadiusSweep:
    """Try several radii of erosion on one mask: which separates the objects?

    The mask is made once, so the image is read and blurred as by one run; each radius then splits,
    expands and measures it, out of core. An interrupted sweep goes on when called again.

    Parameters
    ----------
    image : path, DataArray, dask, zarr or NumPy array
        As for :meth:`chunkseg.Workflow.run`.
    radii : iterable of float
        The radii, in the unit of the workflow; each becomes its ``erosion_radius``.
    out : path
        Folder of the results: ``mask`` and, for each radius, ``radius-<r>``.
    workflow : Workflow, optional
        All other parameters; the default workflow without it.
    channel, input_is_mask, workers, overwrite, progress
        As for :meth:`chunkseg.Workflow.run`.

    Returns
    -------
    RadiusSweep

    Raises
    ------
    ParameterError
        If no radius is given, or one twice; and whatever a run raises.

    Examples
    --------
    >>> import tempfile
    >>> mask = np.zeros((9, 14), bool)
    >>> mask[2:7, 2:6] = mask[2:7, 8:12] = mask[4, 6:8] = True
    >>> swept = sweep_radius(mask, [0, 1], tempfile.mkdtemp(), input_is_mask=True)
    >>> swept.table[["radius", "mask", "eroded", "final"]].values.tolist()
    [[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 2.0, 2.0]]
    """
    base = Workflow() if workflow is None else workflow
    chosen = [float(radius) for radius in radii]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ParameterError(f"radii must be different numbers, at least one; got {chosen}")
    flows = {radius: replace(base, erosion_radius=radius) for radius in chosen}
    folder = folder_of(out)
    options: dict[str, Any] = {"workers": workers, "overwrite": overwrite, "progress": progress}
    given: dict[str, Any] = {"channel": channel, "input_is_mask": input_is_mask}
    mask = base.run(image, folder / "mask", until="mask", **given, **options)
    options |= {"input_is_mask": True, "keep": ("seeds",)}
    return RadiusSweep(
        mask,
        {
            radius: flow.run(mask.mask, folder / f"radius-{radius:g}", **options)
            for radius, flow in flows.items()
        },
    )

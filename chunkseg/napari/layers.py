"""Layers of a result, as plain values that napari takes: lazy levels, calibration, features.

Image, mask and labels are lists of dask arrays, one per level of the stored pyramids, so that what
is read is what is seen. Calibration is that of the run. Nothing here imports napari.
"""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd

from chunkseg.api.checks import Subject
from chunkseg.api.result import Result
from chunkseg.geometry.layout import Layout
from chunkseg.report.scenes import Stage
from chunkseg.report.views import Budget, Level, Pyramid
from chunkseg.storage.site import LABELS, RUN, TABLE
from chunkseg.storage.sources import View, as_dask, default_chunks

LayerData = tuple[Any, dict[str, Any], str]

KEY = "chunkseg"
"""Where a layer's metadata tell what of chunkseg it shows."""
INDEX = "index"
LEAST_CHUNK = 2**18
MOST_CHUNKS = 2**17
"""About how many chunks an array may have: dask's slicing walks through all of them."""
MASK_OPACITY, LABELS_OPACITY = 0.4, 0.6

_log = logging.getLogger("chunkseg")


def layer_data(out: str | os.PathLike[str]) -> list[LayerData]:
    """Layers of a result: the image if it can still be read, the mask if it was kept, the labels.

    Parameters
    ----------
    out : path
        Folder of a finished run.

    Returns
    -------
    list of tuple
        Data, arguments and type of each layer, as napari's readers give them. Data is a list of
        dask arrays, the full resolution first, or one array where there are no levels; axes are
        ``t`` (of a movie) and the spatial ones. The labels have the table as ``features``, of a
        movie the rows of its first frame.

    Raises
    ------
    PathError, IncompleteError, FormatError
        If there is no finished run of a workflow.

    Examples
    --------
    >>> import tempfile, numpy as np, chunkseg as cs
    >>> spots = np.zeros((9, 9), bool); spots[2:4, 2:4] = spots[6:8, 5:8] = True
    >>> result = cs.Workflow().run(spots, tempfile.mkdtemp(), input_is_mask=True)
    >>> [(data, options, kind)] = layer_data(result.path)
    >>> kind, data.shape, options["features"]["area"].tolist()
    ('labels', (9, 9), [nan, 4.0, 6.0])
    """
    result = Result.open(out)
    subject = Subject.of(result.path, result.run)
    stage = Stage.of(subject, budget=Budget(0))
    if stage.image is None:
        _log.warning("%s is shown without its image: %s", result.path, stage.why)
    layers = [
        _image(subject, stage.image),
        _mask(subject, stage.mask if isinstance(stage.mask, Pyramid) else None),
        _labels(subject, stage.labels, table_of(result)),
    ]
    return [layer for layer in layers if layer is not None]


def table_of(result: Result) -> pd.DataFrame | None:
    """Table of a result; None of a run that stopped before there was one."""
    return result.table if TABLE in result.run["files"] else None


def is_run(path: str | os.PathLike[str]) -> bool:
    """Whether a path is the folder of a finished run."""
    return (Path(path) / RUN).is_file()


def features(table: pd.DataFrame, frame: int | None = None) -> pd.DataFrame:
    """Table of a labels layer: a row per label, the first for background, and an index column.

    Parameters
    ----------
    table
        As a run or :func:`chunkseg.regionprops_table` gives it.
    frame
        Of a movie, whose labels begin anew in each frame: the frame that is seen.

    Examples
    --------
    >>> features(pd.DataFrame({"label": [1, 2], "area": [4.0, 6.0]}))
       index  area
    0      0   NaN
    1      1   4.0
    2      2   6.0
    """
    if frame is not None and "t" in table:
        table = table[table["t"] == frame].drop(columns="t")
    rows = table.rename(columns={"label": INDEX})
    return pd.concat([pd.DataFrame({INDEX: [0]}), rows], ignore_index=True)


def _image(subject: Subject, pyramid: Pyramid | None) -> LayerData | None:
    if pyramid is None:
        return None
    told = subject.run["input"]
    source = told["source"]
    about = {"source": source, "opened_with": told.get("opened_with", {})}
    options = {"colormap": "gray", "blending": "translucent_no_depth"}
    return _layer(subject, pyramid, Path(source or "image").name, about, options, "image")


def _mask(subject: Subject, pyramid: Pyramid | None) -> LayerData | None:
    if pyramid is None:
        return None
    options = {"opacity": MASK_OPACITY, "visible": LABELS not in subject.run["files"]}
    return _layer(subject, pyramid, f"{subject.path.name} mask", {}, options, "labels")


def _labels(
    subject: Subject, pyramid: Pyramid | None, table: pd.DataFrame | None
) -> LayerData | None:
    if pyramid is None:
        return None
    about = {"run": str(subject.path)}
    options: dict[str, Any] = {"opacity": LABELS_OPACITY}
    if table is not None:
        options["features"] = features(table, 0 if subject.layout.looped else None)
    return _layer(subject, pyramid, f"{subject.path.name} labels", about, options, "labels")


def _layer(
    subject: Subject,
    pyramid: Pyramid,
    name: str,
    about: dict[str, Any],
    options: dict[str, Any],
    kind: str,
) -> LayerData:
    levels = [_lazily(level) for level in pyramid.levels]
    several = len(levels) > 1
    told = {
        "name": name,
        "multiscale": several,
        "metadata": {KEY: {"out": str(subject.path), **about}},
        **calibration(subject),
        **options,
    }
    return levels if several else levels[0], told, kind


def calibration(subject: Subject) -> dict[str, Any]:
    """Scale, translation, units and names of the axes of a result's layers."""
    facts = subject.run["identity"]["facts"]
    return {
        "scale": tuple(float(step) for step in facts["spacing"]),
        "translate": tuple(float(start) for start in facts["origin"]),
        "units": tuple(facts["unit"]),
        "axis_labels": subject.dims,
    }


def _lazily(level: Level) -> da.Array:
    """Lazy array of a level, its axes ``t`` first, in chunks that are read for a plane."""
    data, layout = level.data, level.layout
    order = (*layout.looped, *layout.spatial)
    if isinstance(data, da.Array):
        lazy = data.transpose(order)
    else:
        source = data if order == _ascending(layout) else View(data, (None,) * data.ndim, order)
        looped = range(len(layout.looped))
        limit = max(LEAST_CHUNK, math.prod(source.shape) // MOST_CHUNKS)
        lazy = as_dask(source, default_chunks(source, looped, limit))
    return lazy.astype(np.uint8) if lazy.dtype == np.bool_ else lazy


def _ascending(layout: Layout) -> tuple[int, ...]:
    return tuple(range(len(layout.shape)))

"""The folder that a run writes: what is in it, when it is complete, what may be overwritten.

While a run is under way its folder holds ``.chunkseg/``, with the scratch arrays and records and a
list of what the run writes. ``run.json`` comes last, by an atomic rename: a folder without it is
not complete. Overwriting removes what such a list names and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr

from chunkseg.errors import IncompleteError, OutputExistsError, PathError
from chunkseg.geometry.boxes import Shape
from chunkseg.geometry.layout import Layout
from chunkseg.storage.arrays import Sink, create_array

RUN = "run.json"
STATE = ".chunkseg"
LABELS = "labels.ome.zarr"
TABLE = "objects.parquet"
KEPT = ("mask", "seeds", "expanded")
CSV_ROWS = 5_000_000

_FILES = (LABELS, *(f"{k}.ome.zarr" for k in KEPT), TABLE, "objects.csv", "summary.json")
WRITTEN = (*_FILES, "workflow.toml", RUN)


@dataclass(frozen=True)
class Frames:
    """Axes and calibration of the arrays that a run writes.

    Attributes
    ----------
    dims
        Names of the axes: ``t`` first if there is one, then the spatial axes.
    layout
        Their lengths and roles.
    spacing, origin, units
        Of each axis.
    """

    dims: tuple[str, ...]
    layout: Layout
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    units: tuple[str, ...]


@dataclass(frozen=True)
class Output:
    """The folder of one run.

    Attributes
    ----------
    path
        The folder.
    scratch
        Where intermediates go.
    created
        Whether the folder was made by this run.
    """

    path: Path
    scratch: Path
    created: bool

    @classmethod
    def start(cls, path: Path, scratch: Path | None, overwrite: bool) -> Output:
        """Claim a folder for a run.

        Raises
        ------
        OutputExistsError
            If the folder holds a result, an interrupted run, or files of the names that a run
            writes, and ``overwrite`` does not allow to remove them.
        PathError
            If the folder can't be made.
        """
        _check(path, overwrite)
        created = not path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
            _remove_former(path)
            state = path / STATE
            state.mkdir()
            folder = state / "scratch"
            if scratch is not None:
                folder = scratch / f"chunkseg-{uuid.uuid4().hex[:12]}"
            folder.mkdir(parents=True)
        except OSError as error:
            raise PathError(f"can't write to {path}: {error.strerror or error}") from error
        _write_json(state / "started.json", {"writes": WRITTEN, "scratch": str(folder)})
        return cls(path, folder, created)

    def array(self, name: str, frames: Frames, block: Shape, dtype: Any) -> Sink:
        """Create an OME-Zarr label image (level ``0`` only) and return where its blocks go."""
        folder = self.path / f"{name}.ome.zarr"
        zarr.create_group(store=str(folder), attributes={"ome": _ome(name, frames)})
        array = create_array(folder / "0", frames.layout, block, dtype, frames.dims)
        return Sink(array, frames.layout)

    def finish(
        self, table: pd.DataFrame, summary: Mapping[str, Any], run: Mapping[str, Any]
    ) -> None:
        """Write the tables, then ``run.json``; remove the scratch.

        A table of more than ``CSV_ROWS`` rows is written as Parquet only.
        """
        table.to_parquet(self.path / TABLE, index=False)
        if len(table) <= CSV_ROWS:
            table.to_csv(self.path / "objects.csv", index=False)
        _write_json(self.path / "summary.json", summary)
        self.complete(run)

    def complete(self, run: Mapping[str, Any]) -> None:
        """Write ``run.json``, the sign of completeness, and remove the scratch."""
        files = [name for name in WRITTEN if (self.path / name).exists()]
        _write_json(self.path / RUN, {**run, "files": [*files, RUN]})
        shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.rmtree(self.path / STATE, ignore_errors=True)

    def abandon(self) -> None:
        """Remove everything that this run has written."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        _remove_former(self.path)
        if self.created and not any(self.path.iterdir()):
            self.path.rmdir()


def _check(path: Path, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise OutputExistsError(f"{path} is a file; give a folder for the output")
    state = _former(path)
    if state and not overwrite:
        raise OutputExistsError(
            f"{path} holds {state}; choose another folder, or overwrite it (--overwrite, "
            "overwrite=True), which removes only what chunkseg wrote there"
        )
    foreign = [] if state else [name for name in WRITTEN if (path / name).exists()]
    if foreign:
        raise OutputExistsError(
            f"{path} holds {', '.join(foreign)}, which chunkseg did not write and will not "
            "overwrite; choose another folder"
        )


def _former(path: Path) -> str:
    """Say what former run a folder holds: a finished or an interrupted one, or none."""
    if (path / STATE / "started.json").exists():
        return "an interrupted run"
    if (path / RUN).exists() and "chunkseg" in read_run(path).get("versions", {}):
        return "the result of a run"
    return ""


def _remove_former(path: Path) -> None:
    if not _former(path):
        return
    (path / RUN).unlink(missing_ok=True)
    started = path / STATE / "started.json"
    if started.exists():
        shutil.rmtree(json.loads(started.read_text())["scratch"], ignore_errors=True)
    for name in (*WRITTEN, STATE):
        target = path / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)


def read_run(path: Path) -> dict[str, Any]:
    """Read ``run.json`` of a complete result.

    Raises
    ------
    PathError
        If there is no such folder.
    IncompleteError
        If the folder holds no complete result.
    """
    if not path.is_dir():
        raise PathError(f"there is no result at {path}: no such folder")
    try:
        content: dict[str, Any] = json.loads((path / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise IncompleteError(
            f"{path} holds no complete result ({RUN} is missing): run the same command again"
        ) from None
    except ValueError as error:
        raise IncompleteError(f"{path / RUN} is damaged ({error}); run again") from error
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: Any) -> None:
    """Write JSON so that it is there complete, and on disk, or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, default=_plain)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} can't be written as JSON")


def _ome(name: str, frames: Frames) -> dict[str, Any]:
    """OME-Zarr 0.5 metadata of a label image of one level."""
    axes = [_ome_axis(d, u) for d, u in zip(frames.dims, frames.units, strict=True)]
    placing: list[dict[str, Any]] = [{"type": "scale", "scale": list(frames.spacing)}]
    if any(frames.origin):
        placing.append({"type": "translation", "translation": list(frames.origin)})
    dataset = {"path": "0", "coordinateTransformations": placing}
    return {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": axes, "datasets": [dataset]}],
        "image-label": {"version": "0.5"},
    }


def _ome_axis(dim: str, unit: str) -> dict[str, str]:
    axis = {"name": dim, "type": "time" if dim == "t" else "space"}
    return axis if unit == "pixel" else axis | {"unit": unit}

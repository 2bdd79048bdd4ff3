"""The folder that a run writes: how it is filled and completed.

While a run is under way its folder holds ``.chunkseg/``: who the run is (``started.json``), the
lease, the scratch arrays and records, what is known of finished frames (``groups/``), and, under
construction, what it will hold in the end (``output/``). Completion moves that to its place and
``run.json`` last, each by a rename that can be taken up again where it stopped; so a folder with
``run.json`` is complete, and one without it is not. Removing begins with ``removing.json``, which
``run.json`` becomes, and ends with it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from chunkseg.errors import IncompleteError, OutputExistsError, PathError
from chunkseg.geometry.boxes import Shape
from chunkseg.geometry.pyramid import Level, levels_of
from chunkseg.storage.arrays import chunk_folder, opened_array
from chunkseg.storage.commit import (
    committed,
    file_digest,
    flush,
    flush_all,
    read_checked,
    write_checked,
    write_json,
)
from chunkseg.storage.identity import Identity
from chunkseg.storage.lease import LEASE
from chunkseg.storage.ome import Frames, write_image_group
from chunkseg.storage.pyramids import PyramidSink, create_pyramid, level_folders, opened_pyramid
from chunkseg.storage.reports import remove_page
from chunkseg.storage.scratch import ScratchSource
from chunkseg.storage.tables import write_table

RUN = "run.json"
STATE = ".chunkseg"
STARTED = "started.json"
REMOVING = "removing.json"
FORMER = "former.json"
FORMER_TABLE = "former.parquet"
SCRATCH = "scratch"
LABELS = "labels.ome.zarr"
TABLE = "objects.parquet"
CSV = "objects.csv"
HISTOGRAMS = "histograms.parquet"
KEPT = ("mask", "seeds", "expanded")
DROPPED, DROPPED_CSV = "dropped.parquet", "dropped.csv"
SUMMARY, SUMMARY_CSV = "summary.parquet", "summary.csv"
CSV_ROWS = 5_000_000

TABLES = (DROPPED, DROPPED_CSV, SUMMARY, SUMMARY_CSV)
ARRAYS = (LABELS, *(f"{k}.ome.zarr" for k in KEPT))
WRITTEN = (*ARRAYS, TABLE, CSV, "summary.json", "workflow.toml", HISTOGRAMS, *TABLES, RUN)


@dataclass(frozen=True)
class Started:
    """What ``started.json`` holds.

    Attributes
    ----------
    identity
        Who the run is.
    settings
        What was chosen when it began and stays, such as the shape of the blocks.
    scratch
        Where intermediates go.
    first
        First frame to be done; those before it are taken from an earlier, complete run.
    """

    identity: Identity
    settings: dict[str, Any]
    scratch: Path
    first: int = 0

    @classmethod
    def read(cls, state: Path) -> Started | None:
        """Read it; None where there is none, or none that can be read."""
        content = read_checked(state / STARTED)
        if content is None:
            return None
        identity = Identity.from_json(content["identity"])
        elsewhere = content["scratch"]
        scratch = state / SCRATCH if elsewhere is None else Path(elsewhere)
        return cls(identity, content["settings"], scratch, content["first"])

    def write(self, state: Path) -> None:
        """Write it."""
        content = {
            "identity": self.identity.as_json(),
            "settings": self.settings,
            "scratch": None if self.scratch == state / SCRATCH else str(self.scratch),
            "first": self.first,
        }
        write_checked(state / STARTED, content)


@dataclass(frozen=True)
class Output:
    """The folder of one run, claimed.

    Attributes
    ----------
    path
        The folder.
    started
        Who the run is and what it began with.
    standing
        Whether the run is new, goes on where one stopped, or is complete already.
    keep_scratch
        Whether the intermediates stay.
    """

    path: Path
    started: Started
    standing: Literal["new", "resumed", "complete"]
    keep_scratch: bool = False

    @property
    def state(self) -> Path:
        """Folder of what is needed until the run is complete."""
        return self.path / STATE

    @property
    def scratch(self) -> Path:
        """Folder of the intermediates."""
        return self.started.scratch

    def array(self, name: str, frames: Frames, block: Shape, dtype: Any) -> PyramidSink:
        """OME-Zarr label image, created or, in a resumed run, opened."""
        folder = self._array(name)
        levels = label_levels(frames, block)
        pyramid = create_pyramid(folder, frames, levels, dtype, mean=False)
        write_image_group(folder, name, frames, levels)
        return pyramid

    def known_array(self, name: str, frames: Frames, block: Shape) -> PyramidSink | None:
        """What an earlier run has written of an array; None if it can't be read."""
        levels = label_levels(frames, block)
        try:
            return opened_pyramid(self._array(name), frames.layout, levels, mean=False)
        except Exception:
            return None

    def written_labels(self) -> ScratchSource:
        """Return the label image as far as it is written, to be read."""
        return ScratchSource(opened_array(self._array(LABELS.removesuffix(".ome.zarr")) / "0"))

    def _array(self, name: str) -> Path:
        return self.state / "output" / f"{name}.ome.zarr"

    def group(self, frames: range) -> dict[str, Any] | None:
        """What was kept of a group of frames, with its table; None if it is not there whole."""
        path = self._group(frames)
        content = read_checked(path)
        if content is None:
            return None
        digest, table = content["table"], path.with_suffix(".parquet")
        if digest is None:
            return content
        if not table.exists() or file_digest(table) != digest:
            return None
        return content | {"table": pd.read_parquet(table)}

    def keep_group(
        self, frames: range, content: Mapping[str, Any], table: pd.DataFrame | None
    ) -> None:
        """Keep what came out of a group of frames: the sign that it is done."""
        path = self._group(frames)
        path.parent.mkdir(exist_ok=True)
        digest = None
        if table is not None:
            with committed(path.with_suffix(".parquet")) as partial:
                table.to_parquet(partial, index=False)
                digest = file_digest(partial)
        write_checked(path, {**content, "table": digest})

    def _group(self, frames: range) -> Path:
        return self.state / "groups" / f"{frames.start:06d}-{frames.stop:06d}.json"

    def former(self) -> tuple[dict[str, Any], pd.DataFrame | None] | None:
        """``run.json`` and table of the complete run that this one adds frames to."""
        if not self.started.first:
            return None
        run = json.loads((self.state / FORMER).read_text(encoding="utf-8"))
        table = self.state / FORMER_TABLE
        return run, pd.read_parquet(table) if table.exists() else None

    def former_histograms(self) -> pd.DataFrame | None:
        """Histograms of the complete run that this one adds frames to; they stay in their place."""
        return read_histograms(self.path)

    def former_dropped(self) -> pd.DataFrame | None:
        """Dropped objects of the complete run that this one adds frames to."""
        table = self.path / DROPPED
        return pd.read_parquet(table) if table.exists() else None

    def keep_table(self, name: str, table: pd.DataFrame | None) -> None:
        """Write a small table as ``<name>.parquet`` and ``<name>.csv``, if there is one."""
        if table is None:
            return
        with committed(self.building() / f"{name}.parquet") as partial:
            table.to_parquet(partial, index=False)
        if len(table) <= CSV_ROWS:
            with committed(self.building() / f"{name}.csv") as partial:
                table.to_csv(partial, index=False)

    def keep_histograms(self, table: pd.DataFrame | None) -> None:
        """Write the histograms, if there are any."""
        if table is not None:
            with committed(self.building() / HISTOGRAMS) as partial:
                table.to_parquet(partial, index=False)

    def finish(
        self, table: pd.DataFrame, summary: Mapping[str, Any], run: Mapping[str, Any]
    ) -> None:
        """Write the tables and complete the run.

        A table of more than ``CSV_ROWS`` rows is written as Parquet only.
        """
        folder = self.building()
        with committed(folder / TABLE) as partial:
            write_table(partial, table, run)
        if len(table) <= CSV_ROWS:
            with committed(folder / CSV) as partial:
                table.to_csv(partial, index=False)
        write_json(folder / "summary.json", summary)
        self.complete(run)

    def building(self) -> Path:
        """Folder of what will be moved to its place in the end."""
        folder = self.state / "output"
        folder.mkdir(exist_ok=True)
        return folder

    def complete(self, run: Mapping[str, Any]) -> None:
        """Move everything to its place, ``run.json`` last, and remove the scratch.

        Raises
        ------
        OutputExistsError
            If files of these names have appeared there that no run wrote.
        """
        if not self.started.first:
            refuse_foreign(self.path)
        folder = self.building()
        files = [name for name in WRITTEN if (folder / name).exists()]
        content = {
            **run,
            "identity": self.started.identity.as_json(),
            "files": [*files, RUN],
            "sha256": {name: file_digest(folder / name) for name in files if name not in ARRAYS},
        }
        flush_all()
        write_json(self.state / RUN, content)
        publish(self.path, self.keep_scratch)

    def abandon(self) -> None:
        """Remove everything that this run has written."""
        if self.started.first:
            restore(self.path)
        else:
            remove_written(self.path)


def label_levels(frames: Frames, block: Shape) -> tuple[Level, ...]:
    """Levels of what a run writes."""
    return levels_of(frames.layout.frame_shape, block, frames.spatial_spacing)


def publish(path: Path, keep_scratch: bool = False) -> None:
    """Move what is finished to its place; may be taken up again at any point."""
    state = path / STATE
    started = Started.read(state)
    files = json.loads((state / RUN).read_text(encoding="utf-8"))["files"]
    for name in WRITTEN:
        if name != RUN and (state / "output" / name).exists():
            (state / "output" / name).replace(path / name)
        elif name not in files and started is not None and started.first:
            _remove(path / name)
    flush(path)
    (state / RUN).replace(path / RUN)
    flush(path)
    clear_run(path, keep_scratch)


def take_former(path: Path) -> None:
    """Take a complete result back under construction; its ``run.json`` goes first."""
    remove_page(path)
    building = path / STATE / "output"
    building.mkdir(exist_ok=True)
    for there, taken in _former_places(path):
        if there.exists():
            there.replace(taken)


def restore(path: Path) -> None:
    """Give a complete result back that frames were to be added to; ``run.json`` goes last."""
    state = path / STATE
    if (state / FORMER).exists():
        frames = len(json.loads((state / FORMER).read_text(encoding="utf-8"))["frames"])
        for there, taken in reversed(_former_places(path)):
            for level in level_folders(taken):
                _shorten(level, frames)
            if taken.exists():
                taken.replace(there)
        flush(path)
    clear_run(path)


def _shorten(path: Path, frames: int) -> None:
    """Let an array have its first frames only."""
    array = opened_array(path)
    array.resize((frames, *array.shape[1:]))
    for folder in chunk_folder(path).iterdir():
        if folder.name.isdigit() and int(folder.name) >= frames:
            shutil.rmtree(folder)


def _former_places(path: Path) -> list[tuple[Path, Path]]:
    """Where the parts of a complete result are, and where while frames are added to it."""
    state = path / STATE
    parts = [(path / RUN, state / FORMER), (path / TABLE, state / FORMER_TABLE)]
    return parts + [(path / name, state / "output" / name) for name in ARRAYS]


def remove_written(path: Path) -> None:
    """Remove what runs write, and nothing else; may be taken up again at any point."""
    state = path / STATE
    if (path / RUN).exists():
        (path / RUN).replace(state / REMOVING)
    else:
        (state / REMOVING).touch()
    flush(state)
    remove_page(path)
    for name in WRITTEN:
        _remove(path / name)
    clear_run(path)


def clear_run(path: Path, keep_scratch: bool = False) -> None:
    """Remove what a run needs until it is complete, and its scratch if that is not to stay."""
    state = path / STATE
    started = Started.read(state)
    if started is not None and not keep_scratch:
        shutil.rmtree(started.scratch, ignore_errors=True)
    last = [STARTED, REMOVING]
    names = [inside.name for inside in state.iterdir()]
    for name in sorted(names, key=lambda name: last.index(name) + 1 if name in last else 0):
        stays = name == SCRATCH and keep_scratch
        if not stays and not name.startswith(LEASE):
            _remove(state / name)


def unfinished(path: Path) -> bool:
    """Whether a run is under way in a folder, or was interrupted there."""
    state = path / STATE
    return state.is_dir() and any(inside.name != SCRATCH for inside in state.iterdir())


def refuse_foreign(path: Path) -> None:
    """Refuse to touch files of the names that a run writes.

    Raises
    ------
    OutputExistsError
        If there are any.
    """
    foreign = [name for name in WRITTEN if os.path.lexists(path / name)]
    if foreign:
        raise OutputExistsError(
            f"{path} holds {', '.join(foreign)}, which chunkseg did not write and will not "
            "overwrite; choose another folder, or move them elsewhere"
        )


def _remove(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)


def read_histograms(path: Path) -> pd.DataFrame | None:
    """Read the histograms of a result; None where its thresholds were given."""
    table = path / HISTOGRAMS
    return pd.read_parquet(table) if table.exists() else None


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
            f"{path} holds no complete result ({RUN} is missing): give the same command again to "
            "go on with it"
        ) from None
    except ValueError as error:
        raise IncompleteError(f"{path / RUN} is damaged ({error}); run again") from error
    return content if isinstance(content, dict) else {}

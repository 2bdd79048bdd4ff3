"""The folder that a run writes: how it is filled and completed.

While a run is under way its folder holds ``.chunkseg/``: who the run is (``started.json``), the
lease, the scratch arrays and records, what is known of finished frames (``groups/``), and, under
construction, what it will hold in the end (``output/``). Completion moves that to its place and
``run.json`` last, each by a rename that can be taken up again where it stopped; so a folder with
``run.json`` is complete, and one without it is not.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from chunkseg.errors import IncompleteError, PathError
from chunkseg.geometry.boxes import Shape
from chunkseg.storage.arrays import Sink, create_array
from chunkseg.storage.commit import committed, write_json
from chunkseg.storage.identity import Identity
from chunkseg.storage.ome import Frames, write_label_group

RUN = "run.json"
STATE = ".chunkseg"
STARTED = "started.json"
LABELS = "labels.ome.zarr"
TABLE = "objects.parquet"
KEPT = ("mask", "seeds", "expanded")
CSV_ROWS = 5_000_000

ARRAYS = (LABELS, *(f"{k}.ome.zarr" for k in KEPT))
WRITTEN = (*ARRAYS, TABLE, "objects.csv", "summary.json", "workflow.toml", RUN)


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
        try:
            content = json.loads((state / STARTED).read_text(encoding="utf-8"))
            identity = Identity.from_json(content["identity"])
            scratch = Path(content["scratch"])
            return cls(identity, content["settings"], scratch, content["first"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, state: Path) -> None:
        """Write it."""
        content = {
            "identity": self.identity.as_json(),
            "settings": self.settings,
            "scratch": str(self.scratch),
            "first": self.first,
        }
        write_json(state / STARTED, content)


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
    """

    path: Path
    started: Started
    standing: Literal["new", "resumed", "complete"]

    @property
    def state(self) -> Path:
        """Folder of what is needed until the run is complete."""
        return self.path / STATE

    @property
    def scratch(self) -> Path:
        """Folder of the intermediates."""
        return self.started.scratch

    def array(self, name: str, frames: Frames, block: Shape, dtype: Any) -> Sink:
        """OME-Zarr label image (level ``0`` only), created or, in a resumed run, opened."""
        folder = self.state / "output" / f"{name}.ome.zarr"
        array = create_array(folder / "0", frames.layout, block, dtype, frames.dims)
        write_label_group(folder, name, frames)
        return Sink(array, frames.layout)

    def group(self, frames: range) -> dict[str, Any] | None:
        """What was kept of a group of frames, with its table; None if it is not done."""
        path = self._group(frames)
        if not path.exists():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        table = path.with_suffix(".parquet")
        return content | {"table": pd.read_parquet(table) if table.exists() else None}

    def keep_group(
        self, frames: range, content: Mapping[str, Any], table: pd.DataFrame | None
    ) -> None:
        """Keep what came out of a group of frames: the sign that it is done."""
        path = self._group(frames)
        path.parent.mkdir(exist_ok=True)
        if table is not None:
            with committed(path.with_suffix(".parquet")) as partial:
                table.to_parquet(partial, index=False)
        write_json(path, content)

    def _group(self, frames: range) -> Path:
        return self.state / "groups" / f"{frames.start:06d}-{frames.stop:06d}.json"

    def former(self) -> tuple[dict[str, Any], pd.DataFrame] | None:
        """``run.json`` and table of the complete run that this one adds frames to."""
        if not self.started.first:
            return None
        run = json.loads((self.state / "former.json").read_text(encoding="utf-8"))
        return run, pd.read_parquet(self.state / "former.parquet")

    def finish(
        self, table: pd.DataFrame, summary: Mapping[str, Any], run: Mapping[str, Any]
    ) -> None:
        """Write the tables and complete the run.

        A table of more than ``CSV_ROWS`` rows is written as Parquet only.
        """
        folder = self.building()
        with committed(folder / TABLE) as partial:
            table.to_parquet(partial, index=False)
        if len(table) <= CSV_ROWS:
            with committed(folder / "objects.csv") as partial:
                table.to_csv(partial, index=False)
        write_json(folder / "summary.json", summary)
        self.complete(run)

    def building(self) -> Path:
        """Folder of what will be moved to its place in the end."""
        folder = self.state / "output"
        folder.mkdir(exist_ok=True)
        return folder

    def complete(self, run: Mapping[str, Any]) -> None:
        """Move everything to its place, ``run.json`` last, and remove the scratch."""
        folder = self.building()
        files = [name for name in WRITTEN if (folder / name).exists()]
        content = {
            **run,
            "identity": self.started.identity.as_json(),
            "files": [*files, RUN],
            "sha256": {name: file_digest(folder / name) for name in files if name not in ARRAYS},
        }
        write_json(self.state / RUN, content)
        publish(self.path)

    def abandon(self) -> None:
        """Remove everything that this run has written."""
        remove_written(self.path)


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def publish(path: Path) -> None:
    """Move what is finished to its place; may be taken up again at any point."""
    state = path / STATE
    started = Started.read(state)
    for name in WRITTEN:
        if name != RUN and (state / "output" / name).exists():
            (state / "output" / name).replace(path / name)
    (state / RUN).replace(path / RUN)
    if started is not None:
        shutil.rmtree(started.scratch, ignore_errors=True)
    clear_state(path)


def remove_written(path: Path) -> None:
    """Remove what runs write, and nothing else."""
    started = Started.read(path / STATE)
    (path / RUN).unlink(missing_ok=True)
    if started is not None:
        shutil.rmtree(started.scratch, ignore_errors=True)
    for name in WRITTEN:
        _remove(path / name)
    clear_state(path)


def clear_state(path: Path) -> None:
    """Remove what is needed until a run is complete, but for the lease."""
    for inside in (path / STATE).iterdir():
        if not inside.name.startswith("lease"):
            _remove(inside)


def _remove(target: Path) -> None:
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
            f"{path} holds no complete result ({RUN} is missing): give the same command again to "
            "go on with it"
        ) from None
    except ValueError as error:
        raise IncompleteError(f"{path / RUN} is damaged ({error}); run again") from error
    return content if isinstance(content, dict) else {}

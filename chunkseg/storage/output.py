"""What a run writes, while it is under way: arrays, what came out of groups of frames, tables.

All of it is made in the state folder of the run (``site`` says what lies where), and moved to its
place when the run is complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from chunkseg.errors import IncompleteError, PathError
from chunkseg.geometry.boxes import Shape
from chunkseg.geometry.pyramid import Level, levels_of
from chunkseg.storage.arrays import opened_array
from chunkseg.storage.commit import (
    committed,
    file_digest,
    flush_all,
    read_checked,
    write_checked,
    write_json,
)
from chunkseg.storage.ome import Frames, write_image_group
from chunkseg.storage.places import Place
from chunkseg.storage.pyramids import PyramidSink, create_pyramid, opened_pyramid
from chunkseg.storage.scratch import ScratchSource
from chunkseg.storage.site import (
    ARRAYS,
    DROPPED,
    FORMER,
    FORMER_TABLE,
    HISTOGRAMS,
    LABELS,
    RUN,
    WRITTEN,
    Site,
    Started,
)
from chunkseg.storage.tables import write_table

CSV_ROWS = 5_000_000


@dataclass(frozen=True)
class Output:
    """Where one run writes, claimed.

    Attributes
    ----------
    site
        Where.
    started
        Who the run is and what it began with.
    standing
        Whether the run is new, goes on where one stopped, or is complete already.
    keep_scratch
        Whether the intermediates stay.
    """

    site: Site
    started: Started
    standing: Literal["new", "resumed", "complete"]
    keep_scratch: bool = False

    @property
    def path(self) -> Place:
        """Place of the result."""
        return self.site.place

    @property
    def state(self) -> Path:
        """Folder of what is needed until the run is complete."""
        return self.site.state

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
        return self.site.building / f"{name}.ome.zarr"

    def has_group(self, frames: range) -> bool:
        """Whether what was kept of a group of frames is there whole."""
        return self._known_group(frames) is not None

    def group(self, frames: range) -> dict[str, Any] | None:
        """What was kept of a group of frames, with its table; None if it is not there whole."""
        content = self._known_group(frames)
        if content is None or content["table"] is None:
            return content
        return content | {"table": pd.read_parquet(self._group(frames, ".parquet"))}

    def _known_group(self, frames: range) -> dict[str, Any] | None:
        """Return what was kept of a group, with the digest of its table; None if not whole."""
        content, table = read_checked(self._group(frames)), self._group(frames, ".parquet")
        if content is None or content["table"] is None:
            return content
        return content if table.exists() and file_digest(table) == content["table"] else None

    def keep_group(
        self, frames: range, content: Mapping[str, Any], table: pd.DataFrame | None
    ) -> None:
        """Keep what came out of a group of frames: the sign that it is done."""
        self._group(frames).parent.mkdir(exist_ok=True)
        digest = None
        if table is not None:
            with committed(self._group(frames, ".parquet")) as partial:
                table.to_parquet(partial, index=False)
                digest = file_digest(partial)
        write_checked(self._group(frames), {**content, "table": digest})

    def _group(self, frames: range, ending: str = ".json") -> Path:
        return self.state / "groups" / f"{frames.start:06d}-{frames.stop:06d}{ending}"

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

    def keep_table(
        self,
        name: str,
        table: pd.DataFrame | None,
        run: Mapping[str, Any] | None = None,
        csv: bool = True,
    ) -> None:
        """Write a table, if there is one, as ``<name>.parquet`` and, if short, ``<name>.csv``.

        With the content of ``run.json``, the Parquet tells units and provenance.
        """
        if table is None:
            return
        with committed(self.building() / f"{name}.parquet") as partial:
            if run is None:
                table.to_parquet(partial, index=False)
            else:
                write_table(partial, table, run)
        if csv and len(table) <= CSV_ROWS:
            with committed(self.building() / f"{name}.csv") as partial:
                table.to_csv(partial, index=False)

    def finish(
        self, table: pd.DataFrame, summary: Mapping[str, Any], run: Mapping[str, Any]
    ) -> None:
        """Write the tables and complete the run.

        A table of more than ``CSV_ROWS`` rows is written as Parquet only.
        """
        self.keep_table("objects", table, run)
        write_json(self.building() / "summary.json", summary)
        self.complete(run)

    def building(self) -> Path:
        """Folder of what will be moved to its place in the end."""
        self.site.building.mkdir(exist_ok=True)
        return self.site.building

    def complete(self, run: Mapping[str, Any]) -> None:
        """Move everything to its place, ``run.json`` last, and remove the scratch.

        Raises
        ------
        OutputExistsError
            If files of these names have appeared there that no run wrote.
        """
        if not self.started.first:
            self.site.refuse_foreign()
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
        self.site.publish(self.keep_scratch)

    def abandon(self) -> None:
        """Remove everything that this run has written."""
        if self.started.first:
            self.site.restore()
        else:
            self.site.remove_written()


def label_levels(frames: Frames, block: Shape) -> tuple[Level, ...]:
    """Levels of what a run writes."""
    return levels_of(frames.layout.frame_shape, block, frames.spatial_spacing)


def read_histograms(path: Place) -> pd.DataFrame | None:
    """Read the histograms of a result; None where its thresholds were given."""
    table = path / HISTOGRAMS
    return pd.read_parquet(table) if table.exists() else None


def read_run(path: Place) -> dict[str, Any]:
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

"""Frames added to a complete run: as if all had been there at once, and nothing lost."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chunkseg as cs
from chunkseg.errors import IncompleteError, OutputExistsError, PixelError
from chunkseg.geometry.boxes import Grid
from chunkseg.runner.lesson import Lesson
from chunkseg.storage.ome import Frames
from chunkseg.storage.site import STATE
from tests.blocks import Blocks, truncate
from tests.killing import contents

RNG = np.random.default_rng(8)
PLANES = RNG.integers(0, 250, (30, 7, 6)).astype(np.uint8)
STACKS = RNG.integers(0, 250, (4, 5, 6, 7)).astype(np.uint16)
WORKFLOW = cs.Workflow(sigma=1, erosion_radius=1, clear_border=False)


def run(movie: Any, out: Path, **options: Any) -> cs.Result:
    image = cs.from_array(movie, "tzyx" if movie.ndim == 4 else "tyx")
    return WORKFLOW.run(image, out, workers=1, **options)


@pytest.fixture(scope="module")
def twenty_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the first twenty planes, to be copied."""
    out = tmp_path_factory.mktemp("twenty")
    run(PLANES[:20], out)
    return out


@pytest.fixture
def twenty(twenty_frames: Path, tmp_path: Path) -> Path:
    return shutil.copytree(twenty_frames, tmp_path, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is written of all planes at once."""
    out = tmp_path_factory.mktemp("at once")
    run(PLANES, out)
    return contents(out)


def stop_at(name: str) -> Any:
    def progress(passing: str, done: int, total: int) -> None:
        if passing == name:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize(
    ("movie", "first", "options"),
    [
        (PLANES, 20, {"block_shape": (4, 6), "keep": ("mask", "seeds", "expanded")}),
        (PLANES, 1, {"block_shape": (4, 6)}),
        (STACKS, 3, {"block_shape": (3, 4, 7)}),
        (PLANES, 20, {"until": "mask"}),
    ],
    ids=["20 and 10", "1 and 29", "stacks", "masks"],
)
def test_frames_added_equal_all_at_once(
    movie: Any, first: int, options: dict[str, Any], tmp_path: Path
) -> None:
    run(movie, tmp_path / "at once", **options)
    run(movie[:first], tmp_path / "added", **options)
    with Blocks().watched() as blocks:
        run(movie, tmp_path / "added", **{k: v for k, v in options.items() if k != "block_shape"})
    computed = {key: n for key, n in blocks.calls.items() if key[0] != "bundles"}
    assert {frame for _, frame, _ in computed} == set(range(first, len(movie)))
    assert set(computed.values()) == {1}
    assert contents(tmp_path / "added") == contents(tmp_path / "at once")


def test_old_frames_that_changed_are_named(twenty: Path) -> None:
    before = contents(twenty)
    changed = PLANES.copy()
    changed[7, 0, 0] += 1
    with pytest.raises(OutputExistsError, match="the voxels of frame 7 are not what they were"):
        run(changed, twenty)
    changed[3, 1, 1] += 1
    with pytest.raises(OutputExistsError, match="the voxels of 2 frames are not"):
        run(changed, twenty)
    with pytest.raises(OutputExistsError, match="there were 20 frames and are 19"):
        run(PLANES[:19], twenty)
    assert contents(twenty) == before


def test_frames_added_while_an_interrupted_run_goes_on(
    at_once: dict[str, Any], tmp_path: Path
) -> None:
    for frames, name in ((12, "objects"), (15, "labels"), (21, "seeds")):
        with pytest.raises(KeyboardInterrupt):
            run(PLANES[:frames], tmp_path / "grown", progress=stop_at(name))
    run(PLANES, tmp_path / "grown")
    assert contents(tmp_path / "grown") == at_once


def test_frames_added_again_and_again_with_interruptions(
    at_once: dict[str, Any], tmp_path: Path
) -> None:
    run(PLANES[:5], tmp_path / "grown")
    for frames in (9, 16):
        with pytest.raises(KeyboardInterrupt):
            run(PLANES[:frames], tmp_path / "grown", progress=stop_at("labels"))
    with pytest.raises(IncompleteError, match="no complete result"):
        cs.Result.open(tmp_path / "grown")
    with pytest.raises(OutputExistsError, match="there were 16 frames and are 9"):
        run(PLANES[:9], tmp_path / "grown")
    run(PLANES[:16], tmp_path / "grown")
    run(PLANES, tmp_path / "grown")
    assert contents(tmp_path / "grown") == at_once


@pytest.mark.parametrize("lost", [False, True])
def test_what_was_complete_is_given_back(lost: bool, tmp_path: Path) -> None:
    run(PLANES[:20], tmp_path, keep=("mask",))
    before = contents(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(PLANES, tmp_path, keep=("mask",), progress=stop_at("labels"))
    if lost:
        (tmp_path / STATE / "started.json").unlink()
    with Blocks().watched() as blocks:
        run(PLANES[:20], tmp_path, keep=("mask",))
    assert not blocks.calls
    assert contents(tmp_path) == before


def test_frames_that_are_refused_leave_what_was_complete(tmp_path: Path) -> None:
    movie = PLANES.astype(np.float32)
    run(movie[:20], tmp_path)
    before = contents(tmp_path)
    movie[24, 3, 3] = np.nan
    with pytest.raises(PixelError):
        run(movie, tmp_path)
    assert contents(tmp_path) == before


def test_a_table_that_was_changed_is_not_added_to(twenty: Path) -> None:
    table = pd.read_parquet(twenty / "objects.parquet")
    table.assign(area=0).to_parquet(twenty / "objects.parquet", index=False)
    before = contents(twenty)
    with pytest.raises(OutputExistsError, match=r"objects\.parquet is not what the run wrote"):
        run(PLANES, twenty)
    assert contents(twenty) == before


def test_damage_to_what_frames_are_added_to_is_named(twenty: Path, at_once: dict[str, Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(PLANES, twenty, progress=stop_at("labels"))
    truncate(twenty / STATE / "output" / "labels.ome.zarr" / "0" / "c" / "0" / "0" / "0")
    with pytest.raises(IncompleteError, match="damaged chunks of the first 20 frames"):
        run(PLANES, twenty)
    run(PLANES, twenty, overwrite=True)
    assert contents(twenty) == at_once


def test_a_table_too_long_for_csv_leaves_no_old_one(
    twenty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = len(cs.Result.open(twenty).table)
    assert (twenty / "objects.csv").exists()
    monkeypatch.setattr("chunkseg.storage.output.CSV_ROWS", few)
    assert len(run(PLANES, twenty).table) > few
    assert not (twenty / "objects.csv").exists()


def test_the_dtype_of_a_movie_does_not_depend_on_its_frames() -> None:
    def dtype(shape: tuple[int, ...], dims: str, count: int) -> Any:
        from chunkseg.geometry.layout import Layout

        n = len(dims)
        frames = Frames(tuple(dims), Layout.of(shape, dims), (1.0,) * n, (0.0,) * n, ("",) * n)
        grid = Grid.regular(frames.layout.frame_shape, frames.layout.frame_shape)
        lesson: Any = Lesson.__new__(Lesson)
        lesson.frames, lesson.grid = frames, grid
        return lesson.label_dtype(count)

    huge = (2**12, 2**12, 2**11)
    assert math.prod(huge) // 8 == 2**32
    assert {dtype((t, *huge), "tzyx", 3) for t in (1, 2, 9)} == {np.uint64}
    assert dtype(huge, "zyx", 3) == np.uint32
    assert dtype(huge, "zyx", 2**32) == np.uint64

"""Small frames of a movie in bundles: the same voxels and bytes however the movie grew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.errors import IncompleteError
from chunkseg.geometry import bundles, pyramid
from chunkseg.geometry.boxes import Grid
from chunkseg.geometry.bundles import bundle_length, bundle_starts
from chunkseg.geometry.layout import Layout
from chunkseg.geometry.pyramid import levels_of
from chunkseg.runner.bundling import BundleTask, bundle
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import silent
from chunkseg.storage.bundled import BundledSink
from chunkseg.storage.ome import Frames, Version
from chunkseg.storage.pyramids import PyramidSink, create_pyramid
from chunkseg.storage.sinks import shorten
from tests.blocks import Blocks, truncate
from tests.killing import contents

SERIAL = Execution(1, client=None, attempts=1)
MOVIE = np.random.default_rng(5).integers(0, 250, (11, 7, 6)).astype(np.uint8)
WORKFLOW = cs.Workflow(sigma=1, erosion_radius=1, clear_border=False)


@given(
    frames=st.integers(0, 300),
    shape=st.lists(st.integers(0, 3000), min_size=2, max_size=3),
    more=st.integers(1, 300),
)
def test_a_bundle_depends_on_the_shape_of_a_frame_alone(
    frames: int, shape: list[int], more: int
) -> None:
    dims = ("t", *"zyx"[-len(shape) :])
    length = bundle_length(Layout.of((frames, *shape), dims))
    assert length == bundle_length(Layout.of((frames + more, *shape), dims))
    assert 1 <= length <= bundles.BUNDLE_FRAMES
    assert length == 1 or length * np.prod(shape) <= bundles.BUNDLE_VOXELS
    starts = bundle_starts(range(frames, frames + more), length)
    held = {n // length * length for n in range(frames, frames + more)}
    assert set(starts) == held


def frames_of(shape: tuple[int, ...], version: Version) -> Frames:
    dims = ("t", *"zyx"[1 - len(shape) :])
    n = len(shape)
    return Frames(dims, Layout.of(shape, dims), (1.0,) * n, (0.0,) * n, ("",) * n, version)


def written(folder: Path, movie: Any, ends: list[int], block: Any, version: Version) -> PyramidSink:
    """Write a movie that grows, group after group, as a run does."""
    first = 0
    for end in ends:
        frames = frames_of((end, *movie.shape[1:]), version)
        levels = levels_of(frames.layout.frame_shape, block)
        image = create_pyramid(folder / "image", frames, levels, movie.dtype, mean=False)
        sink = BundledSink.beside(folder / f"single-{first}", image, block)
        grid = Grid.regular(frames.layout.frame_shape, block)
        for frame in range(first, end):
            for each in grid.overlapping(grid.frame):
                sink.write(frame, each.core, movie[frame][each.core.slices()])
        bundle(sink, range(first, end), SERIAL, silent, folder / f"records-{first}")
        first = end
    return image


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_movie_that_grows_and_shrinks(data: Any, tmp_path_factory: Any) -> None:
    total, ndim = data.draw(st.integers(1, 9)), data.draw(st.integers(2, 3))
    shape = tuple(data.draw(st.integers(2, 6)) for _ in range(ndim))
    block = tuple(data.draw(st.integers(-(-n // 2), n)) for n in shape)
    version: Version = data.draw(st.sampled_from(["0.5", "0.4"]))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint32]))
    movie = np.random.default_rng(total).integers(0, 250, (total, *shape)).astype(dtype)
    ends = sorted({*data.draw(st.lists(st.integers(1, total), max_size=3)), total})
    folder = tmp_path_factory.mktemp("bundles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundles, "BUNDLE_FRAMES", data.draw(st.sampled_from([2, 4, 8])))
        patch.setattr(pyramid, "FITS", 3)
        grown = written(folder / "grown", movie, ends, block, version)
        written(folder / "once", movie, [total], block, version)
        fewer = data.draw(st.integers(1, total))
        written(folder / "fewer", movie, [fewer], block, version)
    expected = movie
    for sink, level in zip(grown.sinks, grown.levels, strict=True):
        expected = expected[(slice(None), *(slice(None, None, s) for s in level.step))]
        np.testing.assert_array_equal(sink.array[:], expected)
    assert contents(folder / "grown" / "image") == contents(folder / "once" / "image")
    for level in range(len(grown.levels)):
        shorten(folder / "grown" / "image" / str(level), fewer)
    assert contents(folder / "grown" / "image") == contents(folder / "fewer" / "image")


def test_a_bundle_is_one_file_and_frames_are_read_alone(tmp_path: Path) -> None:
    movie = np.random.default_rng(1).integers(0, 9, (130, 6, 5)).astype(np.uint32)
    for version, chunk in (("0.5", (1, 6, 5)), ("0.4", (64, 6, 5))):
        image = written(tmp_path / version, movie, [130], (4, 5), version)
        assert image.sinks[0].array.chunks == (chunk[0], 4, 5)
        files = [p for p in (tmp_path / version / "image" / "0").rglob("*") if p.is_file()]
        per_bundle = 1 if version == "0.5" else 2
        assert len(files) == 3 * per_bundle + (1 if version == "0.5" else 2)


def test_a_block_can_not_be_written_into_a_bundle(tmp_path: Path) -> None:
    image = written(tmp_path, MOVIE, [11], (7, 6), "0.5")
    with pytest.raises(AssertionError, match="whole chunks"):
        image.write(0, Grid.regular((7, 6), (7, 6)).frame, MOVIE[0])


def run(movie: Any, out: Path, **options: Any) -> cs.Result:
    return WORKFLOW.run(cs.from_array(movie, "tyx"), out, workers=1, **options)


def in_fours(patch: pytest.MonkeyPatch) -> None:
    """Bundles of four frames, groups of as many blocks."""
    patch.setattr(bundles, "BUNDLE_FRAMES", 4)
    patch.setattr("chunkseg.runner.lesson.REGION_BLOCKS", 4)


@pytest.fixture
def fours(monkeypatch: pytest.MonkeyPatch) -> None:
    in_fours(monkeypatch)


@pytest.fixture(scope="module", params=["0.5", "0.4"])
def at_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of a run, and what it writes of all frames."""
    out = tmp_path_factory.mktemp("once") / "out"
    options: dict[str, Any] = {"ome_version": request.param, "keep": ("mask",)}
    with pytest.MonkeyPatch.context() as patch:
        in_fours(patch)
        run(MOVIE, out, **options)
    return options, contents(out)


@pytest.mark.usefixtures("fours")
@pytest.mark.parametrize("first", [3, 4, 9])
def test_frames_added_within_bundles_and_at_their_ends(
    first: int, at_once: Any, tmp_path: Path
) -> None:
    options, whole = at_once
    run(MOVIE[:first], tmp_path / "added", **options)
    with Blocks().watched() as blocks:
        run(MOVIE, tmp_path / "added", **options)
    begun = {frame for frame, _ in blocks.of(BundleTask.name)}
    assert begun == set(range(first // 4 * 4, 11, 4))
    assert {frame for frame, _ in blocks.of("labels")} == set(range(first, 11))
    assert contents(tmp_path / "added") == whole


@pytest.mark.usefixtures("fours")
def test_a_damaged_bundle_is_not_added_to(tmp_path: Path) -> None:
    run(MOVIE[:6], tmp_path)
    chunk = tmp_path / "labels.ome.zarr" / "0" / "c" / "1" / "0" / "0"
    whole = truncate(chunk)
    with pytest.raises(IncompleteError, match="damaged chunks of the first 6 frames"):
        run(MOVIE, tmp_path)
    assert len(cs.Result.open(tmp_path).counts) == 6
    chunk.write_bytes(whole)
    run(MOVIE, tmp_path)


def flip_in_the_third_frame(path: Path) -> None:
    """Flip a bit in a shard of four chunks, whose index is the last 68 bytes."""
    content = bytearray(path.read_bytes())
    content[(len(content) - 68) * 5 // 8] ^= 1
    path.write_bytes(content)


@pytest.mark.usefixtures("fours")
@pytest.mark.parametrize("harm", [truncate, os.unlink, flip_in_the_third_frame])
def test_a_bundle_of_an_interrupted_run_is_written_again(harm: Any, tmp_path: Path) -> None:
    run(MOVIE, tmp_path / "once")

    def stop(name: str, done: int, total: int) -> None:
        seen.append(name)
        if "labels" in seen and name == "objects":
            raise KeyboardInterrupt

    seen: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(MOVIE, tmp_path / "out", progress=stop)
    harm(tmp_path / "out" / ".chunkseg" / "output" / "labels.ome.zarr" / "0" / "c/0/0/0")
    with Blocks().watched() as blocks:
        run(MOVIE, tmp_path / "out")
    assert {frame for frame, _ in blocks.of("labels")} == set(range(11))
    assert contents(tmp_path / "out") == contents(tmp_path / "once")


@pytest.mark.usefixtures("fours")
def test_a_result_in_bundles_is_verified(tmp_path: Path) -> None:
    for version in ("0.5", "0.4"):
        out = tmp_path / version
        run(MOVIE, out, keep=("mask", "seeds", "expanded"), ome_version=version)
        assert cs.verify(out, cs.from_array(MOVIE, "tyx"), regions=2, seed=1).ok
        (damaged,) = (p for p in (out / "labels.ome.zarr" / "0").rglob("1/0/0"))
        truncate(damaged)
        failed = cs.verify(out, regions=0).failed
        assert [check.name for check in failed] == ["chunks"]
        assert "frame 4" in failed[0].detail

"""Movies: every frame as scikit-image has it, by a threshold per frame or one of the movie."""

from __future__ import annotations

import functools
from collections import Counter

import dask.array as da
import numpy as np
import pytest
import skimage as ski
import tifffile
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.errors import ChunksegError, OutputExistsError
from tests.lesson import lesson
from tests.test_workflow import assert_lesson

DIMS = ("t", "y", "x")


def movie_threshold(movie, sigma):
    blurred = np.stack([ski.filters.gaussian(frame, sigma) for frame in movie])
    return ski.filters.threshold_otsu(blurred)


def movie_lessons(movie, scope, sigma, radius):
    threshold = movie_threshold(movie, sigma) if scope == "movie" else "otsu"
    return [lesson(frame, sigma, radius, threshold=threshold) for frame in movie]


def assert_movie(result, movie, scope, sigma, radius):
    expected = movie_lessons(movie, scope, sigma, radius)
    for number, frame in enumerate(movie):
        assert_lesson(result, expected[number], frame, number)


@functools.cache
def real_movie(name, folder):
    if name == "golgi":
        (path,) = (folder / "golgi-tyx").glob("*.tif")
        return cs.open_image(path), tifffile.imread(path)
    files = sorted((folder / "mitosis-movie").glob("*.tif"))
    pixels = np.stack([tifffile.imread(file) for file in files])
    return cs.from_array(pixels, dims=DIMS), pixels


@functools.cache
def real_lessons(name, folder, scope):
    return movie_lessons(real_movie(name, folder)[1], scope, 1, 2)


PUBLISHED = {"mitosis": 0.10334670424818193, "golgi": 15876.888671875}


@pytest.mark.parametrize("scope", ["frame", "movie"])
@pytest.mark.parametrize(
    ("name", "block", "t", "workers"),
    [
        ("mitosis", None, None, 2),
        ("mitosis", (100, 110), 7, 2),
        ("golgi", (80, 90), None, 1),
        ("golgi", None, 30, 2),
    ],
)
def test_real_movies(name, block, t, workers, scope, shared_data, tmp_path):
    """In blocks or not, from files or from an array that dask has in chunks of several frames."""
    image, pixels = real_movie(name, shared_data)
    if t is not None:
        image = image.chunk({"t": t})
    workflow = cs.Workflow(sigma=1, erosion_radius=2, threshold_scope=scope)
    result = workflow.run(image, tmp_path / "out", block_shape=block, workers=workers)
    for number, expected in enumerate(real_lessons(name, shared_data, scope)):
        assert_lesson(result, expected, pixels[number], number)
    if scope == "movie":
        assert set(result.thresholds) == {PUBLISHED[name]}


@settings(max_examples=14)
@given(data=st.data())
def test_any_chunks_along_t(data, tmp_path_factory):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shape = (data.draw(st.integers(2, 5)), 9, 11)
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.float32]))
    movie = (rng.integers(0, 9, shape) * rng.integers(1, 20, (shape[0], 1, 1))).astype(dtype)
    chunks = data.draw(st.integers(1, 5)), 4, 11
    scope = data.draw(st.sampled_from(["frame", "movie"]))
    image = xr.DataArray(da.from_array(movie, chunks=chunks), dims=DIMS)
    if data.draw(st.booleans()):
        image = image.transpose("y", "t", "x")
    workflow = cs.Workflow(sigma=0.8, erosion_radius=1, threshold_scope=scope)
    out = tmp_path_factory.mktemp("movie") / "out"
    assert_movie(workflow.run(image, out, block_shape=(5, 6)), movie, scope, 0.8, 1)


def small_movie(frames):
    rng = np.random.default_rng(3)
    return xr.DataArray(rng.integers(0, 200, (frames, 12, 14)).astype(np.uint8), dims=DIMS)


def test_frames_can_not_be_added_to_one_threshold(tmp_path):
    workflow = cs.Workflow(sigma=1, threshold_scope="movie")
    workflow.run(small_movie(4)[:3], tmp_path / "out")
    with pytest.raises(OutputExistsError, match=r"3 frames and are 4.*every frame has to be done"):
        workflow.run(small_movie(4), tmp_path / "out")
    again = workflow.run(small_movie(4), tmp_path / "out", overwrite=True)
    assert_movie(again, small_movie(4).values, "movie", 1, 0)


def test_frames_are_added_to_a_mask_whatever_the_scope(tmp_path):
    masks = small_movie(4) > 150
    workflow = cs.Workflow(threshold_scope="movie")
    workflow.run(masks[:3], tmp_path / "out", input_is_mask=True)
    assert len(workflow.run(masks, tmp_path / "out", input_is_mask=True).counts) == 4


def test_a_movie_goes_on_with_the_ranges_that_are_known(tmp_path, monkeypatch):
    """A run that ends in the third pass does not sweep the first two again."""
    workflow = cs.Workflow(sigma=1, erosion_radius=1, threshold_scope="movie")
    movie = small_movie(5)
    expected = workflow.run(movie, tmp_path / "whole")

    def stop(name, done, total):
        if name == "objects" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workflow.run(movie, tmp_path / "out", progress=stop)
    calls = []
    from chunkseg.runner import tasks

    for task in (tasks.RangeTask, tasks.CountsTask):
        monkeypatch.setattr(task, "__call__", lambda self, *args: calls.append(self.name))
    result = workflow.run(movie, tmp_path / "out")
    assert not calls
    np.testing.assert_array_equal(result.labels.values, expected.labels.values)


def test_a_movie_of_one_value_and_empty_frames(tmp_path):
    movie = small_movie(3).copy(data=np.full((3, 12, 14), 7, np.uint8))
    for scope in ("frame", "movie"):
        workflow = cs.Workflow(sigma=1, threshold_scope=scope, clear_border=False)
        result = workflow.run(movie, tmp_path / scope)
        assert result.counts["final"].tolist() == [0, 0, 0]
        assert "constant" in result.run["warnings"][0]
    some = small_movie(3)
    some[1] = 7
    result = cs.Workflow(sigma=1, clear_border=False).run(some, tmp_path / "some")
    assert result.counts["final"][1] == 0 < result.counts["final"][2]
    assert "t = 1 (1 of 3 time points)" in result.run["warnings"][0]
    one = cs.Workflow(sigma=1, threshold_scope="movie").run(some, tmp_path / "one")
    assert_movie(one, some.values, "movie", 1, 0)


def test_tasks_and_files_of_many_small_frames(tmp_path):
    """Four tasks a frame, a file for 64 that stays; scratch never holds more than a group's."""
    totals, most, groups = Counter(), [], []

    def progress(name, done, total):
        if done == total:
            totals[name] += total
            scratch = tmp_path / "out" / ".chunkseg" / "scratch"
            most.append(sum(path.is_file() for path in scratch.rglob("*")))
            groups.append(len(list(scratch.iterdir())))

    frames = 150
    movie = xr.DataArray(np.tile(small_movie(5).values, (30, 1, 1)), dims=DIMS)
    result = cs.Workflow(sigma=1).run(movie, tmp_path / "out", progress=progress)
    bundles = -(-frames // 64)
    single = dict.fromkeys(("range", "seeds", "objects", "labels"), frames)
    assert totals == single | {"bundles": bundles}
    assert max(most) <= 3 * 128 + 20
    assert max(groups) == 1
    chunks = result.path / "labels.ome.zarr" / "0" / "c"
    assert sum(path.is_file() for path in chunks.rglob("*")) == bundles
    assert sum(path.is_file() for path in result.path.rglob("*")) <= bundles + 15
    assert len(result.counts) == frames


def test_a_z_axis_with_a_unit_of_time_is_told(tmp_path, caplog):
    path = tmp_path / "movie.tif"
    told = {"axes": "ZYX", "unit": "sec", "spacing": 2.0}
    pixels = small_movie(3).values
    tifffile.imwrite(path, pixels, imagej=True, metadata=told)
    image = cs.open_image(path)
    assert "z" in image.dims
    assert "gives its axis z in sec" in caplog.text


@pytest.mark.parametrize(
    ("other", "message"),
    [(np.zeros((9, 9), np.uint8), "shape"), (np.zeros((12, 14), np.uint16), "dtype|uint16")],
)
def test_a_folder_of_frames_that_differ(tmp_path, other, message):
    folder = tmp_path / "in"
    folder.mkdir()
    for t, frame in enumerate([*small_movie(2).values, other]):
        tifffile.imwrite(folder / f"f_t{t:03d}.tif", frame)
    with pytest.raises(ChunksegError, match=message):
        cs.Workflow().run(str(folder / "f_t{t}.tif"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_objects_and_summary_tell_the_time_where_it_is_known(tmp_path):
    pixels = small_movie(3).values
    known = cs.from_array(pixels, DIMS, spacing={"t": 0.5}, unit={"t": "minute"})
    workflow = cs.Workflow(sigma=1, clear_border=False)
    result = workflow.run(known, tmp_path / "known")
    table = result.table
    assert table["time_min"].tolist() == (0.5 * table["t"]).tolist()
    assert set(table["t"]) == {0, 1, 2}
    assert result.summary["time_min"].tolist() == [0.0, 0.5, 1.0]
    unknown = workflow.run(small_movie(3), tmp_path / "unknown")
    assert not [name for name in unknown.table if name.startswith("time")]

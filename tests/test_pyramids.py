"""Resolution levels: their geometry, their voxels, who writes them, and what becomes of damage."""

from __future__ import annotations

import itertools
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.errors import OutputExistsError, ParameterError
from chunkseg.geometry.boxes import Box
from chunkseg.geometry.layout import Layout
from chunkseg.geometry.pyramid import levels_of
from chunkseg.kernels.blank import blank
from chunkseg.kernels.halving import halved
from chunkseg.runner.coarsening import coarsen
from chunkseg.runner.execution import Execution
from chunkseg.runner.lesson import Lesson
from chunkseg.storage import arrays, sinks
from chunkseg.storage.ome import Frames
from chunkseg.storage.pyramids import create_pyramid, level_folders

RNG = np.random.default_rng(5)


# --- geometry


def test_levels_end_where_an_edge_fits() -> None:
    shapes = [level.shape for level in levels_of((256, 256), (64, 64))]
    assert shapes == [(256, 256)]
    shapes = [level.shape for level in levels_of((257, 2), (64, 64))]
    assert shapes == [(257, 2), (129, 1)]


def test_coarse_axes_wait_for_the_fine_ones() -> None:
    levels = levels_of((64, 2048, 2048), (64, 512, 512), (2.0, 0.5, 0.5))
    assert [level.step for level in levels[1:]] == [(1, 2, 2), (1, 2, 2), (2, 2, 2)]
    assert levels[-1].factor == (2, 8, 8)
    alike = levels_of((64, 2048, 2048), (64, 512, 512))
    assert [level.step for level in alike[1:]] == [(2, 2, 2)] * 3


def test_an_axis_of_one_voxel_stays() -> None:
    assert levels_of((1, 300), (1, 300), (9.0, 0.1), count=3)[-1].factor == (1, 4)
    assert len(levels_of((2, 2), (2, 2), count=9)) == 2


def test_levels_whose_parts_are_tiny_are_left_to_a_later_pass() -> None:
    levels = levels_of((4096,) * 3, (256,) * 3)
    assert [level.owned for level in levels] == [True] * 4 + [False]
    assert [level.block for level in levels[1:]] == [(128,) * 3, (64,) * 3, (32,) * 3, (128,) * 3]
    assert not levels_of((600, 600), (75, 75))[1].owned


# --- voxels


def by_hand(array: np.ndarray[Any, Any], steps: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Mean of the voxels that there are, one voxel at a time, integers rounded half up."""
    out = np.empty([-(-n // s) for n, s in zip(array.shape, steps, strict=True)], array.dtype)
    for index in np.ndindex(*out.shape):
        part = array[tuple(slice(i * s, i * s + s) for i, s in zip(index, steps, strict=True))]
        values = [v.item() for v in part.ravel()]
        if array.dtype.kind == "f":
            out[index] = np.mean(values)
        else:
            out[index] = (2 * sum(values) + len(values)) // (2 * len(values))
    return out


@settings(max_examples=60)
@given(data=st.data())
def test_means_are_exact_in_every_dtype(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "u2", "u8", "i1", "i8", "f4", "f8"])))
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    steps = tuple(data.draw(st.sampled_from([1, 2])) for _ in shape)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    if dtype.kind == "f":
        array = rng.integers(-99, 99, shape).astype(dtype)
    else:
        info = np.iinfo(dtype)
        array = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    found = halved(array, steps, mean=True)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, by_hand(array, steps))
    nearest = halved(array, steps, mean=False)
    np.testing.assert_array_equal(nearest, array[tuple(slice(None, None, s) for s in steps)])


def test_means_keep_nan_and_masks_are_not_averaged() -> None:
    assert np.isnan(halved(np.array([np.nan, 1, 2, 4]), (2,), mean=True)).tolist() == [True, False]
    assert halved(np.array([False, True]), (2,), mean=True).tolist() == [False]


# --- who writes them


def frames_of(shape: tuple[int, ...], version: Any = "0.5") -> Frames:
    dims = ("t", "z", "y", "x")[-len(shape) :]
    n = len(shape)
    layout = Layout.of(shape, dims)
    return Frames(dims, layout, (1.0,) * n, (0.0,) * n, ("pixel",) * n, version)


@settings(max_examples=12)
@given(data=st.data())
def test_levels_do_not_depend_on_blocks(data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("levels")
    shape = tuple(data.draw(st.lists(st.integers(1, 21), min_size=2, max_size=3)))
    block = tuple(data.draw(st.integers(1, n)) for n in shape)
    mean, version = data.draw(st.booleans()), data.draw(st.sampled_from(["0.4", "0.5"]))
    array = RNG.integers(0, 999, shape).astype(np.uint16)
    levels = levels_of(shape, block, count=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "MANY_CHUNKS", data.draw(st.sampled_from([0, 4, 1000])))
        patch.setattr(arrays, "LARGEST_CHUNK_EDGE", {len(shape): data.draw(st.integers(2, 8))})
        pyramid = create_pyramid(folder, frames_of(shape, version), levels, "u2", mean)
    steps = [range(0, n, b) for n, b in zip(shape, block, strict=True)]
    for start in itertools.product(*steps):
        stop = tuple(min(a + b, n) for a, b, n in zip(start, block, shape, strict=True))
        box = Box(start, stop)
        assert not pyramid.intact(0, box)
        if data.draw(st.booleans()):
            array[box.slices()] = 0
            pyramid.write(0, box, blank(box.shape, np.uint16))
        else:
            pyramid.write(0, box, array[box.slices()])
        assert pyramid.intact(0, box)
    coarsen(pyramid, range(1), Execution(1, client=None), lambda *_: None, folder / "records")
    assert pyramid.all_levels().intact(0, Box.whole(shape))
    expected = array
    for level, sink in zip(levels, pyramid.sinks, strict=True):
        expected = halved(expected, level.step, mean)
        np.testing.assert_array_equal(sink.array[:], expected)
        for chunk, n in zip(sink.array.chunks, sink.array.shape, strict=True):
            assert chunk <= n
    assert [p.name for p in level_folders(folder)] == [str(n) for n in range(len(levels))]


def test_blocks_of_large_frames_are_shards(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(arrays, "MANY_CHUNKS", 7)
    monkeypatch.setattr(arrays, "LARGEST_CHUNK_EDGE", {2: 2})
    found = {}
    for version in ("0.5", "0.4"):
        levels = levels_of((16, 8), (8, 8), count=2)
        pyramid = create_pyramid(
            tmp_path / version, frames_of((16, 8), version), levels, "u1", False
        )
        found[version] = [(sink.array.chunks, sink.array.shards) for sink in pyramid.sinks]
    assert found["0.5"] == [((2, 2), (8, 8)), ((2, 2), (4, 4))]
    assert found["0.4"] == [((2, 2), None), ((2, 2), None)]


def test_shards_are_written_whole(tmp_path: Path) -> None:
    levels, stored = levels_of((16,), (8,)), arrays.Stored(chunks=(2,), shards=(8,))
    layout = Layout.of((16,), ("x",))
    frames = Frames(("x",), layout, (1.0,), (0.0,), ("pixel",))
    pyramid = create_pyramid(tmp_path, frames, levels, "u1", mean=True, stored=stored)
    with pytest.raises(AssertionError, match="whole chunks"):
        pyramid.write(0, Box((4,), (12,)), np.ones(8, np.uint8))
    pyramid.write(0, Box((8,), (16,)), np.ones(8, np.uint8))
    assert (pyramid.intact(0, Box((8,), (16,))), pyramid.intact(0, Box((0,), (8,)))) == (
        True,
        False,
    )
    (tmp_path / "0" / "c" / "1").unlink()
    assert not pyramid.intact(0, Box((8,), (16,)))


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_every_flipped_bit_is_found(tmp_path: Path, version: str) -> None:
    array = RNG.integers(0, 50, (8, 8)).astype(np.uint16)
    levels, box = levels_of((8, 8), (8, 8)), Box.whole((8, 8))
    pyramid = create_pyramid(tmp_path, frames_of((8, 8), version), levels, "u2", mean=False)
    pickled = pickle.loads(pickle.dumps(pyramid))
    pickled.write(0, box, array)
    chunk = tmp_path / "0" / ("c/0/0" if version == "0.5" else "0/0")
    content = chunk.read_bytes()
    for place in range(len(content)):
        chunk.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        if pyramid.intact(0, box):
            # zarr 2 has a checksum of the voxels, not of the file, where a few bits mean nothing
            assert version == "0.4"
            np.testing.assert_array_equal(pyramid.sinks[0].array[:], array)
    chunk.write_bytes(content)
    assert pyramid.intact(0, box)


def image_of(frames: int | None = None) -> Any:
    """Spots in a long thin stack (or planes) that has two levels more."""
    shape = (6, 600, 20) if frames is None else (frames, 600, 20)
    array = np.zeros(shape, np.uint8)
    for z, y, x in itertools.product((1, 3), range(10, 590, 37), (4, 12)):
        array[z % shape[0], y : y + 5, x : x + 4] = 200
    dims = "zyx" if frames is None else "tyx"
    return cs.from_array(array, dims=dims, spacing=0.5, unit="um")


WORKFLOW = cs.Workflow(sigma=0, erosion_radius=0)
BLOCK = {"block_shape": (6, 64, 20), "workers": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> cs.Result:
    out = tmp_path_factory.mktemp("run") / "out"
    return WORKFLOW.run(image_of(), out, keep=["mask"], **BLOCK)


@pytest.mark.parametrize("name", ["labels", "mask"])
def test_a_run_writes_levels(run: cs.Result, name: str) -> None:
    labels = cs.open_image(run.path / f"{name}.ome.zarr").values
    assert labels.max() >= 1
    for level, step in ((1, 2), (2, 4)):
        coarse = cs.open_image(run.path / f"{name}.ome.zarr", level=level)
        np.testing.assert_array_equal(coarse.values, labels[::step, ::step, ::step])
        assert coarse.dtype == labels.dtype
        assert coarse.y.attrs == {"units": "micrometer", "spacing": 0.5 * step}
        assert float(coarse.y[0]) == 0.0
    assert coarse.shape == (2, 150, 5)


def test_the_full_resolution_is_not_read_again(tmp_path: Path, monkeypatch: Any) -> None:
    read: list[str] = []
    kept = sinks.Sink.write

    def write(self: Any, *args: Any) -> None:
        kept(self, *args)
        read.append(self.array.path or str(self.array.store_path))

    monkeypatch.setattr(sinks.Sink, "write", write)
    WORKFLOW.run(image_of(), tmp_path / "out", **BLOCK)
    names = [name.rsplit("/", 1)[1] for name in read]
    assert {name: names.count(name) for name in sorted(set(names))} == {"0": 10, "1": 10, "2": 5}
    assert names.index("2") > max(n for n, name in enumerate(names) if name == "1")


def test_verify_names_a_level_that_does_not_follow(run: cs.Result, tmp_path: Path) -> None:
    assert cs.verify(run.path, image_of(), regions=0).ok
    shutil.copytree(run.path, tmp_path / "out")
    array = zarr.open_array(tmp_path / "out" / "labels.ome.zarr" / "2", mode="r+")
    array[:1, :1, :1] = 77
    found = {c.name: c for c in cs.verify(tmp_path / "out", image_of(), regions=0).checks}
    assert (found["levels"].outcome, found["labels"].outcome) == ("failed", "ok")
    assert "labels: level 2: 1 voxels differ" in found["levels"].detail
    shutil.rmtree(tmp_path / "out" / "mask.ome.zarr" / "1")
    found = {c.name: c for c in cs.verify(tmp_path / "out", image_of(), regions=0).checks}
    assert found["levels"].outcome == "failed"


def test_added_frames_grow_every_level(tmp_path: Path) -> None:
    options: dict[str, Any] = {"block_shape": (64, 20), "workers": 1, "ome_version": "0.4"}
    WORKFLOW.run(image_of(3).isel(t=slice(0, 2)), tmp_path / "out", **options)
    WORKFLOW.run(image_of(3), tmp_path / "out", **options)
    WORKFLOW.run(image_of(3), tmp_path / "once", **options)
    for level in range(3):
        grown, once = (
            cs.open_image(tmp_path / name / "labels.ome.zarr", level=level)
            for name in ("out", "once")
        )
        assert grown.sizes["t"] == 3
        np.testing.assert_array_equal(grown.values, once.values)


class _StopError(Exception):
    pass


RUN_ALL = Lesson.run


def then_stop(lesson: Lesson) -> None:
    """Run the lesson, and end before the run is complete."""
    RUN_ALL(lesson)
    raise _StopError


@pytest.mark.parametrize("damaged", ["1", "2"])
def test_damage_to_levels_is_mended_when_a_run_goes_on(
    tmp_path: Path, monkeypatch: Any, damaged: str
) -> None:
    """The run ends after its only group of frames; then a chunk of a level is cut short."""
    monkeypatch.setattr(Lesson, "run", then_stop)
    with pytest.raises(_StopError):
        WORKFLOW.run(image_of(), tmp_path / "out", **BLOCK)
    level = tmp_path / "out" / ".chunkseg" / "output" / "labels.ome.zarr" / damaged
    chunk = level / "c" / "0" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-3])
    monkeypatch.setattr(Lesson, "run", RUN_ALL)
    result = WORKFLOW.run(image_of(), tmp_path / "out", **BLOCK)
    coarse = cs.open_image(result.path / "labels.ome.zarr", level=2).values
    np.testing.assert_array_equal(coarse, result.labels.values[::4, ::4, ::4])


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_frames_given_up_leave_every_level(tmp_path: Path, monkeypatch: Any, version: str) -> None:
    options: dict[str, Any] = {"block_shape": (64, 20), "workers": 1, "ome_version": version}
    out = tmp_path / "out"
    WORKFLOW.run(image_of(3).isel(t=slice(0, 2)), out, **options)
    before = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(Lesson, "run", then_stop)
        with pytest.raises(_StopError):
            WORKFLOW.run(image_of(3), out, **options)
    WORKFLOW.run(image_of(3).isel(t=slice(0, 2)), out, **options)
    after = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert sorted(after) == sorted(before)
    assert after == before


def test_another_version_of_ome_zarr_is_another_run(tmp_path: Path) -> None:
    image = image_of().isel(y=slice(0, 40))
    WORKFLOW.run(image, tmp_path / "out", workers=1)
    with pytest.raises(OutputExistsError, match=r"OME-Zarr was '0.5' and is '0.4'"):
        WORKFLOW.run(image, tmp_path / "out", workers=1, ome_version="0.4")
    with pytest.raises(ParameterError, match=r"0.5 or 0.4, not '0.3'"):
        WORKFLOW.run(image, tmp_path / "out", workers=1, ome_version="0.3")

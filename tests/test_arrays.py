"""Arrays that chunkseg writes: whole chunks, checksums, background stored like anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.geometry.boxes import Box, Grid
from chunkseg.geometry.layout import Layout
from chunkseg.kernels.blank import blank
from chunkseg.storage import sinks
from chunkseg.storage.arrays import Stored, chunk_shape, create_array
from chunkseg.storage.checksum import checksum
from chunkseg.storage.sinks import Sink


@settings(deadline=None, max_examples=150)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=4))
def test_chunks_divide_blocks(block: list[int]) -> None:
    chunks = chunk_shape(block)
    assert all(n % c == 0 for n, c in zip(block, chunks, strict=True))
    assert np.prod(np.divide(block, chunks)) == 1 or max(chunks) <= max(block)


@pytest.mark.parametrize(
    ("block", "chunks"),
    [
        ((256, 256, 256), (128, 128, 128)),
        ((192, 192, 192), (96, 96, 96)),
        ((7, 1, 61), (7, 1, 61)),
        ((131, 64, 64), (131, 64, 64)),
        ((2048, 2048), (1024, 1024)),
        ((2**20,), (2**18,)),
    ],
)
def test_chunks_are_neither_huge_nor_tiny(block: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    assert chunk_shape(block) == chunks


def sink(tmp_path: Path, layout: Layout, block: tuple[int, ...], dtype: str = "u4") -> Sink:
    return Sink(create_array(tmp_path / "deep" / "a.zarr", layout, block, dtype), layout)


def test_blocks_come_back(tmp_path: Path) -> None:
    layout = Layout.of((2, 5, 3, 7), ("t", "y", "c", "x"))
    values = np.random.default_rng(0).integers(0, 9, layout.shape).astype(np.uint32)
    out = sink(tmp_path, layout, (2, 3))
    grid = Grid.regular(layout.frame_shape, (2, 3))
    for region in grid.regions(layout.frames, 4):
        for block in region:
            part = layout.take_frame(values[layout.slices(block.frame, block.core)])
            out.write(block.frame, block.core, part)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "deep" / "a.zarr")[:], values)


@pytest.mark.parametrize("box", [Box((1, 0), (4, 8)), Box((0, 0), (3, 8)), Box((4, 0), (7, 8))])
def test_parts_of_chunks_are_refused(box: Box, tmp_path: Path) -> None:
    layout = Layout.of((9, 8))
    out = sink(tmp_path, layout, (4, 8))
    with pytest.raises(AssertionError, match="not made of whole chunks"):
        out.write(0, box, np.ones(box.shape, np.uint32))
    assert out.array.nchunks_initialized == 0


def test_the_last_block_may_be_short(tmp_path: Path) -> None:
    out = sink(tmp_path, Layout.of((9, 8)), (4, 8))
    out.write(0, Box((8, 0), (9, 8)), np.ones((1, 8), np.uint32))
    assert out.array[8:].all()


def test_background_is_stored(tmp_path: Path) -> None:
    """An absent chunk is one that was not written, never one of zeros."""
    out = sink(tmp_path, Layout.of((8, 8)), (4, 4))
    out.write(0, Box((0, 0), (4, 8)), np.zeros((4, 8), np.uint32))
    assert out.array.nchunks_initialized == 2


@pytest.mark.parametrize("dtype", ["u1", "?", "i8"])
@pytest.mark.parametrize(
    "stored", [Stored(), Stored(2), Stored(chunks=(2, 3), shards=(4, 6))], ids=repr
)
def test_a_blank_block_is_written_as_zeros_are(tmp_path: Path, stored: Stored, dtype: str) -> None:
    layout, box, files = Layout.of((2, 4, 11), "tyx"), Box((0, 6), (4, 11)), []
    for n, data in enumerate([np.zeros(box.shape, dtype), blank(box.shape, bool)]):
        path = tmp_path / str(n)
        out = Sink(create_array(path, layout, (4, 6), dtype, stored=stored), layout)
        out.write(1, box, data)
        assert out.intact(1, box)
        files.append({p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()})
    assert files[0] == files[1]
    assert len(files[0]) > 1


def test_a_blank_chunk_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    plain = sinks._encoded
    monkeypatch.setattr(sinks, "_BLANK_FILES", {})
    monkeypatch.setattr(sinks, "_encoded", lambda *given: encoded.append(given) or plain(*given))
    out = sink(tmp_path, Layout.of((64, 8)), (8, 8))
    for row in range(0, 64, 8):
        out.write(0, Box((row, 0), (row + 8, 8)), blank((8, 8), np.uint32))
    assert (out.array.nchunks_initialized, len(encoded)) == (8, 1)
    assert not out.array[:].any()


@given(st.lists(st.integers(1, 9), max_size=3), st.sampled_from(["?", "u2", "f8"]))
def test_a_checksum_of_nothing_but_background(shape: list[int], dtype: str) -> None:
    zeros = np.zeros(shape, dtype)
    assert checksum(blank(tuple(shape), dtype)) == checksum(zeros)
    assert checksum(np.broadcast_to(np.ones((), dtype), shape)) != checksum(zeros)


@pytest.mark.parametrize("value", [-0.0, np.nan, 1.0])
def test_one_value_everywhere_that_is_not_background(value: float, tmp_path: Path) -> None:
    out = sink(tmp_path, Layout.of((4, 4)), (4, 4), "f8")
    same = np.broadcast_to(np.float64(value), (4, 4))
    out.write(0, Box.whole((4, 4)), same)
    assert out.array[:].tobytes() == same.tobytes()


def test_every_flipped_byte_of_a_chunk_is_noticed(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 3, (8, 8)).astype(np.uint32)
    out = sink(tmp_path, Layout.of((8, 8)), (8, 8))
    out.write(0, Box((0, 0), (8, 8)), values)
    (chunk,) = (p for p in (tmp_path / "deep" / "a.zarr" / "c").rglob("*") if p.is_file())
    whole = chunk.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        chunk.write_bytes(damaged)
        with pytest.raises(Exception):  # noqa: B017, PT011 - the kind depends on the codec
            out.array[:]
    chunk.write_bytes(whole)
    np.testing.assert_array_equal(out.array[:], values)


def test_a_truncated_chunk_is_noticed(tmp_path: Path) -> None:
    out = sink(tmp_path, Layout.of((8, 8)), (8, 8))
    out.write(0, Box((0, 0), (8, 8)), np.ones((8, 8), np.uint32))
    (chunk,) = (p for p in (tmp_path / "deep" / "a.zarr" / "c").rglob("*") if p.is_file())
    whole = chunk.read_bytes()
    for length in range(len(whole)):
        chunk.write_bytes(whole[:length])
        with pytest.raises(Exception):  # noqa: B017, PT011 - the kind depends on the codec
            out.array[:]


def test_names_and_attributes_are_recorded(tmp_path: Path) -> None:
    layout = Layout.of((2, 3, 4), ("t", "y", "x"))
    create_array(tmp_path / "a.zarr", layout, (3, 4), "u1", ("t", "y", "x"), {"unit": "um"})
    array = zarr.open_array(tmp_path / "a.zarr", mode="r")
    assert array.metadata.dimension_names == ("t", "y", "x")
    assert array.attrs["unit"] == "um"
    assert array.chunks == (1, 3, 4)


def test_zero_size_arrays_can_be_made(tmp_path: Path) -> None:
    array = create_array(tmp_path / "a.zarr", Layout.of((0, 4)), (1, 4), "u1")
    assert array[:].shape == (0, 4)


def test_a_write_that_could_lose_values_is_refused(tmp_path):
    layout = Layout.of((4, 4))
    sink = Sink(create_array(tmp_path / "a.zarr", layout, (4, 4), np.uint16), layout)
    with pytest.raises(TypeError, match="safe"):
        sink.write(0, Box.whole((4, 4)), np.full((4, 4), 70_000, np.int64))
    assert not sink.array[:].any()

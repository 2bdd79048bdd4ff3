"""Decoded chunks are kept within a limit, decoded once for all threads, and never stale."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.geometry.boxes import Box
from chunkseg.storage import leaves
from chunkseg.storage.cache import ChunkCache, read_through
from chunkseg.storage.leaves import TiffSource, ZarrSource
from chunkseg.storage.opening import open_image
from chunkseg.storage.sources import source_of


@pytest.fixture
def cache(monkeypatch):
    fresh = ChunkCache(2**20)
    monkeypatch.setattr(leaves, "CHUNKS", fresh)
    return fresh


def chunk_of(size):
    return lambda: np.zeros(size, np.uint8)


def test_the_limit_is_kept_and_what_was_not_asked_for_goes_first():
    cache = ChunkCache(30)
    for name in "abc":
        cache.get(name, chunk_of(10))
    cache.get("a", chunk_of(10))
    cache.get("d", chunk_of(10))
    assert [cache.kept(name) is not None for name in "abcd"] == [True, False, True, True]
    assert cache.get("big", chunk_of(31)).size == 31
    assert [cache.kept(name) for name in ("a", "c", "d", "big")] == [None] * 4


def test_a_smaller_limit_holds_at_once():
    cache = ChunkCache(30)
    for name in "abc":
        cache.get(name, chunk_of(10))
    cache.resize(10)
    assert [cache.kept(name) is not None for name in "abc"] == [False, False, True]
    cache.clear()
    assert cache.kept("c") is None
    cache.get("a", chunk_of(10))
    assert cache.kept("a") is not None


def test_a_chunk_wanted_by_several_threads_is_decoded_once():
    cache, begun, go = ChunkCache(100), threading.Event(), threading.Event()

    def load():
        begun.set()
        assert go.wait(10)
        return np.ones(3)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, "a", load)
        assert begun.wait(10)
        assert cache.busy("a")
        others = [pool.submit(cache.get, "a", load) for _ in range(3)]
        go.set()
        assert all(f.result() is first.result() for f in others)
    assert cache.loads == 1


def test_an_error_reaches_all_who_wait_and_is_not_kept():
    cache, begun, go = ChunkCache(100), threading.Event(), threading.Event()

    def fail():
        begun.set()
        assert go.wait(10)
        raise OSError("unreadable")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "a", fail)
        assert begun.wait(10)
        second = pool.submit(cache.get, "a", fail)
        go.set()
        for future in (first, second):
            with pytest.raises(OSError, match="unreadable"):
                future.result()
    assert not cache.busy("a")
    assert cache.get("a", chunk_of(3)).size == 3


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_reading_through_equals_slicing(data):
    shape = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple))
    chunks = tuple(data.draw(st.integers(1, 5)) for _ in shape)
    array = np.arange(np.prod(shape)).reshape(shape)
    cache = ChunkCache(data.draw(st.sampled_from([0, 100, 10**6])))
    for _ in range(3):
        ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape]
        box = Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))
        got = read_through(
            cache, box, shape, chunks, array.dtype, lambda cell: cell, array.__getitem__
        )
        np.testing.assert_array_equal(got, array[box.slices()])


def stored(path, shape=(24, 24), **options):
    array = zarr.create_array(path, shape=shape, dtype="u2", **options)
    array[:] = np.arange(np.prod(shape)).reshape(shape)
    return ZarrSource(zarr.open_array(path, mode="r"))


def grown_blocks():
    for y, x in itertools.product(range(0, 24, 8), repeat=2):
        yield slice(max(0, y - 1), y + 9), slice(max(0, x - 1), x + 9)


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (4, 4)},
        {"chunks": (4, 4), "zarr_format": 2},
        {"chunks": (4, 4), "shards": (8, 8)},
    ],
)
def test_each_chunk_of_a_sweep_is_decoded_once(tmp_path, cache, options):
    source = stored(tmp_path / "a.zarr", **options)
    expected = np.arange(24 * 24).reshape(24, 24)
    blocks = list(grown_blocks())
    with ThreadPoolExecutor(3) as pool:
        for block, got in zip(blocks, pool.map(source.__getitem__, blocks), strict=True):
            np.testing.assert_array_equal(got, expected[block])
    assert cache.loads == 36


def test_whole_chunks_are_read_directly(tmp_path, cache):
    source = stored(tmp_path / "a.zarr", chunks=(4, 4))
    assert source[8:16, 20:24].shape == (8, 4)
    assert cache.loads == 0


def test_a_store_without_files_is_read_directly(cache):
    array = zarr.create_array(zarr.storage.MemoryStore(), shape=(6,), chunks=(4,), dtype="u1")
    assert ZarrSource(array)[1:5].tolist() == [0] * 4
    assert cache.loads == 0


@pytest.mark.parametrize("options", [{}, {"shards": (8, 8)}])
def test_what_was_written_anew_is_read_anew(tmp_path, cache, options):
    source = stored(tmp_path / "a.zarr", chunks=(4, 4), **options)
    writer = zarr.open_array(tmp_path / "a.zarr", mode="r+")
    for value in range(1, 20):
        before = source[1:11, 1:11]
        writer[:] = value
        after = source[1:11, 1:11]
        assert (after == value).all()
        assert not np.array_equal(before, after)


def test_what_is_missing_now_may_be_there_later(tmp_path, cache):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(8,), chunks=(4,), dtype="u1")
    source = pickle.loads(pickle.dumps(ZarrSource(array)))
    assert source[1:7].tolist() == [0] * 6
    array[:] = 5
    assert source[1:7].tolist() == [5] * 6


def test_pages_of_a_tiff_are_decoded_once(tmp_path, cache, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 99, (3, 20, 30)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", compression="zlib")
    decoded = Counter()
    decode = TiffSource._decode
    monkeypatch.setattr(
        TiffSource,
        "_decode",
        lambda self, spans: decoded.update([self.offset]) or decode(self, spans),
    )
    source = source_of(open_image(tmp_path / "a.tif", dims="zyx").data)
    for y in range(0, 20, 5):
        np.testing.assert_array_equal(source[:, y : y + 7, 3:9], pixels[:, y : y + 7, 3:9])
    assert sorted(decoded.values()) == [1, 1, 1]

"""Sources against the whole array in memory."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import LocalStore

from chunkseg.errors import FormatError, ParameterError
from chunkseg.storage import sources
from chunkseg.storage.sources import (
    FileSource,
    Source,
    Stack,
    TiffSource,
    View,
    ZarrSource,
    amplification,
    as_dask,
    source_of,
)

PIXELS = np.arange(4 * 5 * 6, dtype=">u2").reshape(4, 5, 6) * 500
PAGE_BYTES = 5 * 6 * 2


def zarr_source(folder: Path, zarr_format: int = 3, **layout: Any) -> ZarrSource:
    path = folder / "a.zarr"
    layout = layout or {"chunks": (2, 2, 4)}
    array = zarr.create_array(
        path, shape=PIXELS.shape, dtype=PIXELS.dtype, zarr_format=zarr_format, **layout
    )
    array[:] = PIXELS
    return ZarrSource(zarr.open_array(LocalStore(path, read_only=True), mode="r"))


def file_source(folder: Path) -> FileSource:
    path = folder / "raw.bin"
    path.write_bytes(b"header!" + PIXELS.tobytes())
    return FileSource(str(path), 7, PIXELS.dtype, PIXELS.shape)


def tiff_source(folder: Path) -> Source:
    path = folder / "pages.tif"
    tifffile.imwrite(path, PIXELS, photometric="minisblack", compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tif:
        offsets = [page.offset for page in tif.pages]
    dtype = np.dtype(np.uint16)
    return Stack(tuple(TiffSource(str(path), o, dtype, (5, 6)) for o in offsets), (4,))


def stack_source(folder: Path) -> Source:
    raw = file_source(folder)
    planes = [
        FileSource(raw.path, 7 + i * PAGE_BYTES, raw.stored, (5, 6)) for i in range(len(PIXELS))
    ]
    return Stack(tuple(planes), (4,))


def turned_source(folder: Path) -> Source:
    path = folder / "turned.bin"
    path.write_bytes(np.stack([PIXELS.T * 0, PIXELS.T]).tobytes())
    both = FileSource(str(path), 0, PIXELS.dtype, (2, 6, 5, 4))
    return View(both, (1, None, None, None), (3, 2, 1))


MAKERS = [zarr_source, file_source, tiff_source, stack_source, turned_source]


@pytest.fixture(scope="module", params=MAKERS, ids=lambda m: m.__name__)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    made: Source = request.param(tmp_path_factory.mktemp("sources"))
    return made


def axis_index(n: int) -> st.SearchStrategy[Any]:
    ends = st.none() | st.integers(-n - 2, n + 2)
    steps = st.sampled_from([None, 1, 2, 3, -1, -2])
    return st.integers(-n, n - 1) | st.builds(slice, ends, ends, steps)


@settings(deadline=None, max_examples=60)
@given(index=st.tuples(*(axis_index(n) for n in PIXELS.shape)), keep=st.integers(1, 3))
def test_any_basic_index_reads_what_numpy_reads(
    source: Source, index: tuple[Any, ...], keep: int
) -> None:
    expected = PIXELS.astype(np.uint16)[index[:keep]]
    read = source[index[:keep]]
    assert read.dtype == np.dtype(np.uint16)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, expected)


def test_sources_describe_themselves(source: Source) -> None:
    assert isinstance(source, Source)
    assert (source.shape, source.ndim, source.dtype) == ((4, 5, 6), 3, np.dtype(np.uint16))
    assert len(source.chunks) == 3
    np.testing.assert_array_equal(source[..., 1], PIXELS[..., 1])
    np.testing.assert_array_equal(source[1, ..., 2:], PIXELS[1, ..., 2:])
    with pytest.raises(IndexError):
        source[4]


def test_a_copy_made_by_pickle_reads_the_same(source: Source) -> None:
    data = pickle.dumps(source)
    assert len(data) < 3000
    np.testing.assert_array_equal(pickle.loads(data)[1:3, :, 2], PIXELS[1:3, :, 2])


def test_what_is_read_is_not_tied_to_the_file(tmp_path: Path) -> None:
    raw = file_source(tmp_path)
    block = raw[:, :2]
    assert not isinstance(block, np.memmap)
    assert block.flags.writeable
    block[:] = 0
    np.testing.assert_array_equal(raw[:], PIXELS)


def test_an_empty_region_is_not_read(source: Source) -> None:
    assert source[2:2].shape == (0, 5, 6)


def test_a_zero_size_file_has_zero_size_regions(tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(b"")
    empty = FileSource(str(tmp_path / "none"), 0, np.dtype("f4"), (0, 3))
    assert empty[:].shape == (0, 3)
    assert as_dask(empty).compute().shape == (0, 3)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    raw = file_source(tmp_path)
    Path(raw.path).write_bytes(Path(raw.path).read_bytes()[:-1])
    with pytest.raises(FormatError, match=r"cut short.*247 bytes, it has 246"):
        FileSource(raw.path, raw.offset, raw.stored, raw.shape)


def test_a_tiff_read_decodes_the_pages_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = tiff_source(tmp_path)
    decoded = []
    whole = tifffile.TiffPage.asarray

    def counted(page: Any, *args: Any, **kwargs: Any) -> Any:
        decoded.append(page.offset)
        return whole(page, *args, **kwargs)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", counted)
    assert pages.chunks == (1, 5, 6)
    pages[1:3, 0, 0]
    assert len(decoded) == len(set(decoded)) == 2


@pytest.mark.parametrize(("index", "axes"), [((None, 0), (0, 1)), ((None,), (0,)), ((0, 1), (1,))])
def test_a_view_of_other_axes_is_refused(index: tuple[int | None, ...], axes: Any) -> None:
    plane = zarr.create_array({}, shape=(2, 3), dtype="u1", chunks=(1, 1))
    with pytest.raises(ParameterError, match="each free axis"):
        View(ZarrSource(plane), index, axes)


def test_inner_chunks_of_shards_are_the_unit(tmp_path: Path) -> None:
    sharded = zarr_source(tmp_path, chunks=(1, 5, 3), shards=(2, 5, 6))
    assert sharded.chunks == (1, 5, 3)
    np.testing.assert_array_equal(sharded[1:, 1:, 1:], PIXELS[1:, 1:, 1:])


def test_zarr_of_version_2(tmp_path: Path) -> None:
    old = zarr_source(tmp_path, zarr_format=2)
    np.testing.assert_array_equal(old[1:3, ::2], PIXELS[1:3, ::2])
    assert old[:].dtype.isnative


@pytest.mark.parametrize("chunks", [None, (3, 2, 5), (100, 1, 1)])
def test_a_dask_array_has_the_same_pixels(source: Source, chunks: Any) -> None:
    lazy = as_dask(source, chunks)
    assert lazy.dtype == source.dtype
    with dask.config.set(scheduler="synchronous"):
        np.testing.assert_array_equal(lazy.compute(), PIXELS)
        np.testing.assert_array_equal(lazy[1, ::-2, 2:5].compute(), PIXELS[1, ::-2, 2:5])


def test_building_a_dask_array_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Locked(np.ndarray):
        chunks = (1, 1)

        def __getitem__(self, index: Any) -> Any:
            raise AssertionError(f"read {index}")

    locked: Any = np.zeros((4, 4)).view(Locked)
    assert as_dask(locked).shape == (4, 4)


def test_a_dask_array_knows_its_source_and_no_other_does(source: Source) -> None:
    lazy = as_dask(source)
    assert source_of(lazy) is source
    assert source_of(lazy[1:]) is None
    assert source_of(lazy + 1) is None
    assert source_of(lazy.copy()) is None
    assert source_of(pickle.loads(pickle.dumps(lazy))) is None
    assert source_of(PIXELS) is None
    lazy[0] = 1
    assert source_of(lazy) is None


def test_two_openings_have_different_names(source: Source) -> None:
    assert as_dask(source).name != as_dask(source).name


class Described(np.ndarray):  # type: ignore[type-arg]
    """An array with chunks, without memory: one value broadcast."""

    chunks: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], chunks: tuple[int, ...]) -> Any:
        array = np.broadcast_to(np.uint8(0), shape).view(cls)
        array.chunks = chunks
        return array


@settings(deadline=None, max_examples=100)
@given(st.data(), st.integers(1, 4))
def test_default_chunks_keep_stored_chunks_whole(data: st.DataObject, ndim: int) -> None:
    shape = tuple(data.draw(st.integers(1, 5000)) for _ in range(ndim))
    stored = tuple(data.draw(st.integers(1, n)) for n in shape)
    looped = data.draw(st.sets(st.integers(0, ndim - 1)))
    chunks = sources.default_chunks(Described.of(shape, stored), tuple(looped))
    for axis, (chunk, unit, n) in enumerate(zip(chunks, stored, shape, strict=True)):
        assert chunk % unit == 0 or chunk == n
        assert chunk == unit or axis not in looped
    size = np.prod(chunks, dtype=np.int64)
    assert size <= max(sources.BLOCK_VOXELS, np.prod(stored, dtype=np.int64))


def test_default_chunks_are_near_cubes_of_two_million_voxels() -> None:
    raw = Described.of((3, 2, 900, 900, 900), (1,) * 5)
    assert sources.default_chunks(raw, (0, 1)) == (1, 1, 128, 128, 128)
    pages = Described.of((500, 512, 512), (1, 512, 512))
    assert sources.default_chunks(pages, ()) == (8, 512, 512)
    big = Described.of((50, 4096, 4096), (1, 4096, 4096))
    assert sources.default_chunks(big, ()) == (1, 4096, 4096)


@pytest.mark.parametrize("chunks", [(2, 2), (0, 2, 2), (-1, 2, 2)])
def test_chunks_that_do_not_fit(chunks: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="chunks="):
        as_dask(Described.of((4, 4, 4), (1, 1, 1)), chunks)


def counted(source: Any, block: tuple[int, ...], halo: tuple[int, ...]) -> float:
    """Voxels of the chunks that each grown block meets, one block after the other."""
    decoded = 0
    for index in np.ndindex(*(-(-n // b) for n, b in zip(source.shape, block, strict=True))):
        seen = []
        for i, b, h, n, c in zip(index, block, halo, source.shape, source.chunks, strict=True):
            wanted = np.arange(max(0, i * b - h), min(n, i * b + b + h)) // c
            seen.append(sum(min(c, n - k * c) for k in set(wanted.tolist())))
        decoded += int(np.prod(seen))
    return decoded / float(np.prod(source.shape))


@settings(deadline=None, max_examples=100)
@given(st.data(), st.integers(1, 3))
def test_amplification_is_what_counting_gives(data: st.DataObject, ndim: int) -> None:
    draw = [[data.draw(st.integers(1, 12)) for _ in range(ndim)] for _ in range(3)]
    shape, stored, block = (tuple(d) for d in draw)
    halo = tuple(data.draw(st.integers(0, 5)) for _ in range(ndim))
    described = Described.of(shape, stored)
    assert amplification(described, block, halo) == pytest.approx(counted(described, block, halo))


def test_amplification_of_a_channel_counts_the_channels_stored_with_it() -> None:
    both = Described.of((8, 2, 16), (4, 2, 16))
    one = View(both, (None, 1, None), (2, 0))
    assert one.chunks == (16, 4)
    assert amplification(one, (16, 4), (0, 0)) == 2.0
    assert amplification(one, (8, 4), (0, 0)) == 4.0


def test_amplification_of_a_raw_file_is_its_halo() -> None:
    raw = Described.of((1000, 1000), (1, 1))
    assert amplification(raw, (100, 100), (0, 0)) == 1.0
    assert amplification(raw, (1000, 1000), (50, 50)) == 1.0
    assert amplification(Described.of((0, 4), (1, 1)), (1, 1), (0, 0)) >= 0

"""Chunks decoded without zarr's event loop are those that zarr decodes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    TransposeCodec,
    ZstdCodec,
)

from chunkseg.errors import FormatError
from chunkseg.storage import decoding, leaves
from chunkseg.storage.cache import ChunkCache
from chunkseg.storage.decoding import ChunkReader
from chunkseg.storage.leaves import ZarrSource

NEW = {
    "none": {"compressors": None},
    "zstd and checksum": {"compressors": [ZstdCodec(), Crc32cCodec()]},
    "blosc": {"compressors": BloscCodec(cname="lz4", shuffle="bitshuffle")},
    "gzip": {"compressors": GzipCodec()},
    "transposed": {"filters": [TransposeCodec(order=(1, 2, 0))]},
    "big-endian": {"serializer": BytesCodec(endian="big")},
    "fill": {"fill_value": 7},
}
OLD = {
    "none": {"compressors": None},
    "blosc": {"compressors": numcodecs.Blosc()},
    "zlib": {"compressors": numcodecs.Zlib()},
    "delta": {"filters": [numcodecs.Delta("<u2")], "compressors": numcodecs.LZ4()},
    "two filters": {"filters": [numcodecs.Delta("<u2"), numcodecs.Shuffle(2)]},
    "columns first": {"order": "F"},
    "big-endian": {"dtype": ">u2"},
    "no fill": {"fill_value": None},
}
FORMS = [*((3, options) for options in NEW.values()), *((2, options) for options in OLD.values())]
NAMES = [f"{version}, {name}" for version, names in ((3, NEW), (2, OLD)) for name in names]
SHAPE = (7, 9, 10)


def stored(path: Path, version: int, options: dict[str, Any], **more: Any) -> zarr.Array[Any]:
    whole = {"shape": SHAPE, "chunks": (4, 3, 5), "dtype": "<u2", **options, **more}
    array = zarr.create_array(path, zarr_format=version, **whole)
    array[:4] = (np.arange(4 * 90) % 250).reshape(4, 9, 10)
    array[4:, :, 5:] = 60
    return array


@pytest.mark.parametrize(("version", "options"), FORMS, ids=NAMES)
def test_regions_are_those_of_zarr(version: int, options: Any, tmp_path: Path) -> None:
    array = stored(tmp_path / "a.zarr", version, options)
    reader = ChunkReader.of(array)
    assert reader is not None
    for source in (ZarrSource(array), pickle.loads(pickle.dumps(ZarrSource(array)))):
        for spans in np.s_[:, :, :], np.s_[2:3, 1:9, 4:6], np.s_[6:, 8:, 9:], np.s_[:4, 3:6, :]:
            found, expected = source[spans], array[spans]
            assert found.dtype == expected.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found, expected)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_region(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    array = stored(tmp_path_factory.mktemp("stores") / "a.zarr", 3, {})
    reader = ChunkReader.of(array)
    assert reader is not None
    starts = [data.draw(st.integers(0, n - 1)) for n in SHAPE]
    spans = tuple(
        slice(a, data.draw(st.integers(a + 1, n))) for a, n in zip(starts, SHAPE, strict=True)
    )
    found = reader.read(spans)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, array[spans])
    found[:] = 0  # what is read belongs to the reader


@pytest.mark.parametrize("name", ["u1", "i8", "f2", "f8", "?"])
@pytest.mark.parametrize("version", [2, 3])
def test_types(name: str, version: int, tmp_path: Path) -> None:
    array = stored(tmp_path / "a.zarr", version, {"dtype": name})
    np.testing.assert_array_equal(ZarrSource(array)[1:6], array[1:6])
    assert ChunkReader.of(array) is not None


def test_what_is_left_to_zarr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = stored(tmp_path / "p.zarr", 3, {})
    sharded = stored(tmp_path / "s.zarr", 3, {"shards": (8, 9, 10)})
    assert ChunkReader.of(sharded) is None
    np.testing.assert_array_equal(ZarrSource(sharded)[1:6, 2:], sharded[1:6, 2:])
    assert ChunkReader.of(zarr.create_array({}, shape=(4,), chunks=(2,), dtype="u1")) is None
    assert ChunkReader.of(plain) is not None
    monkeypatch.setattr(decoding, "BatchedCodecPipeline", str)  # somebody configured another one
    assert ChunkReader.of(plain) is None


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("spans", [np.s_[:4, :3, :5], np.s_[1:3, :2, 1:]], ids=["whole", "cut"])
def test_a_damaged_chunk_is_named(
    version: int, spans: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaves, "CHUNKS", ChunkCache(2**20))
    array = stored(tmp_path / "a.zarr", version, {})
    name = array.metadata.encode_chunk_key((0, 0, 0))
    file = tmp_path / "a.zarr" / name
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(FormatError, match=f"chunk {name} of .* is damaged"):
        ZarrSource(array)[spans]

"""Missing chunks are counted, damaged ones named; both by the formats' own libraries' files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BytesCodec, Crc32cCodec, GzipCodec, ZstdCodec

from chunkseg.cli import main
from chunkseg.errors import FormatError, PathError
from chunkseg.storage import damage
from chunkseg.storage.opening import open_image
from tests.images import STACK, axes, save_ome, scale

UM: dict[str, Any] = {"spacing": 1, "unit": "um", "chunks": (1, 20, 24)}


def saved(path: Path, **options: Any) -> Path:
    options = {"chunks": (2, 10, 12), **options}
    zarr.create_array(path, data=STACK + 1, **options)
    return path


def chunk_of(path: Path, index: tuple[int, ...]) -> Path:
    array = zarr.open_array(path, mode="r")
    return path / array.metadata.encode_chunk_key(index)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("fill", [0, 7])
def test_missing_chunks_read_as_the_fill_value_and_are_counted(
    tmp_path: Path, zarr_format: Any, fill: int
) -> None:
    path = saved(tmp_path / "a.zarr", zarr_format=zarr_format, fill_value=fill)
    for index in ((0, 0, 1), (2, 1, 0)):
        chunk_of(path, index).unlink()
    expected = STACK + 1
    expected[:2, :10, 12:] = fill
    expected[4:, 10:, :12] = fill
    np.testing.assert_array_equal(open_image(path, **UM).values, expected)
    found = damage.missing_chunks(zarr.open_array(path, mode="r"))
    names = ("c/0/0/1", "c/2/1/0") if zarr_format == 3 else ("0.0.1", "2.1.0")
    assert found == damage.Missing(2, 12, names)


@settings(max_examples=30)
@given(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 1))), st.data())
def test_counting_missing_chunks(gone: set[tuple[int, int, int]], data: st.DataObject) -> None:
    store = zarr.storage.MemoryStore()
    shards = data.draw(st.sampled_from([None, (2, 10, 12)]))
    chunks = (2, 10, 12) if shards is None else (1, 5, 4)
    array = zarr.create_array(store, name="deep/a", data=STACK + 1, chunks=chunks, shards=shards)
    other = zarr.create_array(store, name="deep/ab", data=STACK + 1, chunks=(2, 10, 12))
    for index in gone:
        del store._store_dict[f"deep/a/c/{'/'.join(map(str, index))}"]
    found = damage.missing_chunks(array)
    assert found is not None
    assert (found.count, found.total) == (len(gone), 12)
    assert len(found.first) == min(len(gone), damage.MOST_LISTED)
    assert damage.missing_chunks(other) == damage.Missing(0, 12, ())


def test_a_store_that_can_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    array = zarr.create_array({}, data=STACK)
    monkeypatch.setattr(type(array.store), "supports_listing", False)
    assert damage.missing_chunks(array) is None
    monkeypatch.undo()

    def refuse(*_: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(type(array.store), "list_prefix", refuse)
    assert damage.missing_chunks(array) is None


CODECS: dict[str, dict[str, Any]] = {
    "zstd": {"compressors": [ZstdCodec()]},
    "gzip": {"compressors": [GzipCodec()]},
    "crc": {"compressors": [ZstdCodec(), Crc32cCodec()]},
    "plain": {"compressors": None, "serializer": BytesCodec()},
    "shards": {"chunks": (1, 5, 6), "shards": (2, 10, 12)},
    "v2": {"zarr_format": 2},
}


@pytest.mark.parametrize("codec", CODECS)
def test_a_truncated_chunk_is_named(tmp_path: Path, codec: str) -> None:
    path = saved(tmp_path / "a b.zarr", **CODECS[codec])
    chunk = chunk_of(path, (1, 0, 1))
    chunk.write_bytes(chunk.read_bytes()[:-7])
    opened = open_image(path, **UM)
    np.testing.assert_array_equal(opened[:2], STACK[:2] + 1)
    name = "1.0.1" if codec == "v2" else "c/1/0/1"
    with pytest.raises(FormatError, match=rf"chunk {name} of .*a b\.zarr is damaged or cut short"):
        opened.compute(scheduler="synchronous")


def test_a_flipped_bit_under_a_checksum_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zarr", **CODECS["crc"])
    chunk = chunk_of(path, (2, 1, 1))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(FormatError, match=r"chunk c/2/1/1 of .*a\.zarr"):
        open_image(path, **UM).compute(scheduler="synchronous")


def test_an_error_that_does_not_come_again_is_told_without_a_chunk() -> None:
    array = zarr.create_array({}, data=STACK)
    spans = tuple(slice(0, n) for n in STACK.shape)
    with (
        pytest.raises(FormatError, match=r"a chunk of .* is damaged"),
        damage.naming_chunk(array, spans),
    ):
        raise RuntimeError("once")


@pytest.mark.parametrize("error", [PermissionError(13, "no"), MemoryError(), PathError("gone")])
def test_errors_that_are_no_damage_pass(error: Exception) -> None:
    array = zarr.create_array({}, data=STACK)
    spans = tuple(slice(0, n) for n in STACK.shape)
    for naming in (damage.naming_chunk(array, spans), damage.naming_part("a", spans)):
        with pytest.raises(type(error)) as raised, naming:
            raise error
        assert raised.value is error


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd"])
def test_a_damaged_page_is_named(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 2**16, STACK.shape, np.uint16)
    kind: dict[str, Any] = {"metadata": {"axes": "ZYX"}, "photometric": "minisblack"}
    tifffile.imwrite(path, noise, compression=compression, ome=True, **kind)
    with tifffile.TiffFile(path) as tif:
        place, offset = tif.pages[3].dataoffsets[0], tif.pages[3].offset
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + b"\xff" * 40 + whole[place + 40 :])
    opened = open_image(path, **UM)
    np.testing.assert_array_equal(opened[:3], noise[:3])
    with pytest.raises(FormatError, match=rf"page at byte {offset} of .*a\.tif is damaged"):
        opened.compute(scheduler="synchronous")


# --- chunkseg info


def test_info_counts_missing_chunks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "a.zarr", fill_value=3)
    for index in np.ndindex(3, 2):
        chunk_of(path, (*index, 1)).unlink()
    assert main(["info", str(path)]) == 0
    lines = capsys.readouterr().out
    assert "missing    6 of 12 chunks are not stored and read as 3: c/0/0/1, " in lines
    assert lines.count("c/") == damage.MOST_LISTED


def test_info_tells_series_levels_and_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = {"bioformats2raw.layout": 3}
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2, attributes=layout)
    image = {"axes": axes("zyx"), "steps": [scale(2, 0.5, 0.5)]}
    for i in range(2):
        more: dict[str, Any] = {"image-label": {}} if i else {}
        save_ome(tmp_path / "a.zarr" / str(i), STACK[:2, :4, :4], dict(image), **more)
    assert main(["info", str(tmp_path / "a.zarr")]) == 2
    assert "2 images (0, 1)" in capsys.readouterr().err
    assert main(["info", str(tmp_path / "a.zarr"), "--series", "1", "--level", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "series     0: 0, 1: 1" in lines
    assert "levels     2, this is 1" in lines
    assert "pixels     labels, uint16, 0.00 MB in memory" in lines
    assert lines[-1] == "to measure these labels: chunkseg measure"


def test_info_of_uneven_coordinates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import xarray as xr

    z = xr.Variable("z", [0.0, 1, 2, 3, 4, 9], {"units": "um"})
    array = xr.DataArray(STACK, dims=("z", "y", "x"), coords={"z": z}, name="cells")
    array.to_zarr(tmp_path / "a.zarr", consolidated=False)
    assert main(["info", str(tmp_path / "a.zarr")]) == 0
    assert "z uneven, in micrometer" in capsys.readouterr().out


def test_info_where_the_store_can_not_be_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chunkseg.cli.info.missing_chunks", lambda array: None)
    assert main(["info", str(saved(tmp_path / "a.zarr"))]) == 0
    assert "missing    not known" in capsys.readouterr().out


@pytest.mark.parametrize("dtype", [np.uint32, np.int64])
def test_a_run_on_labels_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dtype: Any
) -> None:
    np.save(tmp_path / "a.npy", (STACK > 120).astype(dtype))
    options = ["--spacing", "1", "--unit", "um", "-o", str(tmp_path / "out")]
    main(["run", str(tmp_path / "a.npy"), *options])
    assert "may be a label image (its pixels are " in capsys.readouterr().err
    main(["run", str(tmp_path / "a.npy"), "--input-is-mask", *options, "--overwrite"])
    assert "may be a label image" not in capsys.readouterr().err


BAD = {
    "wrong magic bytes": ("a.tif", b"not a tiff at all", []),
    "no image": ("a.txt", b"text", []),
    "empty file": ("a.tif", b"", []),
    "level": ("a.npy", None, ["--level", "3"]),
    "series": ("a.npy", None, ["--series", "3"]),
    "axis twice": ("a.npy", None, ["--dims", "zyy"]),
    "channel": ("a.npy", None, ["--channel", "GFP"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_with_2(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, content, options = BAD[case]
    if content is None:
        np.save(tmp_path / name, STACK)
    else:
        (tmp_path / name).write_bytes(content)
    assert main(["info", str(tmp_path / name), *options]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("chunkseg: error: ")
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_bad_folders_end_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    tifffile.imwrite(mixed / "z0.tif", STACK[0])
    tifffile.imwrite(mixed / "z1.tif", STACK[0].astype(np.uint8))
    for folder, message in (("empty", "no .tif or .tiff"), ("mixed", "must be alike")):
        assert main(["info", str(tmp_path / folder)]) == 2
        assert message in capsys.readouterr().err


# --- metadata that can't be right


def patched_tag(path: Path, code: int, value: Any) -> Path:
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages.first.tags[code].overwrite(value)  # type: ignore[union-attr]
    return path


@pytest.mark.parametrize(
    ("code", "value", "message"),
    [
        (323, 2**30, "announces tiles or strips of .* bytes stored in"),
        (257, 2000, "announces 250 tiles or strips in a page and tells where 4 are"),
    ],
)
def test_tags_of_tiff_that_can_not_be_right(
    tmp_path: Path, code: int, value: int, message: str
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], tile=(16, 16), compression="zlib", metadata=None)
    with pytest.raises(FormatError, match=message):
        open_image(patched_tag(path, code, value))


def test_chunks_of_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zarr", zarr_format=2)
    document = path / ".zarray"
    array = zarr.open_array(path, mode="r")
    spans = tuple(slice(0, n) for n in STACK.shape)
    document.write_text(document.read_text().replace("12", "0"))
    with pytest.raises(FormatError, match=r"chunks of \(2, 10, 0\)"):
        open_image(path)
    broken = zarr.open_array(path, mode="r")
    assert broken.chunks != array.chunks
    with (
        pytest.raises(FormatError, match=r"the metadata of .* is damaged"),
        damage.naming_chunk(broken, spans),
    ):
        raise ZeroDivisionError


@pytest.mark.parametrize("junk", [[1], {"spacing": 1}, {"spacing": {"x": "a"}}, 5])
def test_a_stored_calibration_that_is_damaged(tmp_path: Path, junk: Any) -> None:
    names = ("z", "y", "x")
    path = saved(tmp_path / "a.zarr", attributes={"calibration": junk}, dimension_names=names)
    with pytest.raises(FormatError, match="attribute 'calibration' is damaged"):
        open_image(path)


@pytest.mark.parametrize("big", [False, True])
def test_pages_of_tiff_that_go_in_a_circle(tmp_path: Path, big: bool) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, compression="zlib", metadata=None, bigtiff=big)
    with tifffile.TiffFile(path) as tif:
        second, last = tif.pages[1].offset, tif.pages.next_page_offset
        size = tif.tiff.offsetsize
    content = bytearray(path.read_bytes())
    content[last : last + size] = second.to_bytes(size, "little")
    path.write_bytes(content)
    with pytest.raises(FormatError, match=f"comes back to byte {second}"):
        open_image(path, dims="zyx")


def test_a_page_that_is_not_like_the_others(tmp_path: Path) -> None:
    """Its tags are read again when it is decoded."""
    path = tmp_path / "a.tif"
    kind: dict[str, Any] = {"metadata": {"axes": "ZYX"}, "photometric": "minisblack"}
    tifffile.imwrite(path, STACK, compression="zlib", ome=True, **kind)
    opened = open_image(path, **UM)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages.useframes = False
        tif.pages[3].tags[257].overwrite(2**31)  # type: ignore[union-attr]
    np.testing.assert_array_equal(opened[:3], STACK[:3])
    with pytest.raises(FormatError, match=r"page of shape \(2147483648, 24\) where the others"):
        open_image(path, **UM)[3].compute(scheduler="synchronous")

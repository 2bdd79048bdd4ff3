"""Images in a bucket: opened by their metadata, read block by block, with faults in between."""

from __future__ import annotations

import itertools
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import xarray as xr
import zarr

import chunkseg as cs
from chunkseg.cli.entry import main
from chunkseg.errors import BlocksError, FormatError, PathError
from chunkseg.geometry.calibration import spacing_of
from chunkseg.storage.address import Address
from chunkseg.storage.places import move
from tests.buckets import BUCKET, Bucket, blobs, bucket_server

STACK = np.stack([blobs(seed=n) for n in range(6)])
SPACING = {"z": 0.7, "y": 0.25, "x": 0.25}
DOCUMENTS = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with bucket_server() as server:
        yield server


def image() -> xr.DataArray:
    return cs.from_array(STACK, spacing=SPACING, unit="um")


def uploaded(folder: Path) -> str:
    """Move a folder or file to the bucket; return its address."""
    address = Address(f"s3://{BUCKET}/{uuid.uuid4().hex}/{folder.name}")
    move(folder, address)
    return address.url


def ome(folder: Path, version: str) -> str:
    cs.save_image(image(), folder / "a.ome.zarr", chunks=(2, 16, 16), levels=2, ome_version=version)
    return uploaded(folder / "a.ome.zarr")


def plain(folder: Path, version: int) -> str:
    options: dict[str, Any] = {"dimension_names": ("z", "y", "x")} if version == 3 else {}
    array = zarr.create_array(
        folder / "a.zarr", data=STACK, chunks=(2, 16, 16), zarr_format=version, **options
    )
    if version == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = ["z", "y", "x"]
    return uploaded(folder / "a.zarr")


@pytest.fixture(params=["ome 0.5", "ome 0.4", "zarr 3", "zarr 2"])
def stored(request: pytest.FixtureRequest, bucket: Bucket, tmp_path: Path) -> str:
    kind, version = request.param.split()
    return ome(tmp_path, version) if kind == "ome" else plain(tmp_path, int(version))


def test_only_what_is_asked_for_is_read(stored: str, bucket: Bucket) -> None:
    """Opening reads no chunk; then one request is made for a chunk."""
    bucket.requests.clear()
    opened = cs.open_image(stored, chunks=(2, 16, 16))
    assert {method for method, _ in bucket.requests} <= {"GET", "HEAD"}
    got = [key for method, key in bucket.requests.elements() if method == "GET" and key]
    assert got
    assert {key.rsplit("/", 1)[-1] for key in got} <= set(DOCUMENTS)
    assert sum(bucket.requests.values()) <= 14
    bucket.requests.clear()
    np.testing.assert_array_equal(opened[:2, :16, 16:32].values, STACK[:2, :16, 16:32])
    assert sum(bucket.requests.values()) == 1
    np.testing.assert_array_equal(opened.values, STACK)


def test_it_is_the_image_that_was_stored(stored: str, bucket: Bucket) -> None:
    opened = cs.open_image(stored)
    assert opened.attrs["source"] == stored
    assert opened.dims == ("z", "y", "x")
    if "ome" in stored:
        assert spacing_of(opened, "zyx") == tuple(SPACING.values())
        assert cs.open_image(stored, level=1).shape == (6, 20, 22)


def test_the_workflow_of_a_stack_in_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    workflow = cs.Workflow(sigma=1, erosion_radius=1)
    options: dict[str, Any] = {"block_shape": (6, 16, 16), "workers": 2}
    there = workflow.run(ome(tmp_path, "0.5"), tmp_path / "there", **options)
    here = workflow.run(image(), tmp_path / "here", **options)
    np.testing.assert_array_equal(there.labels, here.labels)
    assert there.table.equals(here.table)


@pytest.mark.parametrize("status", [503, pytest.param(500, marks=pytest.mark.slow)])
def test_a_store_that_fails_for_a_while(
    status: int, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than the library tries: the block is read again."""
    monkeypatch.setattr("chunkseg.runner.retries.time.sleep", lambda seconds: None)
    stack = cs.open_image(ome(tmp_path, "0.5"))
    times = itertools.count()

    def fault(method: str, key: str) -> int | None:
        return status if "/0/c/" in key and next(times) < 12 else None

    bucket.fault = fault
    try:
        result = cs.Workflow(sigma=1).run(stack, tmp_path / "out", workers=1)
    finally:
        bucket.fault = lambda method, key: None
    assert next(times) > 12
    assert result.labels.shape == STACK.shape


def test_a_store_that_fails_for_good(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is done, and the run goes on when the store is there again."""
    monkeypatch.setattr("chunkseg.runner.retries.time.sleep", lambda seconds: None)
    stack = cs.open_image(ome(tmp_path, "0.5"))
    options: dict[str, Any] = {"block_shape": (6, 16, 16), "workers": 1}
    workflow = cs.Workflow(sigma=1)

    def progress(name: str, done: int, total: int) -> None:
        bucket.fault = lambda method, key: 403 if key.endswith("0/c/0/1/1") else None

    try:
        with pytest.raises(BlocksError, match="could not be done"):
            workflow.run(stack, tmp_path / "out", progress=progress, **options)
    finally:
        bucket.fault = lambda method, key: None
    result = workflow.run(stack, tmp_path / "out", **options)
    here = workflow.run(image(), tmp_path / "here", **options)
    np.testing.assert_array_equal(result.labels, here.labels)


def test_what_is_not_there(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    for address, words in (
        ("s3://nowhere/a.zarr", "no metadata of one"),
        (f"s3://{BUCKET}/none.zarr", "no metadata of one"),
    ):
        with pytest.raises(FormatError, match=words):
            cs.open_image(address)
        assert main(["info", address]) == 2
        assert words in capsys.readouterr().err


def test_no_credentials(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises((PathError, FormatError), match="credentials"):
        cs.open_image(f"s3://{BUCKET}/a.zarr")
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_chunk_that_is_damaged(bucket: Bucket, tmp_path: Path) -> None:
    address = ome(tmp_path, "0.5")
    chunk = Address(address) / "0" / "c" / "0" / "1" / "1"
    chunk.write_bytes(chunk.read_bytes()[:-2])
    with pytest.raises(FormatError, match=r"chunk c/0/1/1 of .* is damaged"):
        cs.open_image(address).compute()


def test_info_names_the_chunks_that_are_missing(
    bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = ome(tmp_path, "0.5")
    (Address(address) / "0" / "c" / "0" / "1" / "1").unlink()
    bucket.requests.clear()
    assert main(["info", address]) == 0
    assert "1 of 27 chunks are not stored and read as 0: c/0/1/1" in capsys.readouterr().out
    assert not [key for method, key in bucket.requests if "/c/" in key]


def test_a_zip_in_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    cs.save_image(image(), tmp_path / "a.ome.zarr")
    packed = Path(shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path / "a.ome.zarr"))
    opened = cs.open_image(f"zip::{uploaded(packed)}")
    assert spacing_of(opened, "zyx") == tuple(SPACING.values())
    np.testing.assert_array_equal(opened, STACK)


def test_a_file_is_downloaded_when_asked_for(bucket: Bucket, tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(
        file,
        STACK,
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "ZYX", "unit": "um", "spacing": 0.7},
    )
    address = uploaded(file)
    with pytest.raises(FormatError, match=f"simplecache::{address}"):
        cs.open_image(address)
    opened = cs.open_image(f"simplecache::{address}")
    np.testing.assert_array_equal(opened.values, STACK)
    assert spacing_of(opened, "zyx") == tuple(SPACING.values())

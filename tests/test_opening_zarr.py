"""Zarr wherever it lies, however laid out: axes, series, addresses, coordinates, shards."""

from __future__ import annotations

import contextlib
import functools
import http.server
import itertools
import pickle
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import tifffile
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import FsspecStore, ZipStore

from chunkseg.errors import FormatError, ParameterError, PathError
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.storage.opening import from_array, open_image
from chunkseg.storage.sources import ZarrSource, source_of
from tests.images import STACK, axes, save_ome, scale, translation

SMALL = STACK[:2, :4, :4]
IMAGE = {"axes": axes("zyx"), "steps": [scale(2, 0.5, 0.5)]}


def image() -> dict[str, Any]:
    return dict(IMAGE)


# --- axes


ORDERS = [
    "".join(order)
    for n in range(2, 6)
    for chosen in itertools.combinations("tczyx", n)
    for order in itertools.permutations(chosen)
]


@settings(max_examples=60)
@given(st.sampled_from(ORDERS), st.sampled_from(["0.4", "0.5"]), st.data())
def test_axes_in_every_order_and_subset(order: str, version: str, data: st.DataObject) -> None:
    """Each axis keeps its pixels, spacing, origin and unit, wherever it stands."""
    shape = tuple(data.draw(st.integers(2, 4)) for _ in order)
    steps = [data.draw(st.sampled_from([0.25, 0.5, 1.0, 3.0])) for _ in order]
    starts = [data.draw(st.sampled_from([0.0, -2.0, 7.5])) for _ in order]
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    store = zarr.storage.MemoryStore()
    metadata = {"axes": axes(order), "steps": [scale(*steps), translation(*starts)]}
    save_ome(store, pixels, metadata, version)
    found = read_group(store)
    assert found.dims == tuple(order)
    np.testing.assert_array_equal(found.source[...], pixels)
    for dim, step, start in zip(order, steps, starts, strict=True):
        if dim != "c":
            assert (found.calibration.spacing[dim], found.calibration.origin[dim]) == (step, start)
    spatial = [d for d in order if d not in "tc"]
    assert found.calibration.units == dict.fromkeys(spatial, "micrometer")


def read_group(store: Any) -> Any:
    from chunkseg.storage.formats import omezarr
    from chunkseg.storage.formats.asked import Asked

    group = zarr.open_group(store, mode="r")
    return omezarr.read(Asked("memory"), group, omezarr.ome_attributes(group))


def test_a_multiscale_among_several_is_chosen_by_series(
    tmp_path: Path, warnings: list[str]
) -> None:
    path = save_ome(tmp_path / "a.zarr", STACK, image())
    group = zarr.open_group(path)
    (only,) = group.attrs["multiscales"]  # type: ignore[misc]
    other = {**only, "name": "half", "datasets": [{**only["datasets"][1]}]}
    group.attrs["multiscales"] = [{**only, "name": "whole"}, other]
    assert open_image(path).shape == (6, 20, 24)
    assert "2 images (whole, half)" in warnings[0]
    assert open_image(path, series="half").shape == (6, 20, 12)
    assert len(warnings) == 1


def test_labels_are_told_as_such(tmp_path: Path) -> None:
    path = save_ome(tmp_path / "a.zarr", SMALL, image(), "0.5")
    assert "kind" not in open_image(path).attrs
    labels = zarr.open_group(path).create_group(
        "labels", attributes={"ome": {"labels": ["nuclei"]}}
    )
    save_ome(path / "labels" / "nuclei", SMALL, image(), "0.5", **{"image-label": {}})
    assert labels.name == "/labels"
    for place in (path / "labels" / "nuclei", path / "labels"):
        assert open_image(place).attrs["kind"] == "labels"


# --- series


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Eleven images as bioformats2raw writes them, with names in the OME-XML."""
    path = tmp_path / "a.zarr"
    zarr.open_group(path, mode="w", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    for i in range(11):
        save_ome(path / str(i), SMALL + i, image())
    (path / "OME").mkdir()
    names = "".join(f'<Image Name="field {i}"><Pixels/></Image>' for i in range(11))
    (path / "OME" / "METADATA.ome.xml").write_text(f'<OME xmlns="a">{names}</OME>')
    return path


def test_series_by_number_and_by_name(collection: Path) -> None:
    for series in (10, "10", "field 10"):
        found = open_image(collection, series=series)
        np.testing.assert_array_equal(found.values, SMALL + 10)
        assert spacing_of(found, "zyx") == (2, 0.5, 0.5)
    np.testing.assert_array_equal(open_image(collection / "2").values, SMALL + 2)
    with pytest.raises(FormatError, match=r"11 images \(field 0, field 1, .*series="):
        open_image(collection)
    for wrong in (11, -1, "field 11"):
        with pytest.raises(ParameterError, match=r"series=.* does not name one of series 0: field"):
            open_image(collection, series=wrong)


def test_series_without_names(collection: Path) -> None:
    document = collection / "OME" / "METADATA.ome.xml"
    for text in ("<OME/>", "no xml"):
        document.write_text(text)
        assert open_image(collection, series=10).shape == SMALL.shape
        with pytest.raises(FormatError, match=r"\(0, 1, 2, .*, 10\)"):
            open_image(collection)


def test_series_of_a_group_of_arrays_and_of_one_array(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for i, name in enumerate("pq"):
        group.create_array(name, data=STACK + i)
    np.testing.assert_array_equal(open_image(tmp_path / "a.zarr", series="q").values, STACK + 1)
    assert open_image(tmp_path / "a.zarr" / "q", series=0).shape == STACK.shape
    with pytest.raises(ParameterError, match="series=1"):
        open_image(tmp_path / "a.zarr" / "q", series=1)


def test_fields_of_a_well(tmp_path: Path) -> None:
    well = {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
    zarr.open_group(tmp_path / "A1.zarr", mode="w", zarr_format=2, attributes=well)
    for i in range(2):
        save_ome(tmp_path / "A1.zarr" / str(i), SMALL + i, image())
    np.testing.assert_array_equal(open_image(tmp_path / "A1.zarr", series=1).values, SMALL + 1)


# --- stores


def test_a_store_in_memory_and_its_parts() -> None:
    address = "memory://cells/a.zarr"
    save_ome(FsspecStore.from_url(address), SMALL, image(), "0.5")
    opened = open_image(address)
    assert (opened.attrs["source"], opened.name) == (address, "a")
    assert spacing_of(opened, "zyx") == (2, 0.5, 0.5)
    np.testing.assert_array_equal(opened.values, SMALL)
    np.testing.assert_array_equal(open_image(f"{address}/half").values, SMALL[..., ::2])
    again = pickle.loads(pickle.dumps(source_of(opened.data)))
    np.testing.assert_array_equal(again[1:2], SMALL[1:2])
    with pytest.raises(FormatError, match="no metadata of one"):
        open_image("memory://cells/b.zarr")


def test_a_store_over_http(tmp_path: Path) -> None:
    save_ome(tmp_path / "a.zarr", SMALL, image(), "0.5")
    with served(tmp_path) as address:
        opened = open_image(f"{address}/a.zarr", level=1)
        np.testing.assert_array_equal(opened.values, SMALL[..., ::2])
        with pytest.raises(FormatError, match="no metadata of one"):
            open_image(f"{address}/none.zarr")


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yields its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_address_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(FsspecStore, "from_url", missing)
    with pytest.raises(ParameterError, match=r"s3fs.*chunkseg\[remote\]"):
        open_image("s3://bucket/a.zarr")


def test_an_address_that_leads_nowhere() -> None:
    with pytest.raises(PathError, match="can't be read"):
        open_image("http://127.0.0.1:9/a.zarr")
    with pytest.raises(FormatError, match="bogus"):
        open_image("bogus://a.zarr")


def test_remote_files_are_refused_with_the_way_out(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": "ZYX"})
    whole = (tmp_path / "a.tif").read_bytes()
    fsspec.filesystem("memory").pipe("/cells/a.tif", whole)
    with pytest.raises(FormatError, match=r"'simplecache::memory://cells/a\.tif'"):
        open_image("memory://cells/a.tif")
    opened = open_image("simplecache::memory://cells/a.tif")
    assert opened.attrs["source"] == "simplecache::memory://cells/a.tif"
    np.testing.assert_array_equal(opened.values, STACK)
    with pytest.raises(PathError, match="can't be downloaded"):
        open_image("simplecache::memory://cells/b.tif")


def test_a_zip_file(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zarr.zip", mode="w") as store:
        save_ome(store, SMALL, image(), "0.5")
    opened = open_image(tmp_path / "a.zarr.zip")
    assert opened.name == "a"
    np.testing.assert_array_equal(opened.values, SMALL)
    inside = open_image(f"{tmp_path}/a.zarr.zip:/half")
    np.testing.assert_array_equal(inside.values, SMALL[..., ::2])
    again = pickle.loads(pickle.dumps(source_of(opened.data)))
    np.testing.assert_array_equal(again[1:2], SMALL[1:2])


def test_a_zip_file_with_a_folder_in_it(tmp_path: Path) -> None:
    save_ome(tmp_path / "a.zarr", SMALL, image())
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for file in (tmp_path / "a.zarr").rglob("*"):
            archive.write(file, f"folder/a.zarr/{file.relative_to(tmp_path / 'a.zarr')}")
    np.testing.assert_array_equal(open_image(tmp_path / "packed.zip").values, SMALL)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "none")
    with pytest.raises(FormatError, match="no metadata of one"):
        open_image(tmp_path / "other.zip")


def test_shards(tmp_path: Path) -> None:
    options = {"chunks": (2, 5, 6), "shards": (4, 10, 12), "dimension_names": ("z", "y", "x")}
    zarr.create_array(tmp_path / "a.zarr", data=STACK, **options)  # type: ignore[arg-type]
    opened = open_image(tmp_path / "a.zarr", spacing=1, unit="um")
    source = source_of(opened.data)
    assert isinstance(source, ZarrSource)
    assert source.chunks == (2, 5, 6)
    np.testing.assert_array_equal(opened.values, STACK)


# --- xarray


def stored_by_xarray(tmp_path: Path, coords: dict[str, Any], zarr_format: int = 3) -> Path:
    units = {"attrs": {"units": "micrometer"}}
    variables = {d: xr.Variable((d,), v, **(units if d != "c" else {})) for d, v in coords.items()}
    array = xr.DataArray(STACK, dims=tuple(coords), coords=variables, name="cells")
    array.to_zarr(tmp_path / "a.zarr", zarr_format=zarr_format, consolidated=False)
    return tmp_path / "a.zarr"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_coordinates_come_back_as_xarray_wrote_them(tmp_path: Path, zarr_format: int) -> None:
    y, x = 5 + 0.5 * np.arange(20), 0.25 * np.arange(24)
    path = stored_by_xarray(tmp_path, {"z": 2.0 * np.arange(6), "y": y, "x": x}, zarr_format)
    for place in (path, path / "cells"):
        opened = open_image(place)
        assert spacing_of(opened, "zyx") == (2, 0.5, 0.25)
        assert unit_of(opened, "zyx") == "micrometer"
        np.testing.assert_array_equal(opened.y, y)
    assert spacing_of(open_image(path, spacing={"y": 3}), "zyx") == (2, 3, 0.25)
    assert spacing_of(open_image(path, dims="tyx"), "tyx") == (1, 0.5, 0.25)


def test_our_own_images_through_xarray_and_back(tmp_path: Path) -> None:
    ours = from_array(STACK[None], "czyx", (0.29, 0.26, 0.26), "um", ["DAPI"], "cells")
    ours = ours.isel(y=slice(3, None))
    ours.to_zarr(tmp_path / "a.zarr", consolidated=False)
    opened = open_image(tmp_path / "a.zarr", dims="czyx")
    xr.testing.assert_identical(opened.drop_attrs(), ours.drop_attrs())
    for dim in "zyx":
        assert opened[dim].attrs == ours[dim].attrs
    by_xarray = xr.open_zarr(tmp_path / "a.zarr", consolidated=False)
    np.testing.assert_array_equal(by_xarray.cells, ours)


def test_falling_coordinates_are_kept(tmp_path: Path) -> None:
    z = 10 - 2.0 * np.arange(6)
    path = stored_by_xarray(tmp_path, {"z": z, "y": np.arange(20), "x": np.arange(24.0)})
    opened = open_image(path)
    np.testing.assert_array_equal(opened.z, z)
    assert spacing_of(opened, "zyx") == (2, 1, 1)


@pytest.mark.parametrize("z", [[0, 1, 2, 3, 4, 6.5], [0, 1, 0, 1, 0, 0], [0, np.nan, 2, 3, 4, 5]])
def test_uneven_coordinates_are_kept_and_refused_for_spacing(tmp_path: Path, z: Any) -> None:
    path = stored_by_xarray(tmp_path, {"z": z, "y": np.arange(20), "x": np.arange(24.0)})
    opened = open_image(path)
    np.testing.assert_array_equal(opened.z, z)
    assert "spacing" not in opened.z.attrs
    with pytest.raises(ParameterError, match="along z are not evenly spaced"):
        spacing_of(opened, "zyx")
    assert spacing_of(open_image(path, spacing={"z": 2}), "z") == (2,)


def test_times_of_xarray(tmp_path: Path) -> None:
    seconds = xr.Variable(("t",), 5.0 * np.arange(6), {"units": "seconds since 2020-01-01"})
    array = xr.DataArray(STACK, dims=("t", "y", "x"), coords={"t": seconds}, name="cells")
    array.to_zarr(tmp_path / "a.zarr", consolidated=False)
    opened = open_image(tmp_path / "a.zarr")
    assert (spacing_of(opened, "t"), unit_of(opened, "t")) == ((5.0,), "second")


def test_names_of_channels_of_xarray(tmp_path: Path) -> None:
    names = [f"stain {i}" for i in range(6)]
    array = xr.DataArray(STACK, dims=("c", "y", "x"), coords={"c": names}, name="cells")
    array.to_zarr(tmp_path / "a.zarr", consolidated=False)
    np.testing.assert_array_equal(open_image(tmp_path / "a.zarr", channel="stain 4"), STACK[4])


@pytest.mark.parametrize("key", ["scale_factor", "add_offset"])
def test_packed_numbers_are_refused(tmp_path: Path, key: str) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=STACK, attributes={key: 2.0})
    with pytest.raises(FormatError, match=rf"packed by {key}.*xarray\.open_zarr"):
        open_image(tmp_path / "a.zarr")


def test_datasets_with_several_images_ask(tmp_path: Path) -> None:
    both = xr.Dataset({n: (("z", "y", "x"), STACK + i) for i, n in enumerate(["raw", "clean"])})
    both.to_zarr(tmp_path / "a.zarr", consolidated=False)
    with pytest.raises(FormatError, match=r"2 images \(clean, raw\).*series="):
        open_image(tmp_path / "a.zarr")
    np.testing.assert_array_equal(open_image(tmp_path / "a.zarr", series="clean"), STACK + 1)


# --- laziness


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("where", ["local", "memory"])
def test_opening_reads_metadata_only_and_little(
    tmp_path: Path, reads: list[str], version: str, where: str
) -> None:
    place = tmp_path / "a.zarr" if where == "local" else f"memory://{tmp_path.name}/a.zarr"
    store = place if where == "local" else FsspecStore.from_url(str(place))
    save_ome(store, SMALL, image(), version)
    reads.clear()
    opened = open_image(place)
    documents = {key.rsplit("/", 1)[-1] for key in reads}
    assert documents <= {"zarr.json", ".zgroup", ".zarray", ".zattrs"}
    assert len(reads) == {"0.4": 5, "0.5": 3}[version]
    reads.clear()
    assert source_of(opened.data)[0, 0, 0] == 0  # type: ignore[index]
    assert len(reads) == 1


def test_opening_a_huge_store_is_the_same(tmp_path: Path, reads: list[str]) -> None:
    """A terabyte by its metadata, without a chunk stored."""
    options: dict[str, Any] = {"shape": (8000, 8000, 8000), "chunks": (64,) * 3, "dtype": "u2"}
    zarr.create_array(tmp_path / "a.zarr", **options)
    reads.clear()
    opened = open_image(tmp_path / "a.zarr", spacing=1, unit="um")
    assert opened.nbytes == 1024 * 10**9
    assert reads == ["zarr.json"]


@pytest.mark.parametrize("shape", [(2**40, 4, 4), (4, 2**24 + 1)])
def test_an_axis_longer_than_any_image(tmp_path: Path, shape: tuple[int, ...]) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=shape, chunks=(4,) * len(shape), dtype="u2")
    with pytest.raises(FormatError, match="of at most 16777216"):
        open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_level_by_its_own_path_keeps_its_calibration(
    tmp_path: Path, warnings: list[str], version: str
) -> None:
    path = save_ome(tmp_path / "a.zarr", SMALL, image(), version)
    opened = open_image(path / "half")
    np.testing.assert_array_equal(opened.values, SMALL[..., ::2])
    xr.testing.assert_identical(opened.x, open_image(path, level=1).x)
    assert opened.attrs["source"] == str(path / "half")
    assert not warnings
    with pytest.raises(ParameterError, match="1 resolution level"):
        open_image(path / "half", level=1)
    group = zarr.open_group(path)
    group.create_array("more", data=SMALL)
    assert unit_of(open_image(path / "more"), "x") == "pixel"


@pytest.mark.parametrize("junk", [5, [], [5], [{}], [{"datasets": [5]}], [{}, {}]])
def test_an_array_beside_rubbish(tmp_path: Path, junk: Any) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", attributes={"multiscales": junk})
    group.create_array("full", data=SMALL)
    assert open_image(tmp_path / "a.zarr" / "full").shape == SMALL.shape

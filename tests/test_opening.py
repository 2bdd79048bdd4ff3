"""Opening files of each format: axes, pixels, calibration, traps and errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import xarray as xr
import zarr

from chunkseg.errors import FormatError, KindError, ParameterError, PathError
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.storage.formats.asked import Asked
from chunkseg.storage.formats.folder import counted_by_words
from chunkseg.storage.opening import from_array, open_image
from chunkseg.storage.sources import FileSource, Stack, TiffSource, View, ZarrSource, source_of
from tests.images import STACK, axes, save_ome, save_ome_set, save_planes, scale, translation

UM = {"unit": "um"}


def assert_same(image: xr.DataArray, pixels: np.ndarray[Any, Any]) -> None:
    assert image.dtype == pixels.dtype.newbyteorder("=")
    assert image.dtype.isnative
    np.testing.assert_array_equal(image.values, pixels)


# --- the shared stacks


def first_file(folder: Path) -> Path:
    return next(p for p in sorted(folder.iterdir()) if p.suffix in (".tif", ".tiff"))


def test_nuclei(shared_data: Path) -> None:
    file = first_file(shared_data / "nuclei-zyx")
    image = open_image(file)
    assert (image.dims, image.shape) == (("z", "y", "x"), (37, 118, 132))
    assert spacing_of(image, "zyx") == pytest.approx((4.0, 0.8286, 0.8286), abs=5e-5)
    assert spacing_of(image, "z") == (4.0,)
    assert unit_of(image, "zyx") == "micrometer"
    assert image.attrs["source"] == str(file)
    assert isinstance(source_of(image.data), FileSource)
    assert_same(image, tifffile.imread(file))


def test_dna_has_channels_after_z(shared_data: Path) -> None:
    file = first_file(shared_data / "dna-zcyx")
    image = open_image(file)
    assert (image.dims, image.shape) == (("z", "c", "y", "x"), (45, 2, 130, 133))
    assert image.data.chunksize[1] == 1
    first = open_image(file, channel=0)
    assert first.dims == ("z", "y", "x")
    assert_same(first, tifffile.imread(file)[:, 0])
    assert isinstance(source_of(first.data), View)
    assert spacing_of(first, "z") == pytest.approx((0.4994,), abs=5e-5)
    xr.testing.assert_identical(open_image(file, channel="1"), open_image(file, channel=1))


def test_mitosis_is_a_movie_without_calibration(shared_data: Path, warnings: list[str]) -> None:
    image = open_image(shared_data / "mitosis-movie")
    assert (image.dims, image.shape) == (("t", "y", "x"), (30, 190, 211))
    assert unit_of(image, "yx") == "pixel"
    assert len(warnings) == 1
    assert "y, x" in warnings[0]
    assert "spacing=" in warnings[0]
    files = sorted((shared_data / "mitosis-movie").iterdir())
    assert_same(image, np.stack([tifffile.imread(f) for f in files]))
    pattern = open_image(shared_data / "mitosis-movie" / "*T0000[0-4]*.tif")
    np.testing.assert_array_equal(pattern.values, image.values[:5])


def test_golgi(shared_data: Path, warnings: list[str]) -> None:
    image = open_image(first_file(shared_data / "golgi-tyx"))
    assert (image.dims, image.dtype) == (("t", "y", "x"), np.float32)
    assert spacing_of(image, "t") == (59.86,)
    assert unit_of(image, "t") == "second"
    assert not warnings
    assert_same(image, tifffile.imread(first_file(shared_data / "golgi-tyx")))


def test_plate_is_the_same_from_zarr_and_tiff(shared_data: Path) -> None:
    folder = shared_data / "mitotic-plate-ome-zarr"
    group = next(folder.glob("*.zarr"))
    from_zarr, from_tiff = open_image(group), open_image(first_file(folder))
    assert isinstance(source_of(from_zarr.data), View)
    assert from_zarr.dims == ("z", "y", "x")
    assert spacing_of(from_zarr, "zyx") == pytest.approx((3.0, 0.0852, 0.0852), abs=5e-5)
    xr.testing.assert_equal(from_zarr, from_tiff)
    for dim in "zyx":
        assert from_zarr[dim].attrs == from_tiff[dim].attrs
    coarse = open_image(group / "0", level=1)
    assert spacing_of(coarse, "x")[0] == 2 * spacing_of(from_zarr, "x")[0]


def test_labels_without_named_pages_need_dims(shared_data: Path) -> None:
    file = first_file(shared_data / "cells3d-labels")
    with pytest.raises(FormatError, match=r"QYX.*dims="):
        open_image(file)
    image = open_image(file, dims="zyx", spacing=(0.29, 0.26, 0.26), unit="um")
    assert spacing_of(image, "zyx") == (0.29, 0.26, 0.26)
    assert_same(image, tifffile.imread(file))


# --- npy


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "<f4", "?"])
def test_npy(tmp_path: Path, order: Any, dtype: str) -> None:
    pixels = np.asarray(STACK.astype(dtype), order=order)
    folder = tmp_path / "with spaces é [1]"
    folder.mkdir()
    np.save(folder / "a.npy", pixels)
    image = open_image(folder / "a.npy", spacing=2, **UM)
    assert image.dims == ("z", "y", "x")
    assert image.name == "a"
    assert_same(image, pixels)
    assert isinstance(source_of(image.data), View if order == "F" else FileSource)


def test_a_plane_of_a_stack_without_names_keeps_its_axes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK[:1])
    assert open_image(tmp_path / "a.npy").dims == ("z", "y", "x")
    np.save(tmp_path / "b.npy", STACK[None, :1])
    with pytest.raises(FormatError, match=r"shape \(1, 1, 20, 24\).*dims="):
        open_image(tmp_path / "b.npy")
    assert open_image(tmp_path / "b.npy", dims="tzyx").dims == ("t", "z", "y", "x")
    assert open_image(tmp_path / "b.npy", dims="tcyx", channel=0).dims == ("t", "y", "x")


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", STACK)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_image("~/a.npy").attrs["source"] == str(tmp_path / "a.npy")


def test_damaged_npy(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    np.save(file, STACK)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(FormatError, match=r"a\.npy"):
        open_image(file)
    np.save(file, np.array([[{}]]), allow_pickle=True)
    with pytest.raises(FormatError, match=r"a\.npy"):
        open_image(file)


@pytest.mark.parametrize("pixels", [np.zeros(3), np.zeros((2, 2), complex)])
def test_arrays_that_are_no_images(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    np.save(tmp_path / "a.npy", pixels)
    with pytest.raises(FormatError, match="an image has at least"):
        open_image(tmp_path / "a.npy", dims="yx")


# --- plain zarr


def save_zarr(path: Path, pixels: np.ndarray[Any, Any], **more: Any) -> Path:
    chunks = tuple(max(2, n // 2) for n in pixels.shape)
    array = zarr.create_array(path, data=pixels, chunks=chunks, **more)
    assert array.ndim == pixels.ndim
    return path


def test_zarr_v3_with_names(tmp_path: Path) -> None:
    path = save_zarr(tmp_path / "a.zarr", STACK, dimension_names=("t", "y", "x"))
    image = open_image(path, unit="pixel")
    assert image.dims == ("t", "y", "x")
    assert_same(image, STACK)
    assert isinstance(source_of(image.data), ZarrSource)


def test_zarr_v2_with_the_names_of_xarray(tmp_path: Path) -> None:
    names = {"_ARRAY_DIMENSIONS": ["T", "Y", "X"]}
    path = save_zarr(tmp_path / "a", STACK.astype(">u2"), zarr_format=2, attributes=names)
    image = open_image(path)
    assert image.dims == ("t", "y", "x")
    assert_same(image, STACK)


def test_zarr_without_names(tmp_path: Path) -> None:
    assert open_image(save_zarr(tmp_path / "a.zarr", STACK)).dims == ("z", "y", "x")
    four = save_zarr(tmp_path / "b.zarr", STACK[None])
    with pytest.raises(FormatError, match="dims="):
        open_image(four)
    names = ("dim_0", "dim_1", "dim_2")
    path = save_zarr(tmp_path / "c.zarr", STACK, dimension_names=names)
    assert open_image(path).dims == ("z", "y", "x")


def test_zarr_with_strange_names(tmp_path: Path) -> None:
    path = save_zarr(tmp_path / "a.zarr", STACK, dimension_names=("depth", "y", "x"))
    with pytest.raises(FormatError, match=r"depth.*dims="):
        open_image(path)
    assert open_image(path, dims="zyx").dims == ("z", "y", "x")


def test_a_dataset_of_xarray(tmp_path: Path) -> None:
    image = from_array(STACK, spacing=1, unit="um", name="cells")
    image.to_dataset().to_zarr(tmp_path / "a.zarr", consolidated=False)
    opened = open_image(tmp_path / "a.zarr")
    assert opened.dims == ("z", "y", "x")
    assert_same(opened, STACK)


def test_groups_that_are_not_one_image(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    with pytest.raises(FormatError, match=r"0 images \(none\)"):
        open_image(tmp_path / "a.zarr")
    for name in "pq":
        group.create_array(name, data=STACK)
    with pytest.raises(FormatError, match=r"2 images \(p, q\)"):
        open_image(tmp_path / "a.zarr")
    assert_same(open_image(tmp_path / "a.zarr" / "q"), STACK)
    group.attrs["plate"] = {}
    with pytest.raises(FormatError, match="plate of a screen"):
        open_image(tmp_path / "a.zarr")


def test_zarr_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(FormatError, match="no metadata of one"):
        open_image(tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    with pytest.raises(FormatError, match="can't be read as zarr"):
        open_image(tmp_path / "a.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_opening_zarr_reads_no_chunk(tmp_path: Path, reads: list[str], zarr_format: Any) -> None:
    path = save_zarr(tmp_path / "a.zarr", STACK, zarr_format=zarr_format)
    reads.clear()
    image = open_image(path, spacing=1, unit="um")
    from_array(zarr.open_array(path, mode="r"))
    assert set(reads) <= {"zarr.json", ".zarray", ".zattrs"}
    reads.clear()
    assert source_of(image.data)[:2, :2, :2].shape == (2, 2, 2)  # type: ignore[index]
    assert len(reads) == 1


def test_opened_zarr_can_not_be_written(tmp_path: Path) -> None:
    source = source_of(open_image(save_zarr(tmp_path / "a.zarr", STACK)).data)
    assert isinstance(source, ZarrSource)
    assert source.array.read_only
    with pytest.raises(ValueError, match="read-only"):
        source.array[:] = 0


# --- OME-Zarr


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_transformations_of_level_and_image_are_chained(tmp_path: Path, version: str) -> None:
    image = {
        "axes": axes("zyx", "micron"),
        "steps": [scale(2, 0.5, 0.25), translation(10, 0, 1)],
        "coordinateTransformations": [scale(3, 1, 2), translation(0.5, 0, 0), {"type": "identity"}],
    }
    opened = open_image(save_ome(tmp_path / "a.ome.zarr", STACK, image, version))
    assert spacing_of(opened, "zyx") == (6.0, 0.5, 0.5)
    assert [float(opened[d][0]) for d in "zyx"] == [30.5, 0.0, 2.0]
    assert unit_of(opened, "zyx") == "micrometer"
    assert opened.name == "a"
    assert_same(opened, STACK)


def test_channels_and_levels_of_ome_zarr(tmp_path: Path, warnings: list[str]) -> None:
    pixels = STACK.reshape(1, 2, 3, 20, 24)
    omero = {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}
    path = save_ome(tmp_path / "a.zarr", pixels, {"axes": axes("tczyx")}, omero=omero)
    image = open_image(path)
    assert image.dims == ("c", "z", "y", "x")
    assert image.c.values.tolist() == ["DAPI", "GFP"]
    assert not warnings
    assert_same(open_image(path, channel="GFP", level=1), pixels[0, 1, ..., ::2])
    with pytest.raises(ParameterError, match=r"2 resolution level.*level=2"):
        open_image(path, level=2)
    with pytest.raises(ParameterError, match="level=-1"):
        open_image(path, level=-1)
    for wrong in ("RFP", 2, -1, True):
        with pytest.raises(ParameterError, match=r"0: DAPI, 1: GFP"):
            open_image(path, channel=wrong)


def test_a_channel_name_that_comes_twice(tmp_path: Path) -> None:
    omero = {"channels": [{"label": "0"}, {"label": "0"}]}
    path = save_ome(tmp_path / "a.zarr", STACK[:2], {"axes": axes("cyx")}, omero=omero)
    with pytest.raises(ParameterError, match="does not name one"):
        open_image(path, channel="0")
    assert_same(open_image(path, channel=1), STACK[1])


def test_five_axes_of_a_flat_image_leave_two(tmp_path: Path) -> None:
    flat = save_ome(tmp_path / "a.zarr", STACK[None, None, :1], {"axes": axes("tczyx")})
    assert open_image(flat).dims == ("y", "x")
    stack = save_ome(tmp_path / "b.zarr", STACK[:1], {"axes": axes("zyx")})
    assert open_image(stack).dims == ("z", "y", "x")


def test_ome_zarr_without_units_is_not_calibrated(tmp_path: Path, warnings: list[str]) -> None:
    image = {"axes": axes("zyx", None), "steps": [scale(4, 2, 2)]}
    path = save_ome(tmp_path / "a.zarr", STACK, image)
    opened = open_image(path)
    assert spacing_of(opened, "zyx") == (1, 1, 1)
    assert unit_of(opened, "zyx") == "pixel"
    assert "without a unit" in warnings[0]
    assert spacing_of(open_image(path, unit="um"), "zyx") == (4, 2, 2)
    assert len(warnings) == 1


def test_an_unknown_unit_in_a_file_can_be_overridden(tmp_path: Path) -> None:
    image = {"axes": axes("zyx", "furlong"), "steps": [scale(4, 2, 2)]}
    path = save_ome(tmp_path / "a.zarr", STACK, image)
    with pytest.raises(FormatError, match=r"furlong.*unit="):
        open_image(path)
    assert unit_of(open_image(path, unit="um"), "zyx") == "micrometer"


def test_axes_as_names_and_no_axes(tmp_path: Path) -> None:
    old = save_ome(tmp_path / "a.zarr", STACK, {"axes": ["z", "y", "x"]})
    assert open_image(old).dims == ("z", "y", "x")
    older = save_ome(tmp_path / "b.zarr", STACK.reshape(2, 1, 3, 20, 24), {})
    assert open_image(older).dims == ("t", "z", "y", "x")
    lost = save_ome(tmp_path / "c.zarr", STACK, {})
    with pytest.raises(FormatError, match="dims="):
        open_image(lost)
    assert open_image(lost, dims="zyx").dims == ("z", "y", "x")


def test_collections(tmp_path: Path) -> None:
    layout = {"bioformats2raw.layout": 3}
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2, attributes=layout)
    save_ome(tmp_path / "a.zarr" / "0", STACK, {"axes": axes("zyx"), "name": "first"})
    image = open_image(tmp_path / "a.zarr")
    assert (image.name, image.dims) == ("first", ("z", "y", "x"))
    save_ome(tmp_path / "a.zarr" / "1", STACK, {"axes": axes("zyx")})
    with pytest.raises(FormatError, match=r"2 images \(0, 1\)"):
        open_image(tmp_path / "a.zarr")
    listed = {"series": ["1"]}
    zarr.open_group(tmp_path / "a.zarr" / "OME", mode="w", zarr_format=2, attributes=listed)
    assert open_image(tmp_path / "a.zarr").name == "1"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"axes": axes("yx")}, "names 2 axes for an array of 3"),
        ({"axes": axes("zyx"), "datasets": []}, "name no datasets"),
        ({"axes": axes("zyx"), "datasets": [{"path": "none"}]}, "'none' as the array"),
        ({"axes": axes("zyx"), "steps": [{"type": "affine"}]}, "not understood"),
        ({"axes": axes("zyx"), "steps": [scale(1, 2)]}, "not understood"),
    ],
)
def test_ome_metadata_that_contradict(tmp_path: Path, image: dict[str, Any], message: str) -> None:
    path = save_ome(tmp_path / "a.zarr", STACK, dict(image))
    with pytest.raises(FormatError, match=message):
        open_image(path)


# --- TIFF


def test_imagej_hyperstack(tmp_path: Path) -> None:
    pixels = STACK.reshape(3, 2, 20, 24)
    told = {"axes": "TZYX", "spacing": -0.7, "unit": "\\u00B5m", "finterval": 2.5}
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, resolution=(4, 2), metadata=told)
    image = open_image(tmp_path / "a.tif")
    assert image.dims == ("t", "z", "y", "x")
    assert spacing_of(image, "tzyx") == (2.5, 0.7, 0.5, 0.25)
    assert (unit_of(image, "t"), unit_of(image, "zyx")) == ("second", "micrometer")
    assert image.data.chunksize[0] == 1
    assert_same(image, pixels)


def test_z_spacing_of_a_movie_is_not_used(tmp_path: Path) -> None:
    told = {"axes": "TYX", "spacing": 0.7, "unit": "nm"}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4, 4), metadata=told)
    image = open_image(tmp_path / "a.tif")
    assert spacing_of(image, "t") == (1.0,)
    assert "units" not in image.t.attrs
    assert unit_of(image, "yx") == "nanometer"


@pytest.mark.parametrize("unit", [None, "inch", "pixel"])
def test_printing_resolution_is_no_calibration(
    tmp_path: Path, warnings: list[str], unit: str | None
) -> None:
    told = {"axes": "ZYX", **({"unit": unit} if unit else {})}
    tifffile.imwrite(
        tmp_path / "a.tif", STACK, imagej=True, resolution=(72, 72), resolutionunit=2, metadata=told
    )
    image = open_image(tmp_path / "a.tif")
    assert spacing_of(image, "zyx") == (1, 1, 1)
    assert unit_of(image, "zyx") == "pixel"
    assert len(warnings) == 1
    tifffile.imwrite(tmp_path / "b.tif", STACK[0], resolution=(72, 72), resolutionunit=3)
    assert unit_of(open_image(tmp_path / "b.tif"), "yx") == "pixel"


def test_channels_of_imagej(tmp_path: Path) -> None:
    told = {"axes": "CYX", "Labels": ["DAPI", "GFP"]}
    tifffile.imwrite(tmp_path / "a.tif", STACK[:2], imagej=True, metadata=told)
    assert open_image(tmp_path / "a.tif").c.values.tolist() == ["DAPI", "GFP"]
    assert_same(open_image(tmp_path / "a.tif", channel="GFP"), STACK[1])


def save_ome_tiff(path: Path, pixels: np.ndarray[Any, Any], names: str, **more: Any) -> Path:
    told = {
        "axes": names,
        "PhysicalSizeX": 100.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 100.0,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 500.0,
        "PhysicalSizeZUnit": "nm",
        "TimeIncrement": 3.0,
        **more,
    }
    tifffile.imwrite(path, pixels, metadata=told, ome=True)
    return path


def test_ome_tiff(tmp_path: Path) -> None:
    names = {"Channel": {"Name": ["DAPI", "GFP"]}}
    path = save_ome_tiff(tmp_path / "a.tif", STACK.reshape(2, 3, 20, 24), "CZYX", **names)
    image = open_image(path)
    assert image.dims == ("c", "z", "y", "x")
    assert image.c.values.tolist() == ["DAPI", "GFP"]
    assert spacing_of(image, "zyx") == (500.0, 100.0, 100.0)
    assert unit_of(image, "zyx") == "nanometer"
    assert_same(image, STACK.reshape(2, 3, 20, 24))


def test_ome_tiff_in_default_units_and_with_one_channel(tmp_path: Path) -> None:
    told = {"axes": "TYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "TimeIncrement": 3.0}
    told = {**told, "Channel": {"Name": "DAPI"}}
    tifffile.imwrite(tmp_path / "a.tif", STACK, metadata=told, ome=True)
    image = open_image(tmp_path / "a.tif", channel="DAPI")
    assert image.dims == ("t", "y", "x")
    assert (unit_of(image, "t"), unit_of(image, "yx")) == ("second", "micrometer")
    assert spacing_of(image, "tyx") == (3.0, 0.1, 0.1)


def test_ome_without_pixels(tmp_path: Path) -> None:
    from chunkseg.storage.formats import tiff

    assert tiff._ome("<OME><Image/></OME>", 1, 0).channels is None
    assert tiff._ome("<OME><Image/></OME>", 2, 0).calibration.spacing == {}


@pytest.mark.parametrize("layout", ["zlib", "tiles", "gaps", "big", "planes"])
def test_pages_in_any_layout(tmp_path: Path, layout: str) -> None:
    path, kind = tmp_path / "a.tif", TiffSource
    if layout == "gaps":
        kind = FileSource
        with tifffile.TiffWriter(path) as tif:
            for plane in STACK:
                tif.write(plane, contiguous=False, metadata=None)
    else:
        options: dict[str, Any] = {
            "zlib": {"compression": "zlib", "predictor": True, "metadata": None},
            "tiles": {"tile": (16, 16), "metadata": None},
            "big": {"compression": "zlib", "bigtiff": True, "byteorder": ">", "metadata": None},
            "planes": {"compression": "zlib", "volumetric": True, "metadata": {"axes": "ZYX"}},
        }[layout]
        tifffile.imwrite(path, STACK, photometric="minisblack", **options)
    image = open_image(path, dims="zyx")
    source = source_of(image.data)
    leaf = source.members[0] if isinstance(source, Stack) else source
    assert isinstance(leaf, kind)
    assert_same(image, STACK)


def test_pages_of_several_files(tmp_path: Path) -> None:
    image = open_image(save_ome_set(tmp_path) / "z0.ome.tif")
    assert image.dims == ("z", "y", "x")
    assert_same(image, STACK[:2])
    (tmp_path / "z1.ome.tif").unlink()
    with pytest.raises(FormatError, match="lacks 1 of the 2 pages"):
        open_image(tmp_path / "z0.ome.tif")


def test_opening_tiff_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, compression="zlib", imagej=False, metadata=None)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("pixels were read")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    monkeypatch.setattr(tifffile.TiffPage, "segments", refuse)
    monkeypatch.setattr(tifffile.FileHandle, "read_segments", refuse)
    monkeypatch.setattr(np, "memmap", refuse)
    image = open_image(tmp_path / "a.tif", dims="zyx")
    with pytest.raises(FormatError, match="pixels were read"):
        image[0].compute(scheduler="synchronous")


def test_colours_are_channels(tmp_path: Path) -> None:
    colour = np.arange(7 * 8 * 3, dtype=np.uint8).reshape(7, 8, 3)
    tifffile.imwrite(tmp_path / "a.tif", colour, photometric="rgb", metadata=None)
    image = open_image(tmp_path / "a.tif")
    assert image.dims == ("y", "x", "c")
    assert image.c.values.tolist() == ["red", "green", "blue"]
    assert_same(open_image(tmp_path / "a.tif", channel="green"), colour[..., 1])


def test_the_first_of_several_images_is_opened_with_a_warning(
    tmp_path: Path, warnings: list[str]
) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(STACK[0], metadata=None)
        tif.write(STACK[0, :5, :5], metadata=None)
    assert_same(open_image(tmp_path / "a.tif", spacing=1, unit="um"), STACK[0])
    assert "2 images of shapes (20, 24), (5, 5)" in warnings[0]


def test_levels_of_a_pyramid(tmp_path: Path) -> None:
    told = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        tif.write(STACK[0], subifds=1, metadata=told, compression="zlib")
        tif.write(STACK[0, ::2, ::2], subfiletype=1, compression="zlib")
    image = open_image(tmp_path / "a.ome.tif", level=1)
    assert spacing_of(image, "yx") == (0.5, 1.0)
    assert_same(image, STACK[0, ::2, ::2])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"imagej": True}])
def test_a_tiff_cut_short_is_refused_or_whole(tmp_path: Path, options: dict[str, Any]) -> None:
    """Not opened with fewer planes, as tifffile would."""
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 2**16, STACK.shape, np.uint16)
    more = {} if "imagej" in options else {"metadata": None}
    tifffile.imwrite(path, noise, photometric="minisblack", **options, **more)
    whole = path.read_bytes()
    refused = 0
    for cut in (1, 2, 10, 50, 100, 200, 500, 1000, 2000, 5000, len(whole) - 20):
        path.write_bytes(whole[:-cut])
        try:
            image = open_image(path, dims="zyx")
        except FormatError:
            refused += 1
        else:
            assert_same(image, noise)
    assert refused >= 3


def test_contiguous_pixels_cut_short_are_refused(tmp_path: Path) -> None:
    """As in ImageJ's files of more than 4 GB: one page, all planes behind it."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(STACK, photometric="minisblack", metadata={"axes": "ZYX"}, tile=(32, 32))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match="cut short"):
        open_image(path, dims="zyx")


def test_rubbish_behind_the_mark_of_tiff(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0" + b"\xff" * 4)
    with pytest.raises(FormatError, match=r"a\.tif"):
        open_image(tmp_path / "a.tif")


def test_an_unreadable_file_among_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_planes(tmp_path / "a", ["t0.tif", "t1.tif"])

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(PathError, match=r"t0\.tif can't be read.*Permission denied"):
        open_image(folder)


def test_pages_that_do_not_make_up_the_image() -> None:
    from chunkseg.storage.formats import tiff

    with pytest.raises(FormatError, match="do not make up"):
        tiff._outer_inner("a.tif", (4, 5, 6), 3, 30)


def test_a_tiff_without_images() -> None:
    from chunkseg.storage.formats import tiff

    class Empty:
        series: tuple[()] = ()

    with pytest.raises(FormatError, match="without images"):
        tiff._read(Asked("a.tif"), Empty())


# --- folders and patterns


@pytest.mark.parametrize("layout", ["plain", "zlib"])
def test_planes_in_natural_order(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "my planes µ"
    folder.mkdir()
    many = np.concatenate([STACK, STACK[::-1] + 1])
    for i, plane in enumerate(many):
        options = {"compression": "zlib"} if layout == "zlib" else {}
        tifffile.imwrite(folder / f"cell 2_z{i + 3}.TIF", plane, **options)
    (folder / "._cell 2_z3.TIF").write_bytes(b"rubbish")
    (folder / "notes.txt").write_text("notes")
    image = open_image(folder)
    assert image.dims == ("z", "y", "x")
    assert image.name == "my planes µ"
    assert_same(image, many)
    assert_same(open_image(folder / "*z[3-5].TIF"), many[:3])


def test_stacks_in_time(tmp_path: Path) -> None:
    for i in range(3):
        tifffile.imwrite(
            tmp_path / f"T{i:04}.tif", STACK + i, imagej=True, metadata={"axes": "ZYX"}
        )
    image = open_image(tmp_path)
    assert image.dims == ("t", "z", "y", "x")
    assert_same(image[2], STACK + 2)


@pytest.mark.parametrize(
    ("names", "axis"),
    [
        (["a_T0001.tif", "a_T0002.tif"], "t"),
        (["t001.tif", "t002.tif"], "t"),
        (["Z01", "Z02"], "z"),
        (["imgZ1", "imgZ2"], "z"),
        (["x_time=1", "x_time=2"], "t"),
        (["s slice 1", "s slice 3", "s slice 5"], "z"),
        (["w1_ch00", "w1_ch01"], "c"),
        (["SPIM_TL1", "SPIM_TL2"], None),
        (["shot1", "shot2"], None),
        (["1", "2"], None),
        (["t1_z1", "t1_z2", "t2_z1"], None),
        (["a1", "b1"], None),
    ],
)
def test_axis_of_names(names: list[str], axis: str | None) -> None:
    found = counted_by_words(names)
    assert found.axes == (axis,)
    assert bool(found.doubt) == (axis is None)


def test_names_that_do_not_tell_the_axis(tmp_path: Path) -> None:
    folder = save_planes(tmp_path / "a", ["p1.tif", "p2.tif", "p10.tif"])
    with pytest.raises(FormatError, match=r"3 files, p1.tif to p10.tif.*dims="):
        open_image(folder)
    assert_same(open_image(folder, dims="zyx"), STACK[:3])


@pytest.mark.parametrize("names", [["t1", "t2", "t4"], ["t1", "t3", "t4"], ["t1", "t01", "t2"]])
def test_a_gap_in_the_numbers_is_not_passed_over(tmp_path: Path, names: list[str]) -> None:
    folder = save_planes(tmp_path / "a", [f"{n}.tif" for n in names])
    with pytest.raises(FormatError, match="not evenly spaced"):
        open_image(folder)
    assert open_image(folder, dims="tyx").shape == (3, 20, 24)


def test_files_that_count_an_axis_they_have(tmp_path: Path) -> None:
    for i in range(2):
        path = tmp_path / f"z{i}.tif"
        tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(FormatError, match=r"an axis z of its own.*dims="):
        open_image(tmp_path)


def test_files_that_differ_are_named(tmp_path: Path) -> None:
    folder = save_planes(tmp_path / "a", ["t0.tif", "t1.tif"])
    tifffile.imwrite(folder / "t2.tif", STACK[0, :5])
    with pytest.raises(FormatError, match=r"t2\.tif has shape.*must be alike"):
        open_image(folder)
    tifffile.imwrite(folder / "t2.tif", STACK[0].astype(np.uint8))
    with pytest.raises(FormatError, match=r"t2\.tif"):
        open_image(folder)
    (folder / "t2.tif").write_text("no tiff")
    with pytest.raises(FormatError, match=r"t2\.tif is no TIFF"):
        open_image(folder)
    (folder / "t2.tif").unlink()
    (folder / "t2.tif").mkdir()
    with pytest.raises(FormatError, match=r"t2\.tif is a folder"):
        open_image(folder)


def test_a_folder_of_one_file_is_that_file(tmp_path: Path) -> None:
    assert open_image(save_planes(tmp_path / "a", ["p1.tif"])).dims == ("y", "x")


# --- paths, overrides


def test_paths_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PathError, match="nothing at"):
        open_image(tmp_path / "none.tif")
    with pytest.raises(PathError, match="no file matches"):
        open_image(tmp_path / "*.tif")
    with pytest.raises(FormatError, match=r"no \.tif or \.tiff"):
        open_image(tmp_path)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(FormatError, match="not an image in a known format"):
        open_image(tmp_path / "a.txt")

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(PathError, match="can't be read: Permission denied"):
        open_image(tmp_path)


def test_overrides_take_part_of_the_calibration(tmp_path: Path) -> None:
    path = save_ome_tiff(tmp_path / "a.tif", STACK, "ZYX")
    assert spacing_of(open_image(path, spacing={"z": 700}), "zyx") == (700, 100, 100)
    assert unit_of(open_image(path, spacing={"z": 700}), "zyx") == "nanometer"
    assert unit_of(open_image(path, unit="um"), "zyx") == "micrometer"
    renamed = open_image(path, dims="tyx")
    assert spacing_of(renamed, "tyx") == (1, 100, 100)
    with pytest.raises(ParameterError, match="names 2 axes"):
        open_image(path, dims="yx")


def test_one_warning_for_all_axes_and_none_when_told(tmp_path: Path, warnings: list[str]) -> None:
    np.save(tmp_path / "a.npy", STACK)
    open_image(tmp_path / "a.npy", spacing={"z": 1, "y": 1}, unit="um")
    assert len(warnings) == 1
    assert "along x;" in warnings[0]
    open_image(tmp_path / "a.npy", unit="pixel")
    open_image(tmp_path / "a.npy", spacing=2, unit="um")
    assert len(warnings) == 1


def test_chunks(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    path = tmp_path / "a.npy"
    assert open_image(path, chunks=(2, 20, 24)).data.chunksize == (2, 20, 24)
    assert open_image(path, chunks={"y": 5}).data.chunksize == (6, 5, 24)
    with pytest.raises(ParameterError, match=r"chunks= names axes \['c'\]"):
        open_image(path, chunks={"c": 1})


# --- from_array


@pytest.mark.parametrize("make", [np.asarray, da.from_array])
def test_arrays_are_wrapped_as_they_are(make: Any) -> None:
    array = make(STACK)
    image = from_array(array, "zyx", {"z": 0.29, "y": 0.26, "x": 0.26}, "micrometer", name="n")
    assert image.data is array
    assert image.name == "n"
    assert spacing_of(image, "zyx") == (0.29, 0.26, 0.26)
    assert from_array(array).name is None


def test_without_calibration_an_array_is_in_pixels(warnings: list[str]) -> None:
    image = from_array(STACK)
    assert image.dims == ("z", "y", "x")
    assert spacing_of(image, "zyx") == (1, 1, 1)
    assert unit_of(image, "zyx") == "pixel"
    assert not warnings
    with pytest.raises(ParameterError, match="pass unit="):
        from_array(STACK, spacing=0.5)
    with pytest.raises(ParameterError, match="dims="):
        from_array(STACK[None])


def test_a_zarr_array_is_wrapped_lazily() -> None:
    stored = zarr.create_array({}, data=STACK, chunks=(2, 20, 24), dimension_names=("t", "y", "x"))
    image = from_array(stored)
    assert image.dims == ("t", "y", "x")
    assert image.data.chunksize == (2, 20, 24)
    assert isinstance(source_of(image.data), ZarrSource)
    assert_same(image, STACK)
    assert from_array(stored, dims="zyx").dims == ("z", "y", "x")


def test_a_dataarray_is_calibrated_anew() -> None:
    pixels = STACK.reshape(2, 3, 20, 24)
    first = from_array(pixels, "czyx", (2, 0.5, 0.5), "um", ["a", "b"], "n")
    first.attrs["source"] = "here"
    again = from_array(first[:, 1:], spacing={"z": 3})
    assert spacing_of(again, "zyx") == (3, 0.5, 0.5)
    assert again.c.values.tolist() == ["a", "b"]
    assert (again.name, again.attrs["source"]) == ("n", "here")
    assert float(again.z[0]) == 0.0
    kept = from_array(first[:, 1:])
    xr.testing.assert_identical(kept, first[:, 1:])
    uneven = first.isel(x=[0, 1, 3])
    with pytest.raises(ParameterError, match="along x"):
        from_array(uneven)
    assert spacing_of(from_array(uneven, spacing=1), "x") == (1.0,)


def test_a_dataarray_without_units_keeps_its_steps() -> None:
    bare = xr.DataArray(STACK, dims=("t", "y", "x"), coords={"x": 0.5 * np.arange(24.0)})
    image = from_array(bare)
    assert spacing_of(image, "tyx") == (1, 1, 0.5)
    assert unit_of(from_array(bare, spacing=1, unit="um"), "yx") == "micrometer"


@pytest.mark.parametrize("array", [[[1, 2]], np.zeros((2, 2), complex), np.array([["a"]]), None])
def test_what_is_no_array_of_numbers(array: Any) -> None:
    with pytest.raises(KindError, match="from_array takes"):
        from_array(array)


def test_metadata_of_the_input_stay_untouched(tmp_path: Path) -> None:
    path = save_ome(tmp_path / "a.zarr", STACK, {"axes": axes("zyx")})
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    open_image(path).values.sum()
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == before
    assert json.loads(before[path / ".zattrs"])["multiscales"]

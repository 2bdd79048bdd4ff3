"""Calibration traps known from real files, one test each: right, or refused, never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import xarray as xr

import chunkseg as cs
from chunkseg.errors import FormatError, ParameterError
from chunkseg.geometry.calibration import spacing_of, unit_of
from chunkseg.geometry.units import is_time, is_unit
from chunkseg.storage.opening import from_array, open_image
from tests.images import STACK, axes, save_ome, scale


def imagej(tmp_path: Path, names: str = "ZYX", **told: Any) -> Path:
    """Write an ImageJ file of 4 pixels per unit; ``resolution`` etc. go to the tags."""
    tags = {k: told.pop(k) for k in ("resolution", "resolutionunit") if k in told}
    tags = {"resolution": (4, 4), "resolutionunit": 1, **tags}
    pixels = STACK if len(names) == 3 else STACK.reshape(2, 3, 20, 24)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": names, **told}, **tags)
    return path


def ome_tiff(tmp_path: Path, names: str = "ZYX", **told: Any) -> Path:
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK, metadata={"axes": names, **told}, ome=True)
    return tmp_path / "a.ome.tif"


@pytest.mark.parametrize(
    "unit", ["\\u00B5m", "\\u00b5m", "micron", "um", "micrometer", "microns", "micrometre"]
)
def test_micrometers_in_every_spelling(tmp_path: Path, unit: str, warnings: list[str]) -> None:
    opened = open_image(imagej(tmp_path, spacing=2.0, unit=unit))
    assert spacing_of(opened, "zyx") == (2.0, 0.25, 0.25)
    assert unit_of(opened, "zyx") == "micrometer"
    assert not warnings


@pytest.mark.parametrize("unit", ["pixel", "px", "pixels", "voxel"])
def test_pixels_are_no_calibration(tmp_path: Path, unit: str, warnings: list[str]) -> None:
    opened = open_image(imagej(tmp_path, spacing=2.0, unit=unit))
    assert spacing_of(opened, "zyx") == (1, 1, 1)
    assert unit_of(opened, "zyx") == "pixel"
    assert "no physical spacing along z, y, x" in warnings[0]


def patched_resolution(path: Path, numerator: int, denominator: int) -> Path:
    """Overwrite XResolution, which tifffile would not write as 0."""
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages.first.tags[282].overwrite((numerator, denominator))
    return path


@pytest.mark.parametrize("fraction", [(0, 1000), (1000, 0), (0, 0)])
def test_a_resolution_of_nothing(
    tmp_path: Path, fraction: tuple[int, int], warnings: list[str]
) -> None:
    path = patched_resolution(imagej(tmp_path, spacing=2.0, unit="um"), *fraction)
    opened = open_image(path)
    assert spacing_of(opened, "zyx") == (2.0, 0.25, 1.0)
    assert [unit_of(opened, d) for d in "zyx"] == ["micrometer", "micrometer", "pixel"]
    assert "no physical spacing along x;" in warnings[0]
    with pytest.raises(ParameterError, match="different units"):
        unit_of(opened, "zyx")


def test_per_centimetre_beside_um_is_converted_as_imagej_does(
    tmp_path: Path, warnings: list[str]
) -> None:
    path = imagej(tmp_path, spacing=2.0, unit="um", resolution=(40000, 20000), resolutionunit=3)
    opened = open_image(path)
    assert spacing_of(opened, "zyx") == pytest.approx((2.0, 0.5, 0.25))
    assert not warnings


@pytest.mark.parametrize("unit", ["micron", "\\u00B5m", "micrometer"])
def test_per_centimetre_beside_another_micrometer_is_not_guessed(
    tmp_path: Path, unit: str, warnings: list[str]
) -> None:
    """ImageJ takes these for pixels per micrometer, the TIFF standard per centimetre."""
    opened = open_image(imagej(tmp_path, spacing=2.0, unit=unit, resolutionunit=3))
    assert unit_of(opened, "yx") == "pixel"
    assert "per centimetre by the TIFF's tags, but per " in warnings[0]
    assert "along y, x; taken as 1 pixel" in warnings[0]


def test_centimetres_that_agree(tmp_path: Path) -> None:
    opened = open_image(imagej(tmp_path, unit="cm", spacing=1.5, resolutionunit=3))
    assert (spacing_of(opened, "x"), unit_of(opened, "x")) == ((0.25,), "centimeter")


def test_spacing_missing_in_a_z_stack(tmp_path: Path, warnings: list[str]) -> None:
    """ImageJ writes no spacing of 1: which of the two it is can't be told."""
    opened = open_image(imagej(tmp_path, unit="micron"))
    assert (spacing_of(opened, "zyx"), unit_of(opened, "z")) == ((1, 0.25, 0.25), "pixel")
    assert "along z; taken as 1 pixel (ImageJ does not write a spacing of 1" in warnings[0]
    with pytest.raises(ParameterError, match="z: pixel, y: micrometer"):
        unit_of(opened, "zyx")
    told = open_image(imagej(tmp_path, unit="micron"), spacing={"z": 1})
    assert unit_of(told, "zyx") == "micrometer"


def test_frame_interval_without_an_axis_of_time(tmp_path: Path, warnings: list[str]) -> None:
    opened = open_image(imagej(tmp_path, spacing=2.0, unit="um", finterval=30.0))
    assert "t" not in opened.coords
    assert spacing_of(opened, "zyx") == (2.0, 0.25, 0.25)
    assert not warnings


def test_a_movie_that_says_it_is_a_stack(tmp_path: Path, warnings: list[str]) -> None:
    """A frame interval, no time, and a z without spacing."""
    opened = open_image(imagej(tmp_path, unit="um", finterval=30.0))
    assert opened.dims == ("z", "y", "x")
    assert any("if its z is time, pass dims='tyx'" in w for w in warnings)
    warnings.clear()
    opened = open_image(imagej(tmp_path, unit="um", finterval=30.0), dims="tyx")
    assert spacing_of(opened, "yx") == (0.25, 0.25)
    assert not warnings


def test_a_depth_in_seconds(tmp_path: Path, warnings: list[str]) -> None:
    image = {"axes": axes("zyx"), "steps": [scale(30, 0.5, 0.5)]}
    image["axes"][0]["unit"] = "second"
    opened = open_image(save_ome(tmp_path / "a.zarr", STACK, image))
    assert "gives its axis z in second" in warnings[0]
    assert "dims='tyx'" in warnings[0]
    with pytest.raises(ParameterError, match="z: second, y: micrometer"):
        unit_of(opened, "zyx")


def test_a_time_in_micrometers(tmp_path: Path, warnings: list[str]) -> None:
    image = {"axes": axes("tyx"), "steps": [scale(2, 0.5, 0.5)]}
    image["axes"][0]["unit"] = "micrometer"
    open_image(save_ome(tmp_path / "a.zarr", STACK, image))
    assert "gives its axis t in micrometer" in warnings[0]
    assert "dims='zyx'" in warnings[0]


def test_physical_size_without_a_unit_is_in_micrometers(
    tmp_path: Path, warnings: list[str]
) -> None:
    path = ome_tiff(tmp_path, PhysicalSizeX=0.25, PhysicalSizeY=0.5, PhysicalSizeZ=2.0)
    opened = open_image(path)
    assert spacing_of(opened, "zyx") == (2.0, 0.5, 0.25)
    assert unit_of(opened, "zyx") == "micrometer"
    assert not warnings


@pytest.mark.parametrize("unit", ["pixel", "reference frame"])
def test_physical_size_in_pixels_is_none(tmp_path: Path, unit: str, warnings: list[str]) -> None:
    sizes = {"PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0, "PhysicalSizeZ": 1.0}
    units = {f"{key}Unit": unit for key in sizes}
    opened = open_image(ome_tiff(tmp_path, **sizes, **units))
    assert unit_of(opened, "zyx") == "pixel"
    assert "no physical spacing along z, y, x" in warnings[0]


@pytest.mark.parametrize("size", ["", "wide", "nan", "-1", "0", "inf"])
def test_physical_size_that_is_no_size(tmp_path: Path, size: str, warnings: list[str]) -> None:
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    path = ome_tiff(tmp_path, **sizes)
    with tifffile.TiffFile(path) as tif:
        xml = tif.ome_metadata.replace('PhysicalSizeZ="2.0"', f'PhysicalSizeZ="{size}"')
    tifffile.tiffcomment(path, xml)
    opened = open_image(path)
    assert (spacing_of(opened, "z"), unit_of(opened, "z")) == ((1.0,), "pixel")
    assert "no physical spacing along z;" in warnings[0]


def test_units_that_differ_by_axis_are_not_converted(tmp_path: Path) -> None:
    sizes = {"PhysicalSizeX": 250.0, "PhysicalSizeY": 250.0, "PhysicalSizeZ": 2.0}
    opened = open_image(ome_tiff(tmp_path, **sizes, PhysicalSizeXUnit="nm"))
    with pytest.raises(ParameterError, match="x: nanometer"):
        unit_of(opened, "zyx")


def test_coordinates_that_fall_and_differ_by_axis() -> None:
    coords = {"z": 8 - 4.0 * np.arange(6), "y": 0.5 * np.arange(20), "x": 0.25 * np.arange(24)}
    image = xr.DataArray(STACK, dims=("z", "y", "x"), coords=coords)
    assert spacing_of(from_array(image), "zyx") == (4, 0.5, 0.25)


def test_uneven_coordinates_are_refused_for_what_needs_spacing() -> None:
    coords = {"z": [0.0, 1, 2, 3, 4, 9], "y": np.arange(20.0), "x": np.arange(24.0)}
    labels = xr.DataArray(STACK.astype(int), dims=("z", "y", "x"), coords=coords)
    with pytest.raises(ParameterError, match="along z are not evenly spaced"):
        cs.regionprops_table(labels, properties=("label", "area"), spacing="coords")


def test_an_axis_named_twice(tmp_path: Path) -> None:
    path = save_ome(tmp_path / "a.zarr", STACK, {"axes": axes("zyy")})
    with pytest.raises(FormatError, match=r"'z', 'y', 'y'.*dims="):
        open_image(path)
    with pytest.raises(ParameterError, match="at most once"):
        open_image(path, dims="zyy")


def test_spellings_of_time() -> None:
    assert is_time("sec")
    assert is_time("min")
    assert not is_time("micron")
    assert not is_unit("no unit", "second")


def test_tiff_and_ome_zarr_of_the_same_pixels_are_one_image(shared_data: Path) -> None:
    folder = shared_data / "mitotic-plate-ome-zarr"
    from_zarr = open_image(next(folder.glob("*.zarr")))
    from_tiff = open_image(next(p for p in folder.iterdir() if p.suffix in (".tif", ".tiff")))
    xr.testing.assert_equal(from_zarr, from_tiff)
    assert set(from_zarr.coords) == set(from_tiff.coords)
    for dim in from_zarr.dims:
        assert from_zarr[dim].attrs == from_tiff[dim].attrs

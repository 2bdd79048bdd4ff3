"""Images saved as OME-Zarr, and ``chunkseg convert``: the same image comes back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import xarray as xr
import zarr

import chunkseg as cs
from chunkseg.cli import main
from chunkseg.errors import (
    BlocksError,
    KindError,
    OutputExistsError,
    ParameterError,
)
from chunkseg.runner.execution import Execution
from chunkseg.storage.sources import source_of
from tests.images import STACK, save_planes

RNG = np.random.default_rng(7)
AXES = {"t": 2, "c": 3, "z": 4, "y": 9, "x": 7}


def image_of(dims: str, dtype: str = "u2", lazily: bool = False) -> xr.DataArray:
    shape = tuple(AXES[d] for d in dims)
    array = RNG.integers(0, 200, shape).astype(dtype)
    data = da.from_array(array, chunks=(2,) * len(dims)) if lazily else array
    spacing = {"t": 1.5, "z": 0.7, "y": 0.26, "x": 0.27}
    units = {"t": "second", "z": "um", "y": "um", "x": "um"}
    image = cs.from_array(
        data,
        dims,
        {d: s for d, s in spacing.items() if d in dims},
        {d: u for d, u in units.items() if d in dims},
        ["DAPI", "actin", "c"] if "c" in dims else None,
    )
    moved = {d: image[d] + 10 for d in dims if d in "zt"}
    attrs = {d: image[d].attrs for d in moved}
    return image.assign_coords({d: (d, v.values, attrs[d]) for d, v in moved.items()})


def assert_same(found: xr.DataArray, image: xr.DataArray) -> None:
    assert (found.dims, found.dtype) == (image.dims, image.dtype)
    np.testing.assert_array_equal(found.values, image.values)
    for dim in map(str, image.dims):
        xr.testing.assert_identical(found[dim].variable, image[dim].variable)


# --- round trips


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("dims", ["yx", "zyx", "cyx", "tyx", "tczyx"])
def test_the_same_image_comes_back(tmp_path: Path, dims: str, version: str) -> None:
    image = image_of(dims)
    back = cs.save_image(image, tmp_path / "a.ome.zarr", ome_version=version, levels=2)
    assert_same(back, image)
    assert_same(cs.open_image(tmp_path / "a.ome.zarr"), image)
    assert source_of(back.data) is not None


@pytest.mark.parametrize("dtype", ["u1", "i2", ">u2", "u4", "u8", "f4", "f8", "?"])
def test_every_dtype_comes_back(tmp_path: Path, dtype: str) -> None:
    image = image_of("yx", dtype)
    back = cs.save_image(image, tmp_path / "a.ome.zarr")
    assert back.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(back.values, image.values)


def test_axes_are_put_in_order(tmp_path: Path) -> None:
    image = image_of("tczyx", lazily=True).transpose("y", "x", "c", "t", "z")
    ordered = image.transpose("t", "c", "z", "y", "x")
    assert_same(cs.save_image(image, tmp_path / "a.ome.zarr"), ordered)
    stored = cs.from_array(zarr.array(STACK), dims="xyz", spacing=1, unit="um")
    back = cs.save_image(stored, tmp_path / "b.ome.zarr")
    np.testing.assert_array_equal(back.values, STACK.transpose(2, 1, 0))


def test_plain_arrays_are_saved_as_from_array_takes_them(tmp_path: Path) -> None:
    back = cs.save_image(STACK, tmp_path / "a.ome.zarr")
    assert (back.dims, back.x.attrs["units"]) == (("z", "y", "x"), "pixel")
    np.testing.assert_array_equal(back.values, STACK)


def test_xarrays_own_round_trip(tmp_path: Path) -> None:
    image = image_of("tczyx").rename("cells")
    image.to_dataset().to_zarr(tmp_path / "x.zarr")
    with xr.open_zarr(tmp_path / "x.zarr") as back:
        assert_same(back["cells"], image)
        assert cs.Workflow().run(back["cells"], tmp_path / "out", channel="actin").run["input"][
            "spacing"
        ] == {"t": 1.5, "z": 0.7, "y": 0.26, "x": 0.27}
    assert_same(cs.open_image(tmp_path / "x.zarr"), image)


# --- what is written


def test_levels_are_means_and_know_where_they_are(tmp_path: Path) -> None:
    image = cs.from_array(np.arange(36).reshape(6, 6), spacing=0.5, unit="um")
    cs.save_image(image, tmp_path / "a.ome.zarr", levels=3)
    half, quarter = (cs.open_image(tmp_path / "a.ome.zarr", level=n) for n in (1, 2))
    assert half.values.tolist() == [[4, 6, 8], [16, 18, 20], [28, 30, 32]]
    assert half.x.values.tolist() == [0.25, 1.25, 2.25]
    assert quarter.x.values.tolist() == [0.75, 2.75]


def test_labels_are_not_averaged(tmp_path: Path) -> None:
    labels = cs.from_array(np.arange(36).reshape(6, 6), spacing=0.5, unit="um")
    cs.save_image(labels, tmp_path / "a.ome.zarr", levels=2, labels=True)
    half = cs.open_image(tmp_path / "a.ome.zarr", level=1)
    assert half.values.tolist() == [[0, 2, 4], [12, 14, 16], [24, 26, 28]]
    assert (half.attrs["kind"], half.x.values.tolist()) == ("labels", [0.0, 1.0, 2.0])
    again = cs.save_image(cs.open_image(tmp_path / "a.ome.zarr"), tmp_path / "b.ome.zarr")
    assert again.attrs["kind"] == "labels"


def test_channels_have_names_and_the_range_of_their_values(tmp_path: Path) -> None:
    image = image_of("tczyx", "f4")
    image[0, 1, 0, 0, 0] = np.nan
    image[:, 2] = np.inf
    cs.save_image(image, tmp_path / "a.ome.zarr")
    content = json.loads((tmp_path / "a.ome.zarr" / "zarr.json").read_text())
    channels = content["attributes"]["ome"]["omero"]["channels"]
    assert [c["label"] for c in channels] == ["DAPI", "actin", "c"]
    actin = image.sel(c="actin")
    low, high = float(actin.min()), float(actin.max())
    assert channels[1]["window"] == {"start": low, "end": high, "min": low, "max": high}
    assert channels[2]["window"]["end"] == 0


def test_chunks_and_shards(tmp_path: Path) -> None:
    array = np.arange(70 * 50 * 30, dtype=np.uint32).reshape(70, 50, 30)
    image = cs.from_array(array, spacing=1, unit="um")
    place = tmp_path / "a.ome.zarr"
    chunks = {"z": 8, "y": 16, "x": 16}
    back = cs.save_image(image, place, chunks=chunks, shards=(32, 32, 32), levels=2)
    stored = zarr.open_array(place / "0", mode="r")
    assert (stored.chunks, stored.shards) == ((8, 16, 16), (32, 32, 32))
    assert len(list((place / "0" / "c").rglob("*/*/*"))) == 3 * 2
    np.testing.assert_array_equal(back.values, array)
    cs.save_image(image, tmp_path / "b.ome.zarr", chunks=40)
    assert zarr.open_array(tmp_path / "b.ome.zarr" / "0", mode="r").chunks == (40, 40, 30)


def test_coordinates_that_ome_zarr_lacks_are_told(tmp_path: Path, warnings: list[str]) -> None:
    image = cs.from_array(STACK).assign_coords(depth=("z", np.arange(6.0)))
    cs.save_image(image.isel(x=slice(5, None)), tmp_path / "a.ome.zarr")
    assert any("does not hold the coordinates depth, x (it has no unit)" in w for w in warnings)


# --- interruptions


def test_it_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: Any) -> None:
    array = RNG.integers(0, 99, (12, 8)).astype(np.uint8)
    done: list[int] = []
    broken = True

    def block(part: Any, block_info: Any = None) -> Any:
        number = block_info[0]["chunk-location"][0]
        done.append(number)
        if number == 2 and broken:
            raise ValueError("no such plane")
        return part

    monkeypatch.setattr("chunkseg.api.saving.Execution", lambda n: Execution(n, pause=0.0))
    lazy = da.from_array(array, chunks=(4, 8)).map_blocks(
        block, dtype="u1", meta=np.empty((0, 0), "u1")
    )
    image = cs.from_array(lazy, spacing=1, unit="um")
    place = tmp_path / "a.ome.zarr"
    with pytest.raises(BlocksError, match="no such plane"):
        cs.save_image(image, place, workers=1, levels=2)
    assert not place.exists()
    broken = False
    first = place.with_name("a.ome.zarr.partial") / "0" / "c" / "0" / "0"
    written = first.stat().st_mtime_ns
    done.clear()
    back = cs.save_image(image, place, workers=1, levels=2)
    np.testing.assert_array_equal(back.values, array)
    assert (place / "0" / "c" / "0" / "0").stat().st_mtime_ns == written
    assert sorted(p.name for p in place.iterdir()) == ["0", "1", "zarr.json"]
    done.clear()
    cs.save_image(image, place, workers=1, levels=2)
    assert set(done) <= {1}  # the sample that tells one image from another


def test_something_else_is_not_overwritten(tmp_path: Path) -> None:
    image, place = image_of("yx"), tmp_path / "a.ome.zarr"
    cs.save_image(image, place)
    with pytest.raises(OutputExistsError, match="levels was 1 and is 2"):
        cs.save_image(image, place, levels=2)
    (tmp_path / "b.ome.zarr").mkdir()
    with pytest.raises(OutputExistsError, match="not made by this step"):
        cs.save_image(image, tmp_path / "b.ome.zarr")


# --- refusals


@pytest.mark.parametrize(
    ("image", "options", "error", "words"),
    [
        (cs.from_array(np.zeros((3, 3))).rename(y="a"), {}, KindError, "needs|axes y, x"),
        (cs.from_array(np.zeros((0, 3))), {}, ParameterError, "no voxels"),
        (cs.from_array(np.zeros((3, 3)))[::-1], {}, ParameterError, r"sortby\('y'\)"),
        (cs.from_array(np.zeros((4, 3)))[[0, 1, 3]], {}, ParameterError, "evenly"),
        (np.zeros((3, 3)), {"chunks": (1, 2, 3)}, ParameterError, "each of y, x"),
        (np.zeros((3, 3)), {"chunks": {"z": 2}}, ParameterError, "each of y, x"),
        (np.zeros((3, 3)), {"chunks": 4, "shards": 6}, ParameterError, "whole multiples"),
        (np.zeros((3, 3)), {"shards": 4, "ome_version": "0.4"}, ParameterError, "0.4 has none"),
        (np.zeros((3, 3)), {"levels": 0}, ParameterError, "levels must be"),
        (np.zeros((3, 3)), {"ome_version": "0.3"}, ParameterError, "0.5 or 0.4"),
    ],
)
def test_what_cannot_be_saved(
    tmp_path: Path, image: Any, options: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        cs.save_image(image, tmp_path / "a.ome.zarr", **options)
    assert not list(tmp_path.iterdir())


def test_outputs_are_paths() -> None:
    with pytest.raises(KindError, match="must be a path; got int"):
        cs.save_image(image_of("yx"), 3)  # type: ignore[arg-type]


# --- convert


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def inputs(folder: Path) -> dict[str, str]:
    """The same stack in several formats."""
    options = {"axes": "ZYX", "spacing": 0.7, "unit": "um"}
    resolution = (1 / 0.26, 1 / 0.26)
    file = folder / "stack.tif"
    tifffile.imwrite(file, STACK, imagej=True, metadata=options, resolution=resolution)
    np.save(folder / "stack.npy", STACK)
    planes = save_planes(folder / "planes", [f"img_z{n}.tif" for n in range(6)])
    cs.store(cs.from_array(STACK), folder / "stack.zarr")
    names = {"tif": file, "npy": folder / "stack.npy", "zarr": folder / "stack.zarr"}
    return {**{n: str(p) for n, p in names.items()}, "planes": str(planes)}


@pytest.mark.parametrize("kind", ["tif", "npy", "zarr", "planes"])
def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    source, out = inputs(tmp_path)[kind], str(tmp_path / "out.ome.zarr")
    assert main(["convert", source, out, "--levels", "2", "--verify"]) == 0
    assert "every voxel is that of the input" in told(capsys)
    assert_same(cs.open_image(out), cs.open_image(source))
    assert main(["convert", source, out, "--levels", "2"]) == 0


def test_convert_keeps_calibration_and_stages_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("chunkseg.api.saving.BLOCK_EDGE", {3: 4})
    source, out = tmp_path / "a.tif", tmp_path / "out.ome.zarr"
    meta = {"axes": "CZYX", "PhysicalSizeX": 0.26, "PhysicalSizeY": 0.26, "PhysicalSizeZ": 0.7}
    meta["Channel"] = {"Name": ["red", "blue"]}
    array = np.stack([STACK, STACK[::-1]])
    tifffile.imwrite(source, array, ome=True, metadata=meta, compression="zlib")
    command = [
        "convert",
        str(source),
        str(out),
        "--ome-zarr",
        "0.4",
        "--verify",
        "--chunks",
        "2,4,4",
    ]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "OME-Zarr 0.4, uint16" in said.out
    assert "stage: " in said.err
    back = cs.open_image(out)
    assert_same(back, cs.open_image(source))
    assert back["c"].values.tolist() == ["red", "blue"]
    assert back.z.attrs == {"units": "micrometer", "spacing": 0.7}
    one = tmp_path / "one.ome.zarr"
    assert main(["convert", str(source), str(one), "--channel", "blue"]) == 0
    blue = cs.open_image(one)
    np.testing.assert_array_equal(blue.values, STACK[::-1])
    assert blue.attrs["channel"] == "blue"


def test_convert_names_what_is_not_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = inputs(tmp_path)["tif"], tmp_path / "out.ome.zarr"
    command = ["convert", source, str(out), "--levels", "2", "--verify"]
    assert main(command) == 0
    array = zarr.open_array(out / "0", mode="r+")
    array[3, 2, 1] += 1
    told(capsys)
    assert main(command) == 1
    said = told(capsys)
    assert "level 0: 1 voxels differ, the first in voxels [0:6, 0:20, 0:24]" in said
    chunk = next(p for p in (out / "1" / "c").rglob("*") if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-2])
    assert main(command) == 1
    assert "level 1: " in told(capsys)
    shutil.rmtree(out / "1")
    assert main(command) == 1
    assert "can't be opened" in told(capsys)


def test_convert_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = inputs(tmp_path)["npy"]
    assert main(["convert", source, "bogus://bucket/a.zarr"]) == 2
    assert main(["convert", source, str(tmp_path / "a.zarr"), "--chunks", "0,1,1"]) == 2
    assert "needs one positive length" in capsys.readouterr().err

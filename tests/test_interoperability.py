"""What chunkseg writes, opened by other libraries and held to the specification's schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import zarr

import chunkseg as cs
from chunkseg.cli import main

SPACING = {"z": 0.7, "y": 0.25, "x": 0.25}
VERSIONS = ("0.5", "0.4")


def stack() -> Any:
    array = np.zeros((6, 40, 300), np.uint16)
    array[2:4, 10:16, 20:280:20] = 900
    array[2:4, 10:16, 21:281:20] = 900
    return array


@pytest.fixture(scope="module", params=VERSIONS)
def written(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Convert a stack, run a workflow on what that gave, and name the version and the folder."""
    folder = tmp_path_factory.mktemp("written")
    image = cs.from_array(stack(), spacing=SPACING, unit="um")
    cs.save_image(image, folder / "given.zarr")
    version, converted = request.param, str(folder / "image.ome.zarr")
    options = ["--ome-zarr", version]
    assert main(["convert", str(folder / "given.zarr"), converted, *options]) == 0
    run = ["run", converted, "-o", str(folder / "out"), "--sigma", "0", "--erosion-radius", "0"]
    assert main([*run, *options, "--block-shape", "6,40,64"]) == 0
    assert cs.Result.open(folder / "out").labels.values.max() == 13
    return version, folder


def groups(folder: Path) -> dict[str, Path]:
    return {"image": folder / "image.ome.zarr", "label": folder / "out" / "labels.ome.zarr"}


def attributes(group: Path) -> dict[str, Any]:
    return dict(zarr.open_group(group, mode="r").attrs)


@pytest.mark.parametrize("kind", ["image", "label"])
def test_ome_zarr_models_accepts_it(written: tuple[str, Path], kind: str) -> None:
    models = pytest.importorskip("ome_zarr_models")
    version, folder = written
    found = models.open_ome_zarr(zarr.open_group(groups(folder)[kind], mode="r"))
    assert type(found).__name__ == {"image": "Image", "label": "ImageLabel"}[kind]
    assert found.__class__.__module__.split(".")[1] == {"0.4": "v04", "0.5": "v05"}[version]


@pytest.mark.parametrize("kind", ["image", "label"])
def test_it_follows_the_schemas(written: tuple[str, Path], kind: str) -> None:
    ngff = pytest.importorskip("ngff_zarr")
    pytest.importorskip("jsonschema")
    version, folder = written
    content = attributes(groups(folder)[kind])
    ngff.validate(content, version=version, model="image")
    ngff.validate(content, version=version, model="image", strict=True)
    if kind == "label":
        ngff.validate(content, version=version, model="label")


@pytest.mark.parametrize("kind", ["image", "label"])
def test_ngff_zarr_sees_the_same(written: tuple[str, Path], kind: str) -> None:
    ngff = pytest.importorskip("ngff_zarr")
    group = groups(written[1])[kind]
    levels = ngff.from_ngff_zarr(str(group)).images
    assert len(levels) == 2
    for number, level in enumerate(levels):
        ours = cs.open_image(group, level=number)
        assert tuple(level.dims) == ours.dims
        for dim in ours.dims:
            assert level.scale[dim] == ours[dim].attrs["spacing"]
            assert level.axes_units[dim] == ours[dim].attrs["units"]
            assert level.translation[dim] == float(ours[dim][0])
        np.testing.assert_array_equal(np.asarray(level.data), ours.values)
    assert [level.scale for level in levels] == [SPACING, {"z": 0.7, "y": 0.5, "x": 0.5}]


def test_ngio_sees_the_same(written: tuple[str, Path]) -> None:
    ngio = pytest.importorskip("ngio")
    folders = groups(written[1])
    image = ngio.open_ome_zarr_container(str(folders["image"])).get_image()
    label = ngio.open_label(str(folders["label"]))
    for found, name in ((image, "image"), (label, "label")):
        size = found.pixel_size
        assert (size.z, size.y, size.x) == tuple(SPACING.values())
        assert size.space_unit == "micrometer"
        ours = cs.open_image(folders[name]).values
        np.testing.assert_array_equal(np.squeeze(found.get_as_numpy()), ours)


def test_napari_sees_the_same(written: tuple[str, Path]) -> None:
    reader = pytest.importorskip("napari_ome_zarr")
    for name, path in groups(written[1]).items():
        layers = reader.napari_get_reader(str(path))(str(path))
        data, options, kind = layers[0]
        assert kind == {"image": "image", "label": "labels"}[name]
        assert options["scale"] == list(SPACING.values())
        ours = cs.open_image(path).values
        np.testing.assert_array_equal(np.asarray(data[0]), ours)


def test_plain_zarr_and_xarray_read_the_levels(written: tuple[str, Path]) -> None:
    group = zarr.open_group(groups(written[1])["label"], mode="r")
    fine, half = (group[str(n)] for n in range(2))
    assert isinstance(fine, zarr.Array)
    assert isinstance(half, zarr.Array)
    np.testing.assert_array_equal(np.asarray(half), np.asarray(fine)[:, ::2, ::2])


def test_tables_tell_units_and_where_they_come_from(written: tuple[str, Path]) -> None:
    folder = written[1]
    file = folder / "out" / "objects.parquet"
    schema = pq.read_schema(file)
    told = json.loads(schema.metadata[b"chunkseg"])
    assert told["version"] == cs.__version__
    assert told["input"]["source"] == str(folder / "image.ome.zarr")
    assert told["input"]["units"]["z"] == "micrometer"
    assert told["workflow"]["sigma"] == 0
    units = told["units"]
    assert {units[c] for c in ("area", "bbox-0", "centroid-2")} == {"voxel"}
    assert (units["volume_um3"], units["centroid_um-0"], units["label"]) == ("um3", "um", "")
    assert schema.field("volume_um3").metadata == {b"unit": b"um3"}
    table, plain = pd.read_parquet(file), pd.read_csv(folder / "out" / "objects.csv")
    pd.testing.assert_frame_equal(table, plain)
    assert list(units) == sorted(table.columns)


def test_measured_tables_tell_them_too(tmp_path: Path) -> None:
    labels = cs.from_array(np.eye(4, dtype=np.uint8), spacing=0.5, unit="um")
    cs.measure(labels, tmp_path / "out", properties=["label", "area", "axis_major_length"])
    told = json.loads(pq.read_schema(tmp_path / "out" / "objects.parquet").metadata[b"chunkseg"])
    assert told["properties"] == ["label", "area", "axis_major_length"]
    sizes = {"area": "voxel", "area_um2": "um2", "axis_major_length": "voxel", "label": ""}
    assert told["units"] == sizes

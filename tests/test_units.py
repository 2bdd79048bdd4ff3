"""Units are never lost or wrong: in stored arrays, in tables and in summaries."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import chunkseg as cs
from chunkseg.passes.tables import column_unit

LABELS = np.kron(np.arange(1, 9).reshape(2, 2, 2), np.ones((3, 4, 5))).astype(np.uint16)
SPACING = {"z": 0.29, "y": 0.26, "x": 0.26}


@pytest.fixture
def labels():
    return cs.from_array(LABELS, "zyx", SPACING, "micrometer")


def test_a_stored_image_is_opened_with_its_calibration(tmp_path, labels):
    two = xr.concat([labels, labels], xr.Variable("c", ["DAPI", "GFP"])).isel(y=slice(2, None))
    cs.store(two, tmp_path / "two.zarr")
    opened = cs.open_image(tmp_path / "two.zarr")
    assert opened.dims == ("c", "z", "y", "x")
    assert list(opened["c"].values) == ["DAPI", "GFP"]
    for dim in "zyx":
        np.testing.assert_allclose(opened[dim], two[dim], rtol=1e-12)
        assert opened[dim].attrs["units"] == "micrometer"
        assert opened[dim].attrs["spacing"] == SPACING[dim]


def test_an_irregular_axis_is_stored_without_calibration(tmp_path, labels):
    uneven = labels.isel(z=[0, 1, 3])
    cs.store(uneven, tmp_path / "uneven.zarr")
    opened = cs.open_image(tmp_path / "uneven.zarr", spacing={"z": 1}, unit="um")
    assert opened["z"].attrs["spacing"] == 1
    assert opened["y"].attrs["spacing"] == 0.26


@pytest.mark.parametrize(
    ("spacing", "unit"), [(None, "voxel"), (1, "voxel"), (0.5, ""), ("coords", "um3")]
)
def test_the_unit_of_sizes_follows_the_spacing(labels, spacing, unit):
    table = cs.regionprops_table(labels, properties=("label", "area"), spacing=spacing)
    assert table.attrs["size_unit"] == unit
    assert cs.summarize(table)["unit"].tolist() == [unit]


def test_sizes_of_uncalibrated_coordinates_are_voxels():
    table = cs.regionprops_table(cs.from_array(LABELS), properties="area", spacing="coords")
    assert cs.summarize(table)["unit"].tolist() == ["voxel"]


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("volume_um3", "um3"),
        ("area_nm2", "nm2"),
        ("centroid_um-0", "um"),
        ("num_pixels", "voxel"),
        ("area_bbox", "voxel"),
        ("label", ""),
        ("intensity_mean", ""),
    ],
)
def test_units_of_columns(column, unit):
    assert column_unit(column) == unit


@pytest.mark.parametrize("scratch", [None, False, "kept.zarr"])
def test_lazy_labels_are_measured_from_scratch(tmp_path, scratch):
    computed = []

    def counted(block):
        computed.append(block.shape)
        return block

    lazy = cs.from_array(LABELS).chunk(4).data.map_blocks(counted, dtype=LABELS.dtype)
    names = ["label", "area", "area_convex"]
    path = tmp_path / scratch if isinstance(scratch, str) else scratch
    table = cs.regionprops_table(lazy, properties=names, scratch=path)
    expected = cs.regionprops_table(LABELS, properties=names)
    np.testing.assert_array_equal(table, expected)
    if path:
        sampled = isinstance(scratch, str)  # one chunk, to tell this input from another
        assert len([shape for shape in computed if all(shape)]) == lazy.npartitions + sampled
        assert cs.open_image(path, spacing=1, unit="pixel").shape == LABELS.shape

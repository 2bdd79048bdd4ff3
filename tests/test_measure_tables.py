"""Tables of measures: groups, channels, frames, undefined cases, merging; and what is refused."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import skimage as ski

import chunkseg as cs
from chunkseg.errors import KindError, ParameterError
from chunkseg.geometry.boxes import Box, Grid
from chunkseg.kernels.runs import compact, id_runs
from chunkseg.passes.measure import GROUPS, KINDS, MeasureRecord, Measures, View, choose
from chunkseg.storage.records import Records
from tests.measuring import Truth, compare

Array = np.ndarray[Any, Any]
PLANE = np.array([[1, 1, 0, 0, 7], [1, 1, 0, 9, 9], [0, 0, 0, 9, 9]])
SOLID = np.stack([PLANE, PLANE, 0 * PLANE, np.full_like(PLANE, 3)])
RNG = np.random.default_rng(5)


def image_of(labels: Array, dtype: Any = np.uint16) -> Array:
    return RNG.integers(0, 200, labels.shape).astype(dtype)


def names_of(table: pd.DataFrame) -> set[str]:
    """Properties of a table's columns."""
    return {next(n for n in sorted(KINDS, key=len, reverse=True) if c.startswith(n)) for c in table}


@pytest.mark.parametrize("labels", [PLANE, SOLID], ids=["2-D", "3-D"])
@pytest.mark.parametrize("group", sorted(GROUPS))
def test_a_group_has_its_properties_after_the_label(labels: Array, group: str) -> None:
    table = cs.regionprops_table(labels, image_of(labels), group)
    left = {n for n in GROUPS[group] if labels.ndim not in KINDS[n].dimensions}
    assert names_of(table) == {"label", *GROUPS[group]} - left
    assert table.columns[0] == "label"
    assert table["label"].tolist() == np.unique(labels[labels > 0]).tolist()


def test_every_property_is_in_the_group_all_and_groups_name_properties() -> None:
    assert set(GROUPS["all"]) == set(KINDS)
    assert {name for group in GROUPS.values() for name in group} == set(KINDS)


def test_the_table_in_the_documentation_has_every_property_with_its_group() -> None:
    text = (Path(__file__).parent.parent / "docs" / "measures.md").read_text(encoding="utf-8")
    listed = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            names, group = line.split("|")[1:3]
            listed |= dict.fromkeys(re.findall(r"`(\w+)`", names), group.strip())
    groups = {n: g for g, names in GROUPS.items() if g != "all" for n in names}
    assert listed == {name: groups.get(name, "") for name in KINDS}


def test_what_a_group_leaves_out_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "chunkseg"):
        table = cs.regionprops_table(PLANE, properties="all", spacing=(1, 2))
    (message,) = [r.getMessage() for r in caplog.records]
    for name in ("perimeter", "moments_hu", "intensity_mean", "sphericity", "circularity"):
        assert f"'{name}'" in message
        assert name not in table
    assert "area" in table


def test_groups_and_names_mix_without_repeating_columns() -> None:
    table = cs.regionprops_table(PLANE, properties=["centroid", "size", "area"])
    assert list(table.columns[:4]) == ["label", "centroid-0", "centroid-1", "area"]
    assert len(set(table.columns)) == len(table.columns)


def test_nothing_asked_for_is_an_empty_table_or_the_frames() -> None:
    assert cs.regionprops_table(PLANE, properties=[]).shape == (0, 0)
    movie = cs.from_array(np.stack([PLANE, 0 * PLANE, PLANE]), dims="tyx")
    assert cs.regionprops_table(movie, properties=())["t"].tolist() == [0, 0, 0, 2, 2, 2]


@pytest.mark.parametrize("name", ["moments", "perimeter"])
def test_names_that_are_groups_too_are_properties_in_a_list(name: str) -> None:
    alone, listed = (cs.regionprops_table(PLANE, properties=p) for p in (name, [name]))
    assert names_of(listed) == {name}
    assert names_of(alone) == {"label", *GROUPS[name]}


REFUSED: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "unknown": (PLANE, {"properties": ["axis_major"]}, ParameterError, "axis_major_length"),
    "no name": (PLANE, {"properties": [5]}, ParameterError, "unknown property 5"),
    "2-D only": (SOLID, {"properties": ["eccentricity"]}, KindError, "2-D labels; these are 3-D"),
    "3-D only": (PLANE, {"properties": ["sphericity"]}, KindError, "3-D labels; these are 2-D"),
    "anisotropic": (
        PLANE,
        {"properties": ["perimeter"], "spacing": (1, 2)},
        ParameterError,
        "equal along all axes",
    ),
    "not 1": (
        PLANE,
        {"properties": ["moments_hu"], "spacing": 2},
        ParameterError,
        "1 along all axes",
    ),
    "no image": (PLANE, {"properties": ["intensity_std"]}, ParameterError, "intensity image"),
    "four axes": (PLANE[None, None], {"properties": "size"}, KindError, "2-D or 3-D"),
    "name of an extra": (
        PLANE,
        {"properties": ["area"], "extra_properties": [lambda mask, image, more: 0]},
        ParameterError,
        "3 arguments",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_named_properties_are_refused_where_not_defined(case: Any) -> None:
    labels, options, error, message = case
    with pytest.raises(error, match=message):
        cs.regionprops_table(labels, **options)


WHOLE = ("area_convex", "solidity", "feret_diameter_max", "area_filled", "intensity_median")


def quantile(mask: Array, image: Array) -> Any:
    return np.percentile(image[mask], [10, 90])


def test_whole_objects_and_functions_of_the_user_in_one_table() -> None:
    labels = ski.measure.label(ski.data.binary_blobs(60, volume_fraction=0.4, rng=1))
    image = image_of(labels)
    names = ["solidity", "label", "area", *WHOLE[:1], *WHOLE[2:]]
    lazy = da.from_array(labels, chunks=(17, 23))
    options: Any = {"extra_properties": [quantile], "spacing": (0.5, 0.25)}
    expected = ski.measure.regionprops_table(labels, image, names, **options)
    table = cs.regionprops_table(lazy, image, names, **options)
    assert list(table.columns) == list(expected)
    for name, column in expected.items():
        np.testing.assert_allclose(table[name], column, rtol=1e-9, err_msg=name)


def test_channels_and_frames() -> None:
    """A movie of two channels: every column per channel, every frame as if it were alone."""
    labels = np.stack([PLANE, np.roll(PLANE, 1, axis=0), 0 * PLANE])
    pixels = RNG.integers(0, 99, (3, 2, *PLANE.shape)).astype(np.uint8)
    movie = cs.from_array(da.from_array(labels, chunks=(1, 2, 2)), dims="tyx")
    image = cs.from_array(pixels, dims="tcyx").assign_coords(c=["nuclei", "actin"])
    names = ["label", "area", "centroid_weighted", "intensity_mean", "intensity_median"]
    names += ["moments_weighted", "moments_weighted_hu", "intensity_std"]
    table = cs.regionprops_table(movie, image, names)
    assert table["t"].tolist() == [0, 0, 0, 1, 1, 1]
    for t in range(2):
        last = np.moveaxis(pixels[t], 0, -1)
        expected = ski.measure.regionprops_table(labels[t], last, names)
        unnamed = cs.regionprops_table(labels[t], last, names)
        assert list(unnamed) == list(expected)
        renamed = [n.replace("nuclei", "0").replace("actin", "1") for n in table.columns[1:]]
        assert renamed == list(expected)
        rows = table[table["t"] == t].iloc[:, 1:]
        for ours, alone, theirs in zip(rows, unnamed, expected, strict=True):
            np.testing.assert_allclose(rows[ours], expected[theirs], rtol=1e-9, atol=1e-12)
            np.testing.assert_array_equal(rows[ours], unnamed[alone])


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5)])
def test_tables_without_objects_have_all_columns(shape: tuple[int, ...]) -> None:
    nothing = np.zeros(shape, np.int32)
    one = nothing.copy()
    one.flat[0] = 1
    names = [n for n, kind in KINDS.items() if len(shape) in kind.dimensions]
    expected = cs.regionprops_table(one, one, names)
    table = cs.regionprops_table(nothing, nothing, names)
    assert len(table) == 0
    assert dict(table.dtypes) == dict(expected.dtypes)


SMALL = {
    "one pixel": np.pad([[1]], 1),
    "a line": np.pad([[1, 1, 1]], 1),
    "a diagonal": np.pad(np.eye(4, dtype=int), 1),
    "a square": np.pad(np.ones((2, 2), int), 1),
    "one voxel": np.pad([[[1]]], 1),
    "a flat sheet": np.pad(np.ones((1, 4, 3), int), 1),
    "a rod": np.pad(np.ones((1, 1, 5), int), 1),
    "a diagonal in space": np.pad(np.eye(3, dtype=int)[None] * np.eye(3, dtype=int)[:, None], 1),
}


@pytest.mark.parametrize("labels", SMALL.values(), ids=SMALL)
def test_small_flat_and_collinear_objects_never_lose_the_table(labels: Array) -> None:
    image = np.full(labels.shape, 7, np.uint8)
    table = cs.regionprops_table(da.from_array(labels, chunks=2), image, "all")
    assert len(table) == 1
    assert not np.isinf(table.to_numpy(float)).any()
    truth = Truth(labels, image, (1.0,) * labels.ndim)
    for name in names_of(table) - set(WHOLE):
        columns = [c for c in table if c == name or c.removeprefix(f"{name}-")[:1].isdigit()]
        compare(name, table[columns].to_numpy(), truth)


def test_undefined_is_nan() -> None:
    table = cs.regionprops_table(SMALL["one pixel"], properties="shape")
    assert table[["aspect_ratio", "roundness", "circularity"]].isna().all(axis=None)
    assert table[["eccentricity", "axis_major_length"]].to_numpy().tolist() == [[0, 0]]
    line = cs.regionprops_table(SMALL["a line"], properties="shape")
    assert line["aspect_ratio"].isna().all()
    assert line["roundness"].notna().all()


def test_intensities_that_add_up_to_nothing() -> None:
    labels = np.ones((4, 4), np.int32)
    names = ["moments_weighted", "centroid_weighted", "moments_weighted_normalized"]
    for image in (np.zeros((4, 4)), np.tile([1.0, -1.0], (4, 2))):
        table = cs.regionprops_table(da.from_array(labels, chunks=3), image, names)
        with np.errstate(all="ignore"):
            expected = ski.measure.regionprops_table(labels, image, ("moments_weighted",))
        for name, column in expected.items():
            np.testing.assert_allclose(table[name], column, atol=1e-12)
        rest = table.drop(columns=list(expected))
        assert rest.isna().all(axis=None)


def test_nan_stays_with_its_object() -> None:
    labels = np.array([[1, 1, 0, 2, 2]])
    image = np.array([[1.0, np.nan, np.nan, 3.0, 4.0]])
    table = cs.regionprops_table(da.from_array(labels, chunks=2), image, "intensity")
    assert table.iloc[0, 1:].isna().all()
    assert table.iloc[1].tolist() == [2, 4, 3.5, 3, 0.5]


@pytest.mark.parametrize("dtype", ["uint32", "int32", "int64", "uint64", "float64"])
def test_sums_beyond_64_bits_do_not_wrap(dtype: str) -> None:
    top = np.finfo(dtype).max / 1e300 if dtype == "float64" else np.iinfo(dtype).max
    image = np.full((4, 8), top, dtype)
    labels = np.ones(image.shape, np.uint8)
    table = cs.regionprops_table(da.from_array(labels, chunks=3), image, "intensity")
    assert table["intensity_mean"][0] == pytest.approx(float(top), rel=1e-15)
    assert table["intensity_std"][0] == pytest.approx(0, abs=float(top) * 1e-15)


def test_integer_totals_are_added_in_floats_before_they_wrap() -> None:
    record = MeasureRecord(
        np.array([1]), {"num_pixels": np.array([2**31]), "totals": np.array([[2**62]])}
    )
    merged = choose(["intensity_mean"], (1.0, 1.0)).merge([record, record])
    assert merged.columns["totals"].tolist() == [[2.0**63]]


def records_of(
    labels: Array, measures: Measures, chunks: tuple[tuple[int, ...], ...], images: Any = ()
) -> list[MeasureRecord]:
    """Records of the blocks of an array, in their order."""
    found = []
    for block in Grid(chunks).overlapping(Box.whole(labels.shape)):
        slices = block.core.slices()
        ids, local = compact(labels[slices])
        parts = tuple(image[slices] for image in images)
        found.append(measures.block(View.flat(id_runs(local), len(ids), parts, block.core), ids))
    return found


def test_only_what_is_asked_for_is_summed() -> None:
    def kept(*names: str) -> set[str]:
        measures = choose(names, (1.0, 1.0))
        (record,) = records_of(PLANE, measures, ((3,), (5,)), [image_of(PLANE)])
        return set(record.columns)

    assert kept("label", "area") == {"num_pixels"}
    assert kept("centroid", "intensity_mean") == {"num_pixels", "coordinates", "totals"}
    assert kept("eccentricity") == {"num_pixels", "coordinates", "second"}
    assert kept("eccentricity", "moments_hu") == {"num_pixels", "coordinates", "moments"}
    weighted = kept("centroid_weighted", "moments_weighted")
    assert weighted == {"num_pixels", "bbox_start", "bbox_stop", "coordinates", "weighted"}


def test_records_come_back_from_files(tmp_path: Path) -> None:
    measures = choose("all", (1.0, 1.0)).swept(with_boxes=True)
    grid = Grid(((3, 2), (4, 4)))
    blocks = list(grid.overlapping(grid.frame))
    labels = RNG.integers(0, 5, grid.shape)
    labels[:3, :4] = 0
    records = records_of(labels, measures, grid.chunks, [image_of(labels), image_of(labels)])
    files = Records(MeasureRecord, tmp_path / "records")
    files.append(0, blocks, records)
    for (_, back), record in zip(files, records, strict=True):
        np.testing.assert_array_equal(back.label, record.label)
        assert list(back.columns) == list(record.columns)
        for name, column in record.columns.items():
            assert back.columns[name].dtype == column.dtype
            np.testing.assert_array_equal(back.columns[name], column)

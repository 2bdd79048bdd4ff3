"""Whole-object measures over chunks against scikit-image's regionprops_table."""

from __future__ import annotations

import logging
import threading
import warnings
from collections import Counter
from itertools import product

import dask.array as da
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage.measure import label, regionprops_table

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Grid
from chunkseg.geometry.layout import Layout
from chunkseg.kernels.wholes import SHAPES, WHOLES
from chunkseg.passes.crops import MOST_OBJECTS, Objects, plan_crops, too_large
from chunkseg.passes.extra import Extra, extra_columns, extras_of
from chunkseg.passes.pieces import median_of_counts
from chunkseg.runner.crops import WORKING_BYTES, home_grid, whole_object_columns
from chunkseg.runner.execution import Execution
from chunkseg.runner.sweep import Input
from chunkseg.storage.leaves import MemorySource, Region
from tests.strategies import chunked, label_images

LENGTHS = [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.29, 0.26, 0.26)]


def objects_of(*frames):
    """Labels and boxes of some frames, as the sweep over the blocks finds them."""
    rows = {}
    for number, labels in enumerate(frames):
        found, dense = np.unique(np.append(labels, labels.dtype.type(0)), return_inverse=True)
        table = regionprops_table(dense[:-1].reshape(labels.shape), properties=("label", "bbox"))
        edges = np.stack([table[f"bbox-{i}"] for i in range(2 * labels.ndim)], axis=1)
        rows[number] = (found[table["label"]], edges[:, : labels.ndim], edges[:, labels.ndim :])
    return Objects.of_frames(rows)


def spread(labels, rng, top=5000):
    """The same objects under other numbers, which neither follow each other nor begin at 1."""
    count = int(labels.max()) + 1
    new = np.zeros(count, np.int64)
    new[1:] = np.sort(rng.choice(top, count - 1, replace=False)) + 1
    return new[labels]


def measured(labels, images=(), names=WHOLES, spacing=None, **options):
    """Measure one frame."""
    array = labels.compute() if isinstance(labels, da.Array) else labels
    layout = Layout.of(array.shape)
    source = labels if isinstance(labels, da.Array) else MemorySource(labels)
    inputs = [Input.of(MemorySource(i) if isinstance(i, np.ndarray) else i, layout) for i in images]
    return whole_object_columns(
        Input.of(source, layout),
        inputs,
        objects_of(array),
        names,
        spacing=spacing or (1.0,) * array.ndim,
        **options,
    )


def by_scikit_image(labels, image=None, names=WHOLES, spacing=None, extra=None):
    """regionprops_table, column by column: infinity is NaN, and so are all if one raises."""
    expected = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            try:
                columns = regionprops_table(labels, image, (name,), spacing=spacing)
            except (ValueError, RuntimeError):
                columns = {name: np.full(len(np.unique(labels[labels > 0])), np.nan)}
            expected |= columns
        if extra:
            expected |= regionprops_table(labels, image, (), extra_properties=extra)
    return {
        k: np.where(np.isinf(v), np.nan, v) if v.dtype == float else v for k, v in expected.items()
    }


def assert_columns(found, expected):
    assert list(found) == list(expected)
    for name, column in expected.items():
        assert found[name].dtype == column.dtype, name
        np.testing.assert_array_equal(found[name], column, err_msg=name)


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_equal_to_scikit_image(data):
    """Labels of scattered voxels: boxes overlap, nest and cross all chunks."""
    labels = data.draw(label_images())
    lengths = data.draw(st.sampled_from(LENGTHS))[-labels.ndim :]
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]))
    image = (
        np.random.default_rng(data.draw(st.integers(0, 99))).random(labels.shape) * 200
    ).astype(dtype)
    names = tuple(n for n in WHOLES if labels.ndim == 2 or n != "feret_diameter_max")
    lazy = data.draw(chunked(labels))
    found = measured(lazy, [data.draw(chunked(image))], names, lengths)
    assert_columns(found, by_scikit_image(labels, image, names, lengths))


def blobs(shape, seed, cut=0.56):
    noise = ndi.gaussian_filter(np.random.default_rng(seed).random(shape), 1.7)
    return label(noise > np.quantile(noise, cut))


@pytest.mark.parametrize("budget", [None, 300_000])
@pytest.mark.parametrize("shape", [(70, 50), (20, 26, 24)])
def test_blobs_through_many_blocks(shape, budget):
    """Concave objects with holes; a small budget splits the groups and changes nothing else."""
    rng = np.random.default_rng(5)
    labels = spread(blobs(shape, 3, 0.9), rng)
    image = rng.integers(0, 4000, shape).astype(np.uint16)
    found = measured(labels, [image], budget=budget)
    expected = by_scikit_image(labels, image)
    if np.isnan(expected["feret_diameter_max"]).all():
        expected["feret_diameter_max"] = ferets_one_by_one(labels)
    assert_columns(found, expected)
    assert len(expected["solidity"]) > 10


def ferets_one_by_one(labels):
    """scikit-image's table fails as a whole where one 3-D object is flat."""
    parts = []
    for value in np.unique(labels[labels > 0]):
        alone = np.where(labels == value, 1, 0)
        parts.append(by_scikit_image(alone, names=("feret_diameter_max",))["feret_diameter_max"])
    return np.concatenate(parts)


def test_labels_beyond_the_precision_of_floats():
    """Two ids of uint64 that float64 can't tell apart."""
    labels = np.zeros((4, 6), np.uint64)
    labels[1:3, :4], labels[:, 4:] = 2**62, 2**62 + 1
    found = measured(labels, names=("area_filled",))
    assert found["area_filled"].tolist() == [8.0, 8.0]


def test_frames():
    """A movie: equal labels of different frames are different objects."""
    movie = np.stack([blobs((30, 34), seed) for seed in (1, 2, 3)]).astype(np.uint16)
    pixels = np.random.default_rng(0).integers(0, 255, movie.shape).astype(np.uint8)
    layout = Layout.of(movie.shape, "tyx")
    found = whole_object_columns(
        Input(MemorySource(movie), layout),
        [Input(MemorySource(pixels), layout)],
        objects_of(*movie),
        WHOLES,
        spacing=(1.0, 1.0),
    )
    expected = [by_scikit_image(*frame) for frame in zip(movie, pixels, strict=True)]
    for name, column in found.items():
        np.testing.assert_array_equal(column, np.concatenate([e[name] for e in expected]))


def test_channels():
    labels = blobs((30, 34), 4)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 30, 34)).astype(np.uint8)
    found = measured(labels, list(pixels), ("intensity_median",), channels=("red", "green"))
    for name, channel in zip(("red", "green"), pixels, strict=True):
        expected = regionprops_table(labels, channel, ("intensity_median",))["intensity_median"]
        np.testing.assert_array_equal(found[f"intensity_median-{name}"], expected)


@pytest.mark.parametrize("ndim", [2, 3])
def test_without_objects(ndim):
    labels = np.zeros((5,) * ndim, np.uint8)
    names = tuple(n for n in WHOLES if n != "feret_diameter_max")
    found = measured(labels, [labels], names, extras=extras_of([quartiles, voxels], (), True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = regionprops_table(labels, labels, names, extra_properties=(quartiles, voxels))
    assert_columns(found, expected)


# -- the user's functions --------------------------------------------------------------------------


def voxels(mask):
    return int(mask.sum())


def quartiles(mask, intensities):
    return np.percentile(intensities[mask], (25, 50, 75))


def extent_and_range(mask, intensities):
    return mask.shape[0], float(np.ptp(intensities))


def second_moments(mask):
    return np.cov(np.argwhere(mask), rowvar=False, bias=True)


def outline(mask):
    return mask.copy()


def with_default(mask, exponent=2):
    return float(mask.sum()) ** exponent


USERS = (voxels, quartiles, extent_and_range, second_moments, with_default)


@pytest.mark.parametrize("shape", [(40, 30), (12, 16, 14)])
def test_extra_properties(shape):
    labels = blobs(shape, 8, 0.8)
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    chunks = tuple(max(1, n // 3) for n in shape)
    found = measured(
        da.from_array(labels, chunks=chunks),
        [da.from_array(image, chunks=chunks)],
        (),
        extras=extras_of(USERS, (), True),
    )
    assert_columns(found, by_scikit_image(labels, image, (), extra=USERS))


def test_extra_property_of_any_shape_is_a_column_of_objects():
    labels = blobs((30, 34), 4)
    found = measured(labels, (), (), extras=extras_of([outline], (), False))
    expected = by_scikit_image(labels, names=(), extra=[outline])
    assert found["outline"].dtype == object
    for ours, theirs in zip(found["outline"], expected["outline"], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_extra_properties_of_channels():
    """As of a multichannel image in scikit-image, whose last index is the channel."""
    labels = blobs((30, 34), 4)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 30, 34)).astype(np.uint8)
    functions = (voxels, quartiles)
    found = measured(
        labels, list(pixels), (), channels=("r", "g"), extras=extras_of(functions, (), True)
    )
    expected = by_scikit_image(labels, np.moveaxis(pixels, 0, -1), (), extra=functions)
    names = {
        f"quartiles-{i}-{k}": f"quartiles-{i}-{c}" for i in range(3) for k, c in enumerate("rg")
    }
    assert_columns(found, {names.get(n, n): column for n, column in expected.items()})


def test_extra_property_is_not_cut_to_the_type_of_a_sample():
    """scikit-image's column is whole numbers, since both samples give one."""

    def halves(mask):
        return mask.sum() / 2 if mask.sum() > 10 else 0

    labels = np.zeros((5, 9), int)
    labels[:, :3] = 1
    found = measured(labels, (), (), extras=extras_of([halves], (), False))
    assert found["halves"].tolist() == [7.5]


def test_failing_extra_property_is_named():
    def picky(mask):
        if mask.shape == (3, 4):
            raise KeyError("too wide")
        return 1

    labels = np.zeros((9, 9), int)
    labels[:3, :4] = 7
    with pytest.raises(ParameterError, match=r"'picky' failed for label 7.*KeyError.*too wide"):
        measured(labels, (), (), extras=extras_of([picky], (), False))


def test_extra_property_failing_on_the_samples_is_named():
    def never(mask):
        raise RuntimeError("no")

    with pytest.raises(ParameterError, match="'never' failed"):
        Extra.of(never).dtype(2)


def test_extra_property_of_varying_shape_is_refused():
    def varying(mask):
        return [1] * (2 if mask.shape == (3, 4) else 1)

    results = [[1], [1, 1]]
    with pytest.raises(ParameterError, match=r"'varying' must return the same shape.*label 9"):
        extra_columns(Extra.of(varying), results, [4, 9], [], 2, None)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ([3], "must be functions with a name"),
        ([lambda: 1], "it takes 0 arguments"),
        ([lambda a, b, c: 1], "it takes 3 arguments"),
        ([voxels, voxels], "'voxels' has the name of another property"),
        ([quartiles], "'quartiles' takes intensities"),
    ],
)
def test_unusable_functions_are_refused(functions, message):
    with pytest.raises(ParameterError, match=message):
        extras_of(functions, ("area",), has_image=False)


def test_function_named_as_a_property_is_refused():
    def area(mask):
        return 1

    with pytest.raises(ParameterError, match="rename it"):
        extras_of([area], ("area",), has_image=True)


# -- budget and reads ------------------------------------------------------------------------------


def test_too_large_an_object_is_refused_by_name(caplog):
    labels = np.zeros((40, 40), np.uint32)
    labels[:30, :30], labels[35:, 35:] = 12, 70_000
    users = extras_of([voxels], (), False)
    with caplog.at_level(logging.WARNING, "chunkseg"):
        found = measured(labels, (), ("area_convex", "area_filled"), budget=5000, extras=users)
    np.testing.assert_array_equal(found["area_convex"], [900.0, 25.0])
    np.testing.assert_array_equal(found["area_filled"], [np.nan, 25.0])
    np.testing.assert_array_equal(found["voxels"], [np.nan, 25.0])
    (record,) = caplog.records
    assert "label 12 of frame 0 (18000 bytes)" in record.getMessage()
    assert "area_filled, voxels: NaN for 1 object(s)" in record.getMessage()
    assert "70000" not in record.getMessage()
    found = measured(labels, (), ("area_filled",), budget=18_000)
    assert found["area_filled"].tolist() == [900.0, 25.0]


STREAMED = ("area_convex", "solidity", "feret_diameter_max", "intensity_median")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_too_large_objects_are_measured_from_pieces(data):
    """Nothing fits, flat things and single voxels included; boxes overlap and cross the blocks."""
    labels = data.draw(label_images())
    dtype = data.draw(st.sampled_from([np.bool_, np.uint8, np.int16, np.uint16]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = rng.integers(0, 200, labels.shape).astype(dtype)
    names = tuple(n for n in STREAMED if labels.ndim == 2 or n != "feret_diameter_max")
    lazy = [data.draw(chunked(labels)), data.draw(chunked(image))]
    found = measured(lazy[0], lazy[1:], names, (0.29, 0.26, 0.26)[-labels.ndim :], budget=1)
    expected = by_scikit_image(labels, image, names, (0.29, 0.26, 0.26)[-labels.ndim :])
    assert_columns(found, expected)


@pytest.mark.parametrize("shape", [(120, 90), (30, 36, 34)])
def test_only_what_is_too_large_comes_from_pieces(shape, caplog):
    labels = spread(blobs(shape, 3, 0.9), np.random.default_rng(5))
    source = Counting(labels)
    found = measured_from(source, STREAMED[:3], budget=12_000)
    expected = by_scikit_image(labels, names=STREAMED[:2])
    assert_columns(found, {**expected, "feret_diameter_max": ferets_one_by_one(labels)})
    assert not caplog.records
    crops = too_large(objects_of(labels), 12_000 // (8 + WORKING_BYTES))
    assert 0 < len(crops) < len(found["solidity"])


def measured_from(source, names, budget):
    layout = Layout.of(source.shape)
    spacing = (1.0,) * source.ndim
    rows = objects_of(source.array)
    return whole_object_columns(
        Input(source, layout), [], rows, names, spacing=spacing, budget=budget
    )


def test_pieces_are_read_once():
    labels = np.ones((32, 32, 32), np.uint8)
    labels[::2, 5:9] = 2
    source = Counting(labels)
    found = measured_from(source, ("area_convex",), budget=1000)
    assert found["area_convex"].tolist() == [32**3, 31 * 4 * 32]
    assert len(source.decoded) == 64
    assert set(source.decoded.values()) == {1}


def test_medians_of_channels_from_pieces():
    labels = np.kron([[1, 2]], np.ones((9, 8), int))
    pixels = np.random.default_rng(0).integers(0, 255, (2, 9, 16)).astype(np.uint8)
    names = ("intensity_median",)
    found = measured(labels, list(pixels), names, channels=("r", "g"), budget=1)
    assert_columns(found, measured(labels, list(pixels), names, channels=("r", "g")))


def test_medians_of_float_images_are_refused(caplog):
    labels = np.ones((9, 8), int)
    found = measured(labels, [labels / 3], ("intensity_median", "area_convex"), budget=500)
    assert np.isnan(found["intensity_median"]).all()
    assert found["area_convex"].tolist() == [72]
    assert "intensity_median: NaN for 1 object(s)" in caplog.text


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.integers(1, 5))
def test_median_of_counts(values, parts):
    pieces = [np.unique(p, return_counts=True) for p in np.array_split(values, parts) if len(p)]
    joined = [np.concatenate(column) for column in zip(*pieces, strict=True)]
    assert median_of_counts(*joined) == np.median(values)


def test_refused_objects_have_no_image_either(caplog):
    labels = np.ones((9, 9), np.uint8)
    found = measured(labels, (), (), budget=100, extras=extras_of([outline], (), False))
    assert found["outline"].tolist() == [None]


def test_many_refused_objects_are_counted(caplog):
    labels = np.kron(np.arange(1, 31).reshape(5, 6), np.ones((4, 4), int))
    measured(labels, (), ("area_filled",), budget=300)
    assert "and 10 more" in caplog.text


class Counting(Region):
    """Counts how often each chunk of 8 voxels per axis is decoded."""

    chunk = 8

    def __init__(self, array):
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype
        self.chunks = (self.chunk,) * array.ndim
        self.decoded = Counter()
        self.lock = threading.Lock()

    def _read(self, spans):
        ranges = [range(s.start // self.chunk, -(-s.stop // self.chunk)) for s in spans]
        with self.lock:
            self.decoded.update(product(*ranges))
        return self.array[spans]


def test_objects_within_chunks_are_read_once():
    cell = np.zeros((8, 8, 8), int)
    cell[1:7, 2:6, 1:5] = 1
    labels = np.kron(np.arange(1, 65).reshape(4, 4, 4), np.ones((8, 8, 8), int)) * np.tile(
        cell, (4,) * 3
    )
    source = Counting(labels)
    layout = Layout.of(labels.shape)
    found = whole_object_columns(
        Input(source, layout), [], objects_of(labels), ("area_filled",), spacing=(1.0,) * 3
    )
    assert set(found["area_filled"]) == {96.0}
    assert len(source.decoded) == 64
    assert set(source.decoded.values()) == {1}


def test_objects_across_chunks_are_read_about_once():
    """A chunk is read for its own block and where objects of the block before it reach into it."""
    labels = blobs((64, 64, 64), 2, 0.93)
    source = Counting(labels)
    layout = Layout.of(labels.shape)
    whole_object_columns(
        Input(source, layout),
        [],
        objects_of(labels),
        ("area_filled",),
        spacing=(1.0,) * 3,
        execution=Execution(workers=1, client=None),
    )
    assert source.decoded.total() / len(source.decoded) < 2.5
    assert set(source.decoded.values()) <= set(range(1, 9))


def test_images_are_not_read_for_shapes():
    labels = blobs((30, 34), 4)
    pixels = Counting(labels.astype(np.uint8))
    measured(labels, [pixels], SHAPES)
    assert not pixels.decoded
    measured(labels, [pixels], ("intensity_median",))
    assert pixels.decoded


@settings(deadline=None, max_examples=60)
@given(st.data())
@example(None)
def test_plan_holds_every_object_that_fits_once(data):
    rng = np.random.default_rng(0 if data is None else data.draw(st.integers(0, 999)))
    voxels = 60 if data is None else data.draw(st.sampled_from([1, 5, 60, 10_000]))
    n = 40
    start = rng.integers(0, 25, (n, 3))
    stop = start + rng.integers(1, 7, (n, 3))
    objects = Objects(rng.integers(0, 2, n), np.arange(n), start, stop)
    groups = list(plan_crops(objects, Grid.regular((32,) * 3, (8, 16, 8)), voxels))
    planned = np.concatenate([g.rows for g in groups]) if groups else np.empty(0, int)
    fits = np.setdiff1d(np.arange(n), too_large(objects, voxels))
    np.testing.assert_array_equal(np.sort(planned), fits)
    for group in groups:
        assert group.box.size <= voxels
        assert (objects.start[group.rows] >= group.box.start).all()
        assert (objects.stop[group.rows] <= group.box.stop).all()
        assert (objects.frame[group.rows] == group.frame).all()


def test_plan_bounds_the_objects_of_a_group():
    n = 3 * MOST_OBJECTS
    start = np.stack([np.arange(n), np.zeros(n, int)], axis=1)
    objects = Objects(np.zeros(n, int), np.arange(1, n + 1), start, start + 1)
    groups = list(plan_crops(objects, Grid.regular((n, 1), (n, 1)), n))
    assert [len(g.rows) for g in groups] == [MOST_OBJECTS * 3 // 4] * 4
    assert sum(g.box.size for g in groups) == n


def test_home_blocks_are_whole_chunks_and_several_per_worker():
    labels = np.zeros((64, 64, 64), np.uint8)
    image = Input(Counting(labels), Layout.of(labels.shape))
    assert home_grid(image, 2**20, 1).chunks[0][0] % 8 == 0
    assert len(home_grid(image, 2**30, 4)) >= 8
    assert len(home_grid(image, 1, 1)) == 512


def test_progress_counts_groups():
    labels = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((8, 8), int))
    told = []
    measured(labels, names=("area_filled",), progress=lambda *news: told.append(news))
    assert told[-1][0] == "objects"
    assert told[-1][1] == told[-1][2] == len(told)

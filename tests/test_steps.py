"""Each public step equals scikit-image on the whole array, for any chunking: dtype, then bits."""

from __future__ import annotations

import warnings

import dask.array as da
import numpy as np
import pytest
import skimage as ski
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

import chunkseg as cs
from tests.lesson import eroded
from tests.strategies import chunked, images, label_images, masks

some = settings(deadline=None, max_examples=50)


def assert_same(ours, theirs):
    ours = np.asarray(ours)
    assert ours.dtype == np.asarray(theirs).dtype
    np.testing.assert_array_equal(ours, theirs)


@some
@given(st.data())
def test_gaussian(data):
    image = data.draw(images())
    sigma = data.draw(st.sampled_from([0, 0.3, 1, 2.5]))
    if data.draw(st.booleans()):
        sigma = tuple(data.draw(st.sampled_from([0, 0.5, 1.5])) for _ in image.shape)
    mode = data.draw(st.sampled_from(["nearest", "reflect", "constant", "mirror", "wrap"]))
    keep = data.draw(st.booleans())
    expected = ski.filters.gaussian(image, sigma, mode=mode, cval=0.5, preserve_range=keep)
    lazy = cs.gaussian(data.draw(chunked(image)), sigma, mode=mode, cval=0.5, preserve_range=keep)
    assert isinstance(lazy, da.Array)
    assert_same(lazy.compute(), expected)


@some
@given(st.data())
def test_threshold_otsu(data):
    image = data.draw(images())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = ski.filters.threshold_otsu(image)
    found = cs.threshold_otsu(data.draw(chunked(image)))
    assert type(found) is type(expected)
    assert found == expected


@some
@given(st.data())
def test_binary_erosion_by_a_radius(data):
    mask = data.draw(masks())
    radius, times = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 3))
    ball = ski.morphology.ball(radius) if mask.ndim == 3 else ski.morphology.disk(radius)
    expected = eroded(mask, ball, times)
    lazy = cs.binary_erosion(data.draw(chunked(mask)), radius=radius, iterations=times)
    assert_same(lazy.compute(), expected)


@some
@given(st.data())
def test_binary_erosion_by_a_physical_radius(data):
    mask = data.draw(masks())
    radius = data.draw(st.one_of(st.floats(0, 3), st.sampled_from([0.26, 1.3, 0.29 * 3])))
    spacing = data.draw(st.sampled_from([(0.29, 0.26, 0.26), (2.5, 0.7, 0.7), (1, 1, 1)]))
    times, spacing = data.draw(st.integers(1, 2)), spacing[-mask.ndim :]
    expected = mask
    for _ in range(times):
        if not expected.all():
            expected = ndi.distance_transform_edt(expected, sampling=spacing) > radius
    lazy = cs.binary_erosion(
        data.draw(chunked(mask)), radius=radius, iterations=times, spacing=spacing
    )
    assert_same(lazy.compute(), expected)


@some
@given(st.data())
def test_binary_erosion_by_a_footprint(data):
    mask = data.draw(masks())
    lengths = [data.draw(st.integers(1, 4)) for _ in mask.shape]
    seed = data.draw(st.integers(0, 100))
    footprint = np.random.default_rng(seed).random(lengths) < 0.6
    padded = np.pad(footprint, [(0, 1 - n % 2) for n in lengths])
    expected = ndi.binary_erosion(mask, padded, border_value=1)
    assert_same(cs.binary_erosion(data.draw(chunked(mask)), footprint).compute(), expected)


@some
@given(st.data())
def test_erosion_by_a_footprint_mirrors_the_edges(data):
    mask = data.draw(masks())
    footprint = np.ones([data.draw(st.sampled_from([1, 3, 5])) for _ in mask.shape], bool)
    holes = np.random.default_rng(data.draw(st.integers(0, 100))).random(footprint.shape) < 0.5
    footprint[holes] = False
    assume(footprint.any())
    expected = ski.morphology.erosion(mask, footprint)
    assert_same(cs.erosion(data.draw(chunked(mask)), footprint).compute(), expected)


@pytest.mark.parametrize("lengths", [(1, 1), (1, 3), (5, 1), (3, 3), (5, 3)])
def test_binary_erosion_by_a_sequence_of_footprints(lengths):
    """Sequences of flat rectangles hold a square that is applied 0 times."""
    mask = np.random.default_rng(0).random((12, 13)) < 0.9
    sequence = ski.morphology.footprint_rectangle(lengths, decomposition="sequence")
    expected = ndi.binary_erosion(mask, np.ones(lengths), border_value=1)
    assert_same(cs.binary_erosion(da.from_array(mask, chunks=5), sequence).compute(), expected)


@some
@given(st.data())
def test_label(data):
    image = data.draw(st.one_of(masks(), label_images()))
    connectivity = data.draw(st.integers(1, image.ndim))
    background = data.draw(st.sampled_from([None, 0, 1, 2, -1]))
    expected, count = ski.measure.label(image, background, True, connectivity)
    lazy, found = cs.label(data.draw(chunked(image)), background, True, connectivity)
    assert found == count
    assert_same(lazy.compute(), expected)


@some
@given(st.data())
def test_expand_labels(data):
    labels = data.draw(label_images())
    distance = data.draw(st.sampled_from([0, 1, 1.5, 3, 6]))
    spacing = data.draw(st.sampled_from([1, 0.5, (0.29, 0.26, 0.26), (2.5, 0.7, 0.7), (0.3, 1, 1)]))
    if not np.isscalar(spacing):
        spacing = spacing[-labels.ndim :]
    expected = ski.segmentation.expand_labels(labels, distance, spacing)
    if not labels.any():
        expected = np.zeros_like(labels)
    assert_same(cs.expand_labels(data.draw(chunked(labels)), distance, spacing).compute(), expected)


@some
@given(st.data())
def test_clear_border(data):
    labels = data.draw(st.one_of(masks(), label_images()))
    buffer = data.draw(st.integers(0, min(labels.shape) - 1))
    value = data.draw(st.sampled_from([0, 1]))
    expected = ski.segmentation.clear_border(labels, buffer, value)
    assert_same(cs.clear_border(data.draw(chunked(labels)), buffer, value).compute(), expected)


@some
@given(st.data())
def test_clear_border_by_a_mask(data):
    labels = data.draw(st.one_of(masks(), label_images()))
    inside = np.random.default_rng(data.draw(st.integers(0, 99))).random(labels.shape) < 0.9
    expected = ski.segmentation.clear_border(labels, mask=inside)
    assert_same(cs.clear_border(data.draw(chunked(labels)), mask=inside).compute(), expected)


@some
@given(st.data())
def test_relabel_sequential(data):
    labels = data.draw(label_images())
    offset = data.draw(st.sampled_from([1, 5, 250, 70_000]))
    expected, forward, inverse = ski.segmentation.relabel_sequential(labels, offset)
    lazy, our_forward, our_inverse = cs.relabel_sequential(data.draw(chunked(labels)), offset)
    assert_same(lazy.compute(), expected)
    # scikit-image can't make the map of a label 255 of uint8 into an array
    for ours, theirs in ((our_forward, forward), (our_inverse, inverse)):
        assert_same(ours.in_values, theirs.in_values)
        assert_same(ours.out_values, theirs.out_values)


PROPERTIES = (
    *("label", "num_pixels", "area", "bbox", "area_bbox", "extent", "equivalent_diameter_area"),
    *("centroid", "intensity_mean", "intensity_min", "intensity_max"),
)


@some
@given(st.data())
def test_regionprops_table(data):
    labels = data.draw(label_images())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.float64]))
    image = (rng.random(labels.shape) * 200).astype(dtype)
    spacing = data.draw(st.sampled_from([None, 0.5, (0.29, 0.26, 0.26)]))
    if isinstance(spacing, tuple):
        spacing = spacing[-labels.ndim :]
    expected = ski.measure.regionprops_table(labels, image, PROPERTIES, spacing=spacing)
    table = cs.regionprops_table(data.draw(chunked(labels)), image, PROPERTIES, spacing=spacing)
    assert list(table.columns) == list(expected)
    for name, column in expected.items():
        assert table[name].dtype == column.dtype, name
        if name.startswith(("label", "num", "bbox", "area", "intensity_m_")):
            np.testing.assert_array_equal(table[name], column)
        else:
            np.testing.assert_allclose(table[name], column, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dims", ["tzyx", "zctyx"])
def test_named_axes_are_looped_over(dims):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 50, [{"t": 3, "c": 2, "z": 4, "y": 9, "x": 8}[d] for d in dims])
    pixels = pixels.astype(np.uint16)
    image = cs.from_array(da.from_array(pixels, chunks=3), dims=dims)
    blurred = cs.gaussian(image, 1)
    threshold = cs.threshold_otsu(blurred)
    mask = blurred > threshold
    labels = cs.label(cs.clear_border(cs.expand_labels(cs.label(mask), 1)))
    assert labels.dims == image.dims
    assert set(threshold.dims) == set(dims) - set("zyx")
    for where in np.ndindex(*[image.sizes[d] for d in threshold.dims]):
        at = dict(zip(threshold.dims, where, strict=True))
        frame = ski.filters.gaussian(image.isel(at).values, 1)
        assert threshold.isel(at).item() == ski.filters.threshold_otsu(frame)
        expected = ski.measure.label(frame > ski.filters.threshold_otsu(frame))
        expected = ski.segmentation.clear_border(ski.segmentation.expand_labels(expected, 1))
        assert_same(labels.isel(at).values, ski.measure.label(expected))
    table = cs.regionprops_table(labels, image, properties=("label", "area", "intensity_mean"))
    assert list(table.columns[: len(threshold.dims)]) == list(threshold.dims)
    assert len(table) == int(
        sum(
            labels.isel(dict(zip(threshold.dims, w, strict=True))).values.max()
            for w in np.ndindex(*threshold.shape)
        )
    )

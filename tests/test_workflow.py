"""The whole workflow equals the lesson in memory: arrays bit for bit, tables and counts too."""

from __future__ import annotations

import functools
import json

import dask.array as da
import numpy as np
import pytest
import skimage as ski
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.storage.site import KEPT
from tests.lesson import from_mask, lesson
from tests.strategies import images, masks

PROPERTIES = (
    "label",
    "area",
    "bbox",
    "centroid",
    "intensity_mean",
    "intensity_min",
    "intensity_max",
)


def assert_lesson(result, expected, image=None, frame=None):
    labels = result.labels if frame is None else result.labels.isel(t=frame)
    facts = result.run["frames"][frame or 0]
    np.testing.assert_array_equal(labels.values, expected.labels)
    counts = facts["counts"]
    assert (counts["mask"], counts["eroded"], counts["final"]) == expected.counts
    assert result.foreground_fractions[frame or 0] == facts["foreground_fraction"]
    assert facts["foreground_fraction"] == expected.mask.sum() / expected.mask.size
    if expected.threshold is not None:
        assert facts["threshold"] == float(expected.threshold)
    if image is not None:
        table = result.table if frame is None else result.table.query("t == @frame")
        assert_table(table, expected.labels, image)


def assert_table(table, labels, image):
    expected = ski.measure.regionprops_table(labels, image, PROPERTIES)
    for name, column in expected.items():
        exact = (
            name.startswith(("label", "area", "bbox", "intensity_m")) and image.dtype.kind in "ui"
        )
        if exact and name != "intensity_mean":
            np.testing.assert_array_equal(table[name].to_numpy(), column, err_msg=name)
        tolerance = 1e-6 if image.dtype == np.float32 else 1e-9
        np.testing.assert_allclose(table[name].to_numpy(), column, rtol=tolerance, err_msg=name)


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_any_image_and_blocks(data, tmp_path_factory):
    image = data.draw(images())
    sigma = data.draw(st.sampled_from([0, 0.7, 1.5]))
    radius = data.draw(st.integers(0, 3))
    distance = data.draw(st.sampled_from([None, 0, 1.5, 4]))
    border = data.draw(st.booleans())
    block = [data.draw(st.integers(1, 7)) for _ in image.shape]
    expected = lesson(image, sigma, radius, distance, border=border)
    workflow = cs.Workflow(
        sigma=sigma, erosion_radius=radius, expand_distance=distance, clear_border=border
    )
    out = tmp_path_factory.mktemp("any") / "out"
    result = workflow.run(image, out, block_shape=block, keep=KEPT)
    assert_lesson(result, expected, image)
    for name in KEPT:
        kept = getattr(result, name).values
        np.testing.assert_array_equal(kept, getattr(expected, name))


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_any_mask_and_blocks(data, tmp_path_factory):
    mask = data.draw(masks())
    radius = data.draw(st.integers(0, 3))
    block = [data.draw(st.integers(1, 7)) for _ in mask.shape]
    out = tmp_path_factory.mktemp("any") / "out"
    workflow = cs.Workflow(erosion_radius=radius)
    result = workflow.run(mask, out, block_shape=block, input_is_mask=True)
    assert_lesson(result, from_mask(mask, radius))
    assert "intensity_mean" not in result.table


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_steps_equal_the_workflow(data, tmp_path_factory):
    image = data.draw(images())
    radius = data.draw(st.integers(0, 3))
    lazy = cs.from_array(da.from_array(image, chunks=3))
    blurred = cs.gaussian(lazy, 1)
    threshold = cs.threshold_otsu(blurred)
    mask = blurred > threshold
    seeds = cs.label(cs.erosion(mask, radius=radius))
    labels = cs.label(cs.clear_border(cs.expand_labels(seeds, radius)))
    table = cs.regionprops_table(labels, lazy, PROPERTIES)
    workflow = cs.Workflow(sigma=1, erosion_radius=radius)
    result = workflow.run(
        lazy, tmp_path_factory.mktemp("steps") / "out", block_shape=[3] * image.ndim
    )
    np.testing.assert_array_equal(labels.values, result.labels.values)
    assert result.thresholds[0] == float(threshold)
    assert result.run["frames"][0]["foreground_fraction"] == cs.foreground_fraction(mask)
    np.testing.assert_array_equal(table.to_numpy(), result.table[list(table.columns)].to_numpy())


REAL = {"coins": (2, 5), "cell": (2, 3), "page": (1, 1), "moon": (3, 4), "clock": (2, 2)}


@pytest.mark.parametrize("name", REAL)
def test_real_images_of_scikit_image(name, tmp_path):
    image = getattr(ski.data, name)()
    sigma, radius = REAL[name]
    result = cs.Workflow(sigma=sigma, erosion_radius=radius).run(
        image, tmp_path / "out", block_shape=(100, 77)
    )
    assert_lesson(result, lesson(image, sigma, radius), image)


TABLE = [
    ("nuclei-zyx/xyz_8bit__nuclei_autothresh.tif", 1, 1, None, "0.24026382145494898", (67, 63, 38)),
    ("nuclei-zyx/xyz_8bit__nuclei_autothresh.tif", 1, 2, None, "0.24026382145494898", (67, 49, 34)),
    ("nuclei-zyx/xyz_8bit__nuclei_autothresh.tif", 2, 2, None, "0.14757283059705095", (50, 51, 29)),
    ("dna-zcyx/xyzc_16bit__dna_conf_wf.tif", 2, 3, 0, "0.14443800803327242", (1, 1, 1)),
]


@functools.cache
def lesson_of(path, channel, sigma, radius):
    """Return a stack and what the lesson makes of it."""
    image = cs.open_image(path, channel=channel)
    return image, lesson(image.values, sigma, radius)


@pytest.mark.parametrize("block", [None, (16, 50, 50), (37, 31, 64), (5, 200, 200)])
@pytest.mark.parametrize(("path", "sigma", "radius", "channel", "threshold", "counts"), TABLE)
def test_table_of_real_stacks(
    shared_data, tmp_path, path, sigma, radius, channel, threshold, counts, block
):
    result = cs.Workflow(sigma=sigma, erosion_radius=radius).run(
        shared_data / path, tmp_path / "out", channel=channel, block_shape=block
    )
    assert repr(result.thresholds[0]) == f"np.float64({threshold})"
    image, expected = lesson_of(shared_data / path, channel, sigma, radius)
    assert expected.counts == counts
    assert_lesson(result, expected, image.values)
    assert result.labels.dims == image.dims
    for dim in image.dims:
        np.testing.assert_allclose(result.labels[dim], image[dim])
        assert result.labels[dim].attrs["units"] == image[dim].attrs["units"]


MITOSIS = [14] * 5 + [13] * 3 + [16, 15, 14, 15, 16, 16, 17, 17, 18, 18, 17, 18, 16, 18, 19, 18]
MITOSIS += [19, 17, 16, 16, 16, 18]


@pytest.fixture(scope="module")
def mitosis_lessons(shared_data):
    """Frames of the movie, each with what the lesson makes of it."""
    movie = cs.open_image(shared_data / "mitosis-movie").values
    return [(image, lesson(image, 1, 2)) for image in movie]


@pytest.mark.parametrize("block", [None, (64, 100)])
def test_mitosis_movie_in_one_run(shared_data, mitosis_lessons, tmp_path, block):
    result = cs.Workflow(sigma=1, erosion_radius=2).run(
        shared_data / "mitosis-movie", tmp_path / "out", block_shape=block
    )
    assert list(result.counts["final"]) == MITOSIS
    assert list(result.summary["count"]) == MITOSIS
    for frame, (image, expected) in enumerate(mitosis_lessons):
        assert_lesson(result, expected, image, frame)


@pytest.mark.parametrize(("frame", "threshold"), [(0, 16509.74609375), (15, 19996.7265625)])
def test_golgi_float32(shared_data, tmp_path, frame, threshold):
    image = cs.open_image(next((shared_data / "golgi-tyx").glob("*.tif"))).isel(t=frame)
    result = cs.Workflow(sigma=1, erosion_radius=2).run(
        image, tmp_path / "out", block_shape=(50, 50)
    )
    assert result.thresholds[0] == threshold
    assert_lesson(result, lesson(image.values, 1, 2), image.values)


def test_cells3d_labels_as_the_mask(shared_data, tmp_path):
    mask = cs.open_image(shared_data / "cells3d-labels" / "nuclei_label.tif", dims="zyx")
    result = cs.Workflow(erosion_radius=10).run(
        mask, tmp_path / "out", input_is_mask=True, block_shape=(30, 100, 100)
    )
    assert_lesson(result, from_mask(mask.values > 0, 10))
    assert list(result.table["area"][:3]) == [49468, 33577, 12958]


def test_physical_columns(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (12, 30, 28)).astype(np.uint8)
    spacing = {"z": 0.29, "y": 0.26, "x": 0.25}
    image = cs.from_array(pixels, "zyx", spacing, "micrometer")
    table = cs.Workflow(sigma=1).run(image, tmp_path / "out").table
    volume = table["area"].to_numpy() * (0.29 * 0.26 * 0.25)
    np.testing.assert_allclose(table["volume_um3"], volume, rtol=1e-12)
    np.testing.assert_allclose(table["centroid_um-1"], table["centroid-1"] * 0.26, rtol=1e-12)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["objects"]["unit"] == "um3"

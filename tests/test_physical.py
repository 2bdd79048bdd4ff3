"""Workflows in physical units, with repeated erosion and limits of size, against scikit-image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import skimage as ski
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

import chunkseg as cs
from chunkseg.errors import ParameterError
from chunkseg.plan.parameters import Parameters
from tests.lesson import eroded
from tests.strategies import images, masks

SPACINGS = [(0.29, 0.26, 0.26), (2.5, 0.7, 0.7), (1.0, 1.0, 1.0), (0.3, 1.0, 0.1)]


def in_memory(
    mask: Any,
    radius: float,
    times: int,
    distance: float,
    spacing: tuple[float, ...],
    low: float = 0.0,
    high: float = np.inf,
) -> Any:
    """What follows the mask, by the calls that the documentation names."""
    for _ in range(times if radius else 0):
        if not mask.all():
            mask = ndi.distance_transform_edt(mask, sampling=spacing) > radius
    seeds = ski.measure.label(mask)
    expanded = (
        seeds if not seeds.any() else ski.segmentation.expand_labels(seeds, distance, spacing)
    )
    return of_size(ski.measure.label(ski.segmentation.clear_border(expanded)), spacing, low, high)


def of_size(labels, spacing, low, high):
    """Keep objects by scikit-image's calls; their limits are numbers of voxels, inclusive."""
    voxel = float(np.prod(spacing))
    counts = np.arange(labels.size + 1)
    least = (
        int(np.argmax(counts * voxel >= low)) if (counts * voxel >= low).any() else labels.size + 1
    )
    most = int(np.flatnonzero(counts * voxel <= high)[-1])
    large = ski.morphology.remove_small_objects(labels, max_size=most) if labels.any() else labels
    small = np.where(large == 0, labels, 0)
    if small.any() and least > 0:
        small = ski.morphology.remove_small_objects(small, max_size=least - 1)
    return ski.segmentation.relabel_sequential(small)[0]


@settings(max_examples=25)
@given(data=st.data())
def test_any_mask_in_physical_units(data, tmp_path_factory):
    mask = data.draw(masks())
    spacing = data.draw(st.sampled_from(SPACINGS))[-mask.ndim :]
    radius = data.draw(st.sampled_from([0, 0.26, 0.5, 1.3]))
    times = data.draw(st.integers(1, 3))
    distance = data.draw(st.sampled_from([None, 0, 0.6, 2.0]))
    low, high = data.draw(st.sampled_from([(None, None), (0.2, None), (0.1, 2.0), (None, 1.5)]))
    block = [data.draw(st.integers(1, 7)) for _ in mask.shape]
    workflow = cs.Workflow(
        units="physical",
        erosion_radius=radius,
        erosion_iterations=times,
        expand_distance=distance,
        min_size=low,
        max_size=high,
    )
    image = cs.from_array(mask, spacing=spacing, unit="um")
    out = tmp_path_factory.mktemp("physical") / "out"
    result = workflow.run(image, out, block_shape=block, input_is_mask=True)
    limits = 0.0 if low is None else low, np.inf if high is None else high
    expected = in_memory(mask, radius, times, workflow.distance, spacing, *limits)
    np.testing.assert_array_equal(result.labels.values, expected)
    assert result.table["area"].tolist() == np.bincount(expected.ravel())[1:].tolist()
    if times == 2:
        assert result.verify(image).ok


@settings(max_examples=12)
@given(data=st.data())
def test_the_blur_is_by_sigma_over_spacing(data, tmp_path_factory):
    image = data.draw(images())
    spacing = data.draw(st.sampled_from(SPACINGS))[-image.ndim :]
    sigma = data.draw(st.sampled_from([0.3, (0.6, 0.2, 0.26)]))
    sigma = sigma[-image.ndim :] if isinstance(sigma, tuple) else sigma
    workflow = cs.Workflow(units="physical", sigma=sigma, erosion_radius=0.4)
    opened = cs.from_array(image, spacing=spacing, unit="um")
    block = [data.draw(st.integers(1, 7)) for _ in image.shape]
    out = tmp_path_factory.mktemp("blur") / "out"
    result = workflow.run(opened, out, block_shape=block)
    per_axis = np.broadcast_to(sigma, image.ndim) / np.array(spacing)
    blurred = ski.filters.gaussian(image, per_axis)
    threshold = ski.filters.threshold_otsu(blurred)
    assert result.thresholds[0] == float(threshold)
    expected = in_memory(blurred > threshold, 0.4, 1, 0.4, spacing)
    np.testing.assert_array_equal(result.labels.values, expected)


@pytest.mark.parametrize("low", [3, 4, 5])
def test_sizes_in_voxels_are_inclusive(tmp_path, low):
    mask = np.zeros((9, 12), bool)
    mask[2:4, 2:4] = mask[6, 2:5] = mask[2:7, 8:10] = True
    whole = ski.measure.label(mask)
    result = cs.Workflow(min_size=low).run(mask, tmp_path / "out", input_is_mask=True)
    expected = ski.morphology.remove_small_objects(whole, max_size=low - 1)
    expected = ski.segmentation.relabel_sequential(expected)[0]
    np.testing.assert_array_equal(result.labels.values, expected)
    small = cs.Workflow(max_size=low).run(mask, tmp_path / "small", input_is_mask=True)
    kept = np.where(ski.morphology.remove_small_objects(whole, max_size=low) == 0, whole, 0)
    expected = ski.segmentation.relabel_sequential(kept)[0]
    np.testing.assert_array_equal(small.labels.values, expected)


def test_ten_erosions_by_one_are_not_one_by_ten(tmp_path):
    mask = np.pad(np.ones((45, 45), bool), 2)
    mask[24, 24] = False
    options = {"expand_distance": 0}
    ten = cs.Workflow(erosion_radius=1, erosion_iterations=10, **options)
    one = cs.Workflow(erosion_radius=10, **options)
    assert ten.distance == 0
    assert cs.Workflow(erosion_radius=1, erosion_iterations=10).distance == 10
    found = [
        w.run(mask, tmp_path / str(i), input_is_mask=True, block_shape=(16, 16)).labels.values > 0
        for i, w in enumerate((ten, one))
    ]
    cross, disk = ski.morphology.disk(1), ski.morphology.disk(10)
    assert (found[0] == eroded(mask, cross, 10)).all()
    assert (found[1] == ndi.binary_erosion(mask, disk, border_value=1)).all()
    assert (found[0] != found[1]).any()


def test_lengths_beyond_any_image(tmp_path):
    """Further than any integer of 64 bits: as far as the image goes."""
    mask = np.random.default_rng(1).random((20, 24)) < 0.05
    options = {"block_shape": (8, 8), "input_is_mask": True}
    workflow = cs.Workflow(expand_distance=1e300, clear_border=False)
    result = workflow.run(mask, tmp_path / "expanded", **options)
    expanded = ski.segmentation.expand_labels(ski.measure.label(mask), 1e300)
    np.testing.assert_array_equal(result.labels.values, ski.measure.label(expanded))
    gone = cs.Workflow(erosion_radius=1e18).run(~mask, tmp_path / "eroded", **options)
    assert not gone.labels.values.any()


def test_an_image_without_unit_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"units=.physical. needs.*spacing= and unit="):
        cs.Workflow(units="physical").run(np.ones((4, 4)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_file_says_the_units(tmp_path):
    physical = Parameters(units="physical", erosion_radius=2.6, min_size=1.5, properties=("area",))
    physical.save(tmp_path / "physical.toml")
    text = (tmp_path / "physical.toml").read_text()
    assert 'units = "physical"' in text
    assert "radius in the image's unit" in text
    assert Parameters.load(tmp_path / "physical.toml") == physical
    Parameters(erosion_radius=2).save(tmp_path / "pixels.toml")
    text = (tmp_path / "pixels.toml").read_text()
    assert 'units = "pixels"' in text
    assert "radius in voxels" in text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"units": "um"}, "units must be 'pixels' or 'physical'; got 'um'"),
        ({"threshold_scope": "all"}, "threshold_scope must be 'frame' or 'movie'; got 'all'"),
        ({"threshold_scope": "movie", "threshold": 0.5}, "goes with threshold='otsu'"),
        ({"erosion_iterations": 0}, "erosion_iterations must be a whole number from 1 on"),
        ({"erosion_iterations": 1.5}, "erosion_iterations must be a whole number"),
        ({"erosion_radius": 1.5}, "a whole number of voxels, 0 or more"),
        ({"erosion_radius": -1.5, "units": "physical"}, "erosion_radius must be a number, 0"),
        ({"min_size": -1}, "min_size must not be negative"),
        ({"min_size": 3, "max_size": 2}, "min_size must not be above max_size; got 3.0 and 2.0"),
        ({"properties": 3}, "properties must be names of measures; got 3"),
        ({"properties": ()}, "properties must be names of measures"),
    ],
)
def test_refused(values, message):
    with pytest.raises(ParameterError, match=message):
        Parameters(**values)

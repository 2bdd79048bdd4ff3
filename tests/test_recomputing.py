"""A region against scikit-image: nothing is wrong with what is right, and what is wrong is told."""

from __future__ import annotations

import numpy as np
import pytest
import skimage as ski
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chunkseg.geometry.boxes import Box
from chunkseg.passes.components import Border
from chunkseg.passes.recomputing import Recipe, compare
from tests.lesson import from_mask, lesson
from tests.strategies import images, masks

KEPT = ("labels", "mask", "seeds", "expanded")


@st.composite
def boxes(draw, shape):
    start = [draw(st.integers(0, n - 1)) for n in shape]
    return Box(
        tuple(start), tuple(draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    )


def region(recipe, image, found, core, kept=KEPT, **changed):
    """Compare a region of what the lesson gives, or of something else in its place."""
    whole = {name: changed.get(name, getattr(found, name)) for name in kept}
    stored = {name: values[core.slices()] for name, values in whole.items()}
    if "seeds" in kept:
        stored["seeds"] = whole["seeds"][recipe.seeds_box(core).slices()]
    return compare(recipe, 0, core, image[recipe.image_box(core).slices()], stored)


@st.composite
def results(draw):
    """An image, what the lesson gives for it, and the recipe."""
    radius, distance = draw(st.integers(0, 2)), draw(st.sampled_from([None, 0, 1.5, 3]))
    border = draw(st.booleans())
    sigma, image = None, draw(masks())
    if draw(st.booleans()):
        sigma, image = draw(st.sampled_from([0, 0.3])), draw(images())
        found = lesson(image, sigma, radius, distance, border=border)
        sigma = (float(sigma),) * image.ndim
    else:
        found = from_mask(image, radius, distance, border)
    cleared = Border(tuple(range(image.ndim))) if border else None
    distance = radius if distance is None else distance
    frame, threshold = Box.whole(image.shape), found.threshold
    recorded = None if threshold is None else float(threshold)
    return image, found, Recipe(sigma, (recorded,), radius, distance, cleared, frame)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_any_region_of_a_right_result_is_right(data):
    image, found, recipe = data.draw(results())
    core = data.draw(boxes(image.shape))
    kept = data.draw(st.sampled_from([KEPT, ("labels",), ("mask",), ("labels", "expanded")]))
    record = region(recipe, image, found, core, kept)
    assert record.differences == ()
    assert record.foreground == found.mask[core.slices()].sum()
    if "labels" in kept:
        assert_objects(record.objects, found.labels, None if recipe.sigma is None else image)


def assert_objects(objects, labels, image):
    """Whatever is told of objects is what scikit-image says of the whole image."""
    names = ["label", "area", "bbox", "centroid"]
    names += [] if image is None else ["intensity_mean", "intensity_min", "intensity_max"]
    whole = ski.measure.regionprops_table(labels, image, properties=names)
    rows = np.searchsorted(whole["label"], objects["label"])
    assert set(objects) == set(whole)
    for name, column in whole.items():
        np.testing.assert_allclose(objects[name], column[rows], rtol=1e-6, err_msg=name)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_whole_frame_decides_everything(data):
    """In a region that is the frame, any changed voxel is noticed but for a renamed object."""
    image, found, recipe = data.draw(results())
    core = recipe.frame
    record = region(recipe, image, found, core)
    assert sorted(record.objects["label"]) == list(range(1, found.labels.max(initial=0) + 1))
    voxel = tuple(data.draw(st.integers(0, n - 1)) for n in image.shape)
    name = data.draw(st.sampled_from(KEPT))
    changed = getattr(found, name).astype(np.int64)
    new = data.draw(st.integers(0, 1 if name == "mask" else changed.max(initial=0) + 1))
    assume(new != changed[voxel] and (changed == changed[voxel]).sum() > 1)
    changed[voxel] = new
    told = {d.step for d in region(recipe, image, found, core, **{name: changed}).differences}
    assert name in told


BLOBS = np.zeros((20, 30), np.uint8)
BLOBS[3:8, 3:8] = BLOBS[3:8, 10:15] = BLOBS[12:18, 5:9] = BLOBS[0:4, 20:26] = 200
RECIPE = Recipe((0.0, 0.0), (0.5,), 0, 0.0, Border((0, 1)), Box.whole(BLOBS.shape))
EVERYWHERE = RECIPE.frame


def changed_labels(change):
    labels = lesson(BLOBS, 0, threshold=0.5).labels.copy()
    change(labels)
    return labels


def voxel_gone(labels):
    labels[4, 4] = 0


def object_gone(labels):
    labels[labels == 2] = 0


def merged(labels):
    labels[labels == 3] = 1


def border_object_back(labels):
    labels[0:4, 20:26] = 4


def label_on_background(labels):
    labels[19, 29] = 4


@pytest.mark.parametrize(
    ("change", "voxel", "text"),
    [
        (voxel_gone, (3, 3), "a piece has several labels"),
        (object_gone, (3, 10), "an object is missing"),
        (merged, (12, 5), "two objects have one label"),
        (border_object_back, (0, 20), "an object that touches the border is there"),
        (label_on_background, (19, 29), "a label where background is"),
    ],
)
def test_each_rule_names_the_first_voxel(change, voxel, text):
    record = region(
        RECIPE, BLOBS, lesson(BLOBS, 0), EVERYWHERE, ("labels",), labels=changed_labels(change)
    )
    first = record.differences[0]
    assert (first.step, first.voxel) == ("labels", voxel)
    assert text in first.text


def test_other_ids_are_no_difference_but_other_objects_to_the_table():
    other = np.array([0, 3, 1, 2])[lesson(BLOBS, 0).labels]
    record = region(RECIPE, BLOBS, lesson(BLOBS, 0), EVERYWHERE, ("labels",), labels=other)
    assert record.differences == ()
    assert record.objects["label"].tolist() == [3, 1, 2]


def test_an_object_that_reaches_out_of_the_region_may_be_gone():
    """It may touch the border out there; one that lies within may not."""
    core = Box((2, 2), (6, 16))
    none = changed_labels(lambda labels: labels.fill(0))
    assert not region(RECIPE, BLOBS, lesson(BLOBS, 0), core, ("labels",), labels=none).differences
    kept = Recipe((0.0, 0.0), (0.5,), 0, 0.0, None, EVERYWHERE)
    assert region(kept, BLOBS, lesson(BLOBS, 0), core, ("labels",), labels=none).differences


def test_another_threshold_is_noticed():
    other = Recipe((0.0, 0.0), (0.9,), 0, 0.0, Border((0, 1)), EVERYWHERE)
    record = region(other, BLOBS, lesson(BLOBS, 0, threshold=0.5), EVERYWHERE)
    assert {d.step for d in record.differences} == {"mask", "seeds", "expanded", "labels"}

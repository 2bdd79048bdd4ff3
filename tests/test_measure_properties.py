"""Every property of a table equals scikit-image's on the whole image, for any chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chunkseg as cs
from chunkseg.passes.measure.properties import PROPERTIES
from tests.measuring import DEVIATIONS, EXACT, SCALES, SQUARED, Array, Truth, compare
from tests.strategies import chunked, label_images

OURS = {
    *("axis_intermediate_length", "aspect_ratio", "roundness", "circularity"),
    *("surface_area", "sphericity"),
}
DTYPES = (np.uint8, np.uint16, np.int32, np.float32, np.float64)


@st.composite
def truths(draw: st.DrawFn, dimensions: tuple[int, ...], spacing: str) -> Truth:
    """Label images whose ids have gaps and touch, with an image and a spacing."""
    labels = draw(label_images([np.uint8, np.uint16, np.int32, np.int64]))
    if labels.ndim not in dimensions:
        labels = labels[0] if labels.ndim == 3 else labels[np.newaxis].repeat(2, axis=0)
    if draw(st.booleans()):
        labels = (labels * 5).astype(labels.dtype)
    if not labels.any():
        labels.flat[0] = 3
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    image = (rng.random(labels.shape) * draw(st.sampled_from([3, 200]))).astype(
        draw(st.sampled_from(DTYPES))
    )
    options = [(1.0,) * labels.ndim]
    if spacing != "one":
        options.append((0.26,) * labels.ndim)
    if spacing == "any":
        options.append((0.29, 0.26, 1.7)[-labels.ndim :])
    return Truth(labels, image, draw(st.sampled_from(options)))


@pytest.mark.parametrize("name", sorted(set(PROPERTIES)))
@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_property(name: str, data: st.DataObject) -> None:
    kind = PROPERTIES[name]
    truth = data.draw(truths(kind.dimensions, kind.spacing))
    labels = data.draw(chunked(truth.labels))
    table = cs.regionprops_table(labels, truth.image, [name], spacing=truth.spacing)
    if name not in OURS:
        assert list(table.columns) == list(truth.table(name))
    compare(name, table.to_numpy(), truth)


def test_tolerances_are_of_properties_that_exist() -> None:
    assert set(SCALES) | EXACT | {"orientation"} == set(PROPERTIES)
    assert set(DEVIATIONS) >= SQUARED
    assert set(DEVIATIONS) <= set(PROPERTIES)


def blobs(shape: tuple[int, ...], seed: int) -> tuple[Array, Array]:
    """Cut a volume into large touching cells, with ids far apart, and an image to weigh them."""
    rng = np.random.default_rng(seed)
    points = rng.random((12, len(shape))) * shape
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    distance = ((grid[..., np.newaxis, :] - points) ** 2).sum(axis=-1)
    ids = rng.choice(5000, 12, replace=False) + 1
    labels = np.where(distance.min(axis=-1) < 150, ids[distance.argmin(axis=-1)], 0)
    return labels, rng.integers(0, 60000, shape).astype(np.uint16)


@pytest.mark.parametrize("shape", [(90, 110), (34, 40, 46)])
@pytest.mark.parametrize("spacing", [1.0, 0.26, "uneven"])
def test_large_objects_through_many_blocks(shape: tuple[int, ...], spacing: Any) -> None:
    labels, image = blobs(shape, 3)
    steps = (2.0, 0.29, 0.26)[-len(shape) :] if spacing == "uneven" else (spacing,) * len(shape)
    names = [n for n, p in PROPERTIES.items() if len(shape) in p.dimensions]
    fitting = {1.0: {"any", "isotropic", "one"}, 0.26: {"any", "isotropic"}, "uneven": {"any"}}
    names = [n for n in names if PROPERTIES[n].spacing in fitting[spacing]]
    truth = Truth(labels, image, steps)
    for chunks in (7, 16, 200):
        table = cs.regionprops_table(
            da.from_array(labels, chunks=chunks), image, names, spacing=steps
        )
        for name in names:
            columns = [c for c in table if c == name or c.startswith(f"{name}-")]
            compare(name, table[columns].to_numpy(), truth)


def test_far_from_the_origin_nothing_cancels() -> None:
    """A small object at the far end of a long block keeps all digits of its high moments."""
    labels = np.zeros((3, 3000), np.int32)
    labels[:, 2990:] = 1
    image = np.full(labels.shape, 50000, np.uint16)
    table = cs.regionprops_table(labels, image, ["moments_central", "moments_weighted_central"])
    near = cs.regionprops_table(labels[:, 2985:], image[:, 2985:], "moments_central")
    expected = near.to_numpy()[0]
    np.testing.assert_allclose(table.to_numpy()[0, :16], expected, rtol=1e-13, atol=1e-9)
    np.testing.assert_allclose(table.to_numpy()[0, 16:], expected * 50000, rtol=1e-13, atol=1e-4)


def test_the_whole_table_of_a_real_label_image(shared_data: Path) -> None:
    path = shared_data / "cells3d-labels" / "nuclei_label.tif"
    labels = cs.open_image(path, dims="zyx", spacing=1, unit="pixel").values
    image = np.random.default_rng(0).integers(0, 4000, labels.shape).astype(np.uint16)
    spacing = (0.29, 0.26, 0.26)
    truth = Truth(labels, image, spacing)
    names = [n for n, p in PROPERTIES.items() if 3 in p.dimensions and p.spacing == "any"]
    chunked_labels = da.from_array(labels, chunks=(30, 100, 100))
    table = cs.regionprops_table(chunked_labels, image, names, spacing=spacing)
    for name in names:
        columns = [c for c in table if c == name or c.startswith(f"{name}-")]
        compare(name, table[columns].to_numpy(), truth)

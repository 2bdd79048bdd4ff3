"""Labels against their mask: counted out of core as by NumPy on the whole arrays."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import skimage as ski
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.api.comparing import compare_masks
from chunkseg.errors import KindError, ParameterError
from tests.strategies import chunked, label_images


def expected_tables(labels, mask):
    components, count = ski.measure.label(mask, return_num=True)
    objects, parts = [], []
    for number in range(1, count + 1):
        inside = components == number
        names = set(labels[inside].tolist()) - {0}
        lost = int((inside & (labels == 0)).sum())
        parts.append((number, int(inside.sum()), lost, len(names)))
    for label in np.unique(labels[labels != 0]).tolist():
        own = labels == label
        shares = np.bincount(components[own], minlength=count + 1)
        main = int(np.argmax(shares[1:])) + 1 if shares[1:].any() else 0
        alone = main and parts[main - 1][3] == 1
        lost = parts[main - 1][2] if alone else np.nan
        objects.append((label, int(own.sum()), int(shares[0]), main, lost))
    return objects, parts


@settings(max_examples=60)
@given(data=st.data())
def test_tables_equal_those_of_whole_arrays(data):
    labels = data.draw(label_images([np.uint8, np.int32, np.uint32]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    flips = rng.random(labels.shape) < data.draw(st.sampled_from([0.0, 0.1, 0.4]))
    mask = (labels != 0) ^ flips
    objects, parts = expected_tables(labels, mask)
    found = compare_masks(data.draw(chunked(labels)), data.draw(chunked(mask)))
    assert found.components.to_numpy().tolist() == [list(row) for row in parts]
    np.testing.assert_array_equal(
        found.objects.to_numpy(dtype=float), np.array(objects, float).reshape(-1, 5)
    )
    row = found.summary.iloc[0]
    assert row["lost"] == (mask & (labels == 0)).sum()
    assert row["gained"] == (~mask & (labels != 0)).sum()
    assert row["vanished"] == sum(part[3] == 0 for part in parts) == len(found.vanished)
    both = row["mask_voxels"], row["label_voxels"]
    assert both == (mask.sum(), (labels != 0).sum())
    if mask.any():
        assert row["bias"] == (both[1] - both[0]) / both[0]
    else:
        assert np.isnan(row["bias"])


def test_an_erosion_that_loses_thin_parts():
    mask = np.zeros((12, 20), bool)
    mask[2:9, 2:9] = mask[5, 9:15] = mask[10, 17] = True
    eroded = ski.morphology.erosion(mask, ski.morphology.disk(2))
    labels = ski.segmentation.expand_labels(ski.measure.label(eroded), 2)
    found = compare_masks(da.from_array(labels, chunks=5), mask)
    assert found.vanished["voxels"].tolist() == [1]
    assert found.summary["lost"].item() == int((mask & (labels == 0)).sum()) > 6
    assert found.summary["bias"].item() < 0


def test_frames_are_compared_one_by_one():
    labels = np.zeros((3, 4, 4), np.uint16)
    labels[0, 1, 1], labels[2, 2, 2] = 1, 1
    mask = labels > 0
    mask[1, 0, 0] = True
    dims = ("t", "y", "x")
    found = compare_masks(xr.DataArray(labels, dims=dims), xr.DataArray(mask, dims=dims))
    assert found.summary["frame"].tolist() == [0, 1, 2]
    assert found.summary["vanished"].tolist() == [0, 1, 0]
    assert found.objects["frame"].tolist() == [0, 2]


def test_both_images_are_read_once():
    reads = {"i4": [], "?": []}

    def block(kind, block_info=None):
        reads[kind].append(block_info[None]["chunk-location"])
        return np.ones((4, 4), kind)

    both = [
        da.map_blocks(block, kind, chunks=((4, 4), (4, 4)), dtype=kind, meta=np.ones((0, 0), kind))
        for kind in reads
    ]
    compare_masks(*both)
    for places in reads.values():
        assert sorted(places) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("labels", "mask", "error", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 2), bool), KindError, "labels must be integers.*float64"),
        (np.ones((2, 2), int), np.ones((2, 2)), KindError, "mask must be of bool.*float64"),
        (np.ones((2, 2), int), np.ones((2, 3), bool), ParameterError, "shape of the labels"),
    ],
)
def test_what_can_not_be_compared(labels, mask, error, message):
    with pytest.raises(error, match=message):
        compare_masks(labels, mask)

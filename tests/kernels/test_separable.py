"""The pieces that erosion and expansion share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from chunkseg.errors import ParameterError
from chunkseg.kernels import separable


@pytest.mark.parametrize(
    "inner", [(slice(0, 2),), (slice(0, 2), slice(0, 4, 2)), (slice(None),) * 3]
)
def test_inner_must_be_a_box_of_the_block(inner):
    with pytest.raises(ParameterError, match="one slice of step 1 for each of the 2 axes"):
        separable.inner_box((4, 4), inner)


@pytest.mark.parametrize(
    "cut", [slice(None), slice(-3, None), slice(2, 100), slice(3, 2), slice(2, -2), slice(0, 5, 1)]
)
def test_inner_counts_as_indexing_does(cut):
    box = separable.inner_box((7,), (cut,))
    np.testing.assert_array_equal(np.arange(7)[box.slices()], np.arange(7)[cut])


@given(
    free=arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(1, 4))),
    reach=st.sampled_from([1, 3, 20, 254, 255, 70000]),
)
@settings(deadline=None, max_examples=60)
def test_scans_give_the_steps_to_the_nearest_marked_voxel_along_the_first_axis(free, reach):
    steps = separable.start_scan(free, reach)
    assert steps.dtype == np.min_scalar_type(reach + 1)
    separable.scan_back(steps, reach + 1)
    before = np.full_like(steps[0], reach + 1)
    for z in range(len(steps)):
        separable.scan_on(before, steps[z], reach + 1)
        nearest = np.minimum(before, steps[z])
        for y, x in np.ndindex(nearest.shape):
            marked = np.flatnonzero(~free[:, y, x])
            expected = min([reach + 1, *np.abs(marked - z)])
            assert nearest[y, x] == expected


def test_scan_starts_in_c_order_whatever_the_order_of_the_mask():
    assert separable.start_scan(np.ones((3, 4, 5), bool).T, 2).flags.c_contiguous


def test_diagonal_bounds_every_distance():
    shape = (3, 4, 6)
    free = np.ones(shape, bool)
    free[0, 0, 0] = False
    assert separable.diagonal(shape) == round(ndimage.distance_transform_edt(free).max() ** 2)

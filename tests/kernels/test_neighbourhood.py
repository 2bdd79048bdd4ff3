"""Local measures, summed over the blocks of any grid, equal scikit-image's on whole objects."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.ndimage
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label, marching_cubes, mesh_surface_area, regionprops

from chunkseg.errors import KindError
from chunkseg.geometry.boxes import Grid
from chunkseg.kernels.neighbourhood import (
    PERIMETER_HALO,
    crofton_finish,
    crofton_sums,
    euler_finish,
    euler_sums,
    perimeter_finish,
    perimeter_sums,
)
from chunkseg.kernels.surface import sphericity, surface_finish, surface_sums
from chunkseg.kernels.windows import HALO
from tests.strategies import cuts, label_images

SPACINGS = [(1, 1, 1), (2, 2, 2), (2.0, 0.5, 0.7), (0.29, 0.26, 0.26), (1e-6, 3e-6, 1e-6)]


def block_of(labels, core, halo, frame):
    """What a pass hands to a kernel: a grown block, numbered so that the core's ids come first."""
    box = core.grow((halo,) * labels.ndim, frame)
    inner = core.slices(box.start)
    ids = np.setdiff1d(labels[core.slices()], [0])
    rest = np.setdiff1d(labels[box.slices()], np.append(ids, 0))
    table = np.zeros(int(labels.max(initial=0)) + 1, np.uint32)
    table[ids] = np.arange(1, len(ids) + 1)
    table[rest] = np.arange(len(ids) + 1, len(ids) + len(rest) + 1)
    return ids, table[labels[box.slices()]], inner


def summed(labels, grid, halo, sums):
    """Rows of each label (from 1 on), added up over the blocks of a grid."""
    total = None
    for index in itertools.product(*map(range, grid.counts)):
        ids, grown, inner = block_of(labels, grid.core(index), halo, grid.frame)
        rows = sums(grown, inner, len(ids))
        assert len(rows) == len(ids)
        if total is None:
            total = np.zeros((int(labels.max(initial=0)), rows.shape[1]), rows.dtype)
        total[ids - 1] += rows
    return total


def whole(labels, sums):
    """Rows of each label without any blocks."""
    inner = (slice(None),) * labels.ndim
    return sums(labels.astype(np.uint32), inner, int(labels.max(initial=0)))


def expected(labels, name):
    """What regionprops gives, one entry for each label up to the largest; 0 for missing ones."""
    result = np.zeros(int(labels.max(initial=0)), np.int64 if name == "euler_number" else float)
    for region in regionprops(labels):
        result[region.label - 1] = region[name]
    return result


def expected_area(labels, spacing):
    result = np.zeros(int(labels.max(initial=0)))
    for region in regionprops(labels):
        mesh = marching_cubes(np.pad(region.image, 1), level=0.5, spacing=spacing)
        result[region.label - 1] = mesh_surface_area(*mesh[:2])
    return result


def surface_of(spacing):
    return lambda grown, inner, count: surface_sums(grown, inner, count, spacing)


def flat(labels):
    return labels.ndim == 2


def deep(labels):
    return labels.ndim == 3


@st.composite
def cases(draw, wanted):
    """A label image, a grid, and by how many voxels the halo exceeds what is needed."""
    labels = draw(label_images().filter(wanted)).astype(np.int64)
    grid = Grid(tuple(draw(cuts(n)) for n in labels.shape))
    return labels, grid, draw(st.integers(0, 2))


@given(cases(flat))
@settings(deadline=None, max_examples=120)
def test_perimeters_of_blocks_add_up(case):
    labels, grid, more = case
    rows = summed(labels, grid, PERIMETER_HALO + more, perimeter_sums)
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(rows, whole(labels, perimeter_sums))
    np.testing.assert_allclose(perimeter_finish(rows), expected(labels, "perimeter"), rtol=1e-12)


@given(cases(flat))
@settings(deadline=None, max_examples=120)
def test_crofton_perimeters_of_blocks_add_up(case):
    labels, grid, more = case
    rows = summed(labels, grid, HALO + more, crofton_sums)
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(rows, whole(labels, crofton_sums))
    np.testing.assert_allclose(
        crofton_finish(rows), expected(labels, "perimeter_crofton"), rtol=1e-12
    )


@given(cases(lambda labels: True))
@settings(deadline=None, max_examples=150)
def test_euler_numbers_of_blocks_add_up(case):
    labels, grid, more = case
    numbers = euler_finish(summed(labels, grid, HALO + more, euler_sums))
    assert numbers.dtype == np.int64
    np.testing.assert_array_equal(numbers, expected(labels, "euler_number"))


@given(cases(deep), st.sampled_from(SPACINGS))
@settings(deadline=None, max_examples=100)
def test_surfaces_of_blocks_add_up(case, spacing):
    labels, grid, more = case
    rows = summed(labels, grid, HALO + more, surface_of(spacing))
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, whole(labels, surface_of(spacing)))
    np.testing.assert_allclose(surface_finish(rows), expected_area(labels, spacing), rtol=1e-6)


def drawn(*rows):
    return np.array([[int(c) for c in row.replace(".", "0")] for row in rows])


SHAPES = {
    "one pixel": drawn("1"),
    "one pixel within": drawn("...", ".1.", "..."),
    "line along x": drawn("11111"),
    "line along y": drawn("1", "1", "1", "1"),
    "diagonal": np.eye(6, dtype=int),
    "two diagonals": np.eye(6, dtype=int) + 2 * np.eye(6, k=1, dtype=int),
    "full frame": np.ones((5, 7), int),
    "hole": drawn("1111", "1..1", "1111"),
    "hole filled with another": drawn("1111", "1221", "1111"),
    "open by a corner": drawn("111", "1.1", "11."),
    "corners": drawn("1..2", "....", "3..4"),
    "touching": drawn("1122", "1122", "3344", "3344"),
    "two pieces": drawn("11..11", "11..11", "......", "22..22"),
    "checkerboard": np.indices((6, 7)).sum(axis=0) % 2,
    "two checkerboards": np.indices((6, 7)).sum(axis=0) % 2 + 1,
    "ids far apart": drawn("9..5", "9..5"),
    "steps": drawn("1....", "11...", "111..", "1111.", "11111"),
    "nothing": np.zeros((3, 4), int),
}


@pytest.mark.parametrize("chunks", [(1, 1), (2, 3), (100, 100)])
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_in_the_plane(name, chunks):
    labels = SHAPES[name]
    grid = Grid.regular(labels.shape, chunks)
    rows = summed(labels, grid, PERIMETER_HALO, perimeter_sums)
    np.testing.assert_allclose(perimeter_finish(rows), expected(labels, "perimeter"), rtol=1e-12)
    rows = summed(labels, grid, HALO, crofton_sums)
    np.testing.assert_allclose(
        crofton_finish(rows), expected(labels, "perimeter_crofton"), rtol=1e-12
    )
    rows = summed(labels, grid, HALO, euler_sums)
    np.testing.assert_array_equal(euler_finish(rows), expected(labels, "euler_number"))


def hollow(shape):
    """A box with a cavity."""
    result = np.ones(shape, int)
    result[(slice(1, -1),) * len(shape)] = 0
    return result


BODIES = {
    "one voxel": np.ones((1, 1, 1), int),
    "rod": np.ones((6, 1, 1), int),
    "plate": np.ones((1, 4, 5), int),
    "cavity": hollow((4, 4, 5)),
    "cavity filled with another": 2 - hollow((4, 4, 5)),
    "torus": np.pad(hollow((4, 5))[np.newaxis], 1),
    "diagonal": np.eye(5, dtype=int)[np.newaxis] * np.eye(5, dtype=int)[:, np.newaxis],
    "checkerboard": np.indices((4, 5, 4)).sum(axis=0) % 2 + 1,
    "eight touching": np.indices((4, 4, 4)).max(axis=0) // 2
    + np.indices((4, 4, 4))[0] // 2 * 2
    + 1,
    "nothing": np.zeros((3, 2, 2), int),
}


@pytest.mark.parametrize("chunks", [(1, 1, 1), (2, 3, 2), (100, 100, 100)])
@pytest.mark.parametrize("name", BODIES)
def test_bodies_in_space(name, chunks):
    labels = BODIES[name]
    grid = Grid.regular(labels.shape, chunks)
    rows = summed(labels, grid, HALO, euler_sums)
    np.testing.assert_array_equal(euler_finish(rows), expected(labels, "euler_number"))
    for spacing in SPACINGS:
        rows = summed(labels, grid, HALO, surface_of(spacing))
        np.testing.assert_allclose(surface_finish(rows), expected_area(labels, spacing), rtol=1e-6)


@pytest.mark.parametrize("code", range(1, 255))
def test_every_window_has_scikit_images_mesh_and_euler_number(code):
    labels = (code >> np.arange(8) & 1).reshape(2, 2, 2)
    grid = Grid.regular(labels.shape, (1, 2, 1))
    rows = summed(labels, grid, HALO, euler_sums)
    np.testing.assert_array_equal(euler_finish(rows), expected(labels, "euler_number"))
    spacing = (2.0, 0.5, 0.7)
    rows = summed(labels, grid, HALO, surface_of(spacing))
    np.testing.assert_allclose(surface_finish(rows), expected_area(labels, spacing), rtol=1e-8)


@pytest.mark.parametrize("name", ["coins", "page", "cell"])
def test_real_images(name):
    image = getattr(skimage.data, name)()
    labels = label(image > (image.mean() if name != "page" else 120))
    grid = Grid.regular(labels.shape, (97, 128))
    rows = summed(labels, grid, PERIMETER_HALO, perimeter_sums)
    np.testing.assert_allclose(perimeter_finish(rows), expected(labels, "perimeter"), rtol=1e-12)
    rows = summed(labels, grid, HALO, euler_sums)
    np.testing.assert_array_equal(euler_finish(rows), expected(labels, "euler_number"))


def test_a_large_rough_body():
    rng = np.random.default_rng(3)
    mask = scipy.ndimage.gaussian_filter(rng.random((48, 60, 60)), 2) > 0.5
    labels = label(mask)
    grid = Grid.regular(labels.shape, (16, 32, 25))
    rows = summed(labels, grid, HALO, surface_of((1, 1, 1)))
    np.testing.assert_allclose(surface_finish(rows), expected_area(labels, (1, 1, 1)), rtol=1e-6)
    rows = summed(labels, grid, HALO, euler_sums)
    np.testing.assert_array_equal(euler_finish(rows), expected(labels, "euler_number"))


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_scale_is_that_of_isotropic_spacing(scale):
    labels = SHAPES["steps"]
    (region,) = regionprops(labels, spacing=(scale, scale))
    perimeter = perimeter_finish(whole(labels, perimeter_sums), scale)
    np.testing.assert_allclose(perimeter, [region.perimeter], rtol=1e-12)
    crofton = crofton_finish(whole(labels, crofton_sums), scale)
    np.testing.assert_allclose(crofton, [region.perimeter_crofton], rtol=1e-12)


def test_sphericity_of_a_ball_is_one_and_of_a_cube_is_less():
    r = 3.0
    ball = sphericity(np.array([4 / 3 * np.pi * r**3]), np.array([4 * np.pi * r**2]))
    np.testing.assert_allclose(ball, 1, rtol=1e-14)
    cube = sphericity(np.array([8]), np.array([24.0]))
    np.testing.assert_allclose(cube, (np.pi / 6) ** (1 / 3), rtol=1e-14)


def test_strided_blocks_of_other_integers():
    labels = np.kron(SHAPES["touching"], np.ones((2, 2), int)).astype(np.uint8)[:, ::-1]
    inner = (slice(None), slice(None))
    rows = perimeter_sums(labels[::2, ::2], inner, 4)
    np.testing.assert_array_equal(rows, whole(SHAPES["touching"][:, ::-1], perimeter_sums))


@pytest.mark.parametrize(
    ("sums", "ndim"),
    [(perimeter_sums, 2), (crofton_sums, 2), (euler_sums, 3), (surface_of((1, 1, 1)), 3)],
)
def test_an_empty_core_gives_rows_of_zeros(sums, ndim):
    inner = (slice(1, 1),) + (slice(None),) * (ndim - 1)
    assert not sums(np.ones((2,) * ndim, np.uint32), inner, 1).any()


@pytest.mark.parametrize(
    ("sums", "ndim", "message"),
    [
        (perimeter_sums, 3, "perimeter is defined for 2-D label images only; got 3"),
        (crofton_sums, 3, "perimeter_crofton is defined for 2-D"),
        (euler_sums, 1, "euler_number is defined for 2-D or 3-D"),
        (surface_of((1, 1, 1)), 2, "surface_area is defined for 3-D"),
    ],
)
def test_other_numbers_of_dimensions_are_refused(sums, ndim, message):
    grown = np.ones((2,) * ndim, np.uint32)
    with pytest.raises(KindError, match=message):
        sums(grown, (slice(None),) * ndim, 1)

"""Named shapes that break chunked segmentation, each against scikit-image on the whole array."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import skimage as ski
from scipy import ndimage as ndi

import chunkseg as cs

Array = np.ndarray[Any, Any]


def assert_same(ours: Any, theirs: Any) -> None:
    ours = np.asarray(ours)
    assert ours.dtype == np.asarray(theirs).dtype
    np.testing.assert_array_equal(ours, theirs)


def spiral(n: int) -> Array:
    """Return a square spiral one pixel wide, its turns one pixel apart."""
    mask = np.zeros((n, n), bool)
    y, x, dy, dx, length = 0, 0, 0, 1, n - 1
    mask[0, 0] = True
    for turn in itertools.count():
        for _ in range(length):
            y, x = y + dy, x + dx
            mask[y, x] = True
        dy, dx = dx, -dy
        length -= 2 if turn and turn % 2 == 0 else 0
        if length < 2:
            return mask


def spiral_3d(n: int) -> Array:
    """Return spirals in every other plane, joined at alternating ends of the spiral."""
    flat = spiral(n)
    mask = np.zeros((n, n, n), bool)
    mask[::2] = flat
    ends = [(0, 0), tuple(np.argwhere(flat)[len(np.argwhere(flat)) // 2])]
    for z in range(1, n - 1, 2):
        mask[(z, *ends[z // 2 % 2])] = True
    return mask


def comb(ndim: int) -> Array:
    """Return teeth that join only in the last row."""
    mask = np.zeros((11,) * ndim, bool)
    mask[..., ::2] = True
    mask[..., -1, :] = True
    return mask


def checkerboard(ndim: int) -> Array:
    return np.indices((8,) * ndim).sum(0) % 2 == 0


def shells(ndim: int) -> Array:
    """Return nested hollow boxes, each an object of its own."""
    distance = np.abs(np.indices((13,) * ndim) - 6).max(0)
    return distance % 2 == 0


def snake(ndim: int) -> Array:
    """Return one line that goes back and forth through every block."""
    mask = np.zeros((13,) * ndim, bool)
    mask[..., ::2, :] = True
    mask[..., 1::4, -1] = True
    mask[..., 3::4, 0] = True
    return mask


def corner_diagonal(ndim: int) -> Array:
    """Return a diagonal line, which crosses blocks of 3 at their corners only."""
    mask = np.zeros((9,) * ndim, bool)
    mask[(np.arange(9),) * ndim] = True
    return mask


def anti_diagonal(ndim: int) -> Array:
    return np.ascontiguousarray(corner_diagonal(ndim)[..., ::-1])


def edge_pairs() -> Array:
    """Return pairs of voxels that touch across the edges of blocks of 3 only."""
    mask = np.zeros((9, 9, 9), bool)
    for z, y in itertools.product((2, 5), (2, 5)):
        mask[z, y, 1] = mask[z + 1, y + 1, 1] = True
        mask[z, 4, y] = mask[z + 1, 4, y + 1] = True
    return mask


def single(shape: tuple[int, ...], where: tuple[int, ...]) -> Array:
    mask = np.zeros(shape, bool)
    mask[where] = True
    return mask


def random(shape: tuple[int, ...], density: float = 0.5) -> Array:
    return np.random.default_rng(3).random(shape) < density


MASKS: dict[str, Array] = {
    "spiral 2-D": spiral(15),
    "spiral 3-D": spiral_3d(11),
    **{f"comb {n}-D": comb(n) for n in (2, 3)},
    **{f"checkerboard {n}-D": checkerboard(n) for n in (1, 2, 3)},
    **{f"shells {n}-D": shells(n) for n in (1, 2, 3)},
    **{f"snake {n}-D": snake(n) for n in (2, 3)},
    **{f"corner diagonal {n}-D": corner_diagonal(n) for n in (2, 3)},
    **{f"anti-diagonal {n}-D": anti_diagonal(n) for n in (2, 3)},
    "edge pairs": edge_pairs(),
    **{f"all true {n}-D": np.ones((7,) * n, bool) for n in (1, 2, 3)},
    **{f"all false {n}-D": np.zeros((7,) * n, bool) for n in (1, 2, 3)},
    "single voxel, first": single((7, 7, 7), (0, 0, 0)),
    "single voxel, last": single((7, 7, 7), (6, 6, 6)),
    "single voxel, inside": single((7, 8), (3, 3)),
    "1 x n x m": random((1, 9, 10)),
    "n x 1 x m": random((9, 1, 10)),
    "n x m x 1": random((9, 10, 1)),
    "1 x 1 x n": random((1, 1, 9)),
    "n x 1 x 1": random((9, 1, 1)),
    "1 x n x 1": random((1, 9, 1)),
    "1 x n": random((1, 9)),
    "n x 1": random((9, 1)),
    "1 x 1 x 1": random((1, 1, 1), 1.0),
    "thin, last axis 3": random((9, 8, 3)),
    "thin, last axis 4": random((9, 8, 4)),
    "1-D": random((17,)),
}
cases = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


def valued(mask: Array) -> Array:
    """Return labels of three values, equal ones often touching."""
    values = np.random.default_rng(5).integers(1, 4, mask.shape)
    return (values * mask).astype(np.int32)


def variants(mask: Array) -> list[Array]:
    return [mask, valued(mask)]


def chunked(array: Array) -> list[da.Array]:
    """Chunk an array in two ways, of at most 36 blocks each."""
    ways = [da.from_array(array, chunks=c) for c in (1, 2, 3, 5)]
    return [lazy for lazy in ways if lazy.npartitions <= 36][:2]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with dask.config.set(scheduler="synchronous"):
        yield


@cases
def test_label(mask: Array) -> None:
    for image, hops in itertools.product(variants(mask), range(1, mask.ndim + 1)):
        expected, count = ski.measure.label(image, return_num=True, connectivity=hops)
        for lazy in chunked(image):
            labels, found = cs.label(lazy, return_num=True, connectivity=hops)
            assert found == count
            assert_same(labels, expected)


@cases
def test_clear_border(mask: Array) -> None:
    for image in variants(mask):
        expected = ski.segmentation.clear_border(image)
        for lazy in chunked(image):
            assert_same(cs.clear_border(lazy), expected)


@cases
def test_expand_labels(mask: Array) -> None:
    for image, distance in itertools.product([valued(mask), mask * np.uint8(7)], (1, 2.5, 40)):
        expected = ski.segmentation.expand_labels(image, distance)
        if not image.any():
            expected = np.zeros_like(image)
        for lazy in chunked(image)[: 1 if distance == 40 else 2]:  # all chunks become one
            assert_same(cs.expand_labels(lazy, distance), expected)


@cases
def test_relabel_sequential(mask: Array) -> None:
    image = valued(mask) * 50
    expected = ski.segmentation.relabel_sequential(image, 3)[0]
    for lazy in chunked(image):
        assert_same(cs.relabel_sequential(lazy, 3)[0], expected)


PROPERTIES = ("label", "num_pixels", "area", "bbox", "extent", "centroid", "intensity_max")


@pytest.mark.parametrize(
    "mask",
    [m for m in MASKS.values() if m.ndim > 1],
    ids=[k for k, m in MASKS.items() if m.ndim > 1],
)
def test_regionprops_table(mask: Array) -> None:
    labels = valued(mask)
    image = np.arange(mask.size, dtype=np.uint16).reshape(mask.shape)
    expected = ski.measure.regionprops_table(labels, image, PROPERTIES)
    for lazy in chunked(labels):
        table = cs.regionprops_table(lazy, image, PROPERTIES)
        assert list(table.columns) == list(expected)
        for name, column in expected.items():
            assert table[name].dtype == column.dtype, name
            np.testing.assert_allclose(table[name], column, rtol=1e-12, err_msg=name)


@cases
def test_the_whole_chain(mask: Array) -> None:
    """The lesson: label(clear_border(expand_labels(label(erosion))))."""
    grown = np.kron(mask, np.ones((3,) * mask.ndim, bool)) if mask.size < 400 else mask
    cross = ndi.generate_binary_structure(grown.ndim, 1)
    eroded = ndi.binary_erosion(grown, cross, border_value=1)
    seeds = ski.measure.label(eroded)
    expanded = ski.segmentation.expand_labels(seeds, 2) if seeds.any() else seeds
    expected = ski.measure.label(ski.segmentation.clear_border(expanded))
    lazy = da.from_array(grown, chunks=4 if grown.ndim < 3 and grown.size < 600 else 8)
    found = cs.expand_labels(cs.label(cs.binary_erosion(lazy)), 2)
    assert_same(cs.label(cs.clear_border(found)), expected)


def test_the_spiral_is_one_object_through_every_block() -> None:
    for mask in (spiral(15), snake(2), comb(2)):
        lazy = da.from_array(mask, chunks=3)
        assert min(block.sum() for block in lazy.blocks.ravel()) > 0
        assert cs.label(lazy, return_num=True, connectivity=1)[1] == 1


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0, 2), (0, 0, 0)])
def test_label_and_expand_of_zero_size(shape: tuple[int, ...]) -> None:
    for dtype in (bool, np.uint8, np.int64):
        empty = np.zeros(shape, dtype)
        labels, count = cs.label(empty, return_num=True)
        assert count == 0
        assert_same(labels, ski.measure.label(empty))
        assert_same(cs.expand_labels(empty, 2), empty)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0, 2)])
def test_table_of_zero_size_has_no_rows_and_all_columns(shape: tuple[int, ...]) -> None:
    nothing = np.zeros((2,) * len(shape), np.int32)
    expected = cs.regionprops_table(nothing, nothing, PROPERTIES)
    empty = np.zeros(shape, np.int32)
    table = cs.regionprops_table(empty, empty, PROPERTIES)
    assert len(table) == 0
    assert list(table.columns) == list(expected.columns)


def test_table_without_objects_has_the_columns_and_dtypes_of_scikit_image() -> None:
    nothing = np.zeros((5, 6), np.int32)
    expected = ski.measure.regionprops_table(nothing, nothing, PROPERTIES)
    table = cs.regionprops_table(nothing, nothing, PROPERTIES)
    assert {k: v.dtype for k, v in expected.items()} == dict(table.dtypes)
    assert len(table) == 0


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
def test_masks_of_four_axes_without_names(hops: int) -> None:
    mask = random((4, 5, 3, 6), 0.3)
    lazy = da.from_array(mask, chunks=2)
    assert_same(cs.label(lazy, connectivity=hops), ski.measure.label(mask, connectivity=hops))
    assert_same(cs.clear_border(lazy), ski.segmentation.clear_border(mask))


@pytest.mark.parametrize("chunks", [(4, 4, 1), (4, 4, 8), (1, 1, 1)])
def test_last_chunk_one_wide_and_chunks_of_one_voxel(chunks: tuple[int, ...]) -> None:
    mask = random((5, 5, 9), 0.4)
    lazy = da.from_array(mask, chunks=chunks)
    labels = ski.measure.label(mask)
    assert_same(cs.label(lazy), labels)
    assert_same(cs.expand_labels(cs.label(lazy), 3), ski.segmentation.expand_labels(labels, 3))
    assert_same(cs.gaussian(lazy, 2), ski.filters.gaussian(mask, 2))


def test_thin_volumes_are_not_taken_for_colour_images() -> None:
    image = np.random.default_rng(0).random((8, 9, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = ski.filters.threshold_otsu(image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cs.threshold_otsu(image) == expected
        assert cs.gaussian(image, 1).compute().shape == image.shape


# Found by search: at spacing (0.3, 1) and distance 3 label 3 is cut in two.
IN_PIECES = np.zeros((8, 3), np.int64)
IN_PIECES[0, 0], IN_PIECES[1, 1], IN_PIECES[5, 2] = 2, 3, 1


def test_an_expanded_label_in_several_pieces_becomes_several_objects() -> None:
    """Expansion can cut a label in two; then label and relabel_sequential differ."""
    expanded = ski.segmentation.expand_labels(IN_PIECES, 3, (0.3, 1))
    expected = ski.measure.label(expanded)
    assert expected.max() > len(np.unique(IN_PIECES[IN_PIECES > 0]))
    for chunks in (1, 2, 3, 100):
        lazy = da.from_array(IN_PIECES, chunks=chunks)
        ours = cs.expand_labels(lazy, 3, (0.3, 1))
        assert_same(ours, expanded)
        assert_same(cs.label(ours), expected)


def test_chunks_without_voxels_are_dropped() -> None:
    mask = random((6, 7), 0.5)
    lazy = da.from_array(mask, chunks=((2, 0, 4), (0, 7)))
    labels = cs.label(lazy)
    assert labels.chunks == ((2, 4), (7,))
    assert_same(labels, ski.measure.label(mask))
    assert_same(cs.clear_border(lazy), ski.segmentation.clear_border(mask))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int64", "uint64", ">i4", ">u2"])
def test_label_images_of_every_integer_dtype(dtype: str) -> None:
    """Results have native byte order, else scikit-image's dtype."""
    labels = valued(random((9, 10), 0.6)).astype(dtype)
    native = labels.astype(labels.dtype.newbyteorder("="))
    lazy = da.from_array(labels, chunks=4)
    assert_same(cs.label(lazy), ski.measure.label(native))
    assert_same(cs.clear_border(lazy), ski.segmentation.clear_border(native))
    assert_same(cs.expand_labels(lazy, 2), ski.segmentation.expand_labels(native, 2))
    relabeled = ski.segmentation.relabel_sequential(native)[0]
    assert_same(cs.relabel_sequential(lazy)[0], relabeled)
    table = cs.regionprops_table(lazy, lazy, ("label", "area", "intensity_mean"))
    expected = ski.measure.regionprops_table(native, native, ("label", "area", "intensity_mean"))
    for name, column in expected.items():
        np.testing.assert_array_equal(table[name], column)


@pytest.mark.parametrize("dtype", ["bool", "float16", "float32", ">f4", "uint64"])
def test_intensities_of_every_dtype(dtype: str) -> None:
    labels = valued(random((9, 10), 0.6))
    image = (np.random.default_rng(1).random((9, 10)) * 8).astype(dtype)
    names = ("intensity_mean", "intensity_min", "intensity_max")
    exact = image.astype(np.float64)
    expected = ski.measure.regionprops_table(labels, exact, names)
    table = cs.regionprops_table(labels, da.from_array(image, chunks=4), names)
    for name in names:
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-12)


def test_labels_that_only_64_bits_hold() -> None:
    labels = valued(random((6, 7))).astype(np.uint64) * 2**60
    assert_same(cs.label(da.from_array(labels, chunks=2)), ski.measure.label(labels))
    assert_same(cs.clear_border(labels), ski.segmentation.clear_border(labels))
    assert cs.regionprops_table(labels)["label"].tolist() == [2**60, 2**61, 3 * 2**60]

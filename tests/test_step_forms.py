"""What goes in and out of the public steps: forms, laziness, scratch, chunks, numbers of tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import skimage as ski
import xarray as xr
import zarr
from dask.callbacks import Callback

import chunkseg as cs
from chunkseg.api import sweeping
from chunkseg.runner import execution, sweep
from chunkseg.storage.leaves import MemorySource, Region
from chunkseg.storage.sources import as_dask, source_of

Array = np.ndarray[Any, Any]
IMAGE = np.random.default_rng(7).integers(0, 200, (9, 12, 11)).astype(np.uint16)
MASK = IMAGE > 110
LABELS = ski.measure.label(MASK, connectivity=1)
CHUNKS = ((4, 5), (3, 3, 6), (11,))

STEPS: dict[str, tuple[Callable[[Any], Any], Array]] = {
    "gaussian": (lambda x: cs.gaussian(x, 1.5), IMAGE),
    "binary_erosion": (lambda x: cs.binary_erosion(x, radius=1), MASK),
    "footprint": (lambda x: cs.binary_erosion(x), MASK),
    "erosion": (lambda x: cs.erosion(x, radius=2), MASK),
    "expand_labels": (lambda x: cs.expand_labels(x, 2), LABELS),
    "label": (lambda x: cs.label(x), MASK),
    "clear_border": (lambda x: cs.clear_border(x), LABELS),
    "relabel_sequential": (lambda x: cs.relabel_sequential(x)[0], LABELS),
}
VOXELWISE = ["gaussian", "binary_erosion", "footprint", "erosion", "expand_labels"]
every_step = pytest.mark.parametrize("name", STEPS)


class Counting(Region):
    """A source that counts how many voxels are read."""

    voxels = 0

    def __init__(self, array: Array) -> None:
        self.array = array
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, (1,) * array.ndim

    def _read(self, spans: tuple[slice, ...]) -> Array:
        part = self.array[spans]
        type(self).voxels += part.size
        return part


SAMPLE = IMAGE.size
"""Voxels read to tell one input from another: of a frame as small as these, all."""


@pytest.fixture
def counting() -> type[Counting]:
    Counting.voxels = 0
    return Counting


@every_step
def test_data_array_in_data_array_out(name: str) -> None:
    step, array = STEPS[name]
    named = cs.from_array(da.from_array(array, chunks=CHUNKS), spacing=0.5, unit="um", name="cells")
    named.attrs["stain"] = "DAPI"
    named.encoding["dtype"] = "uint8"
    found = step(named)
    assert isinstance(found, xr.DataArray)
    assert (found.dims, found.name, found.attrs) == (named.dims, "cells", named.attrs)
    xr.testing.assert_equal(found.coords.to_dataset(), named.coords.to_dataset())
    assert found.z.attrs == named.z.attrs
    assert found.encoding == {}, "the input's dtype must not be forced on the result when written"
    assert found.chunks == CHUNKS


@every_step
def test_numpy_and_zarr_in_dask_out(name: str) -> None:
    step, array = STEPS[name]
    stored = zarr.array(array, chunks=(3, 4, 5), store=zarr.storage.MemoryStore())
    for given in (array, stored):
        found = step(given)
        assert isinstance(found, da.Array)
        np.testing.assert_array_equal(found, step(da.from_array(array, chunks=4)))


@every_step
def test_chunks_stay_as_they_are(name: str) -> None:
    step, array = STEPS[name]
    found = step(da.from_array(array, chunks=CHUNKS))
    assert found.chunks == CHUNKS
    assert found.dtype == found.compute().dtype
    assert [b.shape for b in found.blocks.ravel()] == [
        b.compute().shape for b in found.blocks.ravel()
    ]


@pytest.mark.parametrize("name", VOXELWISE)
def test_voxelwise_steps_read_nothing_until_computed(name: str, counting: type[Counting]) -> None:
    step, array = STEPS[name]
    lazy = step(as_dask(counting(array), chunks=(4, 4, 4)))
    assert counting.voxels == 0
    lazy.compute()
    assert counting.voxels == array.size


@pytest.mark.parametrize("name", sorted(set(STEPS) - set(VOXELWISE)))
def test_steps_with_a_merge_read_once_and_again_when_computed(
    name: str, counting: type[Counting]
) -> None:
    step, array = STEPS[name]
    lazy = step(as_dask(counting(array), chunks=(4, 4, 4)))
    assert counting.voxels == array.size
    lazy.compute()
    assert counting.voxels == 2 * array.size


@pytest.mark.parametrize("name", ["label", "clear_border"])
def test_with_scratch_the_input_is_read_once(
    name: str, counting: type[Counting], tmp_path: Path
) -> None:
    lazy = as_dask(counting(STEPS[name][1]), chunks=(4, 4, 4))
    getattr(cs, name)(lazy, scratch=tmp_path / "ids.zarr").compute()
    assert counting.voxels == SAMPLE + IMAGE.size


@pytest.mark.parametrize("name", ["label", "clear_border"])
@pytest.mark.parametrize("chunks", [CHUNKS, 4, 100], ids=str)
def test_scratch_or_not_gives_the_same(
    name: str, chunks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, array = getattr(cs, name), da.from_array(STEPS[name][1], chunks=chunks)
    never = step(array, scratch=False)
    kept = step(array, scratch=tmp_path / "deep" / "ids.zarr")
    as_text = step(array, scratch=str(tmp_path / "text.zarr"))
    monkeypatch.setattr(sweeping, "SCRATCH_ABOVE", 10)
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        automatic = step(array)
    assert list(tmp_path.glob("chunkseg-*/scratch"))
    for found in (kept, as_text, automatic):
        assert found.chunks == never.chunks
        assert found.dtype == never.dtype
        np.testing.assert_array_equal(found, never)


def test_scratch_of_otsu(tmp_path: Path, counting: type[Counting]) -> None:
    lazy = as_dask(counting(IMAGE), chunks=(4, 4, 4))
    expected = ski.filters.threshold_otsu(IMAGE)
    assert cs.threshold_otsu(lazy, scratch=False) == expected
    assert counting.voxels == 2 * IMAGE.size
    assert cs.threshold_otsu(lazy, scratch=tmp_path / "image.zarr") == expected
    assert counting.voxels == 3 * IMAGE.size + SAMPLE


def test_small_images_keep_nothing(tmp_path: Path) -> None:
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        cs.label(MASK)
    assert not list(tmp_path.iterdir())


def test_store_gives_back_what_was_stored(tmp_path: Path, counting: type[Counting]) -> None:
    named = cs.from_array(as_dask(counting(IMAGE), chunks=(4, 4, 4)), spacing=0.5, unit="um")
    stored = cs.store(named, tmp_path / "image.zarr")
    assert counting.voxels == SAMPLE + IMAGE.size
    xr.testing.assert_identical(stored, named)
    assert counting.voxels == SAMPLE + 2 * IMAGE.size
    opened = cs.open_image(tmp_path / "image.zarr")
    assert opened.dims == named.dims
    np.testing.assert_array_equal(opened, IMAGE)


def tasks_of(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> list[int]:
    """Count the tasks that dask runs, sweep by sweep of one region."""
    counts: list[int] = []
    compute = execution.Execution.compute

    def counted(self: execution.Execution, calls: Any, advance: Any) -> Any:
        ran: list[Any] = []
        with Callback(posttask=lambda key, *rest: ran.append(key)):
            results = compute(self, calls, advance)
        counts.append(len(ran))
        assert len(ran) == len(calls)
        return results

    monkeypatch.setattr(execution.Execution, "compute", counted)
    work()
    return counts


@pytest.mark.parametrize(
    ("work", "sweeps"),
    [
        (lambda image: cs.threshold_otsu(image), 2),
        (lambda image: cs.label(image), 1),
        (lambda image: cs.clear_border(image), 1),
        (lambda image: cs.regionprops_table(image, image), 1),
        (lambda image: cs.relabel_sequential(image), 1),
        (lambda image: cs.foreground_fraction(image), 1),
    ],
    ids=["threshold_otsu", "label", "clear_border", "table", "relabel_sequential", "fraction"],
)
def test_one_task_per_block_and_sweep(
    work: Callable[[Any], Any], sweeps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a stored image: no task but the block's own, a region of blocks at a time."""
    monkeypatch.setattr(sweep, "REGION_BLOCKS", 64)
    cs.store(da.from_array(IMAGE, chunks=(3, 3, 3)), tmp_path / "image.zarr")
    source = source_of(cs.open_image(tmp_path / "image.zarr").data)
    assert source is not None
    image = cs.from_array(as_dask(source, chunks=(2, 3, 3)))
    blocks = image.data.npartitions
    assert blocks == 80
    counts = tasks_of(monkeypatch, lambda: work(image))
    assert sum(counts) == sweeps * blocks
    assert max(counts) <= 64


def test_spacing_from_the_coordinates() -> None:
    spacing = {"z": 0.29, "y": 0.26, "x": 0.26}
    named = cs.from_array(LABELS, dims="zyx", spacing=spacing, unit="um")
    values = tuple(spacing.values())
    expanded = cs.expand_labels(named, 0.6, "coords")
    np.testing.assert_array_equal(expanded, ski.segmentation.expand_labels(LABELS, 0.6, values))
    names = ("label", "area", "centroid")
    table = cs.regionprops_table(named, properties=names, spacing="coords")
    expected = ski.measure.regionprops_table(LABELS, properties=names, spacing=values)
    for name, column in expected.items():
        np.testing.assert_allclose(table[name], column, rtol=1e-9)


def test_a_mask_of_the_border_goes_by_its_axes() -> None:
    """Two DataArrays are matched by the names of their axes, not by their order."""
    labels = cs.from_array(LABELS[:9, :9, :9], dims="zyx")
    inside = xr.DataArray(np.random.default_rng(0).random((9, 9, 9)) < 0.95, dims=("x", "z", "y"))
    expected = ski.segmentation.clear_border(
        LABELS[:9, :9, :9], mask=inside.transpose("z", "y", "x").values
    )
    np.testing.assert_array_equal(cs.clear_border(labels, mask=inside), expected)


def test_channels_of_an_intensity_image_become_columns() -> None:
    image = np.stack([IMAGE, IMAGE[::-1]])
    intensity = cs.from_array(image, dims="czyx", channels=["DAPI", "GFP"])
    labels = cs.from_array(LABELS, dims="zyx")
    table = cs.regionprops_table(labels, intensity, ("label", "intensity_max"))
    assert list(table.columns) == ["label", "intensity_max-DAPI", "intensity_max-GFP"]
    expected = ski.measure.regionprops_table(LABELS, IMAGE[::-1], ("intensity_max",))
    np.testing.assert_array_equal(table["intensity_max-GFP"], expected["intensity_max"])


def test_channel_axis_of_an_array_without_names() -> None:
    expected = ski.filters.gaussian(IMAGE, 1, channel_axis=-1)
    np.testing.assert_array_equal(cs.gaussian(IMAGE, 1, channel_axis=-1), expected)
    np.testing.assert_array_equal(cs.gaussian(IMAGE, 1, channel_axis=2), expected)


def test_counts_per_frame_are_a_data_array() -> None:
    movie = cs.from_array(np.stack([MASK, ~MASK]), dims="tzyx")
    labels, count = cs.label(movie, return_num=True)
    assert isinstance(count, xr.DataArray)
    assert count.dims == ("t",)
    for frame in range(2):
        expected, number = ski.measure.label(movie.values[frame], return_num=True)
        assert count[frame].item() == number
        np.testing.assert_array_equal(labels[frame], expected)


def test_border_axes_by_name_and_number() -> None:
    padded = np.pad(LABELS, ((1, 1), (0, 0), (0, 0)))
    expected = ski.segmentation.clear_border(padded)[1:-1]
    named = cs.from_array(LABELS, dims="zyx")
    np.testing.assert_array_equal(cs.clear_border(named, axes=("y", "x")), expected)
    np.testing.assert_array_equal(cs.clear_border(LABELS, axes=(1, 2)), expected)


def test_float_sums_do_not_depend_on_the_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are added up in raster order, whatever regions they were swept in."""
    rng = np.random.default_rng(1)
    image = rng.random(IMAGE.shape) * 10.0 ** rng.integers(-8, 8, IMAGE.shape)
    lazy = da.from_array(MASK.astype(int), chunks=(2, 3, 3))
    once = cs.regionprops_table(lazy, image, ("intensity_mean",))
    for limit in (5, 8, 17):
        monkeypatch.setattr("chunkseg.runner.sweep.REGION_BLOCKS", limit)
        again = cs.regionprops_table(lazy, image, ("intensity_mean",))
        assert again["intensity_mean"].tolist() == once["intensity_mean"].tolist()


@pytest.mark.parametrize("scheduler", ["synchronous", "processes"])
def test_other_schedulers_of_dask(scheduler: str) -> None:
    expected = ski.measure.label(MASK)
    with dask.config.set(scheduler=scheduler, num_workers=1):
        labels = cs.label(da.from_array(MASK, chunks=(5, 12, 11)))
        np.testing.assert_array_equal(labels, expected)


def test_summarize() -> None:
    table = pd.DataFrame({"t": [0, 0, 2], "area": [2.0, 4.0, 5.0], "volume_um3": [1.0, 3.0, 5.0]})
    summary = cs.summarize(table)
    assert summary.index.name == "t"
    assert summary.loc[0].tolist() == ["volume_um3", "um3", 2, 2.0, 1.0, 2.0, 1.0, 3.0]
    assert summary.loc[2, "count"] == 1
    areas = cs.summarize(table.drop(columns="t"), column="area")
    values = areas.loc[0, ["unit", "count", "mean", "std", "range", "min", "max"]].tolist()
    assert values == ["voxel", 3, np.mean([2, 4, 5]), np.std([2, 4, 5]), 3.0, 2.0, 5.0]
    empty = cs.summarize(table.iloc[:0].drop(columns="t"), column="area")
    assert empty.loc[0, "count"] == 0
    assert np.isnan(empty.loc[0, "mean"])


def calls_of(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> list[int]:
    """Sizes in bytes of the tasks that a cluster would be sent."""
    sizes: list[int] = []
    compute = execution.Execution.compute

    def measured(self: execution.Execution, calls: Any, advance: Any) -> Any:
        sizes.extend(len(cloudpickle.dumps(call.function)) for call in calls)
        return compute(self, calls, advance)

    monkeypatch.setattr(execution.Execution, "compute", measured)
    work()
    return sizes


def test_tasks_carry_their_own_part_of_an_array_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    image = as_dask(MemorySource(np.zeros((64, 64, 64), np.uint8)), chunks=(16, 16, 16))
    sizes = calls_of(monkeypatch, lambda: cs.label(image))
    assert len(sizes) == 64
    assert max(sizes) < 16**3 + 2000


def test_tasks_of_a_lazy_label_image_carry_no_tables() -> None:
    """However many objects: the tables are one node of the graph."""
    mask = np.indices((64, 64)).sum(0) % 2 == 0
    labels = cs.label(da.from_array(mask, chunks=8), connectivity=1)
    tasks = dict(labels.__dask_graph__())
    sizes = sorted(len(cloudpickle.dumps(task)) for task in tasks.values())
    own = [s for s in sizes if s > 4 * mask.sum()]
    assert len(own) <= 2, "the array and the tables"
    assert sizes[-3] < 5000
    np.testing.assert_array_equal(labels, ski.measure.label(mask, connectivity=1))

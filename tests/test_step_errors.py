"""Every refusal of the public steps: the kind of error, the builtin it is as well, the message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import chunkseg as cs
from chunkseg.errors import ChunksegError, KindError, OutputExistsError, ParameterError, PixelError
from chunkseg.geometry.boxes import Box
from chunkseg.kernels.components import components
from chunkseg.passes.steps import NotZero, run_chain

MASK = np.ones((4, 5), bool)
LABELS = MASK.astype(np.int32)
IMAGE = MASK.astype(float)
NAMED = xr.DataArray(LABELS, dims=("y", "x"), coords={"y": np.arange(4.0), "x": np.arange(5.0)})
EMPTY = np.zeros((0, 3), np.int32)
NO_FRAMES = xr.DataArray(np.zeros((0, 4, 5), np.int32), dims=("t", "y", "x"))


def unknown_chunks() -> da.Array:
    lazy = da.from_array(LABELS, chunks=2)
    return lazy[lazy[:, 0] > 0]


KINDS: dict[str, tuple[Callable[[], Any], str]] = {
    "no array": (lambda: cs.label([[1, 2]]), "must be an xarray.DataArray.*got list.*open_image"),
    "a path": (lambda: cs.gaussian("image.tif"), "got str"),
    "unknown chunks": (lambda: cs.label(unknown_chunks()), "compute_chunk_sizes"),
    "no axis": (lambda: cs.label(np.array(5)), "needs at least one axis"),
    "only looped axes": (
        lambda: cs.gaussian(xr.DataArray(np.ones(3), dims="t")),
        "needs at least one axis besides those looped over",
    ),
    "complex blur": (lambda: cs.gaussian(IMAGE * 1j), "real image; got dtype complex128"),
    "complex Otsu": (lambda: cs.threshold_otsu(IMAGE * 1j), "real image; got dtype complex128"),
    "label floats": (lambda: cs.label(IMAGE), "integers or bool; got dtype float64.*Compare first"),
    "expand floats": (lambda: cs.expand_labels(IMAGE), "integers or bool; got dtype float64"),
    "border of floats": (lambda: cs.clear_border(IMAGE), "integers or bool; got dtype float64"),
    "label 4-D integers": (
        lambda: cs.label(np.ones((2, 2, 2, 2), int)),
        "1 to 3 spatial axes.*got 4.*from_array",
    ),
    "components 4-D integers": (
        lambda: components(np.ones((2, 2, 2, 2), int), 1),
        "1 to 3 dimensions.*got 4 dimensions",
    ),
    "border mask": (lambda: cs.clear_border(LABELS, mask=LABELS), "mask must be of bool.*int32"),
    "relabel a mask": (lambda: cs.relabel_sequential(MASK), "integer labels; got dtype bool"),
    "erosion of labels": (lambda: cs.erosion(LABELS), "masks.*got dtype int32.*binary_erosion"),
    "table of a mask": (
        lambda: cs.regionprops_table(MASK),
        "integer labels; got dtype bool.*label",
    ),
    "table of 1-D": (lambda: cs.regionprops_table(np.ones(3, int)), "2-D or 3-D.*got 1 dim"),
    "radius a text": (lambda: cs.binary_erosion(MASK, radius="3"), "radius must be a number.*'3'"),
    "radius a list": (lambda: cs.binary_erosion(MASK, radius=[1]), "radius must be a number"),
    "iterations None": (
        lambda: cs.binary_erosion(MASK, iterations=None),
        "iterations must be a num",
    ),
    "sigma a text": (lambda: cs.gaussian(IMAGE, "a"), "sigma must be a number; got 'a'"),
    "sigma complex": (lambda: cs.gaussian(IMAGE, [1, 2j]), "sigma must be a number; got 2j"),
    "truncate a text": (lambda: cs.gaussian(IMAGE, truncate="4"), "truncate must be a number"),
    "nbins None": (lambda: cs.threshold_otsu(IMAGE, None), "nbins must be a number; got None"),
    "connectivity": (lambda: cs.label(MASK, connectivity="full"), "connectivity must be a number"),
    "background": (lambda: cs.label(MASK, "0"), "background must be a number"),
    "distance": (lambda: cs.expand_labels(LABELS, None), "distance must be a number; got None"),
    "spacing": (lambda: cs.expand_labels(LABELS, 1, None), "spacing must be a number; got None"),
    "offset": (lambda: cs.relabel_sequential(LABELS, "1"), "offset must be a number"),
    "bgval": (lambda: cs.clear_border(LABELS, bgval=None), "bgval must be a number"),
    "buffer": (lambda: cs.clear_border(LABELS, "1"), "buffer_size must be a number"),
}

PARAMETERS: dict[str, tuple[Callable[[], Any], str]] = {
    "no frames": (lambda: cs.label(NO_FRAMES), r"no frames: its shape is \(0, 4, 5\)"),
    "no frames, blur": (lambda: cs.gaussian(NO_FRAMES), "the image has no frames"),
    "channel axis": (lambda: cs.gaussian(IMAGE, channel_axis=7), "2 axes has no axis 7"),
    "sigma negative": (lambda: cs.gaussian(IMAGE, -1), "sigma must not be negative; got -1"),
    "sigma one of two": (lambda: cs.gaussian(IMAGE, (1, -2)), "sigma must not be negative"),
    "sigma for 3 axes": (lambda: cs.gaussian(IMAGE, (1, 1, 1)), r"one per spatial axis \(2\)"),
    "sigma NaN": (lambda: cs.gaussian(IMAGE, np.nan), "sigma must be finite; got nan"),
    "mode": (lambda: cs.gaussian(IMAGE, mode="edge"), "mode must be one of reflect.*got 'edge'"),
    "truncate": (lambda: cs.gaussian(IMAGE, truncate=-1), "truncate must not be negative; got -1"),
    "truncate NaN": (lambda: cs.gaussian(IMAGE, truncate=np.nan), "truncate must not be neg.*nan"),
    "Otsu of nothing": (lambda: cs.threshold_otsu(EMPTY), "needs at least one voxel"),
    "nbins": (lambda: cs.threshold_otsu(IMAGE, 0), "nbins must be a whole number of at least 1"),
    "fraction of nothing": (lambda: cs.foreground_fraction(EMPTY), "needs at least one voxel"),
    "relabel nothing": (lambda: cs.relabel_sequential(EMPTY), "needs at least one voxel"),
    "radius negative": (lambda: cs.binary_erosion(MASK, radius=-1), "radius.*at least 0; got -1"),
    "radius 1.5": (lambda: cs.binary_erosion(MASK, radius=1.5), "radius must be a whole.*1.5"),
    "radius NaN": (lambda: cs.binary_erosion(MASK, radius=np.nan), "whole number.*nan"),
    "radius infinite": (lambda: cs.erosion(MASK, radius=np.inf), "whole number.*inf"),
    "radius too short": (
        lambda: cs.binary_erosion(MASK, radius=-0.5, spacing=1),
        "radius must be 0 or larger and finite; got -0.5",
    ),
    "radius endless": (
        lambda: cs.erosion(MASK, radius=np.inf, spacing=1),
        "radius must be 0 or larger and finite; got inf",
    ),
    "erosion spacing": (
        lambda: cs.binary_erosion(MASK, radius=1, spacing=(1, 0)),
        "spacing must be positive",
    ),
    "spacing of a footprint": (
        lambda: cs.binary_erosion(MASK, np.ones((3, 3)), spacing=1),
        "spacing goes with radius",
    ),
    "iterations": (lambda: cs.binary_erosion(MASK, iterations=0), "iterations.*at least 1; got 0"),
    "footprint and radius": (
        lambda: cs.binary_erosion(MASK, np.ones((3, 3)), radius=1),
        "either footprint or radius",
    ),
    "footprint 3-D": (lambda: cs.binary_erosion(MASK, np.ones((3, 3, 3))), "needs 2 axes.*got 3"),
    "footprint times": (
        lambda: cs.binary_erosion(MASK, [(np.ones((3, 3)), 1.5)]),
        "a footprint's number of times must be a whole number",
    ),
    "footprint even": (lambda: cs.erosion(MASK, np.ones((2, 3))), "odd lengths; pad yours"),
    "connectivity 3": (lambda: cs.label(MASK, connectivity=3), "must be 1 to 2; got 3"),
    "connectivity 0": (lambda: cs.label(MASK, connectivity=0), "must be 1 to 2; got 0"),
    "connectivity 1.5": (lambda: cs.label(MASK, connectivity=1.5), "whole number; got 1.5"),
    "background 0.5": (lambda: cs.label(LABELS, 0.5), "background must be a whole number"),
    "bgval too large": (
        lambda: cs.clear_border(LABELS.astype(np.uint8), bgval=300),
        "bgval 300 does not fit labels of dtype uint8",
    ),
    "bgval negative": (
        lambda: cs.clear_border(LABELS.astype(np.uint64), bgval=-1),
        "bgval -1 does not fit labels of dtype uint64",
    ),
    "bgval of a mask": (lambda: cs.clear_border(MASK, bgval=2), "bgval 2 does not fit.*bool"),
    "buffer as wide": (lambda: cs.clear_border(LABELS, 4), r"less than.*\[4, 5\]; got 4"),
    "buffer negative": (lambda: cs.clear_border(LABELS, -1), "0 or more.*got -1"),
    "buffer 1.5": (lambda: cs.clear_border(LABELS, 1.5), "buffer_size must be a whole number"),
    "border axes": (lambda: cs.clear_border(LABELS, axes=(2,)), r"spatial axes \[0, 1\]; got 2"),
    "border names": (lambda: cs.clear_border(NAMED, axes="z"), r"\['y', 'x'\]; got 'z'"),
    "mask shape": (
        lambda: cs.clear_border(LABELS, mask=MASK[1:]),
        r"mask must have the shape of the labels, \(4, 5\); got \(3, 5\)",
    ),
    "mask axes": (
        lambda: cs.clear_border(NAMED, mask=xr.DataArray(MASK, dims=("y", "z"))),
        r"mask must have the axes of the labels, \('y', 'x'\); got \('y', 'z'\)",
    ),
    "spacing 0": (lambda: cs.expand_labels(LABELS, 1, 0), "spacing must be positive; got 0"),
    "spacing unnamed": (lambda: cs.expand_labels(LABELS, 1, "coords"), "'coords' with a DataArray"),
    "spacing a word": (lambda: cs.expand_labels(NAMED, 1, "mine"), "spacing must be.*got 'mine'"),
    "distance NaN": (
        lambda: cs.expand_labels(LABELS, np.nan),
        "distance must be a number; got NaN",
    ),
    "offset 0": (lambda: cs.relabel_sequential(LABELS, 0), "offset must be.*at least 1; got 0"),
    "relabel negative": (lambda: cs.relabel_sequential(-LABELS), "int64 the smallest is -1"),
    "relabel beyond int64": (
        lambda: cs.relabel_sequential(LABELS.astype(np.uint64) << np.uint64(63)),
        r"nor above 2\*\*63 - 1",
    ),
    "measure negative": (lambda: cs.regionprops_table(-LABELS), "must not be negative; there is -"),
    "unknown property": (
        lambda: cs.regionprops_table(LABELS, properties=("aera",)),
        "unknown property 'aera'; did you mean one of.*'area'",
    ),
    "nothing like it": (
        lambda: cs.regionprops_table(LABELS, properties=("qqqq",)),
        "known are label, .*centroid",
    ),
    "no intensity": (
        lambda: cs.regionprops_table(LABELS, properties="intensity_mean"),
        "'intensity_mean' needs an intensity image",
    ),
    "intensity shape": (
        lambda: cs.regionprops_table(LABELS, IMAGE[:2]),
        "the intensity image must have the shape of the labels",
    ),
    "intensity axes": (
        lambda: cs.regionprops_table(NAMED, NAMED.rename(x="z")),
        "the intensity image must have the axes of the labels",
    ),
    "intensity elsewhere": (
        lambda: cs.regionprops_table(NAMED, NAMED.assign_coords(x=NAMED.x + 1)),
        "different coordinates along 'x'",
    ),
    "scratch": (lambda: cs.label(MASK, scratch=3), "scratch must be a path, None.*got 3"),
    "column": (
        lambda: cs.summarize(pd.DataFrame({"area": [1.0]}), column="size"),
        r"column 'size' is not in the table; it has \['area'\]",
    ),
}


def fails(call: Callable[[], Any], kind: type[Exception], builtin: type, message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        call()
    assert isinstance(caught.value, ChunksegError)
    assert isinstance(caught.value, builtin)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("call", "message"), KINDS.values(), ids=KINDS)
def test_wrong_kinds(call: Callable[[], Any], message: str) -> None:
    fails(call, KindError, TypeError, message)


@pytest.mark.parametrize(("call", "message"), PARAMETERS.values(), ids=PARAMETERS)
def test_wrong_parameters(call: Callable[[], Any], message: str) -> None:
    fails(call, ParameterError, ValueError, message)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_otsu_of_pixels_that_are_not_finite(bad: float) -> None:
    image = np.zeros((6, 7, 8), np.float32)
    image[4, 1, 2] = image[3, 6, 7] = image[5, 0, 0] = bad
    message = r"3 of 336 voxels are NaN or infinite, the first at index \(3, 6, 7\)"
    lazy = da.from_array(image, chunks=3)
    fails(lambda: cs.threshold_otsu(lazy), PixelError, ValueError, message)


@pytest.mark.parametrize("step", [cs.store, lambda x, path: cs.label(x, scratch=path)])
def test_what_is_there_is_not_overwritten(step: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    message = "there is there already, and it was not made by this step"
    fails(lambda: step(MASK, tmp_path / "there"), OutputExistsError, FileExistsError, message)
    assert (tmp_path / "there").read_text() == "mine"


def test_a_chain_refuses_a_block_that_was_read_wrongly() -> None:
    core, frame = Box((0,), (2,)), Box((0,), (9,))
    with pytest.raises(AssertionError, match="the chain needs Box"):
        run_chain((NotZero(1),), np.zeros(3), Box((0,), (3,)), core, frame)


def test_coordinates_that_are_dates_are_compared_too() -> None:
    days = pd.date_range("2026-01-01", periods=2)
    movie = xr.DataArray(np.stack([LABELS, LABELS]), dims=("t", "y", "x"), coords={"t": days})
    assert len(cs.regionprops_table(movie, movie, ("label", "intensity_mean"))) == 2
    later = movie.assign_coords(t=days + pd.Timedelta("1D"))
    with pytest.raises(ParameterError, match="different coordinates along 't'"):
        cs.regionprops_table(movie, later)

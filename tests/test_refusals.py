"""What users hand in by mistake, and what they are told; each was met by somebody trying."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import chunkseg as cs
from chunkseg.cli.entry import main
from chunkseg.cli.messages import note, progress
from chunkseg.errors import (
    ChunksegError,
    FormatError,
    IncompleteError,
    KindError,
    OutputExistsError,
    ParameterError,
    PathError,
)

PLANE = cs.synthetic_nuclei((48, 56), seed=1)
MASKED = np.ma.masked_greater(PLANE, PLANE.mean())
CALLS = [
    cs.from_array,
    cs.threshold_otsu,
    cs.gaussian,
    lambda x: cs.save_image(x, "never.zarr"),
    lambda x: cs.Workflow().run(x, "never"),
]


@pytest.mark.parametrize("call", CALLS)
def test_masked_arrays_are_refused_since_scikit_image_ignores_masks(call: Any) -> None:
    for array in (MASKED, da.from_array(MASKED, chunks=20)):
        with pytest.raises(KindError, match=r"is a masked array.*filled"):
            call(array)


@pytest.mark.parametrize("call", CALLS)
def test_chunks_of_unknown_size_are_told_and_how_to_know_them(call: Any) -> None:
    array = da.from_array(PLANE, chunks=20)
    unknown = array[da.from_array(PLANE[:, 0] >= 0, chunks=20)]
    for given in (unknown, xr.DataArray(unknown, dims=("y", "x"))):
        with pytest.raises(KindError, match="unknown size; call compute_chunk_sizes"):
            call(given)


def test_what_is_no_numbers_is_not_stored_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KindError, match="only arrays of numbers are stored; got dtype object"):
        cs.store(np.array([[1, None]], object), tmp_path / "x.zarr")
    assert not list(tmp_path.iterdir())


def test_an_empty_path_is_not_the_current_folder() -> None:
    with pytest.raises(PathError, match="path of the image is empty"):
        cs.open_image("")
    with pytest.raises(PathError, match="path of the output is empty"):
        cs.Workflow().run(PLANE, "")


def test_channels_are_asked_of_an_image_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "plane.npy", PLANE)
    for asked in ("all", "dapi"):
        args = ["run", str(tmp_path / "plane.npy"), "-o", str(tmp_path / "out")]
        assert main([*args, "--intensity-channels", asked]) == 2
        assert "needs an image with an axis 'c'" in capsys.readouterr().err
    with pytest.raises(ParameterError, match="needs an image with an axis 'c'"):
        cs.Workflow().run(cs.from_array(PLANE), tmp_path / "out", intensity_channels="all")


def test_another_command_is_told_as_such_and_nothing_more(tmp_path: Path) -> None:
    cs.Workflow().run(PLANE, tmp_path / "out")
    with pytest.raises(OutputExistsError, match=r"else: command was 'run' and is 'measure'\. "):
        cs.measure(PLANE.astype(int), tmp_path / "out")


@pytest.mark.parametrize("name", ["objects.parquet", "labels.ome.zarr"])
def test_what_a_run_wrote_and_is_gone_is_missing_not_unasked_for(tmp_path: Path, name: str) -> None:
    result = cs.Workflow().run(PLANE, tmp_path / "out")
    (tmp_path / "out" / name).rename(tmp_path / "elsewhere")
    with pytest.raises(IncompleteError, match=f"{name} was written by the run and is missing"):
        _ = cs.Result.open(result.path).table, cs.Result.open(result.path).labels


@pytest.mark.parametrize("ome_version", ["0.5", "0.4"])
def test_labels_that_were_copied_by_half_do_not_read_as_background(
    tmp_path: Path, ome_version: Any
) -> None:
    flow = cs.Workflow()
    result = flow.run(PLANE, tmp_path / "out", block_shape=(24, 28), ome_version=ome_version)
    assert int(result.labels.max()) == len(result.table)
    chunks = [f for f in (result.path / "labels.ome.zarr/0").rglob("[01]") if f.is_file()]
    assert len(chunks) == 4
    chunks[-1].unlink()
    with pytest.raises(IncompleteError, match=r"1 of 4 chunks of .* are gone, the first is"):
        _ = result.labels


def test_a_table_that_was_copied_by_half_is_told_as_damaged(tmp_path: Path) -> None:
    result = cs.Workflow().run(PLANE, tmp_path / "out")
    table = tmp_path / "out" / "objects.parquet"
    table.write_bytes(table.read_bytes()[:50])
    with pytest.raises(IncompleteError, match=r"objects.parquet is damaged"):
        _ = cs.Result.open(result.path).table


def test_labels_that_int64_does_not_hold_are_refused() -> None:
    labels = np.full((4, 4), 2**63 + 5, np.uint64)
    with pytest.raises(ParameterError, match="uint64 labels above"):
        cs.regionprops_table(labels)


def test_nothing_is_said_where_stderr_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    note("nobody hears")
    with progress() as told:
        told("range", 1, 1)


@pytest.mark.parametrize(("shape", "example"), [((2, 3, 4, 5), "tzyx"), ((1, 2, 3, 4, 5), "tczyx")])
def test_names_of_axes_are_shown_by_an_example_that_fits(
    tmp_path: Path, shape: tuple[int, ...], example: str
) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape, np.uint8))
    with pytest.raises(FormatError, match=f"dims='{example}'"):
        cs.open_image(tmp_path / "x.npy")
    with pytest.raises(ParameterError, match=f"dims='{example}'"):
        cs.from_array(np.zeros(shape))


def test_several_channels_without_names_are_counted(tmp_path: Path) -> None:
    image = xr.DataArray(np.zeros((2, 4, 4)), dims=("c", "y", "x"))
    with pytest.raises(ChunksegError, match="has 2 channels; say which"):
        cs.Workflow().run(image, tmp_path / "out")


def test_the_command_line_speaks_of_its_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "plane.npy", PLANE)
    np.save(tmp_path / "movie.npy", np.stack([[PLANE, PLANE]]))
    out = str(tmp_path / "out")
    assert main(["run", str(tmp_path / "plane.npy"), "-o", out, "--until", "mask"]) == 0
    said = capsys.readouterr().err
    assert "Pass --spacing and --unit to set it, for example --spacing 0.26, --unit micro" in said
    assert main(["run", str(tmp_path / "movie.npy"), "-o", out]) == 2
    assert "pass --dims with one letter of t c z y x for each" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "plane.npy"), "-o", out, "--units", "physical"]) == 2
    said = capsys.readouterr().err
    assert "Give --spacing and --unit, or all lengths in voxels" in said


def test_an_address_without_a_port_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "plane.npy", PLANE)
    args = ["run", str(tmp_path / "plane.npy"), "-o", str(tmp_path / "out")]
    assert main([*args, "--scheduler", "foo"]) == 2
    assert "no dask scheduler answers at foo, which names no port" in capsys.readouterr().err


def test_erosion_by_nothing_is_refused_as_by_scikit_image() -> None:
    with pytest.raises(ParameterError, match="footprints of at least one voxel; got one of none"):
        cs.erosion(PLANE > 0, np.zeros((3, 3), bool))


def test_labels_without_calibration_and_a_calibrated_image_can_be_brought_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "masks.npy", PLANE.astype(bool).astype(np.uint16))
    cs.save_image(cs.from_array(PLANE, spacing=0.5, unit="um"), tmp_path / "image.ome.zarr")
    files = [str(tmp_path / "masks.npy"), str(tmp_path / "image.ome.zarr")]
    args = ["measure", *files, "-o", str(tmp_path / "out")]
    assert main(args) == 2
    said = capsys.readouterr().err
    assert "along 'y' (in pixel and micrometer)" in said
    assert "give both the same --spacing and --unit" in said
    assert main([*args, "--spacing", "0.5", "--unit", "um"]) == 0


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mean_intensity", r"did you mean one of \['intensity_mean'\]"),
        ("Area", "did you mean one of .'area'"),
        ("zzz", "known are label, num_pixels, area, .*, all$"),
    ],
)
def test_properties_by_older_names_are_told_by_their_new_ones(name: str, hint: str) -> None:
    with pytest.raises(ParameterError, match=hint):
        cs.regionprops_table(PLANE.astype(int), properties=name)

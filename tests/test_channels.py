"""Channels and measures of a workflow, sizes and borders: what is told of dropped objects."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import skimage as ski
import tifffile
import xarray as xr
import zarr

import chunkseg as cs
from chunkseg.cli import main
from chunkseg.errors import ParameterError
from chunkseg.passes.dropping import face_names

SPACING = {"t": 30.0, "z": 0.6, "y": 0.25, "x": 0.25}


def two_channels(frames=3):
    """Blobs in ``dna``, something else in ``actin``; anisotropic."""
    rng = np.random.default_rng(8)
    movie = np.zeros((frames, 2, 8, 30, 34), np.uint16)
    for frame in movie:
        for _ in range(9):
            z, y, x = rng.integers(0, 8), rng.integers(0, 28), rng.integers(0, 32)
            frame[0, max(0, z - 1) : z + 2, max(0, y - 4) : y + 4, max(0, x - 3) : x + 3] = 900
        frame[1] = rng.integers(0, 1000, frame[1].shape)
    coords = {"c": ["dna", "actin"]}
    for dim, n in zip("tzyx", (frames, 8, 30, 34), strict=True):
        unit = "second" if dim == "t" else "micrometer"
        coords[dim] = (dim, SPACING[dim] * np.arange(n), {"units": unit, "spacing": SPACING[dim]})
    return xr.DataArray(movie, dims=("t", "c", "z", "y", "x"), coords=coords)


WORKFLOW = cs.Workflow(units="physical", sigma=0.3, erosion_radius=0.5)


def frame_in_memory(frame):
    spacing = (0.6, 0.25, 0.25)
    blurred = ski.filters.gaussian(frame, np.array(0.3) / spacing)
    mask = blurred > ski.filters.threshold_otsu(blurred)
    from tests.test_physical import in_memory

    return in_memory(mask, 0.5, 1, 0.5, spacing)


@pytest.mark.parametrize("block", [None, (5, 16, 20)])
def test_a_movie_of_two_channels_with_anisotropic_voxels(tmp_path, block):
    movie = two_channels()
    names = ("intensity_mean", "intensity_max", "euler_number", "solidity", "axis_major_length")
    workflow = cs.Workflow(units="physical", sigma=0.3, erosion_radius=0.5, properties=names)
    result = workflow.run(
        movie, tmp_path / "out", channel="dna", intensity_channels="all", block_shape=block
    )
    assert len(result.table) > 3
    for t in range(3):
        labels = frame_in_memory(movie.values[t, 0])
        np.testing.assert_array_equal(result.labels.isel(t=t).values, labels)
        images = np.moveaxis(movie.values[t], 0, -1)
        expected = ski.measure.regionprops_table(labels, images, ("label", "area", *names))
        rows = result.table.query("t == @t")
        for name, values in expected.items():
            channel = {"0": "dna", "1": "actin"}
            column = name if "intensity" not in name else f"{name[:-1]}{channel[name[-1]]}"
            np.testing.assert_allclose(rows[column].to_numpy(), values, rtol=1e-9, err_msg=name)


def test_channels_by_number_of_a_stored_image(tmp_path):
    movie = two_channels(2)
    array = zarr.create_array(
        tmp_path / "in.zarr",
        shape=movie.shape,
        chunks=(1, 1, 8, 30, 34),
        dtype="u2",
        dimension_names=list("tczyx"),
    )
    array[:] = movie.values
    workflow = cs.Workflow(sigma=1, erosion_radius=1)
    result = workflow.run(tmp_path / "in.zarr", tmp_path / "out", channel=0, intensity_channels=[1])
    plain = workflow.run(movie, tmp_path / "plain", channel=1 - 1)
    assert [c for c in result.table if "intensity" in c] == [
        "intensity_mean-1",
        "intensity_min-1",
        "intensity_max-1",
    ]
    assert next(c for c in plain.table if "intensity" in c) == "intensity_mean"
    np.testing.assert_array_equal(result.labels.values, plain.labels.values)
    assert result.verify().ok


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["green"], r"no channel 'green': the image has 2, named \['dna', 'actin'\]"),
        ([0, "dna"], "must name channels once each"),
        ([], "must name channels once each"),
        ([5], "no channel 5"),
    ],
)
def test_channels_that_are_not_there(tmp_path, asked, message):
    with pytest.raises(ParameterError, match=message):
        WORKFLOW.run(two_channels(1), tmp_path / "out", channel=0, intensity_channels=asked)
    assert not (tmp_path / "out").exists()


def test_intensities_of_an_image_without_channels(tmp_path):
    image = cs.from_array(np.ones((4, 4)), spacing=1, unit="um")
    with pytest.raises(ParameterError, match="needs an image with an axis 'c'"):
        WORKFLOW.run(image, tmp_path / "out", intensity_channels="all")


def test_measures_that_are_not_there(tmp_path):
    with pytest.raises(ParameterError, match="unknown property 'aera'"):
        cs.Workflow(properties=["aera"]).run(np.ones((4, 4)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_dropped_objects_are_told_with_their_faces(tmp_path):
    mask = np.zeros((9, 12), bool)
    mask[0:2, 4] = mask[3, 0:2] = mask[7:, 10:] = mask[4:6, 5:7] = mask[2, 8] = True
    workflow = cs.Workflow(clear_border=True, min_size=2)
    result = workflow.run(mask, tmp_path / "out", input_is_mask=True, block_shape=(4, 5))
    assert result.labels.values.max() == 1
    (facts,) = result.run["frames"]
    assert facts["dropped"] == {"size": 1, "x high": 1, "x low": 1, "y high": 1, "y low": 1}
    found = result.dropped.to_dict(orient="list")
    assert found == {
        "why": ["y low", "size", "x low", "y high, x high"],
        "area": [2, 1, 2, 4],
        "first-0": [0, 2, 3, 7],
        "first-1": [4, 8, 0, 10],
    }
    assert (tmp_path / "out" / "dropped.csv").exists()


def test_the_z_border_of_a_thin_stack(tmp_path):
    movie = two_channels(2)
    result = cs.Workflow(sigma=0).run(movie, tmp_path / "out", channel=0)
    whole = ski.filters.threshold_otsu(ski.filters.gaussian(movie.values[1, 0], 0))
    labels = ski.measure.label(ski.filters.gaussian(movie.values[1, 0], 0) > whole)
    faces = {}
    for axis, dim in enumerate("zyx"):
        for side, index in (("low", 0), ("high", -1)):
            faces[f"{dim} {side}"] = len(set(np.take(labels, index, axis).ravel()) - {0})
    known = result.run["frames"][1]["dropped"]
    assert known == {name: n for name, n in faces.items() if n}
    assert list(faces) == face_names("zyx")
    assert set(result.dropped["t"]) == {0, 1}


def test_the_summary_per_time_point_and_of_the_movie(tmp_path):
    movie = two_channels()
    result = WORKFLOW.run(movie, tmp_path / "out", channel="dna", intensity_channels="all")
    summary = result.summary
    assert summary.index.tolist() == [0, 1, 2]
    assert summary["time_s"].tolist() == [0.0, 30.0, 60.0]
    for t in range(3):
        labels = frame_in_memory(movie.values[t, 0])
        volumes = np.bincount(labels.ravel())[1:] * 0.6 * 0.25 * 0.25
        row = summary.loc[t]
        assert row["count"] == len(volumes)
        if len(volumes):
            expected = volumes.mean(), volumes.std(), np.ptp(volumes)
            np.testing.assert_allclose(row[["mean", "std", "range"]].astype(float), expected)
            mean = movie.values[t, 1][labels > 0].mean()
            assert row["intensity_mean-actin"] == pytest.approx(mean, rel=1e-12)
    assert summary["threshold"].tolist() == result.thresholds.tolist()
    percents = 100 * result.foreground_fractions
    np.testing.assert_array_equal(summary["percent_foreground"], percents)
    stored = pd.read_csv(tmp_path / "out" / "summary.csv", index_col="t")
    pd.testing.assert_frame_equal(stored, summary, check_dtype=False)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out" / "summary.parquet").set_index("t"), summary
    )
    whole = json.loads((tmp_path / "out" / "summary.json").read_text())["objects"]
    assert whole["count"] == len(result.table)
    assert whole["percent_foreground"] == pytest.approx(percents.mean())
    assert whole["threshold"] is None


def test_intensities_on_the_command_line(tmp_path, capsys):
    movie = two_channels(2)
    path = tmp_path / "in.ome.tif"
    tifffile.imwrite(
        path, movie.values, metadata={"axes": "TCZYX", "Channel": {"Name": ["a", "b"]}}
    )
    options = ["--channel", "0", "--intensity-channels", "b", "--sigma", "1", "--no-report"]
    options += ["--erosion-radius", "1", "--erosion-iterations", "2", "--threshold-scope", "movie"]
    options += ["--min-size", "3", "--properties", "intensity_mean,extent"]
    assert main(["run", str(path), "-o", str(tmp_path / "out"), *options]) == 0
    result = cs.Result.open(tmp_path / "out")
    assert [c for c in result.table if c[:3] in ("int", "ext")] == ["intensity_mean-b", "extent"]
    assert result.run["workflow"]["erosion_iterations"] == 2
    assert result.run["workflow"]["threshold_scope"] == "movie"
    assert result.thresholds.nunique() == 1


def test_other_images_are_measured_by_name(tmp_path):
    movie = two_channels(2)
    dna = movie.isel(c=0)
    result = cs.Workflow(sigma=1, erosion_radius=1).run(
        dna, tmp_path / "out", intensity_channels={"doubled": 2 * dna}
    )
    for row in result.table.to_dict(orient="records"):
        labels = result.labels.isel(t=row["t"]).values
        inside = dna.values[row["t"]][labels == row["label"]]
        assert row["intensity_mean-doubled"] == pytest.approx(2 * inside.mean())
    with pytest.raises(ParameterError, match="image of intensities must have the shape"):
        cs.Workflow().run(dna, tmp_path / "no", intensity_channels={"cut": dna[..., :-1]})

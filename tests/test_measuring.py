"""Measuring a label image on disk: the folder of tables, from Python and from the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skimage as ski

import chunkseg as cs
from chunkseg.cli import main
from chunkseg.errors import KindError, OutputExistsError, ParameterError

rng = np.random.default_rng(5)
IMAGE = rng.integers(0, 200, (6, 30, 32)).astype(np.uint16)
LABELS = (ski.measure.label(ski.filters.gaussian(IMAGE, 1) > 0.0016) * 3).astype(np.uint32)
SPACING = {"z": 0.3, "y": 0.2, "x": 0.2}


@pytest.fixture
def files(tmp_path):
    labels = cs.from_array(LABELS, spacing=SPACING, unit="micrometer")
    cs.store(labels.chunk(8), tmp_path / "labels.zarr")
    np.save(tmp_path / "image.npy", IMAGE)
    return tmp_path


CALIBRATED = ["--spacing", "0.3,0.2,0.2", "--unit", "um"]


def test_command_line(files, capsys):
    out = files / "out"
    arguments = [str(files / "labels.zarr"), str(files / "image.npy"), "-o", str(out)]
    assert main(["measure", *arguments, "--properties", "label,size,intensity", *CALIBRATED]) == 0
    names = ("label", "area", "area_convex", "intensity_mean")
    expected = ski.measure.regionprops_table(LABELS, IMAGE, names)
    table = pd.read_csv(out / "objects.csv")
    for name, column in expected.items():
        np.testing.assert_allclose(table[name], column, rtol=1e-9)
    np.testing.assert_allclose(table["volume_um3"], table["area"] * 0.012, rtol=1e-12)
    assert f"objects     {len(table)}" in capsys.readouterr().out
    assert cs.Result.open(out).table.shape == table.shape


def test_python(files):
    labels = cs.from_array(LABELS, spacing=SPACING, unit="micrometer")
    result = cs.measure(labels, files / "out", IMAGE)
    expected = cs.regionprops_table(
        LABELS, IMAGE, ["label", "area", "bbox", "centroid", "intensity"]
    )
    pd.testing.assert_frame_equal(result.table[list(expected)], expected)
    np.testing.assert_allclose(result.table["centroid_um-0"], expected["centroid-0"] * 0.3)
    assert result.summary["unit"].tolist() == ["um3"]
    with pytest.raises(OutputExistsError, match="holds the result"):
        cs.measure(labels, files / "out")
    bare = cs.measure(LABELS, files / "out", overwrite=True, properties=("label",))
    assert list(bare.table) == ["label"]


def test_a_very_long_table_is_parquet_only(files, monkeypatch):
    monkeypatch.setattr("chunkseg.storage.output.CSV_ROWS", 2)
    result = cs.measure(LABELS, files / "out")
    assert not (files / "out" / "objects.csv").exists()
    assert "objects.csv" not in result.run["files"]


@pytest.mark.parametrize(
    ("labels", "image", "options", "error", "match"),
    [
        (LABELS / 2, None, {}, KindError, "integer labels"),
        (LABELS, IMAGE[1:], {}, ParameterError, "shape"),
        (LABELS, None, {"properties": "aera"}, ParameterError, "did you mean"),
        ([[1]], None, {}, KindError, "a path or an array"),
    ],
)
def test_refused_and_nothing_left_behind(tmp_path, labels, image, options, error, match):
    with pytest.raises(error, match=match):
        cs.measure(labels, tmp_path / "out", image, **options)
    assert not (tmp_path / "out").exists()


def test_command_line_errors(files, capsys):
    assert main(["measure", str(files / "none.zarr"), "-o", str(files / "out")]) == 2
    assert "none.zarr" in capsys.readouterr().err
    assert not (files / "out").exists()

"""The sweep over radii equals a run of each, from one mask."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile

import chunkseg as cs
from chunkseg.api.radius import _seeing, sweep_radius
from chunkseg.cli import main
from chunkseg.errors import ParameterError
from chunkseg.report.extra import missing
from tests.lesson import lesson


def touching():
    """Two balls that touch, one alone, one at the border."""
    z, y, x = np.ogrid[:20, :40, :50]
    image = np.zeros((20, 40, 50), np.uint8)
    for at in ((10, 14, 14), (10, 14, 25), (10, 30, 30), (2, 30, 8)):
        inside = (z - at[0]) ** 2 + (y - at[1]) ** 2 + (x - at[2]) ** 2 <= 36
        image[inside] = 200
    return image


def test_each_radius_equals_a_run_of_its_own(tmp_path):
    image = touching()
    swept = sweep_radius(image, [0, 2, 4], tmp_path / "out", workflow=cs.Workflow(sigma=0.5))
    table = swept.table.set_index("radius")
    for radius in (0, 2, 4):
        expected = lesson(image, 0.5, radius)
        row = table.loc[radius]
        assert (row["mask"], row["eroded"], row["final"]) == expected.counts
        sizes = np.bincount(expected.labels.ravel())[1:]
        assert row["median"] == np.median(sizes)
        assert (row["mean"], row["range"]) == (sizes.mean(), np.ptp(sizes))
        found = swept.sizes.query("radius == @radius")["area"]
        assert found.tolist() == sizes.tolist()
        np.testing.assert_array_equal(swept.results[radius].labels.values, expected.labels)
    assert table["split"].tolist() == [0, 0, 1]
    assert swept.planes() == [(0, 10)]


def test_the_image_is_read_for_one_mask_only(tmp_path):
    passes = []
    sweep_radius(
        touching(),
        [1, 2, 3],
        tmp_path / "out",
        progress=lambda name, done, total: passes.append(name) if done == total else None,
    )
    assert passes.count("range") == 1
    assert passes.count("seeds") == 4


def test_a_movie_has_a_row_per_time_point(tmp_path):
    movie = cs.from_array(np.stack([touching()[10], touching()[3]]), dims="tyx")
    swept = sweep_radius(movie, [1, 3], tmp_path / "out")
    assert swept.table["t"].tolist() == [0, 1, 0, 1]
    assert {frame for frame, _ in swept.planes()} <= {0, 1}


def test_planes_go_through_most_objects_and_then_through_most_of_the_others():
    spans = [(0, 2, 8), (0, 3, 9), (0, 4, 12), (1, 0, 1), (1, 0, 2), (0, 20, 22)]
    objects = pd.DataFrame(spans, columns=["frame", "low", "high"])
    assert _seeing(objects, 9) == [(0, 6), (1, 0), (0, 21)]
    assert _seeing(objects, 1) == [(0, 6)]
    assert _seeing(objects[:0], 3) == []


@pytest.mark.parametrize("radii", [[], [1, 1.0]])
def test_radii_that_make_no_sweep(tmp_path, radii):
    with pytest.raises(ParameterError, match="radii must be different numbers"):
        sweep_radius(touching(), radii, tmp_path / "out")


def test_the_command(tmp_path, capsys):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, touching(), metadata={"axes": "ZYX"})
    out = tmp_path / "out"
    argv = ["sweep", str(path), "-o", str(out), "--erosion-radius", "0,2,4", "--sigma", "0.5"]
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert "radius" in said
    assert [line.split()[0] for line in said.splitlines()[1:4]] == ["0", "2", "4"]
    if not missing():
        assert (out / "planes.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "sweep.csv").exists()

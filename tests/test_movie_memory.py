"""A 3-D movie of two channels and flat voxels: equal to scikit-image, within the memory limit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import skimage as ski

import chunkseg as cs
from tests.test_physical import in_memory

SPACING = (0.8, 0.3, 0.25)
MIB = 2**20


def distinct_frames(number: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Frames of noise in channel 0, and of nuclei in channel 1."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 4000, (number, *shape)).astype(np.uint16)
    count = int(np.prod(shape)) // 8000
    nuclei = [
        cs.synthetic_nuclei(shape, count=count, semi_axes=(4, 7), seed=n) for n in range(number)
    ]
    return np.stack([noise, np.stack(nuclei)], axis=1)


def saved(path: Path, pixels: np.ndarray[Any, Any], times: int) -> Path:
    """Write a movie that shows some frames several times over."""
    lazy = da.from_array(pixels, chunks=(1, 1, -1, -1, -1))
    movie = da.concatenate([lazy] * times)
    image = cs.from_array(movie, "tczyx", spacing=dict(zip("zyx", SPACING, strict=True)), unit="um")
    cs.save_image(image, path, levels=1, workers=1)
    return path


def expected_labels(frame: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    blurred = ski.filters.gaussian(frame, np.array(0.5) / SPACING)
    mask = blurred > ski.filters.threshold_otsu(blurred)
    return np.asarray(in_memory(mask, 0.9, 1, 0.9, SPACING))


def run_within(image: Path, out: Path, limit: int) -> int:
    """Run in a process of its own; return its peak memory."""
    command = [sys.executable, "-m", "tests.movie_job", str(image), str(out), str(limit)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["code"] == 0, done.stderr
    return int(told["peak"])


def test_physical_lengths_are_planned_with_what_scipy_takes() -> None:
    image = cs.from_array(np.broadcast_to(np.uint16(0), (64,) * 3), spacing=0.5, unit="um")
    pixels, physical = (
        cs.Workflow(units=units, sigma=1, erosion_radius=2).plan(image, block_shape=(64,) * 3)
        for units in ("pixels", "physical")
    )
    (few, many) = ({p.name: p.task_memory for p in p.passes} for p in (pixels, physical))
    assert many["objects"] - few["objects"] == 48 * 64**3
    assert many["seeds"] == few["seeds"]
    rounding = cs.Workflow(units="physical", erosion_radius=2.5)
    fine = cs.from_array(image.data, spacing=0.1, unit="um")
    tied = {p.name: p.task_memory for p in rounding.plan(fine, block_shape=(64,) * 3).passes}
    assert tied["seeds"] > 50 * 64**3


@pytest.mark.parametrize(
    ("frames", "times", "shape", "limit"),
    [
        (2, 1, (24, 60, 70), 480 * MIB),
        pytest.param(2, 40, (32, 256, 256), 560 * MIB, marks=pytest.mark.slow),
    ],
    ids=["small", "larger than the limit"],
)
def test_a_movie_within_its_limit(
    frames: int, times: int, shape: tuple[int, ...], limit: int, tmp_path: Path
) -> None:
    pixels = distinct_frames(frames, shape)
    image = saved(tmp_path / "movie.ome.zarr", pixels, times)
    assert times == 1 or times * pixels.nbytes > limit
    assert run_within(image, tmp_path / "out", limit) <= limit
    result = cs.Result.open(tmp_path / "out")
    truths = [expected_labels(frame) for frame in pixels[:, 1]]
    assert min(truth.max() for truth in truths) > 1
    for t in range(frames * times):
        truth, table = truths[t % frames], result.table.query("t == @t")
        np.testing.assert_array_equal(result.labels.isel(t=t).values, truth)
        for channel in (0, 1):
            found = ski.measure.regionprops_table(
                truth, pixels[t % frames, channel], properties=("intensity_mean",)
            )
            means = table[f"intensity_mean-{channel}"].to_numpy()
            np.testing.assert_allclose(means, found["intensity_mean"], rtol=1e-12)

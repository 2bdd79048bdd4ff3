"""The threshold that is estimated with the range: the mask is made with it, and it is verified."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import gaussian, threshold_otsu

import chunkseg as cs
from chunkseg.errors import PixelError
from chunkseg.passes import masking
from chunkseg.passes.threshold import Histogram
from chunkseg.runner import tasks, thresholds
from chunkseg.storage.output import read_histograms
from tests.blocks import Blocks, truncate
from tests.killing import contents
from tests.strategies import cuts, images

WORKFLOW = cs.Workflow(sigma=1, erosion_radius=1, clear_border=False)
OPTIONS: dict[str, Any] = {"block_shape": (8, 8), "workers": 1, "keep": ("mask",)}


def image(noise: bool) -> Any:
    """Blobs in the first quarter; the rest is dark: of one value, or noise."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 40, (32, 32)) if noise else np.full((32, 32), 9)
    values[2:7, 2:7] = 200
    values[3:6, 11:14] = 230
    return values.astype(np.uint8)


def run(out: Path, values: Any, **options: Any) -> tuple[Any, Blocks]:
    with Blocks().watched() as blocks:
        result = WORKFLOW.run(values, out, **(OPTIONS | options))
    return result, blocks


@pytest.fixture
def a_bin_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates are wrong."""
    estimate = thresholds.estimated_counts

    def wrong(*args: Any) -> Histogram:
        found = estimate(*args)
        return Histogram(np.roll(found.counts, 9), found.centers)

    monkeypatch.setattr(thresholds, "estimated_counts", wrong)


@settings(deadline=None, max_examples=40)
@given(st.data(), images(), st.sampled_from([0.0, 0.6, 1.5]))
def test_threshold_and_histogram_are_those_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, values: Any, sigma: float
) -> None:
    out = tmp_path_factory.mktemp("runs") / "out"
    block = tuple(max(data.draw(cuts(n))) for n in values.shape)
    workflow = cs.Workflow(sigma=sigma, erosion_radius=1, clear_border=False)
    result = workflow.run(values, out, block_shape=block, workers=1, until="mask", keep=("mask",))
    blurred = gaussian(values, sigma)
    threshold = threshold_otsu(blurred)
    np.testing.assert_array_equal(result.mask.values != 0, blurred > threshold)
    assert result.run["frames"][0]["threshold"] == threshold
    table = read_histograms(out)
    assert table is not None
    counts, edges = np.histogram(blurred, 256)
    assert table["count"].tolist() == counts.tolist()
    assert table["value"].tolist() == ((edges[:-1] + edges[1:]) / 2).tolist()


def test_dark_blocks_of_one_bin_are_not_counted(tmp_path: Path) -> None:
    _, blocks = run(tmp_path / "out", image(noise=False))
    assert not blocks.of("histogram")
    table = read_histograms(tmp_path / "out")
    assert table is not None
    assert table["count"].sum() == 32 * 32
    assert table["count"].max() > 700


def test_bright_blocks_of_one_bin_are_counted_once(tmp_path: Path) -> None:
    """Their mask is made with a margin that erosion needs, which belongs to other blocks."""
    values = np.full((32, 32), 9, np.uint8)
    values[3:29, 3:29] = 200
    run(tmp_path / "out", values)
    table = read_histograms(tmp_path / "out")
    assert table is not None
    assert table["count"].tolist() == np.histogram(gaussian(values, 1), 256)[0].tolist()


def test_dark_blocks_of_a_value_on_an_edge_are_counted_above_it(tmp_path: Path) -> None:
    values = np.full((32, 32), 0.25)
    values[0, 0], values[9:14, 9:14] = 0, 1
    cs.Workflow(sigma=0).run(values, tmp_path / "out", **OPTIONS)
    table = read_histograms(tmp_path / "out")
    assert table is not None
    assert table["count"].tolist() == np.histogram(values, 256)[0].tolist()


def test_dark_blocks_of_several_bins_are_counted_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    count = tasks.CountsTask.__call__

    def watched(self: Any, block: Any, pixels: Any) -> Any:
        counted.extend([] if pixels is None else [block.number])
        return count(self, block, pixels)

    monkeypatch.setattr(tasks.CountsTask, "__call__", watched)
    run(tmp_path / "out", image(noise=True))
    # the blobs lie in the first two blocks, and their neighbours' erosion sees them
    assert set(range(8, 16)) <= set(counted) <= set(range(16)) - {0, 1}
    table = read_histograms(tmp_path / "out")
    assert table is not None
    blurred = gaussian(image(noise=True), 1)
    assert table["count"].tolist() == np.histogram(blurred, 256)[0].tolist()


@pytest.mark.parametrize("noise", [False, True])
def test_a_wrong_estimate_shows_and_the_mask_is_made_again(
    noise: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    _, once = run(tmp_path / "once", image(noise))
    assert not once.of("seeds-again")
    request.getfixturevalue("a_bin_off")
    _, again = run(tmp_path / "again", image(noise))
    assert set(again.of("seeds-again").values()) == {1}
    assert contents(tmp_path / "again") == contents(tmp_path / "once")


def test_a_wrong_estimate_of_one_frame_of_several_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    movie = cs.from_array(np.stack([image(True), image(True)[::-1]]), "tyx")
    _, once = run(tmp_path / "once", movie)
    assert not once.of("seeds-again")
    estimate, numbers = thresholds.estimated_counts, itertools.count()

    def wrong(*args: Any) -> Histogram:
        found = estimate(*args)
        return Histogram(np.roll(found.counts, 9 * (next(numbers) % 2)), found.centers)

    monkeypatch.setattr(thresholds, "estimated_counts", wrong)
    _, again = run(tmp_path / "again", movie)
    assert again.of("seeds-again")
    assert contents(tmp_path / "again") == contents(tmp_path / "once")


def test_blocks_that_only_the_true_threshold_leaves_foreground_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = image(False)
    values[18:22, 19:22] = 190
    once, _ = run(tmp_path / "once", values)
    assert once.mask.values[18:22, 19:22].any()
    estimate = thresholds.estimated_counts

    def too_high(*args: Any) -> Histogram:
        return Histogram(np.repeat([0, 9, 1], [254, 1, 1]), estimate(*args).centers)

    monkeypatch.setattr(thresholds, "estimated_counts", too_high)
    _, again = run(tmp_path / "again", values)
    assert (0, 10) in again.of("seeds-again")
    assert contents(tmp_path / "again") == contents(tmp_path / "once")


@pytest.mark.usefixtures("a_bin_off")
@pytest.mark.parametrize("harm", [None, "mask", "seeds", "seeds-again"])
def test_interrupted_while_the_mask_is_made_again(harm: str | None, tmp_path: Path) -> None:
    run(tmp_path / "once", image(True))

    def stop(name: str, done: int, total: int) -> None:
        if name == "objects":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", image(True), progress=stop)
    if harm == "mask":
        (chunk,) = (tmp_path / "out").rglob("mask.ome.zarr/0/c/0/0")
        truncate(chunk)
    elif harm:
        for file in (tmp_path / "out").rglob(f"records/{harm}/*.npz"):
            truncate(file)
    _, blocks = run(tmp_path / "out", image(True))
    counts = {name: sum(blocks.of(name).values()) for name in ("seeds", "seeds-again")}
    assert (
        counts
        == {
            None: {"seeds": 0, "seeds-again": 0},
            "mask": {"seeds": 0, "seeds-again": 1},
            "seeds": {"seeds": 16, "seeds-again": 0},
            "seeds-again": {"seeds": 0, "seeds-again": 16},
        }[harm]
    )
    assert contents(tmp_path / "out") == contents(tmp_path / "once")


@pytest.mark.parametrize("small", [True, False])
def test_the_threshold_of_a_frame_in_one_block_is_known_at_once(
    small: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "SMALL_FRAME", 32 * 32 - (not small))
    counted = []
    count = masking.counts_within

    def watched(*args: Any) -> Any:
        counted.append(args)
        return count(*args)

    monkeypatch.setattr(masking, "counts_within", watched)
    rng = np.random.default_rng(3)
    movie = rng.integers(0, 200, (5, 32, 32)).astype(np.uint8)
    movie[1] = 7
    _, blocks = run(tmp_path / "out", cs.from_array(movie, "tyx"), block_shape=(32, 32))
    assert bool(counted) is not small
    assert sum(blocks.of("range").values()) == 5
    if small:
        assert not blocks.of("seeds-again")
    table = read_histograms(tmp_path / "out")
    assert table is not None
    for t, frame in enumerate(movie):
        counts = np.histogram(gaussian(frame, 1), 256)[0]
        assert table[table["frame"] == t]["count"].tolist() == counts.tolist()


@pytest.mark.parametrize("values", [[0.0, np.nan], [1.0, np.nextafter(1.0, 2)]])
def test_frames_that_have_no_histogram_are_told(values: list[float], tmp_path: Path) -> None:
    image = np.full((8, 8), values[0])
    image[4:] = values[1]
    with pytest.raises(PixelError):
        cs.Workflow(sigma=0).run(image, tmp_path / "out")


@pytest.mark.parametrize("scope", ["frame", "movie"])
@pytest.mark.parametrize("block", [(4, 4), (8, 8)])
def test_a_constant_frame_of_large_floats_is_its_own_threshold(
    block: tuple[int, int], scope: str, tmp_path: Path
) -> None:
    """Half a unit around 1e5 can't be cut into 256 bins of float32."""
    movie = cs.from_array(np.full((2, 8, 8), 1e5, np.float32), "tyx")
    workflow = cs.Workflow(sigma=1, threshold_scope=scope)
    result = workflow.run(movie, tmp_path / "out", block_shape=block)
    assert result.thresholds.tolist() == [threshold_otsu(gaussian(movie[0].values, 1))] * 2
    assert result.counts["final"].tolist() == [0, 0]
    assert cs.threshold_otsu(movie[0]) == np.float32(1e5)


def test_the_least_voxel_of_a_block_on_the_threshold_is_not_above_it(tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(1, 4, (16, 16)) / 4
    result = cs.Workflow(sigma=0, threshold=0.25).run(values, tmp_path / "out", **OPTIONS)
    np.testing.assert_array_equal(result.mask.values != 0, values > 0.25)

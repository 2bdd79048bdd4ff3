"""Measuring frames from inputs: what is read, tables per frame, records in files, failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chunkseg as cs
from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Grid
from chunkseg.geometry.layout import Layout
from chunkseg.passes.measure import choose
from chunkseg.runner import boxes, merging
from chunkseg.runner.execution import Call, Execution, Failure
from chunkseg.runner.failures import FailedBlocksError
from chunkseg.runner.measuring import measure_frames
from chunkseg.runner.progress import silent
from chunkseg.runner.sweep import Input
from tests.test_crops import Counting

RNG = np.random.default_rng(2)
MOVIE = RNG.integers(0, 6, (3, 16, 24)) * 5
IMAGE = RNG.random((3, 16, 24))
HERE = Execution(workers=2, client=None)


def measured(names: Any, frames: range = range(3), **options: Any) -> tuple[Any, list[Counting]]:
    """Tables of some frames, and the sources of labels and image."""
    layout = Layout.of(MOVIE.shape, ["t", "y", "x"])
    sources = [Counting(MOVIE), Counting(IMAGE)]
    labels, image = (Input(source, layout) for source in sources)
    options = {
        "execution": HERE,
        "progress": silent,
        "grid": Grid.regular((16, 24), (8, 8)),
    } | options
    tables = measure_frames(labels, [image], choose(names, (1.0, 1.0)), frames=frames, **options)
    return tables, sources


NAMES = ["label", "centroid", "intensity_std", "solidity", "intensity_median"]


@pytest.mark.parametrize("in_files", [False, True])
def test_a_table_per_frame(tmp_path: Path, in_files: bool) -> None:
    folder = tmp_path / "records" if in_files else None
    tables, _ = measured(NAMES, range(1, 3), folder=folder)
    assert len(tables) == 2
    for frame, table in zip((1, 2), tables, strict=True):
        alone = cs.regionprops_table(MOVIE[frame], IMAGE[frame], NAMES)
        pd.testing.assert_frame_equal(table, alone, rtol=1e-12)
    if in_files:
        kept, _ = measured(NAMES, range(1, 3))
        for ours, theirs in zip(tables, kept, strict=True):
            pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_each_block_is_read_once_and_images_only_if_needed() -> None:
    _, (labels, image) = measured(["label", "area", "moments"])
    assert set(labels.decoded.values()) == {3}  # once per frame, which share a chunk
    assert not image.decoded
    _, (labels, image) = measured(["intensity_mean"])
    assert labels.decoded == image.decoded


class Failing(Execution):
    """An execution in which every call keeps failing."""

    def compute(self, calls: Any, advance: Any) -> list[Any]:
        return [Failure(OSError("gone"), 3) for _ in calls]


def test_blocks_and_ranges_that_keep_failing_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    measures = choose(["label"], (1.0, 1.0))
    parts = merging.Held([])
    limits = [(0, 1), (2, 3)]
    with pytest.raises(OSError, match="gone"):
        merging._merged(measures, parts, limits, Failing(client=None), silent)

    class Task:
        name = "objects"

        def reads(self, block: Any) -> tuple[()]:
            return ()

    monkeypatch.setattr(boxes, "block_call", lambda *args: Call(lambda: 0, "objects"))
    block = Grid.regular((4, 4), (4, 4)).block((0, 0))
    with pytest.raises(FailedBlocksError, match=r"1 of 1 blocks.*objects, frame 0, .*gone"):
        boxes.run_boxes([(Task(), block)], 1, [], Failing(client=None), silent)


def test_negative_labels_are_refused() -> None:
    with pytest.raises(ParameterError, match="must not be negative; there is -4"):
        cs.regionprops_table(np.array([[1, -4]]))

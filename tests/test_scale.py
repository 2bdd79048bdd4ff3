"""Small versions of the benchmarks of scale: exact answers and counts, whatever the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chunkseg.runner import threads
from tests.benchmarks import driver, scale, stitching


def test_a_tiled_stack_gives_what_one_tile_and_arithmetic_say() -> None:
    """Blocks that do not fit the tiles, most of them without foreground."""
    line = scale.run((3, 2, 4), every=3, edge=64, workers=2, block_shape=(64, 48, 80))
    assert "80 objects, as expected" in line


def test_labels_that_go_through_many_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    stitching.main(["--labels", "30000", "--blocks", "27"])
    assert "as many as there must be" in capsys.readouterr().out


def tasks_of(blocks: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int]:
    """Blocks, tasks in all, and the most tasks that dask was given at once."""
    given: list[int] = []
    hand_over = threads.delayed_calls

    def counted(calls: Any, body: Any) -> Any:
        tasks = hand_over(calls, body)
        given.append(sum(len(task.__dask_graph__()) for task in tasks.values()))
        return tasks

    monkeypatch.setattr(threads, "delayed_calls", counted)
    done, components = driver.sweep(blocks, folder)
    monkeypatch.setattr(threads, "delayed_calls", hand_over)
    assert components == 0
    return done, sum(given), max(given)


def test_one_task_per_block_and_a_bounded_number_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tasks_of(64, tmp_path / "few", monkeypatch)
    many = tasks_of(1000, tmp_path / "many", monkeypatch)
    assert few[:2] == (64, 64)
    assert many[:2] == (1000, 1000)
    assert many[2] <= 128


@pytest.mark.slow
def test_a_hundred_thousand_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, tasks, at_once = tasks_of(100_000, tmp_path / "records", monkeypatch)
    assert tasks == blocks > 99_000
    assert at_once <= 128

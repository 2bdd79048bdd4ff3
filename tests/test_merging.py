"""The merge of measures: the same bytes for any ranges, files and schedulers, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.errors import ParameterError
from chunkseg.geometry.boxes import Block, Grid
from chunkseg.passes.measure import MeasureRecord, Measures, choose, merging
from chunkseg.runner import merging as runner
from chunkseg.runner.execution import Execution
from chunkseg.runner.progress import silent
from chunkseg.storage.records import Records
from chunkseg.storage.rows import Filed, write_rows
from tests.strategies import cuts
from tests.test_measure_tables import records_of

NAMES = ("label", "centroid", "intensity_mean", "intensity_std", "moments_weighted")
Numbered = list[tuple[Block, MeasureRecord]]


@contextmanager
def cut_small(rows: int, sampled: int, filed: int) -> Iterator[None]:
    """Let ranges, samples and files hold very few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "RANGE_ROWS", rows)
        patch.setattr(merging, "SAMPLED_ROWS", sampled)
        patch.setattr(runner, "FILE_ROWS", filed)
        yield


def case(data: st.DataObject, measures: Measures) -> Numbered:
    """Records of a random label image with float intensities, and their blocks."""
    shape = (data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, data.draw(st.sampled_from([1, 2, 5, 60])), shape) * 2**40
    grid = Grid(tuple(data.draw(cuts(n)) for n in shape))
    found = records_of(labels, measures, grid.chunks, [rng.random(shape)])
    return list(zip(grid.overlapping(grid.frame), found, strict=True))


def by_regions(data: st.DataObject, numbered: Numbered, folder: Path | None) -> Any:
    """Records as a sweep leaves them that cuts the blocks into regions of any kind."""
    records = Records(MeasureRecord, folder)
    rest = data.draw(st.permutations(numbered))
    region = 0
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        blocks, found = zip(*rest[:size], strict=True)
        records.append(region, blocks, found)
        rest, region = rest[size:], region + 1
    return records


def same_bytes(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {k: v.dtype for k, v in found.items()} == {k: v.dtype for k, v in expected.items()}
    assert {k: v.tobytes() for k, v in found.items()} == {
        k: v.tobytes() for k, v in expected.items()
    }


@pytest.mark.parametrize("filed", [False, True], ids=["in memory", "in files"])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_ranges_regions_and_files_change_no_byte(
    data: st.DataObject, filed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    measures = choose(NAMES, (1.0, 1.0))
    numbered = case(data, measures)
    whole = measures.finish(measures.merge(record for _, record in numbered))
    folder = tmp_path_factory.mktemp("run") / "records" if filed else None
    records = by_regions(data, numbered, folder)
    sizes = [data.draw(st.integers(1, 20)) for _ in range(3)]
    with cut_small(*sizes):
        ((frame, columns),) = runner.merged_frames(
            records, measures, Execution(workers=2, client=None), silent
        )
    assert frame == 0
    same_bytes(columns, whole)


def many(measures: Measures, blocks: int = 6) -> tuple[Numbered, dict[str, Any]]:
    """Blocks that share objects, and the whole table of them."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 40, (blocks, 50))
    grid = Grid(((1,) * blocks, (50,)))
    found = records_of(labels, measures, grid.chunks, [rng.random(labels.shape)])
    numbered = list(zip(grid.overlapping(grid.frame), found, strict=True))
    return numbered, measures.finish(measures.merge(found))


def test_on_a_cluster_ranges_are_merged_by_workers_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    measures = choose(NAMES, (1.0, 1.0))
    numbered, whole = many(measures)
    records = Records(MeasureRecord, tmp_path / "records")
    records.append(0, *zip(*numbered[:4], strict=True))
    records.append(1, *zip(*numbered[4:], strict=True))
    seen: list[tuple[str, int, int]] = []
    parts = []
    table = Measures.table
    monkeypatch.setattr(Measures, "table", lambda *args: parts.append(args[1]) or table(*args))
    with (
        cut_small(10, 1, 40),
        distributed.Client(processes=False, n_workers=2, dashboard_address=":0") as client,
    ):
        execution = Execution(client=client)
        ((_, columns),) = runner.merged_frames(
            records, measures, execution, lambda *args: seen.append(args)
        )
    same_bytes(columns, whole)
    assert {type(part) for part in parts} == {Filed}
    assert len(parts) == len(seen) > 4
    assert seen[-1] == ("merge", len(parts), len(parts))
    assert not (tmp_path / "records-merge").exists()


def test_a_task_that_travels_is_small_and_does_its_work_elsewhere(tmp_path: Path) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    measures = choose("all", (1.0, 1.0))
    numbered, _ = many(measures.swept(with_boxes=True))
    swept = measures.swept(with_boxes=True)
    blocks, records = zip(*numbered, strict=True)
    write_rows(tmp_path, 0, [block.number for block in blocks], records)
    task = runner.RangeTask(swept, Filed(str(tmp_path), 1), 10, 20)
    sent = cloudpickle.dumps(task)
    assert len(sent) < 10_000
    same_bytes(cloudpickle.loads(sent)(), task())
    assert task()["label"].tolist() == list(range(10, 21))


def test_ranges_are_of_the_length_asked_for() -> None:
    labels = np.arange(10_000)
    with cut_small(512, 16, 1):
        ranges = list(merging.label_ranges([merging.sampled([MeasureRecord(labels, {})])]))
    assert [first for first, _ in ranges[1:]] == list(range(512, 10_000, 512))
    assert [last + 1 for _, last in ranges[:-1]] == [first for first, _ in ranges[1:]]
    ends = np.iinfo(np.int64)
    assert (ranges[0][0], ranges[-1][1]) == (ends.min, ends.max)


def test_the_largest_label_of_all_is_not_lost() -> None:
    measures = choose(("label", "area"), (1.0, 1.0))
    top = np.array([5, np.iinfo(np.int64).max])
    record = MeasureRecord(top, {"num_pixels": np.array([1, 2])})
    block = Grid(((1,), (1,))).block((0, 0))
    records = Records(MeasureRecord)
    records.append(0, [block], [record])
    with cut_small(1, 1, 1):
        ((_, columns),) = runner.merged_frames(records, measures, Execution(client=None), silent)
    assert columns["label"].tolist() == top.tolist()
    assert columns["area"].tolist() == [1, 2]


def test_negative_labels_are_refused() -> None:
    records = Records(MeasureRecord)
    block = Grid(((1,), (1,))).block((0, 0))
    records.append(0, [block], [MeasureRecord(np.array([-3]), {"num_pixels": np.array([1])})])
    measures = choose(("label",), (1.0, 1.0))
    with pytest.raises(ParameterError, match="must not be negative; there is -3"):
        list(runner.merged_frames(records, measures, Execution(client=None), silent))


def test_files_are_removed_where_the_merge_fails(tmp_path: Path) -> None:
    measures = choose(NAMES, (1.0, 1.0))
    numbered, _ = many(measures)
    numbered[-1][1].label[0] = -1
    records = Records(MeasureRecord, tmp_path / "records")
    records.append(0, *zip(*numbered, strict=True))
    with cut_small(10, 1, 40), pytest.raises(ParameterError, match="negative"):
        list(runner.merged_frames(records, measures, Execution(client=None), silent))
    assert [path.name for path in tmp_path.iterdir()] == ["records"]


def test_merging_needs_memory_for_the_result_and_one_range() -> None:
    rows, blocks = 20_000, 40
    measures = choose(("label", "axis_major_length"), (1.0, 1.0, 1.0))
    full = {"num_pixels": (), "coordinates": (3,), "second": (10,)}
    grid = Grid(((1,) * blocks, (1,)))
    records = Records(MeasureRecord)
    for number, block in enumerate(grid.overlapping(grid.frame)):
        columns = {
            n: np.ones((rows, *s), np.int64 if n != "second" else float) for n, s in full.items()
        }
        record = MeasureRecord(np.arange(rows) + number * rows, columns)
        records.append(number, [block], [record])
    with cut_small(rows, 100, 1):
        tracemalloc.start()
        execution = Execution(workers=1, client=None)
        ((_, table),) = runner.merged_frames(records, measures, execution, silent)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(table["label"]) == rows * blocks
    result = sum(column.nbytes for column in table.values())
    assert peak < 4 * result + rows * 2000

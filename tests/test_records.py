"""Records through files: what goes in comes out, of damaged files nothing does."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chunkseg.geometry.boxes import Box, Grid
from chunkseg.passes.components import Border, ComponentsPass, ComponentsRecord
from chunkseg.passes.counting import LabelsPresent, VoxelCount, labels_present
from chunkseg.passes.threshold import CountsRecord, RangeRecord, counts_block, range_block
from chunkseg.storage.commit import write_arrays
from chunkseg.storage.records import Records

GRID = Grid(((3, 2), (4, 4)))
REGIONS = list(GRID.regions(3, 4))
RNG = np.random.default_rng(2)
IMAGE = RNG.integers(0, 4, GRID.shape)


def cores(array: NDArray[Any]) -> list[NDArray[Any]]:
    return [array[block.core.slices()] for block in REGIONS[0]]


def component_records(rule: ComponentsPass, array: NDArray[Any]) -> list[ComponentsRecord]:
    return [rule.block(array[b.core.slices()], b.core, GRID.frame)[1] for b in REGIONS[0]]


def with_gaps() -> list[ComponentsRecord]:
    """Return records of which some have no values and some have no components."""
    return [
        *component_records(ComponentsPass(2, 0), IMAGE)[:2],
        ComponentsPass(2).empty(REGIONS[0][2].core, GRID.frame),
        component_records(ComponentsPass(2), IMAGE > 2)[3],
    ]


EXAMPLES: dict[str, list[Any]] = {
    "components of a mask": component_records(ComponentsPass(2), IMAGE > 2),
    "components of labels": component_records(ComponentsPass(1, 0, Border((0, 1))), IMAGE),
    "components with sizes": component_records(
        ComponentsPass(2, border=Border((0, 1)), sized=True), IMAGE > 2
    ),
    "components, none in some": with_gaps(),
    "components, none at all": [
        ComponentsPass(2, 0, Border((0,))).empty(b.core, GRID.frame) for b in REGIONS[0]
    ],
    "ranges": [
        range_block([a[:1], a[1:]], a, b.core, GRID.frame)
        for a, b in zip(cores(IMAGE), REGIONS[0], strict=True)
    ],
    "ranges with NaN": [
        range_block([a], a * np.float32(np.nan), b.core, GRID.frame)
        for a, b in zip(cores(IMAGE), REGIONS[0], strict=True)
    ],
    "counts of integers": [counts_block([a.astype(np.uint16)], 0, 3, 256) for a in cores(IMAGE)],
    "counts of floats": [counts_block([a[:1] / 3, a[1:] / 3], 0.0, 1.0, 16) for a in cores(IMAGE)],
    "voxel counts": [VoxelCount(3), VoxelCount(0), VoxelCount(2**40), VoxelCount(1)],
    "labels": [labels_present(a) for a in cores(IMAGE)],
    "no labels": [labels_present(np.zeros_like(a)) for a in cores(IMAGE)],
}


def assert_equal(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if is_dataclass(theirs):
        for field in fields(theirs):
            assert_equal(getattr(ours, field.name), getattr(theirs, field.name))
    elif isinstance(theirs, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(ours, theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize("records", EXAMPLES.values(), ids=EXAMPLES)
def test_every_kind_of_record_comes_back_from_files(records: list[Any], tmp_path: Path) -> None:
    kind = type(records[0])
    in_memory, on_disk = Records(kind), Records(kind, tmp_path / "deep" / "pass")
    for number, region in enumerate(REGIONS):
        in_memory.append(number, region, records)
        on_disk.append(number, region, records)
    again = Records(kind, tmp_path / "deep" / "pass")
    for found in (list(in_memory), list(on_disk), list(again)):
        assert [block for block, _ in found] == [b for region in REGIONS for b in region]
        for (_, ours), theirs in zip(found, records * len(REGIONS), strict=True):
            assert_equal(ours, theirs)


def test_examples_cover_every_kind() -> None:
    kinds = {ComponentsRecord, RangeRecord, CountsRecord, VoxelCount, LabelsPresent}
    assert {type(records[0]) for records in EXAMPLES.values()} == kinds


@dataclass(frozen=True)
class Inner:
    size: int
    ids: NDArray[np.int32]


@dataclass(frozen=True)
class Outer:
    inner: Inner
    scale: float | None
    more: NDArray[np.float32] | None


def test_records_within_records_and_numbers_that_are_missing(tmp_path: Path) -> None:
    pieces = [
        Outer(Inner(1, np.arange(3, dtype=np.int32)), 0.5, None),
        Outer(Inner(2, np.zeros(0, np.int32)), None, np.ones((2, 0), np.float32)),
        Outer(Inner(3, np.array([7], np.int32)), 2.5, np.ones((1, 2), np.float32)),
        Outer(Inner(4, np.zeros(0, np.int32)), None, None),
    ]
    records = Records(Outer, tmp_path)
    records.append(0, REGIONS[0], pieces)
    for (_, ours), theirs in zip(records, pieces, strict=True):
        assert_equal(ours, theirs)


def test_frames_come_one_after_the_other(tmp_path: Path) -> None:
    records = Records(VoxelCount, tmp_path)
    for number, region in enumerate(REGIONS):
        records.append(number, region, [VoxelCount(b.frame * 10 + b.number) for b in region])
    found = {frame: [r.voxels for _, r in group] for frame, group in records.frames()}
    assert found == {f: [f * 10 + n for n in range(4)] for f in range(3)}


def test_no_region_no_records(tmp_path: Path) -> None:
    assert list(Records(VoxelCount, tmp_path)) == []


def test_one_file_per_region_and_nothing_else(tmp_path: Path) -> None:
    records = Records(VoxelCount, tmp_path)
    for number, region in enumerate(REGIONS):
        records.append(number, region, EXAMPLES["voxel counts"])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["000000.npz", "000001.npz", "000002.npz"]


def test_a_partial_file_is_not_taken_for_records(tmp_path: Path) -> None:
    (tmp_path / ".000000.npz.123.partial").write_bytes(b"half")
    assert list(Records(VoxelCount, tmp_path)) == []


def written(tmp_path: Path) -> Path:
    records = Records(ComponentsRecord, tmp_path)
    records.append(0, REGIONS[0], EXAMPLES["components of labels"])
    return tmp_path / "000000.npz"


def test_a_truncated_file_raises(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(Exception):  # noqa: B017, PT011 - NumPy and zip have many kinds
            list(Records(ComponentsRecord, tmp_path))


def test_a_flipped_byte_raises_or_changes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = bytearray(path.read_bytes())
    raised = 0
    for at in RNG.choice(len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << RNG.integers(8)
        path.write_bytes(damaged)
        try:
            found = list(Records(ComponentsRecord, tmp_path))
        except Exception:
            raised += 1
            continue
        for (_, ours), theirs in zip(found, EXAMPLES["components of labels"], strict=True):
            assert_equal(ours, theirs)
    assert raised > 200


def test_arrays_appear_complete_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tables.npz"
    write_arrays(path, {"a": np.arange(3)})

    def fails(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(OSError, match="disk full"):
        write_arrays(path, {"a": np.arange(4)})
    with np.load(path) as file:
        np.testing.assert_array_equal(file["a"], np.arange(3))


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(tmp_path / "objects.npz", {"a": np.array([object()])})


def test_boxes_keep_python_integers(tmp_path: Path) -> None:
    records = Records(VoxelCount, tmp_path)
    records.append(0, REGIONS[0], EXAMPLES["voxel counts"])
    block, record = next(iter(records))
    assert isinstance(block.core, Box)
    assert {type(n) for n in (*block.core.start, *block.index, block.frame, record.voxels)} == {int}

"""Faults of blocks, inputs, scratch and disks: survived, or said clearly and gone on with."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import chunkseg as cs
from chunkseg.cli.entry import main
from chunkseg.errors import BlocksError, IncompleteError, ScratchError, StorageFullError
from chunkseg.runner.execution import Execution
from chunkseg.runner.group import ATTEMPTS
from chunkseg.storage import commit
from chunkseg.storage.runs import RunStore
from chunkseg.storage.sinks import Sink
from chunkseg.storage.site import STATE
from tests.blocks import Blocks, truncate
from tests.killing import REPORT, contents

IMAGE = np.random.default_rng(5).integers(0, 250, (9, 12)).astype(np.uint8)
MOVIE = np.random.default_rng(6).integers(0, 250, (3, 9, 12)).astype(np.uint8)
WORKFLOW = cs.Workflow(sigma=1, erosion_radius=1, clear_border=False)
PASSES = ("range", "seeds", "objects", "labels")
OPTIONS: dict[str, Any] = {"block_shape": (3, 4), "workers": 2, "keep": ("mask", "expanded")}
ROWS = {
    "raises once": ["raise"],
    "raises twice": ["raise", "raise"],
    "sleeps": ["sleep"],
    "writes half": ["half"],
    "writes half and raises": ["half", "raise"],
    "writes twice": ["twice"],
}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("truth") / "out"
    WORKFLOW.run(IMAGE, out, **OPTIONS)
    return contents(out)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_fault_in_every_pass(row: list[str], truth: dict[str, Any], tmp_path: Path) -> None:
    faulty = {(name, 0, 2 * number): row for number, name in enumerate(PASSES)}
    with Blocks(faulty).watched(threads="half" not in row) as blocks:
        WORKFLOW.run(IMAGE, tmp_path / "out", **OPTIONS)
    raised = sum(fault in ("raise", "half") for fault in row)
    assert contents(tmp_path / "out") == truth
    for name in PASSES:
        attempts = blocks.of(name)
        expected = {(0, n): 1 + raised * ((name, 0, n) in faulty) for n in range(9)}
        assert attempts == expected


def test_a_block_that_keeps_failing_is_named_and_done_later(
    truth: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for name in ("range", "seeds", "labels"):
        said = pytest.raises(BlocksError, match=rf"1 of 9 .* {name}, .*\[3:6, 4:8\]: odd")
        with Blocks({(name, 0, 4): ["raise"] * 9}).watched() as blocks, said:
            WORKFLOW.run(IMAGE, out, **OPTIONS)
        assert blocks.of(name)[0, 4] == Execution().attempts
        after = PASSES[PASSES.index(name) + 1 :]
        assert {n: len(blocks.of(n)) for n in after} == dict.fromkeys(after, 0)
        with pytest.raises(IncompleteError):
            cs.Result.open(out)
        with Blocks({}).watched() as blocks:
            if after:
                with pytest.raises(KeyboardInterrupt):
                    WORKFLOW.run(IMAGE, out, **OPTIONS, progress=_stopping(after[0]))
            else:
                WORKFLOW.run(IMAGE, out, **OPTIONS)
        assert blocks.of(name) == {(0, 4): 1}
    assert contents(out) == truth


def _stopping(name: str) -> Any:
    def progress(passing: str, done: int, total: int) -> None:
        if passing == name:
            raise KeyboardInterrupt

    return progress


def test_each_task_twice_at_the_same_time(
    truth: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = Execution.compute
    doubled = 0

    def each_twice(self: Execution, calls: Any, advance: Any) -> list[Any]:
        nonlocal doubled
        doubled += len(calls)
        pairs = [call for call in calls for _ in range(2)]
        return compute(self, pairs, lambda n: None)[::2]

    monkeypatch.setattr(Execution, "compute", each_twice)
    WORKFLOW.run(IMAGE, tmp_path / "out", **OPTIONS)
    assert doubled == len(PASSES) * 9
    assert contents(tmp_path / "out") == truth


# a corrupted input


def saved(folder: Path, image: Any) -> Path:
    names = ("t", "y", "x")[-image.ndim :]
    chunks = (1, 3, 4)[-image.ndim :]
    zarr.create_array(str(folder), data=image, chunks=chunks, dimension_names=names)
    return folder


def run_line(image: Path, out: Path, *more: str) -> list[str]:
    flags = ["--block-shape", "3,4", "--sigma", "0.1", "--erosion-radius", "0", "--threshold"]
    return ["run", str(image), "-o", str(out), *flags, "0.5", "--no-clear-border", *more]


def test_a_corrupted_chunk_is_named_the_rest_is_done_and_it_goes_on_when_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, out = saved(tmp_path / "image.zarr", MOVIE), tmp_path / "out"
    chunk = image / "c" / "1" / "1" / "1"
    content = truncate(chunk)
    with Blocks().watched() as blocks:
        assert main(run_line(image, out)) == 3
    said = capsys.readouterr().err
    assert "the chunk c/1/1/1 of" in said
    assert "1 of 27 blocks could not be done" in said
    assert blocks.of("seeds") == _all(3, 9, {(1, 4): Execution().attempts})
    chunk.write_bytes(content)
    with Blocks().watched() as blocks:
        assert main(run_line(image, out)) == 0
    assert blocks.of("seeds") == {(1, 4): 1}
    assert main(run_line(image, tmp_path / "at once")) == 0
    assert contents(out) == contents(tmp_path / "at once")


def _all(frames: int, blocks: int, but: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    return {(t, n): but.get((t, n), 1) for t in range(frames) for n in range(blocks)}


def test_a_mended_chunk_counts_as_known_and_a_changed_one_as_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, out = saved(tmp_path / "image.zarr", MOVIE), tmp_path / "out"
    chunk = image / "c" / "1" / "1" / "1"
    content = truncate(chunk)
    with Blocks().watched():
        assert main(run_line(image, out)) == 3
        chunk.write_bytes(content)
        with pytest.raises(KeyboardInterrupt):
            cs.Workflow(sigma=0.1, erosion_radius=0, threshold=0.5, clear_border=False).run(
                image, out, progress=_stopping("labels")
            )
        zarr.open_array(str(image), mode="r+")[1, 0, 0] += 1
        assert main(run_line(image, out)) == 2
    assert "the voxels of frame 1 are not what they were" in capsys.readouterr().err


def test_a_complete_result_stays_one_when_its_input_is_damaged(tmp_path: Path) -> None:
    image, out = saved(tmp_path / "image.zarr", MOVIE), tmp_path / "out"
    assert main(run_line(image, out)) == 0
    truncate(image / "c" / "1" / "1" / "1")
    with Blocks().watched() as blocks:
        assert main(run_line(image, out)) == 0
    assert not blocks.calls


# scratch, records and output under construction


def damaging(name: str, *patterns: str) -> Any:
    """Progress that damages what matches, once, when a pass begins."""
    left = list(patterns)
    root = Path(patterns[0])

    def progress(passing: str, done: int, total: int) -> None:
        if passing == name and left:
            left.clear()
            files = sorted(f for p in patterns[1:] for f in root.rglob(p) if f.is_file())
            assert files
            for file in files[1:3]:
                truncate(file)
            files[0].unlink()

    return progress


@pytest.mark.parametrize(
    ("when", "what", "lost"),
    [("objects", "seeds/*.runs", "seeds"), ("labels", "objects/*.runs", "objects")],
)
def test_scratch_damaged_under_way_is_computed_again(
    when: str, what: str, lost: str, truth: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with Blocks().watched() as blocks:
        WORKFLOW.run(IMAGE, out, **OPTIONS, progress=damaging(when, str(out / STATE), what))
    assert contents(out) == truth
    assert Counter(blocks.of(lost).values()) == {1: 6, 2: 3}
    assert set(blocks.of("range").values()) == {1}


@pytest.mark.parametrize("name", PASSES)
def test_records_damaged_under_way_are_computed_again(
    name: str, truth: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    append = commit.write_arrays
    cut: list[Path] = []

    def cutting(path: Path, arrays: Any) -> None:
        append(path, arrays)
        if path.parent.name == name and not cut:
            cut.append(path)
            truncate(path)

    monkeypatch.setattr("chunkseg.storage.records.write_arrays", cutting)
    with Blocks().watched() as blocks:
        WORKFLOW.run(IMAGE, out, **OPTIONS)
    assert contents(out) == truth
    assert {n: set(blocks.of(n).values()) for n in PASSES} == {
        n: {2 if n == name else 1} for n in PASSES
    }


def test_scratch_that_is_damaged_each_time_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def damaged(self: RunStore, *args: Any) -> Any:
        tried.append(args)
        raise ScratchError("seeds are gone")

    monkeypatch.setattr(RunStore, "read", damaged)
    with Blocks().watched() as blocks, pytest.raises(BlocksError, match="seeds are gone"):
        WORKFLOW.run(IMAGE, tmp_path / "out", **OPTIONS)
    assert set(blocks.of("seeds").values()) == {ATTEMPTS}


def interrupted(out: Path, name: str, movie: Any = MOVIE, **options: Any) -> None:
    image = cs.from_array(movie, "tyx")
    with pytest.raises(KeyboardInterrupt):
        WORKFLOW.run(image, out, **(OPTIONS | options), progress=_stopping(name))


def _groups_of_two(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("chunkseg.runner.lesson.REGION_BLOCKS", 18)
    patch.setattr("chunkseg.geometry.bundles.BUNDLE_FRAMES", 1)


@pytest.fixture(scope="module")
def first_group(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run that ended when the first two of three frames were done; what it would have written."""
    folder = tmp_path_factory.mktemp("groups")
    image = cs.from_array(MOVIE, "tyx")

    def stop(name: str, done: int, total: int) -> None:
        if name == "objects" and total == 9:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        _groups_of_two(patch)
        WORKFLOW.run(image, folder / "whole", **OPTIONS)
        with Blocks().watched() as blocks, pytest.raises(KeyboardInterrupt):
            WORKFLOW.run(image, folder / "out", **OPTIONS, progress=stop)
    assert {t for t, _ in blocks.of("labels")} == {0, 1}
    return folder / "out", contents(folder / "whole")


@pytest.mark.parametrize("harm", [truncate, Path.unlink], ids=["truncated", "gone"])
@pytest.mark.parametrize(
    "what",
    ["labels.ome.zarr/0/c/0/0/0", "mask.ome.zarr/0/c/1/0/0", "expanded.ome.zarr/0/zarr.json",
     "../groups/000000-000002.json", "../groups/000000-000002.parquet"],
)  # fmt: skip
def test_frames_that_were_done_and_are_damaged_are_done_again(
    what: str, harm: Any, first_group: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, whole = first_group
    _groups_of_two(monkeypatch)
    out = shutil.copytree(begun, tmp_path / "out")
    harm(out / STATE / "output" / what)
    with Blocks().watched() as blocks:
        WORKFLOW.run(cs.from_array(MOVIE, "tyx"), out, **OPTIONS)
    assert blocks.of("labels") == _all(3, 9, {})
    assert {t for t, _ in blocks.of("range")} == {0, 1}
    assert contents(out) == whole


# a disk that is full


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An image, and what the command line writes of it."""
    folder = tmp_path_factory.mktemp("stored")
    image = saved(folder / "image.zarr", IMAGE)
    assert main(run_line(image, folder / "at once")) == 0
    return image, contents(folder / "at once")


@pytest.mark.parametrize("where", ["labels", "runs", "started.json", "records", "run.json"])
def test_no_space_is_said_and_the_run_goes_on_when_there_is(
    where: str, stored: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, at_once = stored
    with pytest.MonkeyPatch.context() as patch:
        if where in ("labels", "runs"):
            store: Any = Sink if where == "labels" else RunStore
            patch.setattr(store, "write", full_after(5, store.write))
        else:
            wanted = "000000.npz" if where == "records" else where
            patch.setattr(commit, "flush", full_at(wanted))
        assert main(run_line(image, tmp_path / "out")) == 2
    said = capsys.readouterr().err
    assert "no space is left" in said
    assert "make room, then run the same command again" in said
    with pytest.raises((IncompleteError, FileNotFoundError)):
        cs.Result.open(tmp_path / "out")
    assert not list(tmp_path.rglob(".*.partial"))
    assert main(run_line(image, tmp_path / "out")) == 0
    assert contents(tmp_path / "out") == at_once


def full_after(n: int, write: Any) -> Any:
    left = [n]

    def writing(self: Any, *args: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, *args)

    return writing


def full_at(name: str) -> Any:
    flush = commit.flush

    def flushing(path: Path) -> None:
        if path.name.startswith(f".{name}."):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        flush(path)

    return flushing


def test_other_errors_of_the_system_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), commit.committed(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "no")
    with pytest.raises(StorageFullError) as caught, commit.committed(tmp_path / "x"):
        raise OSError(errno.EDQUOT, "quota")
    assert caught.value.errno == errno.EDQUOT
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_synchronised_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(number: int) -> None:
        raise OSError(errors[-1], "fsync")

    monkeypatch.setattr(os, "fsync", fsync)
    errors = [errno.EINVAL]
    commit.flush(tmp_path)
    errors.append(errno.EIO)
    with pytest.raises(OSError, match="fsync"):
        commit.flush(tmp_path)


LIMITED = """
import resource, sys
from chunkseg.cli.entry import main
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
sys.exit(main(sys.argv[1:]))
"""


def test_a_limit_of_the_system_on_the_size_of_files(tmp_path: Path) -> None:
    big = np.random.default_rng(1).integers(0, 2, (120, 120)).astype(np.uint8) * 255
    image = tmp_path / "image.zarr"
    zarr.create_array(str(image), data=big, chunks=(60, 60), dimension_names=("y", "x"))
    line = ["run", str(image), "-o", str(tmp_path / "out"), "--sigma", "0.25"]
    line += ["--erosion-radius", "0", "--threshold", "0.5", "--no-clear-border"]
    done = subprocess.run([sys.executable, "-c", LIMITED, *line], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "a file is larger than is allowed here" in done.stderr
    assert main(line) == 0
    assert main([*line[:3], str(tmp_path / "at once"), *line[4:]]) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "at once")


# where things lie


def test_input_that_is_read_only_odd_names_and_scratch_elsewhere(
    tmp_path: Path, truth: dict[str, Any]
) -> None:
    image = saved(tmp_path / "Zellen – 細胞 (1).zarr", IMAGE)
    before = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in image.rglob("*") if f.is_file()}
    for path in (image, *image.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    out, scratch = tmp_path / "mein Ergebnis é", tmp_path / "weit weg"
    try:
        interrupted_run = ["--scratch", str(scratch)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunStore, "write", full_after(2, RunStore.write))
            assert main(run_line(image, out, *interrupted_run)) == 2
        (left,) = scratch.iterdir()
        assert left.name.startswith("chunkseg-")
        assert main(run_line(image, out)) == 0
    finally:
        for path in (image, *image.rglob("*")):
            path.chmod(0o755)
    assert list(scratch.iterdir()) == []
    assert {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in before} == before
    there = {p.name for p in out.iterdir()} - {REPORT}
    assert there == set(cs.Result.open(out).run["files"])


def test_an_output_that_was_moved_and_a_run_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    interrupted(Path("out"), "objects")
    monkeypatch.chdir(tmp_path / "there")
    shutil.move(tmp_path / "here" / "out", tmp_path / "moved")
    with Blocks().watched() as blocks:
        WORKFLOW.run(cs.from_array(MOVIE, "tyx"), tmp_path / "moved", **OPTIONS)
    assert not blocks.of("seeds")
    assert not list((tmp_path / "there").iterdir())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_scratch_is_kept_if_wanted(elsewhere: bool, truth: dict[str, Any], tmp_path: Path) -> None:
    out, scratch = tmp_path / "out", tmp_path / "scratch" if elsewhere else None
    WORKFLOW.run(IMAGE, out, **OPTIONS, scratch=scratch, keep_scratch=True)
    left = next(scratch.iterdir()) if scratch else out / STATE / "scratch"
    assert len(list(left.rglob("seeds/*.runs"))) == 9
    kept = {k: v for k, v in contents(out).items() if not k.startswith(STATE)}
    assert kept == truth
    before = contents(left)
    with Blocks().watched() as blocks:
        WORKFLOW.run(IMAGE, out, **OPTIONS)
    assert not blocks.calls
    assert contents(left) == before
    WORKFLOW.run(IMAGE, out, **OPTIONS, overwrite=True)
    assert contents(out) == truth


def test_kept_scratch_on_the_command_line(tmp_path: Path) -> None:
    image = saved(tmp_path / "image.zarr", IMAGE)
    assert main(run_line(image, tmp_path / "out", "--keep-scratch")) == 0
    assert (tmp_path / "out" / STATE / "scratch").is_dir()


def test_records_of_many_blocks_share_files(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 250, (28, 28)).astype(np.uint8)
    WORKFLOW.run(image, tmp_path / "out", block_shape=(2, 2), workers=1, keep_scratch=True)
    for name in PASSES:
        files = list((tmp_path / "out").rglob(f"records/{name}/*"))
        assert 0 < len(files) <= 4  # regions of 11 x 11 blocks

"""What a folder may hold when a run wants it, and who else may be at it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import chunkseg as cs
from chunkseg.cli.entry import main
from chunkseg.errors import BlocksError, BusyError, IncompleteError, OutputExistsError, PathError
from chunkseg.storage import site
from chunkseg.storage.kept import Kept
from chunkseg.storage.site import REMOVING, RUN, STATE, WRITTEN
from tests.blocks import Blocks
from tests.killing import contents

IMAGE = np.random.default_rng(4).integers(0, 250, (8, 9)).astype(np.uint8)
WORKFLOW = cs.Workflow(sigma=1, erosion_radius=0, clear_border=False)
OTHER = cs.Workflow(sigma=2, erosion_radius=0, clear_border=False)


def run(out: Path, workflow: cs.Workflow = WORKFLOW, **options: Any) -> cs.Result:
    return workflow.run(IMAGE, out, workers=1, **options)


def interrupt(out: Path, name: str = "labels", **options: Any) -> None:
    def progress(passing: str, done: int, total: int) -> None:
        if passing == name:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(out, progress=progress, **options)


@pytest.mark.parametrize("content", ['{"versions": {"chunk', "", '{"x": "\\ud83d', "[1, 2]"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_json_that_is_not_ours(content: str, overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / RUN).write_text(content)
    with pytest.raises(OutputExistsError, match=r"run\.json, which chunkseg did not write"):
        run(tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == [RUN]
    assert (tmp_path / RUN).read_text() == content


@pytest.mark.parametrize(
    "content",
    [
        {"versions": {"python": "3"}, "identity": {"facts": {}, "frames": []}},
        {"versions": 3},
        {"identity": {"facts": "x", "frames": 1}},
    ],
)
def test_a_run_json_of_another_program(content: Any, tmp_path: Path) -> None:
    (tmp_path / RUN).write_text(json.dumps(content))
    with pytest.raises(OutputExistsError):
        run(tmp_path, overwrite=True)
    assert json.loads((tmp_path / RUN).read_text()) == content


def test_a_folder_named_run_json(tmp_path: Path) -> None:
    (tmp_path / RUN).mkdir()
    with pytest.raises(OutputExistsError, match="did not write"):
        run(tmp_path)


@pytest.mark.parametrize("cut", [40, -5])
def test_a_damaged_run_json_of_ours(cut: int, tmp_path: Path) -> None:
    run(tmp_path)
    whole = contents(tmp_path)
    path = tmp_path / RUN
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(IncompleteError, match="is damaged"):
        cs.Result.open(tmp_path)
    with pytest.raises(OutputExistsError, match=r"run\.json is damaged; choose another"):
        run(tmp_path)
    run(tmp_path, overwrite=True)
    assert contents(tmp_path) == whole


def test_files_of_others_are_kept_while_a_run_is_under_way(tmp_path: Path) -> None:
    interrupt(tmp_path)
    (tmp_path / "objects.csv").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match=r"objects\.csv, which chunkseg did not"):
            run(tmp_path, overwrite=overwrite)
    assert (tmp_path / "objects.csv").read_text() == "mine"
    (tmp_path / "objects.csv").unlink()
    run(tmp_path)


def test_files_of_others_that_appear_in_the_last_pass(tmp_path: Path) -> None:
    def progress(name: str, done: int, total: int) -> None:
        (tmp_path / "mask.ome.zarr").mkdir(exist_ok=True)

    with pytest.raises(OutputExistsError, match=r"mask\.ome\.zarr, which chunkseg did not write"):
        run(tmp_path, progress=progress)
    (tmp_path / "mask.ome.zarr").rmdir()
    run(tmp_path)


def test_chunks_are_on_the_disk_before_a_run_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def sync() -> None:
        assert (tmp_path / STATE / "output" / "summary.json").exists()
        found.append((tmp_path / STATE / RUN).exists() or (tmp_path / RUN).exists())

    monkeypatch.setattr(os, "sync", sync)
    run(tmp_path)
    assert found == [False]
    monkeypatch.delattr(os, "sync")
    run(tmp_path, overwrite=True)


@pytest.mark.parametrize("name", [n for n in WRITTEN if "csv" in n or "labels" in n])
def test_overwriting_killed_in_the_middle(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path)
    remove = site.remove

    def killed(target: Path) -> None:
        if target.name == name:
            raise KeyboardInterrupt
        remove(target)

    with monkeypatch.context() as patch:
        patch.setattr(site, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, OTHER, overwrite=True)
    assert (tmp_path / STATE / REMOVING).exists()
    with pytest.raises(IncompleteError):
        cs.Result.open(tmp_path)
    run(tmp_path)
    run(tmp_path.with_name("other"))
    assert contents(tmp_path) == contents(tmp_path.with_name("other"))


@pytest.mark.parametrize("left", [[], ["lease.lock"], ["lease.lock", "lease.json"]])
@pytest.mark.parametrize("keep_scratch", [False, True])
def test_killed_as_the_state_folder_went(
    left: list[str], keep_scratch: bool, tmp_path: Path
) -> None:
    run(tmp_path / "out", keep_scratch=keep_scratch)
    state = tmp_path / "out" / STATE
    before = (tmp_path / "out" / RUN).read_bytes()
    state.mkdir(exist_ok=True)
    for name in left:
        (state / name).touch()
    run(tmp_path / "out", keep_scratch=keep_scratch)
    assert (tmp_path / "out" / RUN).read_bytes() == before
    there = {inside.name for inside in state.iterdir()} if state.exists() else None
    assert there == ({"scratch"} if keep_scratch else None)


def test_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    interrupt(tmp_path / "out")
    run(tmp_path / "real")
    run(tmp_path / "out")
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "real" / "labels.ome.zarr").rename(elsewhere)
    (tmp_path / "real" / "labels.ome.zarr").symlink_to(elsewhere)
    run(tmp_path / "out", OTHER, overwrite=True)
    assert (elsewhere / "0" / "zarr.json").exists()
    assert (tmp_path / "out").is_symlink()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PathError, match="can't write"):
        run(tmp_path / "dangling")


def test_a_folder_that_is_gone_under_way_says_what_failed(tmp_path: Path) -> None:
    import shutil

    def progress(name: str, done: int, total: int) -> None:
        if name == "objects":
            shutil.rmtree(tmp_path / "out", ignore_errors=True)

    said = pytest.raises(BlocksError, match=r"lookups/seeds can't be read")
    with Blocks().watched(), said:
        run(tmp_path / "out", progress=progress)


def test_scratch_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PathError, match=r"can't write to .*file/deep/chunkseg-"):
        run(tmp_path / "out", scratch=tmp_path / "file" / "deep")


HOLD = """
import sys
import numpy as np, chunkseg as cs
image = np.load(sys.argv[1])
def hold(name, done, total):
    if name == "seeds":
        print("held", flush=True)
        sys.stdin.read()
cs.Workflow(sigma=1, erosion_radius=0, clear_border=False).run(image, sys.argv[2], progress=hold)
"""


@contextmanager
def held(out: Path) -> Iterator[subprocess.Popen[str]]:
    """Within it, another process is in the middle of a run."""
    image = out.with_name("held.npy")
    np.save(image, IMAGE)
    line = [sys.executable, "-W", "ignore", "-c", HOLD, str(image), str(out)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(line, text=True, **pipes)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_two_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, image = tmp_path / "out", tmp_path / "image.zarr"
    zarr.create_array(str(image), data=IMAGE, dimension_names=("y", "x"))
    with held(out) as process:
        for flag in ([], ["--overwrite"]):
            assert main(["run", str(image), "-o", str(out), *flag]) == 2
            said = capsys.readouterr().err
            assert f"another run is writing to {out} (process {process.pid} on" in said
        with pytest.raises(BusyError):
            run(out, OTHER, overwrite=True)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        run(out)
    run(tmp_path / "other")
    assert contents(out) == contents(tmp_path / "other")


def kept(path: Path) -> Kept:
    from chunkseg.api.given import Given
    from chunkseg.api.sweeping import kept_at

    return kept_at(path, Given.of(IMAGE), np.uint8, "store")


def test_a_store_that_another_process_completes(tmp_path: Path) -> None:
    first, second = kept(tmp_path / "a.zarr"), kept(tmp_path / "a.zarr")
    with first.filling():
        with pytest.raises(BusyError, match="another run is writing"), second.filling():
            pass
        np.asarray(first.dtype)
    with pytest.raises(BusyError, match="has just completed"), second.filling():
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_a_store_that_was_only_begun_is_begun_again(tmp_path: Path) -> None:
    state = tmp_path / "a.zarr.partial" / STATE
    state.mkdir(parents=True)
    (state / "lease.lock").touch()
    (state / ".identity.json.0.partial").touch()
    kept(tmp_path / "a.zarr")
    (state / "records").mkdir()
    with pytest.raises(OutputExistsError, match="was not made by this step"):
        kept(tmp_path / "a.zarr")


def test_a_store_of_another_calibration_is_refused(tmp_path: Path) -> None:
    image = cs.from_array(IMAGE, spacing=0.5, unit="um")
    cs.store(image, tmp_path / "a.zarr")
    cs.store(image, tmp_path / "a.zarr")
    with pytest.raises(OutputExistsError, match="calibration was"):
        cs.store(cs.from_array(IMAGE, spacing=0.7, unit="um"), tmp_path / "a.zarr")


def test_a_measurement_of_another_calibration_is_refused(tmp_path: Path) -> None:
    labels = IMAGE // 50
    cs.measure(cs.from_array(labels, spacing=0.5, unit="um"), tmp_path, properties="area")
    cs.measure(cs.from_array(labels, spacing=0.5, unit="um"), tmp_path, properties="area")
    with pytest.raises(OutputExistsError, match="calibration of the labels was"):
        cs.measure(cs.from_array(labels, spacing=0.7, unit="um"), tmp_path, properties="area")

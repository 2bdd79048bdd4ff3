"""How far a run is: told from what an interrupted or a running one leaves in its folder."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

import chunkseg as cs
from chunkseg.cli import main
from chunkseg.errors import PathError
from chunkseg.storage import status as module
from chunkseg.storage.lease import lease
from chunkseg.storage.site import STATE
from chunkseg.storage.status import PassStatus, status

MOVIE = cs.from_array(np.random.default_rng(0).random((3, 12, 24, 24), np.float32), dims="tzyx")
WORKFLOW = cs.Workflow(sigma=1)


class Interrupted(BaseException):
    """What stops a run, as an interrupt of the keyboard does."""


def interrupted(out: Path, at: str, calls: int, image=MOVIE, block=(3, 12, 12)) -> Path:
    """Run until the progress of a pass was told some times; one frame is a group of its own."""
    seen = 0

    def tell(name: str, done: int, total: int) -> None:
        nonlocal seen
        seen += name == at and done == total
        if seen == calls:
            raise Interrupted

    with pytest.raises(Interrupted):
        WORKFLOW.run(image, out, block_shape=block, progress=tell)
    return out


@pytest.fixture
def one_by_one(monkeypatch) -> None:
    """Groups of one frame."""
    monkeypatch.setattr("chunkseg.runner.lesson.REGION_BLOCKS", 16)
    monkeypatch.setattr("chunkseg.geometry.bundles.BUNDLE_FRAMES", 1)


@pytest.mark.usefixtures("one_by_one")
def test_an_interrupted_run(tmp_path):
    out = interrupted(tmp_path / "out", "objects", 2)
    found = status(out)
    assert (found.state, found.holder, found.counted) == ("interrupted", None, True)
    assert (found.frames_done, found.frames) == (1, 3)
    assert found.passes[:2] == tuple(
        PassStatus(name, (1, 2), 16, 16) for name in ("range", "seeds")
    )
    assert found.scratch == str(out / STATE / "scratch")
    assert found.scratch_bytes > 1000
    assert found.last_record is not None
    assert (
        abs(datetime.now().timestamp() - datetime.fromisoformat(found.last_record).timestamp())
        < 600
    )
    WORKFLOW.run(MOVIE, out)
    assert status(out).as_dict() == {
        **status(out).as_dict(),
        "state": "complete",
        "frames_done": 3,
        "frames": 3,
        "passes": (),
        "scratch": None,
    }


def test_a_run_under_way(tmp_path):
    out = interrupted(tmp_path / "out", "seeds", 1)
    with lease(out / STATE):
        found = status(out)
    assert found.state == "running"
    assert found.holder is not None
    assert found.holder.startswith("process ")
    assert (found.frames_done, found.frames) == (0, 3)


def test_a_run_that_has_just_begun(tmp_path):
    with lease(tmp_path / STATE):
        assert status(tmp_path).state == "running"
    assert status(tmp_path).state == "nothing"


def test_where_the_lease_can_not_be_asked(tmp_path, monkeypatch):
    def refuse(folder: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(module, "held", refuse)
    with lease(tmp_path / STATE):
        assert status(tmp_path).state == "running"
    assert status(tmp_path).state == "nothing"


def test_nothing_of_ours(tmp_path):
    assert status(tmp_path).state == "nothing"
    (tmp_path / "run.json").write_text('{"mine": 1}')
    assert status(tmp_path).state == "nothing"
    with pytest.raises(PathError, match="no such folder"):
        status(tmp_path / "nowhere")


def test_a_measured_table_has_no_frames(tmp_path):
    cs.measure(cs.from_array(np.eye(4, dtype="u1")), tmp_path / "out")
    found = status(tmp_path / "out")
    assert (found.state, found.frames) == ("complete", None)


def test_a_staged_input_is_a_pass_of_unknown_length(tmp_path):
    lazy = MOVIE.copy(data=MOVIE.chunk({"t": 1}).data + np.float32(0))
    found = status(interrupted(tmp_path / "out", "range", 1, lazy))
    assert found.passes[0] == PassStatus("stage", None, 3, None)


def test_frames_that_are_being_added(tmp_path):
    WORKFLOW.run(MOVIE[:2], tmp_path / "out", block_shape=(3, 12, 12))
    out = interrupted(tmp_path / "out", "seeds", 1)
    found = status(out)
    assert (found.state, found.frames_done, found.frames) == ("interrupted", 2, 3)


def test_of_many_files_only_some_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("chunkseg.runner.sweep.REGION_BLOCKS", 8)
    out = interrupted(tmp_path / "out", "labels", 1)
    exact = status(out)
    monkeypatch.setattr(module, "MOST_FILES", 1)
    found = status(out)
    assert not found.counted
    assert found.passes[0].done < exact.passes[0].done
    assert 0 < found.scratch_bytes < exact.scratch_bytes
    assert main(["status", str(out)]) == 3
    assert "at least" in capsys.readouterr().out


def test_damaged_records_count_as_none(tmp_path):
    out = interrupted(tmp_path / "out", "seeds", 1)
    for file in out.rglob("records/range/*.npz"):
        file.write_bytes(b"PK")
    assert status(out).passes[0].done == 0


def test_command_line(tmp_path, capsys):
    out = interrupted(tmp_path / "out", "seeds", 1)
    assert main(["status", str(out)]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"folder       {out}",
        "state        interrupted; the same command goes on where it stopped",
        "frames       0 of 3 done",
    ]
    assert lines[3] == "range        48 of 48 blocks, frames 0 to 2"
    assert lines[-1].startswith("scratch      0.")
    assert main(["status", str(out), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["passes"][0]["done"] == 48
    shutil.rmtree(out / STATE)
    assert main(["status", str(out)]) == 2
    assert main(["status", str(out / "nowhere")]) == 2

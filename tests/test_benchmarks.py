"""The benchmarks run, small, and both of their sides agree; what they measure is not looked at.

Sides that are processes of their own are called here; how a process is measured has its own test.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys

import pytest

from tests.benchmarks import (
    end_to_end,
    frames,
    kernels,
    measures,
    merge_measures,
    reading,
    scaling,
)
from tests.benchmarks.processes import Measured, measure


def called(module: str, *arguments: str) -> Measured:
    """Call what would be a process."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        importlib.import_module(module).main(list(arguments))
    return Measured(1.0, 1.0, 1, said.getvalue().strip().splitlines()[-1])


@pytest.fixture
def _here(monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)
    for module in (end_to_end, measures, scaling):
        monkeypatch.setattr(module, "measure", called)


def test_a_process_is_measured():
    found = measure("this")
    assert found.answer.startswith("Namespaces are")
    assert found.wall > 0
    assert found.cpu > 0
    assert found.peak > 2**20
    with pytest.raises(RuntimeError, match="no_such_module"):
        measure("no_such_module")


@pytest.mark.usefixtures("_here")
def test_end_to_end(capsys, tmp_path):
    options = ["--edge", "48", "--repeat", "1", "--json", str(tmp_path / "figures.json")]
    end_to_end.main(options)
    assert "DIFFER" not in capsys.readouterr().out
    found = json.loads((tmp_path / "figures.json").read_text())
    assert all(found["labels equal"].values())
    assert {"lesson", "chunkseg"} <= set(found["sides"])


def test_kernels(capsys, tmp_path):
    kernels.main(["--edge", "40", "--repeat", "1", "--json", str(tmp_path / "figures.json")])
    assert "DIFFER" not in capsys.readouterr().out
    found = json.loads((tmp_path / "figures.json").read_text())["kernels"]
    assert {"blur", "histogram", "erosion", "components", "expansion"} <= set(found)


@pytest.mark.usefixtures("_here")
def test_scaling(capsys, tmp_path):
    options = ["--edges", "48", "--workers", "2", "--blocks", "24"]
    scaling.main([*options, "--json", str(tmp_path / "figures.json")])
    runs = json.loads((tmp_path / "figures.json").read_text())["runs"]
    assert [(run["edge"], run["block"]) for run in runs] == [(48, 0), (48, 24)]
    assert runs[0]["answer"] == runs[1]["answer"]
    assert "ns/voxel" in capsys.readouterr().out


def test_reading(capsys):
    reading.main(["--edge", "48", "--block", "24", "--repeat", "1"])
    assert "answers equal" in capsys.readouterr().out


@pytest.mark.usefixtures("_here")
def test_measures(capsys, tmp_path):
    options = ["--objects", "small", "--edge", "24", "--sets", "first,hull", "--repeat", "1"]
    measures.main([*options, "--json", str(tmp_path / "figures.json")])
    assert capsys.readouterr().out.count("tables equal") == 2
    found = json.loads((tmp_path / "figures.json").read_text())["small"]
    assert found["objects"] == 75
    assert found["sets"]["hull"]["equal"]


def test_merge_measures(capsys):
    merge_measures.main(["--objects", "3000", "--blocks", "30", "--choices", "1"])
    assert "bytes per object" in capsys.readouterr().out


def test_frames(capsys):
    frames.main(["--frames", "4", "--edge", "24", "--scope", "movie"])
    said = capsys.readouterr().out
    assert "frames per second (wall)" in said
    assert "tasks per frame" in said
    assert "5.25" in said  # five passes, and a bundle of four frames

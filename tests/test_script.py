"""A workflow as a plain scikit-image script gives the labels of the workflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chunkseg as cs

STACK = cs.synthetic_nuclei((26, 80, 84), count=16, semi_axes=(3, 6), seed=3)
PLANE = cs.synthetic_nuclei((90, 96), seed=2)
MOVIE = np.stack([cs.synthetic_nuclei((60, 64), seed=s) // (s + 1) for s in range(3)])
SPACING = (0.5, 0.25, 0.25)

WORKFLOWS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "lesson": {"sigma": 1.5, "erosion_radius": 3},
    "per axis": {"sigma": (0.5, 1, 1), "erosion_radius": 2, "expand_distance": 3.5},
    "no border": {"erosion_radius": 2, "erosion_iterations": 2, "clear_border": False},
    "sides": {"erosion_radius": 2, "clear_border_axes": ("y", "x")},
    "sizes": {"threshold": 0.3, "min_size": 150, "max_size": 2000, "clear_border": False},
    "physical": {
        "units": "physical",
        "sigma": 0.5,
        "erosion_radius": 0.8,
        "min_size": 5,
        "clear_border_axes": ("y", "x"),
    },
}


class Viewer:
    """What the script uses of napari's viewer."""

    def __init__(self, image: Any) -> None:
        self.layers = [SimpleNamespace(data=image, scale=SPACING)]
        self.added: list[Any] = []

    def add_labels(self, labels: Any, scale: Any) -> None:
        assert scale is self.layers[0].scale
        self.added.append(labels)


def in_console(script: str, image: Any) -> Any:
    """Run a script as napari's console does."""
    viewer = Viewer(image)
    exec(compile(script, "script", "exec"), {"viewer": viewer})
    return viewer.added[0]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_stack_in_the_console(name: str, tmp_path: Path) -> None:
    workflow = cs.Workflow(**WORKFLOWS[name])
    image = cs.from_array(STACK, spacing=SPACING, unit="um")
    known = workflow.run(image, tmp_path, block_shape=(9, 30, 40)).labels.values
    script = workflow.to_script().replace("(1.0, 1.0, 1.0)  #", f"{SPACING}  #")
    found = in_console(script, STACK)
    assert known.max() > 1
    np.testing.assert_array_equal(found, known)


@pytest.mark.parametrize("scope", ["frame", "movie"])
def test_a_movie(scope: str, tmp_path: Path) -> None:
    workflow = cs.Workflow(erosion_radius=1, threshold_scope=scope)
    known = workflow.run(cs.from_array(MOVIE, "tyx"), tmp_path).labels.values
    np.testing.assert_array_equal(in_console(workflow.to_script(movie=True), MOVIE), known)


@pytest.mark.parametrize("ending", [".npy", ".tif"])
def test_as_a_file(ending: str, tmp_path: Path) -> None:
    workflow = cs.Workflow(sigma=1, erosion_radius=2)
    known = workflow.run(PLANE, tmp_path / "out").labels.values
    (tmp_path / "script.py").write_text(workflow.to_script())
    np.save(tmp_path / "plane.npy", PLANE)
    command = [sys.executable, "script.py", "plane.npy", f"labels{ending}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{known.max()} objects\n"
    if ending == ".npy":
        found = np.load(tmp_path / "labels.npy")
    else:
        found = cs.open_image(tmp_path / "labels.tif").values
    np.testing.assert_array_equal(found, known)

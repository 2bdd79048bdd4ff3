"""The script that executes the notebooks: what passes, what fails, and what it prints then."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra: pip install .[notebook]")
pytest.importorskip("nbclient", reason="needs the extra: pip install .[notebook]")
pytest.importorskip("ipykernel", reason="needs the extra: pip install .[notebook]")

ROOT = Path(__file__).resolve().parent.parent


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / ".ci" / "notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _script()


def _notebook(*sources: str):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def test_passes_and_runs_in_a_folder_that_is_gone_afterwards(tmp_path, capsys):
    note = tmp_path / "where.txt"
    source = f"from pathlib import Path; Path({str(note)!r}).write_text(str(Path.cwd()))"
    nbformat.write(_notebook(source), tmp_path / "good.ipynb")
    assert script.main(tmp_path) == 0
    assert capsys.readouterr().out.startswith("good.ipynb: ok, 1 code cells")
    ran_in = Path(note.read_text())
    assert ran_in.name.startswith("notebook-")
    assert not ran_in.exists()


def test_a_cell_that_raises_is_shown_and_the_others_are_still_run(tmp_path, capsys):
    nbformat.write(_notebook("1", "wrong = 1 / 0"), tmp_path / "a.ipynb")
    nbformat.write(_notebook("1"), tmp_path / "b.ipynb")
    assert script.main(tmp_path) == 1
    told = capsys.readouterr().out
    assert "a.ipynb: FAILED\nin cell 1:" in told
    assert "wrong = 1 / 0" in told
    assert "ZeroDivisionError" in told
    assert "b.ipynb: ok" in told


def test_a_kernel_that_dies_is_told_with_its_cell():
    dying = _notebook("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(script.NotebookError, match=r"in cell 0:\n\nimport os, signal"):
        script.execute(dying, 60)


def test_all_cells_together_have_a_limited_time():
    slow = _notebook("import time", "time.sleep(30)")
    with pytest.raises(script.NotebookError, match=r"in cell 1:\n\n(?s:.*)timed out"):
        script.execute(slow, 3)


@pytest.mark.parametrize("left", ["outputs", "execution_count"])
def test_outputs_are_refused_before_anything_runs(tmp_path, capsys, left):
    notebook = _notebook("raise SystemExit", "2")
    if left == "outputs":
        notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="2")]
    else:
        notebook.cells[1].execution_count = 7
    nbformat.write(notebook, tmp_path / "kept.ipynb")
    assert script.main(tmp_path) == 1
    assert "cells [1] hold outputs" in capsys.readouterr().out


def test_a_folder_without_notebooks_is_an_error(tmp_path, capsys):
    assert script.main(tmp_path) == 2
    assert "there is no notebook" in capsys.readouterr().err


def test_the_committed_notebooks_are_clean():
    paths = sorted(script.FOLDER.glob("*.ipynb"))
    assert paths
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        script.refuse_outputs(notebook)
        assert set(notebook.metadata) == {"kernelspec", "language_info"}

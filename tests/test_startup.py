"""What is loaded by the import of the package and by the command line's help: nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import chunkseg

HEAVY = ("numba", "dask", "skimage", "scipy", "zarr", "xarray", "pandas", "tifffile", "numpy")
HELP = """
from chunkseg.cli.entry import main
try:
    main([%s'--help'])
except SystemExit:
    pass"""
PARTS_UNUSED_BY_A_RUN = ("scipy.spatial", "scipy.stats", "distributed", "dask_image", "rich")


def loaded(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after some code."""
    code += "\nimport sys; print('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("MODULES", 1)[1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import chunkseg",
        "import chunkseg; dir(chunkseg); chunkseg.__version__",
        HELP % "",
        HELP % "'run', ",
    ],
)
def test_import_and_help_load_nothing_heavy(code):
    names = loaded(code)
    assert not names.intersection(HEAVY)
    assert "chunkseg" in names
    assert len([name for name in names if name.startswith("chunkseg")]) <= 10


def test_a_run_loads_nothing_that_it_does_not_use(tmp_path):
    code = f"""
import numpy as np, chunkseg as cs
image = np.zeros((20, 20), np.uint8)
image[5:15, 5:15] = 9
cs.Workflow(sigma=1, erosion_radius=1).run(image, {str(tmp_path / "out")!r})"""
    assert not loaded(code).intersection(PARTS_UNUSED_BY_A_RUN)


def test_public_names_are_listed_and_loaded_when_asked_for():
    assert set(dir(chunkseg)) == set(chunkseg.__all__)
    assert "zarr" in loaded("import chunkseg; chunkseg.open_image")

"""The examples in docstrings run and give what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import chunkseg
from chunkseg.report.extra import INSTALL, missing

MODULES = sorted(m.name for m in pkgutil.walk_packages(chunkseg.__path__, "chunkseg."))
WITH_EXAMPLES = {"chunkseg.api.filters", "chunkseg.api.segmentation", "chunkseg.kernels.expansion"}
WITH_NAPARI = ("napari", "qtpy")
DRAWING = {"chunkseg.report.page", "chunkseg.report.plots"}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, tmp_path, monkeypatch) -> None:
    if name.endswith("__main__"):
        pytest.skip("runs the command line")
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in WITH_NAPARI:
            raise
        pytest.skip("the extra napari is not installed: pip install 'chunkseg[napari]'")
    if name in DRAWING and missing():
        pytest.skip(f"the extra report is not installed: {INSTALL}")
    globs = {} if not hasattr(module, "np") else {"np": module.np}
    result = doctest.testmod(module, extraglobs=globs, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 0 or name not in WITH_EXAMPLES


def test_the_package_is_found_whole() -> None:
    assert set(MODULES) >= WITH_EXAMPLES

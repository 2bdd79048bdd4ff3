"""The house: imports go one way, libraries stay in their layers, functions stay small and told."""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chunkseg

PACKAGE = Path(chunkseg.__file__).parent
LAYERS = ["errors", "geometry", "kernels", "passes", "storage", "plan", "runner", "api", "report"]
LAYERS += ["napari", "cli", "xarray"]
MODULES = sorted(PACKAGE.rglob("*.py"))

HOME = {
    "numba": {"kernels"},
    "scipy": {"kernels"},
    "skimage": {"kernels"},
    "dask": {"storage", "runner", "api", "napari"},
    "dask_image": {"api"},
    "distributed": {"runner"},
    "zarr": {"storage"},
    "tifffile": {"storage"},
    "filelock": {"storage"},
    "google_crc32c": {"storage"},
    "h5py": {"storage"},
    "fsspec": {"storage"},
    "bioio": {"storage"},
    "pooch": {"cli"},
    "rich": {"cli", "report"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "PIL": {"report"},
    "napari": {"napari"},
    "qtpy": {"napari"},
    "xarray": {"geometry", "storage", "runner", "api", "report", "napari", "cli", "xarray"},
}
LONGEST = 60


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def layer_of(module: str) -> str | None:
    """Return the layer of a module's dotted name; None for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a module imports, inside its functions too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node  # type: ignore[misc]


every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))


def test_there_are_no_other_layers() -> None:
    assert {layer_of(name_of(path)) for path in MODULES} - {None} <= set(LAYERS)


@every_module
def test_imports_go_one_way(path: Path) -> None:
    own = layer_of(name_of(path))
    if own is None:
        return
    for name in imports(path):
        layer = layer_of(name) if name.split(".")[0] == "chunkseg" else None
        if layer in LAYERS:
            assert LAYERS.index(layer) <= LAYERS.index(own), f"{own} imports {name}"


@every_module
def test_libraries_stay_in_their_layers(path: Path) -> None:
    where = path.relative_to(PACKAGE).as_posix()
    for library in {name.split(".")[0] for name in imports(path)}:
        if library in HOME:
            assert layer_of(name_of(path)) in HOME[library], f"{where} imports {library}"


@every_module
def test_no_unknown_library(path: Path) -> None:
    known = set(sys.stdlib_module_names) | set(HOME) | {"chunkseg", "numpy", "pandas", "pyarrow"}
    assert {name.split(".")[0] for name in imports(path)} <= known


@every_module
def test_modules_say_what_they_are(path: Path) -> None:
    text = ast.get_docstring(parsed(path))
    assert text
    assert path.name != "utils.py"


@every_module
def test_no_function_is_long(path: Path) -> None:
    for function in functions(path):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        lines = function.end_lineno - body[0].lineno + 1 if body else 0
        assert lines <= LONGEST, f"{function.name} has {lines} lines"


@every_module
def test_sections_of_docstrings_are_whole(path: Path) -> None:
    """A section's title stands alone, its underline below: else nobody's reader finds it."""
    for function in functions(path):
        text = ast.get_docstring(function) or ""
        lines = text.splitlines()
        assert not any("----" in line and line.strip("- ") for line in lines), function.name
        for title, rule in itertools.pairwise(lines):
            if rule.startswith("---"):
                assert len(rule) == len(title), f"{function.name}: {title}"


@pytest.mark.parametrize("name", sorted(set(chunkseg.__all__) - {"__version__"}))
def test_every_public_name_is_there_and_shown(name: str) -> None:
    """With an example; a Result is what the Workflow's example ends in."""
    text = getattr(chunkseg, name).__doc__
    assert text
    assert "Examples\n" in text or name == "Result"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'labell'"):
        chunkseg.labell  # noqa: B018

"""The accessor of DataArrays: the functions by their names, the workflow, and nothing before."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import xarray as xr

import chunkseg as cs
from chunkseg.xarray import FUNCTIONS, ChunksegAccessor
from tests.test_layers import MODULES, imports, name_of

IMAGE = cs.from_array(cs.synthetic_nuclei((90, 96)), spacing=0.5, unit="um")
MASK = IMAGE > 20000
LABELS = cs.label(MASK)
FIRST = ("image", "labels", "label_image", "label_field", "mask", "x")


@pytest.mark.parametrize(
    ("name", "array", "options"),
    [
        ("gaussian", IMAGE, {"sigma": 2}),
        ("erosion", MASK, {"radius": 1}),
        ("binary_erosion", MASK, {"radius": 2}),
        ("label", MASK, {}),
        ("clear_border", LABELS, {}),
        ("expand_labels", LABELS, {"distance": 2}),
    ],
)
def test_methods_give_what_the_functions_give(name, array, options):
    found = getattr(array.chunkseg, name)(**options)
    xr.testing.assert_identical(found.compute(), getattr(cs, name)(array, **options).compute())
    assert found.dtype == getattr(cs, name)(array, **options).dtype


def test_numbers_tables_and_files(tmp_path):
    assert IMAGE.chunkseg.threshold_otsu() == cs.threshold_otsu(IMAGE)
    assert MASK.chunkseg.foreground_fraction() == float(MASK.mean())
    table = LABELS.chunkseg.regionprops_table(IMAGE, properties=("label", "intensity_mean"))
    assert table.equals(cs.regionprops_table(LABELS, IMAGE, properties=("label", "intensity_mean")))
    saved = IMAGE.chunkseg.save_image(tmp_path / "image.ome.zarr")
    np.testing.assert_array_equal(saved.values, IMAGE.values)


def test_a_run_takes_the_parameters_and_the_options_of_both(tmp_path):
    base = cs.Workflow(sigma=2, erosion_radius=4)
    options = {"erosion_radius": 3, "block_shape": (50, 50)}
    run = IMAGE.chunkseg.run(tmp_path / "out", workflow=base, **options).run
    assert (run["workflow"]["sigma"], run["workflow"]["erosion_radius"]) == (2.0, 3)
    assert run["block_shape"] == [50, 50]
    assert IMAGE.chunkseg.plan(workflow=base, **options).block_shape == (50, 50)


def test_unknown_parameters_are_refused(tmp_path):
    with pytest.raises(TypeError, match="sigmaa"):
        IMAGE.chunkseg.run(tmp_path / "out", sigmaa=2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_methods_look_like_their_functions(name):
    method, function = getattr(ChunksegAccessor, name), getattr(cs, name)
    theirs = list(inspect.signature(function).parameters)
    assert list(inspect.signature(method).parameters) == ["self", *theirs[1:]]
    assert inspect.getdoc(function).partition("\n\nExamples\n")[0] in method.__doc__
    assert method.__name__ == name


def test_every_function_of_an_image_is_there():
    """A new public function that takes an image or labels first belongs into the table."""
    functions = {n: getattr(cs, n) for n in cs.__all__ if inspect.isfunction(getattr(cs, n))}
    first = {n: next(iter(inspect.signature(f).parameters), "") for n, f in functions.items()}
    assert set(FUNCTIONS) == {n for n, a in first.items() if a in FIRST}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_core_does_not_import_it(path):
    assert "chunkseg.xarray" not in set(imports(path))

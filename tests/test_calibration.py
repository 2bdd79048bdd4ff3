"""Units, spacing and coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.errors import FormatError, ParameterError
from chunkseg.geometry.calibration import Calibration, spacing_of, unit_of, with_coordinates
from chunkseg.geometry.dims import parse_dims
from chunkseg.geometry.units import normalise_unit, unit_symbol


@pytest.mark.parametrize(
    ("text", "unit", "symbol"),
    [
        ("µm", "micrometer", "um"),
        ("\u03bcm", "micrometer", "um"),
        ("\\u00B5m", "micrometer", "um"),
        ("\\u00b5m", "micrometer", "um"),
        ("\u00c2\u00b5m", "micrometer", "um"),
        ("um", "micrometer", "um"),
        ("micron", "micrometer", "um"),
        ("Microns", "micrometer", "um"),
        ("micrometre", "micrometer", "um"),
        (" micrometer\0", "micrometer", "um"),
        ("nm", "nanometer", "nm"),
        ("mm", "millimeter", "mm"),
        ("cm", "centimeter", "cm"),
        ("meter", "meter", "m"),
        ("\u212b", "angstrom", "angstrom"),
        ("inch", "inch", "in"),
        ("", "pixel", "px"),
        ("px", "pixel", "px"),
        ("pix", "pixel", "px"),
        ("pixels", "pixel", "px"),
        ("sec", "second", "s"),
        ("s", "second", "s"),
        ("ms", "millisecond", "ms"),
        ("min", "minute", "min"),
        ("hour", "hour", "h"),
        ("µs", "microsecond", "us"),
    ],
)
def test_units_in_their_spellings(text: str, unit: str, symbol: str) -> None:
    assert normalise_unit(text) == unit
    assert unit_symbol(text) == symbol
    assert symbol.isascii()


def test_an_unknown_unit_is_named_with_the_remedy() -> None:
    with pytest.raises(FormatError, match=r"'furlong'.*unit="):
        normalise_unit("furlong")


def test_default_dims() -> None:
    assert parse_dims(None, (2, 3)) == ("y", "x")
    assert parse_dims(None, (2, 3, 4)) == ("z", "y", "x")
    assert parse_dims(["t", "y", "x"], (2, 3, 4)) == ("t", "y", "x")


@pytest.mark.parametrize(
    ("dims", "shape", "message"),
    [
        (None, (1, 2, 3, 4), "dims="),
        ("zyy", (1, 2, 3), "at most once"),
        ("qyx", (1, 2, 3), "letters"),
        ("yx", (1, 2, 3), "names 2 axes, but the array has 3"),
    ],
)
def test_dims_that_do_not_fit(dims: str | None, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        parse_dims(dims, shape)


positive = st.floats(1e-6, 1e6)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 50), positive, st.floats(-1e3, 1e3))
def test_spacing_comes_back_as_it_was_given(n: int, step: float, origin: float) -> None:
    image = with_coordinates(np.zeros((n, 2)), "yx", {"y": step}, {"y": "um"}, {"y": origin})
    if step * n > 1e-3:  # else the digits of the coordinates run out beside the origin
        assert spacing_of(image, "y") == (step,)
        assert spacing_of(image[::-1], "y") == (step,)
    np.testing.assert_array_equal(image.y.values, origin + step * np.arange(n))
    assert image.y.dtype == np.float64
    assert spacing_of(image[:1], "y") == (step,)


def test_every_second_plane_has_twice_the_spacing() -> None:
    image = with_coordinates(np.zeros((7, 2)), "zx", {"z": 0.26}, {}, {})
    assert spacing_of(image[::2], "z") == pytest.approx((0.52,), rel=1e-12)
    assert spacing_of(image[::2][:1], "z") == (0.26,)


def test_spacing_without_coordinates_or_attributes() -> None:
    bare = xr.DataArray(np.zeros((3, 1)), dims=("y", "x"), coords={"x": [5.0]})
    assert spacing_of(bare, ["y", "x"]) == (1.0, 1.0)
    lying = xr.DataArray(np.zeros(3), dims="x", coords={"x": ("x", [0, 2, 4], {"spacing": 1.0})})
    assert spacing_of(lying, ["x"]) == (2.0,)


@pytest.mark.parametrize(
    "values", [[0.0, 1.0, 2.1], [1.0, 1.0, 1.0], [0.0, np.nan, 2.0], [0.0, 1.0, 0.0]]
)
def test_uneven_coordinates_are_refused_by_name(values: list[float]) -> None:
    image = xr.DataArray(np.zeros(3), dims="z", coords={"z": values})
    with pytest.raises(ParameterError, match="along z"):
        spacing_of(image, "z")


def test_coordinates_that_are_no_numbers_are_refused() -> None:
    image = xr.DataArray(np.zeros(2), dims="c", coords={"c": ["a", "b"]})
    with pytest.raises(ParameterError, match="no numbers"):
        spacing_of(image, "c")


def test_one_unit_or_an_error() -> None:
    image = with_coordinates(np.zeros((2, 2)), "yx", {}, {"y": "um", "x": "micron"}, {})
    assert unit_of(image, "yx") == "micrometer"
    assert unit_of(xr.DataArray(np.zeros(2), dims="x"), "x") == "pixel"
    mixed = with_coordinates(np.zeros((2, 2)), "yx", {}, {"y": "um", "x": "nm"}, {})
    with pytest.raises(ParameterError, match=r"y: micrometer, x: nanometer.*not converted"):
        unit_of(mixed, "yx")
    half = with_coordinates(np.zeros((2, 2)), "yx", {}, {"x": "um"}, {})
    with pytest.raises(ParameterError, match="different units"):
        unit_of(half, "yx")


def test_channels_are_coordinates() -> None:
    array = np.zeros((2, 3))
    assert with_coordinates(array, "cx", {}, {}, {}).c.values.tolist() == ["0", "1"]
    assert with_coordinates(array, "cx", {}, {}, {}, ["a", "b"]).sel(c="b").shape == (3,)
    with pytest.raises(ParameterError, match="2 channels, but 1"):
        with_coordinates(array, "cx", {}, {}, {}, ["a"])


KNOWN = Calibration({"z": 2.0, "y": 0.5, "x": 0.5}, dict.fromkeys("zyx", "micron"), {"z": 7.0})


def test_a_new_spacing_keeps_the_unit_and_drops_the_origin() -> None:
    full, missing = KNOWN.override("zyx", {"z": 3}).complete("zyx")
    assert full == Calibration(
        {"z": 3.0, "y": 0.5, "x": 0.5}, dict.fromkeys("zyx", "micrometer"), {}
    )
    assert missing == ()


def test_spacing_as_number_sequence_and_mapping() -> None:
    for spacing in (2, [2, 2], {"y": 2, "x": 2}, np.float32(2), np.array([2.0, 2.0])):
        full, _ = Calibration().override("tyx", spacing, "nm").complete("tyx")
        assert full.spacing == {"y": 2.0, "x": 2.0}
        assert full.units == {"y": "nanometer", "x": "nanometer"}


def test_time_is_in_seconds_unless_told() -> None:
    spacing = {"t": 5, "y": 1, "x": 1}
    full, _ = Calibration().override("tyx", spacing, "um").complete("tyx")
    assert full.units == {"t": "second", "y": "micrometer", "x": "micrometer"}
    told = {"t": "min", "y": "um", "x": "um"}
    assert Calibration().override("tyx", spacing, told).complete("tyx")[0].units["t"] == "minute"


def test_a_unit_alone_renames() -> None:
    full, _ = KNOWN.override("zyx", unit="nm").complete("zyx")
    assert full.spacing == KNOWN.spacing
    assert set(full.units.values()) == {"nanometer"}
    assert KNOWN.override("zyx", unit="pixel").complete("zyx")[0].spacing == dict.fromkeys("zyx", 1)


def test_what_is_missing_is_one_pixel() -> None:
    partly = Calibration({"y": 0.5, "x": -1.0}, {"y": "um", "x": "um"})
    full, missing = partly.complete("tzyx")
    assert missing == ("z", "x")
    assert full.spacing == {"z": 1.0, "y": 0.5, "x": 1.0}
    assert full.units == {"z": "pixel", "y": "micrometer", "x": "pixel"}


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "2", None, [1.0]])
def test_spacing_must_be_finite_and_positive(value: object) -> None:
    with pytest.raises(ParameterError, match="finite and positive"):
        Calibration().override("yx", {"y": value}, "um")  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing": [1, 2, 3], "unit": "um"}, "3 numbers for the 2 spatial axes"),
        ({"spacing": {"c": 1}, "unit": "um"}, "names axis 'c'"),
        ({"spacing": 1.0, "unit": {"z": "um"}}, "unit= names axis 'z'"),
        ({"spacing": 1.0}, "needs a unit; pass unit="),
        ({"unit": "um"}, "no spacing is known"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Calibration().override("cyx", **arguments)  # type: ignore[arg-type]

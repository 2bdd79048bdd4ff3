"""What users hand in, mangled: always a chunkseg error or a right answer, in bounded time.

Never another exception, a hang, or an allocation that the file's size does not explain.
"""

from __future__ import annotations

import contextlib
import json
import signal
import struct
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkseg.errors import ChunksegError
from chunkseg.plan.parameters import Parameters
from chunkseg.storage.opening import open_image
from tests.images import STACK, axes, save_ome, scale, translation

MOST_BYTES = 64 * 2**20
SECONDS = 60
SMALL = STACK[:2, :8, :8]
BOUNDED = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


few_or_many = pytest.mark.parametrize(
    "examples", [30, pytest.param(1000, marks=pytest.mark.slow)], ids=["few", "many"]
)


class HangError(BaseException):
    """What no handler of errors catches."""


def _too_long(*_: Any) -> None:
    raise HangError


@contextlib.contextmanager
def only_our_errors() -> Iterator[None]:
    """Let chunkseg's errors pass; nothing may allocate more than a little, or never end."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    tracemalloc.start()
    try:
        with contextlib.suppress(ChunksegError):
            yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        signal.alarm(0)
    assert peak < MOST_BYTES


def read_all(path: Path, **options: Any) -> None:
    """Open, and read the pixels if there are few."""
    image = open_image(path, **options)
    if image.nbytes <= MOST_BYTES // 4:
        pixels = image.compute(scheduler="synchronous")
        assert (pixels.shape, pixels.dtype) == (image.shape, image.dtype)
    else:
        corner = image.isel(dict.fromkeys(image.dims, slice(0, 1)))
        assert corner.shape == (1,) * image.ndim


# --- workflow files


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.sampled_from([10**400, 2**63, -0.0, 0, 1, 3])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["otsu", "z", "y,x", "zyx", "t"])
    | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abz", min_size=1), inner),
    max_leaves=6,
)
NAMES = ["sigma", "threshold", "erosion_radius", "expand_distance", "clear_border"]
NAMES += ["clear_border_axes", "unknown", ""]


def toml(value: Any) -> str:
    """Write a value as TOML; None as nothing, which is no value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + "}"
    return "" if value is None else repr(value)


@BOUNDED
@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=4))
def test_workflow_files_of_any_values(tmp_path: Path, given_: dict[str, Any]) -> None:
    lines = [f"{json.dumps(name)} = {toml(value)}" for name, value in given_.items()]
    path = tmp_path / "w.toml"
    path.write_text("[workflow]\n" + "\n".join(lines), encoding="utf-8", errors="replace")
    with only_our_errors():
        loaded = Parameters.load(path)
        loaded.save(path)
        assert Parameters.load(path) == loaded


@BOUNDED
@given(st.data())
def test_workflow_files_with_mangled_text(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "w.toml"
    Parameters(sigma=(1.0, 2.0), threshold=0.5, erosion_radius=2, clear_border=True).save(path)
    text = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        junk = data.draw(st.binary(max_size=3) | st.sampled_from([b"[", b"]", b'"', b"=", b"\n"]))
        text[place : place + data.draw(st.integers(0, 3))] = junk
    path.write_bytes(text)
    with only_our_errors():
        Parameters.load(path)


@pytest.mark.parametrize(
    "text", ["sigma = " + "[" * 100_000, "sigma = " + "9" * 5000, "[workflow]\nsigma = 1e999"]
)
def test_workflow_files_that_are_too_deep_or_too_long(tmp_path: Path, text: str) -> None:
    (tmp_path / "w.toml").write_text(text)
    with pytest.raises(ChunksegError):
        Parameters.load(tmp_path / "w.toml")


# --- metadata of zarr


JUNK = [None, True, 0, 1, -1, 2**40, 2**70, 1.5, 1e308, "", "x", "float64", "zstd", [], [0], {}]
JUNK += [[1, 1, 1], [2**40] * 3, [None], [[]], {"name": "default"}, {"path": "full"}, "NaN", "../a"]


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON tree, with each of its keys."""
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in list(keys):
        yield tree, key
        yield from places(tree[key])


def mangled(document: Any, data: st.DataObject) -> Any:
    """Put junk in a few places of a document, or take or double them."""
    for _ in range(data.draw(st.integers(1, 3))):
        found = list(places(document))
        if not found:
            break
        holder, key = found[data.draw(st.integers(0, len(found) - 1))]
        change = data.draw(st.sampled_from(["junk", "junk", "junk", "drop", "copy"]))
        if change == "drop":
            del holder[key]
        elif change == "copy":
            holder[key] = [holder[key], json.loads(json.dumps(holder[key]))]
        else:
            holder[key] = json.loads(json.dumps(data.draw(st.sampled_from(JUNK))))
    return document


def ome(path: Path, version: str) -> None:
    image = {"axes": axes("zyx"), "steps": [scale(2, 1, 1), translation(1, 0, 0)], "name": "a"}
    image["coordinateTransformations"] = [scale(1, 2, 1)]
    save_ome(path, SMALL, image, version, omero={"channels": [{"label": "a"}]})


def collection(path: Path) -> None:
    zarr.open_group(path, mode="w", zarr_format=3, attributes={"bioformats2raw.layout": 3})
    ome(path / "0", "0.5")
    attributes = {"ome": {"series": ["0"]}}
    zarr.open_group(path / "OME", mode="w", zarr_format=3, attributes=attributes)


def plain(path: Path, **options: Any) -> None:
    told = {"calibration": {"spacing": {"x": 1.0}, "units": {"x": "um"}, "origin": {}}}
    told["channels"] = ["a"]  # type: ignore[assignment]
    names = {"dimension_names": ("z", "y", "x")} if "zarr_format" not in options else {}
    zarr.create_array(path, data=SMALL, chunks=(1, 4, 4), attributes=told, **names, **options)


def by_xarray(path: Path) -> None:
    from chunkseg.storage.opening import from_array

    image = from_array(SMALL, "cyx", {"y": 1, "x": 1}, "um", ["a", "b"], "cells")
    image.to_zarr(path, consolidated=False)


STORES: dict[str, Any] = {
    "ome 0.4": lambda path: ome(path, "0.4"),
    "ome 0.5": lambda path: ome(path, "0.5"),
    "collection": collection,
    "plain 3": plain,
    "plain 2": lambda path: plain(path, zarr_format=2),
    "shards": lambda path: plain(path, shards=(2, 8, 8)),
    "xarray": by_xarray,
}


@pytest.mark.parametrize("kind", STORES)
@few_or_many
@pytest.mark.filterwarnings("ignore")
def test_mangled_metadata_of_zarr(tmp_path: Path, kind: str, examples: int) -> None:
    path = tmp_path / "a.zarr"
    STORES[kind](path)
    names = {"zarr.json", ".zarray", ".zattrs", ".zgroup"}
    documents = sorted(p for p in path.rglob("*") if p.name in names)
    whole = {p: p.read_text() for p in documents}

    @settings(BOUNDED, max_examples=examples)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        document = data.draw(st.sampled_from(documents))
        for file, text in whole.items():
            file.write_text(text)
        document.write_text(json.dumps(mangled(json.loads(whole[document]), data)))
        with only_our_errors():
            read_all(path)

    check()


# --- headers of TIFF


def imagej(path: Path) -> None:
    tifffile.imwrite(path, SMALL, imagej=True, metadata={"axes": "ZYX", "unit": "um"})


def ome_tiff(path: Path) -> None:
    tifffile.imwrite(path, SMALL, ome=True, metadata={"axes": "ZYX"}, compression="zlib")


TIFFS: dict[str, Any] = {
    "imagej": imagej,
    "ome": ome_tiff,
    "big": lambda path: tifffile.imwrite(path, SMALL[0], bigtiff=True, compression="lzw"),
    "tiles": lambda path: tifffile.imwrite(path, STACK[0], tile=(16, 16), compression="zstd"),
    "plain": lambda path: tifffile.imwrite(path, SMALL, metadata=None, photometric="minisblack"),
}


def entries(path: Path) -> list[int]:
    """Byte offsets of all tags of a file, and of the directories and its header."""
    with tifffile.TiffFile(path) as tif:
        tags = [tag.offset for page in tif.pages for tag in page.tags.values()]  # type: ignore[union-attr]
        return [0, 4, *(page.offset for page in tif.pages), *tags]


@pytest.mark.parametrize("kind", TIFFS)
@few_or_many
@pytest.mark.filterwarnings("ignore")
def test_mangled_headers_of_tiff(
    tmp_path: Path, kind: str, examples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers in tags (widths, counts, offsets, compressions) replaced by any others."""
    path = tmp_path / "a.tif"
    TIFFS[kind](path)
    monkeypatch.setitem(sys.modules, "bioio", None)
    whole, starts = path.read_bytes(), entries(path)
    numbers = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2, 2**16, 2**31, 2**32 - 1])

    @settings(BOUNDED, max_examples=examples)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        content = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 2))):
            place = data.draw(st.sampled_from(starts)) + data.draw(st.integers(0, 19))
            width, code = data.draw(st.sampled_from([(1, "B"), (2, "H"), (4, "I")]))
            junk = struct.pack(f"<{code}", data.draw(numbers) % 256**width)
            content[place : place + width] = junk
        path.write_bytes(content)
        with only_our_errors():
            read_all(path, dims="zyx" if kind == "plain" else None)

    check()


@pytest.mark.parametrize("kind", [*STORES, *TIFFS])
def test_the_fuzzers_start_from_readable_files(tmp_path: Path, kind: str) -> None:
    """So that they do not pass because everything is refused."""
    path = tmp_path / ("a.zarr" if kind in STORES else "a.tif")
    (STORES | TIFFS)[kind](path)
    pixels = open_image(path, dims="zyx" if kind == "plain" else None).values
    wanted = {"tiles": STACK[0], "big": SMALL[0]}.get(kind, SMALL)
    np.testing.assert_array_equal(pixels, wanted)

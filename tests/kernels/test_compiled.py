"""Compiled kernels are cached, and never exchanged between types or processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.caching import IndexDataCacheFile

import chunkseg.kernels as kernels
from chunkseg.kernels.compiled import compiled, name_uniquely


def caches(tmp_path, *, unique):
    """Two processes' views of one function's cache, both opened before either has saved."""
    both = []
    for _ in range(2):
        cache = IndexDataCacheFile(str(tmp_path), "kernel", "stamp")
        if unique:
            name_uniquely(cache)
        both.append(cache)
    return both


def race(first, second):
    """Let both read the empty index, and only then save, each for a type of its own."""
    load = second._load_index
    second._load_index = dict
    first.save("int64", "code for int64")
    second.save("uint8", "code for uint8")
    second._load_index = load
    return first.load("int64"), first.load("uint8")


def test_a_type_gets_its_own_code_or_none(tmp_path):
    wide, narrow = race(*caches(tmp_path, unique=True))
    assert wide in (None, "code for int64")
    assert narrow in (None, "code for uint8")


def test_numba_alone_exchanges_codes(tmp_path):
    """Why names are given: the second process overwrites the file that the first has named."""
    first, second = caches(tmp_path, unique=False)
    race(first, second)
    first._load_index = lambda: {"int64": "kernel.1.nbc"}
    assert first.load("int64") == "code for uint8"


def test_kernels_are_cached_under_unique_names():
    from chunkseg.kernels.components import _look_up as kernel
    from chunkseg.kernels.components import look_up

    look_up(np.zeros((2, 2), np.uint32), np.zeros(1, np.uint32))
    cache = kernel._cache._cache_file
    assert cache._load_index()
    for name in cache._load_index().values():
        assert re.fullmatch(r".*_look_up.*\.[0-9a-f]{12}\.nbc", name)


def test_every_kernel_is_compiled_this_way():
    for path in Path(kernels.__file__).parent.glob("*.py"):
        if path.name != "compiled.py":
            assert "njit" not in path.read_text(), path


def test_without_a_folder_for_the_cache(monkeypatch):
    real = numba.njit

    def refusing(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr("chunkseg.kernels.compiled.njit", refusing)
    assert compiled()(lambda x: x + 1)(1) == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_options_are_passed_on(dtype):
    @compiled(error_model="numpy")
    def ratio(a, b):
        return a / b

    assert np.isinf(ratio(dtype(1), 0.0))


def in_a_process_of_its_own(code, cache):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_first_compilation_is_announced_once(tmp_path):
    """By a process that finds nothing compiled; one that does keeps quiet."""
    code = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s", stream=sys.stdout)
import numpy as np
from chunkseg.kernels.components import first_voxels, look_up
look_up(np.zeros(3, np.uint32), np.zeros(1, np.uint8))
first_voxels(np.zeros(3, np.uint32), 0)
import numba
numba.njit(lambda: 1)()
"""
    said = [in_a_process_of_its_own(code, tmp_path) for _ in range(2)]
    assert said[0].count("compiling kernels") == 1
    assert "compiling" not in said[1]


def test_a_folder_that_cannot_be_written(tmp_path):
    """Numba then goes on without one; a process that may write nowhere compiles in memory."""
    locked = tmp_path / "file-in-the-way"
    locked.write_text("")
    code = "import numpy as np\nfrom chunkseg.kernels.components import look_up\n"
    code += "print(look_up(np.zeros(2, np.uint32), np.full(1, 7, np.uint8)))"
    assert "[7 7]" in in_a_process_of_its_own(code, locked / "cache")

"""Amounts of memory, what machine and container give, and tables under a tiny memory limit."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest

import chunkseg as cs
from chunkseg.cli import main
from chunkseg.errors import ParameterError
from chunkseg.plan import memory
from chunkseg.plan.memory import bytes_of, machine_memory
from chunkseg.runner import crops
from chunkseg.runner.crops import SHARE, task_budget
from chunkseg.runner.execution import Execution

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (4096, 4096),
        ("4096", 4096),
        ("512MiB", 512 * 2**20),
        (" 2 gib ", 2 * GIB),
        ("1.5KB", 1500),
        (".5 KiB", 512),
        ("3B", 3),
        ("1TiB", 2**40),
    ],
)
def test_amounts_of_memory(text: Any, expected: int) -> None:
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["", "GiB", "2 pounds", "-1GiB", "0", 0, -5, 1.5, None, "1e9"])
def test_what_is_no_amount_of_memory(text: Any) -> None:
    with pytest.raises(ParameterError, match="text such as '2GiB'"):
        bytes_of(text)


def groups(folder: Path, own: str, **limits: str) -> tuple[Path, Path]:
    """Files as the kernel shows them: the process's groups, and the limits (``__`` for ``/``)."""
    root = folder / "cgroup"
    for name, limit in limits.items():
        path = root / name.replace("__", "/").replace("-max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(limit)
    (folder / "own").write_text(own)
    return folder / "own", root


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/\n", {"memory-max": "max\n"}, []),
        ("0::/\n", {"memory-max": "1000\n"}, [1000]),
        ("0::/a/b\n", {"a__memory-max": "7\n", "a__b__memory-max": "max"}, [7]),
        ("3:cpu:/x\n2:hugetlb,memory:/x\n", {"memory__x__memory.limit_in_bytes": "9"}, [9]),
        ("0::/gone\n", {}, []),
    ],
)
def test_limits_of_containers(
    tmp_path: Path, own: str, limits: dict[str, str], expected: list[int]
) -> None:
    assert memory._container_limits(*groups(tmp_path, own, **limits)) == expected


def test_a_machine_without_control_groups(tmp_path: Path) -> None:
    assert memory._container_limits(tmp_path / "none", tmp_path) == []


def test_memory_is_that_of_the_container_where_it_has_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < machine_memory() <= whole
    own, root = groups(tmp_path, "0::/\n", **{"memory-max": "123456"})
    monkeypatch.setattr(memory, "OWN_GROUPS", own)
    monkeypatch.setattr(memory, "CGROUPS", root)
    assert machine_memory() == 123456


def test_threads_share_the_limit() -> None:
    threads = Execution(workers=4, client=None)
    assert task_budget(1000, threads) == 250
    assert task_budget(2, threads) == 1
    assert task_budget(None, threads) == machine_memory() // 4 // SHARE


@pytest.mark.parametrize(
    ("limit", "worker", "expected"),
    [(None, 8 * GIB, 8 * GIB // SHARE), (600, 8 * GIB, 200), (None, None, None)],
)
def test_tasks_of_a_worker_share_its_memory(
    monkeypatch: pytest.MonkeyPatch, limit: Any, worker: Any, expected: Any
) -> None:
    """Where no worker has a limit, the machine's memory counts."""
    monkeypatch.setattr(crops, "worker_memory", lambda client: worker)
    monkeypatch.setattr(crops, "threads_of", lambda client: {"one": 1, "two": 3})
    monkeypatch.setattr(Execution, "width", 4)
    found = task_budget(limit, Execution(client="a client"))
    assert found == (expected or machine_memory() // 4 // SHARE)


def voxels(mask: np.ndarray[Any, Any]) -> int:
    return int(mask.sum())


LABELS = np.zeros((40, 64), np.uint16)
LABELS[2:38, 3:40], LABELS[10:12, 10:20] = 5, 0
LABELS[1:4, 50:53], LABELS[30:35, 44:60] = 9, 700
IMAGE = np.random.default_rng(3).integers(0, 999, LABELS.shape).astype(np.uint16)
PROPERTIES = ("label", "area", "area_convex", "feret_diameter_max", "area_filled")


def test_a_tiny_limit_leaves_out_what_needs_the_whole_crop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    given: Any = (da.from_array(LABELS, chunks=16), IMAGE, (*PROPERTIES, "intensity_median"))
    whole = cs.regionprops_table(*given, extra_properties=[voxels])
    with caplog.at_level(logging.WARNING, "chunkseg"):
        table = cs.regionprops_table(*given, extra_properties=[voxels], memory_limit="10KB")
    lost = ["area_filled", "voxels"]
    pd.testing.assert_frame_equal(table.drop(columns=lost), whole.drop(columns=lost))
    assert table["area_filled"].isna().tolist() == [True, False, False]
    assert table["voxels"].isna().tolist() == [True, False, False]
    pd.testing.assert_frame_equal(table[lost][1:], whole[lost][1:], check_dtype=False)
    (record,) = caplog.records
    message = record.getMessage()
    assert "area_filled, voxels: NaN for 1 object(s)" in message
    assert "label 5 of frame 0" in message
    assert "memory_limit" in message


def test_a_limit_that_is_none_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ParameterError, match="memory"):
        cs.regionprops_table(LABELS, memory_limit="plenty")


def test_the_command_line_passes_the_limit_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "labels.npy", LABELS)
    arguments = ["measure", str(tmp_path / "labels.npy"), "--properties", ",".join(PROPERTIES)]
    limits: dict[str, list[str]] = {"free": [], "tight": ["--memory-limit", "10KB"]}
    tables = {}
    for name, limit in limits.items():
        assert main([*arguments, *limit, "-o", str(tmp_path / name)]) == 0
        tables[name] = cs.Result.open(tmp_path / name).table
    assert tables["free"]["area_filled"].tolist() == [36 * 37, 9, 80]
    assert tables["tight"]["area_filled"].isna().tolist() == [True, False, False]
    same = [name for name in PROPERTIES if name != "area_filled"]
    pd.testing.assert_frame_equal(tables["tight"][same], tables["free"][same])
    assert main([*arguments, "--memory-limit", "much", "-o", str(tmp_path / "more")]) == 2
    assert "'2GiB'" in capsys.readouterr().err

"""Fixtures shared by all tests."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

# No explain phase: it runs a failing example hundreds of times more, minutes for a whole workflow.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
settings.register_profile("chunkseg", deadline=None, phases=PHASES, print_blob=True)
settings.load_profile("chunkseg")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give workers tests that stand together: in turns, both compile the same kernels at once."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of small real stacks: ``CHUNKSEG_TEST_DATA``, else ``../shared/data``."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CHUNKSEG_TEST_DATA", beside))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no test images in {folder}; set CHUNKSEG_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Tests end processes, never the machine: what was flushed to the disk tells them nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        patch.setattr(os, "sync", lambda: None, raising=False)
        yield


@pytest.fixture(scope="module", autouse=True)
def no_client_is_left() -> Iterator[None]:
    """Fail where a module leaves a cluster's client active: dask would hand it others' work."""
    yield
    if "distributed" not in sys.modules:
        return
    left = sys.modules["distributed"].client._get_global_client()
    if left is not None:
        left.close(timeout=5)
        pytest.fail(f"{left} is still active at the end of the module")


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What chunkseg warns of while the test runs."""
    told: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("chunkseg")
    logger.addHandler(handler)
    yield told
    logger.removeHandler(handler)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every document or chunk that is read and found in a store."""
    from zarr.storage import FsspecStore, LocalStore

    from chunkseg.storage.decoding import ChunkReader

    read: list[str] = []
    for kind in (LocalStore, FsspecStore):
        get = kind.get

        async def counted(store: Any, key: str, *args: Any, get: Any = get, **kwargs: Any) -> Any:
            value = await get(store, key, *args, **kwargs)
            if value is not None:
                read.append(key)
            return value

        monkeypatch.setattr(kind, "get", counted)
    chunk = ChunkReader.chunk

    def counted_chunk(reader: ChunkReader, cell: tuple[int, ...]) -> Any:
        read.append(str(cell))
        return chunk(reader, cell)

    monkeypatch.setattr(ChunkReader, "chunk", counted_chunk)
    return read

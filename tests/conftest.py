"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of small real stacks: ``CHUNKSEG_TEST_DATA``, else ``../shared/data``."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CHUNKSEG_TEST_DATA", beside))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no test images in {folder}; set CHUNKSEG_TEST_DATA to their folder")
    return folder

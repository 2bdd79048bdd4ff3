"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# No explain phase: it runs a failing example hundreds of times more, minutes for a whole workflow.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
settings.register_profile("chunkseg", deadline=None, phases=PHASES, print_blob=True)
settings.load_profile("chunkseg")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of small real stacks: ``CHUNKSEG_TEST_DATA``, else ``../shared/data``."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CHUNKSEG_TEST_DATA", beside))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no test images in {folder}; set CHUNKSEG_TEST_DATA to their folder")
    return folder

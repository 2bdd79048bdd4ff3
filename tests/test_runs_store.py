"""The scratch of runs: what was written comes back; what is damaged is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.errors import ScratchError
from chunkseg.geometry.boxes import Box
from chunkseg.kernels.runs import background_runs, id_runs
from chunkseg.storage.runs import SLABS, RunStore
from tests.strategies import label_images

RNG = np.random.default_rng(3)
BLOCK = Box((4, 0, 2), (44, 6, 9))
IDS = (RNG.random(BLOCK.shape) < 0.4) * RNG.integers(1, 5, BLOCK.shape).astype(np.uint32)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_what_was_written_comes_back(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = RunStore(tmp_path_factory.mktemp("runs"))
    image = data.draw(label_images([np.uint32])) * data.draw(st.sampled_from([1, 300, 2**20]))
    start = tuple(data.draw(st.integers(0, 5)) for _ in image.shape)
    box = Box(start, tuple(a + n for a, n in zip(start, image.shape, strict=True)))
    store.write(2, box, id_runs(image.astype(np.uint32)))
    part, runs = store.read(2, box)
    assert part == box
    np.testing.assert_array_equal(runs.filled(), image)
    first = data.draw(st.integers(box.start[0], box.stop[0] - 1))
    last = data.draw(st.integers(first + 1, box.stop[0]))
    part, runs = store.read(2, box, (first, last))
    assert part.start[0] <= first < last <= part.stop[0]
    planes = slice(part.start[0] - box.start[0], part.stop[0] - box.start[0])
    np.testing.assert_array_equal(runs.filled(), image[planes])
    assert store.intact(2, box)
    assert not store.intact(1, box)


def test_only_the_slabs_that_are_needed_are_read(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.write(0, BLOCK, id_runs(IDS))
    part, _ = store.read(0, BLOCK, (10, 11))
    assert part.shape[0] == -(-BLOCK.shape[0] // SLABS)


def test_a_file_that_is_gone_or_cut_short(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    with pytest.raises(ScratchError, match="can't be read"):
        store.read(0, BLOCK)
    store.write(0, BLOCK, id_runs(IDS))
    (path,) = tmp_path.rglob("*.runs")
    whole = path.read_bytes()
    for length in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert not store.intact(0, BLOCK)


def test_any_flipped_byte_is_noticed(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.write(0, BLOCK, id_runs(IDS))
    (path,) = tmp_path.rglob("*.runs")
    whole = bytearray(path.read_bytes())
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(RNG.integers(8))
        path.write_bytes(damaged)
        assert not store.intact(0, BLOCK), at


def test_background_takes_next_to_nothing(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    box = Box((0, 0, 0), (64, 64, 64))
    store.write(0, box, background_runs(box.shape))
    (path,) = tmp_path.rglob("*.runs")
    assert path.stat().st_size < 64 * 64 * 3

"""Look-up tables of blocks, in memory and in files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import skimage as ski
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkseg.geometry.boxes import Block, Grid
from chunkseg.geometry.layout import Layout
from chunkseg.kernels.runs import Runs
from chunkseg.passes.components import ComponentsPass, Lookup
from chunkseg.storage.lookups import LookedUpRuns, Lookups
from chunkseg.storage.runs import RunStore

LAYOUT = Layout.of((3, 9, 2, 10), ("t", "y", "c", "x"))
GRID = Grid(((4, 4, 1), (3, 3, 4)))
MOVIE = np.random.default_rng(4).random(LAYOUT.shape) < 0.5


BACKGROUND = -3


def labelled(frames: range) -> tuple[dict[Block, Runs], dict[int, Lookup]]:
    """Return runs of the blocks of all frames and the look-ups of some."""
    rule = ComponentsPass(2)
    local = {}
    lookups = {}
    for frame in range(LAYOUT.frames):
        records = []
        for index in np.ndindex(*GRID.counts):
            block = GRID.block(index, frame)
            where = LAYOUT.slices(frame, block.core)
            runs, record = rule.block(LAYOUT.take_frame(MOVIE[where]), block.core, GRID.frame)
            local[block] = runs
            records.append((block, record))
        if frame in frames:
            found = rule.merge(records, GRID)
            ids = np.arange(1, found.count + 1, dtype=np.int32)
            lookups[frame] = found.lookup(ids, BACKGROUND)
    return local, lookups


LOCAL, LOOKUPS = labelled(range(LAYOUT.frames))
EXPECTED = LAYOUT.map_frames(lambda frame: ski.measure.label(frame), MOVIE)
EXPECTED[EXPECTED == 0] = BACKGROUND


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    store = RunStore(tmp_path_factory.mktemp("runs"))
    for block, runs in LOCAL.items():
        store.write(block.frame, block.core, runs)
    return store


@pytest.fixture(params=["memory", "files"])
def lookups(request: pytest.FixtureRequest, tmp_path: Path) -> Lookups:
    return Lookups.of(LOOKUPS, tmp_path / "deep" if request.param == "files" else None)


def test_stored_runs_read_as_labels(store: RunStore, lookups: Lookups) -> None:
    source = LookedUpRuns(store, LAYOUT, GRID, lookups)
    assert source.shape == LAYOUT.shape
    assert source.dtype == np.int32
    assert source.chunks == (1, 4, 1, 3)
    np.testing.assert_array_equal(source[:], EXPECTED)


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_any_region_reads_as_labels(store: RunStore, data: st.DataObject) -> None:
    source = LookedUpRuns(store, LAYOUT, GRID, Lookups.of(LOOKUPS))
    spans = []
    for n in LAYOUT.shape:
        start = data.draw(st.integers(0, n))
        spans.append(slice(start, data.draw(st.integers(start, n))))
    found = source[tuple(spans)]
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, EXPECTED[tuple(spans)])


def test_an_array_without_looped_axes(store: RunStore) -> None:
    layout = Layout.of(GRID.shape)
    source = LookedUpRuns(store, layout, GRID, Lookups.of({0: LOOKUPS[0]}))
    np.testing.assert_array_equal(source[2:, 3:8], EXPECTED[0, 2:, 0, 3:8])


def test_some_frames_only(lookups: Lookups) -> None:
    part = Lookups.of({f: LOOKUPS[f] for f in (3, 4)})
    for block in range(len(GRID)):
        np.testing.assert_array_equal(part.of_block(4, block), lookups.of_block(4, block))


def test_tables_of_blocks(lookups: Lookups) -> None:
    for frame, lookup in LOOKUPS.items():
        for block in range(len(GRID)):
            np.testing.assert_array_equal(lookups.of_block(frame, block), lookup.of_block(block))


def test_tables_in_files_travel_as_their_path(tmp_path: Path) -> None:
    on_disk = Lookups.of(LOOKUPS, tmp_path)
    assert len(pickle.dumps(on_disk)) < 1000
    again = pickle.loads(pickle.dumps(on_disk))
    np.testing.assert_array_equal(again.of_block(5, 2), LOOKUPS[5].of_block(2))


def test_tables_written_anew_are_seen(tmp_path: Path) -> None:
    """A folder that is written a second time is not read from what was mapped the first time."""
    first = Lookups.of(LOOKUPS, tmp_path)
    before = first.of_block(0, 0)
    kept = first._load()
    other = {f: Lookup(lo.offsets, lo.sizes, lo.table * 10) for f, lo in LOOKUPS.items()}
    second = Lookups.of(other, tmp_path)
    np.testing.assert_array_equal(second.of_block(0, 0), before * 10)
    np.testing.assert_array_equal(kept.table, np.concatenate([lo.table for lo in LOOKUPS.values()]))

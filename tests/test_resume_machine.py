"""Whatever happens between two runs: complete and equal to scikit-image's, or refused by name.

A hypothesis state machine interrupts runs, damages what they left, changes image and workflow, and
knows of each call whether it has to go on, to begin, to do nothing or to be refused.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import chunkseg as cs
from chunkseg.errors import FormatError, IncompleteError, OutputExistsError
from chunkseg.geometry import bundles
from chunkseg.runner import lesson as runner
from chunkseg.runner import retries, sweep
from chunkseg.runner.execution import Execution
from tests.lesson import lesson

STATE = ".chunkseg"
GROUP_BLOCKS = 9
MOST_FRAMES = 7


def frames(seed: int, number: int, dtype: str = "uint8") -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 250, (number, 8, 7)).astype(dtype)


@dataclass(frozen=True)
class Wanted:
    """An image and what is to be done with it."""

    movie: Any
    spacing: float = 1.0
    sigma: float = 1
    radius: int = 1

    def says(self, now: Wanted) -> str | None:
        """What a refusal to go on from here must say; None if it goes on."""
        if self.spacing != now.spacing:
            return "spacing was"
        if self.sigma != now.sigma:
            return "sigma was"
        if self.radius != now.radius:
            return "erosion_radius was"
        if self.movie.dtype != now.movie.dtype:
            return "dtype was"
        if self.movie.shape[1:] != now.movie.shape[1:]:
            return "shape of a frame was"
        both = min(len(self.movie), len(now.movie))
        if (self.movie[:both] != now.movie[:both]).any():
            return "the voxels"
        return "there were" if len(self.movie) > len(now.movie) else None


class Interrupt:
    """Progress that interrupts at its n-th call."""

    def __init__(self, n: int | None) -> None:
        self.left = n

    def __call__(self, name: str, done: int, total: int) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


class Resumed(RuleBasedStateMachine):
    """The folder, what is in it by our reckoning, and what is wanted now."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.out = self.folder / "out"
        self.wanted = Wanted(frames(0, 2))
        self.there: Wanted | None = None
        self.former: Wanted | None = None
        self.complete = False
        self.harmed = False
        self.given_back = False

    def teardown(self) -> None:
        try:
            if self.there is not None:
                self.wanted = self.there
                self.run(None, (4, 4), 1, False, False)
        finally:
            shutil.rmtree(self.folder)

    @rule(
        interrupt=st.none() | st.integers(0, 60),
        block=st.sampled_from([(4, 4), (5, 3), (8, 7)]),
        workers=st.integers(1, 2),
        twice=st.booleans(),
        overwrite=st.sampled_from([False, False, False, True]),
    )
    def run(
        self,
        interrupt: int | None,
        block: tuple[int, int],
        workers: int,
        twice: bool,
        overwrite: bool,
    ) -> None:
        """Run as far as may be, and compare what comes out with what had to."""
        back = not self.complete and self._same(self.former, self.wanted)
        says = None
        if self.there is not None and not overwrite and not back:
            says = self.there.says(self.wanted)
        call = self._call(interrupt, block, workers, twice, overwrite)
        if says is not None:
            with pytest.raises(OutputExistsError, match=says):
                call()
            return
        if self.there is None or overwrite:
            self.former, self.harmed, self.complete = None, False, False
            self.given_back = False
        elif self.complete and len(self.wanted.movie) > len(self.there.movie):
            self.former, self.complete = self.there, False
        self.there = self.wanted
        try:
            call()
        except KeyboardInterrupt:
            assert not self.complete
            with pytest.raises(IncompleteError, match="no complete result"):
                cs.Result.open(self.out)
        except IncompleteError:
            assert self.harmed
            assert self.former is not None
        else:
            # what was complete is not read when it is given back: damage shows when it is read
            self.given_back |= self.harmed and self._same(self.former, self.wanted)
            self.complete, self.former = True, None
            try:
                self._compare()
            except FormatError:
                if not self.given_back:
                    raise

    def _same(self, one: Wanted | None, other: Wanted) -> bool:
        return one is not None and one.says(other) is None and other.says(one) is None

    def _call(
        self,
        interrupt: int | None,
        block: tuple[int, int],
        workers: int,
        twice: bool,
        overwrite: bool,
    ) -> Callable[[], Any]:
        wanted = self.wanted
        image = cs.from_array(wanted.movie, "tyx", spacing=wanted.spacing, unit="um")
        workflow = cs.Workflow(sigma=wanted.sigma, erosion_radius=wanted.radius, clear_border=False)

        def call() -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(retries.time, "sleep", lambda seconds: None)
                patch.setattr(runner, "REGION_BLOCKS", GROUP_BLOCKS)
                patch.setattr(sweep, "REGION_BLOCKS", GROUP_BLOCKS)
                patch.setattr(bundles, "BUNDLE_FRAMES", 2)
                if twice:
                    patch.setattr(Execution, "compute", each_twice)
                with dask.config.set(scheduler=None if twice or workers > 1 else "synchronous"):
                    workflow.run(
                        image,
                        self.out,
                        block_shape=block,
                        workers=workers,
                        keep=("mask",),
                        overwrite=overwrite,
                        progress=Interrupt(interrupt),
                    )

        return call

    def _compare(self) -> None:
        result = cs.Result.open(self.out)
        assert not (self.out / STATE).exists()
        shape = self.wanted.movie.shape  # a reader drops t where there is one frame
        labels, masks = (a.values.reshape(shape) for a in (result.labels, result.mask))
        table = result.table
        for t, frame in enumerate(self.wanted.movie):
            truth = lesson(frame, self.wanted.sigma, self.wanted.radius, border=False)
            np.testing.assert_array_equal(labels[t], truth.labels)
            np.testing.assert_array_equal(masks[t], truth.mask)
            sizes = np.bincount(truth.labels.ravel())[1:]
            np.testing.assert_array_equal(table["area"][table["t"] == t], sizes)

    @rule(seed=st.integers(0, 3), number=st.integers(1, 3))
    def append(self, seed: int, number: int) -> None:
        """Let the movie grow."""
        movie = self.wanted.movie
        if len(movie) + number <= MOST_FRAMES and movie.shape[1:] == (8, 7):
            more = frames(seed, number, movie.dtype)
            self.wanted = replace(self.wanted, movie=np.concatenate([movie, more]))

    @precondition(lambda self: len(self.wanted.movie) > 1)
    @rule()
    def shrink(self) -> None:
        """Let the movie lose its last frame."""
        self.wanted = replace(self.wanted, movie=self.wanted.movie[:-1])

    @rule(what=st.sampled_from(["voxel", "dtype", "shape", "spacing", "sigma", "radius"]))
    def change(self, what: str) -> None:
        """Change image or workflow."""
        now, movie = self.wanted, self.wanted.movie
        if what == "voxel":
            other = movie.copy()
            other[-1, 3, 3] += 1
            self.wanted = replace(now, movie=other)
        elif what == "dtype":
            self.wanted = replace(now, movie=movie.astype("uint16"))
        elif what == "shape":
            self.wanted = replace(now, movie=movie[:, :7])
        elif what == "spacing":
            self.wanted = replace(now, spacing=2.5 - now.spacing)
        elif what == "sigma":
            self.wanted = replace(now, sigma=3 - now.sigma)
        else:
            self.wanted = replace(now, radius=1 - now.radius)

    @precondition(lambda self: self.there is not None)
    @rule(former=st.booleans())
    def back(self, former: bool) -> None:
        """Want what the folder holds, or what it held before frames were added."""
        wanted = self.former if former and self.former is not None else self.there
        assert wanted is not None
        self.wanted = wanted

    @precondition(lambda self: (self.out / STATE).exists())
    @rule(
        where=st.sampled_from(["scratch", "records", "output", "groups"]),
        which=st.integers(0, 10**6),
        how=st.sampled_from(["drop", "truncate", "flip"]),
        place=st.integers(0, 10**6),
    )
    def damage(self, where: str, which: int, how: str, place: int) -> None:
        """Damage something that an interrupted run left."""
        folder = self.out / STATE / ("scratch" if where == "records" else where)
        files = sorted(f for f in folder.rglob("*") if f.is_file())
        if where == "records":
            files = [f for f in files if f.suffix == ".npz"]
        if files:
            harm(files[which % len(files)], how, place)
            self.harmed = True

    @precondition(lambda self: (self.out / STATE / "started.json").exists())
    @rule(how=st.sampled_from(["drop", "truncate", "flip"]), place=st.integers(0, 10**6))
    def forget(self, how: str, place: int) -> None:
        """Damage the note of who the run is: it begins anew, or what was complete comes back."""
        path = self.out / STATE / "started.json"
        before = path.read_bytes()
        harm(path, how, place)
        if how == "flip":
            path.write_bytes(before)
            harm(path, "truncate", place)
        self.there, self.complete = self.former, self.former is not None


def harm(path: Path, how: str, place: int) -> None:
    content = bytearray(path.read_bytes())
    if how == "drop" or not content:
        path.unlink()
    elif how == "truncate":
        path.write_bytes(content[: place % len(content)])
    else:
        content[place % len(content)] ^= 1 << (place % 8)
        path.write_bytes(content)


_compute = Execution.compute


def each_twice(self: Execution, calls: Any, advance: Any) -> list[Any]:
    """Run every call twice, side by side."""
    doubled = [call for call in calls for _ in range(2)]
    return _compute(self, doubled, lambda n: advance(0))[::2]


class Longer(Resumed):
    """The same, for longer."""


CHECKS = {"suppress_health_check": list(HealthCheck), "deadline": None}
TestResumed = Resumed.TestCase
TestResumed.settings = settings(max_examples=12, stateful_step_count=10, **CHECKS)
TestLonger = pytest.mark.slow(Longer.TestCase)
TestLonger.settings = settings(max_examples=200, stateful_step_count=25, **CHECKS)

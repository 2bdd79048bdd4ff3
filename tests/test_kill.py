"""Killed anywhere, the same call goes on and ends with the same bytes."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.killing import Job, Server, contents

RNG = np.random.default_rng(3)
PLAIN = {"sigma": 1, "erosion_radius": 1, "clear_border": False}
KEEP = {"keep": ["mask", "seeds", "expanded"]}
IMAGES = {
    "stack": RNG.integers(0, 250, (12, 6, 6)).astype(np.uint16),
    "plane": RNG.integers(0, 250, (9, 9)).astype(np.uint8),
    "movie": RNG.integers(0, 250, (3, 7, 7)).astype(np.uint16),
    "long": RNG.integers(0, 250, (5, 5, 4)).astype(np.uint16),
}


def job(image: str, call: str = "run", frames: int | None = None, **options: Any) -> Job:
    dims = "tyx" if image in ("movie", "long") else None
    workflow = PLAIN if call.startswith("run") else {}
    return Job(call, image, "", dims, frames, workflow, options)


CUBE = job("stack", block_shape=[4, 2, 2], workers=1, **KEEP)
VARIANTS = {
    "kept": job("plane", block_shape=[3, 3], workers=1, **KEEP),
    "small frames": job("long", block_shape=[3, 4], workers=1, keep=["mask"]),
    "frames of blocks": job("movie", block_shape=[4, 4], workers=1, **KEEP),
    "staged": job("plane", "run_lazy", block_shape=[4, 4], workers=1),
    "until": job("movie", block_shape=[4, 4], workers=1, until="mask"),
    "mask": job("plane", block_shape=[4, 4], workers=1, input_is_mask=True),
    "kept scratch": job("plane", block_shape=[5, 5], workers=1, keep_scratch=True),
    "overwriting": job("plane", block_shape=[5, 5], workers=1, overwrite=True),
    "levels": job("movie", "run_levels", block_shape=[4, 4], workers=1, keep=["mask"]),
    "store": job("plane", "store"),
    "save": job("plane", "save"),
    "label": job("plane", "label"),
    "measure": job("stack", "measure"),
    "shards": job("plane", "run_shards", block_shape=[4, 4], workers=1, keep=["mask"]),
}
APPENDED = job("movie", "run_levels", block_shape=[4, 4], workers=1, keep=["seeds"])


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


class Bench:
    """Where one kind of run is done, undisturbed and disturbed."""

    def __init__(self, server: Server, job: Job, folder: Path) -> None:
        self.server = server
        image = folder / "image.npy"
        np.save(image, IMAGES[job.image])
        self.job = replace(job, image=str(image))
        self.out = folder / "out"
        self.begun: Path | None = None
        self.points: list[str] = []
        self.whole: dict[str, Any] = {}

    def undisturbed(self) -> None:
        self.clean()
        self.points = self.server.run(self.here)
        self.whole = contents(self.out)

    def append_to(self, frames: int) -> None:
        """Let every run begin where so many frames are complete."""
        self.clean()
        self.server.run(replace(self.here, frames=frames))
        self.begun = self.out.with_name("begun")
        self.out.rename(self.begun)

    @property
    def here(self) -> Job:
        return replace(self.job, out=str(self.out))

    @property
    def rest(self) -> Job:
        """What is done after an interruption: the same, but for overwriting."""
        options = {k: v for k, v in self.job.options.items() if k != "overwrite"}
        return replace(self.here, options=options)

    def clean(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        if self.begun is not None:
            shutil.copytree(self.begun, self.out)
        elif not self.job.call.startswith("run"):
            self.out.mkdir()

    def disturbed(self, *points: int) -> None:
        """Exit at a point, at others of what is left to do then, and go on to the end."""
        self.clean()
        self.server.exit_at(self.here, points[0])
        for point in points[1:]:
            self.server.exit_at(self.rest, point)
        self.server.run(self.rest)
        found = contents(self.out)
        differing = [n for n in {*found, *self.whole} if found.get(n, 0) != self.whole.get(n, 0)]
        assert not differing, [self.points[n] for n in points]


def spread(points: int, number: int) -> list[int]:
    """Return some of the points, equally far from each other, the last one included."""
    return sorted({points - 1 - int(i * points / number) for i in range(number)})


def test_some_points_of_a_stack(server: Server, tmp_path: Path) -> None:
    bench = Bench(server, CUBE, tmp_path)
    bench.undisturbed()
    assert {"in otsu", "in merge", "before run.json is there"} <= set(bench.points)
    assert bench.points.count("inside a write") == 6 * 27
    for point in spread(len(bench.points), 2):
        bench.disturbed(point)


@pytest.mark.parametrize("name", VARIANTS)
def test_some_points_of_every_kind_of_run(name: str, server: Server, tmp_path: Path) -> None:
    bench = Bench(server, VARIANTS[name], tmp_path)
    bench.undisturbed()
    points = len(bench.points)
    in_completion = points - 1 - 3 * list(VARIANTS).index(name) % 25
    for point in (points // 2, in_completion):
        bench.disturbed(point)


def test_some_points_of_adding_frames(server: Server, tmp_path: Path) -> None:
    bench = appending(server, tmp_path)
    for point in spread(len(bench.points), 3):
        bench.disturbed(point)


def appending(server: Server, folder: Path) -> Bench:
    bench = Bench(server, APPENDED, folder)
    bench.undisturbed()
    at_once = bench.whole
    bench.append_to(2)
    bench.undisturbed()
    assert bench.whole == at_once
    return bench


@pytest.mark.slow
def test_every_point_of_a_stack(server: Server, tmp_path: Path) -> None:
    bench = Bench(server, CUBE, tmp_path)
    bench.undisturbed()
    for point in range(len(bench.points)):
        bench.disturbed(point)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_each_third_point_of_every_kind_of_run(name: str, server: Server, tmp_path: Path) -> None:
    bench = Bench(server, VARIANTS[name], tmp_path)
    bench.undisturbed()
    for point in range(1, len(bench.points), 3):
        bench.disturbed(point)


@pytest.mark.slow
def test_killed_twice(server: Server, tmp_path: Path) -> None:
    bench = Bench(server, VARIANTS["frames of blocks"], tmp_path)
    bench.undisturbed()
    for first in range(2, len(bench.points), 17):
        for second in (0, 5, 25):
            bench.disturbed(first, second)


@pytest.mark.slow
def test_every_point_of_adding_frames(server: Server, tmp_path: Path) -> None:
    bench = appending(server, tmp_path)
    for point in range(len(bench.points)):
        bench.disturbed(point)


def killed_at_random(server: Server, folder: Path, kills: int) -> None:
    """Kill runs on two threads again and again, until each is through; count the kills."""
    threads = {**VARIANTS["kept"].options, "workers": 2}
    bench = Bench(server, replace(VARIANTS["kept"], options=threads), folder)
    bench.clean()
    begun = time.perf_counter()
    assert server.kill_after(bench.here, 60)
    length = time.perf_counter() - begun
    whole = contents(bench.out)
    chance = random.Random(kills)
    done = 0
    while done < kills:
        bench.clean()
        while not server.kill_after(bench.here, chance.uniform(0.01, length)):
            done += 1
            assert done < 10 * kills, "it never gets to its end"
        assert contents(bench.out) == whole


def test_killed_at_random_times(server: Server, tmp_path: Path) -> None:
    killed_at_random(server, tmp_path, 20)


@pytest.mark.slow
def test_killed_at_many_random_times(server: Server, tmp_path: Path) -> None:
    killed_at_random(server, tmp_path, 200)

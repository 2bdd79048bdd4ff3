"""Runs that end in the middle: a server whose children exit at a chosen point, or are killed.

A run passes the same *points* each time it is done by one thread: before, inside and after each
block's write, each rename and each removal, and at the beginning of each merge. A child of the
server that is told to ``exit`` at the n-th leaves by ``os._exit`` there: nothing is closed, nothing
is cleaned up. What lies inside a write is some chunks written and one of them cut short.

The server has imported and compiled everything before it forks, and has no threads then.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

EXITED = 86
FAILED = 1
MERGES = ("merge_ranges", "merge_counts", "otsu")


@dataclass(frozen=True)
class Job:
    """What a child does.

    Attributes
    ----------
    call
        Name of a function below.
    image
        An ``.npy`` file.
    out
        The folder that is written.
    dims
        Names of the image's axes.
    frames
        How many frames of the image there are now.
    workflow, options
        Parameters of the workflow, options of the call.
    """

    call: str
    image: str
    out: str
    dims: str | None = None
    frames: int | None = None
    workflow: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


class Server:
    """A process that forks a child per job."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.killing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def run(self, job: Job) -> list[str]:
        """Do a job to its end; return the points that it passed."""
        answer = self._ask(job)
        assert answer["code"] == 0, answer["told"]
        return list(answer["points"])

    def exit_at(self, job: Job, point: int) -> None:
        """Do a job as far as a point."""
        answer = self._ask(job, point=point)
        assert answer["code"] == EXITED, answer

    def kill_after(self, job: Job, seconds: float) -> bool:
        """Do a job on threads and kill it after some time; return whether that came too late."""
        answer = self._ask(job, seconds=seconds)
        assert answer["code"] in (0, -signal.SIGKILL), answer
        return bool(answer["code"] == 0)

    def _ask(self, job: Job, **how: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"job": asdict(job), **how}), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def contents(folder: Path) -> dict[str, Any]:
    """Every file of a folder, byte for byte, and every folder; of ``run.json`` what must be equal.

    What is left of a lease does not count, nor the report, which tells the time that was spent.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if not path.name.startswith("lease.") and path.name != REPORT:
            found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else None
    if "run.json" in found:
        run = json.loads(found["run.json"])
        found["run.json"] = {k: v for k, v in run.items() if k not in TIMINGS}
    return found


TIMINGS = ("seconds", "pass_memory_bytes", "peak_memory_bytes")
REPORT = "report.html"


def opened(job: Job) -> Any:
    """Open the image of a job."""
    import numpy as np

    import chunkseg as cs

    image = np.load(job.image)[: job.frames]
    return image if job.dims is None else cs.from_array(image, job.dims)


def run(job: Job) -> None:
    """Run a workflow."""
    import chunkseg as cs

    cs.Workflow(**job.workflow).run(opened(job), job.out, **job.options)


def run_lazy(job: Job) -> None:
    """Run a workflow on an image that is computed lazily, so that it is staged."""
    import dask.array as da

    import chunkseg as cs

    image = da.from_array(opened(job), chunks=5).map_blocks(lambda block: block + 0)
    cs.Workflow(**job.workflow).run(image, job.out, **job.options)


def store(job: Job) -> None:
    """Store a blurred image."""
    import dask.array as da

    import chunkseg as cs

    cs.store(cs.gaussian(da.from_array(opened(job), chunks=4), 1), Path(job.out) / "blurred.zarr")


def save(job: Job) -> None:
    """Save a blurred image with three levels, the last of them made from the one below."""
    import dask.array as da

    import chunkseg as cs

    blurred = cs.gaussian(da.from_array(opened(job), chunks=6), 1)
    image = cs.from_array(blurred, spacing=1.0, unit="um")
    cs.save_image(image, Path(job.out) / "blurred.ome.zarr", levels=3, workers=1)


def run_levels(job: Job) -> None:
    """Run the workflow and write coarser levels too."""
    from chunkseg.geometry import pyramid

    pyramid.FITS = 3
    run(job)


def run_shards(job: Job) -> None:
    """Run the workflow with a file per block, as for very large frames."""
    from chunkseg.storage import arrays

    arrays.MANY_CHUNKS = 0
    run(job)


def label(job: Job) -> None:
    """Label a mask by way of scratch, and keep what comes out."""
    import dask.array as da
    import numpy as np

    import chunkseg as cs

    mask = da.from_array(opened(job) > 100, chunks=4)
    found = cs.label(mask, scratch=Path(job.out) / "scratch.zarr")
    np.save(Path(job.out) / "labels.npy", found.compute())


def measure(job: Job) -> None:
    """Measure a label image."""
    import chunkseg as cs

    image = opened(job)
    cs.measure(image // 40, job.out, image, **job.options)


def child(job: Job, point: int | None, threads: bool, told: Path) -> None:
    """Do a job; the points that were passed, or what went wrong, are told in a file."""
    import dask

    code = FAILED
    points = Points(point)
    try:
        os.fsync = lambda number: None
        os.sync = lambda: None
        dask.config.set(scheduler=None if threads else "synchronous")
        with nullcontext() if threads else points.watched():
            globals()[job.call](job)
        told.write_text(json.dumps(points.passed))
        code = 0
    except BaseException:
        told.write_text(traceback.format_exc())
    os._exit(code)


class Points:
    """Counts the points that a run passes, and leaves at one of them."""

    def __init__(self, last: int | None) -> None:
        self.last = last
        self.passed: list[str] = []

    def __call__(self, name: str) -> None:
        """Pass a point."""
        if len(self.passed) == self.last:
            os._exit(EXITED)
        self.passed.append(name)

    @property
    def next_is_last(self) -> bool:
        """Whether the run is to end at the point that comes next."""
        return len(self.passed) == self.last

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within it, what commits is watched; blocks have several chunks, passes some regions."""
        from chunkseg.geometry import bundles
        from chunkseg.passes.components import ComponentsPass
        from chunkseg.passes.measure import Measures
        from chunkseg.runner import lesson, sweep, thresholds
        from chunkseg.storage import arrays, sinks
        from chunkseg.storage.runs import RunStore

        arrays.LARGEST_CHUNK_EDGE.update({2: 2, 3: 2})
        bundles.BUNDLE_FRAMES = 2
        lesson.REGION_BLOCKS = sweep.REGION_BLOCKS = 12  # type: ignore[attr-defined]
        sinks.Sink.write = self._writing(sinks.Sink.write, chunks)  # type: ignore[method-assign]
        RunStore.write = self._writing(RunStore.write, runs)  # type: ignore[method-assign]
        for name in ("replace", "rename"):
            setattr(Path, name, self._moving(getattr(Path, name)))
        Path.unlink = self._removing(Path.unlink)  # type: ignore[method-assign]
        Path.touch = self._moving(Path.touch)  # type: ignore[method-assign]
        shutil.rmtree = self._removing(shutil.rmtree)  # type: ignore[assignment]
        for owner, name in (
            *((thresholds, name) for name in MERGES),
            (ComponentsPass, "merge"),
            (Measures, "merge"),
            (sinks.Sink, "write_bundle"),
        ):
            setattr(owner, name, self._beginning(getattr(owner, name), name))
        yield

    def _writing(
        self, write: Callable[..., None], files: Callable[..., list[Path]]
    ) -> Callable[..., None]:
        @functools.wraps(write)
        def watched(sink: Any, frame: int, box: Any, data: Any) -> None:
            self("before a write")
            write(sink, frame, box, data)
            if self.next_is_last:
                cut(files(sink, frame, box))
            self("inside a write")
            self("after a write")

        return watched

    def _moving(self, move: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(move)
        def watched(path: Path, *target: Any, **options: Any) -> Any:
            if _chunk(path) or ".runs." in path.name:
                return move(path, *target, **options)
            name = _named(Path(target[0]) if target else path)
            self(f"before {name} is there")
            result = move(path, *target, **options)
            self(f"after {name} is there")
            return result

        return watched

    def _removing(self, remove: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(remove)
        def watched(path: Any, *args: Any, **options: Any) -> None:
            there = os.path.lexists(path) and not str(path).endswith(".partial")
            if not there or _chunk(Path(path)) or options.get("dir_fd") is not None:
                remove(path, *args, **options)
                return
            self(f"before {_named(Path(path))} is removed")
            files = [file for file in sorted(Path(path).rglob("*")) if file.is_file()]
            if files and self.next_is_last:
                for file in files[::2]:
                    os.unlink(file)
            if files:
                self(f"while {_named(Path(path))} is removed")
            remove(path, *args, **options)
            self(f"after {_named(Path(path))} is removed")

        return watched

    def _beginning(self, merge: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(merge)
        def watched(*args: Any, **options: Any) -> Any:
            self(f"in {name}")
            return merge(*args, **options)

        return watched


def _named(path: Path) -> str:
    return path.name


def _chunk(path: Path) -> bool:
    return "c" in path.parts


def chunks(sink: Any, frame: int, box: Any) -> list[Path]:
    from chunkseg.storage.sinks import _folder, _keys

    keys = _keys(sink.array, sink.layout.slices(frame, box))
    return [_folder(sink.array) / key for key in keys]


def runs(store: Any, frame: int, box: Any) -> list[Path]:
    return [store._file(frame, box)]


def cut(files: list[Path]) -> None:
    """Let the last file be missing, if there are several, and cut the one before it short."""
    if len(files) > 1:
        os.unlink(files.pop())
    os.truncate(files[-1], os.path.getsize(files[-1]) // 2)


def warm_up() -> None:
    """Do each job once, so that everything is imported and compiled; end all threads."""
    import tempfile

    import numpy as np
    from zarr.core.sync import cleanup_resources

    with tempfile.TemporaryDirectory() as folder:
        for ndim in (2, 3):
            image = f"{folder}/{ndim}.npy"
            shape = (8,) * ndim
            np.save(image, np.random.default_rng(0).integers(0, 250, shape).astype(np.uint16))
            for call in (run, run_lazy, store, save, label, measure):
                out = Path(folder) / f"{call.__name__}{ndim}"
                out.mkdir()
                keep = {"keep": ["mask", "seeds", "expanded"]} if call is run else {}
                call(Job(call.__name__, image, str(out), workflow=WARM, options=keep))
    cleanup_resources()


WARM = {"sigma": 1, "erosion_radius": 1, "clear_border": False}


def serve() -> None:
    """Do the jobs that come, line by line."""
    import tempfile

    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        for line in sys.stdin:
            order = json.loads(line)
            told.unlink(missing_ok=True)
            process = os.fork()
            if process == 0:
                threads = "seconds" in order
                child(Job(**order["job"]), order.get("point"), threads, told)
            code = _waited(process, order.get("seconds"))
            text = told.read_text() if told.exists() else ""
            done = code == 0
            answer = {"code": code, "told": text, "points": json.loads(text) if done else []}
            print(json.dumps(answer), flush=True)


def _waited(process: int, seconds: float | None) -> int:
    """Wait for a child, and kill it when its time is over."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is not None:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
            break
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    serve()

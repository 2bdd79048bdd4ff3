"""Results at addresses: as in a folder, whole or not there, gone on with, one writer at a time."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chunkseg as cs
from chunkseg.cli.entry import main
from chunkseg.errors import (
    BusyError,
    IncompleteError,
    KindError,
    OutputExistsError,
    ParameterError,
    PathError,
)
from chunkseg.storage import places, writers
from chunkseg.storage.address import Address
from chunkseg.storage.places import place_of, state_of
from chunkseg.storage.site import RUN, WRITTEN
from chunkseg.storage.status import status
from chunkseg.storage.writers import WRITER
from tests.buckets import BUCKET, Bucket, blobs, bucket_server
from tests.killing import contents

IMAGE = blobs()
WORKFLOW = cs.Workflow(sigma=1, erosion_radius=1, clear_border=False)
OTHER = cs.Workflow(sigma=2, erosion_radius=1, clear_border=False)
NOTE = f".chunkseg/{WRITER}"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with bucket_server() as server:
        yield server


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the process is: an empty folder, that states of runs go to."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.slow)])
def address(request: pytest.FixtureRequest) -> Address:
    if request.param == "memory":
        return Address(f"memory://{uuid.uuid4().hex}/run1")
    request.getfixturevalue("bucket")
    return on_s3()


def on_s3() -> Address:
    return Address(f"s3://{BUCKET}/{uuid.uuid4().hex}/run1")


def run(out: Any, workflow: cs.Workflow = WORKFLOW, image: Any = IMAGE, **options: Any) -> Any:
    return workflow.run(image, out, workers=1, block_shape=(16, 16), **options)


def interrupt(out: Any, name: str = "labels", **options: Any) -> None:
    def progress(passing: str, done: int, total: int) -> None:
        if passing == name:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(out, progress=progress, **options)


def downloaded(address: Address, into: Path) -> dict[str, Any]:
    """Return what a result at an address is, as :func:`contents` compares it."""
    names = address.files()
    for name in names:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
    address.get(names, into)
    return contents(into)


def goes_on(address: Address) -> None:
    """Run again; the first passes are done already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chunkseg.runner.lesson_tasks.SeedsTask.__call__", None)
        run(address.url)


def note_of(host: str, machine: int, state: str | Path) -> dict[str, Any]:
    return {"host": host, "machine": machine, "state": str(state), "token": "1"}


def same_as_local(address: Address, tmp_path: Path, **options: Any) -> None:
    run(tmp_path / "local", **options)
    copy = tmp_path / uuid.uuid4().hex
    copy.mkdir()
    assert downloaded(address, copy) == contents(tmp_path / "local")


def test_a_run_to_an_address_is_that_to_a_folder(
    address: Address, here: Path, tmp_path: Path
) -> None:
    result = run(str(address), keep=["mask"])
    assert not list(here.iterdir())
    assert result.path == address
    local = run(tmp_path / "local", keep=["mask"])
    for name in ("labels", "mask"):
        there, ours = getattr(result, name), getattr(local, name)
        assert there.dtype == ours.dtype
        np.testing.assert_array_equal(there.compute(), ours.compute())
    assert result.table.equals(local.table)
    assert result.summary.equals(local.summary)
    assert result.histograms.equals(local.histograms)
    assert repr(result) == repr(local).replace(str(local.path), str(address))
    same_as_local(address, tmp_path, keep=["mask"])
    assert status(address).state == "complete"
    assert status(address).frames == 1
    found = cs.verify(address.url, IMAGE, regions=2, seed=1)
    assert found.ok, found.table
    assert cs.Result.open(address.url).run == result.run


def test_a_run_to_s3(bucket: Bucket, here: Path, tmp_path: Path) -> None:
    address = on_s3()
    run(address.url)
    same_as_local(address, tmp_path)
    bucket.requests.clear()
    run(address.url)
    assert not {method for method, _ in bucket.requests} & {"PUT", "POST", "DELETE"}
    assert sum(bucket.requests.values()) <= 12


def test_the_same_again_does_nothing(address: Address, here: Path) -> None:
    run(address.url)
    before = {name: (address / name).read_bytes() for name in address.files()}
    run(address.url)
    assert {name: (address / name).read_bytes() for name in address.files()} == before
    assert not list(here.iterdir())


def test_an_interrupted_run_goes_on(address: Address, here: Path, tmp_path: Path) -> None:
    interrupt(address.url)
    assert address.files() == [NOTE]
    assert [p.name for p in here.iterdir()] == [state_of(address).name]
    assert status(address).state == "interrupted"
    assert [p.name for p in status(address).passes if p.done] != []
    with pytest.raises(IncompleteError, match=r"run\.json is missing"):
        cs.Result.open(address.url)
    with pytest.raises(OutputExistsError, match="interrupted run of something else: sigma was 1"):
        run(address.url, OTHER)
    goes_on(address)
    assert not list(here.iterdir())
    same_as_local(address, tmp_path)


def test_it_goes_on_from_another_folder(
    address: Address, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(address.url, scratch=tmp_path / "scratch")
    (state,) = (tmp_path / "scratch").iterdir()
    assert (state / "scratch").is_dir()
    assert not list(here.iterdir())
    monkeypatch.chdir(tmp_path)
    goes_on(address)
    assert not list((tmp_path / "scratch").iterdir())
    same_as_local(address, tmp_path)


def test_scratch_that_is_kept(address: Address, here: Path) -> None:
    run(address.url, keep_scratch=True)
    assert [p.name for p in (here / state_of(address).name).iterdir()] == ["scratch"]
    assert NOTE not in address.files()
    run(address.url)


@pytest.mark.parametrize("names", [1, 3, 8, 11])
def test_completion_that_stops_is_taken_up(
    names: int, address: Address, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No reader sees a result before all of it is there, and no array before its chunks are."""
    moved = Address.upload, Address.put
    left = [names]

    def counted(real: Any) -> Any:
        def call(self: Address, *args: Any) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            real(self, *args)

        return call

    with monkeypatch.context() as patch:
        patch.setattr("chunkseg.storage.places.AT_ONCE", 2)
        patch.setattr(Address, "upload", counted(moved[0]))
        patch.setattr(Address, "put", counted(moved[1]))
        with pytest.raises(KeyboardInterrupt):
            run(address.url)
    there = address.files()
    assert RUN not in there
    assert status(address).state == "interrupted"
    if "labels.ome.zarr/zarr.json" in there:
        labels = cs.open_image(address / "labels.ome.zarr")
        np.testing.assert_array_equal(labels, run(tmp_path / "local").labels)
    run(address.url, progress=lambda *_: pytest.fail("nothing is to be computed"))
    same_as_local(address, tmp_path)
    assert not list(here.iterdir())


def test_a_run_of_something_else_is_refused_or_overwritten(
    address: Address, here: Path, tmp_path: Path
) -> None:
    run(address.url, OTHER, keep=["mask"])
    with pytest.raises(OutputExistsError, match=r"a run of something else: .*sigma was 2"):
        run(address.url)
    assert not list(here.iterdir())
    (address / "notes.txt").write_bytes(b"mine")
    interrupt(address.url, overwrite=True)
    assert address.files() == [NOTE, "notes.txt"]
    run(address.url)
    assert (address / "notes.txt").read_bytes() == b"mine"
    (address / "notes.txt").unlink()
    same_as_local(address, tmp_path)


def test_files_of_others_are_kept(address: Address, here: Path) -> None:
    (address / "labels.ome.zarr" / "zarr.json").write_bytes(b"mine")
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match=r"labels\.ome\.zarr, which chunkseg did not"):
            run(address.url, overwrite=overwrite)
    assert address.files() == ["labels.ome.zarr/zarr.json"]
    assert not list(here.iterdir())
    (address / RUN).write_bytes(b'{"versions": {"python": "3"}}')
    with pytest.raises(OutputExistsError, match="did not write"):
        run(address.url, overwrite=True)


def test_a_damaged_run_json(address: Address, here: Path) -> None:
    run(address.url)
    content = (address / RUN).read_bytes()
    (address / RUN).write_bytes(content[:-40])
    with pytest.raises(IncompleteError, match="is damaged"):
        cs.Result.open(address.url)
    with pytest.raises(OutputExistsError, match=r"run\.json is damaged; choose another"):
        run(address.url)
    run(address.url, overwrite=True)


def test_frames_are_added(address: Address, here: Path, tmp_path: Path) -> None:
    movie = cs.from_array(np.stack([blobs(seed=n) for n in range(3)]), dims="tyx")
    run(address.url, image=movie[:2])
    former = (address / RUN).read_bytes()
    interrupt(address.url, image=movie)
    assert (address / RUN).read_bytes() == former
    assert status(address).state == "interrupted"
    run(address.url, image=movie[:2])
    assert (address / RUN).read_bytes() == former
    assert not list(here.iterdir())
    seen = []
    run(address.url, image=movie, progress=lambda name, done, total: seen.append((name, total)))
    assert dict(seen)["range"] == 9
    assert not list(here.iterdir())
    assert len(cs.Result.open(address.url).run["frames"]) == 3
    result = cs.Result.open(address.url)
    whole = run(tmp_path / "local", image=movie)
    np.testing.assert_array_equal(result.labels, whole.labels)
    assert result.table.equals(whole.table)
    assert cs.verify(address.url, movie, regions=1, seed=1).ok


def test_a_second_writer_is_refused(
    address: Address, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def second(name: str, done: int, total: int) -> None:
        if refused:
            return
        monkeypatch.chdir(tmp_path)
        for overwrite in (False, True):
            with pytest.raises(BusyError, match=f"another run is writing to {address}") as raised:
                run(address.url, overwrite=overwrite)
            refused.append(raised.value)
        assert status(address).state == "running"

    run(address.url, progress=second)
    assert refused
    same_as_local(address, tmp_path)


def test_a_writer_on_another_machine(address: Address, here: Path, tmp_path: Path) -> None:
    """Its state is not seen here: refused; to overwrite, it is taken over, and notices."""
    note = note_of("elsewhere", 0, "/not/here")
    (address / NOTE).write_bytes(json.dumps(note).encode())
    (address / "labels.ome.zarr" / "0" / "c" / "0").write_bytes(b"a chunk of it")
    assert status(address).state == "elsewhere"
    assert status(address).holder == "elsewhere, in /not/here"
    assert main(["status", address.url]) == 3
    with pytest.raises(BusyError, match=r"by a run on elsewhere, .* in '/not/here'\. Give the"):
        run(address.url)
    assert not list(here.iterdir())
    run(address.url, overwrite=True)
    same_as_local(address, tmp_path)


@pytest.mark.parametrize("whole", [".zgroup", "zarr.json"])
def test_what_says_that_an_image_is_whole_goes_last(
    whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["0/.zarray", "0/0/0", "1/0/0", "1/.zarray", ".zattrs", whole]
    for name in names:
        file = tmp_path / "image" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    order: list[str] = []
    monkeypatch.setattr(Address, "put", lambda self, files: order.extend(sorted(files)))
    places.move(tmp_path / "image", Address("memory://order/image"))
    assert order == ["0/0/0", "1/0/0", "0/.zarray", "1/.zarray", ".zattrs", whole]
    assert not (tmp_path / "image").exists()


def test_of_two_runs_that_begin_at_once_one_is_refused(
    address: Address, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither finds a note; the other's is made first."""
    note, write = note_of("elsewhere", 0, "/not/here"), writers.write_json

    def after_the_other(path: Path, content: Any) -> None:
        (address / NOTE).write_bytes(json.dumps(note).encode())
        write(path, content)

    monkeypatch.setattr(writers, "write_json", after_the_other)
    with pytest.raises(BusyError, match="by a run on elsewhere"):
        run(address.url)
    assert json.loads((address / NOTE).read_bytes()) == note
    assert not list(here.iterdir())


def test_a_state_of_the_same_name_is_not_that_of_another_machine(
    address: Address, here: Path
) -> None:
    interrupt(address.url)
    note = json.loads((address / NOTE).read_bytes())
    other = note | {"host": "elsewhere", "machine": 0, "token": "another"}
    (address / NOTE).write_bytes(json.dumps(other).encode())
    with pytest.raises(BusyError, match="by a run on elsewhere"):
        run(address.url)
    (address / NOTE).write_bytes(json.dumps(note).encode())
    run(address.url)


def test_a_run_that_was_taken_over_notices(address: Address, here: Path) -> None:
    note = note_of("elsewhere", 0, "/not/here")

    def progress(name: str, done: int, total: int) -> None:
        (address / NOTE).write_bytes(json.dumps(note).encode())

    with pytest.raises(OutputExistsError, match="another run was told to overwrite"):
        run(address.url, progress=progress)
    assert json.loads((address / NOTE).read_bytes()) == note
    assert address.files() == [NOTE]


@pytest.mark.parametrize("complete", [False, True])
def test_a_state_that_is_lost(complete: bool, address: Address, here: Path, tmp_path: Path) -> None:
    """What an interrupted completion left is removed; a complete result is not."""
    if complete:
        run(address.url)
    else:
        (address / "labels.ome.zarr" / "zarr.json").write_bytes(b"half")
    note = note_of(platform.node(), uuid.getnode(), tmp_path / "gone")
    (address / NOTE).write_bytes(json.dumps(note).encode())
    computed = []
    run(address.url, progress=lambda *_: computed.append(1))
    assert bool(computed) != complete
    same_as_local(address, tmp_path)


@pytest.mark.parametrize("content", [b"{}", b"{", b"[]"])
def test_a_damaged_note(content: bytes, address: Address, here: Path) -> None:
    (address / NOTE).write_bytes(content)
    with pytest.raises(BusyError, match="by a run on an unknown host"):
        run(address.url)
    run(address.url, overwrite=True)
    assert NOTE not in address.files()


def test_nothing_is_left_of_what_was_refused(address: Address, here: Path) -> None:
    image = IMAGE.astype(np.float32)
    image[3, 3] = np.nan
    with pytest.raises(cs.errors.PixelError):
        run(address.url, image=image)
    assert not address.files()
    assert not list(here.iterdir())


def test_measuring_to_an_address(address: Address, here: Path, tmp_path: Path) -> None:
    labels = np.kron(np.array([[1, 0], [0, 2]]), np.ones((4, 4), int))
    result = cs.measure(labels, address.url)
    assert result.table.equals(cs.measure(labels, tmp_path / "local").table)
    assert cs.measure(labels, address.url).run == result.run
    with pytest.raises(OutputExistsError, match="something else"):
        cs.measure(labels, address.url, properties="area")
    assert cs.verify(address.url).ok


def test_saving_an_image(address: Address, here: Path) -> None:
    image = cs.from_array(blobs((70, 80)), spacing=0.3, unit="um")
    saved = cs.save_image(image, address.url, chunks=16, levels=2)
    assert not list(here.iterdir())
    assert NOTE not in address.files()
    np.testing.assert_array_equal(saved, image)
    assert saved.x.attrs["spacing"] == 0.3
    assert cs.open_image(address, level=1).shape == (35, 40)
    before = (address / "zarr.json").read_bytes()
    cs.save_image(image, address.url, chunks=16, levels=2)
    assert (address / "zarr.json").read_bytes() == before
    with pytest.raises(OutputExistsError, match="made by another call"):
        cs.save_image(image + 1, address.url, chunks=16, levels=2)
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("version", "name"),
    [
        *(("0.5", name) for name in ("0/c/2/2", "0/zarr.json", "zarr.json")),
        *(("0.4", name) for name in ("0/2/2", "0/.zarray", ".zattrs", ".zgroup")),
    ],
)
def test_saving_that_stops_is_taken_up(
    version: str, name: str, address: Address, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is complete, it can't be taken for complete."""
    image = cs.from_array(blobs((70, 80)))
    options: dict[str, Any] = {"chunks": 16, "ome_version": version}
    put = Address.put

    def stopped(self: Address, files: Any) -> None:
        if name in files:
            raise KeyboardInterrupt
        put(self, files)

    with monkeypatch.context() as patch:
        patch.setattr("chunkseg.storage.places.AT_ONCE", 4)
        patch.setattr(Address, "put", stopped)
        with pytest.raises(KeyboardInterrupt):
            cs.save_image(image, address.url, **options)
    with pytest.raises(cs.errors.FormatError):
        cs.open_image(address)
    with pytest.raises(OutputExistsError, match="made by another call"):
        cs.save_image(image + 1, address.url, **options)
    monkeypatch.setattr("chunkseg.runner.saving.SaveTask.__call__", None)
    np.testing.assert_array_equal(cs.save_image(image, address.url, **options), image)
    assert not list(here.iterdir())
    assert NOTE not in address.files()


def test_storing(address: Address, here: Path) -> None:
    blurred = cs.gaussian(cs.from_array(IMAGE, spacing=0.3, unit="um"), sigma=1)
    kept = cs.store(blurred, address.url)
    np.testing.assert_array_equal(kept, blurred)
    assert cs.store(blurred, address.url).x.attrs["spacing"] == 0.3
    with pytest.raises(OutputExistsError, match="made by another call"):
        cs.store(blurred * 2, address.url)
    assert not list(here.iterdir())
    (address / "c" / "0" / "0").unlink()
    with pytest.raises(cs.errors.ScratchError, match="can't be read"):
        kept.compute()


@pytest.mark.parametrize("call", [cs.save_image, cs.store])
def test_an_address_with_something_else(call: Any, address: Address, here: Path) -> None:
    (address / "mine.txt").write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="was not made by this step"):
        call(cs.from_array(IMAGE), address.url)
    assert address.files() == ["mine.txt"]
    assert not list(here.iterdir())


def test_leftovers_of_saving_whose_state_is_lost(address: Address, here: Path) -> None:
    note = note_of(platform.node(), uuid.getnode(), "/not/here")
    (address / NOTE).write_bytes(json.dumps(note).encode())
    (address / "7" / "zarr.json").write_bytes(b"half")
    cs.save_image(cs.from_array(IMAGE), address.url)
    assert not (address / "7").exists()


def test_the_command_line(
    bucket: Bucket, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    source, out, image = str(tmp_path / "a.npy"), on_s3().url, on_s3().url
    assert main(["convert", source, image, "--dims", "yx", "--verify"]) == 0
    assert f"written to  {image}" in capsys.readouterr().out
    command = ["run", image, "-o", out, "--sigma", "1", "--erosion-radius", "1"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert out in said
    assert all(name in said for name in WRITTEN[4:7])
    assert main(["status", out]) == 0
    assert main(["verify", out, "--regions", "1"]) == 0
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == out
    assert not list(here.iterdir())


def test_a_report_at_an_address(bucket: Bucket, here: Path) -> None:
    pytest.importorskip("jinja2", reason="needs the extra report")
    address = on_s3()
    result = run(address.url)
    for _ in range(2):
        assert result.report(IMAGE) == address / "report.html"
    assert b"chunkseg" in (address / "report.html").read_bytes()
    (address / "report.html").write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="was not made by chunkseg"):
        result.report(IMAGE)


def test_no_bucket_and_no_credentials(
    bucket: Bucket, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    """Said before any work."""

    def progress(*_: Any) -> None:
        pytest.fail("no work before the address is known to be good")

    with pytest.raises(PathError, match=r"can't write to s3://nowhere.*bucket does not exist"):
        run("s3://nowhere/run1", progress=progress)
    np.save(tmp_path / "a.npy", IMAGE)
    assert main(["run", str(tmp_path / "a.npy"), "-o", "s3://nowhere/run1", "--dims", "yx"]) == 2
    assert "bucket does not exist" in capsys.readouterr().err
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    for call in (run, cs.store, cs.save_image):
        arguments = (on_s3().url,) if call is run else (cs.from_array(IMAGE), on_s3().url)
        with pytest.raises(PathError, match=r"locate credentials.*your credentials"):
            call(*arguments)
    s3fs.S3FileSystem.clear_instance_cache()
    assert not list(here.iterdir())


def test_a_store_that_fails_for_a_while(bucket: Bucket, here: Path, tmp_path: Path) -> None:
    failing = {"left": 3}

    def fault(method: str, key: str) -> int | None:
        if method == "PUT" and "labels.ome.zarr" in key and failing["left"]:
            failing["left"] -= 1
            return 500
        return None

    address = on_s3()
    bucket.fault = fault
    try:
        run(address.url)
    finally:
        bucket.fault = lambda method, key: None
    assert not failing["left"]
    same_as_local(address, tmp_path)


def test_a_store_that_goes_on_failing(bucket: Bucket, here: Path, tmp_path: Path) -> None:
    address = on_s3()
    bucket.fault = lambda method, key: 403 if key.endswith("objects.csv") else None
    try:
        with pytest.raises(PathError, match=r"objects\.csv can't be used: .*a fault"):
            run(address.url)
    finally:
        bucket.fault = lambda method, key: None
    with pytest.raises(IncompleteError):
        cs.Result.open(address.url)
    run(address.url, progress=lambda *_: pytest.fail("nothing is to be computed"))
    same_as_local(address, tmp_path)


KILLED = """
import sys, numpy as np, os, signal
import chunkseg as cs
from chunkseg.storage.address import Address
import chunkseg.storage.places as places
places.AT_ONCE = 2
image, out, where, count = np.load(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
def progress(name, done, total):
    if name == where and done >= count:
        os.kill(os.getpid(), signal.SIGKILL)
put = Address.put
def killed(self, files):
    global count
    count -= 1
    if count < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, files)
if where == "put":
    Address.put = killed
workflow = cs.Workflow(sigma=1, erosion_radius=1, clear_border=False)
workflow.run(image, out, workers=1, block_shape=(16, 16), progress=progress)
"""


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("put", 4),
        pytest.param("seeds", 4, marks=pytest.mark.slow),
        pytest.param("labels", 9, marks=pytest.mark.slow),
        pytest.param("put", 1, marks=pytest.mark.slow),
    ],
)
def test_killed(where: str, count: int, bucket: Bucket, here: Path, tmp_path: Path) -> None:
    """Killed in a pass and while the result is moved; another process goes on with it."""
    np.save(tmp_path / "a.npy", IMAGE)
    address = on_s3()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "a.npy"), address.url, where]
    ended = subprocess.run([*command, str(count)], check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert RUN not in address.files()
    assert status(address).state == "interrupted"
    run(address.url)
    same_as_local(address, tmp_path)
    assert not list(here.iterdir())


def test_places() -> None:
    assert place_of("file:///data/a") == Path("/data/a")
    assert place_of(Address("s3://a")) == Address("s3://a")
    with pytest.raises(PathError, match="an address within another"):
        place_of("simplecache::s3://b/a")
    with pytest.raises(KindError, match="must be a path; got int"):
        place_of(3)  # type: ignore[arg-type]


def test_no_library_for_an_address(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("chunkseg.storage.address._opened", missing)
    with pytest.raises(ParameterError, match=r"s3fs.*chunkseg\[remote\]"):
        run("s3://bucket/run1")


@pytest.mark.parametrize("call", [run, cs.save_image, cs.store])
def test_an_address_that_only_reads(call: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.pipe_file", refused)
    url = f"memory://{uuid.uuid4().hex}"
    arguments = (url,) if call is run else (cs.from_array(IMAGE), url)
    with pytest.raises(PathError, match="can't be used: NotImplementedError"):
        call(*arguments)
    assert not list(here.iterdir())


def test_intermediates_go_to_folders(here: Path) -> None:
    with pytest.raises(ParameterError, match="a folder is needed here"):
        run(here / "out", scratch="s3://bucket/scratch")
    with pytest.raises(ParameterError, match="a folder is needed here"):
        cs.label(cs.from_array(IMAGE > 100), scratch="s3://bucket/scratch")
    with pytest.raises(ParameterError, match="a folder is needed here"):
        cs.sweep_radius(IMAGE, [1], "s3://bucket/sweep")
    assert not list(here.iterdir())


def test_saving_that_was_moved_and_not_yet_forgotten(address: Address, here: Path) -> None:
    image = cs.from_array(IMAGE)
    cs.save_image(image, address.url)
    state_of(address).mkdir()
    cs.save_image(image, address.url)
    assert not list(here.iterdir())
    assert NOTE not in address.files()


def test_names_of_an_address() -> None:
    address = Address(f"memory://{uuid.uuid4().hex}")
    assert not address.exists()
    assert not list(address.iterdir())
    address.remove()
    (address / "a" / "b").write_bytes(b"1")
    assert address.files() == ["a/b"]
    assert (address / "a" / "b").files() == []
    with pytest.raises(FileNotFoundError):
        (address / "a" / "c").unlink()
    (address / "a" / "c").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (address / "a" / "c").read_bytes()
    assert (address / "a" / "b").open().read() == b"1"

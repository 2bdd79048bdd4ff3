"""The demonstration: which image it takes, what it compares, and that a difference is seen."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chunkseg.api.result import Result
from chunkseg.api.synthetic import synthetic_nuclei
from chunkseg.cli import demo, main, sample
from chunkseg.kernels.reference import Lesson, lesson_in_memory

SMALL = synthetic_nuclei((32, 70, 72), count=16, semi_axes=(4, 9), seed=1)
KNOWN = lesson_in_memory(SMALL, sigma=1, radius=4)
PUBLISHED = sample.Published(
    percent=f"{100 * KNOWN.foreground_fraction:.2f}",
    counts=KNOWN.counts,
    sizes=tuple(KNOWN.sizes),
    volumes={"mean": "1.23", "std": "4.56", "range": "7.89"},
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A demonstration of a small synthetic stack in eight blocks; ``cells3d`` is out of reach."""
    monkeypatch.setattr(demo, "SIGMA", 1)
    monkeypatch.setattr(demo, "RADIUS", 4)
    monkeypatch.setattr(demo, "BLOCK", (17, 36, 40))
    monkeypatch.setattr(demo, "fetched_cells3d", lambda seconds: None)
    monkeypatch.setattr(demo, "made_nuclei", lambda: SMALL)
    return monkeypatch


def test_synthetic_numbers_agree_and_a_second_run_does_too(
    small: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    for _ in range(2):
        assert main(["demo", str(out)]) == 0
        said = capsys.readouterr().out
        lines = said.splitlines()
        assert lines[0].startswith("image: synthetic nuclei made by chunkseg, since scikit-image's")
        assert "published" not in said
        assert [line.split()[-1] for line in lines[3:-2]] == ["✓"] * (9 + len(KNOWN.sizes))
        assert f"objects in the end {KNOWN.counts[2]} {KNOWN.counts[2]} ✓" in words(said)
        assert f"threshold {KNOWN.threshold!r} {KNOWN.threshold!r} ✓" in words(said)
        assert lines[-2] == f"all {9 + len(KNOWN.sizes)} numbers agree"
        assert lines[-1] == f"written to {out}"
    assert Result.open(out).run["blocks_per_frame"] == 8


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_default_output_is_in_the_current_folder(
    small: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small.chdir(tmp_path)
    assert main(["demo"]) == 0
    assert (tmp_path / "chunkseg-demo" / "labels.ome.zarr").is_dir()


def test_a_folder_of_others_is_refused(
    small: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "objects.csv").write_text("mine")
    assert main(["demo", str(tmp_path)]) == 2
    assert "did not write" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["objects.csv"]


def flipped(labels: NDArray[Any]) -> NDArray[Any]:
    other = labels.copy()
    other[0, 0, 0] += 1
    return other


@pytest.mark.parametrize(
    ("wrong", "crosses"),
    [
        ({"threshold": float(np.nextafter(KNOWN.threshold, 1))}, 1),
        ({"foreground_fraction": KNOWN.foreground_fraction + 1e-5}, 1),
        ({"counts": (KNOWN.counts[0] + 1, *KNOWN.counts[1:])}, 1),
        # one voxel more of object 1: its size, mean, standard deviation, perhaps range; the image
        ({"labels": flipped(KNOWN.labels)}, None),
        ({"labels": np.where(KNOWN.labels == KNOWN.counts[2], 0, KNOWN.labels)}, None),
    ],
)
def test_a_difference_to_scikit_image_is_told(
    wrong: dict[str, Any],
    crosses: int | None,
    small: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def altered(image: NDArray[Any], sigma: float, radius: int) -> Lesson:
        return replace(KNOWN, **wrong)

    small.setattr(demo, "lesson_in_memory", altered)
    assert main(["demo", str(tmp_path / "demo")]) == 1
    said = capsys.readouterr().out
    assert f"\n{said.count('✗')} of " in said
    if crosses is not None:
        assert said.count("✗") == crosses
    else:
        assert said.splitlines()[-3].startswith("voxels of the label image")
        assert said.splitlines()[-3].endswith("✗")


def test_published_numbers_where_cells3d_is_there(
    small: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.setattr(demo, "fetched_cells3d", lambda seconds: SMALL)
    small.setattr(demo, "CELLS3D", PUBLISHED)
    assert main(["demo", str(tmp_path / "demo")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("image: the nuclei of scikit-image's cells3d; known: the lesson's publ")
    assert "synthetic" not in said
    assert "also states volume mean 1.23, volume standard deviation 4.56, volume range 7.89" in said
    assert said.count("✓") == 7 + len(KNOWN.sizes)


@pytest.mark.parametrize(
    ("wrong", "crosses"),
    [
        ({"percent": "99.99"}, 1),
        ({"counts": (0, 0, 0)}, 3),
        # a size, and mean, standard deviation and range of the volumes with it
        ({"sizes": (*PUBLISHED.sizes, 7)}, 4),
        ({"sizes": (*PUBLISHED.sizes, max(PUBLISHED.sizes))}, 3),
        ({"sizes": (*PUBLISHED.sizes[:-1], 7)}, 4),
    ],
)
def test_a_difference_to_the_published_is_told(
    wrong: dict[str, Any],
    crosses: int,
    small: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small.setattr(demo, "fetched_cells3d", lambda seconds: SMALL)
    small.setattr(demo, "CELLS3D", replace(PUBLISHED, **wrong))
    assert main(["demo", str(tmp_path / "demo")]) == 1
    assert capsys.readouterr().out.count("✗") == crosses


def test_the_published_volumes_contradict_the_published_sizes() -> None:
    """Why the demonstration does not compare them: drop that when this fails."""
    volumes = np.array(sample.CELLS3D.sizes) * np.prod(list(sample.SPACING.values()))
    obtained = {"mean": volumes.mean(), "std": volumes.std(), "range": np.ptp(volumes)}
    texts = {name: f"{value:.2f}" for name, value in obtained.items()}
    assert texts == {"mean": "812.23", "std": "237.85", "range": "896.29"}
    assert sample.CELLS3D.volumes == {"mean": "855.98", "std": "170.19", "range": "579.10"}
    assert len(sample.CELLS3D.sizes) == sample.CELLS3D.counts[2]


def test_fetching_returns_what_was_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys, numpy; numpy.save(sys.argv[1], numpy.arange(24).reshape(2, 3, 4))"
    monkeypatch.setattr(sample, "SCRIPT", script)
    np.testing.assert_array_equal(sample.fetched_cells3d(30), np.arange(24).reshape(2, 3, 4))


def test_fetching_that_fails_is_silent(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sample, "SCRIPT", "print('downloading'); raise OSError('no network')")
    assert sample.fetched_cells3d(30) is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "script",
    [
        "import time; time.sleep(60)",
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)",
    ],
)
def test_fetching_is_given_up_on(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "SCRIPT", script)
    began = time.monotonic()
    assert sample.fetched_cells3d(1) is None
    assert time.monotonic() - began < 20


def test_an_interrupt_ends_the_fetching_too(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Interrupted(subprocess.Popen[bytes]):
        def wait(self, timeout: float | None = None) -> int:
            if not started:
                started.append(self)
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(sample, "SCRIPT", "import time; time.sleep(60)")
    monkeypatch.setattr(sample.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample.fetched_cells3d(30)
    assert started[0].returncode == -9


def test_lesson_published_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lesson on ``cells3d``, every number as published."""
    image = sample.fetched_cells3d(sample.SECONDS_TO_FETCH)
    if image is None:
        pytest.skip(
            "NOT CHECKED: the lesson's published numbers, since scikit-image's cells3d is neither "
            "cached nor reachable here"
        )
    monkeypatch.setattr(demo, "fetched_cells3d", lambda seconds: image)
    assert main(["demo", str(tmp_path / "demo")]) == 0
    assert "all 18 numbers agree" in capsys.readouterr().out

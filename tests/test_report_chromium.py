"""The report as a browser shows it: nothing too wide, nothing fetched, every picture there.

One page holds each report in frames as wide as a laptop and a telephone, with a broken one beside
them; a script looks into the frames and leaves what it found in the page, which headless Chromium
prints. Frames, since the window of a headless browser can't be as narrow as a telephone.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chunkseg as cs
from chunkseg.report.extra import INSTALL, missing

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom")
SECONDS = 120
WIDTHS = {"laptop": 1280, "telephone": 390}
LONG = "stack-" + "of-a-very-long-name-" * 4

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(BROWSERS)}"),
    pytest.mark.skipif(bool(missing()), reason=f"the extra report is not installed: {INSTALL}"),
]

BROKEN = """<!doctype html><body><div style="width: 500px">wide</div>
<img src="data:image/png;base64,AAAA"><img src="http://localhost:9/a.png"></body>"""

LOOK = """
<script>
onload = () => {
  const found = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const view = frame.contentWindow, page = frame.contentDocument, root = page.documentElement;
    const right = (element) => element.getBoundingClientRect().right;
    found[frame.id] = {
      wide: [root.scrollWidth, root.clientWidth],
      beyond: [...page.body.querySelectorAll("*")]
        .filter((e) => right(e) > root.clientWidth + 1)
        .map((e) => e.tagName + " " + e.className),
      pictures: page.images.length,
      unseen: [...page.images].filter((i) => !i.complete || !i.naturalWidth).map((i) => i.alt),
      fetched: view.performance.getEntriesByType("resource")
        .map((entry) => entry.name).filter((name) => !name.startsWith("data:")),
    };
  }
  document.body.innerHTML = "";
  document.body.append(JSON.stringify(found));
};
</script>
"""


def movie(folder: Path) -> Path:
    """Report of a movie of two channels, all shapes measured."""
    frames = [cs.synthetic_nuclei((10, 70, 72), count=12, semi_axes=(4, 7), seed=s) for s in (1, 2)]
    pixels = np.stack([frames, frames], axis=1)
    spacing, unit = {"t": 30, "z": 1, "y": 0.5, "x": 0.5}, dict.fromkeys("zyx", "um") | {"t": "s"}
    image = cs.from_array(pixels, "tczyx", spacing, unit, channels=["dna", "protein of interest"])
    workflow = cs.Workflow(sigma=1, clear_border_axes=("y", "x"), properties=("shape", "intensity"))
    options: dict[str, Any] = {"channel": "dna", "intensity_channels": "all"}
    return cs.write_report(workflow.run(image, folder / "movie", **options).path, image[:, 0])


def part(folder: Path) -> Path:
    """Report of a part of a file of a long name, in which every object touches the border."""
    np.save(folder / f"{LONG}.npy", cs.synthetic_nuclei((12, 60, 64)))
    image = cs.open_image(folder / f"{LONG}.npy", region={"z": (2, 9)})
    return cs.Workflow(sigma=1).run(image, folder / "part").report()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the browser saw of each frame."""
    folder = tmp_path_factory.mktemp("browser")
    pages = {make.__name__: make(folder).read_text(encoding="utf-8") for make in (movie, part)}
    shown = {f"{p} {w}": (WIDTHS[w], pages[p]) for p in pages for w in WIDTHS}
    shown["broken"] = (WIDTHS["telephone"], BROKEN)
    frames = (
        f'<iframe id="{name}" width="{width}" height="800" srcdoc="{html.escape(page)}"></iframe>'
        for name, (width, page) in shown.items()
    )
    document = f'<!doctype html><meta charset="utf-8"><body>{"".join(frames)}</body>{LOOK}'
    (folder / "frames.html").write_text(document, encoding="utf-8")
    return seen(folder / "frames.html", folder / "profile")


def seen(page: Path, profile: Path) -> dict[str, dict[str, Any]]:
    """Show a page and read what its script left there."""
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={profile}", page.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    body = re.search(r"<body>(\{.*\})</body>", run.stdout, re.DOTALL)
    assert body is not None, run.stderr[-2000:]
    content: dict[str, dict[str, Any]] = json.loads(html.unescape(body[1]))
    return content


each = pytest.mark.parametrize("name", [f"{p} {w}" for p in ("movie", "part") for w in WIDTHS])


@each
def test_nothing_is_wider_than_the_screen(found, name):
    assert found[name]["beyond"] == []
    scrolled, width = found[name]["wide"]
    assert scrolled <= width == WIDTHS[name.split()[1]]


@each
def test_nothing_is_fetched(found, name):
    assert found[name]["fetched"] == []


@each
def test_every_picture_is_shown(found, name):
    assert found[name]["unseen"] == []
    assert found[name]["pictures"] >= 8


def test_a_broken_page_is_seen_to_be_broken(found):
    broken = found["broken"]
    assert broken["beyond"] == ["DIV "]
    assert broken["wide"][0] > broken["wide"][1]
    assert broken["fetched"] == ["http://localhost:9/a.png"]
    assert len(broken["unseen"]) == broken["pictures"] == 2

"""What a notebook shows of a result: a picture of its middle and the head of its table."""

from __future__ import annotations

from html import escape

from chunkseg.api.checks import Subject
from chunkseg.api.result import Result
from chunkseg.errors import ChunksegError
from chunkseg.report.extra import missing
from chunkseg.report.scenes import Scene, Stage
from chunkseg.report.views import Budget
from chunkseg.storage.site import TABLE

ROWS = 5
VOXELS = 8_000_000
WIDTH = 260


def result_html(result: Result) -> str:
    """HTML of a result; without the libraries of the extra ``report`` it has no picture."""
    parts = [f"<p><code>{escape(repr(result))}</code></p>"]
    scene = None if missing() or "workflow" not in result.run else _scene(result)
    if scene is not None:
        parts.append(_pictures(scene))
    if (result.path / TABLE).is_file():
        head = result.table.head(ROWS).to_html(index=False, border=0, float_format="{:.4g}".format)
        more = len(result.table) - ROWS
        parts += [head, f"<p>... and {more} more rows</p>" if more > 0 else ""]
    return f"<div>{''.join(parts)}</div>"


def _scene(result: Result) -> Scene | None:
    try:
        subject = Subject.of(result.path, result.run)
        table = result.table if (result.path / TABLE).is_file() else None
        stage = Stage.of(subject, budget=Budget(VOXELS))
        return stage.middle(table)
    except (ChunksegError, OSError):
        return None


def _pictures(scene: Scene) -> str:
    images = "".join(
        f'<img src="{p.uri}" alt="{escape(p.title)}" title="{escape(p.title)}" '
        f'style="width: {WIDTH}px; margin-right: 6px">'
        for p in scene.pictures
    )
    return f'<div style="display: flex">{images}</div><p>{escape(scene.title)}</p>'

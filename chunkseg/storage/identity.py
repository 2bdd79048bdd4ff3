"""Who a run is: what its results depend on, written down so that a later run can be told from it.

Facts (input, workflow, what was asked for, the version of our results) are compared one by one, so
that a refusal can name what changed. Each frame adds a digest of a sample of its voxels: a frame of
at most ``SAMPLE_VOXELS`` voxels whole, a larger one in a few small boxes; of a frame damaged
there nothing can be told. Everything is hashed here, from plain bytes and canonical JSON; dask's
names and tokens change between interpreters.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkseg.errors import FormatError
from chunkseg.geometry.boxes import Box, Shape
from chunkseg.geometry.layout import Layout

RESULTS_VERSION = 2
SAMPLE_VOXELS = 2**18
UNREADABLE = "unreadable"
TOGETHER = "the one threshold of the movie"
"""Name of a fact that is true where frames can't be added."""
_SAMPLE_EDGE = 16
_PLACES = (1 / 6, 1 / 2, 5 / 6)


@dataclass(frozen=True)
class Identity:
    """What the results of a run depend on.

    Attributes
    ----------
    facts
        Plain values by name, as JSON has them.
    frames
        One digest per frame.
    """

    facts: dict[str, Any]
    frames: tuple[str, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any], data: Any, layout: Layout) -> Identity:
        """Take down the facts, and a sample of each frame of an array (a source, or dask's)."""
        plain = json.loads(canonical({"results version": RESULTS_VERSION, **facts}))
        digests = tuple(_digest_or_none(data, layout, frame) for frame in range(layout.frames))
        return cls(plain, digests)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Identity:
        """Read what :meth:`as_json` gave."""
        return cls(dict(content["facts"]), tuple(content["frames"]))

    def as_json(self) -> dict[str, Any]:
        """Plain content for a JSON file."""
        return {"facts": self.facts, "frames": list(self.frames)}

    def changes(self, now: Identity) -> list[str]:
        """What differs in a later run, in words; a larger number of frames does not count.

        Examples
        --------
        >>> then, now = Identity({"sigma": 3.0}, ("a",)), Identity({"sigma": 4.0}, ("a", "b"))
        >>> then.changes(now)
        ['sigma was 3.0 and is 4.0']
        """
        commands = self.facts.get("command"), now.facts.get("command")
        if commands[0] != commands[1]:
            return [f"command was {commands[0]!r} and is {commands[1]!r}"]
        names = dict.fromkeys((*self.facts, *now.facts))
        found = [
            f"{name} was {_said(self.facts, name)} and is {_said(now.facts, name)}"
            for name in names
            if self.facts.get(name) != now.facts.get(name)
        ]
        if self.grown(now) and self.facts.get(TOGETHER):
            found.append(
                f"there were {len(self.frames)} frames and are {len(now.frames)}, and {TOGETHER} "
                "is that of all of them: with more, every frame has to be done again"
            )
        if len(now.frames) < len(self.frames):
            found.append(f"there were {len(self.frames)} frames and are {len(now.frames)}")
        pairs = enumerate(zip(self.frames, now.frames, strict=False))
        other = [t for t, (a, b) in pairs if a != b and UNREADABLE not in (a, b)]
        if other:
            frames = f"frame {other[0]}" if len(other) == 1 else f"{len(other)} frames"
            where = f" of {frames}" if len(self.frames) > 1 else ""
            found.append(f"the voxels{where} are not what they were")
        return found

    def grown(self, now: Identity) -> bool:
        """Whether a later run has more frames."""
        return len(now.frames) > len(self.frames)

    def same(self, now: Identity) -> bool:
        """Whether a later run is this one, as far as can be told."""
        return not self.changes(now) and not self.grown(now)

    def updated(self, now: Identity) -> Identity:
        """Take over what a later run that goes on with this one knows more of its frames.

        Examples
        --------
        >>> Identity({}, ("a", UNREADABLE)).updated(Identity({}, (UNREADABLE, "b", "c"))).frames
        ('a', 'b', 'c')
        """
        pairs = zip(self.frames, now.frames, strict=False)
        known = [b if a == UNREADABLE else a for a, b in pairs]
        return Identity(self.facts, (*known, *now.frames[len(known) :]))


def canonical(content: Any) -> str:
    """JSON of plain values, tuples, NumPy numbers and NaN, the same for the same content.

    Examples
    --------
    >>> canonical({"b": (1, np.float64(0.5)), "a": None})
    '{"a": null, "b": [1, 0.5]}'
    """
    return json.dumps(content, sort_keys=True, default=lambda value: np.asarray(value).tolist())


def _said(facts: Mapping[str, Any], name: str) -> str:
    return repr(facts[name]) if name in facts else "not given"


def _digest_or_none(data: Any, layout: Layout, frame: int) -> str:
    try:
        return frame_digest(data, layout, frame)
    except FormatError:
        return UNREADABLE


def frame_digest(data: Any, layout: Layout, frame: int, boxes: Sequence[Box] | None = None) -> str:
    """Digest of a sample of one frame's voxels, in the boxes of :func:`sample_boxes` or others."""
    digest = hashlib.sha256(f"{np.dtype(data.dtype).str} {layout.frame_shape}".encode())
    for box in sample_boxes(layout.frame_shape) if boxes is None else boxes:
        part = np.asarray(data[layout.slices(frame, box)])
        digest.update(np.ascontiguousarray(layout.take_frame(part)).tobytes())
    return digest.hexdigest()


def sample_boxes(shape: Shape) -> list[Box]:
    """Boxes that are looked at in a frame.

    Examples
    --------
    >>> sample_boxes((30, 40)) == [Box((0, 0), (30, 40))], len(sample_boxes((4096, 4096)))
    (True, 9)
    """
    if math.prod(shape) <= SAMPLE_VOXELS:
        return [Box.whole(shape)]
    starts = [sorted({int(place * max(0, n - _SAMPLE_EDGE)) for place in _PLACES}) for n in shape]
    boxes = []
    for index in itertools.product(*(range(len(s)) for s in starts)):
        if len(shape) < 3 or sum(index) % 3 == 0:
            start = tuple(s[i] for s, i in zip(starts, index, strict=True))
            stop = tuple(min(a + _SAMPLE_EDGE, n) for a, n in zip(start, shape, strict=True))
            boxes.append(Box(start, stop))
    return boxes

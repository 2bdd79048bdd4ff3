"""What a verification is about and what comes out of it: a result's own facts, and named checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pandas as pd

from chunkseg.errors import ChunksegError, FormatError
from chunkseg.geometry.boxes import Grid
from chunkseg.geometry.layout import Layout
from chunkseg.geometry.pyramid import Level, levels_of
from chunkseg.passes.components import Border
from chunkseg.plan.parameters import Parameters
from chunkseg.storage.places import Place

OK: Literal["ok"] = "ok"
FAILED: Literal["failed"] = "failed"
NOT_CHECKED: Literal["not checked"] = "not checked"
Outcome = Literal["ok", "failed", "not checked"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What.
    outcome
        ``"ok"``, ``"failed"`` or ``"not checked"``.
    detail
        What was compared; where and what is wrong; or why it was not checked.
    """

    name: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes
    ----------
    checks
        One after the other, as they were made.
    seed
        The seed that the regions were drawn with.

    Examples
    --------
    >>> found = Verification((Check("files", "ok", "9 files"),), seed=1)
    >>> found.ok, found.table.shape
    (True, (1, 3))
    """

    checks: tuple[Check, ...]
    seed: int

    @property
    def ok(self) -> bool:
        """Whether no check failed; some may not have been made, and the table says why."""
        return not self.failed

    @property
    def failed(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.outcome == FAILED]

    @property
    def table(self) -> pd.DataFrame:
        """One row per check: ``check``, ``outcome``, ``detail``."""
        rows = [(check.name, check.outcome, check.detail) for check in self.checks]
        return pd.DataFrame(rows, columns=["check", "outcome", "detail"])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as for JSON."""
        return {"ok": self.ok, "seed": self.seed, "checks": [asdict(c) for c in self.checks]}


@dataclass
class Tally:
    """What is wrong, by the name of the check, while frames and regions are gone through."""

    wrong: dict[str, list[str]] = field(default_factory=dict)

    def note(self, name: str, where: str, text: str | None) -> None:
        """Note what is wrong somewhere; None for nothing."""
        found = self.wrong.setdefault(name, [])
        if text is not None:
            found.append(f"{where}{text}")

    def checks(self, details: Mapping[str, str]) -> list[Check]:
        """One check for each name; ``details`` says what was compared."""
        return [self._check(name, detail) for name, detail in details.items()]

    def _check(self, name: str, detail: str) -> Check:
        wrong = self.wrong.get(name, [])
        if not wrong:
            return Check(name, OK, detail)
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Check(name, FAILED, wrong[0] + more)


def not_checked(names: Mapping[str, str] | list[str], why: str) -> list[Check]:
    """Name checks that were not made, and why."""
    return [Check(name, NOT_CHECKED, why) for name in names]


@dataclass(frozen=True)
class Subject:
    """A run's result, from its ``run.json``.

    Attributes
    ----------
    path
        The folder.
    run
        The content of ``run.json``.
    parameters
        The workflow.
    dims
        Names of the axes of its arrays.
    layout, grid
        Shape of its arrays, and the blocks of a frame.
    """

    path: Place
    run: dict[str, Any]
    parameters: Parameters
    dims: tuple[str, ...]
    layout: Layout
    grid: Grid

    @classmethod
    def of(cls, path: Place, run: dict[str, Any]) -> Subject:
        """Take the facts of a result.

        Raises
        ------
        FormatError
            If they are not what a run writes.
        """
        try:
            sizes = dict(zip(run["input"]["dims"], run["input"]["shape"], strict=True))
            looped = [d for d in sizes if d == "t"]
            dims = (*looped, *(d for d in sizes if d != "t"))
            layout = Layout.of([sizes[d] for d in dims], dims)
            if len(run["frames"]) != layout.frames:
                raise ValueError(f"{len(run['frames'])} frames instead of {layout.frames}")
            parameters = Parameters.from_dict(run["workflow"])
            grid = Grid.regular(layout.frame_shape, run["block_shape"])
        except (KeyError, TypeError, ValueError, ChunksegError) as error:
            raise FormatError(
                f"{path / 'run.json'} is not what a run writes ({type(error).__name__}: {error})"
            ) from error
        return cls(path, run, parameters, dims, layout, grid)

    @property
    def spatial(self) -> tuple[str, ...]:
        """Names of the axes of a frame."""
        return tuple(self.dims[axis] for axis in self.layout.spatial)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a voxel along each axis of a frame."""
        told = self.run["input"]["spacing"]
        return tuple(float(told[dim]) for dim in self.spatial)

    @property
    def levels(self) -> tuple[Level, ...]:
        """Resolution levels of its arrays."""
        block = self.grid.block((0,) * self.grid.ndim).core.shape
        return levels_of(self.grid.shape, block, self.spacing)

    @property
    def is_mask(self) -> bool:
        """Whether the image was a mask already."""
        return bool(self.run["input_is_mask"])

    @property
    def frames(self) -> list[dict[str, Any]]:
        """What was told of each frame."""
        found: list[dict[str, Any]] = self.run["frames"]
        return found

    @property
    def border(self) -> Border | None:
        """The border that objects must not touch; None where they may."""
        return self.parameters.border(self.spatial)

    def where(self, frame: int) -> str:
        """Begin a message about a frame; with nothing where there is but one."""
        return f"frame {frame}: " if self.layout.looped else ""

    def rows(self, table: pd.DataFrame, frame: int) -> pd.DataFrame:
        """Rows of the table that belong to a frame."""
        return table[table["t"] == frame] if self.layout.looped else table

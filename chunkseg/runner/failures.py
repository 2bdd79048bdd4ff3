"""Blocks that could not be done, and how a run says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chunkseg.errors import BlocksError, ScratchError
from chunkseg.geometry.boxes import Block
from chunkseg.runner.execution import Failure

SHOWN = 10


def where(block: Block) -> str:
    """Say which block it is, as a user would look for it."""
    return f"frame {block.frame}, voxels [{block.core.spans}]"


@dataclass(frozen=True)
class FailedBlock:
    """A block that a pass could not do.

    Attributes
    ----------
    task
        Name of the pass.
    block
        The block.
    failure
        What went wrong, and how often it was tried.
    """

    task: str
    block: Block
    failure: Failure

    def __str__(self) -> str:
        error = self.failure.error
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"{self.task}, {where(self.block)}: {reason}"


class FailedBlocksError(BlocksError):
    """Some blocks of a sweep could not be done.

    Attributes
    ----------
    failed
        The blocks.
    total
        How many there were to do.
    """

    def __init__(self, failed: Sequence[FailedBlock], total: int) -> None:
        self.failed = list(failed)
        self.total = total
        more = len(self.failed) - SHOWN
        lines = [str(block) for block in self.failed[:SHOWN]]
        if more > 0:
            lines.append(f"and {more} more")
        super().__init__(
            f"{len(self.failed)} of {total} blocks could not be done; the others are, and the same "
            f"command goes on with these once the cause is mended: {'; '.join(lines)}"
        )

    @property
    def scratch_only(self) -> bool:
        """Whether nothing but damaged scratch is at fault, which can be computed again."""
        return all(isinstance(block.failure.error, ScratchError) for block in self.failed)

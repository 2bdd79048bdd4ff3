"""Scratch arrays as sources: damage is told apart, since what is lost can be computed again.

A stored array of the user's may lack chunks, which then read as its fill value; a scratch array
that a finished pass wrote may not, and a chunk that is gone, cut short or flipped is damage.
"""

from __future__ import annotations

from dataclasses import dataclass

from chunkseg.errors import ScratchError
from chunkseg.storage.leaves import Array, ZarrSource
from chunkseg.storage.sinks import missing_chunks


@dataclass(frozen=True)
class ScratchSource(ZarrSource):
    """A zarr array that chunkseg wrote and reads back.

    Raises
    ------
    ScratchError
        By reading, if a chunk is missing or fails its checksum.
    """

    def _read(self, spans: tuple[slice, ...]) -> Array:
        missing = missing_chunks(self.array, spans)
        if missing:
            raise ScratchError(f"chunk {missing[0]} of {self.array.store_path} is gone")
        try:
            return super()._read(spans)
        except Exception as error:
            raise ScratchError(f"{self.array.store_path} can't be read: {error}") from error

"""CRC32C of what an array holds."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from chunkseg.kernels.blank import is_blank


def checksum(data: NDArray[Any]) -> int:
    """CRC32C of the bytes of an array in C order.

    Examples
    --------
    >>> checksum(np.arange(3, dtype=np.uint8)) == checksum(np.array([[0, 1, 2]], np.uint8))
    True
    """
    if is_blank(data):
        return _of_zeros(data.nbytes)
    whole = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    whole.flags.writeable = False
    return int(google_crc32c.value(whole))


@lru_cache(maxsize=64)
def _of_zeros(size: int) -> int:
    return int(google_crc32c.value(bytes(size)))

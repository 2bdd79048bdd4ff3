"""Values of the command line's options: from text to what they mean."""

from __future__ import annotations

import argparse
import re


def names(text: str) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def number(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"needs a number, not {text!r}") from None


def numbers(text: str) -> float | tuple[float, ...]:
    """One number, or several between commas."""
    found = several(text)
    return found if len(found) > 1 else found[0]


def several(text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    return tuple(number(part) for part in text.split(","))


def region(text: str) -> dict[str, tuple[int | None, int | None]]:
    """Spans by axis, from text such as ``z=0:64,x=512:``."""
    spans: dict[str, tuple[int | None, int | None]] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\w+)\s*=\s*(-?\d+)?\s*:\s*(-?\d+)?\s*", part)
        if found is None or found[1] in spans:
            raise argparse.ArgumentTypeError(
                f"needs a span of voxels for each axis once, such as z=0:64,y=512:, not {text!r}"
            )
        start, stop = (int(n) if n else None for n in found.group(2, 3))
        spans[found[1]] = start, stop
    return spans


def threshold(text: str) -> float | str:
    """``otsu``, or a number."""
    try:
        return text if text == "otsu" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"needs 'otsu' or a number, not {text!r}") from None


def lengths(text: str) -> tuple[int, ...]:
    """Whole numbers between commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"needs whole numbers of voxels such as 64,128,128, not {text!r}"
        ) from None

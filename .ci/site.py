"""Build the documentation site and see that it needs no network when it is looked at.

MkDocs fails on a broken link, an unknown name in the reference, and a page that is not in the
navigation. The exit code is 1 if it does, or if a page loads anything from an address.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOADED = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\s\"'>]+)"
)
FAILED = 1


def main() -> int:
    """Build into a temporary folder and print a line.

    Returns
    -------
    int
        The exit code.
    """
    with tempfile.TemporaryDirectory(prefix="site-") as folder:
        build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", folder]
        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # an advertisement of the theme
        if subprocess.run(build, cwd=ROOT, env=quiet, check=False).returncode:
            return FAILED
        pages = sorted(Path(folder).rglob("*.html"))
        outside = {f"{p.name}: {url}" for p in pages for url in LOADED.findall(p.read_text())}
    for line in sorted(outside):
        print(f"loaded from the network: {line}", file=sys.stderr)
    print(f"site: {len(pages)} pages, {len(outside)} addresses loaded")
    return FAILED if outside or not pages else 0


if __name__ == "__main__":
    sys.exit(main())

"""Build sdist and wheel, look into them, and use them from a virtual environment of their own.

The wheel is built from the sdist, so that what the sdist lacks is missed. Both are installed into
a new environment, the wheel with all it needs; there, away from the repository, ``chunkseg
--version`` and a plan of a small image must work. (That everything else does is for the tests.) It
needs ``build`` and ``twine``.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "chunkseg"
UNWANTED = ("tests/", "docs/", "notebooks/", ".ci/", ".git", "__pycache__")
BESIDE = ("LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml")
USE = """
import chunkseg as cs
assert "site-packages" in cs.__file__, cs.__file__
image = cs.from_array(cs.synthetic_nuclei((16, 64, 64), count=3), spacing=0.5, unit="um")
assert cs.Workflow(sigma=1).plan(image, "2GiB").fits
"""


def main() -> int:
    """Build, check and use both; raise where something is wrong.

    Returns
    -------
    int
        The exit code, 0.
    """
    with tempfile.TemporaryDirectory(prefix="packages-") as folder:
        place = Path(folder)
        run(sys.executable, "-m", "build", "--outdir", folder, str(ROOT))
        (sdist,), (wheel,) = place.glob("*.tar.gz"), place.glob("*.whl")
        run(sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel))
        check(in_sdist(sdist), modules() | set(BESIDE))
        check(set(zipfile.ZipFile(wheel).namelist()), modules())
        use(place, wheel, sdist)
    print(f"packages: {sdist.name} and {wheel.name} hold what they must, install and run")
    return 0


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command; raise if it fails, after what it said."""
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        done.check_returncode()


def modules() -> set[str]:
    """Every file of the package, as Python, style sheets and templates."""
    files = (p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(ROOT).as_posix() for p in files}


def in_sdist(path: Path) -> set[str]:
    """Names in an sdist, without its one folder."""
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def check(found: set[str], needed: set[str]) -> None:
    """Raise if something is missing, or there is what does not belong there."""
    if missing := sorted(needed - found):
        raise SystemExit(f"missing in the package: {missing}")
    if unwanted := sorted(n for n in found if n.startswith(UNWANTED) or "__pycache__" in n):
        raise SystemExit(f"does not belong into the package: {unwanted}")


def use(place: Path, wheel: Path, sdist: Path) -> None:
    """Install the wheel, run; install the sdist in its place, run again."""
    run(sys.executable, "-m", "venv", str(place / "venv"))
    scripts = place / "venv" / "bin"
    for options in ([str(wheel)], ["--no-deps", "--force-reinstall", str(sdist)]):
        run(str(scripts / "pip"), "install", "--quiet", "--no-compile", *options)
        run(str(scripts / "chunkseg"), "--version", cwd=place)
        run(str(scripts / "python"), "-c", USE, cwd=place)


if __name__ == "__main__":
    sys.exit(main())

"""All benchmarks, one after the other, each in a process of its own.

``python -m tests.benchmarks [NAME ...] [--small] [--json FILE]`` prints what each prints, and
writes it, with its command and its seconds, as JSON. ``--small`` takes small stacks.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.processes import ROOT

FULL = {
    "end_to_end": "--edge 512 --repeat 3",
    "kernels": "--edge 256",
    "scaling": "--edges 512,1024",
    "fill": "--edge 512",
    "labelling": "--edge 512",
    "measures": "--objects small --edge 256",
    "merge_measures": "",
    "frames": "",
    "stitching": "",
    "driver": "",
    "scale": "",
}
SMALL = {
    "end_to_end": "--edge 96 --repeat 1",
    "kernels": "--edge 64 --repeat 1",
    "scaling": "--edges 64 --blocks 32",
    "fill": "--edge 192",
    "labelling": "--edge 128 --repeat 1",
}


def main(argv: list[str]) -> int:
    """Run those asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FULL))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    known = SMALL if options.small else FULL
    found = {}
    for name in options.names or known:
        command = ["-m", f"tests.benchmarks.{name}", *shlex.split(known[name])]
        print(f"\npython {shlex.join(command)}", flush=True)
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
        )
        print(done.stdout, end="", flush=True)
        found[name] = {
            "command": shlex.join(["python", *command]),
            "code": done.returncode,
            "seconds": time.perf_counter() - begin,
            "printed": done.stdout.splitlines(),
        }
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))
    return int(any(entry["code"] for entry in found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

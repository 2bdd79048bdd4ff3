"""``chunkseg new-workflow``: a commented workflow file to be edited."""

from __future__ import annotations

import argparse
from pathlib import Path

from chunkseg.cli.printing import aligned, say
from chunkseg.cli.run import chosen_workflow
from chunkseg.errors import OutputExistsError
from chunkseg.storage.commit import committed


def command(args: argparse.Namespace) -> int:
    """Write the file, or print it where none is named.

    Raises
    ------
    OutputExistsError
        If the file is there already.
    """
    text = chosen_workflow(args).as_toml(absent=True)
    if args.file is None:
        say([text.rstrip("\n")])
        return 0
    path = Path(args.file).expanduser()
    if path.exists():
        raise OutputExistsError(f"{path} is there already; name another file, or remove it")
    with committed(path) as partial:
        partial.write_text(text, encoding="utf-8")
    say(aligned([["written to", str(path)]]))
    return 0

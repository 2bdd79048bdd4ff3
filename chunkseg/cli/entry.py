"""From arguments to an exit code.

0 done; 1 a comparison found differences; 2 an error; 3 some blocks could not be done, the rest is;
130 interrupted.

An error is said in one line, without a traceback unless ``--debug`` asks for it. What is imported
here is light; each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import logging
import traceback
import warnings
from collections.abc import Sequence

from chunkseg.cli.messages import error_text, logged, note
from chunkseg.cli.parser import build_parser
from chunkseg.errors import BlocksError, ChunksegError
from chunkseg.runner.allocator import keep_freed_memory

FAILED = 2
UNFINISHED = 3
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        The exit code: 0 for success, 1 where the demo's numbers or a verification differ, 2 for an
        error, which is said in one line on stderr, 3 where some blocks could not be done and the
        same command goes on once the cause is mended, 130 for an interrupt.

    Raises
    ------
    SystemExit
        By ``--help`` and ``--version``, with code 0.

    Examples
    --------
    >>> import contextlib, io
    >>> with contextlib.redirect_stderr(io.StringIO()) as said:
    ...     main(["info", "no-such-file.tif"])
    2
    >>> print(said.getvalue()[:38])
    chunkseg: error: there is nothing at /
    """
    debug = False
    try:
        if argv is None:
            keep_freed_memory()
        args = build_parser().parse_args(argv)
        debug = args.debug
        with warnings.catch_warnings(), logged(_level(args)):
            if not debug:
                warnings.simplefilter("ignore")
            return int(args.command(args))
    except KeyboardInterrupt:
        note("interrupted; the same command goes on from here")
        return INTERRUPTED
    except (ChunksegError, OSError) as error:
        if debug:
            traceback.print_exc()
        note(f"error: {error_text(error)}")
        return UNFINISHED if isinstance(error, BlocksError) else FAILED


def _level(args: argparse.Namespace) -> int:
    """Least level of what is logged that is shown."""
    if args.quiet:
        return logging.WARNING
    return logging.DEBUG if args.verbose else logging.INFO

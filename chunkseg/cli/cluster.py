"""``--scheduler`` and ``--cluster``: on which machines a command runs."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from chunkseg.errors import ParameterError
from chunkseg.runner.execution import Execution
from chunkseg.runner.workers import connected, local_cluster

_log = logging.getLogger("chunkseg")


@contextmanager
def cluster_of(args: argparse.Namespace) -> Iterator[Execution]:
    """Give where a command runs, and close what was started for it.

    Without either option that is threads of this process.

    Raises
    ------
    ParameterError
        If the options contradict each other, or the number of workers is none.
    ClusterError
        If there is no scheduler at the address, or the library for clusters is missing.
    """
    _check(args)
    if args.scheduler is not None:
        with connected(args.scheduler) as client:
            yield Execution(client=client)
    elif args.cluster is not None:
        with local_cluster(args.workers) as client:
            _log.info("dashboard of the workers: %s", client.dashboard_link)
            yield Execution(client=client)
    else:
        yield Execution(args.workers, client=None)


def _check(args: argparse.Namespace) -> None:
    if args.workers is not None and args.workers < 1:
        raise ParameterError(f"--workers must be at least 1; got {args.workers}")
    if args.scheduler is None:
        return
    if args.cluster is not None:
        raise ParameterError("give either --scheduler or --cluster, not both")
    if args.workers is not None:
        raise ParameterError(
            "--workers is the number of threads, or of processes of --cluster local; the cluster "
            f"at {args.scheduler} has its own number: leave --workers out"
        )

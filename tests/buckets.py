"""An S3 of this process, on loopback: a server, its buckets, and faults on request.

Run as a module, it is a process that carries out a workflow until it is killed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

BUCKET = "bucket"
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

Answer = tuple[int, dict[str, str], bytes]


class Bucket:
    """A server with one bucket.

    Attributes
    ----------
    requests
        How often each method was asked for each key, as ``("GET", "a.zarr/zarr.json")``.
    fault
        What is asked before a request is served; an answer of its own goes out instead.
    """

    def __init__(self) -> None:
        moto = pytest.importorskip("moto.server", reason="needs moto: pip install 'moto[server]'")
        pytest.importorskip("s3fs", reason="needs s3fs: pip install 'chunkseg[remote]'")
        self.requests: Counter[tuple[str, str]] = Counter()
        self.fault: Callable[[str, str], int | None] = lambda method, key: None
        self._server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        self._server.start()
        self._server._server.app = self._watched(self._server._server.app)
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    def _watched(self, app: Any) -> Any:
        def called(environ: dict[str, Any], start_response: Any) -> Any:
            method, key = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            key = key.strip("/").removeprefix(BUCKET).strip("/")
            self.requests[method, key] += 1
            status = self.fault(method, key)
            if status is None:
                return app(environ, start_response)
            start_response(f"{status} fault", [("Content-Type", "application/xml")])
            return [b"<Error><Code>InternalError</Code><Message>a fault</Message></Error>"]

        return called

    def close(self) -> None:
        """End the server."""
        self._server.stop()


@contextmanager
def bucket_server() -> Iterator[Bucket]:
    """Within it, ``s3://bucket`` is a bucket of this process, for its children too."""
    server = Bucket()
    variables = {**VARIABLES, "AWS_ENDPOINT_URL": server.url}
    former = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().makedirs(BUCKET, exist_ok=True)  # servers of a process share buckets
    try:
        yield server
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        s3fs.S3FileSystem.clear_instance_cache()
        server.close()


def blobs(shape: tuple[int, ...] = (40, 44), seed: int = 3) -> np.ndarray[Any, Any]:
    """Return an image of bright squares on a dark ground, with noise."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 40, shape)
    for _ in range(12):
        corner = [int(rng.integers(0, n - 7)) for n in shape]
        image[tuple(slice(a, a + 6) for a in corner)] += 150
    return image.astype(np.uint8)

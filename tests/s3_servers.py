"""S3's own API on the loopback (``moto``), behind a proxy that counts, and fails as it is asked to.

Not for: plain HTTP (:mod:`tests.address_servers`).
"""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: What must appear nowhere.
KEY, SECRET = "AKIALOUDKEY0123456789", "very-loud-secret"
BUCKET = "models"
_NAMED = "http://s3.amazonaws.com/doc/2006-03-01/"
_HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "host"})


@dataclass
class Bucket:
    """A bucket, what was asked of its server, and how that misbehaves.

    Attributes
    ----------
    client : boto3 client
        Speaks to the server itself, past the proxy.
    fault : callable
        Told method, path with query and how many requests there were, gives a status to answer with, ``"cut"`` to break
        off in the middle, or None.
    requests : list of (str, str, int)
        Method, path with query, and the bytes of the answer.
    """

    client: Any
    fault: Callable[[str, str, int], int | str | None] = lambda _method, _path, _count: None
    requests: list[tuple[str, str, int]] = field(default_factory=list)

    def put(self, directory: Path, prefix: str) -> None:
        """Upload a directory."""
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                name = f"{prefix}/{path.relative_to(directory).as_posix()}"
                self.client.put_object(Bucket=BUCKET, Key=name, Body=path.read_bytes())

    def names(self) -> list[str]:
        """Return the keys of all objects."""
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def unfinished(self) -> list[str]:
        """Return the keys of uploads in parts that nobody ended."""
        return [each["Key"] for each in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


@contextmanager
def s3_bucket() -> Iterator[Bucket]:
    """Serve an empty bucket, and have fsspec speak to it."""
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("s3fs")
    (host, port), client = _server()
    reset = http.client.HTTPConnection(host, port)
    reset.request("POST", "/moto-api/reset")
    assert reset.getresponse().status == 200
    reset.close()
    client.create_bucket(Bucket=BUCKET)
    bucket = Bucket(client)
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Proxy", (_Proxy,), {"bucket": bucket, "target": (host, port)}))
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    before = dict(fsspec.config.conf)
    fsspec.config.conf["s3"] = {
        "endpoint_url": f"http://127.0.0.1:{proxy.server_address[1]}",
        "key": KEY,
        "secret": SECRET,
        "client_kwargs": {"region_name": "us-east-1"},
    }
    try:
        yield bucket
    finally:
        fsspec.config.conf.clear()
        fsspec.config.conf.update(before)
        proxy.shutdown()
        proxy.server_close()
        thread.join()


@cache
def _server() -> tuple[tuple[str, int], Any]:
    """Begin the server that all tests of the process share, and a client of it; its state is the process' anyway."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    # Of the newest and the oldest moto alike.
    pytest.importorskip("werkzeug.serving").WSGIRequestHandler.disable_nagle_algorithm = True
    server.start()
    host, port = server.get_host_and_port()
    options = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    client = pytest.importorskip("boto3").client("s3", endpoint_url=f"http://{host}:{port}", **options)
    return (host, port), client


class _Proxy(BaseHTTPRequestHandler):
    """Hands every request on, and its answer back."""

    protocol_version = "HTTP/1.1"
    # As in :mod:`tests.address_servers`.
    disable_nagle_algorithm = True
    bucket: Bucket
    target: tuple[str, int]

    def log_message(self, *_: object) -> None:
        pass

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.bucket.fault(self.command, self.path, len(self.bucket.requests))
        if isinstance(fault, int):
            code = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}.get(fault, "InternalError")
            text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()
            self._answer(fault, {"Content-Type": "application/xml"}, text)
            return
        connection = http.client.HTTPConnection(*self.target)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        connection.request(self.command, self.path, body, {**headers, "Host": "{}:{}".format(*self.target)})
        answer = connection.getresponse()
        content = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        connection.close()
        self._answer(answer.status, kept, content, is_cut=fault == "cut")

    def _answer(self, status: int, headers: dict[str, str], content: bytes, *, is_cut: bool = False) -> None:
        self.bucket.requests.append((self.command, self.path, len(content)))
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        size = headers.get("Content-Length", headers.get("content-length")) if self.command == "HEAD" else None
        self.send_header("Content-Length", size or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if is_cut else content)
        if is_cut:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _hand_on  # noqa: N815 - http.server's names


def object_of(path: str) -> str:
    """Return the key that a request is about, empty for one about the bucket."""
    return urlsplit(path).path.removeprefix(f"/{BUCKET}").lstrip("/")

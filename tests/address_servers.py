"""HTTP servers on the loopback that count what they give, and fail as they are asked to.

Not for: S3, which has a server of its own (``moto``).
"""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Served:
    """A server's root, what it did, and how it misbehaves.

    Attributes
    ----------
    root : Path
        What it serves.
    ranges, listings, versions, lengths : bool
        Whether it knows ranges, pages of directories, ETags and dates, lengths.
    fault : callable
        Told method, path and how many requests there were, gives a status to answer with, ``"cut"`` to break off in the
        middle, or None.
    requests : list of (str, str)
        Method and path.
    sent : dict of str to int
        Bytes of bodies, by path.
    headers : list of dict
        Those of each request.
    """

    root: Path
    ranges: bool = True
    listings: bool = True
    versions: bool = True
    lengths: bool = True
    fault: Callable[[str, str, int], int | str | None] = lambda _method, _path, _count: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def count(self, path: str, size: int) -> None:
        """Count bytes of a body; each request has a thread of its own."""
        with self._counting:
            self.sent[path] = self.sent.get(path, 0) + size

    @property
    def bytes(self) -> int:
        """The bytes of all bodies."""
        return sum(self.sent.values())


@contextmanager
def serving(root: Path, **how: Any) -> Iterator[Served]:
    """Serve a directory on the loopback as long as the block lasts."""
    served = Served(root, **how)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"served": served}))
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers HEAD and GET of files, ranges of them, and directories."""

    protocol_version = "HTTP/1.1"
    # Head and body go out by themselves: the second would wait 40 ms for the answer to the first.
    disable_nagle_algorithm = True
    served: Served

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.served.requests.append((self.command, path))
        self.served.headers.append(dict(self.headers))
        fault = self.served.fault(self.command, path, len(self.served.requests))
        file = self.served.root / path.lstrip("/")
        if isinstance(fault, int):
            self._plain(fault, b"refused")
        elif file.is_dir():
            self._directory(file, path)
        elif file.is_file():
            self._file(file, path, is_cut=fault == "cut")
        else:
            self._plain(404, b"not found")

    def _plain(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _directory(self, directory: Path, path: str) -> None:
        if not self.served.listings:
            self._plain(404, b"not found")
        elif not path.endswith("/"):
            self._plain(301, b"", Location=quote(path) + "/")
        else:
            names = (each.name + "/" * each.is_dir() for each in sorted(directory.iterdir()))
            page = "".join(f'<a href="{quote(name)}">{name}</a>\n' for name in names)
            self._plain(200, page.encode(), **{"Content-Type": "text/html"})

    def _file(self, file: Path, path: str, *, is_cut: bool) -> None:
        status = file.stat()
        size = status.st_size
        span = _RANGE.fullmatch(self.headers.get("Range", "")) if self.served.ranges else None
        begin, end = (int(span[1]), int(span[2]) + 1 if span[2] else size) if span else (0, size)
        if span and begin >= size:
            self._plain(416, b"")
            return
        end = min(end, size)
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        if self.served.versions:
            mark = f"{status.st_mtime_ns} {size} {status.st_ino}".encode()
            self.send_header("ETag", f'"{hashlib.sha256(mark).hexdigest()[:16]}"')
            self.send_header("Last-Modified", self.date_time_string(int(status.st_mtime)))
        if self.served.lengths or self.command == "HEAD":
            self.send_header("Content-Length", str(end - begin))
        if not self.served.lengths:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command == "GET":
            self._send(file, path, begin, end if not is_cut else (begin + end) // 2)
        if is_cut:
            self.close_connection = True

    def _send(self, file: Path, path: str, begin: int, end: int) -> None:
        with file.open("rb") as opened:
            opened.seek(begin)
            while begin < end and (block := opened.read(min(1 << 16, end - begin))):
                # Counted before it goes: who has the last block looks at the count at once.
                self.served.count(path, len(block))
                try:
                    self.wfile.write(block)
                except OSError:
                    self.served.count(path, -len(block))
                    return
                begin += len(block)

"""Ask an HTTP server: each answer's length, range and version are held against what is known of the file.

``fsspec``'s own ``cat_file`` gives the whole file where a server knows no ranges, and does not notice a file that
changes between two of them (``fsspec/implementations/http.py``); its session, its settings and its listings are used.
Not for: keeping what was fetched (:mod:`tfmagic.files.addresses.remote_place`).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import email.utils
import re
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from tfmagic import progress
from tfmagic.files import temporary_files
from tfmagic.files.addresses.entries import ChangedError, Entry, NoRangesError
from tfmagic.files.addresses.stores import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

_T = TypeVar("_T")
#: Statuses that pass: too many requests, and servers that are busy, starting or behind a busy one.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRIES = 4
#: Seconds before the second try, doubled each time; a server may ask for more, up to a limit.
_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
_OK, _PARTIAL, _NOT_FOUND, _FAILED, _NOT_SATISFIABLE = 200, 206, frozenset({404, 410}), 412, 416
#: A server may answer so where it knows no HEAD, or a signature is for GET alone.
_NO_HEAD = frozenset({400, 401, 403, 405, 501})
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_CHUNK = 1 << 20
#: Seconds without an answer after which a server is asked again.
_SILENCE = 60.0
#: Seconds between two looks whether somebody wants to stop.
_LOOK = 0.1
#: Servers without listings have no directories; these names make one of a SavedModel's.
_MARKERS = ("saved_model.pb", "saved_model.pbtxt")


class StatusError(Exception):
    """A server's refusal, by its status."""

    def __init__(self, status: int, wait: float = 0.0) -> None:
        super().__init__(status)
        self.status = status
        self.wait = wait


class HttpStore(Store):
    """An HTTP server."""

    def entry(self, path: str, *, fresh: bool = False) -> Entry | None:
        """Return what is at a URL, None if there is nothing; what a server says is always fresh."""
        del fresh
        return self._run(lambda: self._entry(path))

    def is_directory(self, path: str) -> bool:
        """Whether a URL without a file stands for a directory: it has a page of its own, or a model's file below it."""
        plain, mark, query = path.partition("?")
        inner = [f"{plain.rstrip('/')}/{name}{mark}{query}" for name in ("", *_MARKERS)]
        return any(self.entry(url) is not None for url in inner)

    def listing(self, path: str) -> dict[str, Entry]:
        """Return the names that a server's page of a directory links to; sizes are not known."""
        plain, mark, query = path.partition("?")
        self.fetched.requests += 1
        own = plain.rstrip("/") + "/"
        try:
            links = self.files.ls(f"{own}{mark}{query}", detail=False)
        except Exception as error:  # noqa: BLE001 - what has no page has no listing, whatever is said of it
            del error
            return {}
        names = [str(link).removeprefix(own) for link in links if str(link).startswith(own)]
        inside = [re.split(r"[?#]", name)[0] for name in names]
        return {
            unquote(name.rstrip("/")): Entry(0, is_directory=True) if name.endswith("/") else Entry(-1)
            for name in inside
            if name.strip("/") and "/" not in name.rstrip("/")
        }

    def read(self, path: str, entry: Entry, begin: int, end: int) -> bytes:
        """Return bytes of the version that is known; raises as :meth:`Store.read`."""
        return self._run(lambda: self._read(path, entry, begin, end))

    def _copy_whole(self, path: str, entry: Entry, target: IO[bytes]) -> None:
        self._run(lambda: self._stream(path, entry, target))

    def copy(self, path: str, entry: Entry, target: IO[bytes]) -> None:
        """Fetch a file whole; one whose size is not known comes in one piece."""
        if entry.size < 0:
            self._copy_whole(path, entry, target)
        else:
            super().copy(path, entry, target)

    def _run(self, ask: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Ask until there is an answer, a few times where what failed may pass; ends where somebody wants to stop."""
        future = asyncio.run_coroutine_threadsafe(_persistent(ask), self.files.loop)
        try:
            while not concurrent.futures.wait([future], timeout=_LOOK).done:
                progress.check()
        except BaseException:
            future.cancel()
            raise
        return future.result()

    async def _asked(self, method: str, url: str, headers: Mapping[str, str]) -> Any:  # noqa: ANN401 - of aiohttp
        session = await self.files.set_session()
        # A large file takes as long as it takes; a server that says nothing for a while is another story.
        options = {"timeout": _timeout(), **self.files.kwargs}
        # A range of what was packed on the way would be of no use.
        sent = {"Accept-Encoding": "identity", **options.pop("headers", {}), **headers}
        self.fetched.requests += 1
        return session.request(method, self.files.encode_url(url), headers=sent, allow_redirects=True, **options)

    async def _entry(self, url: str) -> Entry | None:
        async with await self._asked("HEAD", url, {}) as answer:
            # A redirection is a question more.
            self.fetched.requests += len(answer.history)
            if answer.status in _NOT_FOUND:
                return None
            if answer.status == _OK and "Content-Length" in answer.headers:
                return _entry(answer, int(answer.headers["Content-Length"]))
            if answer.status not in (_OK, *_NO_HEAD):
                raise _refusal(answer)
        async with await self._asked("GET", url, {"Range": "bytes=0-0"}) as answer:
            self.fetched.requests += len(answer.history)
            if answer.status in _NOT_FOUND:
                return None
            if answer.status == _NOT_SATISFIABLE:
                return _entry(answer, 0)
            if answer.status == _PARTIAL and (span := _span(answer)) is not None:
                return _entry(answer, span[2])
            if answer.status == _OK:
                return _entry(answer, int(answer.headers.get("Content-Length", -1)))
            raise _refusal(answer)

    async def _read(self, url: str, entry: Entry, begin: int, end: int) -> bytes:
        async with await self._asked("GET", url, {"Range": f"bytes={begin}-{end - 1}"}) as answer:
            if answer.status in (_FAILED, _NOT_SATISFIABLE):
                raise ChangedError
            if answer.status == _OK:
                # It is on its way, and no other answer is to be had.
                whole = temporary_files.nameless()
                try:
                    await self._receive(answer, entry, whole)
                except BaseException:
                    whole.close()
                    raise
                raise NoRangesError(whole)
            if answer.status != _PARTIAL:
                raise _refusal(answer)
            span = _span(answer)
            if span is None or span[0] != begin or span[2] not in (entry.size, -1):
                raise ChangedError
            self.fetched.requests += len(answer.history)
            _require_same(entry, _entry(answer, entry.size))
            data: bytes = await answer.read()
            self.fetched.bytes += len(data)
        if len(data) != end - begin:
            raise ChangedError
        return data

    async def _stream(self, url: str, entry: Entry, target: IO[bytes]) -> None:
        async with await self._asked("GET", url, {}) as answer:
            if answer.status != _OK:
                raise _refusal(answer)
            await self._receive(answer, entry, target)

    async def _receive(self, answer: Any, entry: Entry, target: IO[bytes]) -> None:  # noqa: ANN401 - of aiohttp
        """Write a whole file, as it comes."""
        self.fetched.requests += len(answer.history)
        _require_same(entry, _entry(answer, entry.size))
        begin = target.tell()
        try:
            async for chunk in answer.content.iter_chunked(_CHUNK):
                self.fetched.bytes += len(chunk)
                target.write(chunk)
        except Exception:
            # It is tried once more, from the begin.
            target.seek(begin)
            target.truncate()
            raise
        if entry.size not in (target.tell() - begin, -1):
            raise ChangedError


def _timeout() -> Any:  # noqa: ANN401 - of aiohttp
    import aiohttp  # noqa: PLC0415 - it is there where there is HTTP

    return aiohttp.ClientTimeout(total=None, connect=_SILENCE, sock_read=_SILENCE)


async def _persistent(ask: Callable[[], Awaitable[_T]]) -> _T:
    import aiohttp  # noqa: PLC0415 - it is there where there is HTTP

    pause = _PAUSE
    for _ in range(_TRIES - 1):
        try:
            return await ask()
        except StatusError as error:
            if error.status not in _PASSING:
                raise
            pause = max(pause, error.wait)
        except (TimeoutError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            # Cut in the middle, or not reached: the next try tells.
            pass
        await asyncio.sleep(min(pause, _LONGEST_PAUSE))
        pause *= 2
    return await ask()


def _refusal(answer: Any) -> StatusError:  # noqa: ANN401 - of aiohttp
    wait = str(answer.headers.get("Retry-After", ""))
    return StatusError(answer.status, float(wait) if wait.isdecimal() else 0.0)


def _entry(answer: Any, size: int) -> Entry:  # noqa: ANN401 - of aiohttp
    """Read what an answer says of the file; a URL that ends in a slash, perhaps after a redirection, is a directory."""
    if str(answer.url.path).endswith("/"):
        return Entry(0, is_directory=True)
    date = str(answer.headers.get("Last-Modified", ""))
    tag = str(answer.headers.get("ETag", "")).removeprefix("W/") or date
    try:
        time = int(email.utils.parsedate_to_datetime(date).timestamp() * 1e9)
    except ValueError:
        time = 0
    return Entry(size, tag=tag, modified=time)


def _require_same(entry: Entry, now: Entry) -> None:
    """Raise where an answer speaks of another version; one that says nothing of it passes."""
    if now.tag and entry.tag and now.tag != entry.tag:
        raise ChangedError


def _span(answer: Any) -> tuple[int, int, int] | None:  # noqa: ANN401 - of aiohttp
    parts = _RANGE.fullmatch(str(answer.headers.get("Content-Range", "")).strip())
    return None if parts is None else (int(parts[1]), int(parts[2]), -1 if parts[3] == "*" else int(parts[3]))

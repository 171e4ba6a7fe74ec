"""Ask for what is at an address: one request at a time, each answer checked, each counted.

The base class does so by ``fsspec``'s contract, which is what file systems that have no class of their own here get.
Not for: keeping what was fetched (:mod:`tfmagic.files.addresses.remote_place`), or HTTP
(:mod:`tfmagic.files.addresses.http_store`).
"""

from __future__ import annotations

import datetime as dt
import shutil
from typing import IO, Any

from tfmagic import progress
from tfmagic.files.addresses.entries import ChangedError, Entry, Fetched, NoRangesError

#: Where a file system of ``fsspec``'s says which version of an object it speaks of, and when that was written.
_TAGS = ("ETag", "etag", "md5Hash", "md5", "checksum", "version_id", "generation", "sha256", "blob_id")
_TIMES = ("LastModified", "last_modified", "Last-Modified", "mtime", "updated", "modified", "created")
#: A whole file comes in pieces of at least so many bytes, and at most so many pieces.
_PIECE, _PIECES = 8 << 20, 40


class Store:
    """A file system of ``fsspec``'s.

    Parameters
    ----------
    files : AbstractFileSystem
        As ``fsspec`` made it, with the user's configuration.
    """

    def __init__(self, files: Any) -> None:  # noqa: ANN401 - of an optional library
        self.files = files
        self.fetched = Fetched()

    def entry(self, path: str, *, fresh: bool = False) -> Entry | None:
        """Return what is at a path, None if there is nothing; ``fresh`` asks whatever a listing has said."""
        if fresh:
            self.files.invalidate_cache(self.files._parent(path))  # noqa: SLF001 - fsspec's own name for it
        self.fetched.requests += 1
        try:
            return _entry(self.files.info(path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_directory(self, path: str) -> bool:
        """Whether a path without an entry stands for a directory."""
        del path
        return False

    def listing(self, path: str) -> dict[str, Entry]:
        """Return what is in a directory, by name, nothing if it is none."""
        self.fetched.requests += 1
        try:
            rows = self.files.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        own = path.strip("/")
        # An object store may have an object under the directory's own name.
        inside = [row for row in rows if str(row["name"]).strip("/") != own]
        return {str(row["name"]).rstrip("/").rpartition("/")[2]: _entry(row) for row in inside}

    def read(self, path: str, entry: Entry, begin: int, end: int) -> bytes:
        """Return bytes of the version that is known.

        Raises
        ------
        NoRangesError
            If the answer is the whole file.
        ChangedError
            If it is of another version, or of none any more.
        """
        self.fetched.requests += 1
        data = self._range(path, begin, end)
        self.fetched.bytes += len(data)
        if len(data) == end - begin:
            self.require_same(path, entry)
            return data
        if len(data) == entry.size:
            raise NoRangesError
        raise ChangedError

    def _range(self, path: str, begin: int, end: int) -> bytes:
        data: bytes = self.files.cat_file(path, start=begin, end=end)
        return data

    def require_same(self, path: str, entry: Entry) -> None:
        """Raise ChangedError where another version is there by now."""
        if self.entry(path, fresh=True) != entry:
            raise ChangedError

    def copy(self, path: str, entry: Entry, target: IO[bytes]) -> None:
        """Fetch a file whole, in pieces where the server gives such; raises as :meth:`read`."""
        step = max(_PIECE, -(-entry.size // _PIECES))
        begin = target.tell()
        for place in range(0, entry.size, step):
            progress.check()
            try:
                target.write(self.read(path, entry, place, min(place + step, entry.size)))
            except NoRangesError as error:
                target.seek(begin)
                target.truncate()
                if error.whole is None:
                    self._copy_whole(path, entry, target)
                else:
                    with error.whole as whole:
                        whole.seek(0)
                        shutil.copyfileobj(whole, target)
                return

    def _copy_whole(self, path: str, entry: Entry, target: IO[bytes]) -> None:
        self.fetched.requests += 1
        data = self.files.cat_file(path)
        self.fetched.bytes += len(data)
        if len(data) != entry.size:
            raise ChangedError
        target.write(data)


class CachedStore(Store):
    """A chain that begins with a cache, as the user wrote it: ``filecache::s3://bucket/model.h5``."""

    def _range(self, path: str, begin: int, end: int) -> bytes:
        # The cache's own way to a file: it fetches the file, or its blocks, as the user asked for.
        with self.files.open(path, "rb") as file:
            file.seek(begin)
            data: bytes = file.read(end - begin)
        return data


class ConditionalStore(Store):
    """S3: the question names the version, and a server that has another one refuses (``IfMatch``)."""

    def _range(self, path: str, begin: int, end: int) -> bytes:
        # An open file of s3fs asks on condition of the version that it was opened at; its own caches are left out.
        if path not in self._open:
            self._open[path] = self.files.open(path, "rb", cache_type="none")
        file = self._open[path]
        file.seek(begin)
        try:
            data: bytes = file.read(end - begin)
        except Exception as error:
            # Of a library that may not be installed.
            if type(error).__name__ == "FileExpired":
                raise ChangedError from None
            raise
        return data

    def __init__(self, files: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(files)
        self._open: dict[str, Any] = {}

    def require_same(self, path: str, entry: Entry) -> None:
        """Hold the version that the file was opened at against the one that is known: no question is asked for it."""
        if _entry(self._open[path].details) != entry:
            raise ChangedError


def _entry(info: Any) -> Entry:  # noqa: ANN401 - a dict of a file system's own
    """Read what a file system says of a path."""
    size = info.get("size")
    time = next((info[key] for key in _TIMES if info.get(key)), None)
    nanoseconds = _nanoseconds(time)
    # A list and an answer write the same time, and the same tag, in ways of their own.
    tag = next((str(info[key]).strip('"') for key in _TAGS if info.get(key)), str(nanoseconds or ""))
    # A directory of an object store is a name: what it says of itself changes with what is in it.
    if info.get("type") == "directory":
        return Entry(0, is_directory=True)
    return Entry(-1 if size is None else size, tag=tag, modified=nanoseconds)


def _nanoseconds(time: object) -> int:
    if isinstance(time, dt.datetime):
        return int(time.timestamp() * 1e9)
    if isinstance(time, int | float):
        return int(time * 1e9)
    try:
        return int(dt.datetime.fromisoformat(str(time)).timestamp() * 1e9)
    except ValueError:
        return 0

"""Keep what was asked of an address: entries, listings, blocks; and say in our words what went wrong.

A model read from an address has one place of its own, so that what it cost can be told. Not for: asking
(:mod:`tfmagic.files.addresses.stores`).
"""

from __future__ import annotations

import io
import itertools
import os
import threading
import weakref
from collections import OrderedDict
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from tfmagic import errors, optional, progress
from tfmagic.files import temporary_files
from tfmagic.files.addresses import urls
from tfmagic.files.addresses.entries import ChangedError, Entry, NoRangesError
from tfmagic.files.addresses.http_store import HttpStore
from tfmagic.files.addresses.refusals import RefusedError, translated
from tfmagic.files.addresses.stores import CachedStore, ConditionalStore, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

    from tfmagic.files.addresses.urls import Url

#: What is fetched at least: headers of HDF5 lie between the values, and of a larger block most would be values.
BLOCK = 16 << 10
#: So many blocks are fetched at once where the ones before were read: 64 KiB.
_AHEAD = 4
#: Blocks of a model that are kept: 16 MiB.
_KEPT = 1024
#: A longer stretch is read once, and would push out all that is read over and over.
_LONG = 1 << 20
#: A whole file comes in so many pieces at most, each of at least so many bytes.
_PIECES, _PIECE = 40, 8 << 20
_HTTP = "fsspec.implementations.http"
#: What has to be installed for a protocol; what is not listed says it itself.
_PACKAGES = {
    **dict.fromkeys(("http", "https", "memory"), "tfmagic[remote]"),
    **dict.fromkeys(("s3", "s3a"), "tfmagic[s3]"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az", "adl"), "adlfs"),
    "hf": "huggingface_hub",
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
}


class RemotePlace:
    """A file system at an address, as one model sees it.

    Attributes
    ----------
    url : Url
        The address that the user named, taken apart.
    store : Store
        Who is asked.
    notes : list of str
        What a person should know of how it was fetched.
    """

    def __init__(self, url: Url, store: Store) -> None:
        self.url = url
        self.store = store
        self.notes: list[str] = []
        #: Why the address that the user named could not be looked at.
        self.refusal: RefusedError | None = None
        self._lock = threading.RLock()
        self._entries: dict[str, Entry | None] = {}
        self._listings: dict[str, dict[str, Entry]] = {}
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._whole: dict[str, IO[bytes]] = {}
        weakref.finalize(self, _close, self._whole)

    def anew(self) -> RemotePlace:
        """Return the place as somebody sees it who has asked nothing yet."""
        return RemotePlace(self.url, type(self.store)(self.store.files))

    # What is there

    def entry(self, path: str, *, fresh: bool = False) -> Entry | None:
        """Return what is at a path, None if there is nothing; as it was when it was first asked for, or ``fresh``."""
        with self._lock:
            if fresh:
                with self.refusals(path):
                    return self.store.entry(self.url.asked(path), fresh=True)
            if path not in self._entries:
                self._entries[path] = self._looked_up(path)
            return self._entries[path]

    def _looked_up(self, path: str) -> Entry | None:
        parent, _, name = path.rpartition("/")
        siblings = self._listings.get(parent)
        known = None if siblings is None else siblings.get(name)
        if siblings and (known is None or known.size >= 0):
            return known
        try:
            with self.refusals(path):
                return self.store.entry(self.url.asked(path))
        except RefusedError as error:
            # Who may read an object, but not list the others, is refused what is not there.
            if path == self.url.path:
                self.refusal = error
            return None

    def seen(self) -> list[str]:
        """Return the files that were asked for and are there."""
        with self._lock:
            return [path for path, entry in self._entries.items() if entry is not None and not entry.is_directory]

    def is_directory(self, path: str) -> bool:
        """Whether a path is a directory."""
        with self._lock:
            known = self.entry(path)
            if known is None:
                if path != self.url.path:
                    # The one that the user named is looked at more closely: each look costs a request.
                    return False
                with self.refusals(path):
                    if not self.store.is_directory(self.url.asked(path)):
                        return False
                    # Some servers show a page for whatever ends in a slash: what is refused is no empty directory.
                    if self.refusal is not None and not self.listing(path):
                        raise self.refusal
                self._entries[path] = known = Entry(0, is_directory=True)
            return known.is_directory

    def listing(self, path: str) -> dict[str, Entry]:
        """Return what is in a directory, by name."""
        with self._lock:
            if path not in self._listings:
                with self.refusals(path):
                    self._listings[path] = self.store.listing(self.url.asked(path))
            return self._listings[path]

    # What is in it

    def opened(self, path: str) -> RangeFile:
        """Open a file for reading.

        Raises
        ------
        FileNotFoundError, IsADirectoryError
            If there is none.
        """
        entry = self.entry(path)
        if entry is None:
            raise FileNotFoundError(urls.nothing_at(self.url.shown(path)))
        if entry.is_directory:
            raise IsADirectoryError(21, "it is a directory")
        if entry.size < 0:
            entry = self.fetched_whole(path, entry, "the server does not say how long it is")
        return RangeFile(self, path, entry)

    def read(self, path: str, entry: Entry, begin: int, end: int) -> bytes:
        """Return bytes of a file, of blocks that are kept where that is for the good."""
        with self._lock:
            if path not in self._whole:
                try:
                    return self._read(path, entry, begin, end)
                except NoRangesError as error:
                    self.fetched_whole(path, entry, "the server gives no ranges of it", error.whole)
            whole = self._whole[path]
            whole.seek(begin)
            return whole.read(end - begin)

    def _read(self, path: str, entry: Entry, begin: int, end: int) -> bytes:
        if end - begin > _LONG:
            step = max(_PIECE, -(-entry.size // _PIECES))
            cuts = [*range(begin, end, step), end]
            return b"".join(self._range(path, entry, *cut) for cut in itertools.pairwise(cuts))
        first, last = begin // BLOCK, max(begin, end - 1) // BLOCK
        missing = [number for number in range(first, last + 1) if (path, number) not in self._blocks]
        if missing:
            is_going_on = all((path, missing[0] - back) in self._blocks for back in (1, 2))
            to = max(missing[-1], missing[0] + _AHEAD - 1) if is_going_on else missing[-1]
            self._fetch_blocks(path, entry, missing[0], min(to, (entry.size - 1) // BLOCK))
        blocks = [self._blocks[path, number] for number in range(first, last + 1)]
        for number in range(first, last + 1):
            self._blocks.move_to_end((path, number))
        while len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return b"".join(blocks)[begin - first * BLOCK : end - first * BLOCK]

    def _fetch_blocks(self, path: str, entry: Entry, first: int, last: int) -> None:
        """Fetch the blocks from the first that is missing to the last in one request."""
        begin = first * BLOCK
        data = self._range(path, entry, begin, min((last + 1) * BLOCK, entry.size))
        for number in range(first, last + 1):
            self._blocks[path, number] = data[number * BLOCK - begin :][:BLOCK]

    def _range(self, path: str, entry: Entry, begin: int, end: int) -> bytes:
        progress.check()
        if begin >= end:
            return b""
        with self.refusals(path):
            return self.store.read(self.url.asked(path), entry, begin, end)

    def fetched_whole(
        self, path: str, entry: Entry | None = None, why: str = "", whole: IO[bytes] | None = None
    ) -> Entry:
        """Fetch a file into a temporary one without a name, which goes with the place; it is told why.

        Raises
        ------
        ReadError
            If it cannot be fetched.
        WriteError
            If the temporary directory has no room for it.
        """
        with self._lock:
            entry = entry or self.entry(path)
            if entry is None:
                raise FileNotFoundError(urls.nothing_at(self.url.shown(path)))
            if path in self._whole:
                return entry
            # It stays open as long as the place is used.
            target = whole or temporary_files.nameless()
            if whole is None:
                self.copy(path, entry, target)
            entry = entry._replace(size=target.seek(0, os.SEEK_END))
            self._whole[path], self._entries[path] = target, entry
            self.notes.append(f"{self.url.shown(path)!r} was fetched whole ({entry.size:,} bytes): {why}")
            return entry

    def copy(self, path: str, entry: Entry, target: IO[bytes]) -> None:
        """Fetch a file whole into one that is open; raises as :meth:`refusals`."""
        with self._lock, self.refusals(path):
            whole = self._whole.get(path)
            if whole is None:
                self.store.copy(self.url.asked(path), entry, target)
                return
            whole.seek(0)
            progress.copy(whole, target)  # type: ignore[arg-type]

    # What went wrong

    @contextmanager
    def refusals(self, path: str) -> Iterator[None]:
        """Say in our words what a server or a library refuses: theirs may hold credentials.

        Raises
        ------
        FileNotFoundError
            If nothing is there.
        ReadError
            If it may not be read, or the server does not answer.
        CorruptSourceError
            If it changed.
        WriteError
            If the temporary directory has no room for what is fetched.
        """
        try:
            yield
        except (errors.TfMagicError, NoRangesError) as error:
            if not isinstance(error, ChangedError):
                raise
            problem = "changed while it was read"
        except Exception as error:  # noqa: BLE001 - libraries of all kinds, whose texts are not repeated
            raise translated(error, self.url.shown(path)) from None
        else:
            return
        message = f"{self.url.shown(path)!r} {problem}; read it again once its writer is done"
        raise errors.CorruptSourceError(message) from None


class RangeFile(io.RawIOBase):
    """A file at an address, read where it is looked at."""

    #: By so many bytes it is fetched at least.
    block = BLOCK

    def __init__(self, place: RemotePlace, path: str, entry: Entry) -> None:
        super().__init__()
        self._place, self._path, self._entry = place, path, entry
        self._position = 0

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Choose where the next read begins."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._entry.size}[whence]
        if base + offset < 0:
            raise OSError(22, "a position before the begin")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read bytes into a buffer."""
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._entry.size)
        count = max(0, end - self._position)
        if count:
            view[:count] = self._place.read(self._path, self._entry, self._position, end)
        self._position += count
        return count


def _close(files: dict[str, IO[bytes]]) -> None:
    """Let go of temporary files; they have no names, so that nothing is left of them."""
    for file in files.values():
        file.close()


def place_at(text: str) -> tuple[RemotePlace, str]:
    """Return the place of an address, and the path in it.

    Raises
    ------
    MissingDependencyError
        If what speaks its protocol is not installed.
    ReadError
        If nothing does.
    """
    text = urls.chained(text)
    fsspec = optional.library("fsspec", "reading what lies at an address", "tfmagic[remote]")
    scheme, shown = urls.scheme(text), urls.without_credentials(text)
    try:
        files, path = fsspec.core.url_to_fs(text)
    except ImportError:
        package = _PACKAGES.get(scheme, f"fsspec[{scheme}]")
        raise errors.MissingDependencyError(f"reading {scheme}:// addresses", package) from None
    except Exception as error:  # noqa: BLE001 - a file system may raise anything about a setting, and repeat it
        if isinstance(error, ValueError) and scheme not in fsspec.available_protocols():
            known = "https://, s3://, gs://, abfs://, hf://, memory://"
            message = f"{shown!r} begins with a protocol that fsspec does not know; use {known} or another of its"
            raise errors.ReadError(message) from None
        raise translated(error, shown) from None
    url = urls.taken_apart(text, path)
    return RemotePlace(url, store_of(files)), url.path


def store_of(files: Any) -> Store:  # noqa: ANN401 - of an optional library
    """Return who asks a file system, by its protocol."""
    protocols = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
    if protocols & urls.CACHES:
        return CachedStore(files)
    # Before 2025.10 fsspec's own class for HTTP names no protocol.
    if "https" in protocols or any(kind.__module__ == _HTTP for kind in type(files).__mro__):
        return HttpStore(files)
    return ConditionalStore(files) if "s3" in protocols else Store(files)

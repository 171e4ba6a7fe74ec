"""Open a file for reading: whole, within bounds, and noticing when it changes meanwhile.

Files are read, not mapped: a mapped file that another process truncates kills the reader. Not for: writing
(:mod:`tfmagic.files.writing`) or what the bytes mean.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import zlib
from contextlib import contextmanager, suppress
from io import BufferedReader
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import wire
from tfmagic.files.addresses.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

#: Protobuf readers, TensorFlow's among them, take no message beyond this (protobuf's own limit).
PROTOBUF_LIMIT = 2**31 - 1
#: Windows knows neither the flag nor named pipes among its files.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
GZIP_MAGIC = b"\x1f\x8b"
#: A gzip file may grow to this many times its size; weights and text stay far below, a bomb does not.
_GROWTH, _ALWAYS_ALLOWED = 200, 64 << 20
#: Text may grow further: what a graph says of a million nodes, or of weights that are zeros, is the same over and over.
_TEXT_ALLOWED, _LOOKED_AT = 256 << 20, 4096
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


@contextmanager
def refusals(path: Path | None) -> Iterator[None]:
    """Translate what the system refuses of a path; that there is nothing at it stays FileNotFoundError.

    Raises
    ------
    ReadError
        If it may not be read, is a directory, or the way to it is a loop of links.
    """
    try:
        yield
    except (FileNotFoundError, errors.TfMagicError):
        raise
    except PermissionError as error:
        message = f"{str(path)!r} may not be read by this user; change its permissions or copy it"
        raise errors.ReadError(message) from error
    except OSError as error:
        message = f"{str(path)!r} cannot be read: {error.strerror or error}"
        raise errors.ReadError(f"{message}; check that it is a whole file, and the way to it") from error


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file for reading, translating what the system refuses.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    ReadError
        If it may not be read, is no regular file, or the way to it is a loop of links.
    CorruptSourceError
        If it changed while it was open: what was read may be half of the one and half of the other.
    """
    with refusals(path):
        if isinstance(path, Address):
            # What it is, and whether it is still the same, is looked at with each answer.
            with path.opened() as remote:
                yield remote
            return
        source = _Source(path)
    file: BufferedReader = BufferedReader(source)
    with file:
        before = os.fstat(source.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise errors.ReadError(f"{str(path)!r} is no regular file; copy what it holds into one and give that")
        yield file
    if not _is_same(before, path):
        message = f"{str(path)!r} changed while it was read; read it again once its writer is done"
        raise errors.CorruptSourceError(message)


class _Source(io.FileIO):
    """A file whose own refusals are translated, and nothing else that goes wrong while it is open."""

    def __init__(self, path: Path) -> None:
        # A pipe is opened without waiting for who writes into it, and then refused.
        super().__init__(path, "rb", opener=lambda name, flags: os.open(name, flags | _NONBLOCK))
        self._path = path

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        """Read bytes into a buffer."""
        with refusals(self._path):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        """Read all that is left."""
        with refusals(self._path):
            return super().readall() or b""


def _is_same(before: os.stat_result, path: Path) -> bool:
    """Say whether the file at a path is still the one that was opened, unchanged."""
    try:
        after = path.stat()
    except FileNotFoundError:
        return False
    return (before.st_ino, before.st_size, before.st_mtime_ns) == (after.st_ino, after.st_size, after.st_mtime_ns)


def read_bytes(path: Path) -> bytes:
    """Read a small or a text file whole."""
    with opened(path) as file:
        return file.read()


def read_buffer(path: Path) -> wire.Buffer:
    """Read a protobuf file whole, unpacked if it is gzipped.

    Raises
    ------
    CorruptSourceError
        If it is larger than a protobuf message can be, or unpacks to more than it plausibly holds.
    """
    with opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size > PROTOBUF_LIMIT:
            raise errors.CorruptSourceError(_too_large(path, size))
        data = bytearray(size + wire.PADDING)
        read = file.readinto(memoryview(data)[:size])
    if data[:2] == GZIP_MAGIC:
        return wire.Buffer(gunzip(path, bytes(data[:size])))
    return wire.Buffer(data, read)


def _too_large(path: Path, size: int) -> str:
    return (
        f"{str(path)!r} has {size / 2**30:.2f} GiB: no protobuf reader takes a message past 2 GiB, so neither does "
        "TensorFlow. Export the model it came from as a SavedModel instead: its weights lie outside the graph"
    )


def gunzip(path: Path, data: bytes) -> bytes:
    """Unpack gzip data of a file, all its members, to no more than a model of that size plausibly grows to."""
    allowed = _TEXT_ALLOWED if _is_text(head_of(data, _LOOKED_AT)) else _ALWAYS_ALLOWED
    limit = min(max(len(data) * _GROWTH, allowed), PROTOBUF_LIMIT)
    try:
        with gzip.open(io.BytesIO(data)) as file:
            # One byte more than there is room for tells a file that fills it from one that does not fit.
            result = file.read(limit + 1)
    except EOFError as error:
        message = f"{str(path)!r} is gzip that ends early: it is truncated; fetch or copy it again"
        raise errors.CorruptSourceError(message) from error
    except (OSError, zlib.error) as error:
        message = f"{str(path)!r} begins as gzip but does not unpack: {error}; fetch or pack it again"
        raise errors.CorruptSourceError(message) from error
    if len(result) > limit:
        message = f"{str(path)!r} unpacks to more than {limit >> 20} MiB, which no model of its size does"
        raise errors.CorruptSourceError(f"{message}: it is made to fill the memory; do not use it")
    return result


def _is_text(head: bytes) -> bool:
    """Say whether a file begins as text: without the bytes that no text has."""
    return bool(head) and _NO_TEXT.search(head) is None


def head_of(data: bytes, limit: int) -> bytes:
    """Return the first bytes of a file's head, unpacked as far as it unpacks if it is gzipped."""
    if data[:2] != GZIP_MAGIC:
        return data
    content = bytearray()
    with suppress(OSError, EOFError, zlib.error), gzip.open(io.BytesIO(data)) as file:
        while len(content) < limit and (piece := file.read1(limit - len(content))):
            content += piece
    return bytes(content)

"""Open a file for reading: whole, within bounds, and noticing when it changes meanwhile.

Files are read, not mapped: a mapped file that another process truncates kills the reader. Not for: writing
(:mod:`tfmagic.storage`) or what the bytes mean.
"""

from __future__ import annotations

import os
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tfmagic import errors, wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

#: Protobuf readers, TensorFlow's among them, take no message beyond this (protobuf's own limit).
PROTOBUF_LIMIT = 2**31 - 1
GZIP_MAGIC = b"\x1f\x8b"
#: A gzip file may grow to this many times its size; weights and text stay far below, a bomb does not.
_GROWTH, _ALWAYS_ALLOWED = 200, 64 << 20


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file for reading, translating what the system refuses.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    ReadError
        If it may not be read, is a directory, or the way to it is a loop of links.
    CorruptSourceError
        If it changed while it was open: what was read may be half of the one and half of the other.
    """
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            yield file
            after = path.stat()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _refused(path, error) from error
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
        message = f"{str(path)!r} changed while it was read; read it again once its writer is done"
        raise errors.CorruptSourceError(message)


def _refused(path: Path, error: OSError) -> errors.ReadError:
    """Word what the system says of a path."""
    if isinstance(error, errors.TfMagicError):
        return error  # type: ignore[return-value]
    if isinstance(error, PermissionError):
        return errors.ReadError(f"{str(path)!r} may not be read by this user; change its permissions or copy it")
    return errors.ReadError(f"{str(path)!r} cannot be read: {error.strerror or error}")


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
        size = os.fstat(file.fileno()).st_size
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
    """Unpack gzip data of a file, to no more than a model of that size plausibly grows to."""
    limit = min(max(len(data) * _GROWTH, _ALWAYS_ALLOWED), PROTOBUF_LIMIT)
    unpacker = zlib.decompressobj(wbits=31)
    try:
        result = unpacker.decompress(data, limit)
    except zlib.error as error:
        message = f"{str(path)!r} begins as gzip but does not unpack: {error}; fetch or pack it again"
        raise errors.CorruptSourceError(message) from error
    if unpacker.unconsumed_tail:
        message = f"{str(path)!r} unpacks to more than {limit >> 20} MiB, which no model of its size does"
        raise errors.CorruptSourceError(message)
    if not unpacker.eof:
        message = f"{str(path)!r} is gzip that ends early: it is truncated; fetch or copy it again"
        raise errors.CorruptSourceError(message)
    return result


def head_of(data: bytes, limit: int) -> bytes:
    """Return the first bytes of a file's head, unpacked if it is gzipped; empty if it does not unpack."""
    if data[:2] != GZIP_MAGIC:
        return data
    try:
        return zlib.decompressobj(wbits=31).decompress(data, limit)
    except zlib.error:
        return b""

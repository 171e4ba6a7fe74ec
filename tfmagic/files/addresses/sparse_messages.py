"""Read a large protobuf file at an address without the content of its large constants, until somebody asks for that.

The message is walked field by field along the one way that leads to such content; all else is loaded. Where somebody
takes bytes out of the buffer that were left out, they are fetched first, so that nobody ever sees anything but the
file's own. Not for: which file holds which message (:mod:`tfmagic.files.message_files`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import places, wire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfmagic.files.addresses.address import Address

#: A file of this size is read as it is.
SMALL = 1 << 20
#: Content of more bytes is left out.
_LARGE = 64 << 10
#: What is loaded at once where nothing was left out before, doubled with each time that nothing is.
_WINDOW, _WIDEST = 64 << 10, 8 << 20
#: A tag and a length, or a tag and a number, take no more.
_HEADER = 20
_LIMIT = 2**31 - 1


def read(path: Path, way: Sequence[int]) -> wire.Buffer:
    """Read a message with holes.

    Parameters
    ----------
    path : Path
        A file at an address.
    way : sequence of int
        The numbers of the fields that lead to what may be left out.

    Raises
    ------
    CorruptSourceError
        If the file is larger than a protobuf message can be, or changes meanwhile.
    """
    size = places.size(path)
    if size > _LIMIT:
        message = f"{str(path)!r} has {size / 2**30:.2f} GiB: no protobuf reader takes a message past 2 GiB"
        raise errors.CorruptSourceError(f"{message}; export the model it came from as a SavedModel instead")
    buffer = SparseBuffer(places.as_address(path), size)
    try:
        buffer.walk(0, size, way)
    except wire.WireError:
        # Who reads the message says what is wrong with it.
        buffer.fill(0, size)
    return buffer


class SparseBuffer(wire.Buffer):
    """The bytes of a file at an address, some of which are still there."""

    def __init__(self, path: Address, size: int) -> None:
        # Pages of it that nobody writes to take no memory.
        self._content = bytearray(size + wire.PADDING)
        super().__init__(self._content, size)
        self._path = path
        self._loaded = 0
        self._window = _WINDOW
        self._holes: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are at hand."""
        return not self._holes

    @property
    def data(self) -> memoryview:
        """All bytes."""
        self.fill(0, self.size)
        return self.view

    def piece(self, start: int, end: int) -> memoryview:
        """Return some bytes."""
        self.fill(start, end)
        return self.view[start:end]

    def walk(self, start: int, end: int, way: Sequence[int]) -> None:
        """Load a message, but for large content at the end of a way; raises WireError."""
        position = start
        while position < end:
            self._load(position, min(end, position + _HEADER))
            tag, after = wire.varint(self.view, position, end)
            if tag & 7 != wire.BYTES:
                _, position = wire.payload(self.view, after, end, tag & 7)
                continue
            begin, position = wire.payload(self.view, after, end, wire.BYTES)
            if position - begin <= _LARGE or not way or tag >> 3 != way[0]:
                self._load(begin, position)
            elif len(way) > 1:
                self.walk(begin, position, way[1:])
            else:
                self._leave_out(max(begin, self._loaded), position)

    def _leave_out(self, start: int, end: int) -> None:
        if end > start:
            self._holes.append((start, end))
            self._loaded, self._window = end, _WINDOW

    def _load(self, start: int, end: int) -> None:
        """Have the bytes up to an end, and some more where nothing was left out lately."""
        if end <= self._loaded:
            return
        begin = max(start, self._loaded)
        stop = min(self.size, max(end, begin + self._window))
        self._fetch(begin, stop)
        self._loaded, self._window = stop, min(2 * self._window, _WIDEST)

    def fill(self, start: int, end: int) -> None:
        """Fetch what was left out of a stretch, and what was never come to."""
        if not self._holes and self._loaded >= self.size:
            return
        with self._lock:
            if self._loaded < min(end, self.size):
                self._fetch(self._loaded, self.size)
                self._loaded = self.size
            left = []
            for begin, stop in self._holes:
                if begin < end and start < stop:
                    self._fetch(begin, stop)
                else:
                    left.append((begin, stop))
            self._holes = left

    def _fetch(self, start: int, end: int) -> None:
        with self._path.opened() as file:
            file.seek(start)
            position = start
            while position < end and (count := file.readinto(memoryview(self._content)[position:end])):
                position += count
        if position < end:
            message = f"{str(self._path)!r} became shorter while it was read; read it again once its writer is done"
            raise errors.CorruptSourceError(message)

"""Read a file where it is looked at, within its bounds and within reason.

For formats whose parts refer to one another by offset: a block at a time is kept, so a model's weights stay on disk,
and the bytes that may be looked at are limited by the file's size, so that parts which refer to each other over and
over do not hold up a reader. Not for: any format, or reading a file from end to end.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any, ClassVar, NoReturn

from tfmagic import errors

if TYPE_CHECKING:
    import struct

_BLOCK = 64 << 10
_KEPT_BLOCKS = 64
#: How many bytes may be looked at for each byte of the file: parts are shared within reason only.
_REPEATS = 16
_ALLOWANCE = 1 << 20


class Blocks:
    """The bytes of a file, or of a stretch of it.

    Parameters
    ----------
    file : binary file
        Seekable; it stays the caller's to close.
    origin : str
        What messages call it.
    begin : int
        Where the stretch begins in the file.
    size : int, optional
        Its length; up to the end of the file if it is not given.
    """

    #: What the format is called in messages.
    format: ClassVar[str] = "a file"

    def __init__(self, file: IO[bytes], origin: str, begin: int = 0, size: int | None = None) -> None:
        self.origin = origin
        self.size = file.seek(0, os.SEEK_END) - begin if size is None else size
        self._file = file
        # A file at an address says by what it is fetched: each block is a request.
        self._block_bytes: int = getattr(getattr(file, "raw", None), "block", _BLOCK)
        self._begin = begin
        self._kept: dict[int, bytes] = {}
        self._left = self.size * _REPEATS + _ALLOWANCE

    def read(self, offset: int, count: int) -> bytes:
        """Return bytes.

        Raises
        ------
        CorruptSourceError
            If they lie outside, or if far more was looked at than there is.
        """
        if offset < 0 or count < 0 or offset + count > self.size:
            self.corrupt(f"it refers to bytes {offset:,} to {offset + count:,} of {self.size:,}")
        self._left -= count
        if self._left < 0:
            self.corrupt("its parts refer to one another over and over")
        # Blocks count from the begin of the file, as those do that are fetched from an address.
        place = self._begin + offset
        block = self._block_bytes
        first, last = place // block, max(place, place + count - 1) // block
        data = b"".join(self._block(number) for number in range(first, last + 1))
        piece = data[place - first * block :][:count]
        if len(piece) != count:
            self.corrupt("it became shorter while it was read")
        return piece

    def unpack(self, layout: struct.Struct, offset: int) -> tuple[Any, ...]:
        """Return the values of a structure at an offset."""
        return layout.unpack(self.read(offset, layout.size))

    def corrupt(self, problem: str) -> NoReturn:
        """Raise the error that says the file is damaged."""
        raise errors.CorruptSourceError(
            f"{self.origin!r} is {self.format} that does not parse: {problem}. It is truncated or damaged: copy or "
            "download it again, and compare its size with the original's"
        )

    def _block(self, number: int) -> bytes:
        if number not in self._kept:
            if len(self._kept) >= _KEPT_BLOCKS:
                self._kept.pop(next(iter(self._kept)))
            self._file.seek(number * self._block_bytes)
            self._kept[number] = self._file.read(self._block_bytes)
        return self._kept[number]

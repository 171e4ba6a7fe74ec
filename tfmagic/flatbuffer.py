"""Read tables, vectors and strings of a flatbuffer, every offset checked against the file.

A file is read where it is looked at, in blocks, so a model's weights stay on disk; what a made-up file makes one
read is limited by its size, as tables may be referred to again and again. Not for: any schema, writing, or verifying
parts that nobody looks at.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, NoReturn

from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 64 << 10
_KEPT_BLOCKS = 64
#: How many bytes may be looked at for each byte of the file: strings and vectors are shared within reason only.
_REPEATS = 16
_ALLOWANCE = 1 << 20
_VTABLE_HEADER = 4

#: Scalar types by their names in a schema.
SCALARS = {
    "bool": "<?", "byte": "<b", "ubyte": "<B", "short": "<h", "ushort": "<H", "int": "<i", "uint": "<I", "long": "<q",
    "ulong": "<Q",
}  # fmt: skip


class Buffer:
    """The bytes of a flatbuffer, with limits.

    Parameters
    ----------
    file : binary file
        Seekable; it stays the caller's to close.
    origin : str
        What messages call it.
    """

    def __init__(self, file: BinaryIO, origin: str) -> None:
        self.origin = origin
        self.size = file.seek(0, 2)
        self._file = file
        self._blocks: dict[int, bytes] = {}
        self._left = self.size * _REPEATS + _ALLOWANCE

    def root(self) -> Table:
        """Return the root table."""
        return Table(self, self.scalar("uint", 0))

    def identifier(self) -> bytes:
        """Return the four bytes that name the schema."""
        return self.read(4, 4)

    def read(self, offset: int, count: int) -> bytes:
        """Return bytes of the file.

        Raises
        ------
        CorruptSourceError
            If they lie outside, or if far more was looked at than the file has.
        """
        if offset < 0 or count < 0 or offset + count > self.size:
            self.corrupt(f"it refers to bytes {offset:,} to {offset + count:,} of {self.size:,}")
        self._left -= count
        if self._left < 0:
            self.corrupt("its parts refer to one another over and over")
        first, last = offset // _BLOCK, max(offset, offset + count - 1) // _BLOCK
        data = b"".join(self._block(number) for number in range(first, last + 1))
        begin = offset - first * _BLOCK
        found = data[begin : begin + count]
        if len(found) != count:
            self.corrupt("it became shorter while it was read")
        return found

    def scalar(self, kind: str, offset: int) -> int:
        """Return the scalar at an offset; ``kind`` is a key of :data:`SCALARS`."""
        layout = SCALARS[kind]
        value: int = struct.unpack(layout, self.read(offset, struct.calcsize(layout)))[0]
        return value

    def corrupt(self, problem: str) -> NoReturn:
        """Raise the error that says the file is damaged."""
        raise errors.CorruptSourceError(
            f"{self.origin!r} is a flatbuffer that does not parse: {problem}. It is truncated or damaged: copy or "
            "download it again, and compare its size with the original's"
        )

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            if len(self._blocks) >= _KEPT_BLOCKS:
                self._blocks.pop(next(iter(self._blocks)))
            self._file.seek(number * _BLOCK)
            self._blocks[number] = self._file.read(_BLOCK)
        return self._blocks[number]


class Vector(NamedTuple):
    """A vector: where its elements begin, and how many there are."""

    offset: int
    length: int


class Table:
    """A table of a flatbuffer; its fields are addressed by their number in the schema."""

    __slots__ = ("_buffer", "_offset", "_vtable", "_vtable_size")

    def __init__(self, buffer: Buffer, offset: int) -> None:
        self._buffer = buffer
        self._offset = offset
        self._vtable = offset - buffer.scalar("int", offset)
        self._vtable_size = buffer.scalar("ushort", self._vtable)

    def has(self, field: int) -> bool:
        """Whether a field is present; an absent one has its default."""
        return self._position(field) is not None

    def scalar(self, field: int, kind: str, default: int = 0) -> int:
        """Return a scalar; ``kind`` is a key of :data:`SCALARS`."""
        position = self._position(field)
        return default if position is None else self._buffer.scalar(kind, position)

    def text(self, field: int) -> str:
        """Return a string, empty if it is absent; bytes that are no UTF-8 are replaced."""
        return self.data(field).decode("utf-8", "replace")

    def data(self, field: int) -> bytes:
        """Return a vector of bytes, empty if it is absent."""
        vector = self._vector(field, 1)
        return self._buffer.read(vector.offset, vector.length)

    def count(self, field: int, item_size: int = 4) -> int:
        """Return the number of elements of a vector, without reading them; its bounds are checked."""
        return self._vector(field, item_size).length

    def scalars(self, field: int, kind: str) -> tuple[int, ...]:
        """Return a vector of scalars, empty if it is absent."""
        layout = SCALARS[kind]
        vector = self._vector(field, struct.calcsize(layout))
        data = self._buffer.read(vector.offset, vector.length * struct.calcsize(layout))
        return struct.unpack(f"<{vector.length}{layout[1]}", data)

    def tables(self, field: int) -> Iterator[Table]:
        """Yield the tables of a vector, none if it is absent."""
        vector = self._vector(field, 4)
        for index in range(vector.length):
            position = vector.offset + 4 * index
            yield Table(self._buffer, position + self._buffer.scalar("uint", position))

    def _position(self, field: int) -> int | None:
        """Return where a field lies, None if it is absent."""
        entry = _VTABLE_HEADER + 2 * field
        if entry + 2 > self._vtable_size:
            return None
        relative = self._buffer.scalar("ushort", self._vtable + entry)
        return self._offset + relative if relative else None

    def _vector(self, field: int, item_size: int) -> Vector:
        position = self._position(field)
        if position is None:
            return Vector(0, 0)
        begin = position + self._buffer.scalar("uint", position)
        count = self._buffer.scalar("uint", begin)
        if begin + 4 + count * item_size > self._buffer.size:
            left = self._buffer.size - begin
            self._buffer.corrupt(f"it claims a vector of {count:,} elements where only {left:,} bytes are left")
        return Vector(begin + 4, count)

"""Read tables, vectors and strings of a flatbuffer, every offset checked against the file.

Not for: any schema, writing (but it says where fields lie), or verifying parts that nobody looks at.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from tfmagic.files.bounded_file import Blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

_VTABLE_HEADER = 4

#: Scalar types by their names in a schema.
SCALARS = {
    name: struct.Struct(f"<{code}")
    for name, code in {
        "bool": "?", "byte": "b", "ubyte": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I", "long": "q",
        "ulong": "Q", "float": "f",
    }.items()
}  # fmt: skip


class Buffer(Blocks):
    """The bytes of a flatbuffer."""

    format: ClassVar[str] = "a flatbuffer"

    def root(self) -> Table:
        """Return the root table."""
        return Table(self, self.scalar("uint", 0))

    def identifier(self) -> bytes:
        """Return the four bytes that name the schema."""
        return self.read(4, 4)

    def scalar(self, kind: str, offset: int) -> int:
        """Return the scalar at an offset; ``kind`` is a key of :data:`SCALARS`, of which "float" is no integer's."""
        value: int = self.unpack(SCALARS[kind], offset)[0]
        return value


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
        return self.position(field) is not None

    def scalar(self, field: int, kind: str, default: int = 0) -> int:
        """Return a scalar; ``kind`` is a key of :data:`SCALARS`."""
        position = self.position(field)
        return default if position is None else self._buffer.scalar(kind, position)

    def real(self, field: int) -> float:
        """Return a float, zero if it is absent."""
        return float(self.scalar(field, "float"))

    def text(self, field: int) -> str:
        """Return a string, empty if it is absent; bytes that are no UTF-8 are replaced."""
        return self.data(field).decode("utf-8", "replace")

    def data(self, field: int) -> bytes:
        """Return a vector of bytes, empty if it is absent."""
        vector = self.vector(field, 1)
        return self._buffer.read(vector.offset, vector.length)

    def count(self, field: int, item_size: int = 4) -> int:
        """Return the number of elements of a vector, without reading them; its bounds are checked."""
        return self.vector(field, item_size).length

    def scalars(self, field: int, kind: str) -> tuple[int, ...]:
        """Return a vector of scalars, empty if it is absent."""
        layout = SCALARS[kind]
        vector = self.vector(field, layout.size)
        data = self._buffer.read(vector.offset, vector.length * layout.size)
        return tuple(value for (value,) in layout.iter_unpack(data))

    def reals(self, field: int) -> tuple[float, ...]:
        """Return a vector of floats, empty if it is absent."""
        return tuple(map(float, self.scalars(field, "float")))

    def tables(self, field: int) -> Iterator[Table]:
        """Yield the tables of a vector, none if it is absent."""
        vector = self.vector(field, 4)
        for index in range(vector.length):
            position = vector.offset + 4 * index
            yield Table(self._buffer, position + self._buffer.scalar("uint", position))

    def table(self, field: int) -> Table | None:
        """Return the table that a field refers to, None if it is absent."""
        position = self.position(field)
        return None if position is None else Table(self._buffer, position + self._buffer.scalar("uint", position))

    def position(self, field: int) -> int | None:
        """Return where a field lies, None if it is absent."""
        entry = _VTABLE_HEADER + 2 * field
        if entry + 2 > self._vtable_size:
            return None
        relative = self._buffer.scalar("ushort", self._vtable + entry)
        return self._offset + relative if relative else None

    def vector(self, field: int, item_size: int = 4) -> Vector:
        """Return where the elements of a vector lie; an absent one has none."""
        position = self.position(field)
        if position is None:
            return Vector(0, 0)
        begin = position + self._buffer.scalar("uint", position)
        count = self._buffer.scalar("uint", begin)
        if begin + 4 + count * item_size > self._buffer.size:
            left = self._buffer.size - begin
            self._buffer.corrupt(f"it claims a vector of {count:,} elements where only {left:,} bytes are left")
        return Vector(begin + 4, count)

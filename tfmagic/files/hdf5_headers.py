"""The messages of HDF5's object headers: what a group or a dataset says of itself, and the links of a group.

The format is the HDF Group's "HDF5 File Format Specification Version 3.0"; the section names in comments are its own.
Not for: objects and their attributes (:mod:`tfmagic.files.hdf5`).
"""

# ruff: noqa: PLR2004 - numbers are those of the tables in the specification

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_RANK = 32
# Types of header messages.
DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0C, 0x10, 0x11, 0x15
SHARED = 0x02
# Classes of datatypes.
_INTEGER, _FLOAT, STRING, _OPAQUE, _COMPOUND, _ENUM, VARIABLE = 0, 1, 3, 5, 6, 8, 9
#: Floats by their size in bytes and the bits of their exponent.
_FLOATS = {
    (2, 5): "float16", (4, 8): "float32", (8, 11): "float64", (2, 8): "bfloat16", (1, 4): "float8_e4m3fn",
    (1, 5): "float8_e5m2",
}  # fmt: skip
_MESSAGE_1 = struct.Struct("<HHB3x")
_MESSAGE_2 = struct.Struct("<BHB")
_HEADER_1 = struct.Struct("<BxHII4x")
_ENTRY_TAIL = struct.Struct("<I4x16x")
_SOFT_LINK = 2
# Of a link message, and of the versions of a layout message from 3 on.
_EXTERNAL_LINK, _VIRTUAL = 64, 3


#: Numbers as numpy has them in memory: the "Datatype Message" of each as every library writes it, little-endian.
_PLAIN = {
    struct.pack("<BBBxIHHBBBBI", 0x11, 0x20, 8 * size - 1, size, 0, 8 * size, mantissa, exponent, 0, mantissa, bias):
        f"<f{size}"
    for size, mantissa, exponent, bias in ((2, 10, 5, 15), (4, 23, 8, 127), (8, 52, 11, 1023))
} | {
    struct.pack("<BBxxIHH", 0x10, sign, size, 0, 8 * size): f"<{'i' if sign else 'u'}{size}"
    for size in (1, 2, 4, 8) for sign in (0, 8)
}  # fmt: skip
_CONTIGUOUS = 1
#: Bytes of an opaque value that is a number: Keras 3 writes a bfloat16 so.
_MAX_ITEM = 16

#: Where a link message says of which kind the link is.
_KIND = 2


class HDF5Bytes(Protocol):
    """The bytes of an HDF5 file, with the sizes of its offsets and lengths."""

    offset_size: int
    length_size: int

    def read(self, offset: int, count: int) -> bytes:
        """Return so many bytes."""

    def unpack(self, layout: struct.Struct, offset: int) -> tuple[Any, ...]:
        """Return the fields of a structure."""

    def number(self, offset: int, size: int | None = None) -> int:
        """Return an unsigned number; of an offset's size if none is given."""

    def corrupt(self, problem: str) -> NoReturn:
        """Refuse the file."""


class Message(NamedTuple):
    """A header message: its type, its flags and its content."""

    kind: int
    flags: int
    data: bytes


def padded(length: int) -> int:
    """Round up to the next multiple of 8."""
    return (length + 7) & ~7


def messages(file: HDF5Bytes, address: int) -> Iterator[Message]:
    """Yield the messages of an object's header and of the blocks that continue it ("Data Object Headers")."""
    if file.read(address, 4) == b"OHDR":
        yield from _messages_2(file, address)
        return
    version, _, _, size = file.unpack(_HEADER_1, address)
    if version != 1:
        file.corrupt(f"there is no object header at {address:,}")
    yield from _in_blocks(file, address, (address + _HEADER_1.size, size), _MESSAGE_1)


def _messages_2(file: HDF5Bytes, address: int) -> Iterator[Message]:
    """Yield the messages of a header of version 2, which checksums its blocks."""
    flags = file.read(address + 5, 1)[0]
    place = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    first = (place + width, file.number(place, width))
    # A continuation block has a signature before and a checksum after its messages.
    yield from _in_blocks(file, address, first, _MESSAGE_2, order_size=2 if flags & 4 else 0, edge=4)


def _in_blocks(  # noqa: PLR0913 - what tells the two versions apart
    file: HDF5Bytes, address: int, first: tuple[int, int], header: struct.Struct, *, order_size: int = 0, edge: int = 0
) -> Iterator[Message]:
    """Yield the messages of a block and of those that continue it; an edge on each side of these is passed over."""
    blocks, seen = [first], set()
    while blocks:
        place, length = blocks.pop()
        if place in seen:
            file.corrupt(f"the header at {address:,} continues itself")
        seen.add(place)
        end = place + length
        while place + header.size + order_size <= end:
            kind, size, flags = file.unpack(header, place)
            place += header.size + order_size
            message = Message(kind, flags, file.read(place, size))
            place += size
            yield message
            if kind == CONTINUATION:
                begin, count = _two_numbers(message.data, file.offset_size, file.length_size)
                blocks.append((begin + edge, count - 2 * edge))


def _two_numbers(data: bytes, first: int, second: int) -> tuple[int, int]:
    """Read two numbers of these sizes; what is missing counts as zero."""
    return int.from_bytes(data[:first], "little"), int.from_bytes(data[first : first + second], "little")


def link(file: HDF5Bytes, data: bytes) -> Iterator[tuple[str, int]]:
    """Yield the link of a message if it is a hard one ("Link Message")."""
    flags = data[1] if len(data) > 1 else 0
    place = 2
    kind = data[place] if flags & 8 and len(data) > place else 0
    place += (1 if flags & 8 else 0) + (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[place : place + width], "little")
    place += width
    name, address = data[place : place + length], data[place + length : place + length + file.offset_size]
    if kind == 0 and len(address) == file.offset_size:
        yield _c_string(name), int.from_bytes(address, "little")


def is_external_link(data: bytes) -> bool:
    """Say whether the link of a message leads into another file."""
    return len(data) > _KIND and bool(data[1] & 8) and data[_KIND] >= _EXTERNAL_LINK


def is_virtual(data: bytes) -> bool:
    """Say whether a layout puts a dataset together of others, which may lie in other files ("Data Layout Message")."""
    return len(data) > 1 and data[0] >= _VIRTUAL and data[1] == _VIRTUAL


def plain_dtype(data: bytes) -> str | None:
    """Return numpy's name of a datatype whose values it takes as they lie in a file, None for any other."""
    kind, size = (data[0] & 0x0F, int.from_bytes(data[4:8], "little")) if len(data) >= 8 else (None, 0)
    if kind == _OPAQUE:
        return f"V{size}" if 0 < size <= _MAX_ITEM else None
    # Of all versions of the message numbers have the same; what follows pads it.
    end = 20 if kind == _FLOAT else 12
    return None if kind is None or any(data[end:]) else _PLAIN.get(bytes([0x10 | kind]) + data[1:end])


def contiguous(file: HDF5Bytes, data: bytes) -> tuple[int, int] | None:
    """Return where the values lie in one piece and how many bytes they take, None for any other layout.

    ("Data Layout Message"; version 3 is every library's since 2004.)
    """
    if len(data) < 2 or data[0] not in (3, 4) or data[1] != _CONTIGUOUS:
        return None
    return _two_numbers(data[2:], file.offset_size, file.length_size)


def symbols(file: HDF5Bytes, data: bytes) -> Iterator[tuple[str, int]]:
    """Yield the hard links of a group of the older layout: a B-tree of nodes, their names in a heap."""
    tree, heap = _two_numbers(data, file.offset_size, file.offset_size)
    if file.read(heap, 4) != b"HEAP":
        file.corrupt(f"there is no heap at {heap:,}")
    size = file.number(heap + 8, file.length_size)
    names = file.read(file.number(heap + 8 + 2 * file.length_size), size)
    for place in _leaves(file, tree):
        entry = 2 * file.offset_size + _ENTRY_TAIL.size
        for index in range(file.number(place + 6, 2)):
            begin = place + 8 + index * entry
            name, address = file.number(begin), file.number(begin + file.offset_size)
            if file.unpack(_ENTRY_TAIL, begin + 2 * file.offset_size)[0] != _SOFT_LINK and name < len(names):
                yield names[name : names.find(b"\0", name)].decode("utf-8", "replace"), address


def _leaves(file: HDF5Bytes, tree: int) -> Iterator[int]:
    """Yield the addresses of the symbol nodes below a B-tree, in order ("Version 1 B-trees")."""
    pending, seen = [tree], set()
    while pending:
        place = pending.pop()
        if place in seen:
            file.corrupt(f"the group's tree at {tree:,} contains itself")
        seen.add(place)
        signature = file.read(place, 4)
        if signature == b"SNOD":
            yield place
            continue
        if signature != b"TREE":
            file.corrupt(f"there is no part of a group at {place:,}")
        first = place + 8 + 2 * file.offset_size + file.length_size
        step = file.offset_size + file.length_size
        children = [file.number(first + index * step) for index in range(file.number(place + 6, 2))]
        pending.extend(reversed(children))


class AttributeParts(NamedTuple):
    """The parts of an attribute's message ("Attribute Message")."""

    name: str
    dtype: bytes
    space: bytes
    data: bytes

    @classmethod
    def of(cls, data: bytes, file: HDF5Bytes) -> AttributeParts:
        """Cut a message up; version 1 pads each part to a multiple of 8."""
        if len(data) < 9 or not 1 <= data[0] <= 3:
            file.corrupt(f"it has an attribute {data[:16]!r}")
        version = data[0]
        place = 9 if version == 3 else 8
        parts = []
        for length in struct.unpack("<3H", data[2:8]):
            parts.append(data[place : place + length])
            place += padded(length) if version == 1 else length
        name, dtype, space = parts
        if len(dtype) < 8 or len(space) < 2:
            file.corrupt(f"its attribute {name!r} breaks off")
        return cls(_c_string(name), dtype, space, data[place:])


def _c_string(data: bytes) -> str:
    """Return a name as the library compares it: up to the first zero."""
    return data.partition(b"\0")[0].decode("utf-8", "replace")


def shape(data: bytes, file: HDF5Bytes) -> tuple[int, ...] | None:
    """Read a shape, None for the space that holds nothing ("Dataspace Message")."""
    version, rank = (data[0], data[1]) if len(data) > 3 else (0, 0)
    begin, width = {1: 8, 2: 4}.get(version, 0), file.length_size
    if not begin or rank > _MAX_RANK or len(data) < begin + rank * width:
        file.corrupt(f"it has a shape {data[:16]!r}")
    if version == 2 and data[3] == 2:
        return None
    return tuple(int.from_bytes(data[begin + axis * width :][:width], "little") for axis in range(rank))


def dtype(data: bytes) -> tuple[str, int]:
    """Return TensorFlow's name of a datatype and the bytes that an element takes ("Datatype Message")."""
    if len(data) < 8:
        return "invalid", 0
    kind, size = data[0] & 0x0F, int.from_bytes(data[4:8], "little")
    if kind == _INTEGER:
        return f"{'int' if data[1] & 8 else 'uint'}{8 * size}", size
    if kind == _FLOAT:
        exponent = data[13] if len(data) > 13 else 0
        return _FLOATS.get((size, exponent), f"float{8 * size}"), size
    if kind == _ENUM and size == 1:
        return "bool", size
    if kind == _COMPOUND:
        return f"complex{8 * size}", size
    names = {STRING: "string", VARIABLE: "string"}
    return names.get(kind, f"opaque{8 * size}"), size

"""Read a GraphDef file without the content of its large constants, which stay in the file.

What is left has every node, attribute and shape, in a thousandth of the memory. Not for: reading values.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos, reading, wire
from tfmagic.transforms.frozen_graph import varint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

#: The way to a tensor: GraphDef.node, NodeDef.attr, its value, AttrValue.tensor.
_PATH = (1, 5, 2, 8)
#: What is smaller stays: shapes and axes, of which other shapes follow.
_LARGE = 16 << 10
#: A tag and a length.
_HEAD = 20


def read(path: Path) -> protos.Message:
    """Return the GraphDef of a binary file; constants of more than 16 kB have dtype and shape, and no content.

    Raises
    ------
    CorruptSourceError
        If the file is damaged, or changes meanwhile.
    """
    with reading.opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return protos.parse("GraphDef", _copied(file, 0, size, 0))
        except (wire.WireError, protos.ParseError) as error:
            raise errors.CorruptSourceError(f"{str(path)!r} is damaged: {error}; fetch or save it again") from error


def _copied(file: BufferedReader, begin: int, end: int, depth: int) -> bytes:
    """Copy a message but for what is large at the end of the path."""
    result = bytearray()
    for number, kind, tag, start, stop in _fields(file, begin, end):
        if kind == wire.BYTES and stop - start > _LARGE:
            if depth == len(_PATH):
                continue
            if number == _PATH[depth]:
                inner = _copied(file, start, stop, depth + 1)
                result += bytes([number << 3 | kind]) + varint(len(inner)) + inner
                continue
        file.seek(tag)
        result += file.read(stop - tag)
    return bytes(result)


def _fields(file: BufferedReader, position: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield number, wire type, and where tag, payload and end of each field lie, from the heads alone."""
    while position < end:
        file.seek(position)
        head = memoryview(file.read(min(_HEAD, end - position)))
        tag, after = wire.varint(head, 0, len(head))
        kind = tag & 7
        if kind == wire.BYTES:
            size, after = wire.varint(head, after, len(head))
            start, stop = position + after, position + after + size
        else:
            start, stop = (position + each for each in wire.payload(head, after, len(head), kind))
        if stop > end or not tag >> 3:
            raise wire.WireError(position, "a field reaches past its message")
        yield tag >> 3, kind, position, start, stop
        position = stop

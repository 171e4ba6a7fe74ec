"""FlexBuffers, in which custom operators of TensorFlow Lite are told what to do: values that say their own types.

The format is described at https://flatbuffers.dev/internals/ (FlexBuffers). Bytes that are none, or that go on without
end, are no error here: they are what they are, bytes. Not for: flatbuffers with a schema
(:mod:`tfmagic.files.flatbuffers`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"

(
    _NULL, _INT, _UINT, _FLOAT, _KEY, _STRING, _INDIRECT_INT, _INDIRECT_UINT, _INDIRECT_FLOAT, _MAP, _VECTOR,
    _VECTOR_INT, _VECTOR_UINT, _VECTOR_FLOAT, _VECTOR_KEY, _VECTOR_STRING,
) = range(16)  # fmt: skip
#: Vectors of two, three and four numbers have no length; then come bytes, booleans and vectors of those.
_FIXED, _BLOB, _BOOL, _VECTOR_BOOL = range(16, 25), 25, 26, 36
_FLOATS = {2: "<e", 4: "<f", 8: "<d"}
#: More values than these, or deeper ones, nobody writes into the options of an operator.
_MOST_VALUES, _DEEPEST = 10_000, 20
#: The root's value, its type and its width.
_SHORTEST = 3


def read(data: bytes) -> Value:
    """Return the value that bytes hold.

    Raises
    ------
    ValueError
        If they are no FlexBuffer, or one with more in it than is read.
    """
    if len(data) < _SHORTEST:
        raise ValueError(f"{len(data)} bytes are no FlexBuffer")
    width, kind = data[-1], data[-2]
    try:
        return _Reading(data).value(len(data) - 2 - width, width, kind, 0)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"no FlexBuffer: {error}") from error


class _Reading:
    """Reads values, so many at most."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.left = _MOST_VALUES

    def value(self, place: int, width: int, packed: int, depth: int) -> Value:
        """Return a value of which a number, or the way to it, lies at a place; packed are its type and a width."""
        self.left -= 1
        if self.left < 0 or depth > _DEEPEST:
            raise ValueError("more values than an operator has options")
        kind, inner = packed >> 2, 1 << (packed & 3)
        if kind in _PLAIN:
            return _PLAIN[kind](self, place, width)
        target = place - self.number(place, width)
        if kind in _INDIRECT:
            return _INDIRECT[kind](self, target, inner)
        return self.several(kind, target, inner, depth)

    def several(self, kind: int, target: int, width: int, depth: int) -> Value:
        """Return a map or a vector."""
        if kind == _MAP:
            return dict(zip(self.keys(target, width), self.typed(target, width, depth), strict=True))
        if kind == _VECTOR:
            return list(self.typed(target, width, depth))
        if kind in _FIXED:
            count, inner = 2 + (kind - _FIXED[0]) // 3, (_INT, _UINT, _FLOAT)[(kind - _FIXED[0]) % 3]
        elif kind in (*range(_VECTOR_INT, _VECTOR_STRING + 1), _VECTOR_BOOL):
            count = self.number(target - width, width)
            inner = _BOOL if kind == _VECTOR_BOOL else kind - _VECTOR_INT + _INT
        else:
            raise ValueError(f"type {kind}")
        packed = inner << 2 | (width.bit_length() - 1)
        return [self.value(target + at * width, width, packed, depth + 1) for at in range(self.counted(count))]

    def typed(self, target: int, width: int, depth: int) -> Iterator[Value]:
        """Yield the values of a vector whose types lie behind it."""
        count = self.counted(self.number(target - width, width))
        kinds = target + count * width
        for at in range(count):
            yield self.value(target + at * width, width, self.data[kinds + at], depth + 1)

    def keys(self, target: int, width: int) -> Iterator[str]:
        """Yield the keys of a map: the way to them and their width lie before its length."""
        place = target - 3 * width
        keys, key_width = place - self.number(place, width), self.number(target - 2 * width, width)
        for at in range(self.counted(self.number(target - width, width))):
            yield self.key(keys + at * key_width, key_width)

    def counted(self, count: int) -> int:
        """Return a number of values; raises ValueError where they are too many."""
        if count > self.left:
            raise ValueError(f"{count:,} values")
        return count

    def number(self, place: int, width: int) -> int:
        return int.from_bytes(self.taken(place, width), "little")

    def signed(self, place: int, width: int) -> int:
        return int.from_bytes(self.taken(place, width), "little", signed=True)

    def real(self, place: int, width: int) -> float:
        if width not in _FLOATS:
            raise ValueError(f"a number of {width} bytes")
        return float(struct.unpack(_FLOATS[width], self.taken(place, width))[0])

    def key(self, place: int, width: int) -> str:
        begin = place - self.number(place, width)
        return self.taken(begin, self.data.index(0, begin) - begin).decode()

    def text(self, place: int, width: int) -> str | bytes:
        """Return a string; others than texts lie in strings, too."""
        data = self.taken(place, self.number(place - width, width))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data

    def taken(self, begin: int, count: int) -> bytes:
        if begin < 0 or count < 0 or begin + count > len(self.data):
            raise ValueError(f"bytes {begin} to {begin + count} of {len(self.data)}")
        return self.data[begin : begin + count]


_PLAIN: Mapping[int, Callable[[_Reading, int, int], Value]] = {
    _NULL: lambda *_: None,
    _INT: _Reading.signed,
    _UINT: _Reading.number,
    _FLOAT: _Reading.real,
    _KEY: _Reading.key,
    _BOOL: lambda reading, place, width: bool(reading.number(place, width)),
}
_INDIRECT: Mapping[int, Callable[[_Reading, int, int], Value]] = {
    _STRING: _Reading.text,
    _BLOB: lambda reading, place, width: reading.taken(place, reading.number(place - width, width)),
    _INDIRECT_INT: _Reading.signed,
    _INDIRECT_UINT: _Reading.number,
    _INDIRECT_FLOAT: _Reading.real,
}

"""Pieces of a partitioned tensor: where each lies in the whole, and under which key a checkpoint stores it.

After TensorFlow's core/framework/tensor_slice.h, core/util/saved_tensor_slice_util.cc and core/lib/strings/
ordered_code.cc. Not for: reading the pieces' values (:mod:`tfmagic.files.checkpoints.tensor_bundle`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tfmagic.files.protos import Message

#: For each dimension where the piece begins and how long it is; a length of -1 means the dimension as a whole.
Extents: TypeAlias = tuple[tuple[int, int], ...]

#: Keys of pieces begin with the ordered code of the number 0, which no tensor's name does.
KEY_MARK = b"\0"
_WHOLE = -1
_SPECIAL = re.compile(b"[\\0\xff]")


def extents(slice_proto: Message) -> Extents:
    """Read a TensorSliceProto."""
    return tuple(
        (extent.start, extent.length if extent.HasField("length") else _WHOLE) for extent in slice_proto.extent
    )


def add_extents(slice_proto: Message, piece: Extents) -> None:
    """Write a TensorSliceProto."""
    for start, length in piece:
        extent = slice_proto.extent.add(start=start)
        if length != _WHOLE:
            extent.length = length


def whole_shape(text: str) -> tuple[int, ...]:
    """Return the shape of the tensor of which a slice of RestoreV2 is a piece: ``"10 4 0,5:-"`` begins with it."""
    return tuple(map(int, text.split()[:-1]))


def parsed(text: str) -> Extents:
    """Read the slice of RestoreV2: ``"10 4 0,5:-"`` is, of a tensor of shape [10, 4], the first five rows."""
    pieces = (piece.partition(",") for piece in text.rsplit(maxsplit=1)[-1].split(":"))
    return tuple((0, _WHOLE) if start == "-" else (int(start), int(length)) for start, _, length in pieces)


def shape_of(piece: Extents, whole: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a piece of a tensor of the given shape.

    Raises
    ------
    ValueError
        If the piece does not lie in the tensor.
    """
    return tuple(span.stop - span.start for span in region(piece, whole))


def region(piece: Extents, whole: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the index that selects a piece from the whole; raises ValueError if it does not lie in it."""
    if len(piece) != len(whole):
        message = f"a slice of rank {len(piece)} in a tensor of shape {whole}"
        raise ValueError(message)
    return tuple(_span(start, length, size) for (start, length), size in zip(piece, whole, strict=True))


def _span(start: int, length: int, size: int) -> slice:
    if length == _WHOLE:
        return slice(0, size)
    if start < 0 or length < 0 or start + length > size:
        message = f"a slice from {start} of length {length} in a dimension of {size}"
        raise ValueError(message)
    return slice(start, start + length)


def key(name: bytes, piece: Extents) -> bytes:
    """Return the key under which a checkpoint stores a piece of a tensor."""
    coded = [KEY_MARK, _string(name), _unsigned(len(piece))]
    coded.extend(_signed(number) for extent in piece for number in extent)
    return b"".join(coded)


def _string(text: bytes) -> bytes:
    """Write a string in ordered code: its end is marked, so what looks like the mark is escaped."""
    return _SPECIAL.sub(lambda found: b"\0\xff" if found[0] == b"\0" else b"\xff\0", text) + b"\0\1"


def _unsigned(number: int) -> bytes:
    """Write an unsigned number in ordered code: the count of its bytes, then the bytes, big end first."""
    size = (number.bit_length() + 7) // 8
    return bytes([size]) + number.to_bytes(size, "big")


def _signed(number: int) -> bytes:
    """Write a signed number in ordered code: a unary length of 1 to 10 bytes in its first bits, then the number."""
    magnitude = ~number if number < 0 else number
    size = magnitude.bit_length() // 7 + 1
    header = ((1 << size) - 1) << (7 * size)
    return ((number ^ header) & ((1 << (8 * size)) - 1)).to_bytes(size, "big")

"""Decompress raw Snappy blocks, as LevelDB tables hold them.

After google/snappy's format_description.txt. Not for: compressing, and not for the framed stream format.
"""

from __future__ import annotations

_LITERAL, _COPY_1, _COPY_2 = 0, 1, 2
#: A literal's length up to this stands in the tag itself, above it in one to four bytes behind the tag.
_SHORT_LITERAL = 60
_LENGTH_BITS = 32


def decompress(data: bytes, *, partial: bool = False) -> bytes:
    """Decompress a block.

    Nothing is allocated by the length that the block claims: the result grows as the data bear it out, to about 21
    times their length at most.

    Parameters
    ----------
    data : bytes
        The block.
    partial : bool
        The data are the beginning of a block only: return what they give, unchecked.

    Raises
    ------
    ValueError
        If the data are no Snappy block; the message says at which byte.
    """
    result = bytearray()
    try:
        _fill(result, data)
    except ValueError:
        if not partial:
            raise
    return bytes(result)


def _fill(result: bytearray, data: bytes) -> None:
    """Append the decompressed data, as far as they are right."""
    size, position = _claimed_size(data)
    while len(result) < size:
        if position >= len(data):
            message = f"compressed data end at byte {position} with {len(result)} of {size} bytes"
            raise ValueError(message)
        step = _literal if data[position] & 3 == _LITERAL else _copy
        position = step(data, position, result)
    if len(result) > size or position < len(data):
        message = f"compressed data give another length than the {size} bytes that they claim"
        raise ValueError(message)


def _claimed_size(data: bytes) -> tuple[int, int]:
    """Read the length of the decompressed data, and say where the data begin."""
    size = 0
    for index, byte in enumerate(data[:5]):
        size |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the top bit of a varint's last byte is clear
            if size >> _LENGTH_BITS:
                break
            return size, index + 1
    message = "compressed data begin without a length"
    raise ValueError(message)


def _literal(data: bytes, position: int, result: bytearray) -> int:
    """Append bytes that stand in the data as they are; return the position behind them."""
    length = data[position] >> 2
    start = position + 1
    if length >= _SHORT_LITERAL:
        extra = length - _SHORT_LITERAL + 1
        length = int.from_bytes(data[start : start + extra], "little")
        start += extra
    end = start + length + 1
    result += data[start:end]
    if end > len(data):
        message = f"a literal at compressed byte {position} goes past the end"
        raise ValueError(message)
    return end


def _copy(data: bytes, position: int, result: bytearray) -> int:
    """Append bytes that are in the result already; return the position behind the copy."""
    tag = data[position]
    kind = tag & 3
    width = 4 if kind > _COPY_2 else kind
    if kind == _COPY_1:
        length = 4 + (tag >> 2 & 7)
        high = tag >> 5 << 8
    else:
        length = 1 + (tag >> 2)
        high = 0
    end = position + 1 + width
    offset = high | int.from_bytes(data[position + 1 : end], "little")
    if end > len(data) or not 0 < offset <= len(result):
        message = f"a copy at compressed byte {position} reaches outside the data"
        raise ValueError(message)
    start = len(result) - offset
    pattern = result[start : start + length]
    # A copy may reach into itself, which repeats what it has.
    result += (pattern * (length // len(pattern) + 1))[:length]
    return end

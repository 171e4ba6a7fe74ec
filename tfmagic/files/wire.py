"""Protobuf's wire format, scanned in bulk: where the fields of many messages lie, without parsing what they hold.

A graph of a million nodes is three levels of small messages. Each function here takes the places of many messages
at once and answers with arrays, so that the cost is numpy's, not Python's. The format is described at
https://protobuf.dev/programming-guides/encoding/. Not for: what a field means (:mod:`tfmagic.files.protos`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np

from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

#: Positions, lengths and numbers.
Integers: TypeAlias = "npt.NDArray[np.int64]"
Mask: TypeAlias = "npt.NDArray[np.bool_]"

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MAX_VARINT, _MAX_TAG = 10, 5
#: Field numbers go from 1 to 2**29 - 1. Zeros, as in a file that was cut and filled up, are no fields.
_LEAST_TAG, _GREATEST_TAG = 1 << 3, (1 << 32) - 1
_NO_NUMBER = "a field number is out of range"
WORD = 8
#: A byte of a varint from here on says that another follows.
CONTINUED = 128
#: The bits of a field's first two bytes that are those of BYTES alone where tag and length have one byte each.
_SIMPLE_BITS = 0x8087
#: Spare bytes behind a buffer's content: as many as are ever taken at a position.
PADDING = 256
#: Below this many messages still being scanned, a Python loop beats another round of array operations.
_FEW = 24
#: By wire type: groups (3, 4) left protobuf long ago, 6 and 7 never were.
_UNUSED_KIND = np.array([False, False, False, True, True, False, True, True])


class WireError(errors.CorruptSourceError):
    """Bytes that are not protobuf's wire format; who knows the file says which it is (``Model.well_formed``).

    Attributes
    ----------
    offset : int
        Where in the buffer, in bytes.
    """

    def __init__(self, offset: int, problem: str) -> None:
        self.offset = offset
        self.problem = problem
        super().__init__(f"{problem} at byte {offset}")


class Buffer:
    """Bytes to scan, padded so that as many as are ever taken at once can be taken at every position.

    Parameters
    ----------
    data : bytes-like
        The content. A bytearray that ends in ``PADDING`` spare bytes is taken as it is, when ``size`` says so.
    size : int, optional
        The length of the content, if ``data`` is padded already.
    """

    def __init__(self, data: bytes | bytearray | memoryview, size: int | None = None) -> None:
        padded = data if size is not None else bytes(data) + bytes(PADDING)
        self.size = len(data) if size is None else size
        #: The same bytes; a plain sequence answers for one byte faster than a view does.
        self.raw = bytes(padded) if isinstance(padded, memoryview) else padded
        #: As it was loaded: who looks for fields reads this, and skips what they hold.
        self.view = memoryview(self.raw)
        self.octets: npt.NDArray[np.uint8] = np.frombuffer(self.raw, np.uint8)
        # One unaligned little-endian word at every byte: a gather of eight bytes is one take.
        self.words: npt.NDArray[np.uint64] = np.ndarray((self.size + 1,), "<u8", self.raw, strides=(1,))

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are at hand."""
        return True

    @property
    def data(self) -> memoryview:
        """All bytes."""
        return self.view

    def piece(self, start: int, end: int) -> memoryview:
        """Return some bytes."""
        return self.view[start:end]

    def text(self, start: int, end: int) -> str:
        """Decode one string; raises WireError if it is not UTF-8."""
        try:
            return str(self.view[start:end], "utf-8")
        except UnicodeDecodeError as error:
            raise WireError(start + error.start, "a string is not UTF-8") from error


@dataclass(frozen=True)
class Fields:
    """Fields found in many messages, in no order but that of the fields within each message.

    Attributes
    ----------
    owner : int array
        Index of the message that holds the field.
    number, kind : int array
        Field number and wire type.
    start, end : int array
        Where the payload lies; for a varint, the varint itself.
    """

    owner: Integers
    number: Integers
    kind: Integers
    start: Integers
    end: Integers

    def select(self, number: int, kind: int = BYTES) -> Fields:
        """Return the fields with this number, ordered by owner; those of another wire type are unknown fields."""
        chosen = np.flatnonzero((self.number == number) & (self.kind == kind))
        chosen = chosen[np.argsort(self.owner[chosen], kind="stable")]
        return self.take(chosen)

    def take(self, chosen: Integers | Mask) -> Fields:
        """Return some of the fields."""
        return Fields(*(array[chosen] for array in (self.owner, self.number, self.kind, self.start, self.end)))

    def last(self, count: int) -> tuple[Integers, Integers]:
        """Return start and end of the last of these fields in each of ``count`` messages; equal where there is none.

        Of a field that appears twice, protobuf keeps the last.
        """
        start, end = np.zeros(count, np.int64), np.zeros(count, np.int64)
        start[self.owner], end[self.owner] = self.start, self.end
        return start, end


def fields(buffer: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, payload start and payload end of each field of one message.

    Raises
    ------
    WireError
        Where the bytes stop being protobuf.
    """
    data, position = buffer.view, start
    while position < end:
        tag, position = tag_of(data, position, end)
        begin, position = payload(data, position, end, tag & 7)
        yield tag >> 3, tag & 7, begin, position


def read_fields(file: BinaryIO) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield number, tag and payload of each field of bytes of a message that is a file, one in memory at a time.

    Raises
    ------
    WireError
        Where the bytes stop being protobuf, or a field is of another kind.
    """
    end = file.seek(0, os.SEEK_END)
    position = file.seek(0)
    while position < end:
        tag = _read_varint(file)
        if tag & 7 != BYTES or tag <= BYTES:
            raise WireError(position, "a field is none of bytes")
        size = _read_varint(file)
        if file.tell() + size > end:
            raise WireError(position, "a field reaches past its message")
        yield tag >> 3, written(tag), file.read(size)
        position = file.tell()


def _read_varint(file: BinaryIO) -> int:
    """Read a varint from a file."""
    data = b""
    while len(data) < _MAX_VARINT and (byte := file.read(1)):
        data += byte
        if byte[0] < CONTINUED:
            break
    return varint(memoryview(data), 0, len(data))[0]


def tag_of(data: memoryview, position: int, end: int) -> tuple[int, int]:
    """Return the tag at this position, field number and wire type in one, and the position after it."""
    tag, after = data[position], position + 1
    if tag & 128:
        tag, after = varint(data, position, min(position + _MAX_TAG, end))
    if not _LEAST_TAG <= tag <= _GREATEST_TAG:
        raise WireError(position, _NO_NUMBER)
    return tag, after


def payload(data: memoryview, position: int, end: int, kind: int) -> tuple[int, int]:
    """Return begin and end of the payload whose tag ends here."""
    begin = position
    if kind == VARINT:
        _, position = varint(data, position, end)
    elif kind == BYTES:
        size, begin = varint(data, position, end)
        position = begin + size
    elif kind in (FIXED64, FIXED32):
        position += WORD if kind == FIXED64 else WORD // 2
    else:
        raise WireError(position - 1, f"wire type {kind} is not in use")
    if position > end:
        raise WireError(begin, "a field reaches past its message")
    return begin, position


def varint(data: memoryview, position: int, end: int) -> tuple[int, int]:
    """Return a varint's value and the position after it."""
    value = shift = 0
    for place in range(position, min(position + _MAX_VARINT, end)):
        byte = data[place]
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - the continuation bit
            return value, place + 1
        shift += 7
    raise WireError(position, "a varint does not end")


def written(value: int) -> bytes:
    """Write a varint."""
    result = bytearray()
    while value >= CONTINUED:
        result.append(value & 127 | CONTINUED)
        value >>= 7
    return bytes([*result, value])


def scan(buffer: Buffer, starts: Integers, ends: Integers) -> Fields:
    """Find the fields of many messages at once.

    Each round reads one field of every message that is not at its end. Messages with very many fields are finished
    one by one.

    Raises
    ------
    WireError
        Where the bytes stop being protobuf.
    """
    return scan_until(buffer, starts, ends, None)[0]


def scan_until(buffer: Buffer, starts: Integers, ends: Integers, number: int | None) -> tuple[Fields, Integers]:
    """Find the fields of many messages at once, of each only those before the first with a certain number.

    Returns
    -------
    (Fields, int array)
        The fields, and where in each message that first field begins, its tag included; else the message's end.
    """
    position, owner = starts.astype(np.int64), np.arange(len(starts))
    stopped = ends.astype(np.int64)
    rounds: list[tuple[Integers, ...]] = []
    while True:
        alive = position < ends[owner]
        position, owner = position[alive], owner[alive]
        if len(owner) <= _FEW:
            break
        numbers, kind, begin, after = _field_round(buffer, position, ends[owner])
        if number is not None and (last := numbers == number).any():
            stopped[owner[last]] = position[last]
            owner, numbers, kind, begin, after = (array[~last] for array in (owner, numbers, kind, begin, after))
        rounds.append((owner, numbers, kind, begin, after))
        position = after
    for index, place in zip(owner.tolist(), position.tolist(), strict=True):
        rest, stopped[index] = _rest(buffer, index, place, int(ends[index]), number)
        rounds.append(rest)
    empty = (np.zeros(0, np.int64),) * 5
    columns = zip(*rounds, strict=True) if rounds else ((array,) for array in empty)
    return Fields(*(np.concatenate(parts) for parts in columns)), stopped


def _rest(buffer: Buffer, owner: int, position: int, end: int, number: int | None) -> tuple[tuple[Integers, ...], int]:
    """Scan what is left of one message: the fields, and where the scan stopped."""
    spans = []
    for field in fields(buffer, position, end):
        if field[0] == number:
            end = position
            break
        spans.append(field)
        position = field[3]
    numbers, kind, begin, stop = np.array(spans, np.int64).reshape(-1, 4).T
    return (np.full(len(spans), owner, np.int64), numbers, kind, begin, stop), end


def _field_round(buffer: Buffer, position: Integers, ends: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """Read one field at each position: number, wire type, payload begin and end."""
    words = buffer.words[position].view(np.int64)
    # Most fields are of bytes, with a tag of one byte and a length of one.
    tag, begin = words & 127, position + 2
    stop = begin + (words >> 8 & 127)
    others = np.flatnonzero((words & _SIMPLE_BITS) != BYTES)
    if len(others):
        tag[others], begin[others], stop[others] = _any_field(buffer, position[others])
    _check(position, (stop > ends) | (stop < begin), "a field reaches past its message")
    _check(position, tag < _LEAST_TAG, _NO_NUMBER)
    return tag >> 3, tag & 7, begin, stop


def _any_field(buffer: Buffer, position: Integers) -> tuple[Integers, Integers, Integers]:
    """Read one field of any wire type at each position: tag, payload begin and end."""
    tag, begin = varints(buffer, position)
    _check(position, (tag < _LEAST_TAG) | (tag > _GREATEST_TAG) | (begin > position + _MAX_TAG), _NO_NUMBER)
    kind = tag & 7
    stop = begin + np.where(kind == FIXED64, WORD, WORD // 2)
    for wanted, place in ((VARINT, np.flatnonzero(kind == VARINT)), (BYTES, np.flatnonzero(kind == BYTES))):
        value, after = varints(buffer, begin[place])
        if wanted == BYTES:
            begin[place] = after
            # A length near 2**63 would wrap around: no length reaches past the buffer.
            after = after + np.clip(value, -1, buffer.size + 1)
        stop[place] = after
    _check(position, _UNUSED_KIND[kind], "a wire type is not in use")
    return tag, begin, stop


def _check(position: Integers, bad: Mask, problem: str) -> None:
    """Raise at the first of the positions that is bad."""
    if bad.any():
        raise WireError(int(position[bad][0]), problem)


def varints(buffer: Buffer, position: Integers) -> tuple[Integers, Integers]:
    """Read a varint at each position: the values, modulo 2**64 as signed, and the positions after them."""
    octets, limit = buffer.octets, len(buffer.octets) - 1
    byte = octets[np.minimum(position, limit)]
    value, after = (byte & 127).astype(np.int64), position + 1
    more = np.flatnonzero(byte & 128)
    for shift in range(7, 7 * _MAX_VARINT, 7):
        if not len(more):
            return value, after
        byte = octets[np.minimum(after[more], limit)]
        value[more] |= (byte & 127).astype(np.int64) << shift
        after[more] += 1
        more = more[(byte & 128) != 0]
    _check(position[more], np.ones(len(more), bool), "a varint does not end")
    return value, after

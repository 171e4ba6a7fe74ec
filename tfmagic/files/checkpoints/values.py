"""A stored tensor's value as a numpy array, from a checkpoint's shard or from a TensorProto of the V1 format.

What a checkpoint claims is held against what the file has before anything is allocated. Not for: finding the tensor
(:mod:`tfmagic.files.checkpoints.tensor_bundle`), and not for constants of a graph.
"""

from __future__ import annotations

import importlib
import math
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import errors
from tfmagic.files import crc32c, protos, reading
from tfmagic.files.addresses.address import Address
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints.sorted_tables import varint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tfmagic.files.checkpoints.slices import Extents

    Shape = tuple[int, ...]

#: Quantized numbers are stored as the plain integers of their size.
_QUANTIZED = {"qint8": "int8", "quint8": "uint8", "qint16": "int16", "quint16": "uint16", "qint32": "int32"}
_PLAIN = frozenset(
    {
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
        "float64", "complex64", "complex128",
    }
)  # fmt: skip
#: Which field of a TensorProto holds the values, where it is not ``int_val``.
_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val", "string": "string_val",
    "complex64": "scomplex_val", "complex128": "dcomplex_val", "float16": "half_val", "bfloat16": "half_val",
    "uint32": "uint32_val", "uint64": "uint64_val",
}  # fmt: skip
_UINT32_MAX = (1 << 32) - 1


class Place(NamedTuple):
    """Where a value lies: ``bytes`` from ``offset`` of the file, with the masked CRC to check, or None."""

    path: Path
    offset: int
    bytes: int
    crc: int | None


def numpy_dtype(dtype: str) -> np.dtype:
    """Return the numpy dtype that stores a TensorFlow dtype of fixed size.

    ``bfloat16``, ``float8_…`` and ``int4`` are ml_dtypes' where that is installed, else unsigned integers of the same
    size. Raises ValueError for a dtype without a fixed size.
    """
    name = _QUANTIZED.get(dtype, dtype)
    if name in _PLAIN:
        return np.dtype(name)
    size = protos.item_size(dtype)
    if size is None:
        message = f"values of dtype {dtype!r} have a meaning inside TensorFlow only"
        raise ValueError(message)
    try:
        # Optional, and comes with TensorFlow.
        scalar: type[np.generic] = getattr(importlib.import_module("ml_dtypes"), name)
    except (ImportError, AttributeError):
        return np.dtype(f"uint{8 * size}")
    return np.dtype(scalar)


def from_shard(place: Place, dtype: str, shape: Shape, *, big_endian: bool = False) -> np.ndarray:
    """Read a value from a data shard that is known to be long enough.

    Raises
    ------
    ValueError
        If the bytes do not make a tensor of this dtype and shape, or do not match their CRC.
    """
    if dtype == "string":
        return _strings(_span(place), place.crc, shape, "big" if big_endian else "little")
    stored = numpy_dtype(dtype)
    count = math.prod(shape)
    if count * stored.itemsize != place.bytes:
        message = f"{place.bytes:,} bytes do not make a {dtype} tensor of shape {shape}"
        raise ValueError(message)
    values = _octets(place, 0, place.bytes)
    if len(values) < place.bytes:
        message = f"{str(place.path)!r} became shorter while it was read"
        raise ValueError(message)
    _check(place, crc32c.checksum(values.data))
    if big_endian != (sys.byteorder == "big"):
        values = values.view(stored).byteswap().view(np.uint8)
    return values.view(stored).reshape(shape)


def blocks(place: Place, dtype: str, size: int, *, big_endian: bool = False) -> Iterator[np.ndarray]:
    """Read a value of fixed size from a data shard, ``size`` bytes at a time, in one dimension.

    Raises
    ------
    CorruptSourceError
        After the last block, if all of them do not match their CRC.
    """
    stored = numpy_dtype(dtype)
    step = max(1, size // stored.itemsize) * stored.itemsize
    crc = 0
    for first in range(0, place.bytes, step):
        count = min(step, place.bytes - first)
        values = _octets(place, first, count)
        if len(values) < count or count % stored.itemsize:
            message = f"{str(place.path)!r} became shorter while it was read"
            raise errors.CorruptSourceError(message)
        crc = crc32c.checksum(values.data, crc)
        swapped = values.view(stored).byteswap() if big_endian != (sys.byteorder == "big") else values.view(stored)
        yield swapped
    _check(place, crc)


def from_proto(proto: protos.Message, dtype: str, shape: Shape) -> np.ndarray:
    """Read the values of a TensorProto that has neither dtype nor shape of its own, as V1 checkpoints store it.

    Raises
    ------
    ValueError
        If they are not as many as the shape calls for.
    """
    values: Sequence[object] = getattr(proto, _FIELDS.get(dtype, "int_val"))
    parts = 2 if dtype.startswith("complex") else 1
    if len(values) != math.prod(shape) * parts:
        message = f"{len(values):,} values do not make a {dtype} tensor of shape {shape}"
        raise ValueError(message)
    if dtype == "string":
        return _objects(list(values), shape)
    stored = numpy_dtype(dtype)
    if dtype in ("float16", "bfloat16"):
        return np.array(values, dtype=np.uint16).view(stored).reshape(shape)
    if parts == 2:  # noqa: PLR2004 - a real and an imaginary part
        return np.array(values, dtype=f"float{4 * stored.itemsize}").view(stored).reshape(shape)
    return np.array(values, dtype=stored).reshape(shape)


def assembled(shape: Shape, pieces: Sequence[tuple[Extents, np.ndarray]]) -> np.ndarray:
    """Put the pieces of a partitioned tensor together.

    Raises
    ------
    ValueError
        If they do not cover the shape, element by element.
    """
    elements = sum(value.size for _, value in pieces)
    if elements != math.prod(shape) or not pieces:
        message = f"its {len(pieces)} pieces have {elements:,} elements; shape {shape} calls for {math.prod(shape):,}"
        raise ValueError(message)
    result = np.empty(shape, dtype=pieces[0][1].dtype)
    for piece, value in pieces:
        result[tensor_slices.region(piece, shape)] = value
    return result


def _octets(place: Place, first: int, count: int) -> np.ndarray:
    """Read bytes of a value, perhaps fewer where the file ends."""
    if not isinstance(place.path, Address):
        return np.fromfile(place.path, dtype=np.uint8, count=count, offset=place.offset + first)
    with place.path.opened() as file:
        file.seek(place.offset + first)
        return np.frombuffer(bytearray(file.read(count)), np.uint8)


def _span(place: Place) -> bytes:
    # Where a result is being written meanwhile, it is this file that the system refuses, not the result's.
    with reading.refusals(place.path), place.path.open("rb") as file:
        file.seek(place.offset)
        data = file.read(place.bytes)
    if len(data) < place.bytes:
        message = f"{str(place.path)!r} became shorter while it was read"
        raise ValueError(message)
    return data


def _check(place: Place, crc: int) -> None:
    if place.crc is not None and crc32c.masked(crc) != place.crc:
        message = f"the bytes at {place.offset:,} of {str(place.path)!r} do not match their checksum"
        raise errors.CorruptSourceError(message)


def _strings(data: bytes, crc: int | None, shape: Shape, order: str) -> np.ndarray:
    """Read strings: the varint lengths of all, a CRC of the lengths, then the bytes of all.

    The CRCs are over the lengths as numbers of 4 bytes, of 8 for a string of 4 GiB and more (tensor_bundle.cc).
    """
    count = math.prod(shape)
    if not data and not count:
        return _objects([], shape)
    if count > len(data):
        message = f"{len(data):,} bytes do not make {count:,} strings"
        raise ValueError(message)
    lengths, position = _lengths(data, count)
    if position + 4 + sum(lengths) != len(data):
        message = f"{count:,} strings do not take {len(data):,} bytes"
        raise ValueError(message)
    numbers = b"".join(length.to_bytes(4 if length <= _UINT32_MAX else 8, order) for length in lengths)  # type: ignore[arg-type]
    if crc is not None and crc32c.masked(crc32c.checksum(data[position:], crc32c.checksum(numbers))) != crc:
        message = "the strings do not match their checksum"
        raise ValueError(message)
    return _objects(_cut(data, position + 4, lengths), shape)


def _lengths(data: bytes, count: int) -> tuple[list[int], int]:
    position = 0
    lengths = []
    try:
        for _ in range(count):
            length, position = varint(data, position)
            lengths.append(length)
    except IndexError:
        message = "the lengths of strings go past the end"
        raise ValueError(message) from None
    return lengths, position


def _cut(data: bytes, position: int, lengths: list[int]) -> list[object]:
    strings: list[object] = []
    for length in lengths:
        strings.append(data[position : position + length])
        position += length
    return strings


def _objects(values: list[object], shape: Shape) -> np.ndarray:
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result.reshape(shape)

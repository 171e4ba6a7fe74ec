"""What the tensors of a TensorFlow Lite file hold: integers that stand for real numbers as those, packed ones unpacked.

No more is read than the tensor, no more of it held than a block. Not for: where buffers lie
(:mod:`tfmagic.files.tflite.structure`).
"""

from __future__ import annotations

import itertools
import math
import os
import struct
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tfmagic import errors
from tfmagic.files import places
from tfmagic.files.checkpoints import values as tensor_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.files.flatbuffers import Vector
    from tfmagic.files.tflite.structure import Description
    from tfmagic.files.tflite.tensors import Quantisation, Sparsity, Tensor

Array: TypeAlias = "npt.NDArray[Any]"

#: Bits of an element of the dtypes of which several lie in a byte, the first in the lowest bits.
_PACKED = {"int4": 4, "uint4": 4, "int2": 2}
#: The bytes of one block.
_BLOCK = 4 << 20
#: A sparse tensor is spread out to at most so many bytes for each that is stored.
_MOST_GROWTH = 1000
_COUNT = struct.Struct("<i")


def place(path: Path, description: Description, number: int) -> tuple[Path, Vector]:
    """Return the file in which a buffer lies, and where in it.

    Raises
    ------
    ReadError
        If it lies in another file that is not there, is none beside this one, or holds it packed in a way of its own.
    """
    name = description.files.get(number)
    if name is None:
        return path, description.buffers[number]
    reason = why_unread(path, name, description.packings.get(number, ""))
    if reason:
        raise errors.ReadError(f"these values of {str(path)!r} lie in {name!r}, {reason}")
    return path.parent / name, description.buffers[number]


def why_unread(path: Path, name: str, packing: str = "") -> str:
    """Return why values in another file that a model names are not read, ``""`` where they are."""
    if not places.stays_inside(name):
        return "which is no file beside it"
    if not (path.parent / name).is_file():
        return "which is not beside it"
    return f"packed as {packing!r} by rules that nobody states" if packing else ""


def files(path: Path, description: Description) -> list[Path]:
    """Return the other files that a model's values are read from."""
    return [path.parent / name for name in dict.fromkeys(description.files.values()) if not why_unread(path, name)]


def file_sizes(path: Path, description: Description) -> dict[str, int | None]:
    """Return the other files that a model names with their bytes, None for those that are not read."""
    names = dict.fromkeys(description.files.values())
    return {name: None if why_unread(path, name) else (path.parent / name).stat().st_size for name in names}


def content(path: Path, place: Vector) -> bytes:
    """Return the bytes of a buffer.

    Raises
    ------
    CorruptSourceError
        If the file ends before it.
    """
    return b"".join(_pieces(path, place, max(1, place.length)))


def stored(tensor: Tensor, data: bytes) -> Array:
    """Return what a buffer holds of a dense tensor, in its shape: text as bytes objects, integers as they are stored.

    Raises
    ------
    ValueError
        If they do not fill the shape, or have no meaning outside a runtime.
    """
    shape = tuple(size or 0 for size in tensor.shape or ())
    if tensor.dtype == "string":
        return np.array([*_texts(data), None], dtype=object)[:-1].reshape(shape)
    return _unpacked(data, tensor.dtype)[: math.prod(shape)].reshape(shape)


def size(tensor: Tensor) -> int:
    """Return how many elements a tensor has; an open dimension makes it none."""
    return math.prod(each or 0 for each in tensor.shape or ())


def blocks(path: Path, tensor: Tensor, place: Vector) -> Iterator[Array]:
    """Yield the real numbers that a tensor stands for, from the beginning, in one dimension.

    Raises
    ------
    ReadError
        If its buffer does not fill it, or it is sparse and claims to be far larger than what is stored.
    CorruptSourceError
        If the file ends before its buffer.
    """
    if tensor.sparsity is not None:
        yield _real(_spread(tensor, _unpacked(content(path, place), tensor.dtype), tensor.sparsity), tensor, 0)
        return
    count, first = size(tensor), 0
    for piece in _pieces(path, place, _BLOCK):
        values = _unpacked(piece, tensor.dtype)[: count - first]
        yield _real(values, tensor, first)
        first += len(values)
    if first != count:
        raise errors.ReadError(f"the buffer of {tensor.name!r} holds {first:,} values of {count:,}")


def _pieces(path: Path, place: Vector, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        # What a file claims is compared with what there is before room is made for it.
        is_whole = file.seek(0, os.SEEK_END) >= place.offset + place.length
        file.seek(place.offset if is_whole else 0)
        left = place.length
        while left:
            piece = file.read(min(left, length)) if is_whole else b""
            if not piece:
                raise errors.CorruptSourceError(
                    f"{str(path)!r} ends before a buffer of {place.length:,} bytes does: it is truncated, copy it again"
                )
            left -= len(piece)
            yield piece


def _unpacked(data: bytes, dtype: str) -> Array:
    bits = _PACKED.get(dtype)
    if bits is None:
        kind = tensor_values.numpy_dtype(dtype).newbyteorder("<")
        return np.frombuffer(data, kind, len(data) // kind.itemsize)
    octets = np.frombuffer(data, np.uint8)
    places = np.arange(0, 8, bits, dtype=np.uint8)
    values = (octets[:, None] >> places & (1 << bits) - 1).reshape(-1)
    if dtype.startswith("uint"):
        return values
    return np.where(values >> bits - 1, values.astype(np.int16) - (1 << bits), values).astype(np.int8)


def _real(values: Array, tensor: Tensor, first: int) -> Array:
    """Return real numbers for integers, of which so many came before."""
    quantisation = tensor.quantisation
    if quantisation is None or not quantisation.scale or values.dtype.kind not in "iu":
        return values
    scale = np.array(quantisation.scale, np.float32)
    zero = np.array(quantisation.zero_point or (0,), np.float32)
    if len(scale) > 1:
        places = _places(quantisation, tensor, first, len(values))
        scale, zero = scale[places % len(scale)], zero[places % len(zero)]
    real: Array = (values.astype(np.float32) - zero) * scale
    return real


def _places(quantisation: Quantisation, tensor: Tensor, first: int, count: int) -> Array:
    """Return where along the axis of the scales each of some elements lies."""
    sizes = [each or 1 for each in tensor.shape or ()]
    axis = quantisation.axis if 0 <= quantisation.axis < len(sizes) else 0
    inner = math.prod(sizes[axis + 1 :])
    along: Array = (np.arange(first, first + count) // inner) % max(1, sizes[axis] if sizes else 1)
    return along


def _texts(data: bytes) -> Iterator[bytes]:
    """Yield the strings of a buffer: their number, where each begins and the last one ends, then the bytes."""
    if len(data) < _COUNT.size:
        return
    (count,) = _COUNT.unpack_from(data)
    if count < 0 or _COUNT.size * (count + 2) > len(data):
        raise ValueError(f"{count:,} strings in {len(data):,} bytes")
    offsets = struct.unpack_from(f"<{count + 1}i", data, _COUNT.size)
    yield from (data[begin:end] for begin, end in itertools.pairwise(offsets))


def _spread(tensor: Tensor, values: Array, sparsity: Sparsity) -> Array:
    """Return a sparse tensor in full: its dimensions are walked in an order of their own, blocks last.

    The format is TACO's, as the schema describes it: the indices of each level lie in stretches, one for each index of
    the level before.
    """
    shape = [each or 0 for each in tensor.shape or ()]
    if size(tensor) * values.itemsize > _MOST_GROWTH * max(1, values.nbytes):
        raise errors.ReadError(
            f"{tensor.name!r} claims to be {size(tensor):,} values, of which {len(values):,} are stored"
        )
    try:
        coordinates = _walked(sparsity)
        levels = {dimension: level for level, dimension in enumerate(sparsity.order)}
        blocks_of = {dimension: len(shape) + at for at, dimension in enumerate(sparsity.block_map)}
        whole = []
        for dimension in range(len(shape)):
            along = coordinates[levels[dimension]]
            if dimension in blocks_of:
                level = levels[blocks_of[dimension]]
                along = along * sparsity.dimensions[level].size + coordinates[level]
            whole.append(along)
        full = np.zeros(shape, values.dtype)
        full[tuple(whole)] = values[: len(whole[0]) if whole else 1]
    except (IndexError, KeyError, ValueError) as error:
        raise errors.ReadError(f"the indices of the sparse tensor {tensor.name!r} make no sense: {error}") from error
    return full.reshape(-1)


def _walked(sparsity: Sparsity) -> Sequence[Array]:
    """Return the index of each stored element at each level."""
    levels: list[Array] = []
    count = 1
    for dimension in sparsity.dimensions:
        if dimension.kind == "dense":
            parents = np.repeat(np.arange(count), dimension.size)
            own = np.tile(np.arange(dimension.size), count)
        else:
            segments = np.array(dimension.segments)
            parents = np.repeat(np.arange(count), np.diff(segments)[:count])
            own = np.array(dimension.indices)[: len(parents)]
        levels = [*(level[parents] for level in levels), own]
        count = len(own)
    return levels

"""The tensors that a checkpoint's tables list, checked: what an entry claims is not believed as it stands.

Not for: the values (:mod:`tfmagic.files.checkpoints.tensor_bundle` reads them), or the format of the tables
(:mod:`tfmagic.files.checkpoints.sorted_tables`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.checkpoints import slices as tensor_slices

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tfmagic.files.checkpoints.slices import Extents
    from tfmagic.files.checkpoints.sorted_tables import Table
    from tfmagic.frames import Shape

#: More than this no table of ours counts, nor does any memory hold it.
_MAX_COUNT = (1 << 63) - 1


class Entry(NamedTuple):
    """A tensor of a checkpoint, or a piece of one.

    ``bytes`` is what it takes in its shard, None where a V1 file does not say; ``shard``, ``offset`` and ``crc32c``
    (masked) have a meaning in V2 only. ``slices`` is empty unless the tensor is stored in pieces.
    """

    key: bytes
    dtype: str
    shape: Shape
    bytes: int | None
    shard: int = 0
    offset: int = 0
    crc32c: int = 0
    slices: tuple[Extents, ...] = ()


class Listing(NamedTuple):
    """What an index lists; see :class:`tfmagic.files.checkpoints.tensor_bundle.Checkpoint`."""

    entries: dict[str, Entry]
    pieces: dict[bytes, Entry]
    shard_count: int
    big_endian: bool


def of_index(table: Table) -> Listing:
    """Read the index of a V2 checkpoint, the header first.

    Raises
    ------
    CorruptSourceError
        If an entry does not parse, or claims what cannot be.
    """
    items = iter(table)
    key, value = next(items)
    if key:
        raise _corrupt(table.path, key, "it comes first, where the header should be")
    header = parse(table.path, "BundleHeaderProto", key, value)
    entries: dict[str, Entry] = {}
    pieces: dict[bytes, Entry] = {}
    read = protos.message("BundleEntryProto").FromString
    for key, value in items:
        try:
            entry = _entry(key, read(value))
        except (protos.ParseError, ValueError) as error:
            raise _corrupt(table.path, key, error) from error
        if not 0 <= entry.shard < max(1, header.num_shards):
            raise _corrupt(table.path, key, f"it lies in shard {entry.shard} of {header.num_shards}")
        if key.startswith(tensor_slices.KEY_MARK):
            pieces[key] = entry
        else:
            entries[key.decode(errors="backslashreplace")] = entry
    return Listing(entries, pieces, header.num_shards, header.endianness == 1)


def _entry(key: bytes, proto: protos.Message) -> Entry:
    """Check what a bundle's entry claims, as far as other code counts on it."""
    shape = _checked_shape(proto.shape.SerializeToString())
    offset, size = proto.offset, proto.size
    if offset < 0 or size < 0 or offset + size > _MAX_COUNT:
        message = f"it takes {size} bytes at {offset}"
        raise ValueError(message)
    slices = tuple(map(tensor_slices.extents, proto.slices)) if proto.slices else ()
    return Entry(key, _dtype_name(proto.dtype), shape, size, proto.shard_id, offset, proto.crc32c, slices)


def of_files(tables: Iterable[Table]) -> dict[str, Entry]:
    """Read the lists at the head of the files of a V1 checkpoint.

    Raises
    ------
    CorruptSourceError
        If a list does not parse, or a tensor claims what cannot be.
    """
    entries: dict[str, Entry] = {}
    for table in tables:
        key, value = table.first()
        for tensor in parse(table.path, "SavedTensorSlices", key, value).meta.tensor:
            try:
                entry = _v1_entry(tensor)
            except ValueError as error:
                raise _corrupt(table.path, tensor.name.encode(), error) from error
            before = entries.get(tensor.name)
            # Each file lists what it holds itself, of a partitioned tensor perhaps one piece.
            entries[tensor.name] = entry if before is None else before._replace(slices=before.slices + entry.slices)
    return entries


def _v1_entry(tensor: protos.Message) -> Entry:
    shape = _checked_shape(tensor.shape.SerializeToString())
    dtype = protos.dtype_name(tensor.type)
    item_size = protos.item_size(dtype)
    size = None if shape is None or item_size is None else math.prod(known(shape)) * item_size
    return Entry(tensor.name.encode(), dtype, shape, size, slices=tuple(map(tensor_slices.extents, tensor.slice)))


@lru_cache(maxsize=4096)
def _checked_shape(serialized: bytes) -> Shape:
    """Read the shape of a stored tensor, which is known and whose elements can be counted; shapes repeat."""
    shape = protos.shape_of(protos.parse("TensorShapeProto", serialized))
    if shape is not None and (None in shape or math.prod(known(shape)) * 16 > _MAX_COUNT):
        message = f"its shape is {shape}"
        raise ValueError(message)
    return shape


_dtype_name = lru_cache(maxsize=256)(protos.dtype_name)


def known(shape: Shape) -> tuple[int, ...]:
    """Narrow a shape to one that is known; raises ValueError for any other."""
    if shape is None or any(size is None for size in shape):
        message = f"its shape is {shape}"
        raise ValueError(message)
    return tuple(size for size in shape if size is not None)


def parse(path: Path, name: str, key: bytes, value: bytes) -> protos.Message:
    """Parse what a table has under a key; raises CorruptSourceError with both."""
    try:
        return protos.parse(name, value)
    except protos.ParseError as error:
        raise _corrupt(path, key, f"no {name}: {error}") from error


def _corrupt(path: Path, key: bytes, problem: object) -> errors.CorruptSourceError:
    name = key.decode(errors="backslashreplace")[:200]
    return errors.CorruptSourceError(
        f"{str(path)!r} does not describe its entry {name!r} rightly: {problem}. "
        "Copy it again from where it was written, or give another checkpoint"
    )

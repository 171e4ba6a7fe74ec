"""Write the tensors of a checkpoint: one data shard and its index, as TensorFlow's BundleWriter does.

From tensorflow/core/util/tensor_bundle/tensor_bundle.cc. Not for: where the files come to stand
(:mod:`tfmagic.files.checkpoints.writing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

import numpy as np

from tfmagic.files import crc32c, early_writing, protos, wire
from tfmagic.files.checkpoints import slices, sorted_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

_INDEX, _SHARD = ".index", ".data-00000-of-00001"
#: Longer strings have lengths of eight bytes in their checksum.
_UINT32_MAX = (1 << 32) - 1


class Tensor(NamedTuple):
    """A tensor to be written, text as bytes objects; ``slice`` says, as SaveV2 does, which piece of a whole it is."""

    key: str
    dtype: str
    values: npt.NDArray[np.generic]
    slice: str = ""


def write(prefix: Path, tensors: Iterable[Tensor]) -> None:
    """Write a checkpoint, one tensor in memory at a time.

    Parameters
    ----------
    prefix : Path
        How its files begin; the directory is there, the files are not.
    tensors : iterable of Tensor
        Each key, or piece of one, once.
    """
    entries: dict[bytes, protos.Message] = {}
    with early_writing.opened(prefix.with_name(prefix.name + _SHARD)) as shard:
        for tensor in tensors:
            entry = protos.message("BundleEntryProto")(dtype=protos.dtype_number(tensor.dtype), offset=shard.tell())
            entry.shape.CopyFrom(protos.shape_proto(tensor.values.shape))
            crc = (
                _write_texts(shard, tensor.values) if tensor.dtype == "string" else _write_numbers(shard, tensor.values)
            )
            entry.size = shard.tell() - entry.offset
            entry.crc32c = crc32c.masked(crc)
            entries[_entry_key(tensor, entries)] = entry
    header = protos.message("BundleHeaderProto")(num_shards=1)
    header.version.producer = 1
    listed = {key: each.SerializeToString(deterministic=True) for key, each in sorted({b"": header, **entries}.items())}
    prefix.with_name(prefix.name + _INDEX).write_bytes(sorted_tables.table(listed))


def _entry_key(tensor: Tensor, entries: dict[bytes, protos.Message]) -> bytes:
    """Return the key of a tensor's entry; a piece has one of its own, and the entry of the whole lists it."""
    name = tensor.key.encode()
    if not tensor.slice:
        return name
    piece, whole = slices.parsed(tensor.slice), slices.whole_shape(tensor.slice)
    if slices.shape_of(piece, whole) == whole:
        return name
    listing = entries.setdefault(name, protos.message("BundleEntryProto")(dtype=protos.dtype_number(tensor.dtype)))
    listing.shape.CopyFrom(protos.shape_proto(whole))
    slices.add_extents(listing.slices.add(), piece)
    return slices.key(name, piece)


def _write_numbers(shard: BinaryIO, values: npt.NDArray[np.generic]) -> int:
    """Write numbers in the order of files; return their checksum."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False) if values.dtype.byteorder == ">" else values
    content = np.ascontiguousarray(little).reshape(-1).view(np.uint8).data if values.size else memoryview(b"")
    shard.write(content)
    return crc32c.checksum(content)


def _write_texts(shard: BinaryIO, values: npt.NDArray[np.generic]) -> int:
    """Write texts; return the checksum of it all."""
    texts = [each if isinstance(each, bytes) else str(each).encode() for each in values.reshape(-1).tolist()]
    content, crc = texts_content(texts)
    shard.write(content)
    return crc


def texts_content(texts: Sequence[bytes], order: Literal["little", "big"] = "little") -> tuple[bytes, int]:
    """Return texts as a shard holds them, and the checksum: their lengths, the checksum of these, then the texts."""
    lengths = [len(text) for text in texts]
    crc = crc32c.checksum(b"".join(length.to_bytes(4 if length <= _UINT32_MAX else 8, order) for length in lengths))
    content = crc32c.masked(crc).to_bytes(4, order) + b"".join(texts)
    return b"".join(map(wire.written, lengths)) + content, crc32c.checksum(content, crc)

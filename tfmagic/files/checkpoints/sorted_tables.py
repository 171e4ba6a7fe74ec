"""Read and write sorted string tables: the ``.index`` of a checkpoint, and the files of checkpoints in the V1 format.

LevelDB's table format (google/leveldb, doc/table_format.md) as TensorFlow writes it: data blocks, an index block, a
footer. Keys and values are bytes here. Not for: what they mean (:mod:`tfmagic.files.checkpoints.tensor_bundle`),
LevelDB's logs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import crc32c, reading, snappy, wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: The table's last bytes, little endian 0xdb4775248b80fb57.
MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER_BYTES = 48
#: Every table of TensorFlow begins with the empty key: nothing shared with a key before it, no byte of its own.
FIRST_ENTRY = b"\0\0"

_TRAILER_BYTES = 5
_STORED, _SNAPPY = 0, 1
#: A writer spells a key out whole at least every 16 entries, so that keys can take 16 times the block, not more.
_KEY_GROWTH = 64
_LFS = b"version https://git-lfs"
#: How much of a block to read at first, when its first entry alone is wanted.
_FIRST_BYTES = 1 << 16
_VARINT_END = 0x80
_VARINT_BITS = 63
#: As many entries go into one block of a table that is written.
_ENTRIES = 64
#: One key in so many is spelled out whole.
_RESTART = 16


class _Handle(NamedTuple):
    """Where a block lies, without its trailer."""

    offset: int
    size: int


@dataclass(frozen=True)
class Table:
    """A table in a file, of which only the blocks that are asked for are read.

    Attributes
    ----------
    path : Path
        The file.
    size : int
        Its size in bytes when it was opened.
    blocks : tuple
        The last key and the place of each data block, in the order of the keys.
    """

    path: Path
    size: int
    blocks: tuple[tuple[bytes, _Handle], ...]

    @classmethod
    def open(cls, path: Path) -> Table:
        """Read the footer and the index block.

        Raises
        ------
        CorruptSourceError
            If the file is no table, is truncated or fails its checksum.
        ReadError
            If the file may not be read.
        """
        footer = _bytes(path, -FOOTER_BYTES, FOOTER_BYTES)
        size = path.stat().st_size
        if not footer.endswith(MAGIC) or len(footer) < FOOTER_BYTES:
            raise _corrupt(path, max(0, size - len(MAGIC)), _why_no_table(path, size))
        index = _footer_handle(path, size, footer)
        blocks = tuple(_data_handles(path, size, _block(path, size, index), index.offset))
        return cls(path, size, blocks)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all keys and values, by key."""
        previous = None
        for _, handle in self.blocks:
            for key, value in _entries(self.path, handle.offset, _block(self.path, self.size, handle)):
                if previous is not None and key <= previous:
                    raise _corrupt(self.path, handle.offset, f"keys do not ascend at {key!r}")
                previous = key
                yield key, value

    def first(self) -> tuple[bytes, bytes]:
        """Return the first key and value, without the rest of their block where that is large."""
        if not self.blocks:
            raise _corrupt(self.path, 0, "the table has no entry")
        handle = self.blocks[0][1]
        wanted = _FIRST_BYTES
        while wanted < handle.size:
            entry = _leading_entry(_beginning(self.path, self.size, handle, wanted))
            if entry is not None:
                return entry
            wanted *= 4
        entry = next(_entries(self.path, handle.offset, _block(self.path, self.size, handle)), None)
        if entry is None:
            raise _corrupt(self.path, handle.offset, "the first block has no entry")
        return entry

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None; reads one block."""
        for last, handle in self.blocks:
            if key <= last:
                block = _block(self.path, self.size, handle)
                return dict(_entries(self.path, handle.offset, block)).get(key)
        return None


def _bytes(path: Path, offset: int, size: int) -> bytes:
    """Read a span of the file, a negative offset counting from its end."""
    with reading.opened(path) as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end + offset) if offset < 0 else offset)
        return file.read(min(size, end))


def _corrupt(path: Path, offset: int, problem: str) -> errors.CorruptSourceError:
    """Say what is damaged, where, and what to do."""
    message = (
        f"{str(path)!r} is not a whole checkpoint table: {problem} (at byte {offset:,}). "
        "Copy it again from where it was written, or give another checkpoint"
    )
    return errors.CorruptSourceError(message)


def _why_no_table(path: Path, size: int) -> str:
    """Guess why a file has no table's footer."""
    if size == 0:
        return "the file is empty"
    head = _bytes(path, 0, len(_LFS))
    if head.startswith(_LFS):
        return "it is a Git LFS pointer, not the file itself (run `git lfs pull`)"
    if head.startswith(FIRST_ENTRY):
        return f"it begins like a table, but its footer is missing: the file is truncated to {size:,} bytes"
    return "it does not end in a table's footer"


def _footer_handle(path: Path, size: int, footer: bytes) -> _Handle:
    """Read the index block's handle, which follows the metaindex block's."""
    where = size - FOOTER_BYTES
    try:
        _, position = _handle(footer, 0)
        return _handle(footer, position)[0]
    except (IndexError, ValueError) as error:
        raise _corrupt(path, where, f"its footer does not parse: {error}") from error


def _data_handles(path: Path, size: int, index: bytes, end: int) -> Iterator[tuple[bytes, _Handle]]:
    """Yield the last key and the handle of each data block.

    Blocks lie one behind the other; holding to that bounds all further work by the size of the file.
    """
    free = 0
    for key, value in _entries(path, end, index):
        try:
            handle, _ = _handle(value, 0)
        except (IndexError, ValueError) as error:
            raise _corrupt(path, end, f"its index block does not parse: {error}") from error
        if handle.offset < free or handle.offset + handle.size + _TRAILER_BYTES > min(end, size):
            raise _corrupt(path, end, f"its index names a block at {handle.offset:,} of {handle.size:,} bytes")
        free = handle.offset + handle.size + _TRAILER_BYTES
        yield key, handle


def _block(path: Path, size: int, handle: _Handle) -> bytes:
    """Read a block, check it against its CRC and decompress it."""
    whole = handle.size + _TRAILER_BYTES
    if handle.offset + whole > size - FOOTER_BYTES:
        raise _corrupt(path, handle.offset, f"a block of {handle.size:,} bytes goes past the end")
    stored = _bytes(path, handle.offset, whole)
    if len(stored) < whole:
        raise _corrupt(path, handle.offset, "the file became shorter while it was read")
    view = memoryview(stored)
    if crc32c.masked(crc32c.checksum(view[:-4])) != int.from_bytes(view[-4:], "little"):
        raise _corrupt(path, handle.offset, "a block does not match its checksum")
    return _decompressed(path, handle, stored[: handle.size], stored[handle.size])


def _beginning(path: Path, size: int, handle: _Handle, wanted: int) -> bytes:
    """Read the beginning of a block, unchecked, since its CRC is over the whole."""
    kind = _bytes(path, handle.offset + handle.size, 1)
    if handle.offset + handle.size >= size or not kind:
        raise _corrupt(path, handle.offset, "a block goes past the end")
    stored = _bytes(path, handle.offset, wanted)
    return _decompressed(path, handle, stored, kind[0], partial=True)


def _decompressed(path: Path, handle: _Handle, stored: bytes, kind: int, *, partial: bool = False) -> bytes:
    if kind == _STORED:
        return stored
    if kind != _SNAPPY:
        raise _corrupt(path, handle.offset, f"a block is compressed in an unknown way ({kind})")
    try:
        return snappy.decompress(stored, partial=partial)
    except ValueError as error:
        raise _corrupt(path, handle.offset, str(error)) from error


def _leading_entry(block: bytes) -> tuple[bytes, bytes] | None:
    """Return the first entry of a block's beginning, None if the beginning is too short for it."""
    try:
        shared, position = varint(block, 0)
        own, position = varint(block, position)
        length, position = varint(block, position)
    except (IndexError, ValueError):
        return None
    end = position + own + length
    if shared or end > len(block):
        return None
    return block[position : position + own], block[position + own : end]


def _entries(path: Path, offset: int, block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block, which share the beginnings of their keys."""
    end = len(block) - 4
    restarts = int.from_bytes(block[-4:], "little")
    end -= 4 * restarts
    if end < 0:
        raise _corrupt(path, offset, f"a block of {len(block):,} bytes claims {restarts:,} restart points")
    position = 0
    key = b""
    budget = _KEY_GROWTH * len(block)
    while position < end:
        try:
            shared, position = varint(block, position)
            own, position = varint(block, position)
            length, position = varint(block, position)
        except (IndexError, ValueError) as error:
            raise _corrupt(path, offset, f"an entry does not parse: {error}") from error
        value = position + own
        following = value + length
        budget -= shared + own
        if following > end or shared > len(key) or budget < 0:
            raise _corrupt(path, offset, f"an entry after key {key[:80]!r} does not fit its block")
        key = key[:shared] + block[position:value]
        yield key, block[value:following]
        position = following


def _handle(data: bytes, position: int) -> tuple[_Handle, int]:
    offset, position = varint(data, position)
    size, position = varint(data, position)
    return _Handle(offset, size), position


def varint(data: bytes, position: int) -> tuple[int, int]:
    """Read a varint; return it with the position behind it.

    Raises IndexError past the end of the data, ValueError for more bits than 63.
    """
    byte = data[position]
    if byte < _VARINT_END:
        return byte, position + 1
    result = byte & 0x7F
    shift = 7
    while byte >= _VARINT_END:
        position += 1
        byte = data[position]
        result |= (byte & 0x7F) << shift
        shift += 7
        if shift > _VARINT_BITS:
            problem = "a number has too many bytes"
            raise ValueError(problem)
    return result, position + 1


def table(entries: Mapping[bytes, bytes]) -> bytes:
    """Return a table of these entries, which ascend by key, as bytes."""
    items = list(entries.items())
    blocks: list[bytes] = []
    handles, size = {}, 0
    for start in range(0, len(items), _ENTRIES):
        block = _shared(items[start : start + _ENTRIES], _RESTART)
        handles[items[min(start + _ENTRIES, len(items)) - 1][0]] = _varints(size, len(block))
        blocks.append(_sealed(block))
        size += len(blocks[-1])
    footer = b""
    for listed in ((), tuple(handles.items())):
        # Keys of an index block are searched, so each is whole, as LevelDB has it.
        block = _shared(listed, 1)
        footer += _varints(size, len(block))
        blocks.append(_sealed(block))
        size += len(blocks[-1])
    return b"".join(blocks) + footer.ljust(FOOTER_BYTES - len(MAGIC), b"\0") + MAGIC


def _shared(items: Sequence[tuple[bytes, bytes]], interval: int) -> bytes:
    """Return a block, of whose keys one in so many is whole, the others without what they share with the one before."""
    parts: list[bytes] = []
    restarts: list[int] = []
    position, before = 0, b""
    for number, (key, value) in enumerate(items):
        if number % interval == 0:
            restarts.append(position)
            before = b""
        common = next((place for place, (a, b) in enumerate(zip(before, key, strict=False)) if a != b), None)
        common = min(len(before), len(key)) if common is None else common
        parts.append(_varints(common, len(key) - common, len(value)) + key[common:] + value)
        position += len(parts[-1])
        before = key
    points = b"".join(point.to_bytes(4, "little") for point in restarts or [0])
    return b"".join(parts) + points + len(restarts or [0]).to_bytes(4, "little")


def _sealed(block: bytes) -> bytes:
    stored = block + bytes([_STORED])
    return stored + crc32c.masked(crc32c.checksum(stored)).to_bytes(4, "little")


def _varints(*numbers: int) -> bytes:
    return b"".join(map(wire.written, numbers))

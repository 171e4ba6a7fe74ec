"""A checkpoint made of another's bytes: entries left out, or pointing at the bytes of others, values copied by range.

No value is loaded: what stays of a shard is copied as it lies there, and the index is written anew. So a checkpoint
keeps its byte order, and entries that share bytes still share them. Not for: which entries stay (``transforms/slim``),
nor where the files come to stand (:mod:`tfmagic.files.checkpoints.writing`).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tfmagic import errors, progress
from tfmagic.files import protos, reading
from tfmagic.files.checkpoints import sorted_tables, tensor_bundle

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from tfmagic.files.checkpoints.entries import Entry
    from tfmagic.files.checkpoints.tensor_bundle import Checkpoint

#: Bytes that are copied or compared between two looks at whether somebody wants the call to end.
_BLOCK = 16 << 20
#: The names of shards have five digits for their number.
_MOST_SHARDS = 99_999


class Span(NamedTuple):
    """Bytes of a shard: from, and up to but without."""

    start: int
    end: int


class Content(NamedTuple):
    """A value in place of a stored one, as a shard holds it, with its masked checksum."""

    data: bytes
    crc32c: int


@dataclass(frozen=True)
class RangeCopy:
    """A checkpoint that is to be written.

    Attributes
    ----------
    source : Checkpoint
        Where the bytes come from.
    index : bytes
        The new table.
    spans : mapping of int to tuple of Span
        What stays of each shard, in the order of the shard.
    added : bytes
        What comes besides, behind the last span of shard 0.
    keys : frozenset of bytes
        The entries that stay with the values that they have.
    """

    source: Checkpoint
    index: bytes
    spans: Mapping[int, tuple[Span, ...]]
    added: bytes
    keys: frozenset[bytes]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return len(self.index) + len(self.added) + sum(map(_length, self.spans.values()))

    def write(self, prefix: Path) -> None:
        """Write the shards, then the index.

        Raises
        ------
        CorruptSourceError
            If a shard is shorter than the index says, or changes meanwhile.
        """
        for number in sorted({0, *self.spans}):
            name = f"{prefix.name}.data-{number:05d}-of-{self.source.shard_count:05d}"
            with prefix.with_name(name).open("wb") as target:
                spans = self.spans.get(number, ())
                if spans:
                    with reading.opened(self.source.shard(number)) as shard:
                        for span in spans:
                            _copy(shard, target, span)
                if not number:
                    target.write(self.added)
        prefix.with_name(f"{prefix.name}.index").write_bytes(self.index)

    def differing(self, prefix: Path) -> Iterator[tuple[str, bool]]:
        """Yield by key whether what was written is what the source has: bytes, dtype and shape of each entry."""
        written = tensor_bundle.open_checkpoint(prefix)
        before, after = units(self.source), units(written)
        alike: dict[tuple[int, ...], bool] = {}
        for key in sorted(self.keys):
            old, new = before[key], after.get(key)
            if new is None or old._replace(shard=0, offset=0) != new._replace(shard=0, offset=0):
                yield readable(key), True
                continue
            # Entries that share bytes in both need one look.
            place = (old.shard, old.offset, new.shard, new.offset, old.bytes or 0)
            if place not in alike:
                alike[place] = bool(old.slices) or not old.bytes or same_bytes(self.source, old, written, new)
            yield readable(key), not alike[place]


def of(
    checkpoint: Checkpoint,
    *,
    without: Collection[bytes] = (),
    shared: Mapping[bytes, bytes] | None = None,
    replaced: Mapping[bytes, Content] | None = None,
) -> RangeCopy:
    """Plan a copy of a V2 checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
        In the format V2.
    without : collection of bytes
        Keys, of tensors and of pieces, that the copy does not have.
    shared : mapping of bytes to bytes, optional
        By a key the key of an entry that has the same bytes, and whose place it gets.
    replaced : mapping of bytes to Content, optional
        New values by key.

    Raises
    ------
    CorruptSourceError
        If a shard is missing, or shorter than the index says.
    """
    shared, replaced = shared or {}, replaced or {}
    if checkpoint.shard_count > _MOST_SHARDS:
        raise errors.CorruptSourceError(
            f"{str(checkpoint.prefix)!r} claims {checkpoint.shard_count:,} shards, more than their names count; copy "
            "it again from where it was written"
        )
    kept = {key: entry for key, entry in units(checkpoint).items() if key not in without}
    holding = [
        entry
        for key, entry in kept.items()
        if entry.bytes and not entry.slices and key not in shared and key not in replaced
    ]
    spans = merged(holding)
    require_shards(checkpoint, spans)
    moved = {number: _Moved(each) for number, each in spans.items()}
    table = dict(checkpoint.tables[0])
    entries = {b"": table[b""]}
    added = bytearray()
    end = _length(spans.get(0, ()))
    for key in sorted(kept):
        entry = protos.parse("BundleEntryProto", table[key])
        if key in replaced:
            entry.shard_id, entry.offset, entry.size = 0, end + len(added), len(replaced[key].data)
            entry.crc32c = replaced[key].crc32c
            added += replaced[key].data
        elif kept[key].bytes and not kept[key].slices:
            place = kept[shared.get(key, key)]
            entry.shard_id, entry.offset = place.shard, moved[place.shard].offset(place.offset)
        else:
            entry.shard_id, entry.offset = 0, 0
        entries[key] = entry.SerializeToString(deterministic=True)
    keys = frozenset(kept) - replaced.keys()
    return RangeCopy(checkpoint, sorted_tables.table(entries), spans, bytes(added), keys)


def units(checkpoint: Checkpoint) -> dict[bytes, Entry]:
    """Return all entries, of tensors and of pieces, by the keys of the table."""
    return {entry.key: entry for entry in checkpoint.entries.values()} | dict(checkpoint.pieces)


def merged(entries: Collection[Entry]) -> dict[int, tuple[Span, ...]]:
    """Return what some entries take of each shard: spans that neither touch nor overlap, in order."""
    by_shard: dict[int, list[Span]] = defaultdict(list)
    for entry in sorted(entries, key=lambda each: (each.shard, each.offset)):
        spans, end = by_shard[entry.shard], entry.offset + (entry.bytes or 0)
        if spans and entry.offset <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, max(spans[-1].end, end))
        else:
            spans.append(Span(entry.offset, end))
    return {number: tuple(spans) for number, spans in by_shard.items()}


def require_shards(checkpoint: Checkpoint, spans: Mapping[int, tuple[Span, ...]]) -> None:
    """Refuse to go on where a shard is missing, or shorter than what is wanted of it.

    Raises
    ------
    CorruptSourceError
        Naming the shard.
    """
    for number, wanted in spans.items():
        path = checkpoint.shard(number)
        size = path.stat().st_size if path.is_file() else -1
        if size < wanted[-1].end:
            what = f"has {size:,} bytes" if size >= 0 else "is missing"
            raise errors.CorruptSourceError(
                f"{str(path)!r} {what}, and the index counts on {wanted[-1].end:,}: the checkpoint is incomplete or "
                "damaged, and no copy is made of it; copy it again from where it was written"
            )


class _Moved:
    """Where what stays of a shard lies in the new one."""

    def __init__(self, spans: tuple[Span, ...]) -> None:
        self._starts = [span.start for span in spans]
        self._places = [0]
        for span in spans:
            self._places.append(self._places[-1] + span.end - span.start)

    def offset(self, old: int) -> int:
        number = bisect_right(self._starts, old) - 1
        return self._places[number] + old - self._starts[number]


def _length(spans: tuple[Span, ...]) -> int:
    return sum(span.end - span.start for span in spans)


def _copy(source: BinaryIO, target: BinaryIO, span: Span) -> None:
    """Copy a span, by the kernel where it can."""
    position = span.start
    target.flush()
    while position < span.end:
        progress.check()
        size = min(_BLOCK, span.end - position)
        copied = _copied_by_kernel(source, target, position, size)
        if not copied:
            source.seek(position)
            block = source.read(size)
            target.write(block)
            target.flush()
            copied = len(block)
        if not copied:
            raise errors.CorruptSourceError(
                f"{source.name!r} became shorter while it was read; read it again once its writer is done"
            )
        position += copied


def _copied_by_kernel(source: BinaryIO, target: BinaryIO, position: int, size: int) -> int:
    """Copy within the kernel and return how much, 0 where the system or the file systems cannot."""
    if not hasattr(os, "copy_file_range"):
        return 0
    try:
        copied = os.copy_file_range(source.fileno(), target.fileno(), size, position)
    except OSError:
        # What hinders a plain write, too, will say so there.
        return 0
    # A file of another file system may claim to be empty.
    return copied


def same_bytes(checkpoint: Checkpoint, entry: Entry, other_checkpoint: Checkpoint, other: Entry) -> bool:
    """Say whether two entries take the same bytes of their shards."""
    size = entry.bytes or 0
    if size != (other.bytes or 0):
        return False
    shards = checkpoint.shard(entry.shard), other_checkpoint.shard(other.shard)
    with reading.refusals(checkpoint.prefix), shards[0].open("rb") as left, shards[1].open("rb") as right:
        left.seek(entry.offset)
        right.seek(other.offset)
        return all(a == b for a, b in zip(_blocks(left, size), _blocks(right, size), strict=True))


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield so many bytes of a file, block by block; a file that ends before gives shorter blocks."""
    for start in range(0, size, _BLOCK):
        progress.check()
        yield file.read(min(_BLOCK, size - start))


def readable(key: bytes) -> str:
    """Return a key of the table as text."""
    return key.decode(errors="backslashreplace")

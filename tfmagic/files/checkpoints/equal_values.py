"""Entries of a checkpoint that hold the same bytes in different places.

Sizes and checksums, which the index has, say which ones may; their bytes decide, read block by block. Not for: what
becomes of them (:mod:`tfmagic.files.checkpoints.range_copies`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tfmagic.files.checkpoints import range_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tfmagic.files.checkpoints.entries import Entry
    from tfmagic.files.checkpoints.tensor_bundle import Checkpoint

#: So many different values of one size and one checksum are told apart; in an honest file all are the same.
_MOST_TWINS = 8
#: Entries of a sound index claim each byte about once.
_MOST_CLAIMED = 4


def originals(checkpoint: Checkpoint, keys: Iterable[bytes], rank: Callable[[bytes], int]) -> dict[bytes, bytes]:
    """Return, by the key of each entry that repeats what another holds elsewhere, the key of that other.

    Parameters
    ----------
    checkpoint : Checkpoint
        In the format V2, its shards as long as the index says.
    keys : iterable of bytes
        The entries to look at.
    rank : callable
        Of several with the same bytes, the one of the lowest rank is the original; then that of the first key.
    """
    units = range_copies.units(checkpoint)
    entries = [units[key] for key in sorted(keys) if units[key].bytes and not units[key].slices]
    held = sum(path.stat().st_size for path in checkpoint.shards if path.is_file())
    if sum(entry.bytes or 0 for entry in entries) > _MOST_CLAIMED * held:
        return {}
    alike: dict[tuple[int, int], list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: (rank(entry.key), entry.key)):
        alike[entry.bytes or 0, entry.crc32c].append(entry)
    repeats: dict[bytes, bytes] = {}
    for group in alike.values():
        repeats |= _repeats(checkpoint, group)
    return repeats


def _repeats(checkpoint: Checkpoint, group: list[Entry]) -> dict[bytes, bytes]:
    """Compare the entries of one size and one checksum."""
    originals: list[Entry] = []
    repeats: dict[bytes, bytes] = {}
    for entry in group:
        same = next((each for each in originals if _is_same(checkpoint, each, entry)), None)
        if same is None:
            originals = [*originals, entry][:_MOST_TWINS]
        # What shares its bytes already stays as it is.
        elif (same.shard, same.offset) != (entry.shard, entry.offset):
            repeats[entry.key] = same.key
    return repeats


def _is_same(checkpoint: Checkpoint, first: Entry, second: Entry) -> bool:
    """Say whether two entries hold the same, and each can stand for the other; strings are checked in their own way."""
    if (first.dtype == "string") != (second.dtype == "string"):
        return False
    is_shared = (first.shard, first.offset) == (second.shard, second.offset)
    return is_shared or range_copies.same_bytes(checkpoint, first, checkpoint, second)

"""The values of a checkpoint: which of them a copy is without, which share bytes, and the copy.

Not for: what a graph needs of them (:mod:`tfmagic.transforms.slim_graph`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import crc32c, protos
from tfmagic.files.checkpoints import (
    equal_values,
    optimizer_state,
    range_copies,
    tensor_writing,
    trackable_object_graph,
)
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints.range_copies import Content, RangeCopy
from tfmagic.verbs.slimming.shares import RETAINED, Share, by_layer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfmagic.files.checkpoints.entries import Entry
    from tfmagic.files.checkpoints.tensor_bundle import Checkpoint
    from tfmagic.files.protos import Message

#: Integers that take no more, such as the state of a random generator or a counter, are not worth a changed graph.
_COUNTER_BYTES = 64
#: A header may claim any number of shards.
_MOST_SHARDS = 100_000
_OBJECTS = trackable_object_graph.KEY


@dataclass(frozen=True)
class StoredValues:
    """The values of a checkpoint, and what is to become of them.

    Attributes
    ----------
    checkpoint : Checkpoint
        Where they lie.
    names : mapping of str to str
        How each is called, by key.
    retained : frozenset of str
        Kinds that stay.
    needed : frozenset of str or None
        The keys that a graph needs; None where no graph says.
    slots : frozenset of str
        Keys that a graph's ops train with.
    """

    checkpoint: Checkpoint
    names: Mapping[str, str]
    retained: frozenset[str]
    needed: frozenset[str] | None = None
    slots: frozenset[str] = field(default=frozenset())

    @cached_property
    def keys(self) -> list[str]:
        """The keys of the values, without the object graph."""
        return sorted(key for key in self.checkpoint.entries if key != _OBJECTS)

    @cached_property
    def objects(self) -> Message | None:
        """The object graph, None where there is none that parses."""
        return read_objects(self.checkpoint)

    @cached_property
    def _table(self) -> dict[bytes, Entry]:
        return range_copies.units(self.checkpoint)

    def _is_needed(self, key: str) -> bool:
        return self.needed is not None and key in self.needed

    @cached_property
    def optimizer(self) -> set[str]:
        """The keys of what only training needs."""
        states = optimizer_state.keys(self.checkpoint.entries, self.objects) | self.slots
        return {key for key in self.keys if key in states and not self._is_needed(key)}

    @cached_property
    def _unneeded(self) -> set[str]:
        """The keys that no graph needs, optimizers apart, and that are worth the while."""
        if self.needed is None:
            return set()
        return {key for key in self.keys if key not in self.needed | self.optimizer and not self._is_counter(key)}

    def _is_counter(self, key: str) -> bool:
        entry = self.checkpoint.entries[key]
        return "int" in entry.dtype and (entry.bytes or 0) <= _COUNTER_BYTES and not entry.slices

    def units(self, key: str) -> list[bytes]:
        """Return the keys of the table under which a value lies: its own, and those of its pieces."""
        entry = self.checkpoint.entries[key]
        pieces = (tensor_slices.key(entry.key, piece) for piece in entry.slices)
        return [entry.key, *(piece for piece in pieces if piece in self.checkpoint.pieces)]

    @cached_property
    def _owners(self) -> dict[bytes, str]:
        return {unit: key for key in self.keys for unit in self.units(key)}

    @cached_property
    def repeats(self) -> dict[bytes, bytes]:
        """By the units that repeat another's bytes that other, of what stays or goes for no other reason."""
        if self.checkpoint.version == "V1" or self.checkpoint.notes:
            return {}
        away = set() if "optimizer" in self.retained else self.optimizer
        units = [unit for unit, key in self._owners.items() if key not in away]
        return equal_values.originals(self.checkpoint, units, self._rank)

    def _rank(self, unit: bytes) -> int:
        """Let what is needed be the original, and of that what goes by a name of its own."""
        key = self._owners[unit]
        is_named = self.names.get(key, key) != trackable_object_graph.short_key(key)
        return 2 * (key in self._unneeded) + (not is_named)

    @cached_property
    def unreached(self) -> set[str]:
        """The keys that no graph needs, less those whose bytes a needed one has anyway."""
        shared = {
            key
            for key in self._unneeded
            if all(
                unit in self.repeats and self._owners[self.repeats[unit]] not in self._unneeded
                for unit in self.units(key)
                if self._table[unit].bytes
            )
            and self._bytes(key)
        }
        return self._unneeded - shared

    @cached_property
    def gone(self) -> frozenset[str]:
        """The keys that a copy does not have."""
        optimizer = set() if "optimizer" in self.retained else self.optimizer
        unreached = set() if "unreached" in self.retained else self.unreached
        return frozenset(optimizer | unreached)

    @cached_property
    def shared(self) -> dict[bytes, bytes]:
        """The units that get the place of another."""
        if "duplicates" in self.retained:
            return {}
        return {unit: other for unit, other in self.repeats.items() if self._owners[unit] not in self.gone}

    def copy(self) -> RangeCopy:
        """Plan the copy.

        Raises
        ------
        ConversionError
            If the checkpoint is of the format V1, whose values lie in its tables.
        CorruptSourceError
            If a shard is missing or too short, or the object graph does not parse that would have to change.
        """
        if self.checkpoint.version == "V1":
            raise errors.ConversionError(
                f"{str(self.checkpoint.prefix)!r} is a checkpoint in the format V1, of which slim gives the table "
                "only: its values lie inside its tables. Save it again with TensorFlow's own Saver for a copy"
            )
        without = [unit for key in self.gone for unit in self.units(key)]
        return range_copies.of(self.checkpoint, without=without, shared=self.shared, replaced=self._replaced())

    def _replaced(self) -> dict[bytes, Content]:
        """Return the object graph without the keys that go."""
        if not self.gone or _OBJECTS not in self.checkpoint.entries:
            return {}
        if self.objects is None:
            raise errors.CorruptSourceError(
                f"the object graph in {str(self.checkpoint.prefix)!r} does not parse, and would have to change; copy "
                "the checkpoint again from where it was written"
            )
        graph = protos.message("TrackableObjectGraph")()
        graph.CopyFrom(self.objects)
        optimizer_state.remove(graph, self.gone)
        text = graph.SerializeToString(deterministic=True)
        data, crc = tensor_writing.texts_content([text], "big" if self.checkpoint.big_endian else "little")
        return {_OBJECTS.encode(): Content(data, crc32c.masked(crc))}

    # The table

    def shares(self) -> Iterator[Share]:
        """Yield what each value takes, each byte once."""
        places: set[tuple[int, int]] = set()
        sizes: dict[str, int] = {}
        repeated: dict[str, int] = {}
        for key in sorted(self.keys, key=lambda key: key in self._unneeded or key in self.optimizer):
            sizes[key] = repeated[key] = 0
            for unit in self.units(key):
                entry = self._table[unit]
                place = entry.shard, entry.offset
                if not entry.bytes or (entry.slices and self.checkpoint.version == "V2"):
                    continue
                if self.checkpoint.version == "V2" and place in places:
                    continue
                places.add(place)
                sizes[key] += entry.bytes
                repeated[key] += entry.bytes if unit in self.repeats and key not in self.gone else 0
        plain = [
            (self.names.get(key, key), size - repeated[key])
            for key, size in sizes.items()
            if key not in self.optimizer and key not in self.unreached and size > repeated[key]
        ]
        yield from by_layer(plain, "a signature needs them" if self.needed is not None else "values")
        for key, size in sizes.items():
            name = self.names.get(key, key)
            if key in self.optimizer:
                yield _share(
                    "optimizer", name, size, self.retained, "the state of an optimizer: only training needs it"
                )
            elif key in self.unreached:
                yield _share("unreached", name, size, self.retained, "no signature needs it")
            if repeated[key]:
                others = (self.repeats[unit] for unit in self.units(key) if unit in self.repeats)
                other = self._owners[next(others)]
                why = f"the same values as {self.names.get(other, other)!r}"
                yield _share("duplicates", name, repeated[key], self.retained, why)
        yield from self._rest()

    def _rest(self) -> Iterator[Share]:
        """Yield what the files take besides."""
        if self.checkpoint.version == "V1":
            held = sum(self.checkpoint.entries[key].bytes or 0 for key in self.keys)
            rest = sum(table.size for table in self.checkpoint.tables) - held
            yield Share.kept("files", self.checkpoint.prefix.name, max(0, rest), "the tables around the values")
            return
        entries = self._table.values()
        spans = range_copies.merged([each for each in entries if each.bytes and not each.slices])
        for number in range(self.checkpoint.shard_count if self.checkpoint.shard_count <= _MOST_SHARDS else 0):
            path = self.checkpoint.shard(number)
            held = sum(span.end - span.start for span in spans.get(number, ()))
            spare = path.stat().st_size - held if path.is_file() else 0
            if spare > 0:
                yield Share.dropped("unreached", path.name, spare, "bytes to which no key leads")
        if _OBJECTS in self.checkpoint.entries:
            size = self.checkpoint.entries[_OBJECTS].bytes or 0
            yield Share.kept("files", _OBJECTS, size, "the object graph, by which values are put into objects")
        for table in self.checkpoint.tables:
            yield Share.kept("files", table.path.name, table.size, "the index of the values")

    def _bytes(self, key: str) -> int:
        return sum(self._table[unit].bytes or 0 for unit in self.units(key))

    @property
    def bytes(self) -> int:
        """What all files of the checkpoint take."""
        checkpoint = self.checkpoint
        count = checkpoint.shard_count if checkpoint.shard_count <= _MOST_SHARDS else 0
        shards = map(checkpoint.shard, range(count))
        held = sum(path.stat().st_size for path in shards if path.is_file())
        return held + sum(table.size for table in checkpoint.tables)


def _share(kind: str, where: str, size: int, retained: Collection[str], why: str) -> Share:
    return Share(kind, where, size, kind in retained, f"{why}; {RETAINED}" if kind in retained else why)


def read_objects(checkpoint: Checkpoint) -> Message | None:
    """Return the object graph that a checkpoint holds, None where there is none that parses."""
    if _OBJECTS not in checkpoint.entries or checkpoint.version == "V1":
        return None
    try:
        return protos.parse("TrackableObjectGraph", checkpoint.read(_OBJECTS).item())
    except (errors.ReadError, protos.ParseError, TypeError, ValueError):
        return None

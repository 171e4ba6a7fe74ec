"""A checkpoint: the files that belong to it, its table of variables, and one tensor's value when it is asked for.

TensorFlow has two formats. V2, the tensor bundle: a table ``PREFIX.index`` says where in the shards
``PREFIX.data-00000-of-00002`` each tensor lies. V1: tables that hold a list of the tensors and their values in one.
Listing reads tables only; a shard is opened for a value, and for the object graph of a checkpoint that may be Keras'.
Not for: finding a checkpoint in a directory (:mod:`tfmagic.files.checkpoints.location`), checking what its tables claim
(:mod:`tfmagic.files.checkpoints.entries`), nor writing one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.checkpoints import entries as checkpoint_entries
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints import trackable_object_graph
from tfmagic.files.checkpoints import values as tensor_values
from tfmagic.files.checkpoints.sorted_tables import Table
from tfmagic.frames import VariableRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tfmagic.files.checkpoints.entries import Entry
    from tfmagic.files.checkpoints.slices import Extents

    Tables = Iterable[Path]

#: A bundle's header begins with the varint field 1 or the message field 3, the V1 list with the message field 1.
_V1_MARK = b"\x0a"
#: Nothing that a table packs grows to more than this many times its size.
_MAX_EXPANSION = 1000


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint stores.

    Attributes
    ----------
    prefix : Path
        What TensorFlow takes as the checkpoint's name.
    version : str
        ``"V1"`` or ``"V2"``.
    tables : tuple of Table
        The index, or the files of a V1 checkpoint.
    entries : mapping of str to Entry
        The tensors, by checkpoint key.
    pieces : mapping of bytes to Entry
        The pieces of partitioned tensors (V2).
    shard_count : int
        How many data shards belong to it; none in V1.
    big_endian : bool
        Whether the values are stored big end first.
    """

    prefix: Path
    version: str
    tables: tuple[Table, ...]
    entries: Mapping[str, Entry]
    pieces: Mapping[bytes, Entry]
    shard_count: int = 0
    big_endian: bool = False

    def shard(self, number: int) -> Path:
        """Return the path of a data shard, there or not."""
        return self.prefix.with_name(f"{self.prefix.name}.data-{number:05d}-of-{self.shard_count:05d}")

    @cached_property
    def shards(self) -> Mapping[Path, int]:
        """The data shards that hold something, and how many bytes each must have at least."""
        needed: dict[int, int] = {}
        for entry in (*self.entries.values(), *self.pieces.values()):
            if entry.bytes and not entry.slices:
                needed[entry.shard] = max(needed.get(entry.shard, 0), entry.offset + entry.bytes)
        return {self.shard(number): needed[number] for number in sorted(needed)} if self.version == "V2" else {}

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The name under which each tensor is listed, by key; the object graph itself is not listed."""
        keys = [key for key in self.entries if key != trackable_object_graph.KEY]
        return trackable_object_graph.names(self._graph, keys)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is missing, and what follows from that."""
        notes = [note for path, needed in self.shards.items() if (note := _shard_note(path, needed))]
        if self._wants_graph and self._graph is None:
            notes.append("the object graph could not be read: variables are listed by checkpoint key")
        return tuple(notes)

    def impossible(self) -> Iterator[tuple[str, str]]:
        """Yield where a checkpoint claims more, or less, than it can hold, and what; what is missing claims nothing."""
        for path, needed in self.shards.items():
            size = path.stat().st_size if path.is_file() else needed
            if size < needed:
                yield f"file {path.name!r}", f"an entry that ends at byte {needed:,} of a shard of {size:,}"
        sound: set[tuple[object, ...]] = set()
        for entry in (*self.entries.values(), *self.pieces.values()):
            stored = self._stored_bytes(entry)
            # Most entries of a large model claim what others do.
            claim = entry.dtype, entry.shape, stored
            if claim in sound or entry.shape is None or stored is None:
                continue
            problem = self._problem(entry, stored)
            if problem:
                yield f"checkpoint entry {entry.key.decode(errors='backslashreplace')!r}", problem
            else:
                sound.add(claim)

    def _problem(self, entry: Entry, stored: int) -> str:
        """Say why an entry's shape cannot be that of what is stored, nothing if it can."""
        count, item = math.prod(checkpoint_entries.known(entry.shape)), protos.item_size(entry.dtype)
        if self.version == "V1":
            held = sum(table.path.stat().st_size for table in self.tables)
            return f"a tensor of {stored:,} bytes in files of {held:,}" if stored > _MAX_EXPANSION * held else ""
        if item is not None and stored != count * item:
            return f"a tensor of {count * item:,} bytes that takes {stored:,}"
        return f"{count:,} strings that take {stored:,} bytes" if entry.dtype == "string" and stored < count else ""

    def rows(self) -> tuple[VariableRow, ...]:
        """Return the table of variables, by name."""
        trainable = trackable_object_graph.trainable(self._graph)
        rows = (self._row(key, name, trainable.get(key)) for key, name in self.names.items())
        return tuple(sorted(rows, key=lambda row: row.name))

    def rows_by_key(self) -> tuple[VariableRow, ...]:
        """Return the table under the readable parts of the keys, for who knows better names: opens no shard."""
        keys = [key for key in self.entries if key != trackable_object_graph.KEY]
        return tuple(self._row(key, name, None) for key, name in trackable_object_graph.names(None, keys).items())

    def read(self, name: str, *, check: bool = True, piece: Extents = ()) -> np.ndarray:
        """Read one tensor, or a piece of it.

        Parameters
        ----------
        name : str
            The name as listed, or the checkpoint key.
        check : bool
            Whether to compare the value with its checksum.
        piece : extents of each dimension, optional
            What of it is wanted; where it lies by itself, nothing else is read.

        Returns
        -------
        numpy.ndarray
            Strings as an array of ``bytes`` objects. A dtype that numpy lacks is ml_dtypes' where that is installed,
            else unsigned integers of the same size.

        Raises
        ------
        UnknownNameError
            If there is no such tensor.
        CorruptSourceError
            If its shard is missing, too short or fails the checksum.
        """
        entry = self._entry(name)
        try:
            own = self.pieces.get(tensor_slices.key(entry.key, piece)) if piece and entry.slices else None
            if own is not None:
                return self._from_shard(own, check=check)
            whole = self._whole(entry, check=check)
            return np.ascontiguousarray(whole[tensor_slices.region(piece, whole.shape)]) if piece else whole
        except errors.ReadError:
            raise
        except (ValueError, OverflowError) as error:
            message = f"the value of {name!r} in {str(self.prefix)!r} cannot be read: {error}"
            message += "; copy the checkpoint again, or give another"
            raise errors.CorruptSourceError(message) from error

    def places(self, name: str) -> list[tensor_values.Place]:
        """Return where the values of a V2 tensor of fixed size lie, each piece of it.

        Raises
        ------
        UnknownNameError
            If there is no such tensor.
        CorruptSourceError
            If a piece is missing, or a shard is missing or too short.
        """
        entry = self._entry(name)
        pieces = list(self._pieces(entry)) if entry.slices else [entry]
        places = [self._place(piece) for piece in pieces if piece is not None]
        whole = math.prod(checkpoint_entries.known(entry.shape)) * tensor_values.numpy_dtype(entry.dtype).itemsize
        if sum(place.bytes for place in places) != whole:
            message = f"the value of {name!r} in {str(self.prefix)!r} is incomplete: it should take {whole:,} bytes"
            raise errors.CorruptSourceError(message)
        return places

    def _entry(self, name: str) -> Entry:
        if name in self.entries:
            return self.entries[name]
        for key, listed in self.names.items():
            if listed == name:
                return self.entries[key]
        raise errors.UnknownNameError(name, "variable", sorted(self.names.values()), "checkpoint")

    def _row(self, key: str, name: str, trainable: bool | None) -> VariableRow:  # noqa: FBT001 - a column
        entry = self.entries[key]
        size = None if entry.shape is None or None in entry.shape else math.prod(entry.shape)  # type: ignore[arg-type]
        return VariableRow(name, entry.dtype, entry.shape, size, self._stored_bytes(entry), trainable)

    def _stored_bytes(self, entry: Entry) -> int | None:
        """Return what a tensor takes in the shards, its pieces together."""
        if not entry.slices or self.version == "V1":
            return entry.bytes
        sizes = [piece.bytes or 0 for piece in self._pieces(entry) if piece]
        return sum(sizes) if len(sizes) == len(entry.slices) else None

    def _pieces(self, entry: Entry) -> Iterator[Entry | None]:
        return (self.pieces.get(tensor_slices.key(entry.key, piece)) for piece in entry.slices)

    @cached_property
    def _wants_graph(self) -> bool:
        """Whether the object graph may know better names than the keys."""
        return trackable_object_graph.KEY in self.entries and trackable_object_graph.may_hold_layers(self.entries)

    @cached_property
    def _graph(self) -> protos.Message | None:
        """The object graph, None where there is none to read."""
        if not self._wants_graph:
            return None
        try:
            return protos.parse("TrackableObjectGraph", self.read(trackable_object_graph.KEY).item())
        except (errors.ReadError, protos.ParseError, TypeError, ValueError):
            return None

    def _from_shard(self, entry: Entry, *, check: bool = True) -> np.ndarray:
        place, shape = self._place(entry, check=check), checkpoint_entries.known(entry.shape)
        return tensor_values.from_shard(place, entry.dtype, shape, big_endian=self.big_endian)

    def _place(self, entry: Entry, *, check: bool = True) -> tensor_values.Place:
        """Say where a piece lies, in a shard that is long enough."""
        path = self.shard(entry.shard)
        note = _shard_note(path, entry.offset + (entry.bytes or 0))
        if note:
            raise errors.CorruptSourceError(f"{note} (prefix {str(self.prefix)!r})")
        return tensor_values.Place(path, entry.offset, entry.bytes or 0, entry.crc32c if check else None)

    def _whole(self, entry: Entry, *, check: bool) -> np.ndarray:
        if self.version == "V1":
            return self._from_table(entry)
        return self._assembled(entry) if entry.slices else self._from_shard(entry, check=check)

    def _assembled(self, entry: Entry) -> np.ndarray:
        values = []
        for piece, stored in zip(entry.slices, self._pieces(entry), strict=True):
            if stored is None:
                message = f"the piece {piece} is not in the index"
                raise ValueError(message)
            values.append((piece, self._from_shard(stored)))
        return tensor_values.assembled(checkpoint_entries.known(entry.shape), values)

    def _from_table(self, entry: Entry) -> np.ndarray:
        """Read a V1 tensor: each piece lies in one of the tables, with its values in a TensorProto."""
        shape = checkpoint_entries.known(entry.shape)
        values = []
        for piece in entry.slices:
            data = self._saved_slice(tensor_slices.key(entry.key, piece))
            piece_shape = tensor_slices.shape_of(piece, shape)
            values.append((piece, tensor_values.from_proto(data, entry.dtype, piece_shape)))
        return tensor_values.assembled(shape, values)

    def _saved_slice(self, key: bytes) -> protos.Message:
        for table in self.tables:
            value = table.get(key)
            if value is not None:
                return checkpoint_entries.parse(table.path, "SavedTensorSlices", key, value).data.data
        message = "a piece of it is in none of the files"
        raise ValueError(message)


def open_checkpoint(prefix: Path, tables: Tables | None = None) -> Checkpoint:
    """Read what a checkpoint stores, its index in V2, the list at the head of each file in V1.

    Parameters
    ----------
    prefix : Path
        The checkpoint's name, as TensorFlow takes it; for a SavedModel ``DIR/variables/variables``.
    tables : iterable of Path, optional
        The index or the V1 files, where they are not to be found by the prefix.

    Raises
    ------
    CorruptSourceError
        If a table is missing, truncated or does not parse.
    """
    paths = [prefix.with_name(f"{prefix.name}.index")] if tables is None else list(tables)
    opened = tuple(Table.open(path) for path in paths)
    head = opened[0].first()[1]
    if head.startswith(_V1_MARK):
        return Checkpoint(prefix, "V1", opened, checkpoint_entries.of_files(opened), {})
    return Checkpoint(prefix, "V2", opened[:1], *checkpoint_entries.of_index(opened[0]))


def read_tensor(prefix: Path, name: str) -> np.ndarray:
    """Read one tensor of a V2 checkpoint; see :meth:`Checkpoint.read`, better for several."""
    return open_checkpoint(prefix).read(name)


def _shard_note(path: Path, needed: int) -> str:
    """Say what is wrong with a data shard, without opening it; nothing if it can hold what it should."""
    try:
        size = path.stat().st_size
    except OSError:
        return f"data shard {path.name!r} is missing: names and shapes are shown, values cannot be read"
    if size < needed:
        return (
            f"data shard {path.name!r} has {size:,} bytes where the index counts on {needed:,}: it is truncated or a "
            "Git LFS pointer (`git lfs pull`); names and shapes are shown, values cannot be read"
        )
    return ""

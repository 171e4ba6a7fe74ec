"""What the attributes of nodes say of a node's first output: dtype and shape; and of a Const, how much it holds.

Many nodes are read at once, and what is the same is decoded once. Not for: finding the nodes
(:mod:`tfmagic.graphs.serialized`) or what each op's attributes mean (:mod:`tfmagic.graphs.ops`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic.files import protos, wire, wire_spans
from tfmagic.graphs import ops as op_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from tfmagic.files.wire import Buffer, Fields, Integers
    from tfmagic.frames import Shape

#: An array of Python objects: tuples of names, shapes.
Objects: TypeAlias = "npt.NDArray[np.object_]"

# Field numbers of tensorflow/core/framework/{attr_value,tensor}.proto, and of an entry of a map.
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_VALUE_TENSOR = 8
_TENSOR_SHAPE, _TENSOR_FIRST_CONTENT = 2, 4
#: ``int_val``, ``int64_val``, ``bool_val``, ``half_val``, ``uint32_val`` and ``uint64_val``, packed or not.
_TENSOR_VARINTS = (7, 10, 11, 13, 16, 17)
#: An attribute of ours: how many bytes a constant takes whose value lies elsewhere.
STORED = "_stored_bytes"
#: A byte of a varint from here on is not its last.
_MORE = 128


class Outputs(NamedTuple):
    """First outputs of nodes: ``dtype`` counts ``dtypes``, ``bytes`` is the content of a Const."""

    dtypes: Sequence[str]
    dtype: Integers
    shape: Objects
    bytes: Integers

    def of(self, nodes: Integers) -> Outputs:
        """Return those of some of the nodes, in their order."""
        return Outputs(self.dtypes, self.dtype[nodes], self.shape[nodes], self.bytes[nodes])


def first_outputs(
    buffer: Buffer, entries: Fields, op_names: Sequence[str], ops: Integers, producer: int = 0
) -> Outputs:
    """Read the first output of each of some nodes.

    Parameters
    ----------
    buffer : Buffer
        Holds the nodes.
    entries : Fields
        The nodes' attributes; an entry's owner is the index of its node.
    op_names : sequence of str
        Op types.
    ops : int array
        For each node the index of its op among them.
    producer : int
        The version of the graph's dialect.

    Raises
    ------
    WireError
        Where an attribute is not well-formed.
    """
    attributes = _Attributes.of(buffer, entries)
    dtypes, dtype = _dtypes(attributes, op_names, ops)
    shape = np.full(len(ops), None, dtype=object)
    sizes = np.zeros(len(ops), np.int64)
    shaped = attributes.named("shape", _is_any(op_names, ops, op_list.SHAPED_OPS))
    _fill(shape, "AttrValue", attributes.take(shaped), lambda value: protos.shape_of(value.shape))
    _forget_scalars(shape, _is_any(op_names, ops, op_list.scalar_is_unknown(producer)))
    items = np.array([protos.item_size(each) or 0 for each in dtypes], np.int64)[dtype] if len(dtypes) else sizes
    constants = attributes.take(attributes.named("value", _is_any(op_names, ops, {"Const"})))
    _read_tensors(constants, shape, sizes, items)
    _fill(shape, "AttrValue", attributes.take(attributes.named("_output_shapes")), _first_shape)
    _fill_sizes(sizes, attributes.take(attributes.named(STORED)))
    return Outputs(dtypes, dtype, shape, sizes)


class _Places(NamedTuple):
    """Messages in a buffer, and the index of the node that each belongs to."""

    buffer: Buffer
    owner: Integers
    start: Integers
    end: Integers


@dataclass(frozen=True)
class _Attributes:
    """Attributes of nodes: whose they are, their keys, and where their values lie."""

    buffer: Buffer
    owner: Integers
    key: Integers
    labels: list[str]
    start: Integers
    end: Integers

    @classmethod
    def of(cls, buffer: Buffer, entries: Fields) -> _Attributes:
        """Find key and value of each attribute: a map is wired as entries with the fields 1 and 2."""
        count = len(entries.owner)
        inner = wire.scan(buffer, entries.start, entries.end)
        key_starts, key_ends = inner.select(_ENTRY_KEY).last(count)
        codes, examples = wire_spans.distinct(buffer, key_starts, key_ends)
        labels = wire_spans.strings(buffer, key_starts[examples], key_ends[examples])
        return cls(buffer, entries.owner, codes, labels, *inner.select(_ENTRY_VALUE).last(count))

    def named(self, key: str, among: wire.Mask | None = None) -> Integers:
        """Return the indices of the attributes with this key, of the chosen nodes only."""
        if key not in self.labels:
            return np.zeros(0, np.int64)
        chosen = self.key == self.labels.index(key)
        return np.flatnonzero(chosen if among is None else chosen & among[self.owner])

    def take(self, chosen: Integers) -> _Places:
        """Return where the values of some attributes lie."""
        return _Places(self.buffer, self.owner[chosen], self.start[chosen], self.end[chosen])


def _dtypes(attributes: _Attributes, op_names: Sequence[str], ops: Integers) -> tuple[list[str], Integers]:
    """Find the dtype of each node's first output, in the attribute that its op's definition names."""
    rules = [op_list.output_dtype(op) for op in op_names]
    chosen = np.full(len(ops), -1, np.int64)
    if len(attributes.owner):
        ranks = np.array([[_rank(rule.attrs, key) for key in attributes.labels] for rule in rules], np.int64)
        rank = ranks[ops[attributes.owner], attributes.key]
        useful = np.flatnonzero(rank >= 0)
        # The attribute of the best rank comes last, and the last assignment stays.
        useful = useful[np.argsort(-rank[useful], kind="stable")]
        chosen[attributes.owner[useful]] = useful
    have = np.flatnonzero(chosen >= 0)
    values, codes = _decoded("AttrValue", attributes.take(chosen[have]), _first_dtype)
    place = ops.copy()
    place[have] = codes + len(rules)
    return [rule.default for rule in rules] + [str(value) for value in values], place


def _rank(attrs: tuple[str, ...], key: str) -> int:
    """Return the place of a key among the attributes that name a dtype, -1 if it is not one of them."""
    return attrs.index(key) if key in attrs else -1


def _first_dtype(value: protos.Message) -> str:
    """Read the dtype that an attribute names, the first of a list."""
    number = value.type or next(iter(value.list.type), 0)
    return protos.dtype_name(number) if number else ""


def _first_shape(value: protos.Message) -> Shape:
    """Read the first shape of a list of output shapes."""
    return protos.shape_of(value.list.shape[0]) if value.list.shape else None


def _is_any(op_names: Sequence[str], ops: Integers, wanted: Iterable[str]) -> wire.Mask:
    """Say of each node whether its op is one of those wanted."""
    names = frozenset(wanted)
    table = np.array([name in names for name in op_names], bool)
    return table[ops] if len(ops) else np.zeros(0, bool)


def _decoded(name: str, places: _Places, decode: Callable[[protos.Message], object]) -> tuple[list[object], Integers]:
    """Decode messages, each different content once: the values, and which of them each message has."""
    codes, examples = wire_spans.distinct(places.buffer, places.start, places.end)
    entries = zip(places.start[examples].tolist(), places.end[examples].tolist(), strict=True)
    return [decode(wire_message(places.buffer, name, start, end)) for start, end in entries], codes


def wire_message(buffer: Buffer, name: str, start: int, end: int) -> protos.Message:
    """Parse a small message in place; raises WireError if it is not one."""
    try:
        return protos.parse(name, buffer.piece(start, end))
    except protos.ParseError as error:
        raise wire.WireError(start, f"a {name} does not parse") from error


def _fill(shapes: Objects, name: str, places: _Places, decode: Callable[[protos.Message], object]) -> None:
    """Put the shapes that some messages say into the column."""
    values, codes = _decoded(name, places, decode)
    table = np.empty(len(values), dtype=object)
    table[:] = values
    if len(codes):
        shapes[places.owner] = table[codes]


def _fill_sizes(sizes: Integers, places: _Places) -> None:
    """Put the sizes that some messages say into the column."""
    values, codes = _decoded("AttrValue", places, lambda value: int(value.i))
    if len(codes):
        sizes[places.owner] = np.array(values, np.int64)[codes]


def _forget_scalars(shapes: Objects, doubtful: wire.Mask) -> None:
    """Make the scalars among some nodes' shapes unknown."""
    for index in np.flatnonzero(doubtful).tolist():
        shapes[index] = shapes[index] or None


def _read_tensors(places: _Places, shapes: Objects, sizes: Integers, items: Integers) -> None:
    """Read the shapes of Const nodes, and the sizes of the values that they hold."""
    buffer, owner, count = places.buffer, places.owner, len(places.owner)
    starts, ends = wire.scan(buffer, places.start, places.end).select(_VALUE_TENSOR).last(count)
    inner = wire.scan(buffer, starts, ends)
    _fill(shapes, "TensorShapeProto", _Places(buffer, owner, *inner.select(_TENSOR_SHAPE).last(count)), protos.shape_of)
    content = inner.take(inner.number >= _TENSOR_FIRST_CONTENT)
    # Integers are written as varints, whose lengths tell nothing: each has the size of an element.
    is_varint = np.isin(content.number, _TENSOR_VARINTS)
    lengths = content.end - content.start
    lengths[is_varint] = _varint_counts(buffer, content.take(is_varint)) * items[owner][content.owner[is_varint]]
    sizes[owner] = np.bincount(content.owner, lengths, minlength=count).astype(np.int64)


def _varint_counts(buffer: Buffer, fields: Fields) -> Integers:
    """Count the varints in each of some fields: each ends with the one byte that has no high bit."""
    lengths = fields.end - fields.start
    ends = np.cumsum(lengths)
    places = np.repeat(fields.start - ends + lengths, lengths) + np.arange(int(lengths.sum()))
    is_last = buffer.octets[places] < _MORE
    counts: Integers = np.diff(np.concatenate([[0], np.cumsum(is_last)])[np.concatenate([[0], ends])])
    return counts

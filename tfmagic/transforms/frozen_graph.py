"""A graph whose variables became constants, the constants' content still where it was: sized, streamed, or filled in.

A network's weights are a thousand times the rest of its graph. Copying them into messages takes several times their
size in memory, so the graph stays a skeleton and the content goes from the tensor to the file. Not for: making the
skeleton (:mod:`tfmagic.transforms.freeze`).
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tfmagic import errors
from tfmagic.files import protos, wire
from tfmagic.files.reading import PROTOBUF_LIMIT
from tfmagic.graphs.signature_keys import name_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import numpy as np

    from tfmagic.graphs.signatures import Endpoint

    #: Bytes that a file takes: a message, or a tensor in place.
    Chunk: TypeAlias = bytes | memoryview

# Tags of the fields on the way to a tensor's content, from tensorflow/core/framework/{graph,node_def,attr_value,
# tensor}.proto: field number and wire type 2. A map's entry has the key as its field 1 and the value as its field 2.
_GRAPH_NODE, _NODE_ATTR, _ENTRY_VALUE, _VALUE_TENSOR, _TENSOR_CONTENT = b"\x0a", b"\x2a", b"\x12", b"\x42", b"\x22"
_ENTRY_KEY = b"\x0a\x05value"
#: A skeleton up to so many bytes is serialised once.
_MOST_KEPT = 16 << 20


class Value(NamedTuple):
    """A tensor that becomes a constant: dtype, shape, and how to get at its content.

    ``read`` gives the elements as TensorProto's ``tensor_content`` holds them: row-major, little-endian. It is called
    when the content is written and its result is dropped then. ``texts`` gives strings, which have no such form, as a
    TensorProto; None for every other dtype.
    """

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Chunk]
    texts: Callable[[], protos.Message] | None = None

    @property
    def size(self) -> int:
        """The size of the content in bytes."""
        return math.prod(self.shape) * (protos.item_size(self.dtype) or 0)


@dataclass(frozen=True)
class FrozenGraph:
    """A GraphDef without variables, its large constants kept apart.

    Attributes
    ----------
    graph_def : GraphDef
        Of our pool. The Const nodes named in ``values`` have dtype and shape, and no content.
    values : mapping of str to Value
        The content of those, by the node's name.
    inputs, outputs : tuple of Endpoint
        The user's keys, in the user's order, and the tensors behind them.
    key, method : str
        The signature's key and method name.
    notes : tuple of str
        What a person should know of the result.
    kept : callable or None
        Gives the values of the variables that stay variables, by the names of their nodes; None where none does.
    reading : callable
        Gives a context in which many values are read faster than each by itself.
    """

    graph_def: protos.Message
    values: Mapping[str, Value]
    inputs: tuple[Endpoint, ...]
    outputs: tuple[Endpoint, ...]
    key: str
    method: str
    notes: tuple[str, ...] = ()
    kept: Callable[[Sequence[str]], Mapping[str, np.ndarray]] | None = None
    reading: Callable[[], AbstractContextManager[None]] = nullcontext

    @cached_property
    def size(self) -> int:
        """The serialised size in bytes, exactly."""
        return sum(len(head) + (value.size if value else 0) for head, value in self.pieces())

    @property
    def name_notes(self) -> tuple[str, ...]:
        """Say which keys no node could be called by, and which nodes stand for them: a file has no other names."""
        pairs = ((end.key, end.tensor.removesuffix(":0")) for end in (*self.inputs, *self.outputs))
        return name_notes("a graph", pairs)

    def require_small_enough(self) -> None:
        """Refuse a graph that no protobuf reader would take.

        Raises
        ------
        TooLargeError
            If it is 2 GiB or more.
        """
        size = self.size
        if size > PROTOBUF_LIMIT:
            message = (
                f"the frozen graph would take {size / 2**30:.2f} GiB, and no protobuf reader takes a message of 2 GiB "
                "or more, so nothing could load it. Export to a SavedModel instead (a path without suffix): its "
                "weights lie outside the graph and have no limit"
            )
            raise errors.TooLargeError(message)

    def require_values(self) -> None:
        """Refuse variables that have no value, where nothing is written that would read them.

        Raises
        ------
        ConversionError
            If there is one.
        """
        with self.reading():
            for value in self.values.values():
                value.read()

    def chunks(self) -> Iterator[Chunk]:
        """Yield the serialised graph piece by piece, reading one tensor at a time."""
        for head, value in self.pieces():
            yield head
            if value is not None:
                yield value.read()

    def filled(self) -> protos.Message:
        """Return the whole GraphDef with all content in it."""
        result = protos.message("GraphDef")()
        result.CopyFrom(self.graph_def)
        with self.reading():
            for node in result.node:
                if node.name in self.values:
                    node.attr["value"].tensor.tensor_content = bytes(self.values[node.name].read())
        return result

    def pieces(self) -> Iterable[tuple[bytes, Value | None]]:
        """Return bytes, and the content that follows them, if any follows: of each node, then of the rest."""
        return self._small_pieces or self._serialised()

    @cached_property
    def _small_pieces(self) -> list[tuple[bytes, Value | None]]:
        """The pieces, which sizes and writing go through, none where they would be as much again in memory."""
        pieces, size = [], 0
        for head, value in self._serialised():
            pieces.append((head, value))
            size += len(head)
            if size > _MOST_KEPT:
                return []
        return pieces

    def _serialised(self) -> Iterator[tuple[bytes, Value | None]]:
        """Yield the pieces."""
        for node in self.graph_def.node:
            value = self.values.get(node.name)
            yield (_whole(node) if value is None else _head(node, value)), value
        rest = protos.message("GraphDef")()
        rest.library.CopyFrom(self.graph_def.library)
        rest.versions.CopyFrom(self.graph_def.versions)
        yield serialised(rest), None


def _whole(node: protos.Message) -> bytes:
    """Serialise a node as a field of its graph."""
    data = serialised(node)
    return _GRAPH_NODE + wire.written(len(data)) + data


def _head(node: protos.Message, value: Value) -> bytes:
    """Serialise a Const node up to the content of its tensor, which comes last: fields may be in any order."""
    plain = protos.message("NodeDef")()
    plain.CopyFrom(node)
    tensor = serialised(plain.attr["value"].tensor)
    del plain.attr["value"]
    before = serialised(plain)
    return before_content(
        value.size, ((_GRAPH_NODE, before), (_NODE_ATTR, _ENTRY_KEY), (_ENTRY_VALUE, b""), (_VALUE_TENSOR, tensor))
    )


def before_content(size: int, levels: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Serialise what encloses a content of known size: each level's tag, its length, and its earlier fields."""
    result = _TENSOR_CONTENT + wire.written(size)
    for tag, earlier in reversed(tuple(levels)):
        result = tag + wire.written(len(earlier) + len(result) + size) + earlier + result
    return result


def content_start(data: memoryview) -> int:
    """Return where the content begins that a Const node ends with, by the lengths of all that encloses it.

    Raises
    ------
    WireError
        If the bytes are not such a node.
    """
    begin, end = 0, len(data)
    for tag in (_NODE_ATTR, _ENTRY_VALUE, _VALUE_TENSOR, _TENSOR_CONTENT):
        position = begin
        while position < end:
            number, after = wire.varint(data, position, end)
            begin, position = wire.payload(data, after, end, number & 7)
        if wire.written(number) != tag:
            raise wire.WireError(begin, "a constant does not end with its content")
    return begin


def serialised(message: protos.Message) -> bytes:
    """Serialise a message, maps in the order of their keys: the same graph gives the same bytes."""
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def constant(node: protos.Message, value: Value) -> None:
    """Turn a node into a Const that has dtype and shape, and no content yet."""
    become(node, "Const", dtype=value.dtype)
    del node.input[:]
    tensor = node.attr["value"].tensor
    tensor.dtype = protos.dtype_number(value.dtype)
    tensor.tensor_shape.CopyFrom(protos.shape_proto(value.shape))


def become(node: protos.Message, op: str, **types: str) -> None:
    """Turn a node into another op with these dtypes as its only attributes."""
    node.op = op
    node.attr.clear()
    node.ClearField("experimental_type")
    for name, dtype in types.items():
        node.attr[name].type = protos.dtype_number(dtype)

"""A GraphDef as it lies in a file: where its nodes are, its function library and theirs, each parsed when asked for.

:mod:`tfmagic.files.wire` finds the nodes of a million-node graph in the time that parsing every attribute of them would
take ten times over. Not for: reading what all nodes say (:mod:`tfmagic.graphs.node_columns`) or which functions they
call (:mod:`tfmagic.graphs.function_uses`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic.files import long_messages, protos, wire, wire_spans
from tfmagic.graphs.node_attributes import wire_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfmagic.files.wire import Buffer, Fields, Integers

    _Fields = Mapping[int, "_Fields"]

#: Nodes scanned at a time: bounds the memory of the arrays in between.
_BLOCK = 1 << 14
# Field numbers of tensorflow/core/framework/{graph,function}.proto, and of an entry of a map.
_GRAPH_NODE, _GRAPH_LIBRARY, _GRAPH_VERSIONS = 1, 2, 4
_LIBRARY_FUNCTION = 1
_FUNCTION_SIGNATURE, _FUNCTION_NODE, _FUNCTION_RET = 1, 3, 4
# Of tensorflow/core/framework/op_def.proto.
_OP_NAME = 1
_NODE_ATTR = 5
#: Where nodes lie in a GraphDef: in it, and in the functions of its library.
_NODES: _Fields = {_GRAPH_NODE: {}, _GRAPH_LIBRARY: {_LIBRARY_FUNCTION: {_FUNCTION_NODE: {}}}}
#: Bytes up to which a graph is parsed whole, and from which on a node holds a weight.
_WHOLE, _LONG = 1 << 28, 1 << 16
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

Span = tuple[int, int]


@dataclass(frozen=True)
class SerializedGraph:
    """A GraphDef as it lies in a buffer.

    Attributes
    ----------
    buffer : Buffer
        Holds the message, and perhaps others.
    pieces : tuple of (start, end)
        Where the GraphDef lies; more than one if its field appeared twice, which protobuf merges.
    """

    buffer: Buffer
    pieces: tuple[Span, ...]
    #: What was read of all nodes, kept for whoever asks next.
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, data: bytes) -> SerializedGraph:
        """Take a serialised GraphDef."""
        return cls(wire.Buffer(data), ((0, len(data)),))

    @cached_property
    def _contents(self) -> list[tuple[Integers, Integers]]:
        """Places of the nodes of the main graph, of the function libraries and of the versions."""
        return self._spans(self.pieces, _GRAPH_NODE, _GRAPH_LIBRARY, _GRAPH_VERSIONS)

    @property
    def nodes(self) -> tuple[Integers, Integers]:
        """Starts and ends of the NodeDefs of the main graph."""
        return self._contents[0]

    @cached_property
    def producer(self) -> int:
        """The version of the graph's dialect, 0 where it is not recorded."""
        versions = [wire_message(self.buffer, "VersionDef", start, end) for start, end in _pairs(*self._contents[2])]
        return next((each.producer for each in reversed(versions) if each.producer), 0)

    @cached_property
    def functions(self) -> tuple[Integers, Integers]:
        """Starts and ends of the FunctionDefs."""
        return self._spans(_pairs(*self._contents[1]), _LIBRARY_FUNCTION)[0]

    def _spans(self, pieces: Iterable[Span], *numbers: int) -> list[tuple[Integers, Integers]]:
        """Join the places of some fields over all pieces."""
        empty = np.zeros(0, np.int64)
        spans = [[(empty, empty)] * len(numbers)]
        spans += [long_messages.spans(self.buffer, start, end, *numbers) for start, end in pieces]
        return [
            (np.concatenate([starts for starts, _ in places]), np.concatenate([ends for _, ends in places]))
            for places in zip(*spans, strict=True)
        ]

    @cached_property
    def _function_fields(self) -> Fields:
        return wire.scan(self.buffer, *self.functions)

    @cached_property
    def _signature_spans(self) -> tuple[Integers, Integers]:
        return self._function_fields.select(_FUNCTION_SIGNATURE).last(len(self.functions[0]))

    @cached_property
    def function_signatures(self) -> list[protos.Message]:
        """The OpDef of each FunctionDef: its name, arguments and results."""
        return [wire_message(self.buffer, "OpDef", start, end) for start, end in _pairs(*self._signature_spans)]

    @cached_property
    def signature_fields(self) -> Fields:
        """The fields of the OpDefs of all functions, their owner the index of the function."""
        return wire.scan(self.buffer, *self._signature_spans)

    @cached_property
    def function_names(self) -> list[str]:
        """The name of each FunctionDef."""
        return wire_spans.strings(self.buffer, *self.signature_fields.select(_OP_NAME).last(len(self.functions[0])))

    @cached_property
    def function_nodes(self) -> Fields:
        """The NodeDefs of all functions, their owner the index of the function."""
        return self._function_fields.select(_FUNCTION_NODE)

    @property
    def functions_of_nodes(self) -> Integers:
        """The function of each node, in the order of the blocks: 0 for the main graph, else its number from 1 on."""
        return np.concatenate([np.zeros(len(self.nodes[0]), np.int64), self.function_nodes.owner + 1])

    def node_blocks(self) -> Iterator[tuple[int, Integers, Integers]]:
        """Yield starts and ends of all NodeDefs, and before them the number of the first, a block of nodes at a time.

        The main graph comes first, then function by function: the order of the rows of the table of ops.
        """
        inner = self.function_nodes
        starts, ends = (np.concatenate([a, b]) for a, b in zip(self.nodes, (inner.start, inner.end), strict=True))
        for first in range(0, len(starts), _BLOCK):
            yield first, starts[first : first + _BLOCK], ends[first : first + _BLOCK]

    @cached_property
    def _function_results(self) -> Fields:
        """The entries of the maps from results to tensors, function by function."""
        return self._function_fields.select(_FUNCTION_RET)

    def function_results(self, index: int) -> dict[str, str]:
        """Return the tensor behind each result of a FunctionDef, by the result's name."""
        entries = self._function_results
        first, last = np.searchsorted(entries.owner, (index, index + 1)).tolist()
        entries = entries.take(np.arange(first, last))
        bodies = {}
        for start, end in _pairs(entries.start, entries.end):
            inner = {number: (begin, stop) for number, _, begin, stop in wire.fields(self.buffer, start, end)}
            key, value = (inner.get(number, (start, start)) for number in (_ENTRY_KEY, _ENTRY_VALUE))
            bodies[self.buffer.text(*key)] = self.buffer.text(*value)
        return bodies

    def node_def(self, row: int) -> protos.Message:
        """Parse one node, counted as the rows of the table of ops."""
        main, inner = self.nodes, self.function_nodes
        place = row - len(main[0])
        start, end = (main[0][row], main[1][row]) if place < 0 else (inner.start[place], inner.end[place])
        return wire_message(self.buffer, "NodeDef", int(start), int(end))

    def graph_def(self) -> protos.Message:
        """Parse the whole GraphDef."""
        data = b"".join(bytes(self.buffer.piece(start, end)) for start, end in self.pieces)
        return self.parsed(data, protos.message("GraphDef")())

    def equals(self, other: SerializedGraph) -> bool:
        """Whether another graph is the same byte for byte."""
        sizes = [[end - start for start, end in graph.pieces] for graph in (self, other)]
        return sizes[0] == sizes[1] and all(
            bytes(self.buffer.piece(start + first, min(start + first + _WHOLE, end)))
            == bytes(other.buffer.piece(begin + first, min(begin + first + _WHOLE, stop)))
            for (start, end), (begin, stop) in zip(self.pieces, other.pieces, strict=True)
            for first in range(0, end - start, _WHOLE)
        )

    def lean_data(self) -> bytes:
        """Return the GraphDef as it is; without the attributes of nodes that hold weights where those cost something.

        That is of a large one, and where what they hold would have to be fetched.
        """
        if self.buffer.is_whole and sum(end - start for start, end in self.pieces) <= _WHOLE:
            return b"".join(bytes(self.buffer.piece(start, end)) for start, end in self.pieces)
        return b"".join(_trimmed(self.buffer, start, end, _NODES) for start, end in self.pieces)

    def parsed(self, data: bytes, message: protos.Message) -> protos.Message:
        """Parse what was taken of this graph into an empty GraphDef, and return it."""
        try:
            message.MergeFromString(data)
        except protos.ParseError as error:
            raise wire.WireError(self.pieces[0][0], "a GraphDef does not parse") from error
        return message


def _trimmed(buffer: Buffer, start: int, end: int, nodes: _Fields) -> bytes:
    """Return a message without the attributes of long nodes, which lie in some of its fields; a node if in none."""
    kept, position = bytearray(), start
    for number, _, begin, stop in wire.fields(buffer, start, end):
        if not nodes and number == _NODE_ATTR:
            break
        if number in nodes and stop - begin > _LONG:
            content = _trimmed(buffer, begin, stop, nodes[number])
            kept += wire.written(number << 3 | wire.BYTES) + wire.written(len(content)) + content
        else:
            kept += buffer.piece(position, stop)
        position = stop
    return bytes(kept)


def _pairs(starts: Integers, ends: Integers) -> Iterator[Span]:
    return zip(starts.tolist(), ends.tolist(), strict=True)

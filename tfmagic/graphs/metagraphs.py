"""A MetaGraphDef as it lies in a buffer: cut at its fields, each part parsed when it is asked for.

The graph may be gigabytes where the rest is a page, so the rest is parsed by itself and the graph is scanned in
place. Not for: files and directories, which readers open.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic.files import long_messages, protos, wire
from tfmagic.graphs.serialized import SerializedGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfmagic.graphs.serialized import Span

# Field numbers of tensorflow/core/protobuf/{saved_model,meta_graph}.proto.
_SAVED_MODEL_META_GRAPHS = 2
_GRAPH_DEF, _OBJECT_GRAPH_DEF = 2, 7

#: SignatureDefs whose key begins so are TensorFlow's own bookkeeping.
HIDDEN_PREFIX = "__"


@dataclass(frozen=True)
class MetaGraph:
    """A MetaGraphDef as it lies in a buffer.

    Attributes
    ----------
    buffer : Buffer
        Holds the message, and perhaps others.
    start, end : int
        Where the MetaGraphDef lies.
    """

    buffer: wire.Buffer
    start: int
    end: int

    @classmethod
    def of(cls, data: bytes) -> MetaGraph:
        """Take a serialised MetaGraphDef."""
        return cls(wire.Buffer(data), 0, len(data))

    @classmethod
    def of_message(cls, message: protos.Message) -> MetaGraph:
        """Take a MetaGraphDef of any descriptor pool."""
        return cls.of(message.SerializeToString())

    @cached_property
    def _pieces(self) -> list[tuple[int, Span, Span]]:
        """The graph, the object graph and what lies between: a field's number or 0, its place, its payload's."""
        pieces, position = [], self.start
        for number, _, begin, stop in wire.fields(self.buffer, self.start, self.end):
            if number in (_GRAPH_DEF, _OBJECT_GRAPH_DEF):
                pieces.append((number, (position, stop), (begin, stop)))
            elif pieces and not pieces[-1][0]:
                # Of a hundred thousand signatures each is a field: one piece holds them all.
                first, _ = pieces[-1][1]
                pieces[-1] = (0, (first, stop), (first, stop))
            else:
                pieces.append((0, (position, stop), (position, stop)))
            position = stop
        return pieces

    @cached_property
    def graph(self) -> SerializedGraph:
        """The GraphDef in place."""
        return SerializedGraph(
            self.buffer, tuple(payload for number, _, payload in self._pieces if number == _GRAPH_DEF)
        )

    @cached_property
    def header(self) -> protos.Message:
        """The MetaGraphDef without its graph and its object graph."""
        return self._parsed(lambda number: number not in (_GRAPH_DEF, _OBJECT_GRAPH_DEF))

    @cached_property
    def object_graph_def(self) -> protos.Message | None:
        """The SavedObjectGraph of a TF2 SavedModel, None in others."""
        parsed = self._parsed(lambda number: number == _OBJECT_GRAPH_DEF)
        return parsed.object_graph_def if parsed.HasField("object_graph_def") else None

    def meta_graph_def(self) -> protos.Message:
        """Parse the whole MetaGraphDef."""
        return self._parsed(lambda _: True)

    def lean_meta_graph_def(self) -> protos.Message:
        """Parse the MetaGraphDef; of a large graph without the attributes of nodes that hold weights."""
        message = self._parsed(lambda number: number != _GRAPH_DEF)
        self.graph.parsed(self.graph.lean_data(), message.graph_def)
        return message

    def graph_def(self) -> protos.Message:
        """Parse the whole GraphDef."""
        return self.graph.graph_def()

    def _parsed(self, wanted: Callable[[int], bool]) -> protos.Message:
        """Parse some of the pieces: a message cut at its fields is a message."""
        data = b"".join(bytes(self.buffer.piece(a, b)) for number, (a, b), _ in self._pieces if wanted(number))
        try:
            return protos.parse("MetaGraphDef", data)
        except protos.ParseError as error:
            raise wire.WireError(self.start, "a MetaGraphDef does not parse") from error

    @property
    def tags(self) -> tuple[str, ...]:
        """The tag-set, in the file's order."""
        return tuple(self.header.meta_info_def.tags)

    @property
    def tensorflow_version(self) -> str:
        """The TensorFlow that wrote it, as it says; old ones wrote what no parser of versions takes."""
        return str(self.header.meta_info_def.tensorflow_version)

    @cached_property
    def signature_def(self) -> Mapping[str, protos.Message]:
        """The SignatureDefs by key, those of bookkeeping included, sorted: a map has no order of its own."""
        return {key: self.header.signature_def[key] for key in sorted(self.header.signature_def)}

    def has_equal_graph(self, other: MetaGraph) -> bool:
        """Whether the graph of another one is the same byte for byte."""
        return self.graph.equals(other.graph)

    @property
    def bytes(self) -> int:
        """The serialised size."""
        return self.end - self.start


def of_saved_model(buffer: wire.Buffer) -> tuple[MetaGraph, ...]:
    """Find the MetaGraphDefs of a serialised SavedModel; raises WireError where it is not one."""
    ((starts, ends),) = long_messages.spans(buffer, 0, buffer.size, _SAVED_MODEL_META_GRAPHS)
    return tuple(MetaGraph(buffer, start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True))


def of_meta_graph(buffer: wire.Buffer) -> MetaGraph:
    """Take a buffer that holds a MetaGraphDef and nothing else."""
    return MetaGraph(buffer, 0, buffer.size)


def of_graph_def(buffer: wire.Buffer) -> MetaGraph:
    """Put a serialised GraphDef into the envelope of a MetaGraphDef that holds nothing else."""
    return GraphOnly(buffer, 0, buffer.size)


class GraphOnly(MetaGraph):
    """A GraphDef taken for a MetaGraphDef: the buffer holds the graph itself, without the field's tag."""

    @cached_property
    def _pieces(self) -> list[tuple[int, Span, Span]]:
        return []

    @cached_property
    def graph(self) -> SerializedGraph:
        """The GraphDef in place."""
        return SerializedGraph(self.buffer, ((self.start, self.end),))

    def meta_graph_def(self) -> protos.Message:
        """Parse the whole GraphDef into a MetaGraphDef."""
        return protos.message("MetaGraphDef")(graph_def=self.graph_def())

"""What each part of a graph takes in its message: nodes, functions, and where they come from in somebody's Python.

Not for: what of it is needed (:mod:`tfmagic.transforms.slim_graph`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import long_messages, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.transforms.slim_graph import GraphUse

# Field numbers of tensorflow/core/framework/graph.proto and node_def.proto.
DEBUG, _NODE_DEBUG = 5, 6


class Weights:
    """What each part of a graph takes in its message, tags and lengths included.

    Attributes
    ----------
    nodes : dict of str to int
        By node of the main graph, less where it comes from.
    functions : dict of str to int
        By function, likewise.
    debug : int
        Of where nodes come from in somebody's Python.
    total : int
        Of the whole MetaGraphDef.
    """

    def __init__(self, use: GraphUse) -> None:
        graph = use.meta_graph.graph
        names = [node.name for node in use.message.graph_def.node]
        functions = [function.signature.name for function in use.message.graph_def.library.function]
        self.nodes = _sizes(names, graph.nodes)
        self.functions = _sizes(functions, graph.functions)
        self.debug = sum(_field_size(stop - start) for start, stop in _debug_spans(use))
        self.total = use.meta_graph.bytes
        homes = graph.functions_of_nodes.tolist()
        for row, size in _traces(use):
            self.debug += size
            if homes[row]:
                self.functions[functions[homes[row] - 1]] -= size
            else:
                self.nodes[names[row]] -= size


def _sizes(names: list[str], spans: tuple[wire.Integers, wire.Integers]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, size in zip(names, (spans[1] - spans[0]).tolist(), strict=True):
        sizes[name] = sizes.get(name, 0) + _field_size(size)
    return sizes


def _field_size(size: int) -> int:
    """Return what a field of so many bytes takes, with a tag of one byte."""
    return 1 + len(wire.written(size)) + size


def _debug_spans(use: GraphUse) -> Iterator[tuple[int, int]]:
    """Yield where a graph says which code its nodes come from."""
    graph = use.meta_graph.graph
    for start, end in graph.pieces:
        (spans,) = long_messages.spans(graph.buffer, start, end, DEBUG)
        yield from zip(spans[0].tolist(), spans[1].tolist(), strict=True)


def _traces(use: GraphUse) -> Iterator[tuple[int, int]]:
    """Yield the row of each node that says where it comes from, and what that takes."""
    graph = use.meta_graph.graph
    for first, starts, ends in graph.node_blocks():
        fields = wire.scan(graph.buffer, starts, ends).select(_NODE_DEBUG)
        sizes = (fields.end - fields.start).tolist()
        yield from zip((fields.owner + first).tolist(), map(_field_size, sizes), strict=True)

"""The function library of a serialised graph seen from outside: arguments, results, sizes, and who calls what.

Not for: what is inside a function (:mod:`tfmagic.graphs.serialized`), or calling one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.files import wire, wire_spans
from tfmagic.graphs.node_columns import NodeTexts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.files.wire import Buffer, Integers
    from tfmagic.graphs.serialized import SerializedGraph

# Field numbers of tensorflow/core/framework/{node_def,attr_value}.proto, and of an entry of a map.
_NODE_NAME, _NODE_OP, _NODE_ATTR = 1, 2, 5
_ENTRY_VALUE = 2
_VALUE_LIST, _VALUE_FUNC = 1, 10
_LIST_FUNC, _CALLED_NAME = 9, 1
# Of tensorflow/core/framework/op_def.proto.
_OP_INPUT, _OP_OUTPUT, _ARGUMENT_NAME = 2, 3, 1


class FunctionUse(NamedTuple):
    """A FunctionDef of the library, seen from outside."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    ops: int
    called_by: tuple[str, ...]


def read(graph: SerializedGraph) -> list[FunctionUse]:
    """List the functions of the library: arguments, results, number of nodes, and who calls them.

    A caller is a function, or the node's name for a call from the main graph.
    """
    names = graph.function_names
    counts = np.bincount(graph.function_nodes.owner, minlength=len(names)).tolist()
    arguments, results = (_argument_names(graph, number) for number in (_OP_INPUT, _OP_OUTPUT))
    callers = _callers(graph, names)
    called_by = (tuple(dict.fromkeys(callers.get(name, ()))) for name in names)
    return list(map(FunctionUse, names, arguments, results, counts, called_by))


def _argument_names(graph: SerializedGraph, number: int) -> list[tuple[str, ...]]:
    """Return the names of the arguments of each function, or of its results, by the number of their field."""
    listed = graph.signature_fields.select(number)
    starts, ends = wire.scan(graph.buffer, listed.start, listed.end).select(_ARGUMENT_NAME).last(len(listed.owner))
    names = np.array(wire_spans.strings(graph.buffer, starts, ends), dtype=object)
    counts = np.bincount(listed.owner, minlength=len(graph.function_names))
    tuples: list[tuple[str, ...]] = NodeTexts(names, counts).tuples().tolist()
    return tuples


def _callers(graph: SerializedGraph, names: list[str]) -> dict[str, list[str]]:
    """Return, for each function, the functions and the nodes of the main graph that call it."""
    callers: dict[str, list[str]] = {}
    if not names:
        return callers
    where, known = ["", *names], frozenset(names)
    functions_of = graph.functions_of_nodes
    for first, starts, ends in graph.node_blocks():
        for index, callee in sorted(_calls(graph.buffer, starts, ends, known)):
            function = where[functions_of[first + index]]
            caller = function or _node_name(graph.buffer, int(starts[index]), int(ends[index]))
            callers.setdefault(callee, []).append(caller)
    return callers


def _node_name(buffer: Buffer, start: int, end: int) -> str:
    """Read the name of one node."""
    names = [(a, b) for number, _, a, b in wire.fields(buffer, start, end) if number == _NODE_NAME]
    return buffer.text(*names[-1]) if names else ""


def _calls(buffer: Buffer, starts: Integers, ends: Integers, functions: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield the index of each node that calls a function, and the function.

    A function is called by an attribute that names it, or by being the op itself.
    """
    fields = wire.scan(buffer, starts, ends)
    count = len(starts)
    op_starts, op_ends = fields.select(_NODE_OP).last(count)
    codes, examples = wire_spans.distinct(buffer, op_starts, op_ends)
    ops = wire_spans.strings(buffer, op_starts[examples], op_ends[examples])
    for code in [place for place, op in enumerate(ops) if op in functions]:
        yield from ((index, ops[code]) for index in np.flatnonzero(codes == code).tolist())
    entries = fields.select(_NODE_ATTR)
    inner = wire.scan(buffer, entries.start, entries.end).select(_ENTRY_VALUE)
    values = wire.scan(buffer, inner.start, inner.end)
    nested = values.select(_VALUE_LIST)
    lists = wire.scan(buffer, nested.start, nested.end).select(_LIST_FUNC)
    owner = entries.owner[inner.owner]
    called = values.select(_VALUE_FUNC)
    for places, spans in ((owner[called.owner], called), (owner[nested.owner[lists.owner]], lists)):
        names = wire.scan(buffer, spans.start, spans.end).select(_CALLED_NAME).last(len(places))
        yield from zip(places.tolist(), wire_spans.strings(buffer, *names), strict=True)

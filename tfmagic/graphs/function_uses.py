"""The function library of a serialised graph seen from outside: arguments, results, sizes, and who calls what.

Not for: what is inside a function (:mod:`tfmagic.graphs.serialized`), or calling one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.files import wire, wire_spans
from tfmagic.graphs.node_attributes import wire_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.files.wire import Buffer, Integers
    from tfmagic.graphs.serialized import SerializedGraph

# Field numbers of tensorflow/core/framework/{node_def,attr_value}.proto, and of an entry of a map.
_NODE_NAME, _NODE_OP, _NODE_ATTR = 1, 2, 5
_ENTRY_VALUE = 2
_VALUE_LIST, _VALUE_FUNC = 1, 10
_LIST_FUNC = 9


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
    signatures = graph.function_signatures
    inner = graph.function_nodes
    counts = np.bincount(inner.owner, minlength=len(signatures)).tolist()
    callers = _callers(graph, [signature.name for signature in signatures])
    return [
        FunctionUse(
            signature.name,
            tuple(arg.name for arg in signature.input_arg),
            tuple(arg.name for arg in signature.output_arg),
            count,
            tuple(dict.fromkeys(callers.get(signature.name, ()))),
        )
        for signature, count in zip(signatures, counts, strict=True)
    ]


def _callers(graph: SerializedGraph, names: list[str]) -> dict[str, list[str]]:
    """Return, for each function, the functions and the nodes of the main graph that call it."""
    callers: dict[str, list[str]] = {}
    if not names:
        return callers
    where = ["", *names]
    functions_of = graph.functions_of_nodes
    for first, starts, ends in graph.node_blocks():
        for index, callee in sorted(_calls(graph.buffer, starts, ends, frozenset(names))):
            function = where[functions_of[first + index]]
            caller = function or _node_name(graph.buffer, int(starts[index]), int(ends[index]))
            callers.setdefault(callee, []).append(caller)
    return callers


def _node_name(buffer: Buffer, start: int, end: int) -> str:
    """Read the name of one node."""
    names = [(a, b) for number, _, a, b in wire.fields(buffer, start, end) if number == _NODE_NAME]
    return buffer.text(*names[-1]) if names else ""


def _calls(buffer: Buffer, starts: Integers, ends: Integers, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield the index of each node that calls a function, and the function.

    A function is called by an attribute that names it, or by being the op itself.
    """
    fields = wire.scan(buffer, starts, ends)
    count = len(starts)
    op_starts, op_ends = fields.select(_NODE_OP).last(count)
    codes, examples = wire_spans.distinct(buffer, op_starts, op_ends)
    ops = wire_spans.strings(buffer, op_starts[examples], op_ends[examples])
    for code in [place for place, op in enumerate(ops) if op in names]:
        yield from ((index, ops[code]) for index in np.flatnonzero(codes == code).tolist())
    entries = fields.select(_NODE_ATTR)
    inner = wire.scan(buffer, entries.start, entries.end).select(_ENTRY_VALUE)
    values = wire.scan(buffer, inner.start, inner.end)
    nested = values.select(_VALUE_LIST)
    lists = wire.scan(buffer, nested.start, nested.end).select(_LIST_FUNC)
    owner = entries.owner[inner.owner]
    called = values.select(_VALUE_FUNC)
    for place, start, end in (
        *zip(owner[called.owner].tolist(), called.start.tolist(), called.end.tolist(), strict=True),
        *zip(owner[nested.owner[lists.owner]].tolist(), lists.start.tolist(), lists.end.tolist(), strict=True),
    ):
        yield place, wire_message(buffer, "NameAttrList", start, end).name

"""Lookup tables that functions make: a model that was loaded and saved again has them so.

The main graph calls a function without arguments, which calls the function that once made the table. Each call makes
one, so that the call may as well be the table's own op. Not for: what fills tables (:mod:`tfmagic.graphs.restores`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.graphs.resources import TABLES
from tfmagic.graphs.restores import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.files import protos


def with_own_tables(graph_def: protos.Message) -> protos.Message:
    """Return the graph itself, or a copy in which the main graph makes the tables."""
    tables = dict(_made(graph_def))
    if not tables:
        return graph_def
    result = type(graph_def)()
    result.CopyFrom(graph_def)
    for node in result.node:
        if node.name in tables:
            name = node.name
            node.CopyFrom(tables[name])
            node.name = name
            del node.input[:]
    return result


def _made(graph_def: protos.Message) -> Iterator[tuple[str, protos.Message]]:
    """Yield the calls that make a table, and the table's node."""
    functions = {function.signature.name: function for function in graph_def.library.function}
    if not functions:
        return
    main = Scope(graph_def.node, functions)
    for node in graph_def.node:
        if node.input:
            continue
        inner = main.called(node)
        origin = main.origin(node.name) if inner is not None and len(inner.results) == 1 else None
        if origin is not None and origin.node.op in TABLES and origin.scope is not main:
            yield node.name, origin.node

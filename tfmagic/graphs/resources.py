"""The nodes that keep state in a graph: variables, tables, what fills a table, and what saving the graph would lose.

Not for: making such state in this process (:mod:`tfmagic.functions.graph_defs`), nor which ops there are
(:mod:`tfmagic.graphs.ops`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.graphs.function_library import called
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tfmagic.files import protos

REF_VARIABLES = of_kind("reference variable", "temporary variable")
RESOURCE_VARIABLES = of_kind("variable")
VARIABLES = REF_VARIABLES | RESOURCE_VARIABLES
_ALL_TABLES = of_kind("table", "mutable table")
#: Tables with a name, so that what is known by that name is theirs; an anonymous one is nobody else's.
TABLES = frozenset(op for op in _ALL_TABLES if not op.startswith("Anonymous"))
#: Ops that call a function of this process, by a number that no other process knows.
PYTHON_OPS = of_kind("python")
_FILLS = of_kind("table fill")


def resource(node: protos.Message) -> tuple[bytes, bytes]:
    """Return what identifies a variable or table in a session: nodes with the same shared name are one."""
    shared = node.attr["shared_name"].s if "shared_name" in node.attr else b""
    return (node.attr["container"].s if "container" in node.attr else b"", shared or node.name.encode())


def fills_table(node: protos.Message) -> bool:
    """Whether a node puts content into the table that is its first input."""
    return bool(node.input) and node.op in _FILLS


def filled_tables(nodes: Iterable[protos.Message]) -> set[str]:
    """Return the nodes of the tables that some nodes fill."""
    return {node_of(node.input[0]) for node in nodes if fills_table(node)}


def own_state(graph_def: protos.Message) -> list[str]:
    """Return the nodes that keep state, of the main graph and of the functions that it calls.

    A table that the same graph fills is none; nor is one in a function that a loader would call to make it anew.
    """
    return list(dict.fromkeys(name for nodes in _bodies(graph_def) for name in _keepers(nodes)))


def python_calls(graph_def: protos.Message) -> list[str]:
    """Return the nodes that call back into Python, of the main graph and of the functions that it calls."""
    return [node.name for nodes in _bodies(graph_def) for node in nodes if node.op in PYTHON_OPS]


def _bodies(graph_def: protos.Message) -> list[Sequence[protos.Message]]:
    """Return the nodes of the main graph, and of each function that it calls."""
    library = {function.signature.name: function for function in graph_def.library.function}
    reached = called(graph_def.node, library)
    return [graph_def.node, *(function.node_def for name, function in library.items() if name in reached)]


def _keepers(nodes: Sequence[protos.Message]) -> Iterator[str]:
    keeping, filled = (VARIABLES | _ALL_TABLES) - of_kind("temporary variable"), filled_tables(nodes)
    return (node.name for node in nodes if node.op in keeping and node.name not in filled)

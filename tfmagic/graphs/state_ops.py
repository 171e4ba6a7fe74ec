"""The ops that keep state in a graph: variables, tables, and what fills a table.

Not for: making such state in this process (:mod:`tfmagic.functions.graph_defs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfmagic.files import protos

REF_VARIABLES = frozenset({"VariableV2", "Variable", "AutoReloadVariable", "TemporaryVariable"})
RESOURCE_VARIABLES = frozenset({"VarHandleOp"})
VARIABLES = REF_VARIABLES | RESOURCE_VARIABLES
TABLES = frozenset({
    "HashTableV2", "HashTable", "MutableHashTableV2", "MutableHashTable", "MutableHashTableOfTensorsV2",
    "MutableHashTableOfTensors", "MutableDenseHashTableV2", "MutableDenseHashTable",
})  # fmt: skip
_FILLS = ("InitializeTable", "LookupTableImport")


def resource(node: protos.Message) -> tuple[bytes, bytes]:
    """Return what identifies a variable or table in a session: nodes with the same shared name are one."""
    shared = node.attr["shared_name"].s if "shared_name" in node.attr else b""
    return (node.attr["container"].s if "container" in node.attr else b"", shared or node.name.encode())


def fills_table(node: protos.Message) -> bool:
    """Whether a node puts content into the table that is its first input."""
    return bool(node.input) and node.op.startswith(_FILLS)


def filled_tables(nodes: Iterable[protos.Message]) -> set[str]:
    """Return the nodes of the tables that some nodes fill."""
    return {node_of(node.input[0]) for node in nodes if fills_table(node)}

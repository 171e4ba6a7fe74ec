from __future__ import annotations

from typing import Any

import pytest

from tests.wire_samples import node
from tfmagic.files import protos
from tfmagic.graphs.resources import filled_tables, own_state


def graph(
    *nodes: tuple[str, str, list[str]], library: dict[str, list[tuple[str, str, list[str]]]] | None = None
) -> Any:
    made = protos.message("GraphDef")()
    for name, op, inputs in nodes:
        made.node.add(name=name, op=op, input=inputs)
    for name, inner in (library or {}).items():
        function = made.library.function.add()
        function.signature.name = name
        for inner_name, op, inputs in inner:
            function.node_def.add(name=inner_name, op=op, input=inputs)
    return made


VARIABLE: tuple[str, str, list[str]] = ("w", "VariableV2", [])
TABLE: tuple[str, str, list[str]] = ("t", "HashTableV2", [])


@pytest.mark.parametrize(
    ("graph_def", "found"),
    [
        (graph(("x", "Placeholder", [])), []),
        (graph(VARIABLE, TABLE), ["w", "t"]),
        (graph(TABLE, ("fill", "InitializeTableV2", ["t", "k", "v"])), []),
        (graph(TABLE, ("fill", "LookupTableImportV2", ["t:0", "k", "v"])), []),
        (graph(("call", "outer", []), library={"outer": [("c", "inner", [])], "inner": [VARIABLE]}), ["w"]),
        (graph(("x", "Placeholder", []), library={"creator": [TABLE]}), []),
    ],
    ids=["none", "main", "filled", "imported", "called", "not called"],
)
def test_what_keeps_state_is_found(graph_def: Any, found: list[str]) -> None:
    assert own_state(graph_def) == found


def test_a_function_named_in_an_attribute_counts() -> None:
    made = graph(("call", "StatefulPartitionedCall", []), library={"inner": [VARIABLE]})
    made.node[0].attr["f"].func.name = "inner"
    assert own_state(made) == ["w"]


@pytest.mark.parametrize("op", ["MutableDenseHashTable", "MutableHashTableOfTensors", "AnonymousMutableDenseHashTable"])
def test_every_kind_of_table_is_state(op: str) -> None:
    assert own_state(graph(("t", op, []))) == ["t"]


def test_tables_are_filled_by_any_op_that_does() -> None:
    nodes = [
        protos.parse("NodeDef", node(name, op, *inputs))
        for name, op, *inputs in (
            ("one", "InitializeTableV2", "table", "keys", "values"),
            ("two", "InitializeTableFromTextFile", "other:0", "file"),
            ("three", "LookupTableImportV2", "scope/third", "keys", "values"),
            ("four", "LookupTableFindV2", "fourth", "keys"),
            ("damaged", "InitializeTableV2"),
        )
    ]
    assert filled_tables(nodes) == {"table", "other", "scope/third"}

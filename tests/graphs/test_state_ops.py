from __future__ import annotations

from tests.wire_samples import node
from tfmagic.files import protos
from tfmagic.graphs import state_ops


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
    assert state_ops.filled_tables(nodes) == {"table", "other", "scope/third"}

from __future__ import annotations

import pytest

from tests.wire_samples import field, function_def, node
from tfmagic.files.wire import WireError
from tfmagic.graphs import function_uses, node_columns
from tfmagic.graphs.serialized import SerializedGraph


def test_a_graph_in_two_pieces_is_one_graph() -> None:
    pieces = field(1, node("a", "NoOp")) + function_def("f"), field(1, node("b", "NoOp")) + function_def("g")
    joined = SerializedGraph(
        SerializedGraph.of(b"".join(pieces)).buffer, ((0, len(pieces[0])), (len(pieces[0]), len(b"".join(pieces))))
    )
    assert list(node_columns.read(joined, {}).name) == ["a", "b"]
    assert [use.name for use in function_uses.read(joined)] == ["f", "g"]
    assert [each.name for each in joined.graph_def().node] == ["a", "b"]


def test_a_node_is_parsed_by_its_row_in_the_table_of_ops() -> None:
    data = function_def("f", node("c", "Relu")) + field(1, node("a", "NoOp")) + field(1, node("b", "NoOp"))
    found = SerializedGraph.of(data)
    assert [found.node_def(row).name for row in range(3)] == ["a", "b", "c"] == list(node_columns.read(found, {}).name)


def test_a_damaged_graph_cannot_be_parsed_whole_either() -> None:
    with pytest.raises(WireError, match="does not parse"):
        SerializedGraph.of(b"\x0a\x7f").graph_def()

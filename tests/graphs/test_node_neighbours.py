"""Inputs and consumers by row, in the main graph and in functions."""

from __future__ import annotations

from tests import drawn_graphs
from tests.drawn_graphs import LOOP, LOOPING
from tfmagic.graphs.node_neighbours import Neighbour, Neighbours

ROWS: list[drawn_graphs.Node] = [
    ("x", "Placeholder", ()),
    ("split", "Split", ("x",)),
    ("a", "Relu", ("split:1", "^late")),
    ("b", "AddN", ("split", "split:1", "a", "gone:2")),
    ("late", "NoOp", ()),
]
FRAME = drawn_graphs.model(ROWS).table("ops", all=True)


def test_inputs_lead_to_rows_whatever_output_they_name() -> None:
    found = Neighbours(FRAME)
    assert found.inputs(3) == [
        Neighbour("split", 1),
        Neighbour("split:1", 1),
        Neighbour("a", 2),
        Neighbour("gone:2", None),
    ]
    assert found.inputs(2, "control_inputs") == [Neighbour("^late", 4)]
    assert found.inputs(0) == []


def test_consumers_are_told_once_and_those_that_wait_among_them() -> None:
    found = Neighbours(FRAME)
    assert found.consumers(1) == [2, 3]
    assert found.consumers(4) == [2]
    assert found.consumers(3) == []


def test_names_mean_the_nodes_of_their_own_function() -> None:
    frame = drawn_graphs.model(LOOP, LOOPING).table("ops", all=True)
    found = Neighbours(frame)
    for row, (function, name) in enumerate(zip(frame["function"], frame["name"], strict=True)):
        assert found.row_of(name, function) == row
        for neighbour in found.inputs(row):
            if neighbour.row is not None:
                assert frame["function"][neighbour.row] == function
                assert row in found.consumers(neighbour.row)
    mul = found.row_of("scope/mul")
    assert mul is not None
    assert [each.row is None for each in found.inputs(mul)] == [True, False]


def test_a_name_that_is_nowhere_has_no_row() -> None:
    assert Neighbours(FRAME).row_of("nowhere") is None
    assert Neighbours(FRAME).row_of("x", "other") is None


def test_an_empty_graph_has_no_neighbours() -> None:
    assert Neighbours(FRAME.iloc[:0]).row_of("x") is None

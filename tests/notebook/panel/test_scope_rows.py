"""The name scopes of a graph at a chosen depth, with the weights that they work with."""

from __future__ import annotations

from typing import Any

import pytest

import tfmagic
from tests import drawn_graphs
from tests.drawn_graphs import HOSTILE, LOOP, LOOPING
from tests.notebook.panel.test_graph_details import constant
from tfmagic.notebook.panel.scope_rows import Scopes


def tower(blocks: int = 3) -> Any:
    """Build blocks of two layers, each with a weight, between an input and an output."""
    rows: list[Any] = [("x", "Placeholder", ())]
    last = "x"
    for block in range(blocks):
        for layer, op in (("dense", "MatMul"), ("act", "Relu")):
            scope = f"net/block_{block}/{layer}"
            weights = [(f"{scope}/w", "Const", ()), (f"{scope}/w/read", "Identity", (f"{scope}/w",))]
            inputs = (last, f"{scope}/w/read") if layer == "dense" else (last,)
            rows += [*(weights if layer == "dense" else ()), (f"{scope}/{op}", op, inputs)]
            last = f"{scope}/{op}"
    graph = drawn_graphs.graph([*rows, ("y", "Softmax", (last,))])
    for place, node in enumerate(each for each in graph.node if each.op == "Const"):
        constant(node, place + 2, 5)
    return graph


def test_scopes_are_the_rows_of_costs() -> None:
    model = tfmagic.inspect(tower())
    frame = Scopes(model).frame(2)
    assert [name for name in frame["name"] if name.startswith("net/")] == ["net/block_0", "net/block_1", "net/block_2"]
    rows = frame.set_index("name")
    assert rows["parameters"]["net/block_1"] == 15
    assert rows["bytes"]["net/block_1"] == 60
    assert list(model.table("costs", depth=2)["scope"]) == list(frame["name"])


def test_there_are_as_many_depths_as_names_have_parts() -> None:
    assert Scopes(tfmagic.inspect(tower())).depths == 4
    assert Scopes(drawn_graphs.model(drawn_graphs.chain("abcdef"))).depths == 1


def test_it_begins_where_the_parts_of_the_graph_are_told_apart() -> None:
    scopes = Scopes(tfmagic.inspect(tower(4)))
    assert scopes.first_depth == 2
    assert len(scopes.frame(scopes.first_depth)) > 1
    assert Scopes(drawn_graphs.model(drawn_graphs.chain("abcdef"))).first_depth == 1


def test_a_scope_knows_its_first_node_and_what_its_weights_are_called() -> None:
    scopes = Scopes(tfmagic.inspect(tower()))
    assert scopes.node("net/block_1") == ("net/block_1/dense/MatMul", "")
    assert scopes.weights("net/block_1") == "net/block_1/"
    assert scopes.node("nowhere") == ("", "")
    assert scopes.weights("nowhere") == ""
    # A name is not taken for the beginning of another.
    assert scopes.node("net/block") == ("", "")


def test_a_node_in_a_function_is_found_with_its_function() -> None:
    scopes = Scopes(drawn_graphs.model(LOOP, LOOPING))
    assert scopes.node("scope") == ("scope/mul", "body")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_any_kind_are_names(name: str) -> None:
    scopes = Scopes(drawn_graphs.model([("x", "Placeholder", ()), (name, "Relu", ("x",))]))
    assert len(scopes.frame(scopes.first_depth)) > 0
    assert scopes.node(name) == (name, "")


def test_a_graph_without_nodes_has_no_scopes() -> None:
    scopes = Scopes(drawn_graphs.model([]))
    assert len(scopes.frame(1)) == 0
    assert (scopes.depths, scopes.first_depth) == (1, 1)

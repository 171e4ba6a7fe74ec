"""The name scopes of a graph at a chosen depth, with the weights that they work with."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import tfmagic
from tests import drawn_graphs
from tests.drawn_graphs import HOSTILE, LOOP, LOOPING
from tests.notebook.panel.test_graph_details import constant
from tfmagic.notebook.panel import scope_rows
from tfmagic.notebook.panel.scope_rows import Scopes

TIMES = "\N{MULTIPLICATION SIGN}"


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


def test_scopes_are_rows_in_the_order_of_the_graph_with_what_they_weigh() -> None:
    frame = Scopes(tfmagic.inspect(tower())).frame(2)
    assert list(frame.columns) == list(scope_rows.COLUMNS)
    assert list(frame["name"]) == ["x", "net/block_0", "net/block_1", "net/block_2", "y"]
    assert list(frame["class"]) == ["Placeholder", "MatMul", "MatMul", "MatMul", "Softmax"]
    assert list(frame["ops"]) == [1, 2, 2, 2, 1]
    assert list(frame["parameters"]) == [0, 10, 15, 20, 0]
    assert list(frame["bytes"]) == [0, 40, 60, 80, 0]


def test_scopes_have_the_flops_of_a_run_and_none_where_they_are_not_known() -> None:
    rows: list[Any] = [("x", "Placeholder", ()), ("a/b/n", "Neg", ("x",)), ("a/c/n", "FromAnExtension", ("a/b/n",))]
    graph = drawn_graphs.graph(rows)
    for node in graph.node:
        node.attr["dtype" if node.op == "Placeholder" else "T"].type = 1
    for size in (1, 7):
        graph.node[0].attr["shape"].shape.dim.add().size = size
    frame = Scopes(tfmagic.inspect(graph)).frame(2)
    assert list(frame["name"]) == ["x", "a/b", "a/c"]
    assert frame["flops"].astype(object).tolist() == [pd.NA, 7, pd.NA]


@pytest.mark.parametrize(("depth", "count"), [(1, 3), (2, 5), (3, 8), (8, 8)])
def test_the_depth_is_chosen(depth: int, count: int) -> None:
    scopes = Scopes(tfmagic.inspect(tower()))
    frame = scopes.frame(depth)
    assert len(frame) == count
    # Whatever the depth, each node is in one scope, and nothing is lost.
    assert frame["ops"].sum() == 8
    assert frame["parameters"].sum() == 45
    assert scopes.depths == 3


def test_it_begins_with_the_depth_that_tells_parts_apart() -> None:
    assert Scopes(tfmagic.inspect(tower())).first_depth == 2
    assert Scopes(drawn_graphs.model(drawn_graphs.chain("abcdef"))).first_depth == 1


def test_a_scope_knows_its_first_node_and_its_weights() -> None:
    scopes = Scopes(tfmagic.inspect(tower()))
    assert scopes.node_name("net/block_1", 2) == "net/block_1/dense/MatMul"
    assert scopes.weights("net/block_1", 2) == ["net/block_1/dense/w"]
    assert scopes.node_name("nowhere", 2) == ""
    assert scopes.weights("nowhere", 2) == []


def test_of_a_graph_too_large_to_follow_no_weights_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope_rows, "_FOLLOWED", 3)
    frame = Scopes(tfmagic.inspect(tower())).frame(2)
    assert frame["parameters"].isna().all()
    assert list(frame["ops"]) == [1, 2, 2, 2, 1]


def test_weights_that_functions_are_given_are_found() -> None:
    frame = Scopes(drawn_graphs.model(LOOP, LOOPING)).frame(1)
    assert len(frame) > 0


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_any_kind_are_names(name: str) -> None:
    frame = Scopes(drawn_graphs.model([("x", "Placeholder", ()), (name, "Relu", ("x",))])).frame(1)
    assert frame["ops"].sum() == 2


def test_a_graph_without_nodes_has_no_scopes() -> None:
    scopes = Scopes(drawn_graphs.model([]))
    assert len(scopes.frame(1)) == 0
    assert (scopes.depths, scopes.first_depth) == (1, 1)

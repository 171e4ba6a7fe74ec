from __future__ import annotations

import random

import numpy as np
import pytest

from tests import drawn_graphs
from tfmagic.display.graph.bodies import Library
from tfmagic.display.graph.unfolding import Unfolding
from tfmagic.display.graph.visible_edges import visible


def named(unfolding: Unfolding) -> dict[tuple[str, str], tuple[int, bool]]:
    """Return by names of boxes how many edges each visible one stands for, and whether they are control edges."""
    names = [box.name for box in unfolding.boxes]
    return {(names[edge.source], names[edge.target]): (edge.merged, edge.is_control) for edge in visible(unfolding)}


def unfolded(*rows: drawn_graphs.Node, **functions: tuple[object, object, object]) -> Unfolding:
    return Unfolding(Library(drawn_graphs.model(rows, functions)))


def opened(unfolding: Unfolding, name: str) -> Unfolding:
    unfolding.open(next(box.number for box in unfolding.boxes if box.name == name))
    return unfolding


def test_parallel_edges_are_one_that_counts_them() -> None:
    graph = unfolded(("x", "Placeholder", ()), ("y", "Add", ("x", "x")), ("z", "Relu", ("y",)))
    assert named(graph) == {("x", "y"): (2, False), ("y", "z"): (1, False)}


def test_an_edge_is_a_control_edge_only_if_all_that_it_stands_for_are() -> None:
    graph = unfolded(
        ("x", "Placeholder", ()), ("y", "Relu", ("x", "^x")), ("z", "Relu", ("y",)), ("w", "Relu", ("y", "^z"))
    )
    assert named(graph)["x", "y"] == (2, False)
    assert named(graph)["z", "w"] == (1, True)


def test_a_folded_scope_hides_the_edges_inside_it() -> None:
    rows = [("x", "Placeholder", ()), *((f"s/{n}", "Relu", (f"s/{n - 1}" if n else "x",)) for n in range(30))]
    rows += [("y", "Relu", ("s/29",)), *((f"t/{n}", "Relu", (f"t/{n - 1}" if n else "y",)) for n in range(30))]
    graph = unfolded(*rows)
    assert named(graph) == {("x", "s"): (1, False), ("s", "y"): (1, False), ("y", "t"): (1, False)}


def test_edges_reach_into_a_call_that_is_open() -> None:
    body = (
        [("a", 1)],
        [("inner", "Relu", ("a",)), ("last", "Relu", ("inner:activations:0",))],
        {"r": "last:activations:0"},
    )
    graph = unfolded(
        ("x", "Placeholder", ()), ("call", "PartitionedCall", ("x",), {"f": "f"}), ("y", "Relu", ("call",)), f=body
    )
    assert set(named(graph)) == {("x", "call"), ("call", "y")}
    edges = set(named(opened(graph, "call")))
    assert ("x", "call") not in edges
    assert ("call", "y") not in edges
    assert {source for source, target in edges if target == "y"} <= {"last", "r"}


@pytest.mark.parametrize("seed", range(3))
def test_however_boxes_were_opened_all_edges_between_visible_ones_are_there(seed: int) -> None:
    """They are counted here by looking at each edge of the graph, which takes long where there are a million."""
    generator = random.Random(seed)
    names = [f"{n % 3}/{n % 9}/{n % 27}/{n}" for n in range(300)]
    inputs = [
        tuple(names[source] for source in {generator.randrange(n) for _ in range(3)}) if n else () for n in range(300)
    ]
    graph = unfolded(*((name, "AddN" if n else "Placeholder", inputs[n]) for n, name in enumerate(names)))
    for _ in range(25):
        box = generator.choice([box for box in graph.visible() if box.can_open])
        (graph.fold if box.is_open else graph.open)(box.number)
        room = graph.root
        ends = room.holder[room.body.source[room.edges]], room.holder[room.body.target[room.edges]]
        pairs, counts = np.unique(np.stack(ends, 1)[ends[0] != ends[1]], axis=0, return_counts=True)
        assert {edge[:2]: edge.merged for edge in visible(graph)} == dict(
            zip(map(tuple, pairs.tolist()), counts.tolist(), strict=True)
        )

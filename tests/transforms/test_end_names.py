"""Names of nodes and of ends in a graph."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests import drawn_graphs
from tfmagic.transforms import end_names

if TYPE_CHECKING:
    from collections.abc import Iterator


class Counted(list[Any]):
    """A graph's nodes, which count how often somebody goes through them."""

    passes = 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return super().__iter__()


def test_nodes_are_renamed_with_all_that_refers_to_them() -> None:
    graph_def = drawn_graphs.graph([("a", "Relu", ()), ("b", "Relu", ("a:1", "^a")), ("c", "Relu", ("ab", "b"))])
    names = end_names.rename_nodes(graph_def, {"a": "b"})
    assert names == {"a": "b", "b": "b_1"}
    assert [(node.name, list(node.input)) for node in graph_def.node] == [
        ("b", []), ("b_1", ["b:1", "^b"]), ("c", ["ab", "b_1"]),
    ]  # fmt: skip


def test_many_names_take_no_more_passes_than_one() -> None:
    passes = []
    for count in (1, 50):
        nodes = Counted(drawn_graphs.graph([(f"n{number}", "Relu", ()) for number in range(100)]).node)
        end_names.rename_nodes(SimpleNamespace(node=nodes), {f"n{number}": f"m{number}" for number in range(count)})
        assert nodes[count - 1].name == f"m{count - 1}"
        passes.append(nodes.passes)
    assert passes[0] == passes[1]

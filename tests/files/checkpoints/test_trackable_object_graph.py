from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfmagic.files import protos
from tfmagic.files.checkpoints import trackable_object_graph

if TYPE_CHECKING:
    from tfmagic.files.protos import Message


def graph_of(children: dict[int, dict[str, int]], variables: dict[int, tuple[str, str]], size: int) -> Message:
    graph = protos.message("TrackableObjectGraph")()
    for node in range(size):
        added = graph.nodes.add()
        for name, child in children.get(node, {}).items():
            added.children.add(local_name=name, node_id=child)
        if node in variables:
            full_name, key = variables[node]
            added.attributes.add(name="VARIABLE_VALUE", full_name=full_name, checkpoint_key=key)
    return graph


VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def test_names_are_layer_paths_where_they_tell_apart() -> None:
    keys = [f"m/{name}{VALUE}" for name in "abcd"] + ["table/.ATTRIBUTES/table-keys"]
    full = ["net/dense/kernel", "net/same", "net/same", "Variable"]
    graph = graph_of({}, dict(enumerate(zip(full, keys, strict=False))), 4)
    assert list(trackable_object_graph.names(graph, keys).values()) == [
        "net/dense/kernel",
        "m/b",
        "m/c",
        "m/d",
        "table/.ATTRIBUTES/table-keys",
    ]


def test_a_path_that_is_another_keys_name_is_not_taken() -> None:
    keys = [f"x/y{VALUE}", f"m/a{VALUE}"]
    graph = graph_of({}, {0: ("x/y", keys[1])}, 1)
    assert list(trackable_object_graph.names(graph, keys).values()) == ["x/y", "m/a"]


def test_trained_is_what_the_optimizer_lists() -> None:
    lists = {0: {"_trainable_variables": 1, "_variables": 2}, 1: {"0": 3}, 2: {"0": 4, "1": 99}}
    graph = graph_of(lists, {3: ("d/kernel", "k"), 4: ("adam/m", "m"), 5: ("bn/mean", "b")}, 6)
    assert trackable_object_graph.trainable(graph) == {"k": True, "m": False}
    lists[0] = {"_trainable_variables": -5, "_variables": 2}
    assert trackable_object_graph.trainable(graph_of(lists, {}, 6)) == {}


@pytest.mark.parametrize(
    ("key", "expected"),
    [("v", False), ("vs/3", False), ("model/kernel", True), ("a/b/3", True), ("model/w_3", True)],
)
def test_when_the_object_graph_is_asked(key: str, *, expected: bool) -> None:
    assert trackable_object_graph.may_hold_layers([key + VALUE, trackable_object_graph.KEY]) is expected

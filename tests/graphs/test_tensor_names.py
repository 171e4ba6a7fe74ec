from __future__ import annotations

import pytest

from tfmagic.graphs import tensor_names


@pytest.mark.parametrize(
    ("edge", "node"), [("a", "a"), ("a:1", "a"), ("^a", "a"), ("scope/a:out:0", "scope/a"), ("^scope/a", "scope/a")]
)
def test_the_node_that_an_input_names(edge: str, node: str) -> None:
    assert tensor_names.node_of(edge) == node


@pytest.mark.parametrize(("text", "full"), [("a", "a:0"), ("a:1", "a:1"), ("scope/a:out:0", "scope/a:out:0")])
def test_a_first_output_is_written_out(text: str, full: str) -> None:
    assert tensor_names.full(text) == full


@pytest.mark.parametrize("text", ["a", "a/b-c.d_e", "a>b", "größe", r"a\b", "<b>", "a>", "a>>b", "a b:0", "{x}"])
@pytest.mark.tensorflow
def test_what_is_spelled_for_a_node_is_a_name_to_tensorflow(text: str) -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds that only who needs it should take

    name = f"n{tensor_names.spelled(text)}"
    graph_def = tf.compat.v1.GraphDef(node=[{"name": name, "op": "NoOp"}])
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
    assert [op.name for op in graph.get_operations()] == [name]
    if text in ("a", "a/b-c.d_e", "a>b"):
        assert name == f"n{text}"


def test_free_names_are_given_once() -> None:
    names = tensor_names.FreeNames(["a", "a_2/b", "c"])
    assert [names("a") for _ in range(3)] == ["a_1", "a_3", "a_4"]
    assert [names(each) for each in ("a_1", "c/d", "c", "a")] == ["a_1_1", "c/d", "c_1", "a_5"]


def test_a_node_may_have_the_name_of_a_scope() -> None:
    names = tensor_names.FreeNames(["a/b", "c"])
    assert [names.of_node(each) for each in ("a", "a", "c", "d", "d")] == ["a", "a_1", "c_1", "d", "d_1"]
    assert names("a") == "a_2"

from __future__ import annotations

import pytest

from tfmagic.graphs.resource_uses import ResourceUses
from tfmagic.runtime import tensorflow as runtime

pytestmark = pytest.mark.tensorflow


def test_uses_are_found_through_calls_branches_and_loops() -> None:
    tf = runtime.tensorflow()
    read, written = tf.Variable(1.0), tf.Variable(0.0)
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)

    @tf.function  # type: ignore[untyped-decorator]
    def inner(x: object) -> object:
        written.assign_add(x)
        return read * x

    @tf.function(input_signature=[tf.TensorSpec([])])  # type: ignore[untyped-decorator]
    def outer(x: object) -> object:
        def branch() -> object:
            table.insert("a", tf.constant(1, tf.int64))
            return x

        return tf.while_loop(lambda y: y < 3.0, lambda y: (tf.cond(y > 0.0, lambda: inner(y) + 1.0, branch),), (x,))[0]

    concrete = outer.get_concrete_function()
    uses = ResourceUses(concrete.graph.as_graph_def())
    placeholders = {id(value): tensor.op.name for value, tensor in concrete.graph.captures}
    found = {
        id(handle): {use.node.op for use in uses.of(placeholders[id(handle)])}
        for handle in (read.handle, written.handle, table.resource_handle)
    }
    assert found[id(read.handle)] == {"ReadVariableOp"}
    assert found[id(written.handle)] == {"AssignAddVariableOp"}
    assert found[id(table.resource_handle)] == {"LookupTableInsertV2"}


def test_a_resource_that_a_function_returns_is_followed() -> None:
    tf = runtime.tensorflow()
    variable = tf.Variable(1.0)
    handed_on = tf.function(tf.identity, autograph=False)
    read = tf.function(
        lambda: tf.raw_ops.ReadVariableOp(resource=handed_on(variable.handle), dtype=tf.float32), autograph=False
    )
    concrete = read.get_concrete_function()
    uses = ResourceUses(concrete.graph.as_graph_def()).of(concrete.inputs[0].op.name)
    assert [(use.function, use.node.op) for use in uses] == [("", "ReadVariableOp")]

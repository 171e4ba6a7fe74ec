from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfmagic.files import protos
from tfmagic.graphs.function_library import all_nodes
from tfmagic.transforms import error_functions

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_graph_and_the_body_of_its_loop_give_the_same_numbers(tf: Any, dtype: str) -> None:
    def body(step: Any, x: Any) -> Any:
        return step + 1, tf.math.erfc(x) * tf.math.erfc(-x) - x

    def call(x: Any) -> Any:
        with tf.name_scope("erfc/one"):
            one = tf.identity(x)
        y = tf.math.erfc(one, name="erfc")
        return y, tf.while_loop(lambda step, _: step < 3, body, [0, y])[1]

    values = tf.cast(np.linspace(-3, 3, 13), dtype)
    concrete = tf.function(call).get_concrete_function(tf.TensorSpec([None], dtype))
    # A process takes one function of a name only.
    message = concrete.graph.as_graph_def().SerializeToString().replace(b"while_body_", b"while_ours_")
    graph_def = protos.message("GraphDef").FromString(message)
    assert "Erfc" in {node.op for node in all_nodes(graph_def)}
    error_functions.without_complements(graph_def)
    assert "Erfc" not in {node.op for node in all_nodes(graph_def)}
    assert {node.name for node in graph_def.node} >= {"erfc", "erfc/one_1", "erfc/erf"}
    (feed,), fetches = concrete.inputs, [each.name for each in concrete.outputs]
    wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(protos.native(graph_def), name=""), []).prune(
        feed.name, fetches
    )
    digits = {"float16": 1e-3, "bfloat16": 1e-2}.get(dtype, 1e-6)
    for ours, theirs in zip(wrapped(values), concrete(values), strict=True):
        np.testing.assert_allclose(ours.numpy().astype(float), theirs.numpy().astype(float), rtol=0, atol=8 * digits)

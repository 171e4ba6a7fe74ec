"""Shapes are those that TensorFlow infers, op by op, and values those that it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tfmagic.files import protos
from tfmagic.graphs import numbered_nodes
from tfmagic.graphs.costs import graph_costs, tensor_facts
from tfmagic.graphs.serialized import SerializedGraph

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.tensorflow


def _images(tf: Any, x: Any) -> Any:
    kernel, spread = tf.ones([3, 2, 6, 4]), tf.ones([3, 3, 6, 2])
    nn, v1 = tf.nn, tf.compat.v1
    yield nn.conv2d(x, kernel, [1, 2, 3, 1], "SAME", dilations=None)
    yield nn.conv2d(x, kernel, 1, "VALID", dilations=2)
    yield nn.conv2d(x, kernel, 1, [[0, 0], [1, 2], [3, 0], [0, 0]])
    yield nn.conv2d(x, tf.ones([3, 3, 3, 4]), 1, "SAME")
    yield nn.depthwise_conv2d(x, spread, [1, 2, 2, 1], "SAME")
    yield nn.conv2d_transpose(x, tf.ones([3, 3, 5, 6]), [2, 16, 20, 5], 2)
    yield nn.max_pool2d(x, 3, 2, "VALID")
    yield nn.avg_pool2d(x, [2, 3], [2, 1], "SAME")
    yield from nn.max_pool_with_argmax(x, 2, 2, "SAME")
    yield from v1.nn.fused_batch_norm(x, tf.ones([6]), tf.ones([6]), tf.ones([6]), tf.ones([6]), is_training=False)
    yield tf.image.resize(x, [4, 7])
    yield tf.image.resize(x, [4, 7], "nearest")
    yield nn.space_to_depth(x, 2)
    yield nn.depth_to_space(tf.tile(x, [1, 1, 1, 2]), 2)
    yield tf.space_to_batch(x, [2, 2], [[0, 0], [1, 1]])
    yield tf.batch_to_space(tf.concat([x, x], 0), [2, 1], [[1, 0], [0, 0]])
    yield tf.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]], "REFLECT")
    yield nn.conv3d(tf.ones([2, 4, 5, 6, 2]), tf.ones([2, 3, 2, 2, 7]), [1, 1, 2, 1, 1], "SAME")
    yield nn.lrn(x)


def _pieces(tf: Any, x: Any) -> Any:
    shape = tf.shape(x)
    yield tf.reshape(x, [shape[0], -1])
    yield tf.reshape(x, tf.stack([shape[0] * shape[1], 60]))
    yield tf.transpose(x, [0, 3, 1, 2])
    yield from tf.split(x, 2, axis=1)
    yield from tf.split(x, [4, -1, 2], axis=2)
    yield from tf.unstack(x, axis=3)
    yield tf.stack([x, x], axis=-1)
    yield tf.concat([x, x, x], axis=-1)
    yield x[:, 1:, ::2, -1]
    yield x[..., tf.newaxis, 2:4]
    yield x[0, ..., ::-1]
    yield tf.slice(x, [0, 1, 2, 3], [2, -1, 3, 2])
    yield tf.gather(x, [[0, 1], [2, 3]], axis=2)
    yield tf.gather(x, [[0, 1, 1], [2, 3, 1]], axis=2, batch_dims=1)
    yield tf.gather_nd(x, [[0, 1], [1, 2]])
    yield tf.expand_dims(x, -2)
    yield tf.squeeze(tf.expand_dims(x, 1), [1])
    yield tf.squeeze(tf.ones([1, 3, 1]))
    yield tf.tile(x, [1, 2, 3, 1])
    yield tf.fill([shape[1], 3], 1.0)
    yield tf.range(0, shape[2] * 2, 3)
    yield tf.one_hot(tf.argmax(x, axis=2), 5, axis=1)
    yield from tf.math.top_k(x, 3)
    yield tf.broadcast_to(x, tf.concat([[4], shape], 0))
    yield tf.zeros_like(x)


def _numbers(tf: Any, x: Any) -> Any:
    yield x + tf.ones([8, 1, 6])
    yield tf.where(x > 0, x, tf.zeros([6]))
    yield tf.math.squared_difference(x, 1.0)
    yield tf.reduce_mean(x, [1, 2])
    yield tf.reduce_max(x, -1, keepdims=True)
    yield tf.reduce_sum(x)
    yield tf.argmax(x, axis=-1)
    yield tf.matmul(x, x, transpose_b=True)
    yield tf.matmul(tf.ones([4, 3]), tf.ones([4, 5]), transpose_a=True)
    yield tf.matmul(x, tf.ones([6, 3]))
    yield tf.einsum("bhwc,bhvc->bhwv", x, x)
    yield tf.einsum("...c,cd->...d", x, tf.ones([6, 9]))
    yield tf.cumsum(x, axis=1)
    yield tf.nn.softmax(x)
    yield tf.nn.bias_add(x, tf.ones([6]))
    yield tf.add_n([x, x])
    yield tf.cast(x, tf.int32)
    yield tf.identity(x)


@pytest.mark.parametrize("ops", [_images, _pieces, _numbers])
def test_shapes_are_what_tensorflow_infers(tf: Any, ops: Callable[[Any, Any], Any]) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2, 8, 10, 6], "x")
        results = list(ops(tf, x))
        graph_def = protos.adopt(graph.as_graph_def())
    numbered = numbered_nodes.of_graph(SerializedGraph.of(graph_def.SerializeToString()))
    walk = graph_costs._Walk(numbered)
    main = numbered.body(0)
    walk.run(graph_costs._Place(0, "", 0), [main.tensor(each.name) for each in results], {}, {})
    inferred = {
        cost.name: [
            walk.facts[tensor.fact].shape
            for tensor in walk.run(
                graph_costs._Place(0, "", 0), [main.tensor(cost.name) + place for place in range(2)], {}, {}
            )
        ]
        for cost in list(walk.costs)
    }
    wanted = {
        operation.name: [tuple(output.shape) if output.shape.rank is not None else None for output in operation.outputs]
        for operation in graph.get_operations()
        if operation.name in inferred
    }
    unlike = {
        (name, graph.get_operation_by_name(name).type): (inferred[name], shapes)
        for name, shapes in wanted.items()
        if any(mine != theirs for mine, theirs in zip(inferred[name], shapes, strict=False))
    }
    assert not unlike
    assert len(wanted) > len(results)


def test_shapes_that_do_not_go_together_are_refused() -> None:
    assert tensor_facts.elementwise_shape([(2, 1, 4), (3, None)]) == (2, 3, 4)
    with pytest.raises(ValueError, match="do not go together"):
        tensor_facts.elementwise_shape([(2,), (3,)])

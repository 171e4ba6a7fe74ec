"""Graphs of every kind, built by TensorFlow, for the tests that read them without it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A value of every dtype that a Const can hold and numpy has.
CONSTANTS: dict[str, np.ndarray] = {
    **{
        name: np.arange(6).reshape(2, 3).astype(name)
        for name in (
            "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
            "complex64", "complex128", "bool",
        )
    },
    "negative": np.array([-1, -(2**31)], np.int32),
    "splat": np.full((100, 100), 2.5, np.float32),
    "scalar": np.array(7, np.int64),
    "empty": np.zeros((0, 4), np.float32),
    "text": np.array([b"", b"\xff\0", b"x" * 300], object),
    "large": np.arange(5000, dtype=np.float64),
}  # fmt: skip


@contextmanager
def control_flow(version: int) -> Iterator[None]:
    """Have TensorFlow build loops and branches as version 1 (Switch, Merge) or 2 (While, If) does."""
    import tensorflow as tf  # noqa: PLC0415 - seconds that only the tests of graphs should take

    before = tf.compat.v1.control_flow_v2_enabled()
    switch = {1: tf.compat.v1.disable_control_flow_v2, 2: tf.compat.v1.enable_control_flow_v2}
    switch[version]()
    try:
        yield
    finally:
        switch[2 if before else 1]()


def constants() -> Any:
    """Build a graph of constants."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    with tf.Graph().as_default() as graph:
        for name, value in CONSTANTS.items():
            tf.constant(value, name=name)
        tf.constant([1.5, 2], tf.bfloat16, name="bfloat16")
        tf.constant([1.5, 2], tf.dtypes.experimental.float8_e5m2, name="float8")
    return graph


def branching(version: int) -> Any:
    """Build a graph with a loop that branches, a switch, variables, devices and control inputs."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    v1 = tf.compat.v1
    with control_flow(version), tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 3], "x")
        free = v1.placeholder(tf.int64, None, "free")
        variable = v1.get_variable("w", [3, 2], use_resource=True)
        reference = v1.get_variable("ref", [2], use_resource=False)
        with tf.device("/CPU:0"), tf.control_dependencies([free.op]):
            product = tf.identity(tf.matmul(x, variable) + reference, "product")

        def body(step: Any, value: Any) -> Any:
            return step + 1, v1.cond(step < 2, lambda: value * 2.0, lambda: value - 1.0)

        _, looped = v1.while_loop(lambda step, _: step < 4, body, [0, product], name="loop")
        chosen = tf.switch_case(tf.shape(looped)[0], [lambda: looped, lambda: -looped, lambda: looped * 0.0])
        parts, order = tf.unique(tf.cast(tf.reshape(chosen, [-1]), tf.int32))
        tf.identity_n([parts, order], "ends")
    return graph


def calling() -> Any:
    """Build a graph of functions that call functions, of TensorFlow 2."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    inner = tf.function(tf.nn.relu)
    kept = tf.function(lambda x: x + 1.0, experimental_attributes={"_noinline": True})

    def outer(x: Any, table: Any) -> Any:
        step = tf.constant(0)
        _, value = tf.while_loop(lambda i, _: i < 3, lambda i, y: [i + 1, kept(inner(y))], [step, x])
        branch = tf.switch_case(step, [lambda: inner(value), lambda: kept(value)])
        return {"a": tf.map_fn(inner, branch), "b": tf.strings.as_string(table)}

    specs = tf.TensorSpec([None, 4], name="x"), tf.TensorSpec([], tf.int64, "table")
    return tf.function(outer).get_concrete_function(*specs).graph


def training() -> Any:
    """Build a training graph of TensorFlow 1: an input queue's worth of ops, Adam, summaries, a Saver."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    v1 = tf.compat.v1
    with control_flow(1), tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 4], "images")
        labels = v1.placeholder(tf.int64, [None], "labels")
        rate = v1.placeholder_with_default(0.5, [], "rate")
        v1.placeholder(tf.float32, [], "forgotten")
        queue = tf.queue.FIFOQueue(10, [tf.float32], name="queue")
        queue.enqueue([tf.zeros([4])], name="fill")
        kernel = v1.get_variable("kernel", [4, 3], use_resource=False)
        bias = v1.get_variable("bias", [3], use_resource=True)
        logits = tf.matmul(v1.nn.dropout(x, rate=rate), kernel) + bias
        tf.nn.softmax(logits, name="probabilities")
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        loss = tf.reduce_mean(losses, name="loss")
        v1.summary.scalar("loss_summary", loss)
        v1.summary.histogram("kernel_summary", kernel)
        v1.summary.merge_all(name="merged")
        v1.train.AdamOptimizer(0.1).minimize(loss, v1.train.get_or_create_global_step(), name="train")
        v1.global_variables_initializer()
        v1.train.Saver()
    return graph


#: One of each kind.
KINDS: dict[str, Callable[[], Any]] = {
    "constants": constants,
    "control flow of version 1": lambda: branching(1),
    "control flow of version 2": lambda: branching(2),
    "functions": calling,
    "training": training,
}


def nodes_of(graph_def: Any) -> Iterator[tuple[str, Any]]:
    """Yield each node with its function, as a user would loop over them."""
    yield from (("", each) for each in graph_def.node)
    for function in graph_def.library.function:
        yield from ((function.signature.name, each) for each in function.node_def)

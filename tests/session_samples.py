"""Sessions of TensorFlow 1 in the situations that a conversion meets: what they hold, where a model in them lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tests.graph_samples import control_flow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

X = np.array([[1, 2], [3, 4]], np.float32)


class Situation(NamedTuple):
    """A session with a model.

    Attributes
    ----------
    session : tf.compat.v1.Session
        Its graph is finalised.
    inputs, outputs : mapping of str to str
        The ends, by the keys that they are to have.
    feeds : mapping of str to array
        A value for each input tensor.
    expected : mapping of str to array
        The outputs by key, before anything was converted.
    variables : mapping of str to bool
        The variables that the model needs, and whether they are trained.
    gone : tuple of str
        Nodes that the model does not need.
    """

    session: Any
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    feeds: Mapping[str, Any]
    expected: Mapping[str, Any]
    variables: Mapping[str, bool]
    gone: tuple[str, ...] = ()


SITUATIONS: dict[str, Callable[[Path], Situation]] = {}


def situation(build: Callable[[Any, Any, Path], dict[str, Any]]) -> Callable[[Path], Situation]:
    """Enter a builder, which gets TensorFlow 1, a session and an empty directory, and tells what a Situation has."""

    def made(directory: Path) -> Situation:
        import tensorflow as tf  # noqa: PLC0415 - seconds that only the tests of sessions should take

        with tf.Graph().as_default() as graph:
            session = tf.compat.v1.Session(graph=graph)
            told = build(tf, session, directory)
        graph.finalize()
        expected = session.run(told["outputs"], told["feeds"]) if "expected" not in told else told["expected"]
        return Situation(session, **{"variables": {}, **told, "expected": expected})

    SITUATIONS[build.__name__] = made
    return made


def _start(tf: Any, session: Any) -> None:
    v1 = tf.compat.v1
    session.run([v1.global_variables_initializer(), v1.local_variables_initializer(), v1.tables_initializer()])


def _trained(tf: Any, session: Any, *, resource: bool) -> dict[str, Any]:
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [None, 2], "x")
    kernel = v1.get_variable("encoder/kernel", [2, 3], use_resource=resource)
    bias = v1.get_variable("encoder/bias", [3], use_resource=resource, trainable=False)
    scores = tf.identity(tf.matmul(x, kernel) + bias, "scores")
    alone = v1.get_variable("never_initialised", [9], use_resource=resource)
    step = v1.train.get_or_create_global_step()
    v1.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(scores * scores), global_step=step, name="train")
    session.run(v1.variables_initializer([each for each in v1.global_variables() if each is not alone]))
    session.run("train", {x: X})
    return {
        "inputs": {"images": "x:0"},
        "outputs": {"result": "scores:0"},
        "feeds": {"x:0": X},
        "variables": {"encoder/kernel": True, "encoder/bias": False},
        "gone": ("train", "encoder/kernel/Adam", "never_initialised"),
    }


@situation
def trained_references(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    return _trained(tf, session, resource=False)


@situation
def trained_resources(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    return _trained(tf, session, resource=True)


def _partitioned(tf: Any, session: Any, *, resource: bool) -> dict[str, Any]:
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [None, 4], "x")
    with v1.variable_scope("p", partitioner=v1.fixed_size_partitioner(3), use_resource=resource):
        weights = v1.get_variable("w", [4, 2])
    tf.matmul(x, tf.convert_to_tensor(weights), name="y")
    _start(tf, session)
    return {
        "inputs": {"x": "x:0"},
        "outputs": {"y": "y:0"},
        "feeds": {"x:0": np.ones((1, 4), np.float32)},
        "variables": {f"p/w/part_{place}": True for place in range(3)},
    }


@situation
def partitioned_references(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    return _partitioned(tf, session, resource=False)


@situation
def partitioned_resources(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    return _partitioned(tf, session, resource=True)


@situation
def local_variable(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    """Its value is not that which it began with."""
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [None], "x")
    weight = v1.get_variable("w", initializer=np.float32(3), use_resource=True)
    local = v1.get_variable(
        "local", initializer=np.float32(1), collections=["local_variables"], trainable=False, use_resource=True
    )
    tf.add(x * weight, local, "y")
    _start(tf, session)
    session.run(v1.assign(local, 7.0))
    return {
        "inputs": {"x": "x:0"},
        "outputs": {"y": "y:0"},
        "feeds": {"x:0": [2.0]},
        "variables": {"w": True, "local": False},
    }


def _table(tf: Any, session: Any, initializer: Any) -> dict[str, Any]:
    v1 = tf.compat.v1
    words = v1.placeholder(tf.string, [None], "words")
    table = v1.lookup.StaticHashTable(initializer, -1, name="vocabulary")
    weights = v1.get_variable("w", initializer=np.array([10, 20, 30, 40], np.int64), use_resource=False)
    tf.gather(weights, table.lookup(words) + 1, name="y")
    _start(tf, session)
    return {
        "inputs": {"words": "words:0"},
        "outputs": {"y": "y:0"},
        "feeds": {"words:0": ["b", "zz"]},
        "variables": {"w": True},
    }


@situation
def table(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    keys, values = ["a", "b", "c"], tf.constant([0, 1, 2], tf.int64)
    return _table(tf, session, tf.lookup.KeyValueTensorInitializer(keys, values))


@situation
def table_of_a_file(tf: Any, session: Any, directory: Path) -> dict[str, Any]:
    (directory / "vocabulary.txt").write_text("a\nb\nc\n")
    places = tf.lookup.TextFileIndex
    initializer = tf.lookup.TextFileInitializer(
        str(directory / "vocabulary.txt"), tf.string, places.WHOLE_LINE, tf.int64, places.LINE_NUMBER
    )
    return _table(tf, session, initializer)


def _loop(tf: Any, session: Any, *, version: int, resource: bool) -> dict[str, Any]:
    v1 = tf.compat.v1
    with control_flow(version):
        x = v1.placeholder(tf.float32, [None, 2], "x")
        weights = v1.get_variable("w", initializer=np.array([[1, 0.5], [0, 1]], np.float32), use_resource=resource)
        looped = v1.while_loop(lambda i, _: i < 3, lambda i, z: (i + 1, tf.matmul(z, weights)), [0, x], name="loop")[1]
        chosen = v1.cond(tf.reduce_sum(x) > 0, lambda: looped + tf.reduce_sum(weights), lambda: looped)
        y = tf.identity(chosen, "y")
        v1.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(y), name="train")
    _start(tf, session)
    return {
        "inputs": {"x": "x:0"},
        "outputs": {"y": "y:0"},
        "feeds": {"x:0": X},
        "variables": {"w": True},
        "gone": ("train",),
    }


@situation
def loop_of_switches(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    return _loop(tf, session, version=1, resource=False)


@situation
def loop_of_functions(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    return _loop(tf, session, version=2, resource=True)


@situation
def functions(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [None, 2], "x")
    weights = v1.get_variable("w", initializer=np.array([3, 4], np.float32), use_resource=True)
    inner = tf.function(lambda a: a * weights)
    outer = tf.function(lambda a: inner(a) + 1.0)
    tf.identity(outer(x), "y")
    tf.function(lambda a: a - 1)(x)
    _start(tf, session)
    return {"inputs": {"x": "x:0"}, "outputs": {"y": "y:0"}, "feeds": {"x:0": X}, "variables": {"w": True}}


@situation
def behind_an_iterator(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    """It begins at one of the outputs of a node."""
    v1 = tf.compat.v1
    dataset = tf.data.Dataset.from_tensor_slices((X, [0, 1])).batch(2)
    images, labels = v1.data.make_initializable_iterator(dataset).get_next()
    weights = v1.get_variable("w", initializer=np.array([3, 4], np.float32), use_resource=False)
    y = tf.multiply(images, weights, "y")
    v1.losses.absolute_difference(labels, tf.cast(y[:, 0], tf.int32))
    _start(tf, session)
    return {
        "inputs": {"images": "IteratorGetNext:0"},
        "outputs": {"y": "y:0"},
        "feeds": {"IteratorGetNext:0": X},
        "variables": {"w": True},
        "gone": ("IteratorV2",),
    }


@situation
def behind_a_step(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    v1 = tf.compat.v1
    decoded = tf.io.decode_raw(v1.placeholder(tf.string, [], "raw"), tf.float32, name="decoded")
    weights = v1.get_variable("w", initializer=np.array([3, 4], np.float32), use_resource=False)
    tf.multiply(decoded, weights, "y")
    _start(tf, session)
    return {
        "inputs": {"numbers": "decoded:0"},
        "outputs": {"y": "y:0"},
        "feeds": {"decoded:0": [1.0, 2.0]},
        "variables": {"w": True},
        "gone": ("raw",),
    }


@situation
def default_value(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    v1 = tf.compat.v1
    kept = v1.placeholder_with_default(np.float32(0.5), [], "kept")
    weights = v1.get_variable("w", initializer=np.array([3, 4], np.float32), use_resource=False)
    tf.multiply(v1.placeholder(tf.float32, [None, 2], "x") * kept, weights, "y")
    _start(tf, session)
    return {"inputs": {"x": "x:0"}, "outputs": {"y": "y:0"}, "feeds": {"x:0": X}, "variables": {"w": True}}


@situation
def two_outputs(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    """Both are outputs of one node."""
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [2, 2], "x")
    weights = v1.get_variable("w", initializer=np.array([[4, 1], [1, 3]], np.float32), use_resource=False)
    tf.linalg.lu(tf.matmul(x, weights), name="Lu")
    _start(tf, session)
    return {
        "inputs": {"x": "x:0"},
        "outputs": {"lu": "Lu:0", "p": "Lu:1"},
        "feeds": {"x:0": X},
        "variables": {"w": True},
    }


@situation
def words_and_switches(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    """Variables that are no floats, scalars of text among them, which a session hands out as bytes."""
    v1 = tf.compat.v1
    x = v1.placeholder(tf.int64, [None], "x")
    offset = v1.get_variable("offset", initializer=np.int64(7), use_resource=False)
    switch = v1.get_variable("switch", initializer=tf.constant(1) > 0, use_resource=False, trainable=False)
    word = v1.get_variable("word", initializer=tf.constant(b"a\0"), use_resource=False, trainable=False)
    words = v1.get_variable("words", initializer=tf.constant(["b", "c"]), use_resource=True, trainable=False)
    joined = tf.strings.join([word, words, tf.strings.as_string(tf.where(switch, x + offset, x))])
    tf.strings.to_hash_bucket_fast(joined, 1 << 20, name="y")
    _start(tf, session)
    return {
        "inputs": {"x": "x:0"},
        "outputs": {"y": "y:0"},
        "feeds": {"x:0": [1, 2]},
        "variables": {"offset": True, "switch": False, "word": False, "words": False},
    }


@situation
def shapes_that_values_say(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
    """What is initialised without its shape being validated, and has another one by now."""
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [None, 2], "x")
    options: dict[str, Any] = {"validate_shape": False, "trainable": False}
    first = v1.get_variable("first", initializer=tf.constant([1.0, 2.0]), use_resource=True, **options)
    second = v1.get_variable("second", initializer=tf.constant([3.0]), use_resource=False, **options)
    tf.add(x * first, second, name="y")
    grown = v1.assign(second, [5.0, 6.0], validate_shape=False)
    _start(tf, session)
    session.run(grown)
    return {
        "inputs": {"x": "x:0"},
        "outputs": {"y": "y:0"},
        "feeds": {"x:0": X},
        "variables": {"first": False, "second": False},
    }

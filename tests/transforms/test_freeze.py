from __future__ import annotations

import gc
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors, functions
from tfmagic.files import protos
from tfmagic.graphs import function_library
from tfmagic.graphs.signatures import Endpoint
from tfmagic.runtime import grappler
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import frozen_graph, variable_reads
from tfmagic.transforms.cut_function import select
from tfmagic.transforms.freeze import freeze
from tfmagic.verbs.verification import trial_run
from tfmagic.writers.graph_def import wrapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.transforms.frozen_graph import FrozenGraph

pytestmark = pytest.mark.tensorflow


@cache
def tensorflow() -> Any:
    return runtime.tensorflow()


def traced(function: Callable[..., Any], *specs: Any, owner: object = None) -> NamedFunction:
    """Trace a function on specs; its ends go by the specs' names and the keys of its results."""
    concrete = tensorflow().function(function, autograph=False).get_concrete_function(*specs)
    return functions.of_concrete(concrete, "serving_default", owner=owner)


def spec(*shape: int | None, dtype: str = "float32", name: str = "x") -> Any:
    return tensorflow().TensorSpec(shape, dtype, name=name)


def variable(values: object, dtype: str = "float32") -> Any:
    return tensorflow().Variable(np.asarray(values), dtype=dtype)


def nodes(graph: FrozenGraph) -> dict[str, Any]:
    return {node.name: node for node in graph.graph_def.node}


def ops(graph: FrozenGraph) -> set[str]:
    return {node.op for node in function_library.all_nodes(graph.graph_def)}


def check(source: NamedFunction, **inputs: Any) -> FrozenGraph:
    """Freeze, serialise, read back, and hold the numbers against the source's."""
    result = freeze(source)
    data = b"".join(bytes(chunk) for chunk in result.chunks())
    assert len(data) == result.size
    graph_def = protos.parse("GraphDef", data)
    assert graph_def == result.filled()
    assert not ops(result) & {"ReadVariableOp", "VarHandleOp", "ResourceGather", "ResourceGatherNd"}
    found = trial_run.verify(source, wrapped(result, graph_def, source.key), inputs or None)
    assert not found.unchecked
    assert not found.differs, found.frame
    return result


WEIGHT = np.linspace(-1, 1, 12).reshape(4, 3)


def test_the_ends_have_the_users_names() -> None:
    weight = variable(WEIGHT)
    result = check(traced(lambda x: {"score": x @ weight, "double": x * 2}, spec(None, 4)))
    assert [end.key for end in result.outputs] == ["score", "double"]
    names = [node.name for node in result.graph_def.node]
    assert names[0] == "x"
    assert names[-2:] == ["score", "double"]
    assert nodes(result)["x"].op == "Placeholder"


def test_the_batch_stays_open() -> None:
    result = freeze(traced(lambda x: {"y": x * 2}, spec(None, 4)))
    assert protos.shape_of(nodes(result)["x"].attr["shape"].shape) == (None, 4)


def test_a_node_with_a_users_name_steps_back() -> None:
    tf = tensorflow()
    source = traced(lambda x: {"y": tf.identity(tf.square(tf.add(x, 1.0, name="y"), name="z"), name="w")}, spec(2))
    result = check(source)
    assert nodes(result)["y"].op == "Identity"
    assert nodes(result)["y_1"].op == "AddV2"


def test_a_key_that_is_no_node_name_is_made_one() -> None:
    source = select(traced(lambda x: {"y": x * 2}, spec(2)), {"my input": "x"}, {"a:b": "y", "a/b": "y", "_": "y"})
    result = check(source)
    assert [(end.key, end.tensor) for end in (*result.inputs, *result.outputs)] == [
        ("my input", "my_input:0"),
        ("a:b", "a_b:0"),
        ("a/b", "a/b:0"),
        ("_", "tensor:0"),
    ]


def test_an_input_and_an_output_of_one_name() -> None:
    result = check(traced(lambda x: {"x": x * 2}, spec(2)))
    assert (result.inputs[0].tensor, result.outputs[0].tensor) == ("x:0", "x_1:0")


def test_an_output_that_is_an_input_and_one_that_is_there_twice() -> None:
    def function(x: Any) -> dict[str, Any]:
        doubled = x * 2
        return {"same": x, "one": doubled, "two": doubled}

    result = check(traced(function, spec(2)))
    assert {name: nodes(result)[name].op for name in ("same", "one", "two")} == dict.fromkeys(
        ("same", "one", "two"), "Identity"
    )


def test_an_input_that_nothing_needs_stays() -> None:
    tf = tensorflow()
    result = freeze(traced(lambda x, _: {"y": x + 1}, spec(2), spec(3, name="unused")))
    assert [node.name for node in result.graph_def.node][:2] == ["x", "unused"]
    assert tf.dtypes.as_dtype(nodes(result)["unused"].attr["dtype"].type) == tf.float32


def test_calls_are_inlined_under_their_names() -> None:
    tf = tensorflow()
    weight = variable(WEIGHT)
    inner = tf.function(lambda x: tf.matmul(x, weight, name="product"))
    result = check(traced(lambda x: {"y": inner(inner(x)[:, :1] * tf.ones([1, 4]))}, spec(None, 4)))
    assert not ops(result) & {"PartitionedCall", "StatefulPartitionedCall"}
    assert not result.graph_def.library.function
    assert any(name.endswith("product") for name in nodes(result))


def test_without_the_optimizer_calls_stay_and_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = tensorflow()
    monkeypatch.setattr(grappler, "inline_calls", lambda graph_def, _keep: graph_def)
    weight = variable(WEIGHT)
    inner = tf.function(lambda x: tf.matmul(x, weight))
    outer = tf.function(lambda x: inner(x) + inner(x * 2))
    result = check(traced(lambda x: {"y": outer(x)}, spec(None, 4)))
    assert "StatefulPartitionedCall" in ops(result) | {"PartitionedCall"}
    assert result.graph_def.library.function


def test_the_private_path_to_the_optimizer_is_there() -> None:
    tf = tensorflow()
    inner = tf.function(lambda x: x + 1)
    graph_def = traced(lambda x: {"y": inner(x)}, spec(2)).concrete.graph.as_graph_def()
    assert {node.op for node in graph_def.node} & {"PartitionedCall", "StatefulPartitionedCall"}
    inlined = grappler.inline_calls(graph_def, ["x", "Identity"])
    assert not {node.op for node in inlined.node} & {"PartitionedCall", "StatefulPartitionedCall"}


def test_a_claimed_size_is_not_made_by_the_optimizer() -> None:
    result = freeze(traced(lambda x: {"y": x * 2}, spec(1 << 20, 1 << 20)))
    assert protos.shape_of(nodes(result)["x"].attr["shape"].shape) == (1 << 20, 1 << 20)


def test_a_placeholder_without_a_dtype_does_not_end_the_process() -> None:
    graph_def = traced(lambda x: {"y": x * 2}, spec(2)).concrete.graph.as_graph_def()
    graph_def.node[0].attr["dtype"].type = 0
    assert grappler.inline_calls(graph_def, ["x"]) is graph_def


def test_devices_are_cleared() -> None:
    tf = tensorflow()

    def function(x: Any) -> dict[str, Any]:
        with tf.device("/device:GPU:0"):
            return {"y": x * 2}

    assert {node.device for node in freeze(traced(function, spec(2))).graph_def.node} == {""}


# Control flow


def test_a_loop_over_a_variable() -> None:
    tf = tensorflow()
    weight = variable(np.eye(3) * 0.5)

    def function(x: Any) -> dict[str, Any]:
        steps = tf.while_loop(lambda i, _: i < tf.shape(x)[0] + 2, lambda i, y: (i + 1, y @ weight), (0, x))
        return {"y": steps[1]}

    assert "StatelessWhile" in ops(check(traced(function, spec(None, 3)))) | {"StatelessWhile"}


def test_a_branch_over_variables() -> None:
    tf = tensorflow()
    one, other = variable(WEIGHT), variable(WEIGHT * 3)

    def function(x: Any) -> dict[str, Any]:
        return {"y": tf.cond(tf.reduce_sum(x) > 3, lambda: x @ one, lambda: x @ other)}

    source = traced(function, spec(None, 4))
    check(source, x=np.ones((2, 4)))
    check(source, x=np.zeros((2, 4)) - 1)


def test_a_switch_over_variables_and_a_gather() -> None:
    tf = tensorflow()
    tables = [variable(WEIGHT * factor) for factor in (1, 2, 3)]

    def function(i: Any, x: Any) -> dict[str, Any]:
        return {"y": tf.switch_case(i, [lambda t=table: tf.gather(t, x) for table in tables])}

    source = traced(function, spec(dtype="int32", name="i"), spec(None, dtype="int64"))
    for branch in (0, 1, 2, 7):
        check(source, i=branch, x=[0, 3, 1])


def test_loops_within_branches_within_functions() -> None:
    tf = tensorflow()
    weight, bias = variable(np.eye(3) * 0.9), variable([1, 2, 3])

    def repeated(x: Any) -> Any:
        return tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.nn.relu(y @ weight) + bias), (0, x))[1]

    layer = tf.function(repeated)

    def function(x: Any) -> dict[str, Any]:
        return {"y": tf.cond(tf.size(x) > 3, lambda: layer(layer(x)), lambda: x + bias)}

    source = traced(function, spec(None, 3))
    check(source, x=np.ones((1, 3)))
    check(source, x=np.ones((2, 3)))


def test_a_map_and_a_fold() -> None:
    tf = tensorflow()
    weight = variable(WEIGHT[0])

    def function(x: Any) -> dict[str, Any]:
        mapped = tf.map_fn(lambda row: row * weight, x)
        return {"mapped": mapped, "folded": tf.foldl(lambda a, row: a * 0.5 + row, mapped)}

    check(traced(function, spec(None, 3)))


def test_a_function_that_may_not_be_inlined() -> None:
    tf = tensorflow()
    weight = variable(WEIGHT)
    inner = tf.function(
        lambda x: tf.gather(weight, tf.cast(x[:, 0], tf.int32)) @ tf.transpose(weight), jit_compile=False
    )
    hidden = tf.function(lambda x: inner(x) + 1.0, experimental_attributes={"_noinline": True})
    result = check(traced(lambda x: {"y": hidden(x)}, spec(None, 4)))
    assert result.graph_def.library.function


def test_lowered_control_flow_of_tensorflow_1() -> None:
    tf = tensorflow()
    weight = variable(np.eye(3) * 0.5)
    compat = tf.compat.v1

    def function(x: Any) -> dict[str, Any]:
        was = compat.control_flow_v2_enabled()
        compat.disable_control_flow_v2()
        try:
            with compat.get_default_graph().as_default():
                loop = compat.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y @ weight), (0, x))
                chosen = compat.cond(compat.reduce_sum(x) > 0, lambda: loop[1] @ weight, lambda: loop[1])
        finally:
            if was:
                compat.enable_control_flow_v2()
        return {"y": chosen}

    concrete = compat.wrap_function(function, [spec(None, 3)])
    source = functions.of_concrete(concrete, "serving_default")
    check(source, **{source.inputs[0].key: np.ones((2, 3))})
    check(source, **{source.inputs[0].key: -np.ones((2, 3))})


# What reads variables


def test_the_ways_to_read_a_variable() -> None:
    tf = tensorflow()
    table = variable(np.arange(24).reshape(4, 3, 2))

    def function(x: Any) -> dict[str, Any]:
        return {
            "gather": tf.gather(table, x),
            "batched": tf.gather(table, tf.stack([x, x, x, x]), batch_dims=1),
            "nd": tf.gather_nd(table, tf.stack([x, x], axis=1)),
            "raw_nd": tf.raw_ops.ResourceGatherNd(
                resource=table.handle, indices=tf.stack([x, x], axis=1), dtype=tf.float32
            ),
            "lookup": tf.nn.embedding_lookup(table, x),
            "shape": tf.raw_ops.VariableShape(input=table.handle, out_type=tf.int64),
            "slice": table[1],
            "whole": table + 1.0,
        }

    result = check(traced(function, spec(None, dtype="int32")), x=[0, 1])
    assert sum(value.size for value in result.values.values()) == 24 * 4


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64", "int8", "uint16", "int64", "bool", "complex64"])
def test_constants_of_all_dtypes(dtype: str) -> None:
    tf = tensorflow()
    values = tf.cast(tf.constant([[1, 0, 3], [5, 0, 7]]), dtype)
    weight, outside = tf.Variable(values), tf.reverse(values, [0])
    result = check(traced(lambda x: {"y": tf.where(x, weight, outside)}, spec(2, 3, dtype="bool")))
    assert {value.dtype for value in result.values.values()} == {dtype}


@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fn"])
def test_small_floats(name: str) -> None:
    """TensorFlow's optimizer does not know the first: calls stay where it gives up."""
    tf = tensorflow()
    dtype = getattr(tf.dtypes.experimental, name)
    weight = tf.Variable(tf.cast(tf.constant([1.0, 1.5, -2.0]), dtype))
    inner = tf.function(lambda x: tf.cast(weight.read_value(), tf.float32) * x)
    result = check(traced(lambda x: {"y": inner(x)}, spec(3)))
    assert wrapped(result, result.filled(), "k")({"x": [1.0, 2.0, 3.0]})["y"].tolist() == [1.0, 3.0, -6.0]


@pytest.mark.parametrize("shape", [[None], None])
def test_a_variable_whose_shape_only_its_value_says(shape: Any, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.rows = tf.Variable([1.0], shape=tf.TensorShape(shape))
    module.rows.assign([1.0, 2.0, 3.0])
    module.f = tf.function(
        lambda x: {"y": x + tf.reduce_sum(module.rows)}, input_signature=[tf.TensorSpec([], name="x")]
    )
    tfmagic.export(module.f, tmp_path / "m")
    for source in (module.f, tmp_path / "m"):
        assert tfmagic.run(tfmagic.freeze(source), {"x": 1.0}).outputs["y"] == 7.0


def test_strings_and_empty_tensors() -> None:
    tf = tensorflow()
    words, outside = variable(["a", "ü"], "string"), tf.constant(["c", ""])
    empty = variable(np.zeros((0, 3)))
    result = check(
        traced(lambda x: {"y": tf.strings.join([x, words, outside]), "n": tf.shape(empty)}, spec(2, dtype="string"))
    )
    assert set(result.values) == {name for name, value in result.values.items() if value.dtype == "float32"}


def test_a_variable_behind_several_captures_is_there_once() -> None:
    tf = tensorflow()
    weight = variable(WEIGHT)
    inner = tf.function(lambda x: x @ weight)
    result = check(traced(lambda x: {"y": inner(x) + x @ weight}, spec(None, 4)))
    assert len(result.values) == 1


def test_the_weights_are_not_copied() -> None:
    weight = variable(np.zeros((512, 512)))
    result = freeze(traced(lambda x: {"y": x @ weight}, spec(None, 512)))
    assert len(result.graph_def.SerializeToString()) < 10_000 < result.size
    (content,) = (value.read() for value in result.values.values())
    assert np.shares_memory(np.frombuffer(content, np.uint8), np.asarray(memoryview(weight.read_value())))


def test_too_large_is_said_before_anything_is_read() -> None:
    def unread() -> bytes:
        raise AssertionError

    value = frozen_graph.Value("float32", (1 << 29, 1), unread)
    graph_def = protos.message("GraphDef")()
    constants_node = graph_def.node.add(name="weight")
    frozen_graph.constant(constants_node, value)
    result = frozen_graph.FrozenGraph(graph_def, {"weight": value}, (), (), "k", "m")
    with pytest.raises(errors.TooLargeError, match=r"2\.00 GiB.*SavedModel"):
        result.require_small_enough()


# Keras


def keras_models() -> dict[str, Callable[[], Any]]:
    keras = keras_runtime.keras()
    layers = keras.layers

    def sequential(*parts: Any) -> Any:
        return keras.Sequential(parts)

    def shared() -> Any:
        one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
        dense = layers.Dense(3, name="dense")
        return keras.Model({"one": one, "two": two}, {"sum": dense(one) + dense(two), "first": dense(one)})

    def subclassed() -> Any:
        class Net(keras.Model):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.dense, self.norm, self.drop = layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.5)

            def call(self, x: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002 - Keras's own
                return self.drop(self.norm(self.dense(x), training=training), training=training)

        model = Net()
        model(np.zeros((2, 4), np.float32))
        return model

    def attention() -> Any:
        x = keras.Input((5, 6))
        return keras.Model(x, layers.MultiHeadAttention(2, 3)(x, x))

    return {
        "conv": lambda: sequential(
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.MaxPool2D(),
            layers.Flatten(),
        ),
        "bilstm": lambda: sequential(keras.Input((5, 3)), layers.Bidirectional(layers.LSTM(4)), layers.Dense(2)),
        "gru_open_time": lambda: sequential(keras.Input((None, 3)), layers.GRU(4, return_sequences=True)),
        "embedding": lambda: sequential(keras.Input((6,), dtype="int32"), layers.Embedding(11, 4), layers.Flatten()),
        "attention": attention,
        "shared": shared,
        "subclassed": subclassed,
    }


@pytest.mark.parametrize("name", ["conv", "bilstm", "gru_open_time", "embedding", "attention", "shared", "subclassed"])
def test_keras_models(name: str) -> None:
    model = keras_models()[name]()
    source = functions.trace_keras_model(model)
    result = check(source)
    assert [end.key for end in result.inputs] == [end.key for end in source.inputs]
    assert [end.key for end in result.outputs] == [end.key for end in source.outputs]
    assert "Placeholder" in ops(result)
    assert not result.notes


def test_text_vectorization_fills_its_own_table() -> None:
    keras = keras_runtime.keras()
    vectorize = keras.layers.TextVectorization(output_sequence_length=4)
    vectorize.adapt(["the cat sat", "the dog"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), vectorize, keras.layers.Embedding(20, 3)])
    source = functions.trace_keras_model(model)
    result = check(source, **{source.inputs[0].key: [["the dog"], ["cat unknown"]]})
    assert "InitializeTableV2" in ops(result)


# Tables


def lookup(table: Any) -> NamedFunction:
    tf = tensorflow()
    owner = tf.Module()
    owner.table = table
    return traced(lambda x: {"y": table.lookup(x), "size": table.size()}, spec(None, dtype="string"), owner=owner)


def static_table(keys: list[str], values: list[int]) -> Any:
    tf = tensorflow()
    given = tf.lookup.KeyValueTensorInitializer(
        tf.constant(keys, tf.string), tf.constant(values, tf.int64), tf.string, tf.int64
    )
    return tf.lookup.StaticHashTable(given, -1)


def test_a_static_table() -> None:
    check(lookup(static_table(["a", "b"], [4, 5])), x=["b", "a", "zz"])


def test_an_empty_table_is_refused() -> None:
    tf = tensorflow()
    with pytest.raises(errors.UnsupportedConversionError, match="is empty"):
        freeze(lookup(tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)))


def test_a_frozen_table_is_frozen_again() -> None:
    first = freeze(lookup(static_table(["a", "b"], [4, 5])))
    check(wrapped(first, first.filled(), "serving_default"), x=["b", "zz"])


def test_a_table_from_a_file(tmp_path: Path) -> None:
    tf = tensorflow()
    (tmp_path / "vocabulary.txt").write_text("one\ntwo\n")
    given = tf.lookup.TextFileInitializer(
        str(tmp_path / "vocabulary.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
        tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip
    result = freeze(lookup(tf.lookup.StaticHashTable(given, -1)))
    (tmp_path / "vocabulary.txt").unlink()
    found = wrapped(result, result.filled(), "k")({"x": ["two", "three"]})
    assert found["y"].tolist() == [1, -1]


def test_a_growing_table_keeps_what_it_holds() -> None:
    tf = tensorflow()
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, default_value=[0.0, 0.0])
    table.insert(tf.constant(["a", "b"]), tf.constant([[1.0, 2.0], [3.0, 4.0]]))
    check(lookup(table), x=["b", "c", "a"])
    plain = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, default_value=-1)
    plain.insert(tf.constant(["a"]), tf.constant([7], tf.int64))
    check(lookup(plain), x=["b", "a"])


def test_tables_of_other_dtypes_in_one_graph() -> None:
    """TensorFlow ends the process when it is asked for a table's content by the dtypes of another."""
    tf = tensorflow()
    growing = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, default_value=[0.0, 0.0])
    growing.insert(tf.constant(["a", "b"]), tf.constant([[1.0, 2.0], [3.0, 4.0]]))
    number = static_table(["a", "b"], [4, 5])
    word = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([4, 5], tf.int64), tf.constant(["four", "five"])), "none"
    )
    share = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([4, 5], tf.int64), tf.constant([0.25, 0.5], tf.float64)), -1.0
    )

    def function(x: Any) -> dict[str, Any]:
        index = number.lookup(x)
        return {"word": word.lookup(index), "share": share.lookup(index), "vector": growing.lookup(x)}

    result = check(traced(function, spec(None, dtype="string"), owner=(growing, number, word, share)), x=["b", "q"])
    found = wrapped(result, result.filled(), "k")({"x": ["b", "q"]})
    assert found["word"].tolist() == [b"five", b"none"]
    assert found["share"].tolist() == [0.5, -1.0]
    assert found["vector"].tolist() == [[3.0, 4.0], [0.0, 0.0]]


def test_a_table_within_a_loop() -> None:
    tf = tensorflow()
    table = static_table(["a", "b"], [4, 5])

    def function(x: Any) -> dict[str, Any]:
        return {"y": tf.map_fn(table.lookup, x, fn_output_signature=tf.int64)}

    check(traced(function, spec(None, dtype="string"), owner=table), x=["b", "q"])


def test_two_frozen_tables_of_one_process_do_not_mix() -> None:
    graphs = [freeze(lookup(static_table(["a"], [number]))) for number in (1, 2)]
    loaded = [wrapped(graph, graph.filled(), "k") for graph in graphs]
    assert [int(each({"x": ["a"]})["y"][0]) for each in loaded] == [1, 2]


def test_a_fresh_session_needs_no_initialiser() -> None:
    tf = tensorflow()
    result = freeze(lookup(static_table(["a", "b"], [4, 5])))
    for _ in range(2):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.graph_util.import_graph_def(protos.native(result.filled()), name="")
            for _ in range(2):
                found = session.run(result.outputs[0].tensor, {result.inputs[0].tensor: ["b", "zz"]})
                assert found.tolist() == [5, -1]


# Refusals and warnings


def test_a_variable_that_the_result_depends_on_writing_is_refused() -> None:
    count = variable(0.0)
    with pytest.raises(
        errors.UnsupportedConversionError, match=r"AssignAddVariableOp.*writes to a variable.*SavedModel"
    ):
        freeze(traced(lambda x: {"y": x + count.assign_add(1.0)}, spec(2)))


def test_a_write_in_a_loop_is_refused_and_names_the_function() -> None:
    tf = tensorflow()
    count = variable(0.0)

    def body(i: Any, y: Any) -> tuple[Any, Any]:
        count.assign_add(1.0)
        return i + 1, y + count

    with pytest.raises(errors.UnsupportedConversionError, match="in function"):
        freeze(traced(lambda x: {"y": tf.while_loop(lambda i, _: i < 3, body, (0, x))[1]}, spec(2)))


def test_a_write_beside_the_result_is_said() -> None:
    count, weight = variable(0.0), variable(2.0)

    def function(x: Any) -> dict[str, Any]:
        result = x * weight
        count.assign_add(1.0)
        return {"y": result}

    source = traced(function, spec(2))
    result = check(source)
    assert "updates variables" in result.notes[0]
    assert float(count.numpy()) == 0.0  # verification put it back


def test_a_check_that_is_left_out_is_said() -> None:
    """TensorFlow lets a result wait for its assertions; the node that waits gives way to the user's name."""
    tf = tensorflow()

    def function(x: Any) -> dict[str, Any]:
        tf.debugging.assert_positive(x, message="too small")
        return {"y": x * 2}

    result = freeze(traced(function, spec(None)))
    assert "Assert" not in ops(result)
    (note,) = result.notes
    assert "checks of values" in note

    def before(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_positive(x, message="too small")]):
            return {"y": tf.identity(x) * 2}

    kept = freeze(traced(before, spec(None)))
    assert "Assert" in ops(kept)
    assert not kept.notes
    with pytest.raises(tf.errors.InvalidArgumentError, match="too small"):
        wrapped(kept, kept.filled(), "k")({"x": [-1.0]})


def test_python_is_refused() -> None:
    tf = tensorflow()
    source = traced(lambda x: {"y": tf.numpy_function(np.square, [x], tf.float32)}, spec(2))
    with pytest.raises(errors.UnsupportedConversionError, match="call back into Python"):
        freeze(source)


def test_a_resource_of_another_kind_is_refused() -> None:
    tf = tensorflow()
    iterator = iter(tf.data.Dataset.range(3))
    source = traced(lambda x: {"y": x + tf.cast(next(iterator), tf.float32)}, spec(2), owner=iterator)
    with pytest.raises(errors.UnsupportedConversionError, match=r"neither a variable nor a lookup table|as one"):
        freeze(source)


def test_training_mode_is_said() -> None:
    tf = tensorflow()
    one = tf.ones([3])

    def function(x: Any) -> dict[str, Any]:
        normed = tf.compat.v1.nn.fused_batch_norm(x, one, one, is_training=True)[0]
        return {"y": tf.nn.dropout(normed, 0.5)}

    notes = " ".join(freeze(traced(function, spec(None, 2, 2, 3))).notes)
    assert "random numbers" in notes
    assert "is_training=true" in notes


# Other ends


def test_inner_tensors_as_ends() -> None:
    tf = tensorflow()
    weight = variable(WEIGHT)

    def function(x: Any) -> dict[str, Any]:
        return {"y": tf.nn.relu(tf.matmul(x, weight, name="product"), name="activated") + 1.0}

    source = traced(function, spec(None, 4))
    result = check(select(source, outputs=["product", "activated:0"]))
    assert [end.key for end in result.outputs] == ["product", "activated"]
    tail = check(select(source, inputs={"logits": "product"}))
    assert [end.key for end in tail.inputs] == ["logits"]
    assert not tail.values


def test_a_wrong_name_gets_the_nearest() -> None:
    source = traced(lambda x: {"scores": x * 2}, spec(2))
    with pytest.raises(errors.UnknownNameError, match="did you mean 'scores'"):
        select(source, outputs=["score"])


def test_inputs_that_do_not_suffice_are_refused() -> None:
    source = traced(lambda x, z: {"y": x + z}, spec(2), spec(2, name="z"))
    with pytest.raises(errors.ConversionError, match="also need 'z'"):
        select(source, inputs=["x"])


def test_one_tensor_as_two_inputs_is_refused() -> None:
    source = traced(lambda x: {"y": x + 1}, spec(2))
    twice = (Endpoint("a", "x:0", "float32", (2,)), Endpoint("b", "x:0", "float32", (2,)))
    with pytest.raises(errors.ConversionError, match="one tensor"):
        freeze(replace(source, inputs=twice))


def test_a_function_is_copied_once_for_equal_values() -> None:
    tf = tensorflow()
    weight = variable(WEIGHT)
    inner = tf.function(lambda x: x @ weight, experimental_attributes={"_noinline": True})
    result = check(traced(lambda x: {"y": inner(x) + inner(x + 1)}, spec(None, 4)))
    assert len(result.graph_def.library.function) == 1
    assert isinstance(variable_reads.CALLERS, frozenset)


def test_constants_have_the_names_of_variables_that_were_captured_by_number() -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        tf.identity(x @ v1.get_variable("weights", [2, 3]) + v1.get_variable("bias", [3]), name="y")
        start = v1.global_variables_initializer()
    with v1.Session(graph=graph) as session:
        session.run(start)
        frozen = tfmagic.freeze(session, inputs=["x"], outputs=["y"])
    ops = frozen.ops
    assert {"weights", "bias"} <= set(ops["name"][ops["op"] == "Const"])
    assert not any(name.isdecimal() for name in ops["name"])


def test_nodes_of_branches_have_the_names_that_they_were_given(tmp_path: Path) -> None:
    """TensorFlow's optimizer copies a branch with variables, and marks each node of the copy."""
    tf: Any = runtime.tensorflow()
    weight = tf.Variable(3.0)
    scaled = tf.function(lambda x: x * weight)

    @tf.function(input_signature=[tf.TensorSpec([], name="x")])  # type: ignore[untyped-decorator]
    def chosen(x: Any) -> Any:
        return {"y": tf.cond(x > 0.0, lambda: scaled(tf.add(x, weight, name="moved")), lambda: x - weight)}

    frozen = tfmagic.freeze(chosen, output=tmp_path / "m.pb")
    nodes = {name for name in frozen.ops["name"] if "moved" in name}
    assert nodes
    assert all(name.endswith(("/moved", "/moved/ReadVariableOp")) for name in nodes), nodes
    assert not [name for name in frozen.ops["name"] if "_tfg_" in name]
    for value, expected in ((1.0, 12.0), (-1.0, -4.0)):
        assert tfmagic.run(tmp_path / "m.pb", {"x": value}, outputs=["y"]).outputs["y"] == expected


def test_freezing_makes_few_objects_that_stay() -> None:
    """Each 700 of them Python's collector is called, and at times goes through all that a user holds then."""
    tf = runtime.tensorflow()
    kernels = [tf.Variable(np.ones((2, 2), np.float32)) for _ in range(500)]

    def chain(x: Any) -> Any:
        for kernel in kernels:
            x = tf.nn.relu(x @ kernel)
        return {"y": x}

    concrete = tf.function(chain, autograph=False).get_concrete_function(tf.TensorSpec([None, 2], name="x"))
    function = functions.of_concrete(concrete, "serving_default")
    freeze(function)
    collections = []
    gc.callbacks.append(lambda phase, info: collections.append((phase, info["generation"])))
    try:
        frozen = freeze(function)
    finally:
        gc.callbacks.pop()
    assert len(collections) / 2 * gc.get_threshold()[0] < 6 * len(frozen.graph_def.node)

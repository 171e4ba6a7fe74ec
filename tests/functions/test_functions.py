"""Functions obtained from models give the model's own numbers, under the user's names and in the user's order."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pytest

import tfmagic
from tfmagic import errors, functions
from tfmagic.files import message_files
from tfmagic.functions import nested_structures
from tfmagic.functions.meta_graphs import meta_graph_def
from tfmagic.graphs import signatures

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.functions import NamedFunction

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def either_keras(request: pytest.FixtureRequest, tf: Any) -> Any:
    """Keras 3 and Keras 2 in turn."""
    del tf
    return pytest.importorskip(request.param)


@pytest.fixture(scope="module")
def keras(tf: Any) -> Any:
    del tf
    return pytest.importorskip("keras")


def randoms(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def keys(ends: Any) -> list[str]:
    return [end.key for end in ends]


def shapes(ends: Any) -> list[Any]:
    return [end.shape for end in ends]


def assert_same(function: NamedFunction, inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    """Assert that a function gives these outputs, in this order, and that its tensors are in its graph."""
    found = function(inputs)
    assert list(found) == list(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(
            np.asarray(found[key], "float64"), np.asarray(value, "float64"), rtol=1e-5, atol=1e-6
        )
    for end in (*function.inputs, *function.outputs):
        assert function.concrete.graph.get_tensor_by_name(end.tensor).dtype.name == end.dtype


# Keras


def test_a_sequential_is_traced_in_inference_mode(either_keras: Any) -> None:
    layers = either_keras.layers
    model = either_keras.Sequential(
        [
            layers.Input((4,), name="features"),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(2, name="scores"),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(randoms(8, 4), randoms(8, 2), verbose=0)
    function = functions.trace_keras_model(model)
    x = randoms(3, 4, seed=1)
    assert keys(function.inputs) == ["features"]
    assert function.inputs[0].tensor == "features:0"
    assert function.outputs[0].tensor == "scores:0"
    assert shapes(function.inputs + function.outputs) == [(None, 4), (None, 2)]
    assert_same(function, {"features": x}, {"scores": model(x, training=False)})


def test_a_model_built_by_calling_it_keeps_its_batch_open(keras: Any) -> None:
    model = keras.Sequential([keras.layers.Dense(3, name="out")])
    model(randoms(2, 4))
    function = functions.trace_keras_model(model)
    assert shapes(function.inputs + function.outputs) == [(None, 4), (None, 3)]
    x = randoms(5, 4)
    assert_same(function, {function.inputs[0].key: x}, {"out": model(x)})


def test_an_unbuilt_model_says_what_to_do(either_keras: Any) -> None:
    model = either_keras.Sequential([either_keras.layers.Dense(3)])
    with pytest.raises(errors.MissingPartError, match=r"not built.*call it once on data"):
        functions.trace_keras_model(model)


def test_many_ends_keep_names_and_order(either_keras: Any) -> None:
    layers = either_keras.layers
    zebra, apple = layers.Input((3,), name="zebra"), layers.Input((3,), name="apple")
    shared = layers.Dense(2, name="shared")
    last = layers.Dense(1, name="a_last")(layers.Concatenate()([zebra, apple]))
    model = either_keras.Model([zebra, apple], [shared(zebra), shared(apple), last])
    function = functions.trace_keras_model(model)
    assert keys(function.inputs) == ["zebra", "apple"]
    assert keys(function.outputs) == ["shared", "shared_1", "a_last"]
    x, y = randoms(4, 3), randoms(4, 3, seed=1)
    expected = dict(zip(keys(function.outputs), model([x, y]), strict=True))
    assert_same(function, {"apple": y, "zebra": x}, expected)
    assert [function.concrete.outputs[place].shape[-1] for place in function.places] == [2, 2, 1]


def test_dicts_keep_their_keys(either_keras: Any) -> None:
    layers = either_keras.layers
    inputs = {"zz": layers.Input((3,), name="first in"), "aa": layers.Input((2,), name="second:in")}
    outputs = {"y out": layers.Dense(2)(inputs["zz"]), "b": layers.Dense(3)(inputs["aa"])}
    model = either_keras.Model(inputs, outputs)
    function = functions.trace_keras_model(model)
    assert sorted(keys(function.inputs)) == ["aa", "zz"]
    assert sorted(keys(function.outputs)) == ["b", "y out"]
    x = {"zz": randoms(4, 3), "aa": randoms(4, 2)}
    expected = model(x)
    assert_same(function, x, {key: expected[key] for key in keys(function.outputs)})


def test_names_that_tensorflow_does_not_take_stay_the_keys(keras: Any) -> None:
    a, b = keras.Input((3,), name="my input:0"), keras.Input((3,), name="my input_0")
    model = keras.Model([a, b], keras.layers.Dense(1, name="o")(keras.layers.Add()([a, b])))
    function = functions.trace_keras_model(model)
    assert keys(function.inputs) == ["my input:0", "my input_0"]
    assert [end.tensor for end in function.inputs] == ["my_input_0:0", "my_input_0_1:0"]
    x = randoms(2, 3)
    assert_same(function, {"my input:0": x, "my input_0": x}, {"o": model([x, x])})


def test_a_nested_model_names_its_output(either_keras: Any) -> None:
    layers = either_keras.layers
    inner = either_keras.Sequential([layers.Input((4,)), layers.Dense(3)], name="inner")
    outer_in = layers.Input((4,), name="x")
    model = either_keras.Model(outer_in, inner(outer_in))
    function = functions.trace_keras_model(model)
    x = randoms(2, 4)
    assert_same(function, {"x": x}, {"inner": model(x)})


def subclassed(library: Any) -> Any:
    class Net(library.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="net")
            self.dense = library.layers.Dense(3)
            self.norm = library.layers.BatchNormalization()
            self.drop = library.layers.Dropout(0.5)

        def call(self, image: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002 - Keras's protocol
            return self.drop(self.norm(self.dense(image), training=training), training=training)

    return Net()


def test_a_subclassed_model_takes_the_argument_s_name(either_keras: Any) -> None:
    model = subclassed(either_keras)
    x = randoms(4, 5)
    model(x)
    function = functions.trace_keras_model(model)
    assert keys(function.inputs) == ["image"]
    assert shapes(function.inputs) == [(None, 5)]
    (output,) = function.outputs
    assert_same(function, {function.inputs[0].key: x}, {output.key: model(x, training=False)})


def test_a_subclassed_model_with_dicts_and_lists(keras: Any) -> None:
    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="net")
            self.dense = keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            left = self.dense(inputs["left"])
            return {"z": left, "deep": {"x": left + 1, "y": [inputs["right"], left]}}

    model = Net()
    given = {"right": randoms(3, 1), "left": randoms(3, 4)}
    model(given)
    function = functions.trace_keras_model(model)
    assert sorted(keys(function.inputs)) == ["left", "right"]
    assert keys(function.outputs) == ["z", "deep/x", "deep/y", "deep/y_1"]
    result = model(given)
    deep = result["deep"]
    assert_same(
        function, given, {"z": result["z"], "deep/x": deep["x"], "deep/y": deep["y"][0], "deep/y_1": deep["y"][1]}
    )


def test_a_subclassed_model_with_integers_or_strings(keras: Any, tf: Any) -> None:
    class Words(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="words")
            self.lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
            self.embed = keras.layers.Embedding(5, 2)

        def call(self, words: Any) -> Any:
            return self.embed(self.lookup(words))

    model = Words()
    words = tf.constant([["a", "x"], ["b", "a"]])
    expected = model(words)
    function = functions.trace_keras_model(model)
    assert function.inputs[0].dtype == "string"
    assert any("dtype" in note for note in function.notes)
    assert_same(function, {"words": words}, {"words": expected})


def test_an_argument_that_keras_does_not_record_is_named(keras: Any) -> None:
    class Two(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, first: Any, second: Any) -> Any:
            return self.dense(first) + self.dense(second)

    model = Two()
    model(randoms(2, 3), randoms(2, 3))
    with pytest.raises(errors.MissingPartError, match=r"'second'.*input_signature"):
        functions.trace_keras_model(model)


def test_a_model_that_does_not_trace_says_so(keras: Any) -> None:
    class Broken(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="broken")
            self.dense = keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs.numpy())

    model = Broken()
    model.dense.build((None, 3))
    model.build((None, 3))
    with pytest.raises(errors.ConversionError, match="'broken' cannot be traced") as caught:
        functions.trace_keras_model(model)
    assert caught.value.__cause__ is not None


def test_a_recurrent_model_keeps_batch_and_time_open(either_keras: Any) -> None:
    layers = either_keras.layers
    model = either_keras.Sequential(
        [layers.Input((None, 3), name="steps"), layers.Bidirectional(layers.LSTM(4)), layers.Dense(2, name="out")]
    )
    function = functions.trace_keras_model(model)
    assert shapes(function.inputs) == [(None, None, 3)]
    x = randoms(2, 7, 3)
    assert_same(function, {"steps": x}, {"out": model(x)})


def test_a_stateful_model_keeps_the_batch_it_was_built_with(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input(batch_shape=(2, 5, 3), name="x"), layers.LSTM(4, stateful=True, name="o")])
    function = functions.trace_keras_model(model)
    assert shapes(function.inputs) == [(2, 5, 3)]
    assert function.notes


@pytest.mark.parametrize("layer", ["StringLookup", "TextVectorization"])
def test_lookup_layers_come_along(either_keras: Any, tf: Any, layer: str, tmp_path: Path) -> None:
    layers = either_keras.layers
    make = getattr(layers, layer)
    words = layers.Input((1,) if layer == "TextVectorization" else (2,), dtype="string", name="words")
    model = either_keras.Model(words, make(vocabulary=["cat", "dog"], name="ids")(words))
    given = [["cat dog x"], ["dog"]] if layer == "TextVectorization" else [["cat", "x"], ["dog", "cat"]]
    function = functions.trace_keras_model(model)
    expected = {"ids": model(tf.constant(given))}
    assert_same(function, {"words": np.array(given)}, expected)
    tf.saved_model.save(function.owner, str(tmp_path), signatures={"k": function.concrete})
    assert_same(functions.load_saved_model(tmp_path), {"words": np.array(given)}, expected)


def test_mixed_precision_and_seeds_are_left_alone(keras: Any, tf: Any) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layers = keras.layers
        model = keras.Sequential([layers.Input((4,), name="x"), layers.Dense(3), layers.Dropout(0.5, name="o")])
        seeds = [one.value.numpy() for one in model.variables if "seed" in one.path]
        tf.random.set_seed(7)
        expected = [tf.random.uniform(()).numpy(), tf.random.uniform(()).numpy()]
        tf.random.set_seed(7)
        before = tf.random.uniform(()).numpy()
        function = functions.trace_keras_model(model)
        x = randoms(2, 4)
        result = function({"x": x})
        assert [before, tf.random.uniform(()).numpy()] == expected
        assert keras.config.dtype_policy().name == "mixed_float16"
        assert result["o"].dtype == np.float16
        assert function.inputs[0].dtype == "float32"
        np.testing.assert_array_equal(result["o"], model(x, training=False))
        for old, new in zip(seeds, [one for one in model.variables if "seed" in one.path], strict=True):
            np.testing.assert_array_equal(old, new.value.numpy())
    finally:
        keras.config.set_dtype_policy("float32")


def test_variables_go_by_their_keras_paths(keras: Any) -> None:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, name="d")], name="m")
    function = functions.trace_keras_model(model)
    assert set(function.variables) == {one.path for one in model.variables}
    captured = {id(outer) for outer, _ in function.concrete.graph.captures}
    assert {id(one.handle) for one in function.variables.values()} == captured


def test_random_numbers_and_assignments_are_noted(keras: Any) -> None:
    class Restless(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.norm = keras.layers.Dropout(0.5), keras.layers.BatchNormalization()

        def call(self, inputs: Any) -> Any:
            return self.norm(self.drop(inputs, training=True), training=True)

    model = Restless()
    model(randoms(2, 3))
    notes = " ".join(functions.trace_keras_model(model).notes)
    assert "random" in notes
    assert "assigns" in notes


def test_tracing_works_inside_a_graph(keras: Any, tf: Any) -> None:
    model = keras.Sequential([keras.layers.Input((4,), name="x"), keras.layers.Dense(3, name="o")])
    x = randoms(2, 4)
    expected = model(x)
    with tf.Graph().as_default() as graph:
        function = functions.trace_keras_model(model)
        assert_same(function, {"x": x}, {"o": expected})
        assert graph.get_operations() == []


def test_tracing_works_where_eager_execution_is_off(ready_tensorflow: list[str]) -> None:
    program = """
        import numpy as np, tensorflow as tf, keras
        tf.compat.v1.disable_v2_behavior()
        from tfmagic import functions
        from tfmagic.runtime import tensorflow as runtime
        with runtime.eager():
            model = keras.Sequential([keras.layers.Input((4,), name="x"), keras.layers.Dense(3, name="o")])
            want = model(np.ones((2, 4), "float32")).numpy()
        function = functions.trace_keras_model(model)
        np.testing.assert_allclose(function({"x": np.ones((2, 4))})["o"], want, rtol=1e-6)
        assert function.inputs[0].shape == (None, 4)
        assert not tf.executing_eagerly()
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [*ready_tensorflow, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


# Calling


def test_a_call_with_a_wrong_key_names_the_right_one(tf: Any) -> None:
    function = functions.of_concrete(tf.function(lambda image: image).get_concrete_function(tf.TensorSpec([2])), "k")
    with pytest.raises(errors.UnknownNameError, match="'image'"):
        function({"imag": [1, 2]})
    with pytest.raises(errors.UnknownNameError, match="no value"):
        function({})


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("bool", [True, False]),
        ("string", ["ü", "b"]),
        ("complex64", [1 + 2j, 3]),
        ("bfloat16", [1.5, 2]),
        ("int64", [2**40, 1]),
        ("float64", [0.1, 0.2]),
        ("uint8", [255, 0]),
    ],
)
def test_every_dtype_passes(tf: Any, dtype: str, value: list[Any]) -> None:
    concrete = tf.function(lambda x: {"y": x}).get_concrete_function(tf.TensorSpec([None], dtype))
    (result,) = functions.of_concrete(concrete, "k")({"x": value}).values()
    expected = [one.encode() for one in value] if dtype == "string" else np.array(value).astype(result.dtype)
    np.testing.assert_array_equal(result, expected)


# SavedModels


@pytest.fixture(scope="module")
def module(tf: Any) -> Any:
    class Scaler(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable(3.0, name="factor")

        @tf.function(input_signature=[tf.TensorSpec([None], name="z"), tf.TensorSpec([None], name="a")])  # type: ignore[untyped-decorator]
        def scale(self, z: Any, a: Any) -> Any:
            return {"z2": z * self.factor, "a2": a}

    return Scaler()


def test_a_signature_is_loaded_with_its_key_and_method(tf: Any, module: Any, tmp_path: Path) -> None:
    tf.saved_model.save(module, str(tmp_path), signatures={"mine": module.scale})
    function = functions.load_saved_model(tmp_path)
    assert (function.key, function.tags, function.method) == ("mine", ("serve",), "tensorflow/serving/predict")
    assert keys(function.inputs) == ["a", "z"]
    assert_same(function, {"z": [1, 2], "a": [5]}, {"a2": [5], "z2": [3, 6]})
    assert [one.numpy() for one in function.variables.values()] == [3.0]
    with pytest.raises(errors.UnknownNameError, match="'mine'"):
        functions.load_saved_model(tmp_path, key="mien")
    with pytest.raises(errors.ConversionError, match="tags") as caught:
        functions.load_saved_model(tmp_path, tags=["nothing"])
    assert caught.value.__cause__ is not None


def test_several_signatures_are_declared_by_one_reading(
    tf: Any, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tf.saved_model.save(module, str(tmp_path), signatures={"mine": module.scale, "yours": module.scale})
    counted = mock.Mock(wraps=message_files.read_message)
    monkeypatch.setattr(message_files, "read_message", counted)
    loaded = functions.SavedModelFunctions(tmp_path, None)
    assert [loaded.function(key).method for key in ("mine", "yours", "mine")] == [signatures.PREDICT] * 3
    assert counted.call_count == 1


@pytest.mark.parametrize("absent", [["tf_keras"], ["tf_keras", "keras"]])
def test_an_optimizer_does_not_keep_a_model_from_loading(
    absent: list[str], ready_tensorflow: list[str], tmp_path: Path
) -> None:
    old = pytest.importorskip("tf_keras")
    model = old.Sequential([old.layers.Input((3,), name="x"), old.layers.Dense(2, name="o")])
    model.compile(old.optimizers.legacy.Adam(), "mse")
    model.fit(randoms(4, 3), randoms(4, 2), verbose=0)
    model.save(tmp_path / "m", save_format="tf")
    x = randoms(2, 3)
    program = f"""
        import sys
        sys.modules.update(dict.fromkeys({absent}))
        import numpy as np
        from tfmagic import functions
        function = functions.load_saved_model({str(tmp_path / "m")!r})
        np.save({str(tmp_path / "y.npy")!r}, function({{"x": np.load({str(tmp_path / "x.npy")!r})}})["o"])
        assert {{"o/kernel", "o/bias"}} <= set(function.variables), function.variables
    """
    np.save(tmp_path / "x.npy", x)
    # Who has TensorFlow imported has Keras.
    python = [sys.executable] if "keras" in absent else ready_tensorflow
    done = subprocess.run([*python, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(x), rtol=1e-5)


def test_a_v1_saved_model_is_loaded(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        w = v1.get_variable("w", [2, 1], use_resource=False)
        y = tf.matmul(x, w)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
        given = randoms(3, 2)
        expected = session.run(y, {x: given})
    function = functions.load_saved_model(tmp_path / "m")
    assert_same(function, {"x": given}, {"y": expected})
    shutil.rmtree(tmp_path / "m")
    assert_same(function, {"x": given}, {"y": expected})


def test_a_signature_that_only_the_signature_map_has_is_found(tf: Any, module: Any, tmp_path: Path) -> None:
    tf.saved_model.save(module, str(tmp_path), signatures={"mine": module.scale})
    from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415 - only with TensorFlow

    file = tmp_path / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    signatures = message.meta_graphs[0].signature_def
    signatures["alias"].CopyFrom(signatures["mine"])
    file.write_bytes(message.SerializeToString())
    function = functions.load_saved_model(tmp_path, key="alias")
    assert [one.numpy() for one in function.variables.values()] == [3.0]
    assert_same(function, {"z": [1, 2], "a": [5]}, {"a2": [5], "z2": [3, 6]})


# GraphDefs


def test_a_graph_is_wrapped_between_any_of_its_tensors(tf: Any) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
        left, right = tf.split(x, 2, axis=1, name="parts")
        tf.add(left, 1.0, name="left")
        tf.add(right, 2.0, name="right")
    whole = functions.wrap_graph_def(
        graph.as_graph_def(), {"in put": "x"}, {"right": "right", "l": "left:0", "x": "x:0"}
    )
    assert keys(whole.inputs) == ["in put"]
    assert shapes(whole.inputs) == [(None, 2)]
    assert whole.outputs[0].tensor == "right:0"
    assert_same(whole, {"in put": [[1, 2]]}, {"right": [[4]], "l": [[2]], "x": [[1, 2]]})
    part = functions.wrap_graph_def(graph.as_graph_def(), {"r": "parts:1"}, {"right": "right"}, key="k")
    assert part.key == "k"
    assert_same(part, {"r": [[5]]}, {"right": [[7]]})


def test_a_wrapped_graph_can_be_saved(tf: Any, tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        w = tf.compat.v1.get_variable("w", [], use_resource=False)
        tf.multiply(x, w, name="y")
    function = functions.wrap_graph_def(
        graph.as_graph_def(), {"x": "x"}, {"y": "y"}, values=lambda names: dict.fromkeys(names, np.float32(3))
    )
    assert set(function.variables) == {"w"}
    tf.saved_model.save(function.owner, str(tmp_path), signatures={"k": function.concrete})
    assert_same(functions.load_saved_model(tmp_path), {"x": [1, 2]}, {"y": [3, 6]})


def test_a_graph_without_its_values_says_what_would_help(tf: Any) -> None:
    with tf.Graph().as_default() as graph:
        tf.identity(tf.compat.v1.get_variable("w", [2]), name="y")
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1]), 0)
        tf.identity(table.lookup(tf.constant(["a"])), name="t")
    with pytest.raises(errors.ConversionError, match=r"'w'.*checkpoint"):
        functions.wrap_graph_def(graph.as_graph_def(), {}, {"y": "y"})
    with pytest.raises(errors.ConversionError, match=r"tables.*fills"):
        functions.wrap_graph_def(graph.as_graph_def(), {}, {"t": "t"})
    with pytest.raises(errors.UnknownNameError, match="'y'"):
        functions.wrap_graph_def(graph.as_graph_def(), {}, {"o": "yy"})


def test_two_graphs_may_hold_functions_of_one_name(tf: Any) -> None:
    found = {}
    for factor in (2.0, 3.0):
        inner = tf.function(lambda x, by=factor: tf.while_loop(lambda a: a < 5, lambda a: a * by, [x])[0])
        concrete = inner.get_concrete_function(tf.TensorSpec([], name="x"))
        outer = tf.function(lambda x, call=concrete: call(x)).get_concrete_function(tf.TensorSpec([], name="x"))
        graph_def = outer.graph.as_graph_def()
        names = [function.signature.name for function in graph_def.library.function]
        text = str(graph_def)
        for number, name in enumerate(sorted(names, key=len, reverse=True)):
            text = text.replace(f'"{name}"', f'"clash_{number}"')
        from google.protobuf import text_format  # noqa: PLC0415 - only here

        graph_def = text_format.Parse(text, tf.compat.v1.GraphDef())
        output = outer.outputs[0].name
        function = functions.wrap_graph_def(graph_def, {"x": "x"}, {"y": output})
        found[factor] = float(function({"x": 1.0})["y"])
    assert found == {2.0: 8.0, 3.0: 9.0}


def test_an_op_that_tensorflow_does_not_know_is_named(tf: Any) -> None:
    graph_def = tf.compat.v1.GraphDef()
    graph_def.node.add(name="y", op="MadeUpOp")
    with pytest.raises(errors.ConversionError, match="MadeUpOp") as caught:
        functions.wrap_graph_def(graph_def, {}, {"y": "y"})
    assert caught.value.__cause__ is not None


def test_several_functions_are_described_as_saving_them_would(tf: Any, module: Any) -> None:
    concrete = module.scale.get_concrete_function()
    plain = tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([None], "int32", name="x"))
    message = meta_graph_def([functions.of_concrete(concrete, "scale"), functions.of_concrete(plain, "plus")])
    assert sorted(message.signature_def) == ["plus", "scale"]
    assert message.signature_def["scale"].inputs["z"].name == "scale_z:0"
    assert message.signature_def["plus"].outputs["output_0"].name == "plus_output_0:0"
    assert len(message.graph_def.library.function) == 2
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(tf.compat.v1.GraphDef.FromString(message.graph_def.SerializeToString()), name="")
        assert graph.get_tensor_by_name("scale_z2:0").shape.as_list() == [None]


# Nests


def test_nests_keep_the_user_s_order() -> None:
    given = {"z": 1, "a": [2, (3, {"k": 4})], "n": None}
    assert [leaf for _, leaf in nested_structures.leaves(given)] == [1, 2, 3, 4]
    assert nested_structures.rebuild(given, iter("wxyz")) == {"z": "w", "a": ["x", ("y", {"k": "z"})], "n": None}
    assert [nested_structures.key(path) for path, _ in nested_structures.leaves(given)] == ["z", "a", "a", "a/k"]


def test_names_are_made_unique_and_plain() -> None:
    assert nested_structures.unique(["a", "b", "a", "a_1", "a"]) == ["a", "b", "a_1", "a_1_1", "a_2"]
    assert nested_structures.identifiers(["my in", "my:in", "_x", "1st", "ü"]) == [
        "my_in",
        "my_in_1",
        "t_x",
        "t_1st",
        "t_",
    ]


def test_variables_of_one_name_go_by_the_attributes_that_lead_to_them(tf: Any, tmp_path: Path) -> None:
    """As in TensorFlow's own guide to modules, whose every layer calls its variables ``w`` and ``b``."""

    class Dense(tf.Module):  # type: ignore[misc]
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.w = tf.Variable([[factor]], name="w")
            self.b = tf.Variable([factor], name="b" if factor > 1 else "shift")

        def __call__(self, x: Any) -> Any:
            return x @ self.w + self.b

    class Network(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = [Dense(2.0), Dense(1.0)]

        @tf.function(input_signature=[tf.TensorSpec([None, 1], name="x")])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return {"y": self.layers[1](self.layers[0](x))}

    network = Network()
    names = {"layers/0/w", "layers/1/w", "b", "shift"}
    assert set(tfmagic.inspect(network).variables["name"]) == names
    frozen = tfmagic.freeze(network)
    assert {node.name for node in frozen.graph_def.node if node.op == "Const"} == names
    tfmagic.export(network, tmp_path / "m")
    assert {each.name for each in tf.saved_model.load(str(tmp_path / "m")).variables} == {f"{name}:0" for name in names}

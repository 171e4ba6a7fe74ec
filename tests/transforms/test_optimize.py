"""Graphs that TensorFlow's optimizer went over once: the same numbers from fewer ops, under the same ends."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.session_samples import SITUATIONS
from tfmagic import errors
from tfmagic.graphs.function_library import all_nodes
from tfmagic.runtime import grappler
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def kinds(graph_def: Any) -> Counter[str]:
    return Counter(node.op for node in all_nodes(graph_def))


def session_run(graph_def: Any, fetches: list[str], feeds: Mapping[str, Any]) -> list[Any]:
    """What a plain session makes of a graph."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.import_graph_def(graph_def, name="")
        values: list[Any] = session.run(fetches, feeds)
    return values


def network(library: str, *, bias: bool, norm_ends: bool = False) -> Any:
    """A convolution and a norm, then again behind an activation; Keras 2 has norms that are one op."""
    keras = pytest.importorskip(library)
    layers = keras.layers
    last = [] if norm_ends else [layers.Conv2D(3, 3, activation="relu"), layers.DepthwiseConv2D(2)]
    model = keras.Sequential(
        [
            keras.Input((9, 8, 2), name="image"),
            layers.Conv2D(4, 3, use_bias=bias),
            layers.BatchNormalization(),
            layers.ReLU(),
            *last,
            layers.Conv2D(5, 2, use_bias=bias, padding="same"),
            layers.BatchNormalization(epsilon=0.01, name="score" if norm_ends else "norm"),
            *([] if norm_ends else [layers.ReLU(6.0), layers.Flatten(), layers.Dense(2, name="score")]),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1.4, each.shape).astype(np.float32) for each in model.get_weights()])
    return model


@pytest.mark.parametrize("norm_ends", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_norm_behind_a_convolution_is_folded_into_it(library: str, *, bias: bool, norm_ends: bool) -> None:
    keras_runtime.keras()
    model = network(library, bias=bias, norm_ends=norm_ends)
    result = tfmagic.freeze(model, optimize=True)
    found = kinds(result.graph_def)
    assert not {"Mul", "Rsqrt", "Sub", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"} & set(found)
    assert not [op for op in found if op.startswith("_")]
    convolutions = found["Conv2D"] + found["DepthwiseConv2dNative"]
    # One sum for the bias and what the norm moves, not one each.
    assert found["AddV2"] + found["BiasAdd"] + found["Add"] <= convolutions + found["MatMul"]
    image = np.random.default_rng(1).random((3, 9, 8, 2), dtype=np.float32)
    (value,) = session_run(result.graph_def, ["score:0"], {"image:0": image})
    expected = model(image).numpy()
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert result.signatures["key"].tolist() == ["image", "score"]
    assert result.signatures["shape"].tolist()[0] == (None, 9, 8, 2)


def test_the_notes_count_the_ops() -> None:
    model = network("keras", bias=True)
    keras_runtime.keras()
    plain, small = tfmagic.freeze(model), tfmagic.freeze(model, optimize=True)
    before, after = (kinds(each.graph_def).total() for each in (plain, small))
    assert after < before / 2
    assert any(note.startswith(f"optimised: ops {before} before, {after} after (") for note in small.notes)
    assert not any("not verified" in note for note in small.notes)


@pytest.mark.parametrize("name", SITUATIONS)
def test_graphs_of_sessions_give_the_same(name: str, tmp_path: Path) -> None:
    found = SITUATIONS[name](tmp_path)
    tensors = list(found.outputs.values())
    result = tfmagic.freeze(found.session, inputs=list(found.inputs.values()), outputs=tensors, optimize=True)
    assert not [op for op in kinds(result.graph_def) if op.startswith("_")]
    values = session_run(result.graph_def, tensors, found.feeds)
    for value, expected in zip(values, found.expected.values(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_functions_loops_tables_and_draws_stay_what_they_are() -> None:
    tf = runtime.tensorflow()
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0]), 0.0)
    weight = tf.Variable(np.linspace(0, 1, 4, dtype=np.float32))

    def body(words: Any, x: Any) -> dict[str, Any]:
        looped = tf.while_loop(lambda i, _: i < tf.size(words), lambda i, y: (i + 1, y * weight + 0.5), (0, x))[1]
        branched = tf.cond(tf.reduce_sum(x) > 0, lambda: looped + 1, lambda: looped - 1)
        drawn = tf.random.stateless_uniform([2], seed=[1, 2])
        return {"found": table.lookup(words), "y": branched, "drawn": drawn, "same": x}

    specs = [tf.TensorSpec([None], tf.string, "words"), tf.TensorSpec([None, 4], tf.float32, "x")]
    source = tf.function(body, input_signature=specs)
    result = tfmagic.freeze(source, optimize=True)
    feeds = {"words": np.array([b"b", b"?", b"a"]), "x": np.ones((2, 4), np.float32)}
    expected = {key: value.numpy() for key, value in source(**{k: tf.constant(v) for k, v in feeds.items()}).items()}
    outputs = tfmagic.run(result, feeds).outputs
    assert list(outputs) == ["found", "y", "drawn", "same"]
    for key, value in expected.items():
        np.testing.assert_allclose(outputs[key], value, rtol=1e-6)


def test_branches_and_loops_stay_functions() -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1

    @tf.function  # type: ignore[untyped-decorator]
    def chosen(x: Any) -> Any:
        whole = tf.cast(tf.reduce_sum(x), tf.int32)
        y = tf.switch_case(whole % 3, [lambda: x * 2.0, lambda: x + 1.0, lambda: -x])
        y = tf.cond(whole > 2, lambda: y + 0.5, lambda: y)
        return tf.while_loop(lambda i, _: i < whole, lambda i, y: (i + 1, y * 1.5), (0, y))[1]

    with tf.Graph().as_default() as graph:
        tf.identity(chosen(v1.placeholder(tf.float32, [2], name="x")), name="y")
    result = tfmagic.freeze(graph.as_graph_def(), outputs=["y"], optimize=True)
    found = kinds(result.graph_def)
    assert not {"Switch", "Merge", "Enter", "_SwitchN"} & set(found)
    for x in ([0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [2.0, 1.0]):
        (value,) = session_run(result.graph_def, ["y:0"], {"x:0": x})
        np.testing.assert_allclose(value, chosen(tf.constant(x)).numpy(), rtol=1e-6)


def test_norms_that_are_not_fixed_stay() -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    ones, kernel = np.ones(3, np.float32), np.ones((1, 1, 2, 3), np.float32)

    def norm(x: Any, scale: Any, **options: Any) -> Any:
        return v1.nn.fused_batch_norm(x, scale, ones, **options)[0]

    def body(x: Any, scale: Any) -> dict[str, Any]:
        product = tf.nn.conv2d(x, kernel, 1, "SAME")
        fixed = {"mean": ones * 0.5, "variance": ones * 2, "is_training": False}
        normed, mean, _ = v1.nn.fused_batch_norm(product, ones, ones, **fixed)
        return {
            "trained": norm(product, ones, is_training=True),
            "scaled": norm(product, scale, **fixed),
            "with_mean": normed + mean,
            "half": tf.cast(norm(tf.cast(product, tf.float16), ones, **fixed), tf.float32),
        }

    specs = [tf.TensorSpec([None, 4, 4, 2], tf.float32, "x"), tf.TensorSpec([3], tf.float32, "scale")]
    source = tf.function(body, input_signature=specs)
    result = tfmagic.freeze(source, optimize=True)
    feeds = {"x": np.random.default_rng(0).random((2, 4, 4, 2), dtype=np.float32), "scale": ones * 3}
    outputs = tfmagic.run(result, feeds).outputs
    for key, value in source(**{key: tf.constant(each) for key, each in feeds.items()}).items():
        np.testing.assert_allclose(outputs[key], value.numpy(), rtol=2e-3, atol=2e-3)
    assert sum(count for op, count in kinds(result.graph_def).items() if op.startswith("FusedBatchNorm")) >= 3


def test_a_convolution_that_somebody_else_takes_keeps_its_weights() -> None:
    tf = runtime.tensorflow()
    rng = np.random.default_rng(0)
    kernel, bias, scale = (rng.random(shape, dtype=np.float32) for shape in ((2, 2, 2, 3), (3,), (3,)))

    def body(x: Any) -> dict[str, Any]:
        product = tf.nn.conv2d(x, kernel, 1, "VALID")
        biased = tf.nn.bias_add(product, bias)
        return {"y": biased * scale + 1.0, "biased": biased, "z": tf.nn.bias_add(product, scale) * bias}

    source = tf.function(body, input_signature=[tf.TensorSpec([None, 4, 4, 2], tf.float32, "x")])
    x = rng.random((2, 4, 4, 2), dtype=np.float32)
    outputs = tfmagic.run(tfmagic.freeze(source, optimize=True), {"x": x}).outputs
    for key, value in source(tf.constant(x)).items():
        np.testing.assert_allclose(outputs[key], value.numpy(), rtol=1e-5)


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_norm_behind_a_depthwise_convolution_is_folded_into_it(library: str, *, bias: bool) -> None:
    keras_runtime.keras()
    keras = pytest.importorskip(library)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((7, 8, 3), name="image"),
            layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, use_bias=bias, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(2, use_bias=bias),
            layers.BatchNormalization(name="score"),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1.4, each.shape).astype(np.float32) for each in model.get_weights()])
    result = tfmagic.freeze(model, optimize=True)
    found = kinds(result.graph_def)
    assert "Mul" not in found
    assert found["DepthwiseConv2dNative"] == 2
    assert found["AddV2"] + found["BiasAdd"] == 2
    image = rng.random((2, 7, 8, 3), dtype=np.float32)
    (value,) = session_run(result.graph_def, ["score:0"], {"image:0": image})
    np.testing.assert_allclose(value, model(image).numpy(), rtol=1e-4, atol=1e-5)


def test_depthwise_convolutions_keep_what_is_no_factor_of_their_channels_or_is_taken() -> None:
    tf = runtime.tensorflow()
    rng = np.random.default_rng(0)
    channels, places = (rng.random(shape, dtype=np.float32) for shape in ((6,), (4, 1)))
    # Equal products would be one.
    kernels = rng.random((5, 2, 2, 2, 3), dtype=np.float32)

    def body(x: Any) -> dict[str, Any]:
        first, second, third, fourth, taken = (tf.nn.depthwise_conv2d(x, each, [1] * 4, "SAME") for each in kernels)
        return {
            "channels": channels.reshape(1, 1, 6) * first,
            "alone": second * 0.5,
            "places": third * places,
            "deeper": fourth * channels.reshape(1, 1, 1, 1, 6),
            "taken": taken,
            "scaled": taken * channels,
        }

    source = tf.function(body, input_signature=[tf.TensorSpec([None, 4, 4, 2], tf.float32, "x")])
    x = rng.random((2, 4, 4, 2), dtype=np.float32)
    result = tfmagic.freeze(source, optimize=True)
    nodes = {node.name: node for node in result.graph_def.node}
    ops = {key: nodes[nodes[key].input[0]].op for key in ("channels", "alone", "places", "deeper", "scaled")}
    assert [key for key, op in ops.items() if op == "Mul"] == ["places", "deeper", "scaled"]
    outputs = tfmagic.run(result, {"x": x}).outputs
    for key, value in source(tf.constant(x)).items():
        np.testing.assert_allclose(outputs[key], value.numpy(), rtol=1e-5)


def test_a_saved_model_is_frozen_and_says_so(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    model = network("keras", bias=True)
    signatures = {"score": {}, "again": {"outputs": {"logits": "score"}}}
    tfmagic.export(model, tmp_path / "plain", signatures=signatures)
    done = tfmagic.export(tmp_path / "plain", tmp_path / "small", optimize=True)
    assert done.verification["equal"].tolist() == [True, True]
    assert any("is frozen" in note for note in done.notes)
    assert sum(note.startswith("optimised: ops ") for note in done.notes) >= 1
    loaded = tf.saved_model.load(str(tmp_path / "small"))
    assert sorted(loaded.signatures) == ["again", "score"]
    assert not list(loaded.variables)
    image = np.random.default_rng(1).random((3, 9, 8, 2), dtype=np.float32)
    value = loaded.signatures["again"](image=tf.constant(image))["logits"]
    np.testing.assert_allclose(value, model(image), rtol=1e-4, atol=1e-5)
    ops = tfmagic.inspect(tmp_path / "small").ops["op"]
    assert not {"VarHandleOp", "ReadVariableOp", "Rsqrt"} & set(ops)


def test_a_graph_in_a_saved_model_of_tensorflow_1_is_optimised_too(tmp_path: Path) -> None:
    found = next(iter(SITUATIONS.values()))(tmp_path)
    done = tfmagic.export(found.session, tmp_path / "small", optimize=True, inputs=found.inputs, outputs=found.outputs)
    assert done.verification["equal"].all()
    assert any("is frozen" in note for note in done.notes)
    done = tfmagic.export(tmp_path / "small", tmp_path / "m.pbtxt", optimize=True)
    assert done.verification["equal"].all()


@pytest.mark.parametrize("name", ["m.tflite", "m.keras", "m.ckpt", "m.weights.h5", "m.onnx", "m.tfevents.1"])
def test_other_formats_refuse_it_by_name(name: str, tmp_path: Path) -> None:
    format = "tensorboard" if "event" in name else None
    with pytest.raises(errors.ConversionError, match="optimize=True is for frozen graphs and SavedModels"):
        tfmagic.export(network("keras", bias=True), tmp_path / name, optimize=True, format=format)
    assert list(tmp_path.iterdir()) == []


def test_without_the_optimizer_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grappler, "_HOME", "tensorflow.python.grappler.gone")
    model = network("keras", bias=True)
    for call in (
        lambda: tfmagic.freeze(model, optimize=True),
        lambda: tfmagic.freeze(model, optimize=True, output=tmp_path / "m.pb"),
        lambda: tfmagic.export(model, tmp_path / "m", optimize=True),
    ):
        with pytest.raises(errors.ConversionError, match=r"no public call optimises .*--optimize"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_variables_that_stay_cannot_be_folded(tmp_path: Path) -> None:
    found = next(iter(SITUATIONS.values()))(tmp_path)
    name = next(
        node.name for node in found.session.graph.as_graph_def().node if node.op in ("VarHandleOp", "VariableV2")
    )
    with pytest.raises(errors.ConversionError, match=r"--keep-variables.*leave one of them out"):
        tfmagic.freeze(
            found.session,
            inputs=list(found.inputs.values()),
            outputs=list(found.outputs.values()),
            keep_variables=[name],
            optimize=True,
        )


def test_the_private_path_to_the_whole_optimizer_is_there() -> None:
    tf = runtime.tensorflow()
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
        tf.identity(x * (tf.constant([1.0, 2.0]) + 1.0), name="y")
    grappler.require()
    found = grappler.optimized(graph.as_graph_def(), ["x", "y"])
    (product,) = (node for node in found.node if node.op == "Mul")
    (constant,) = (node for node in found.node if node.name == product.input[1])
    assert tf.make_ndarray(constant.attr["value"].tensor).tolist() == [2.0, 3.0]

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.keras_samples import MODELS, dictionary
from tfmagic import errors
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import onnx
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def converter() -> None:
    pytest.importorskip("tf2onnx")


def session(path: Path) -> Any:
    return pytest.importorskip("onnxruntime").InferenceSession(str(path))


def function(body: Any, shape: Any, dtype: str = "float32") -> Any:
    tf = runtime.tensorflow()
    return tf.function(body, input_signature=[tf.TensorSpec(shape, dtype, "x")])


@pytest.mark.usefixtures("converter")
@pytest.mark.parametrize("name", MODELS)
def test_a_keras_model_is_converted_and_run(tmp_path: Path, name: str) -> None:
    model = MODELS[name](keras_runtime.keras())
    before = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    done = tfmagic.export(model, tmp_path / "m.onnx")
    # A switch of TensorFlow's that tf2onnx's front end sets for the whole process.
    assert os.environ.get("TF_CPP_MIN_LOG_LEVEL") == before
    loaded = session(tmp_path / "m.onnx")
    assert done.verification["equal"].tolist() == [True] * len(model.outputs)
    generator = np.random.default_rng(0)
    given = [generator.integers(0, 9, [3 if size is None else size for size in one.shape]) for one in model.inputs]
    typed = [value.astype(one.dtype) for value, one in zip(given, model.inputs, strict=True)]
    found = loaded.run(None, {one.name: value for one, value in zip(loaded.get_inputs(), typed, strict=True)})
    own = model(typed if len(typed) > 1 else typed[0], training=False)
    for one, other in zip(found, own if isinstance(own, list) else [own], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("converter")
def test_names_order_and_the_open_batch_stay(tmp_path: Path) -> None:
    done = tfmagic.export(
        dictionary(keras_runtime.keras()),
        tmp_path / "m.onnx",
        inputs={"b b": "y", "a": "x"},
        outputs={"zeta": "p", "x": "o"},
    )
    loaded = session(tmp_path / "m.onnx")
    assert [each.name for each in loaded.get_inputs()] == ["b b", "a"]
    assert [each.name for each in loaded.get_outputs()] == ["zeta", "x"]
    assert all(isinstance(each.shape[0], str) for each in (*loaded.get_inputs(), *loaded.get_outputs()))
    assert done.verification["output"].tolist() == ["zeta", "x"]


@pytest.mark.usefixtures("converter")
def test_a_file_and_a_loop_become_onnx(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    body = function(lambda x: {"y": tf.while_loop(lambda i: tf.reduce_sum(i) < 9.0, lambda i: [i * 2], [x])[0]}, [None])
    tfmagic.export(body, tmp_path / "served")
    done = tfmagic.export(tmp_path / "served", tmp_path / "m.onnx")
    found = session(tmp_path / "m.onnx").run(["y"], {"x": np.array([1.0, 2.0], np.float32)})[0]
    assert found.tolist() == [4.0, 8.0]
    assert done.verification["equal"].tolist() == [True]


@pytest.mark.usefixtures("converter")
def test_text_goes_through(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    done = tfmagic.export(function(lambda x: {"y": tf.concat([x, x], 0)}, [None], "string"), tmp_path / "m.onnx")
    assert done.verification["equal"].tolist() == [True]


def test_tables_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    words = keras.layers.StringLookup(vocabulary=["a", "b"], name="number")
    model = keras.Sequential([keras.Input((1,), dtype="string", name="word"), words])
    with pytest.raises(errors.UnsupportedConversionError, match=r"no lookup tables.*possible: 'saved_model'"):
        tfmagic.export(model, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("converter")
def test_an_op_that_onnx_lacks_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tf = runtime.tensorflow()
    with pytest.raises(errors.UnsupportedConversionError, match="TensorFlow's 'Svd'"):
        tfmagic.export(function(lambda x: {"y": tf.linalg.svd(x)[0]}, [3, 3]), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
    # It is told once, in the error.
    assert "Svd" not in caplog.text


@pytest.mark.usefixtures("converter")
def test_a_gelu_is_written_with_what_onnx_has(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(5, "gelu"), keras.layers.Dense(2)])
    done = tfmagic.export(model, tmp_path / "m.onnx")
    assert done.verification["equal"].tolist() == [True]
    values = np.linspace(-4, 4, 12, dtype=np.float32).reshape(3, 4)
    (found,) = session(tmp_path / "m.onnx").run(None, {"x": values})
    np.testing.assert_allclose(found, model(values), rtol=1e-4, atol=1e-6)


def test_without_the_extra_the_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(errors.MissingDependencyError) as caught:
        tfmagic.export(function(lambda x: {"y": x * 2}, [None]), tmp_path / "m.onnx")
    assert caught.value.package == 'pip install "tfmagic[onnx]"'
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("converter")
def test_without_a_runtime_the_file_is_written_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = tfmagic.export(function(lambda x: {"y": x * 2}, [None]), tmp_path / "m.onnx")
    assert done.path.is_file()
    assert done.verification["equal"].tolist() == [None]
    assert any("not verified" in note and "pip install onnxruntime" in note for note in done.notes)


@pytest.mark.usefixtures("converter")
def test_a_file_that_gives_other_numbers_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = onnx.converted

    def spoiled(*arguments: Any) -> Any:
        model = original(*arguments)
        next(node for node in model.graph.node if node.op_type == "Mul").op_type = "Add"
        return model

    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx, "converted", spoiled)
    with pytest.raises(errors.VerificationError):
        tfmagic.export(function(lambda x: {"y": x * 3}, [None]), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_frozen_is_said_of_the_format_that_was_asked_for(tmp_path: Path) -> None:
    count = runtime.tensorflow().Variable(0.0)
    for name in ("onnx", "tflite"):
        with pytest.raises(errors.UnsupportedConversionError) as caught:
            tfmagic.export(function(lambda x: {"y": queued(count.assign_add(x))}, []), tmp_path / f"m.{name}")
        assert caught.value.format == name
    assert list(tmp_path.iterdir()) == []


def queued(x: Any) -> Any:
    """Something that neither a graph nor a SavedModel holds."""
    tf = runtime.tensorflow()
    handle = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.float32, shared_name="inside")
    return tf.raw_ops.LookupTableFindV2(table_handle=handle, keys=tf.constant("a"), default_value=x)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.keras_samples import MODELS, dictionary
from tfmagic import errors
from tfmagic.files.tflite import renaming as tflite_renaming
from tfmagic.files.tflite.structure import describe
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import litert
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def ends(path: Path) -> tuple[list[str], list[str]]:
    """The names that TensorFlow's own interpreter lists, in its order."""
    interpreter = litert.interpreter(path)
    return (
        [each["name"] for each in interpreter.get_input_details()],
        [each["name"] for each in interpreter.get_output_details()],
    )


def function(body: Any, *specs: Any) -> Any:
    return runtime.tensorflow().function(body, input_signature=specs)


def spec(shape: Any, dtype: str = "float32", name: str = "x") -> Any:
    return runtime.tensorflow().TensorSpec(shape, dtype, name)


@pytest.mark.parametrize("name", ["branching", "convolutional"])
def test_a_keras_model_is_converted_and_run(tmp_path: Path, name: str) -> None:
    model = MODELS[name](keras_runtime.keras())
    done = tfmagic.export(model, tmp_path / "m.tflite")
    assert done.format == "tflite"
    assert done.verification["equal"].tolist() == [True] * len(model.outputs)
    keys = {"branching": (["left", "right"], ["score", "logits"]), "convolutional": (["image"], ["out"])}
    assert ends(tmp_path / "m.tflite") == keys[name]


def test_names_order_and_signature_are_the_users(tmp_path: Path) -> None:
    # TensorFlow's converter sorts inputs and outputs as it likes.
    body = function(
        lambda b, a: {"zeta": a - b, "alpha": a, "mid": a * b}, spec([None, 2], name="b"), spec([None, 2], name="a")
    )
    path = tmp_path / "m.tflite"
    done = tfmagic.export(body, path, signature="mine", outputs={"zeta": "zeta", "mid": "mid", "a lpha": "alpha"})
    assert done.verification["output"].tolist() == ["zeta", "mid", "a lpha"]
    assert done.verification["equal"].all()
    # An output that is an input has that one's name.
    assert ends(path) == (["b", "a"], ["zeta", "mid", "a"])
    (signature,) = describe(path).signatures
    assert (signature.key, list(signature.inputs), list(signature.outputs)) == (
        "mine",
        ["b", "a"],
        ["zeta", "mid", "a lpha"],
    )
    one = {"a": np.full((1, 2), 7.0, np.float32), "b": np.full((1, 2), 2.0, np.float32)}
    found = litert.interpreter(path).get_signature_runner("mine")(**one)
    assert [float(found[key][0, 0]) for key in ("zeta", "mid", "a lpha")] == [5.0, 14.0, 7.0]


def test_other_forms_become_tflite(tmp_path: Path) -> None:
    model = dictionary(keras_runtime.keras())
    tfmagic.export(model, tmp_path / "served")
    tfmagic.freeze(model, output=tmp_path / "m.pb")
    for source in ("served", "m.pb"):
        done = tfmagic.export(tmp_path / source, tmp_path / f"{source}.tflite")
        assert done.verification["equal"].tolist() == [True, True]
        inputs, outputs = ends(tmp_path / f"{source}.tflite")
        assert (sorted(inputs), sorted(outputs)) == (["x", "y"], ["o", "p"])


@pytest.mark.parametrize("layer", ["LSTM", "GRU"])
def test_loops_over_steps_need_a_fixed_batch(tmp_path: Path, layer: str) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.Input((None, 3), name="steps"), getattr(keras.layers, layer)(4, name="last")])
    with pytest.raises(errors.UnsupportedConversionError, match=r"batch=1 .*possible: 'saved_model'"):
        tfmagic.export(model, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []
    done = tfmagic.export(model, tmp_path / "m.tflite", batch=2)
    assert done.verification["equal"].tolist() == [True]
    steps = np.random.default_rng(0).random((2, 7, 3), dtype=np.float32)
    found = tfmagic.run(tmp_path / "m.tflite", {"steps": steps}).outputs["last"]
    np.testing.assert_allclose(found, model(steps), rtol=1e-4, atol=1e-6)


def test_other_loops_leave_the_batch_open(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    body = function(lambda x: {"y": tf.map_fn(lambda row: tf.reduce_sum(row) * row, x)}, spec([None, 3]))
    done = tfmagic.export(body, tmp_path / "m.tflite")
    assert done.verification["equal"].tolist() == [True]
    assert tfmagic.inspect(tmp_path / "m.tflite").signatures["shape"].tolist()[0] == (None, 3)


def test_a_stored_loop_gets_a_batch_too(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.Input((5, 3), name="steps"), keras.layers.LSTM(4, name="last")])
    tfmagic.export(model, tmp_path / "served")
    done = tfmagic.export(tmp_path / "served", tmp_path / "m.tflite", batch=3)
    assert done.verification["equal"].tolist() == [True]


def test_ops_of_tensorflow_alone_are_named(tmp_path: Path) -> None:
    body = function(lambda x: {"y": tfs().length(x)}, spec([None], "string"))

    def tfs() -> Any:
        return runtime.tensorflow().strings

    with pytest.raises(errors.UnsupportedConversionError, match=r"'StringLength'.*SELECT_TF_OPS") as caught:
        tfmagic.export(body, tmp_path / "m.tflite")
    assert type(caught.value.__cause__).__name__ == "ConverterError"
    assert list(tmp_path.iterdir()) == []


def test_one_signature_is_asked_for(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    model = dictionary(keras_runtime.keras())
    tfmagic.export(model, tmp_path / "served", signatures={"one": {"outputs": ["o"]}, "two": {"outputs": ["p"]}})
    with pytest.raises(errors.TfMagicError, match="'one', 'two'"):
        tfmagic.export(tmp_path / "served", tmp_path / "m.tflite")
    tfmagic.export(tmp_path / "served", tmp_path / "m.tflite", signature="two")
    assert list(tf.lite.Interpreter(str(tmp_path / "m.tflite")).get_signature_list()) == ["two"]


def test_a_file_that_gives_other_numbers_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tflite_renaming.named

    def spoiled(*arguments: Any) -> bytes:
        content = named(*arguments)
        weights = np.full((2, 2), 3.0, np.float32).tobytes()
        assert content.count(weights) == 1
        return content.replace(weights, np.full((2, 2), 4.0, np.float32).tobytes())

    monkeypatch.setattr(tflite_renaming, "named", spoiled)
    body = function(lambda x: {"y": x @ np.full((2, 2), 3.0, np.float32)}, spec([None, 2]))
    with pytest.raises(errors.VerificationError):
        tfmagic.export(body, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []

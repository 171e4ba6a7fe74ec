from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.samples import network
from tfmagic import errors
from tfmagic.models.model import Part
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(0).random((5, 4), dtype=np.float32)


def converted(functions: list[Any]) -> bytes:
    """What TensorFlow's own converter makes; without signatures."""
    data = runtime.tensorflow().lite.TFLiteConverter.from_concrete_functions(functions).convert()
    return bytes(data)


def test_a_file_is_run_by_its_keys(samples: Built) -> None:
    done = tfmagic.run(samples["tflite"], {"x": X}, repeat=2)
    np.testing.assert_allclose(done.outputs["y"], network(X), rtol=1e-5, atol=1e-6)
    assert tfmagic.verify(samples["tflite"], samples["tf_function"])["equal"].tolist() == [True]


def test_batches_of_several_sizes(samples: Built) -> None:
    function = tfmagic.inspect(samples["tflite"]).part(Part.FUNCTION)()
    for size in (5, 1, 3):
        np.testing.assert_allclose(function({"x": X[:size]})["y"], network(X[:size]), rtol=1e-5, atol=1e-6)
    assert [end.shape for end in (*function.inputs, *function.outputs)] == [(None, 4), (None, 2)]


def test_a_signature_that_is_not_there(samples: Built) -> None:
    with pytest.raises(errors.UnknownNameError, match="did you mean 'serving_default'"):
        tfmagic.run(samples["tflite"], {"x": X}, signature="serving")


def test_a_file_of_two_signatures(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.twice = tf.function(lambda x: {"y": x * 2.0}, input_signature=[tf.TensorSpec([None], name="x")])
    module.both = tf.function(
        lambda a, b: {"minus": a - b, "long": tf.size(a)},
        input_signature=[tf.TensorSpec([None], name="a"), tf.TensorSpec([None], name="b")],
    )
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"twice": module.twice, "both": module.both})
    path = tmp_path / "m.bin"
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "m")).convert())
    assert tfmagic.run(path, {"x": [1.0, 4.0]}, signature="twice").outputs["y"].tolist() == [2.0, 8.0]
    found = tfmagic.run(path, {"b": [1.0, 1.0, 1.0], "a": [1.0, 2.0, 3.0]}, signature="both").outputs
    assert found["minus"].tolist() == [0.0, 1.0, 2.0]
    assert int(found["long"]) == 3


def test_a_file_without_signatures_is_run_by_its_tensors(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    path = tmp_path / "m.tflite"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        a = tf.compat.v1.placeholder(tf.float32, [None, 2], "a")
        b = tf.compat.v1.placeholder(tf.float32, [None, 2], "b")
        difference = tf.subtract(a, b, name="difference")
        path.write_bytes(tf.compat.v1.lite.TFLiteConverter.from_session(session, [a, b], [difference]).convert())
    given = {"a": np.full((3, 2), 5.0), "b": np.ones((3, 2))}
    np.testing.assert_array_equal(tfmagic.run(path, given).outputs["difference"], np.full((3, 2), 4.0))


def test_text(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    words = keras.layers.StringLookup(vocabulary=["cat", "dog"], name="number")
    tfmagic.export(keras.Sequential([keras.Input((1,), dtype="string", name="word"), words]), tmp_path / "m.tflite")
    found = tfmagic.run(tmp_path / "m.tflite", {"word": [["dog"], ["cat"], ["?"]]}).outputs["number"]
    assert found.tolist() == [[2], [1], [0]]


def test_ops_that_the_interpreter_lacks(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    svd = tf.function(lambda x: tf.linalg.svd(x)[0], input_signature=[tf.TensorSpec([3, 3], name="x")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([svd.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.allow_custom_ops = True
    (tmp_path / "m.tflite").write_bytes(converter.convert())
    with pytest.raises(errors.ConversionError, match=r"does not run in TFLite's interpreter.*Svd"):
        tfmagic.run(tmp_path / "m.tflite", {"x": np.eye(3)}, trust=True)


def test_what_calls_an_interpreter_is_not_written(samples: Built, tmp_path: Path) -> None:
    for name in ("m", "m.pb", "m.tflite"):
        with pytest.raises(
            errors.UnsupportedConversionError, match=r"ops of its own.*give the model that it was made of"
        ):
            tfmagic.export(samples["tflite"], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_merge_with_an_interpreter_runs_here_and_is_not_written(samples: Built, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    doubled = tf.function(lambda a: {"x": a * 2.0}, input_signature=[tf.TensorSpec([None, 4], name="a")])
    merged = tfmagic.merge(doubled, samples["tflite"])
    np.testing.assert_allclose(tfmagic.run(merged, {"a": X / 2}).outputs["y"], network(X), rtol=1e-5, atol=1e-6)
    for name in ("m", "m.pb", "m.tflite"):
        # In this process such a file would even pass its verification.
        with pytest.raises(errors.UnsupportedConversionError, match="call back into Python"):
            tfmagic.export(merged, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2_subgraphs", "has no outputs"),
        ("custom_sinh", "unresolved custom op: Sinh"),
        # TensorFlow 2.18 carries the delegate for TensorFlow's ops, and finds that this op is none of its own.
        ("double_flex", "'FlexDouble'.*links TFLite's Flex delegate|Op type not registered 'Double'"),
        ("test_model_versioned_ops", "failed to prepare"),
    ],
)
def test_real_files_that_do_not_run_say_why(corpus: Path, name: str, message: str) -> None:
    path = corpus / "tensorflow__tensorflow" / "tensorflow" / "lite" / "testdata" / f"{name}.bin"
    with pytest.raises((errors.ConversionError, errors.MissingDependencyError), match=message):
        tfmagic.run(path, trust=True)


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "op"),
    # TensorFlow has an op Sinh, too, which this one is not.
    [("double_flex", "FlexDouble"), ("test_model_versioned_ops", "testing_op"), ("custom_sinh", "Sinh")],
)
def test_real_files_with_ops_that_nobody_knows_ask_first(corpus: Path, name: str, op: str) -> None:
    path = corpus / "tensorflow__tensorflow" / "tensorflow" / "lite" / "testdata" / f"{name}.bin"
    with pytest.raises(errors.UntrustedCodeError, match=op):
        tfmagic.run(path)

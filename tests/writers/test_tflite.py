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


def test_ops_of_tensorflow_may_come_along(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    body = function(lambda x: {"y": tf.math.cumprod(x) + 1.0}, spec([None, 2]))
    path = tmp_path / "m.tflite"
    done = tfmagic.export(body, path, select_tf_ops=True)
    assert describe(path).foreign == {"FlexCumprod"}
    # Neither LiteRT's interpreter nor TensorFlow's has them any more: what could not be run is said.
    if "Select TensorFlow" in str(caught_by(path)):
        assert done.verification["equal"].isna().all()
        assert any("not verified" in note and "'FlexCumprod'" in note for note in done.notes)
        with pytest.raises(errors.MissingDependencyError, match=r"'FlexCumprod'.*Flex delegate"):
            tfmagic.run(path, {"x": np.ones((1, 2), np.float32)})
        with pytest.raises(errors.MissingDependencyError, match="Flex delegate"):
            tfmagic.export(body, tmp_path / "must.tflite", select_tf_ops=True, verify=True)
        assert [each.name for each in tmp_path.iterdir()] == ["m.tflite"]
    else:
        assert done.verification["equal"].tolist() == [True]


def caught_by(path: Path) -> Exception | None:
    try:
        litert.interpreter(path).allocate_tensors()
    except RuntimeError as error:
        return error
    return None


def test_what_nothing_brings_along_is_told_so(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    body = function(lambda x: {"y": tf.math.erfinv(x)}, spec([None, 2]))
    with pytest.raises(errors.UnsupportedConversionError, match=r"'Erfinv', and none of TensorFlow's own kernels"):
        tfmagic.export(body, tmp_path / "m.tflite", select_tf_ops=True)
    with pytest.raises(errors.ConversionError, match="select_tf_ops=True is for TFLite"):
        tfmagic.export(body, tmp_path / "m.pb", select_tf_ops=True)
    assert list(tmp_path.iterdir()) == []


def test_several_signatures_are_in_one_file(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    image, other = (keras.Input((8,), name=name) for name in ("image", "other"))
    hidden = keras.layers.Dense(700, name="hidden")(image)
    model = keras.Model([image, other], [hidden, keras.layers.Dense(3, name="score")(hidden + other[:, :1])])
    signatures = {
        "two": {"outputs": {"zeta": "score", "alpha": "hidden"}},
        "it's, /": {"inputs": {"in put": "image", "b": "other"}, "outputs": {"s": "score"}},
        "名前": {"outputs": {"hidden": "hidden"}},
    }
    path, one = tmp_path / "m.tflite", tmp_path / "one.tflite"
    done = tfmagic.export(model, path, signatures=signatures)
    assert sorted(done.verification["output"]) == ["it's, //s", "two/alpha", "two/zeta", "名前/hidden"]
    assert done.verification["equal"].all()
    assert not any("not verified" in note for note in done.notes)
    by_key = {each.key: each for each in describe(path).signatures}
    assert {key: list(each.outputs) for key, each in by_key.items()} == {
        "two": ["zeta", "alpha"],
        "it's, /": ["s"],
        "名前": ["hidden"],
    }
    assert list(by_key["it's, /"].inputs) == ["in put", "b"]
    # TFLite's own interpreter, by the keys; weights are there once.
    values = {"image": np.random.default_rng(0).random((2, 8), dtype=np.float32), "other": np.ones((2, 8), np.float32)}
    expected = model([values["image"], values["other"]])
    interpreter = litert.interpreter(path)
    both = interpreter.get_signature_runner("two")(**values)
    named = interpreter.get_signature_runner("it's, /")(**{"in put": values["image"], "b": values["other"]})
    for value, wanted in ((both["alpha"], expected[0]), (both["zeta"], expected[1]), (named["s"], expected[1])):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)
    tfmagic.export(model, one, signatures={"two": signatures["two"]})
    assert path.stat().st_size < one.stat().st_size * 1.3
    # The result is a source with all of them.
    assert set(tfmagic.inspect(path).signatures["signature"]) == set(signatures)
    assert tfmagic.run(path, values, signature="two").outputs["zeta"].shape == (2, 3)


def test_of_several_signatures_one_can_be_named(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    model = dictionary(keras_runtime.keras())
    tfmagic.export(model, tmp_path / "served", signatures={"one": {"outputs": ["o"]}, "two": {"outputs": ["p"]}})
    tfmagic.export(tmp_path / "served", tmp_path / "all.tflite")
    tfmagic.export(tmp_path / "served", tmp_path / "m.tflite", signature="two")
    assert sorted(tf.lite.Interpreter(str(tmp_path / "all.tflite")).get_signature_list()) == ["one", "two"]
    assert list(tf.lite.Interpreter(str(tmp_path / "m.tflite")).get_signature_list()) == ["two"]


def test_what_tensorflow_1_signed_several_times_is_one_file(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        kernel = v1.get_variable("kernel", initializer=np.ones((2, 3), np.float32))
        y = tf.matmul(x, kernel, name="y")
        tf.nn.softmax(y, name="p")
        session.run(v1.global_variables_initializer())
        signatures = {key: {"inputs": {"x": "x:0"}, "outputs": {key: f"{key}:0"}} for key in ("y", "p")}
        done = tfmagic.export(session, tmp_path / "m.tflite", signatures=signatures)
    assert done.verification["equal"].tolist() == [True, True]
    assert {each.key for each in describe(tmp_path / "m.tflite").signatures} == {"y", "p"}


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


def test_a_list_that_grows_needs_kernels_of_tensorflow(tf: Any, tmp_path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x"), tf.TensorSpec([], tf.int32, "n")])  # type: ignore[untyped-decorator]
    def grown(x: Any, n: Any) -> Any:
        _, rows = tf.while_loop(
            lambda step, _: step < n,
            lambda step, rows: (step + 1, rows.write(step, x[step])),
            (0, tf.TensorArray(tf.float32, size=0, dynamic_size=True, element_shape=[3])),
        )
        return {"rows": rows.stack(), "count": rows.size()}

    with pytest.raises(errors.UnsupportedConversionError, match=r"select_tf_ops=True.*Flex delegate"):
        tfmagic.export(grown, tmp_path / "m.tflite")
    assert tfmagic.export(grown, tmp_path / "m.tflite", select_tf_ops=True).path.exists()

from __future__ import annotations

import base64
import gc
import io
import os
import re
import wave
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from IPython.core.error import UsageError

import tfmagic
from tests.samples import WEIGHTS, network
from tfmagic import errors
from tfmagic.commands import completion
from tfmagic.notebook import tf1_cells
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs import model_cache
from tfmagic.verbs.conversion.options import Wish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(0).random((3, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    model_cache.forget()
    yield
    model_cache.forget()


def module(factor: float = 2.0) -> Any:
    tf = runtime.tensorflow()
    made = tf.Module()
    made.factor = tf.Variable(factor, name="factor")
    made.call = tf.function(
        lambda x, shift: {"y": x * made.factor, "z": x + shift},
        input_signature=[tf.TensorSpec([None, 2], name="x"), tf.TensorSpec([], name="shift")],
    )
    return made


def save(path: Path, factor: float = 2.0) -> Path:
    made = module(factor)
    runtime.tensorflow().saved_model.save(made, str(path), signatures={"mine": made.call})
    return path


# run


@pytest.mark.parametrize(
    "name",
    ["keras_model", "module", "tf_function", "loaded_saved_model", "session", "saved_model_tf1", "saved_model_tf2",
     "saved_model_text", "keras_archive", "keras_hdf5", "graph_def", "graph_def_message", "meta_graph"],
)  # fmt: skip
def test_every_form_that_can_runs(samples: Built, name: str) -> None:
    (key,) = {end.key for end in model_cache.load(samples[name], Wish()).function.inputs}
    found = tfmagic.run(samples[name], {key: X})
    (value,) = found.outputs.values()
    np.testing.assert_allclose(value, network(X), rtol=1e-5)
    assert min(found.load_seconds, found.first_seconds, found.warm_seconds) > 0


def test_inputs_go_by_key_or_tensor(samples: Built) -> None:
    signed = tfmagic.inspect(samples["saved_model_tf2"]).signatures
    tensor = signed[signed["side"] == "input"]["tensor"].item()
    for name in ("x", "x:0", tensor, tensor.removesuffix(":0")):
        np.testing.assert_allclose(
            tfmagic.run(samples["saved_model_tf2"], {name: X}).outputs["y"], network(X), rtol=1e-5
        )
    with pytest.raises(errors.ConversionError, match="given twice"):
        tfmagic.run(samples["saved_model_tf2"], {"x": X, "x:0": X})


def test_outputs_are_keys_or_any_tensors(samples: Built) -> None:
    hidden = np.maximum(X @ WEIGHTS["hidden/kernel"] + WEIGHTS["hidden/bias"], 0)
    for name in ("session", "graph_def", "meta_graph", "saved_model_tf1"):
        found = tfmagic.run(samples[name], {"x": X}, outputs=["hidden:0", "y"]).outputs
        assert list(found) == ["hidden", "y"]
        np.testing.assert_allclose(found["hidden"], hidden, rtol=1e-5)
    with pytest.raises(errors.UnknownNameError, match="did you mean 'hidden"):
        tfmagic.run(samples["session"], {"x": X}, outputs=["hiden"])


def test_tensors_themselves_go_for_their_names(samples: Built) -> None:
    session = samples["session"]
    x, hidden, y = (session.graph.get_tensor_by_name(name) for name in ("x:0", "hidden:0", "y:0"))
    before = len(session.graph.get_operations())
    for outputs in (y, [y], {"y": y}):
        np.testing.assert_allclose(tfmagic.run(session, {x: X}, outputs=outputs).outputs["y"], network(X), rtol=1e-5)
    given = np.array([[1.0, 2.0, 3.0]], np.float32)
    expected = given @ WEIGHTS["out/kernel"] + WEIGHTS["out/bias"]
    np.testing.assert_allclose(tfmagic.run(session, {hidden: given}, outputs=y).outputs["y"], expected, rtol=1e-5)
    assert len(session.graph.get_operations()) == before


@pytest.mark.parametrize("given", [X, [X], 3])
def test_values_without_names_are_refused_in_words(samples: Built, given: Any) -> None:
    with pytest.raises(errors.ConversionError, match=r"\{'x': value\}.*the model takes 'x'"):
        tfmagic.run(samples["module"], given)


@pytest.mark.parametrize("name", ["graph_def", "session", "meta_graph"])
def test_any_tensor_of_a_graph_may_be_given(samples: Built, name: str) -> None:
    hidden = np.array([[1.0, 2.0, 3.0]], np.float32)
    expected = hidden @ WEIGHTS["out/kernel"] + WEIGHTS["out/bias"]
    for key in ("hidden:0", "hidden"):
        found = tfmagic.run(samples[name], {key: hidden}, outputs=["y:0"])
        np.testing.assert_allclose(found.outputs["y"], expected, rtol=1e-5)
    with pytest.raises(errors.UnknownNameError, match="did you mean 'hidden"):
        tfmagic.run(samples[name], {"hiden": hidden}, outputs=["y"])


def test_what_is_left_out_is_generated_and_said() -> None:
    made = module()
    found = tfmagic.run(made, {"x": [[1.0, 2.0]]})
    assert found.outputs["y"].tolist() == [[2, 4]]
    assert found.inputs["shift"].shape == ()
    assert any("generated" in note and "'shift'" in note and "'x'" not in note for note in found.notes)
    found = tfmagic.run(made)
    assert set(found.inputs) == {"x", "shift"}
    assert not any("generated" in note for note in tfmagic.run(made, {"x": [[1, 2]], "shift": 1}).notes)


def test_generated_inputs_have_the_batch_of_those_given() -> None:
    tf = runtime.tensorflow()
    specs = [tf.TensorSpec([None, 2], name=name) for name in "ab"]
    add = tf.function(lambda a, b: {"c": a + b}, input_signature=specs)
    assert tfmagic.run(add, {"a": np.zeros((7, 2))}).outputs["c"].shape == (7, 2)


def test_text_is_bytes() -> None:
    tf = runtime.tensorflow()
    echo = tf.function(lambda s: {"t": s}, input_signature=[tf.TensorSpec(None, tf.string, name="s")])
    assert tfmagic.run(echo, {"s": ["ä", "b"]}).outputs["t"].tolist() == ["ä".encode(), b"b"]
    assert tfmagic.run(echo, {"s": b"a\0"}).outputs["t"].item() == b"a\0"


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "match"),
    [
        (
            "float32",
            [None, 2],
            np.zeros(2),
            r"'x' takes float32 \(None, 2\).*float64 \(2,\).*rank is 1, not 2.*value\[None\]",
        ),
        ("float32", [None, 2], np.zeros((1, 3)), r"dimension 1 is 3, not 2"),
        ("float32", [None], ["a"], r"float32.*string \(1,\).*text is no number"),
        ("string", [None], [1], "give text"),
        ("int32", [None], [1.5], r"int32 \(None,\).*float64 \(1,\).*astype\('int32'\)"),
        ("uint8", [None], [256], "from 256 to 256, and uint8 from 0 to 255"),
        ("bool", [None], [1], r"astype\('bool'\)"),
        ("float32", [None], [[1], [1, 2]], "no array"),
    ],
)
def test_what_does_not_fit_is_shown_both(dtype: str, shape: Any, value: Any, match: str) -> None:
    tf = runtime.tensorflow()
    same = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec(shape, dtype, name="x")])
    with pytest.raises(errors.ConversionError, match=match):
        tfmagic.run(same, {"x": value})


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("float32", [1, 2]), ("float32", np.array([0.5])), ("uint8", [255]), ("int64", [True]), ("complex64", [1.0]),
     ("bfloat16", [1.0]), ("float32", [])],
)  # fmt: skip
def test_what_fits_is_cast(dtype: str, value: Any) -> None:
    tf = runtime.tensorflow()
    same = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], dtype, name="x")])
    assert tfmagic.run(same, {"x": value}).outputs["y"].dtype.name == dtype


def test_wrong_names_get_the_nearest_right_ones(tmp_path: Path) -> None:
    with pytest.raises(errors.UnknownNameError, match="did you mean 'shift'"):
        tfmagic.run(module(), {"shfit": 1})
    with pytest.raises(errors.UnknownNameError, match="did you mean 'mine'"):
        tfmagic.run(save(tmp_path / "m"), signature="mien")
    with pytest.raises(errors.ConversionError, match="-1"):
        tfmagic.run(module(), repeat=-1)
    for wrong in ({"repeat": "x"}, {"repeat": 1.5}, {"timeout": "5"}, {"timeout": float("nan")}):
        with pytest.raises(errors.ConversionError, match="number of"):
            tfmagic.run(module(), **wrong)


def test_a_model_that_refuses_says_what_it_takes() -> None:
    tf = runtime.tensorflow()
    decode = tf.function(
        lambda wav: {"p": tf.audio.decode_wav(wav)[0]}, input_signature=[tf.TensorSpec([], tf.string, name="wav")]
    )
    with pytest.raises(
        errors.ConversionError, match=r"any inputs generated.*'wav' \(string \(\)\).*inputs of your own"
    ):
        tfmagic.run(decode)
    with pytest.raises(errors.ConversionError, match="does not run on these inputs"):
        tfmagic.run(decode, {"wav": b"no sound"})


def test_a_run_leaves_variables_as_they_were() -> None:
    tf = runtime.tensorflow()
    made = tf.Module()
    made.count = tf.Variable(0)
    made.call = tf.function(lambda: {"n": made.count.assign_add(1)}, input_signature=[])
    assert [tfmagic.run(made, repeat=3).outputs["n"].item() for _ in range(2)] == [1, 1]
    assert made.count.numpy() == 0


def test_a_sound_can_be_heard_where_the_run_is_shown(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    loud = tf.function(lambda x: {"y": tf.abs(x)}, input_signature=[tf.TensorSpec([None, None], name="x")])
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(4000)
        file.writeframes(np.arange(6000, dtype="<i2").tobytes())
    found = tfmagic.run(loud, {"x": tmp_path / "a.wav"})
    assert found.rates == {"x": 4000}
    assert "1.50 s of 4,000 samples a second" in repr(found)
    (address,) = re.findall(
        r'<audio controls src="data:audio/wav;base64,([^"]*)" aria-label="[^"]*1.50 s of 4,000 samples a second"',
        found._repr_html_(),
    )
    with wave.open(io.BytesIO(base64.b64decode(address, validate=True))) as heard:
        assert (heard.getframerate(), heard.getnframes()) == (4000, 6000)
        assert np.allclose(np.frombuffer(heard.readframes(6000), "<i2"), np.arange(6000), atol=1)
    assert "<audio" not in tfmagic.run(loud, {"x": found.inputs["x"]})._repr_html_()


def test_a_run_is_shown_as_text_and_as_html() -> None:
    found = tfmagic.run(module(), {"x": [[1.0, 2.0]]}, repeat=2)
    for shown in (repr(found), found._repr_html_()):
        for word in ("first call", "warm call", "loading", "generated", "float32", "(1, 2)", "2 4"):
            assert word in shown
    assert np.isnan(tfmagic.run(module(), repeat=0).warm_seconds)
    assert "not measured" in repr(tfmagic.run(module(), repeat=0))
    with pytest.raises(AttributeError):
        found.outputs = {}  # type: ignore[misc]


# What stays loaded


def test_a_model_on_disk_stays_loaded_until_it_changes(tmp_path: Path) -> None:
    path = save(tmp_path / "m", 2.0)
    one = tfmagic.run(path, {"x": [[1.0, 1.0]]})
    again = tfmagic.run(str(path), {"x": [[1.0, 1.0]]})
    assert "the model was loaded already" not in one.notes
    assert "the model was loaded already" in again.notes
    assert again.load_seconds < one.load_seconds / 5
    assert "the model was loaded already" not in tfmagic.run(path, outputs=["z"]).notes
    save(path, 3.0)
    os.utime(path / "saved_model.pb", (1, 1))
    assert tfmagic.run(path, {"x": [[1.0, 1.0]]}).outputs["y"].tolist() == [[3, 3]]


def test_a_name_with_a_tilde_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "~no-such-user-as-this", 2.0)
    monkeypatch.chdir(tmp_path)
    assert tfmagic.run("~no-such-user-as-this", {"x": [[1.0, 1.0]]}).outputs["y"].tolist() == [[2, 2]]


def test_few_models_are_kept(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"m{number}", float(number)) for number in range(model_cache.KEPT + 1)]
    for path in paths:
        tfmagic.run(path)
    assert len(model_cache._kept) == model_cache.KEPT
    assert "the model was loaded already" in tfmagic.run(paths[-1]).notes
    assert "the model was loaded already" not in tfmagic.run(paths[0]).notes


def keras_model() -> Any:
    keras = keras_runtime.keras()
    return keras.Sequential([keras.layers.Input((2,), name="x"), keras.layers.Dense(1, name="d")])


def test_a_live_model_is_kept_by_identity_and_not_kept_alive() -> None:
    model = keras_model()
    one, again = tfmagic.run(model), tfmagic.run(model)
    assert [any("already" in note for note in each.notes) for each in (one, again)] == [False, True]
    model.set_weights([np.ones((2, 1)), np.zeros(1)])
    assert tfmagic.run(model, {"x": [[1.0, 2.0]]}).outputs["d"].tolist() == [[3]]
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
    assert not model_cache._kept


def test_a_live_model_with_other_layers_is_traced_again() -> None:
    model = keras_model()
    tfmagic.run(model)
    model.add(keras_runtime.keras().layers.Dense(5, name="e"))
    assert tfmagic.run(model).outputs["e"].shape[1] == 5


def test_a_sessions_values_are_those_of_the_moment() -> None:
    code = (
        "x = tf.placeholder(tf.float32, [], 'x')\nw = tf.get_variable('w', initializer=2.)\ny = tf.multiply(x, w, 'y')"
    )
    namespace: dict[str, Any] = {}
    session = tf1_cells.run(code, namespace).session
    assert tfmagic.run(session, {"x": 3.0}).outputs["y"] == 6
    with session.graph.as_default(), session.as_default():
        namespace["w"].load(5.0)
    assert tfmagic.run(session, {"x": 3.0}).outputs["y"] == 15


# verify


def test_two_models_are_compared(samples: Built) -> None:
    frame = tfmagic.verify(samples["module"], samples["saved_model_tf1"])
    assert list(frame.columns) == ["output", "max_abs", "max_rel", "equal"]
    assert frame["equal"].tolist() == [True]
    assert tfmagic.verify(samples["keras_model"], samples["session"], {"x": X})["equal"].tolist() == [True]


def test_models_that_differ_are_told_apart(tmp_path: Path) -> None:
    frame = tfmagic.verify(save(tmp_path / "a", 2.0), save(tmp_path / "b", 3.0), {"x": [[1.0, 1.0]], "shift": 0})
    assert frame["equal"].tolist() == [False, True]
    assert frame["max_abs"].tolist() == [1, 0]


def test_what_cannot_be_compared_is_an_error(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    one = tf.function(lambda a: {"c": a}, input_signature=[tf.TensorSpec([None], name="a")])
    takes = r"'a' \(float32 \(None,\)\).*'x' \(float32 \(None, 2\)\)"
    with pytest.raises(errors.MissingPartError, match=takes) as raised:
        tfmagic.verify(one, module())
    assert raised.value.available == ("x", "shift")
    noise = tf.function(lambda a: {"c": a + tf.random.normal([1])}, input_signature=[tf.TensorSpec([None], name="a")])
    with pytest.raises(errors.ConversionError, match="draws at random"):
        tfmagic.verify(noise, one)
    decode = tf.function(
        lambda wav: {"p": tf.audio.decode_wav(wav)[0]}, input_signature=[tf.TensorSpec([], tf.string, name="wav")]
    )
    with pytest.raises(errors.ConversionError, match="refused all generated inputs"):
        tfmagic.verify(decode, decode)
    with pytest.raises(errors.UnknownNameError, match="'nothing'"):
        tfmagic.verify(save(tmp_path / "a"), save(tmp_path / "b"), signature="nothing")


# The magics


@pytest.fixture
def shell(in_tmp_path: Path, shell: Any) -> Any:
    save(in_tmp_path / "served")
    shell.user_ns.update(np=np, x=np.ones((1, 2)), made=module(3.0))
    return shell


def test_run_takes_expressions(shell: Any) -> None:
    found = shell.run_line_magic("tf_run", "./served x=(x * 2) shift=np.float32(1) --repeat 3")
    assert found.outputs["y"].tolist() == [[4, 4]]
    found = shell.run_line_magic("tf_run", "./served --signature mine 'x=x + 1' --outputs z shift=3")
    assert {key: value.tolist() for key, value in found.outputs.items()} == {"z": [[5, 5]]}
    for line, match in (
        ("served x", "NAME=EXPR"),
        ("served x=1 x=2", "twice"),
        ("served x=nothing", "NameError"),
        ("served --repeat many", "whole number"),
        ("served x=np.ones((1,3))", r"'x' takes float32 \(None, 2\)"),
    ):
        with pytest.raises(UsageError, match=match):
            shell.run_line_magic("tf_run", line)


def test_verify_and_merge_take_two_sources(shell: Any) -> None:
    frame = shell.run_line_magic("tf_verify", "made served x=x")
    assert frame["equal"].tolist() == [False, True]
    with pytest.raises(UsageError, match="connect"):
        shell.run_line_magic("tf_merge", "made served")
    merged = shell.run_line_magic("tf_merge", "made ./served --connect y=x -o merged")
    assert merged.path.name == "merged"
    found = shell.run_line_magic("tf_run", "merged x=x shift=0 second_shift=0")
    assert found.outputs["y"].tolist() == [[6, 6]]
    with pytest.raises(UsageError, match="OUT=IN"):
        shell.run_line_magic("tf_merge", "made served --connect y")


def test_inputs_are_completed(shell: Any) -> None:
    word, proposals = completion.complete("%tf_run served sh", shell.user_ns)
    assert (word, [each.text for each in proposals]) == ("sh", ["shift="])


def test_a_variable_that_nothing_reads_needs_no_value(tmp_path: Path) -> None:
    """Out of TensorFlow 1 a model may hold what its saver leaves out, as TensorFlow's loaders run it."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [2], name="x")
        kept = v1.Variable([2.0, 3.0], name="kept", use_resource=True)
        v1.Variable([0.0], name="left", use_resource=True)
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": x * kept})
        session.run(kept.initializer)
        builder = v1.saved_model.Builder(str(tmp_path / "m"))
        signatures = {"serving_default": signature}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, saver=v1.train.Saver([kept]))
        builder.save()
    assert tfmagic.run(tmp_path / "m", {"x": [1.0, 1.0]}).outputs["y"].tolist() == [2.0, 3.0]

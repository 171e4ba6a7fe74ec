"""What is written and not run leaves its variables' values on the disk until each is written."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors, readers
from tfmagic.files.checkpoints import tensor_bundle
from tfmagic.functions import NamedFunction
from tfmagic.functions.state import stored_variables
from tfmagic.models.model import Part
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.verification import trial_run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
X = np.arange(8, dtype="float32").reshape(2, 4) / 8


def _saved(place: Path) -> Any:
    """Save a module with variables of several dtypes, one of them deep inside, and return it."""
    tf = runtime.tensorflow()
    module, inner = tf.Module(), tf.Module()
    module.inner = [inner]
    inner.kernel = tf.Variable(np.arange(16, dtype="float32").reshape(4, 4), name="kernel")
    module.half = tf.Variable(tf.cast([0.5, 1.5, 2.5, 3.5], tf.bfloat16), trainable=False, name="half")
    module.steps = tf.Variable(np.int64(7), trainable=False, name="steps")
    module.label = tf.Variable("seven", trainable=False, name="label")

    def call(x: Any) -> Any:
        y = x @ inner.kernel + tf.cast(module.half, tf.float32) * tf.cast(module.steps, tf.float32)
        return {"y": y, "label": tf.identity(module.label)}

    module.call = tf.function(call, input_signature=[tf.TensorSpec([None, 4], name="x")])
    tf.saved_model.save(module, str(place), signatures=module.call)
    return module


def test_a_copy_has_the_values_and_keys_of_one_that_was_verified(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    _saved(tmp_path / "source")
    tfmagic.export(tmp_path / "source", tmp_path / "written", verify=False)
    tfmagic.export(tmp_path / "source", tmp_path / "checked")
    checkpoints = [tf.train.load_checkpoint(str(tmp_path / name / "variables" / "variables")) for name in _TWO]
    keys = [sorted(each.get_variable_to_shape_map()) for each in checkpoints]
    assert keys[0] == keys[1]
    assert "inner/0/kernel/.ATTRIBUTES/VARIABLE_VALUE" in keys[0]
    for key in keys[0]:
        written, checked = (each.get_tensor(key) for each in checkpoints)
        np.testing.assert_array_equal(written, checked, key)
    loaded = tf.saved_model.load(str(tmp_path / "written"))
    result = loaded.signatures["serving_default"](x=tf.constant(X))
    np.testing.assert_allclose(
        result["y"], X @ np.arange(16, dtype="float32").reshape(4, 4) + 7 * np.array([0.5, 1.5, 2.5, 3.5])
    )
    assert result["label"].numpy() == b"seven"
    assert [each.trainable for each in loaded.variables] == [each.name == "kernel:0" for each in loaded.variables]


_TWO = ("written", "checked")


def test_no_value_is_loaded_of_what_is_only_written(tmp_path: Path) -> None:
    _saved(tmp_path / "source")
    function = readers.read(str(tmp_path / "source")).to_be_written().part(Part.FUNCTION)()
    variables = list(function.concrete.graph.variables)
    assert variables
    for variable in variables:
        assert stored_variables.stored_value(variable) is not None
        assert not variable.is_initialized()
    stored_variables.restore(variables)
    np.testing.assert_allclose(function({"x": X})["y"][0, 0], X[0] @ np.arange(0, 16, 4) + 3.5)


def test_a_model_that_keras_exports_comes_out_with_its_weights(tmp_path: Path) -> None:
    keras = keras_runtime.keras()
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    model.export(str(tmp_path / "source"))
    tfmagic.export(tmp_path / "source", tmp_path / "copy", verify=False)
    (result,) = tfmagic.run(
        tmp_path / "copy", {tfmagic.inspect(tmp_path / "copy").signatures["key"][0]: X}
    ).outputs.values()
    np.testing.assert_allclose(result, model(X), rtol=1e-6)


def _save_product(place: Path, factor: float) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.factor = tf.Variable([factor] * 4, name="factor")
    module.call = tf.function(lambda x: {"x": x * module.factor}, input_signature=[tf.TensorSpec([None, 4], name="x")])
    tf.saved_model.save(module, str(place), signatures=module.call)


@pytest.mark.parametrize("output", ["merged", "merged.pb"])
def test_two_are_merged_without_being_loaded(tmp_path: Path, output: str) -> None:
    for name, factor in (("first", 2.0), ("second", 3.0)):
        _save_product(tmp_path / name, factor)
    tfmagic.merge(tmp_path / "first", tmp_path / "second", output=tmp_path / output, verify=False)

    model = tfmagic.inspect(tmp_path / output)
    (result,) = tfmagic.run(model, {model.signatures["key"][0]: X}).outputs.values()
    np.testing.assert_allclose(result, 6 * X)


def test_what_a_table_learned_is_not_left_behind(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.scale = tf.Variable(2.0, name="scale")
    module.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, -1.0)
    module.table.insert(tf.constant(["a", "b"]), tf.constant([10.0, 20.0]))
    module.call = tf.function(
        lambda word: {"y": module.table.lookup(word) * module.scale},
        input_signature=[tf.TensorSpec([None], tf.string, name="word")],
    )
    tf.saved_model.save(module, str(tmp_path / "source"), signatures=module.call)
    tfmagic.export(tmp_path / "source", tmp_path / "copy", verify=False)
    result = tfmagic.run(tmp_path / "copy", {"word": ["b", "a", "c"]}).outputs["y"]
    np.testing.assert_array_equal(result, [40, 20, -2])


def test_a_table_that_never_changes_comes_with_the_variables_beside_it(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.scale = tf.Variable(2.0, name="scale")
    module.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [10.0, 20.0]), -1.0)
    module.call = tf.function(
        lambda word: {"y": module.table.lookup(word) * module.scale},
        input_signature=[tf.TensorSpec([None], tf.string, name="word")],
    )
    tf.saved_model.save(module, str(tmp_path / "source"), signatures=module.call)
    tfmagic.export(tmp_path / "source", tmp_path / "copy", verify=False)
    np.testing.assert_array_equal(tfmagic.run(tmp_path / "copy", {"word": ["b", "c"]}).outputs["y"], [40, -2])


def test_a_damaged_value_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    _saved(tmp_path / "source")
    shard = tmp_path / "source" / "variables" / "variables.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    kernel = np.arange(16, dtype="float32").tobytes()
    data[data.index(kernel) + 20] ^= 1
    shard.write_bytes(data)
    with pytest.raises(errors.CorruptSourceError, match="checksum"):
        tfmagic.export(tmp_path / "source", tmp_path / "copy", verify=False)
    assert [each.name for each in tmp_path.iterdir()] == ["source"]


def _large(place: Path) -> Any:
    """Save a product with a matrix of more than a megabyte, and return its function, loaded from the directory."""
    tf = runtime.tensorflow()
    module = tf.Module()
    module.kernel = tf.Variable(np.eye(600, dtype="float32") * 2, name="kernel")
    module.call = tf.function(
        lambda x: {"y": x @ module.kernel}, input_signature=[tf.TensorSpec([None, 600], name="x")]
    )
    tf.saved_model.save(module, str(place), signatures=module.call)
    return readers.read(str(place)).to_be_written().part(Part.FUNCTION)()


def test_a_source_lets_go_of_its_weights_before_its_result_is_loaded(tmp_path: Path) -> None:
    source, result = _large(tmp_path / "a"), readers.read(str(tmp_path / "a")).part(Part.FUNCTION)()
    seen = []

    def load() -> Any:
        (kernel,) = source.variables.values()
        seen.append((stored_variables.stored_value(kernel) is not None, kernel.read_value().shape.as_list()))
        return result

    verification = trial_run.verify_in_turn(source, load)
    assert verification.frame["equal"].tolist() == [True]
    assert seen == [(True, [0])]
    x = np.ones((1, 600), "float32")
    np.testing.assert_array_equal(source({"x": x})["y"], 2 * x)


def test_weights_that_differ_are_noticed_in_turn(tmp_path: Path) -> None:
    source = _large(tmp_path / "a")
    other = readers.read(str(tmp_path / "a")).part(Part.FUNCTION)()
    next(iter(other.variables.values())).assign(np.eye(600, dtype="float32") * 3)
    assert trial_run.verify_in_turn(source, lambda: other).differs


def test_a_session_keeps_what_a_comparison_lets_go_of(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 600], "x")
        kernel = v1.get_variable("kernel", initializer=np.eye(600, dtype="float32") * 2)
        tf.matmul(x, kernel, name="y")
        session.run(v1.global_variables_initializer())
        for place in ("frozen.pb", "saved"):
            done = tfmagic.export(session, tmp_path / place, outputs=["y"])
            assert done.verification["equal"].tolist() == [True]
        np.testing.assert_array_equal(session.run("y:0", {"x:0": np.ones((1, 600))}), np.full((1, 600), 2.0))


def _merge_session() -> Any:
    """Return a session of a product with a matrix of more than a megabyte."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    session = v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        x = v1.placeholder(tf.float32, [None, 600], "x")
        kernel = v1.get_variable("kernel_to_merge", initializer=np.eye(600, dtype="float32") * 2)
        tf.matmul(x, kernel, name="y")
        session.run(v1.global_variables_initializer())
    return session


@pytest.mark.parametrize("kind", ["objects", "graphs"])
def test_a_merge_that_is_verified_has_the_weights_in_memory_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    tf = runtime.tensorflow()
    options: dict[str, Any] = {}
    if kind == "objects":
        _saved_to_merge(tmp_path / "a")
        _saved_to_merge(tmp_path / "b")
        halves: list[Any] = [tmp_path / "a", tmp_path / "b"]
    else:
        halves = [_merge_session(), _merge_session()]
        options = {"connect": {"y": "x"}}
    most = 2 * 600 * 600 * 4
    gc.collect()
    present = []
    run = NamedFunction.on_tensors

    def counted(self: NamedFunction, inputs: Any) -> Any:
        variables = [
            each
            for each in gc.get_objects()
            if isinstance(each, tf.Variable) and "kernel_to_merge" in each.name and hasattr(each.handle, "numpy")
        ]
        if tf.executing_eagerly():
            present.append(sum(each.read_value().numpy().nbytes for each in variables))
        return run(self, inputs)

    monkeypatch.setattr(NamedFunction, "on_tensors", counted)
    merged = tfmagic.merge(*halves, output=tmp_path / "merged", **options)
    assert not [note for note in merged.notes if "not verified" in note]
    assert len(present) >= 5  # the whole, both halves, what is to be written, what was
    assert 0 < max(present) <= most


def _saved_to_merge(place: Path) -> None:
    tf = runtime.tensorflow()
    module = tf.Module()
    module.kernel = tf.Variable(np.eye(600, dtype="float32") * 2, name="kernel_to_merge")
    spec = tf.TensorSpec([None, 600], name="x")
    module.call = tf.function(lambda x: {"y": x @ module.kernel}, input_signature=[spec])
    tf.saved_model.save(module, str(place), signatures=module.call)


def test_a_value_that_is_read_as_it_is_run_is_held_once_and_has_to_be_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _large(tmp_path / "a")
    reads = []
    read = tensor_bundle.Checkpoint.read

    def counted(self: Any, name: str, **options: Any) -> Any:
        reads.append(name)
        return read(self, name, **options)

    monkeypatch.setattr(tensor_bundle.Checkpoint, "read", counted)
    x = np.ones((1, 600), "float32")
    np.testing.assert_array_equal(source({"x": x})["y"], 2 * x)
    # TensorFlow has read it into what the variable holds.
    assert reads == []
    stored_variables.let_go(source.variables.values())
    (shard,) = (tmp_path / "a" / "variables").glob("*.data-*")
    data = bytearray(shard.read_bytes())
    data[1000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(errors.CorruptSourceError, match="do not match their checksum"):
        source({"x": x})

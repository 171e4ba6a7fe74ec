"""Sparse and ragged tensors as inputs, outputs and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic.functions import composites
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
INDICES, VALUES, SHAPE = [[0, 1], [1, 2]], [3.0, 4.0], [2, 3]


def sparse() -> Any:
    return runtime.tensorflow().sparse.SparseTensor(INDICES, VALUES, SHAPE)


def check(outputs: dict[str, Any]) -> None:
    assert set(outputs) == {"y", "z_indices", "z_values", "z_dense_shape"}
    np.testing.assert_array_equal(outputs["y"], [3, 4])
    np.testing.assert_array_equal(outputs["z_indices"], INDICES)
    np.testing.assert_array_equal(outputs["z_values"], [6, 8])
    np.testing.assert_array_equal(outputs["z_dense_shape"], SHAPE)


@pytest.mark.parametrize("destination", ["saved", "m.pb"])
def test_a_session_is_cut_at_a_sparse_tensor(tmp_path: Path, destination: str) -> None:
    tf: Any = runtime.tensorflow()
    v1 = tf.compat.v1
    place = tmp_path / destination
    with tf.Graph().as_default():
        session = v1.Session()
        given = v1.sparse_placeholder(tf.float32, [None, 3], "given")
        outputs = {"y": tf.sparse.reduce_sum(given, 1), "z": given * 2.0}
        tfmagic.export(session, place, inputs={"x": given}, outputs=outputs)
    parts = {"x_indices": np.array(INDICES), "x_values": VALUES, "x_dense_shape": np.array(SHAPE)}
    found = tfmagic.inspect(place)
    if destination == "m.pb":
        names = dict(zip(found.ops["name"], found.ops["op"], strict=True))
        assert {"given/indices", "given/values", "z_values"} <= set(names)
        return
    check(tfmagic.run(place, {"x": sparse()}).outputs)
    check(tfmagic.run(place, parts).outputs)
    signature = tf.saved_model.load(str(place)).signatures["serving_default"]
    np.testing.assert_array_equal(signature(**{key: tf.constant(each) for key, each in parts.items()})["y"], [3, 4])
    with tf.Graph().as_default(), v1.Session() as other:
        info = v1.saved_model.load(other, ["serve"], str(place)).signature_def["serving_default"].inputs["x"]
        assert info.coo_sparse.values_tensor_name == "given/values:0"


def test_a_session_is_fed_a_sparse_value() -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        session = v1.Session()
        given = v1.sparse_placeholder(tf.float32, [None, 3], "given")
        total = tf.sparse.reduce_sum(given, 1, name="total")
    ran = tfmagic.run(session, {given: sparse()}, outputs={"y": total, "z": given})
    np.testing.assert_array_equal(ran.outputs["y"], [3, 4])
    np.testing.assert_array_equal(ran.outputs["z_values"], VALUES)


def module() -> Any:
    tf: Any = runtime.tensorflow()

    class Module(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.SparseTensorSpec([None, 3])])  # type: ignore[untyped-decorator]
        def sparse(self, x: Any) -> Any:
            return {"y": tf.sparse.reduce_sum(x, 1), "z": x * 2.0}

        @tf.function(input_signature=[tf.RaggedTensorSpec([None, None])])  # type: ignore[untyped-decorator]
        def ragged(self, rows: Any) -> Any:
            return {"sum": tf.reduce_sum(rows, 1), "twice": rows * 2.0}

    return Module()


@pytest.mark.parametrize("way", ["as it is", "exported", "frozen", "saved by TensorFlow"])
def test_a_function_of_a_sparse_tensor(tmp_path: Path, way: str) -> None:
    source = module()
    subject: Any = source.sparse
    if way == "exported":
        tfmagic.export(source.sparse, tmp_path / "m")
        subject = tmp_path / "m"
    elif way == "frozen":
        subject = tfmagic.freeze(source.sparse)
    elif way == "saved by TensorFlow":
        runtime.tensorflow().saved_model.save(source, str(tmp_path / "m"), signatures=source.sparse)
        subject = tmp_path / "m"
    check(tfmagic.run(subject, {"x": sparse()}).outputs)


def test_one_composite_output_leaves_the_others_usable(tmp_path: Path) -> None:
    source = module()
    runtime.tensorflow().saved_model.save(source, str(tmp_path / "m"), signatures=source.sparse)
    np.testing.assert_array_equal(tfmagic.run(tmp_path / "m", {"x": sparse()}, outputs=["y"]).outputs["y"], [3, 4])
    frozen = tfmagic.freeze(tmp_path / "m", outputs=["y"])
    assert list(frozen.signatures.query("side == 'output'")["key"]) == ["y"]


def test_a_function_of_a_ragged_tensor(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    source = module().ragged
    rows = tf.ragged.constant([[1.0], [2.0, 3.0]])
    tfmagic.export(source, tmp_path / "m")
    for subject in (source, tmp_path / "m"):
        outputs = tfmagic.run(subject, {"rows": rows}).outputs
        np.testing.assert_array_equal(outputs["sum"], [1, 5])
        np.testing.assert_array_equal(outputs["twice_values"], [2, 4, 6])
        np.testing.assert_array_equal(outputs["twice_row_splits"], [0, 1, 3])


def test_a_ragged_signature_of_tensorflow_1(tmp_path: Path) -> None:
    """TensorFlow 2 numbers the parts of such an input."""
    tf: Any = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        rows = v1.ragged.placeholder(tf.float32, 1, [], name="rows")
        twice = rows * v1.get_variable("two", initializer=2.0)
        session.run(v1.global_variables_initializer())
        outputs = {"twice": twice, "sum": tf.reduce_sum(twice, 1)}
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"rows": rows}, outputs)
    done = tfmagic.export(tmp_path / "m", tmp_path / "n")
    assert sorted(done.verification["output"]) == ["sum", "twice_row_splits", "twice_values"]
    assert all(done.verification["equal"])
    info = tfmagic.inspect(tmp_path / "n").signature_def["serving_default"].inputs["rows"]
    assert info.WhichOneof("encoding") == "composite_tensor"
    loaded = tf.saved_model.load(str(tmp_path / "n")).signatures["serving_default"]
    assert set(loaded.structured_input_signature[1]) == {"rows_component_0", "rows_component_1"}
    for source in (tmp_path / "m", tmp_path / "n", tfmagic.freeze(tmp_path / "m")):
        found = tfmagic.run(source, {"rows": tf.ragged.constant([[1.0], [2.0, 3.0]])}).outputs
        assert found["sum"].tolist() == [2, 10]
        assert found["twice_values"].tolist() == [2, 4, 6]


def test_what_a_session_gives_for_a_composite_tensor_is_a_value_for_one(tmp_path: Path) -> None:
    tf: Any = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        words = v1.placeholder(tf.string, [None], "words")
        session = v1.Session()
        split = session.run(tf.strings.split(words), {words: ["a b", "c"]})
    assert type(split).__name__ == "RaggedTensorValue"
    specs = [tf.RaggedTensorSpec([None, None], tf.string), tf.SparseTensorSpec([None, 3], tf.float32)]
    function = tf.function(
        lambda ragged, plain: {"count": ragged.row_lengths(), "sum": tf.sparse.reduce_sum(plain, 1)},
        input_signature=specs,
    )
    tfmagic.export(function, tmp_path / "m")
    values = {"ragged": split, "plain": v1.SparseTensorValue(np.array(INDICES), np.array(VALUES, np.float32), SHAPE)}
    for source in (function, tmp_path / "m"):
        outputs = tfmagic.run(source, values).outputs
        assert (outputs["count"].tolist(), outputs["sum"].tolist()) == ([2, 1], [3.0, 4.0])


def test_the_keys_of_parts() -> None:
    tf = runtime.tensorflow()
    nested = tf.ragged.constant([[[1], [2, 3]], [[4]]])
    assert composites.part_keys("r", nested) == ["r_values", "r_row_splits_0", "r_row_splits_1"]
    for plain in (tf.Variable(1.0), tf.constant(1.0), tf.TensorSpec([1]), np.ones(1), "sparse", None):
        assert not composites.is_composite(plain)

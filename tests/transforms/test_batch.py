from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.keras_samples import MODELS
from tfmagic import errors
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def recurrent() -> Any:
    keras = keras_runtime.keras()
    return keras.Sequential([keras.Input((5, 3), name="steps"), keras.layers.LSTM(4, name="last")])


@pytest.mark.parametrize("name", ["served", "m.pb"])
def test_a_batch_is_fixed_in_any_format(tmp_path: Path, name: str) -> None:
    model = recurrent()
    done = tfmagic.export(model, tmp_path / name, batch=3)
    assert done.verification["equal"].tolist() == [True]
    frame = tfmagic.inspect(tmp_path / name).signatures
    assert frame[frame["side"] == "input"]["shape"].tolist() == [(3, 5, 3)]
    steps = np.random.default_rng(0).random((3, 5, 3), dtype=np.float32)
    np.testing.assert_allclose(tfmagic.run(tmp_path / name, {"steps": steps}).outputs["last"], model(steps), rtol=1e-5)


def test_it_stays_open_otherwise(tmp_path: Path) -> None:
    tfmagic.export(recurrent(), tmp_path / "served")
    assert tfmagic.inspect(tmp_path / "served").signatures["shape"].tolist() == [(None, 5, 3), (None, 4)]


def test_variables_stay_variables(tmp_path: Path) -> None:
    model = MODELS["branching"](keras_runtime.keras())
    tfmagic.export(model, tmp_path / "served", batch=2)
    frame = tfmagic.inspect(tmp_path / "served").variables
    assert frame["size"].sum() == model.count_params()


@pytest.mark.parametrize("batch", [0, -1, 2])
def test_a_batch_that_cannot_be_fixed(tmp_path: Path, batch: int) -> None:
    tf = runtime.tensorflow()
    body = tf.function(lambda x: {"y": x * 2}, input_signature=[tf.TensorSpec([4], tf.float32, "x")])
    with pytest.raises(errors.ConversionError, match="batch"):
        tfmagic.export(body, tmp_path / "served", batch=batch)
    assert list(tmp_path.iterdir()) == []


def test_a_magic_takes_it(shell: Any, tmp_path: Path) -> None:
    shell.user_ns["model"] = recurrent()
    shell.run_line_magic("tf_export", f"model {tmp_path}/m --batch 4")
    assert tfmagic.inspect(tmp_path / "m").signatures["shape"].tolist() == [(4, 5, 3), (4, 4)]


@pytest.mark.parametrize("name", ["served", "m.pb"])
def test_a_graph_keeps_its_nodes(tmp_path: Path, name: str) -> None:
    """A loop over a list, whose elements are as many as the batch, is closed as well."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "inputs")
        weights = v1.get_variable("w", initializer=np.array([[1, 2], [3, 4]], np.float32), use_resource=False)
        y = tf.matmul(tf.map_fn(lambda row: row * 2.0, x), weights, name="scores")
        session.run(v1.global_variables_initializer())
        done = tfmagic.export(session, tmp_path / name, inputs={"a": x}, outputs={"b": y}, batch=3)
        assert done.verification["equal"].tolist() == [True]
        assert session.graph.get_tensor_by_name("inputs:0").shape.as_list() == [None, 2]
    found = tfmagic.inspect(tmp_path / name)
    assert {"inputs", "w", "w/read", "scores"} <= set(found.ops["name"])
    shapes = dict(zip(found.signatures["tensor"], found.signatures["shape"], strict=True))
    assert shapes["inputs:0"] == (3, 2)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests import keras_samples
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def runs(model: Any, values: Any) -> tuple[np.ndarray, np.ndarray]:
    one, other = (next(iter(tfmagic.run(model, {"x": values}, repeat=0).outputs.values())) for _ in range(2))
    return one, other


def noise(*, dropout: bool) -> Any:
    keras = keras_runtime.keras()

    x = keras.Input((4,), name="x")
    return keras.Model(x, keras.layers.Activation("linear", name="y")(keras_samples.noise(keras, dropout=dropout)(x)))


@pytest.mark.parametrize("dropout", [False, True])
def test_a_generator_of_keras_draws_anew_at_each_run(tmp_path: Path, *, dropout: bool) -> None:
    model = noise(dropout=dropout)
    frozen = tfmagic.freeze(model, output=tmp_path / "n.pb")
    assert any("drawn anew at each run, so that two runs differ" in note for note in frozen.notes)
    assert not any("not verified" in note for note in frozen.notes)
    one, other = runs(tmp_path / "n.pb", np.ones((30, 4)))
    assert not np.array_equal(one, other)
    tfmagic.export(model, tmp_path / "saved")
    again = tfmagic.freeze(tmp_path / "saved", output=tmp_path / "again.pb")
    assert any("two runs differ" in note for note in again.notes)
    assert not np.array_equal(*runs(tmp_path / "again.pb", np.ones((30, 4))))
    assert tfmagic.verify(model, tmp_path / "n.pb")["equal"].tolist() == [True]


def test_a_generator_of_tensorflow_draws_anew_at_each_use() -> None:
    tf = runtime.tensorflow()
    generator = tf.random.Generator.from_seed(3)

    @tf.function(input_signature=[tf.TensorSpec([2], name="x")])  # type: ignore[untyped-decorator]
    def drawing(x: Any) -> Any:
        inner = tf.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, y + generator.normal([2])), (0, x))[1]
        return {"a": inner, "b": x + generator.normal([2])}

    frozen = tfmagic.freeze(drawing)
    assert any("two runs differ" in note for note in frozen.notes)
    done = tfmagic.run(frozen, {"x": [0.0, 0.0]}, repeat=0).outputs
    assert not np.array_equal(done["a"], done["b"])
    assert not np.array_equal(done["a"], tfmagic.run(frozen, {"x": [0.0, 0.0]}, repeat=0).outputs["a"])


def test_a_seed_that_stays_is_a_constant() -> None:
    tf = runtime.tensorflow()
    seed = tf.Variable([1, 2])

    @tf.function(input_signature=[tf.TensorSpec([2], name="x")])  # type: ignore[untyped-decorator]
    def drawing(x: Any) -> Any:
        return {"y": x + tf.random.stateless_normal([2], seed)}

    frozen = tfmagic.freeze(drawing)
    assert any("equal seeds give equal runs" in note for note in frozen.notes)
    assert not any("differ" in note for note in frozen.notes)
    one, other = runs(frozen, [0.0, 0.0])
    assert one.tolist() == other.tolist() == drawing(tf.zeros(2))["y"].numpy().tolist()


def test_state_that_later_runs_depend_on_is_told_with_its_value() -> None:
    tf = runtime.tensorflow()
    count, large = tf.Variable(3.0), tf.Variable(tf.linspace(-1.0, 2.0, 50))

    @tf.function(input_signature=[tf.TensorSpec([], name="x")])  # type: ignore[untyped-decorator]
    def counting(x: Any) -> Any:
        y = x + count + large[0]
        count.assign_add(1.0)
        large.assign(large * 2.0)
        return {"y": y}

    notes = tfmagic.freeze(counting).notes
    assert any("begins at the value that it has now: 3.0" in note for note in notes)
    assert any("now: float32 (50,) from -1 to 2" in note for note in notes)


def test_the_state_of_a_recurrent_layer_is_told() -> None:
    keras = keras_runtime.keras()
    x = keras.Input(batch_shape=(1, 3, 2), name="x")
    model = keras.Model(x, keras.layers.GRU(5, stateful=True, name="y")(x))
    assert any("now: float32 (1, 5) from 0 to 0" in note for note in tfmagic.freeze(model).notes)

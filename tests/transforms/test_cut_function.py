"""The part of a function between tensors of its graph: nothing of the rest is run, or asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.samples import network
from tfmagic import errors
from tfmagic.runtime.tensorflow import tensorflow

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow

X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)


def inner(path: Path, op: str) -> str:
    """Return the name of a node inside of the function that a signature runs."""
    ops = tfmagic.inspect(path).ops
    found = ops[(ops["function"] != "") & (ops["op"] == op)]
    return str(found["name"].iloc[0])


@pytest.fixture
def served(samples: Built, tmp_path: Path) -> Path:
    tfmagic.export(samples["keras_model"], tmp_path / "served")
    return tmp_path / "served"


@pytest.fixture
def hidden(samples: Built) -> Any:
    """What the layer in the middle gives."""
    return samples["keras_model"].get_layer("hidden")(X).numpy()


def test_a_tensor_inside_becomes_an_output_without_the_variables_behind_it(
    served: Path, hidden: Any, tmp_path: Path
) -> None:
    relu = inner(served, "Relu")
    np.testing.assert_allclose(tfmagic.run(served, {"x": X}, outputs=[relu]).outputs[relu], hidden, rtol=1e-5)
    made = tfmagic.export(served, tmp_path / "cut", outputs={"features": relu})
    assert made.verification["equal"].tolist() == [True]
    # Two of four variables are behind it.
    assert len(tfmagic.inspect(tmp_path / "cut").variables) == 2


def test_a_tensor_inside_becomes_the_input(served: Path, hidden: Any, tmp_path: Path) -> None:
    relu = inner(served, "Relu")
    tfmagic.export(served, tmp_path / "head", inputs={"hidden": relu})
    done = tfmagic.run(tmp_path / "head", {"hidden": hidden})
    np.testing.assert_allclose(next(iter(done.outputs.values())), network(X), rtol=1e-5)


def test_what_waits_for_an_input_has_it_already() -> None:
    tf = tensorflow()

    def function(x: Any, y: Any) -> Any:
        with tf.control_dependencies([y]):
            doubled = tf.multiply(x, 2.0, name="doubled")
        return {"z": tf.add(doubled, y, name="sum")}

    signature = [tf.TensorSpec([None], name="x"), tf.TensorSpec([], name="y")]
    traced = tf.function(function, input_signature=signature)
    done = tfmagic.run(traced, {"x": [1.0], "y": 5.0}, outputs=["doubled"])
    assert done.outputs["doubled"].tolist() == [2.0]


def test_what_waits_for_a_tensor_inside_that_is_an_input_needs_nothing_above_it() -> None:
    tf = tensorflow()

    def function(x: Any, y: Any) -> Any:
        tripled = tf.multiply(y, 3.0, name="tripled")
        with tf.control_dependencies([tripled]):
            return {"z": tf.add(tf.multiply(x, 2.0), tripled, name="sum")}

    signature = [tf.TensorSpec([None], name="x"), tf.TensorSpec([], name="y")]
    traced = tf.function(function, input_signature=signature)
    done = tfmagic.run(tfmagic.freeze(traced, inputs=["x", "tripled"], verify=False), {"x": [1.0], "tripled": 5.0})
    assert done.outputs["z"].tolist() == [7.0]


# Layers of a live model


def test_a_layer_of_a_live_model_is_named_as_an_output(samples: Built, hidden: Any, tmp_path: Path) -> None:
    model = samples["keras_model"]
    made = tfmagic.export(model, tmp_path / "features", outputs={"features": "hidden", "out": "out"})
    assert made.verification["equal"].tolist() == [True, True]
    done = tfmagic.run(tmp_path / "features", {"x": X})
    np.testing.assert_allclose(done.outputs["features"], hidden, rtol=1e-5)
    np.testing.assert_allclose(done.outputs["out"], network(X), rtol=1e-5)
    frozen = tfmagic.freeze(model, outputs=["hidden"])
    assert list(frozen.signatures["key"]) == ["x", "hidden"]


def test_a_layer_that_there_is_not_is_told(samples: Built, tmp_path: Path) -> None:
    with pytest.raises(errors.UnknownNameError, match="hiden"):
        tfmagic.export(samples["keras_model"], tmp_path / "m", outputs={"a": "hidden", "b": "hiden"})

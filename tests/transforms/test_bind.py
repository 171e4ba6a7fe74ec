"""Inputs that become constants, of graphs and of functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def _session() -> Any:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None], name="x")
        rate = v1.placeholder_with_default(3.0, [], name="rate")
        tf.multiply(x, v1.placeholder(tf.float32, [], name="keep") * rate, name="y")
    return v1.Session(graph=graph)


def _function() -> Any:
    tf = runtime.tensorflow()
    specs = [tf.TensorSpec([None], name="x"), tf.TensorSpec([], name="keep"), tf.TensorSpec([], name="rate")]
    return tf.function(lambda x, keep, rate: {"y": x * keep * rate}, input_signature=specs)


@pytest.mark.parametrize("source", [_session, _function])
@pytest.mark.parametrize("place", ["m", "m.pb"])
def test_a_bound_input_is_none(source: Any, place: str, tmp_path: Path) -> None:
    tfmagic.export(source(), tmp_path / place, outputs=["y"], bind={"keep": 2.0, "rate": 5.0})
    signatures = tfmagic.inspect(tmp_path / place).signatures
    assert list(signatures[signatures["side"] == "input"]["key"]) == ["x"]
    assert tfmagic.run(tmp_path / place, {"x": [1.0]}).outputs["y"].tolist() == [10.0]


def test_a_bound_placeholder_keeps_its_name() -> None:
    frozen = tfmagic.freeze(_session(), bind={"keep": 2.0})
    assert {node.name: node.op for node in frozen.graph_def.node}["keep"] == "Const"


@pytest.mark.parametrize(
    ("bind", "said"),
    [({"kep": 1.0}, "'keep'"), ({"keep": [1.0, 2.0]}, "shape"), ({"keep": "often"}, "cannot be bound")],
)
def test_what_does_not_fit_is_refused(bind: dict[str, Any], said: str) -> None:
    for source in (_session, _function):
        with pytest.raises(tfmagic.errors.TfMagicError, match=said):
            tfmagic.freeze(source(), bind=bind)


@pytest.mark.parametrize("source", [_session, _function])
@pytest.mark.parametrize("place", ["m", "m.pb"])
def test_what_is_bound_and_an_input_as_well_is_refused(source: Any, place: str, tmp_path: Path) -> None:
    with pytest.raises(tfmagic.errors.ConversionError, match="'keep' is named as an input and bound"):
        tfmagic.export(source(), tmp_path / place, inputs=["x", "keep", "rate"], outputs=["y"], bind={"keep": 2.0})


def test_a_line_binds(shell: Any) -> None:
    shell.user_ns["session"] = _session()
    shell.user_ns["half"] = 0.5
    found = shell.run_line_magic("tf_freeze", "session --bind keep=half --bind rate=4.0")
    np.testing.assert_array_equal(tfmagic.run(found, {"x": [1.0]}).outputs["y"], [2.0])

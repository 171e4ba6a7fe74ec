"""Branches of TensorFlow 1 that a bound input decides, and what else kept such graphs from being frozen.

From public reports: a frozen batch norm "was passed float … incompatible with expected float_ref" (tensorflow #3628,
facenet #740, tensorflow-onnx #77), which TensorFlow's own tools write without a word and nothing imports.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("control_flow_v1")]
_X = np.random.default_rng(0).random((3, 4), np.float32)


def _session(tf: Any, build: Callable[[Any, Any], Any]) -> Any:
    """Return a session on a graph from ``x``, and perhaps ``is_training``, to ``y``."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        tf.identity(build(v1, x), name="y")
        session = v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())
    return session


def _served(tf: Any, path: Path) -> Any:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, ["serve"], str(path))
        return session.run("y:0", {"x:0": _X})


@pytest.mark.parametrize("use_resource", [False, True])
def test_a_batch_norm_is_frozen_without_its_training(tf: Any, tmp_path: Path, use_resource: bool) -> None:  # noqa: FBT001
    def build(v1: Any, x: Any) -> Any:
        is_training = v1.placeholder(tf.bool, [], name="is_training")
        mean = v1.get_variable("mean", [4], initializer=v1.ones_initializer(), use_resource=use_resource)

        def trained() -> Any:
            present = tf.reduce_mean(x, 0)
            with tf.control_dependencies([v1.assign_sub(mean, (mean - present) * 0.1)]):
                # A loop on the side that goes: it would wait for its own rounds for ever.
                return v1.while_loop(lambda i, _: i < 2, lambda i, each: (i + 1, each * 1.0), [0, present])[1]

        deciding = tf.logical_not(tf.logical_not(tf.identity(is_training)))
        return x - v1.cond(deciding, trained, lambda: tf.identity(mean))

    session = _session(tf, build)
    expected = session.run("y:0", {"x:0": _X, "is_training:0": False})
    bound = {"is_training": False}
    frozen = tfmagic.freeze(session, inputs=["x"], outputs=["y"], bind=bound)
    np.testing.assert_allclose(tfmagic.run(frozen, {"x": _X}).outputs["y"], expected)
    assert not [op for op in frozen.ops["op"] if op.endswith(("Switch", "Merge", "Enter", "Assign", "AssignSub"))]
    assert {"mean", "cond/Merge", "y"} <= set(frozen.ops["name"])
    tfmagic.export(session, tmp_path / "m", inputs=["x"], outputs=["y"], bind=bound)
    np.testing.assert_allclose(_served(tf, tmp_path / "m"), expected)
    others: tuple[dict[str, Any], ...] = (
        {"inputs": ["x", "is_training"]},
        {"inputs": ["x"], "bind": {"is_training": True}},
    )
    for options in others:
        with pytest.raises(errors.ConversionError, match="writes to a variable"):
            tfmagic.freeze(session, outputs=["y"], **options)


def test_branches_within_branches_and_functions_are_settled_alike(tf: Any, tmp_path: Path) -> None:
    util: Any = importlib.import_module("tensorflow.python.ops.control_flow_util")

    def build(v1: Any, x: Any) -> Any:
        chosen = v1.placeholder(tf.bool, [], name="chosen")
        inner = v1.cond(chosen, lambda: v1.cond(x[0, 0] > 9.0, lambda: x + 1.0, lambda: x + 2.0), lambda: x + 4.0)
        util.ENABLE_CONTROL_FLOW_V2 = True
        return inner + v1.cond(chosen, lambda: x + 8.0, lambda: x + 16.0)

    session = _session(tf, build)
    for value in (True, False):
        expected = session.run("y:0", {"x:0": _X, "chosen:0": value})
        bound: dict[str, Any] = {"inputs": ["x"], "outputs": ["y"], "bind": {"chosen": value}}
        frozen = tfmagic.freeze(session, **bound)
        np.testing.assert_allclose(tfmagic.run(frozen, {"x": _X}).outputs["y"], expected)
        # What the data decides stays a branch.
        assert ("Switch" in set(frozen.ops["op"])) == value
        assert not {"If", "StatelessIf"} & set(frozen.ops["op"])
        tfmagic.export(session, tmp_path / str(value), **bound)
        np.testing.assert_allclose(_served(tf, tmp_path / str(value)), expected)


def test_whether_a_variable_is_set_is_answered(tf: Any) -> None:
    def build(v1: Any, x: Any) -> Any:
        results = x
        for use_resource in (False, True):
            ones = v1.ones_initializer()
            weight = v1.get_variable(f"w{use_resource}", [4], initializer=ones, use_resource=use_resource)
            with tf.control_dependencies([v1.Assert(v1.is_variable_initialized(weight), ["not set"])]):
                results = tf.identity(results * weight)
        return results

    frozen = tfmagic.freeze(_session(tf, build), inputs=["x"], outputs=["y"])
    np.testing.assert_allclose(tfmagic.run(frozen, {"x": _X}).outputs["y"], _X)
    assert not {"IsVariableInitialized", "VarIsInitializedOp"} & set(frozen.ops["op"])


def test_a_gradient_through_a_loop_is_frozen(tf: Any) -> None:
    """Its stacks live for one run, unlike queues."""

    def build(v1: Any, x: Any) -> Any:
        return v1.gradients(v1.map_fn(tf.sin, x), x)[0]

    frozen = tfmagic.freeze(_session(tf, build), inputs=["x"], outputs=["y"])
    np.testing.assert_allclose(tfmagic.run(frozen, {"x": _X}).outputs["y"], np.cos(_X), rtol=1e-5)
    assert "StackV2" in set(frozen.ops["op"])


@pytest.mark.parametrize("state", ["live", "saved"])
def test_a_function_is_frozen_without_its_training(tf: Any, tmp_path: Path, state: str) -> None:
    """The same of TensorFlow 2, whose branches are functions, one of them within another."""
    module = tf.Module()
    module.mean = tf.Variable(tf.ones([4]), trainable=False)

    def trained(x: Any) -> Any:
        module.mean.assign(module.mean * 0.9)
        return x - tf.reduce_mean(x, 0)

    def call(x: Any, training: Any) -> Any:
        inner = tf.cond(training, lambda: trained(x), lambda: x - module.mean)
        return {
            "y": tf.cond(training, lambda: inner, lambda: tf.cond(training, lambda: trained(x), lambda: inner * 2.0))
        }

    specs = [tf.TensorSpec([None, 4], name="x"), tf.TensorSpec([], tf.bool, name="training")]
    module.call = tf.function(call, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.call)
    source = {"live": module.call, "saved": tmp_path / "m"}[state]
    frozen = tfmagic.freeze(source, bind={"training": False})
    np.testing.assert_allclose(tfmagic.run(frozen, {"x": _X}).outputs["y"], (_X - 1.0) * 2.0, rtol=1e-5)
    assert not {"If", "StatelessIf", "StatefulPartitionedCall"} & set(frozen.ops["op"])
    with pytest.raises(errors.ConversionError, match="writes to a variable"):
        tfmagic.freeze(source)


def test_a_branch_that_is_called_has_a_scope_of_its_own(tf: Any, tmp_path: Path) -> None:
    """TensorFlow puts the branch's ``Identity`` where ``cond/Identity`` is, or ends the process over that."""
    util: Any = importlib.import_module("tensorflow.python.ops.control_flow_util")

    def build(v1: Any, x: Any) -> Any:
        util.ENABLE_CONTROL_FLOW_V2 = True
        training = v1.placeholder(tf.bool, [], name="is_training")
        mean = v1.get_variable("mean", initializer=tf.fill([4], 0.5))

        def updated() -> Any:
            return tf.identity(v1.assign(mean, tf.reduce_mean(x, 0)))

        return x - v1.cond(training, updated, lambda: tf.identity(mean))

    session = _session(tf, build)
    bound: dict[str, Any] = {"inputs": ["x"], "outputs": ["y"], "bind": {"is_training": False}}
    for name in ("m", "m.pb", "m.tflite"):
        done = tfmagic.export(session, tmp_path / name, **bound)
        assert done.verification["equal"].all()
        (value,) = tfmagic.run(tmp_path / name, {"x": _X}).outputs.values()
        np.testing.assert_allclose(value, _X - 0.5, rtol=1e-6)
    np.testing.assert_allclose(_served(tf, tmp_path / "m"), _X - 0.5, rtol=1e-6)
    assert {"cond", "cond/Identity", "y"} <= {node.name for node in tfmagic.inspect(tmp_path / "m").graph_def.node}

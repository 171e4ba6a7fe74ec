from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors
from tfmagic.runtime import tensorflow as runtime

pytestmark = pytest.mark.tensorflow


def training(*, resource: bool) -> Any:
    """Make a session that trains a weight of 3 towards 0: a step of 0.1 along the gradient of w²x/2."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        x = v1.placeholder(tf.float32, [], "x")
        weight = v1.get_variable("weight", initializer=3.0, use_resource=resource)
        loss = tf.multiply(weight * weight, x / 2.0, "loss")
        step = v1.train.GradientDescentOptimizer(0.1).minimize(loss, name="train")
        with tf.control_dependencies([step]):
            tf.identity(weight.read_value() if resource else v1.assign_add(weight, 0.0), "after")
        session = v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())
    return session


@pytest.mark.parametrize("resource", [False, True])
def test_a_training_op_runs_on_copies_of_the_variables(*, resource: bool) -> None:
    session = training(resource=resource)
    ops = len(session.graph.get_operations())
    for outputs in (["train"], [session.graph.get_operation_by_name("train")], {"step": "train"}):
        done = tfmagic.run(session, {"x": 2.0}, outputs=outputs)
        assert [value.item() for value in done.outputs.values()] == [True]
        assert any("ran on copies" in note and "'weight'" in note for note in done.notes)
    done = tfmagic.run(session, {"x": 2.0}, outputs=["train", "after"], repeat=3)
    np.testing.assert_allclose(done.outputs["after"], 3.0 - 0.1 * 3.0 * 2.0, rtol=1e-6)
    weight = "weight/Read/ReadVariableOp:0" if resource else "weight:0"
    assert session.run(weight) == 3
    assert len(session.graph.get_operations()) == ops


def test_what_a_step_needs_and_nobody_gives_is_made_up() -> None:
    done = tfmagic.run(training(resource=True), outputs=["train"])
    assert list(done.inputs) == ["x"]
    with pytest.raises(errors.UnknownNameError, match="did you mean 'train"):
        tfmagic.run(training(resource=True), outputs=["trian"])

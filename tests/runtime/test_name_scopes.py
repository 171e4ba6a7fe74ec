"""Scopes of a trace as the layers are called, in the graph itself and in the bodies of its loops."""

from __future__ import annotations

import importlib
import inspect
import threading
from typing import Any

import numpy as np
import pytest

import tfmagic
from tfmagic.runtime import name_scopes

pytestmark = pytest.mark.tensorflow


def recurrent(keras: Any) -> Any:
    """Return a model whose cells run in loops, under names that a number could be taken for, and their inputs."""
    layers = keras.layers
    steps = keras.Input((4, 3), name="steps")
    stacked = layers.RNN([layers.LSTMCell(3, name="cell"), layers.GRUCell(2, name="cell_1")], name="stack")(steps)
    both = layers.Bidirectional(layers.LSTM(2, name="inner"), name="both")(steps)
    last = layers.Dense(2, name="head")(layers.Concatenate(name="joined")([stacked, both]))
    return keras.Model(steps, last, name="net")


def scopes(graph_def: Any) -> set[str]:
    """Return the scopes of the nodes in all functions of a graph, innermost name alone."""
    nodes = (node.name for function in graph_def.library.function for node in function.node_def)
    return {name.split("/")[-2] for name in nodes if "/" in name}


def test_cells_in_loops_are_called_as_the_user_calls_them(tf: Any) -> None:
    keras = pytest.importorskip("keras")
    model = recurrent(keras)
    steps = np.random.default_rng(0).random((2, 4, 3), dtype=np.float32)
    frozen = tfmagic.freeze(model)
    in_loops = scopes(frozen.graph_def)
    assert {"cell", "cell_1", "lstm_cell"} <= in_loops
    assert not in_loops & {"cell_2", "cell_1_1", "lstm_cell_1", "inner_1"}, in_loops
    np.testing.assert_allclose(tfmagic.run(frozen, {"steps": steps}).outputs["head"], model(steps), rtol=1e-5)
    del tf


def test_layers_in_branches_and_functions_are_called_so_too(tf: Any) -> None:
    """In branches, and in functions of the user's that nobody has called yet."""
    keras: Any = pytest.importorskip("keras")

    class Choice(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="choice")
            self.first, self.second = (keras.layers.Dense(2, name=name) for name in ("first", "second"))

        def build(self, shape: Any) -> None:
            self.first.build(shape)
            self.second.build(shape)

        def call(self, values: Any) -> Any:
            called = tf.function(lambda: self.second(values))
            return tf.cond(tf.reduce_sum(values) > 0.0, lambda: self.first(values), called)

    steps = keras.Input((3,), name="x")
    model = keras.Model(steps, Choice()(steps))
    in_branches = {name for part in tfmagic.inspect(model).ops["name"] for name in part.split("/")[:-1]}
    assert {"first", "second"} <= in_branches
    assert not in_branches & {"first_1", "second_1"}, in_branches


def test_the_scopes_of_the_thread_and_those_of_others_are_left_as_they_were(tf: Any) -> None:
    keras = pytest.importorskip("keras")
    state = importlib.import_module("keras.src.backend.common.global_state")
    model = recurrent(keras)
    opened, others = state.get_global_attribute("name_scope_stack"), []
    before = type(opened), list(opened or ())

    def look() -> None:
        keras.layers.Dense(2)(np.ones((1, 2), np.float32))
        others.append(type(state.get_global_attribute("name_scope_stack")))

    graph = tf.Graph()

    def traced(values: Any) -> Any:
        with name_scopes.without_empty_scopes():
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
            with graph.as_default():
                keras.layers.Dense(2, name="elsewhere")
            return model(values, training=False)

    tf.function(traced).get_concrete_function(tf.TensorSpec([None, 4, 3]))
    opened = state.get_global_attribute("name_scope_stack")
    assert (type(opened), list(opened or ())) == before
    assert others == [list]
    assert inspect.ismethod(graph.name_scope)


def test_keras_tells_of_its_scopes_where_it_did() -> None:
    """A canary: without this the names in loops end in a number."""
    pytest.importorskip("keras")
    heard: list[str] = []
    state = importlib.import_module("keras.src.backend.common.global_state")
    before = state.get_global_attribute("name_scope_stack")
    backend = importlib.import_module("keras.src.backend")
    state.set_global_attribute("name_scope_stack", name_scopes._Scopes((), lambda: heard.append("a scope")))
    try:
        with backend.name_scope("layer"):
            pass
    finally:
        state.set_global_attribute("name_scope_stack", before)
    assert heard == ["a scope"]


def test_without_keras_private_state_names_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("keras")
    monkeypatch.setattr(name_scopes, "_STATE_MODULE", "keras.src.no.such.module")
    frozen = tfmagic.freeze(recurrent(keras))
    assert "lstm_cell_1" in scopes(frozen.graph_def)
    assert any(name.startswith("net/head/") for name in frozen.ops["name"])

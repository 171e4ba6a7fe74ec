"""Two sessions merged: both halves as they were, under scopes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.graph_samples import control_flow
from tests.session_samples import X
from tfmagic.functions.state import value_groups
from tfmagic.graphs import plumbing
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def half(factor: float, *, version: int, resource: bool) -> Any:
    """Build a session whose variable, loop, function and table are called as those of the other half."""
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with control_flow(version), tf.Graph().as_default():
        session = v1.Session()
        x = v1.placeholder(tf.float32, [None, 2], "x")
        weights = v1.get_variable("w", initializer=np.eye(2, dtype=np.float32) * factor, use_resource=resource)
        looped = v1.while_loop(lambda i, _: i < 2, lambda i, z: (i + 1, tf.matmul(z, weights)), [0, x], name="loop")[1]
        content = tf.lookup.KeyValueTensorInitializer(["a"], np.array([factor], np.float32))
        table = v1.lookup.StaticHashTable(content, -1.0, name="table")
        shifted = tf.function(lambda a: a + factor * 100)(looped)
        tf.identity(shifted + table.lookup(tf.constant("a")), "y")
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
    return session


@pytest.mark.parametrize(("version", "resources"), [(1, (False, False)), (2, (False, True)), (1, (True, True))])
def test_nothing_of_the_halves_meets(tmp_path: Path, version: int, resources: tuple[bool, bool]) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    first, second = (
        half(factor, version=version, resource=resource) for factor, resource in zip((2.0, 3.0), resources, strict=True)
    )
    between = first.run("y:0", {"x:0": X})
    expected = second.run("y:0", {"x:0": between})
    done = tfmagic.merge(first, second, connect={"y": "x"}, output=tmp_path / "merged")
    assert not [note for note in done.notes if "not verified" in note], done.notes
    names = {f"{scope}/{op.name}" for scope, each in (("first", first), ("second", second))
             for op in each.graph.get_operations()}  # fmt: skip
    with tf.Graph().as_default() as graph, v1.Session() as session:
        v1.saved_model.load(session, ["serve"], str(tmp_path / "merged"))
        np.testing.assert_allclose(
            session.run(["first/y:0", "second/y:0"], {"first/x:0": X}), [between, expected], rtol=1e-5
        )
        more = {op.name for op in graph.get_operations()} - names
        assert {each for each in more if not each.startswith("save")} <= {
            "init_all_tables", "first/w/Read/ReadVariableOp", "second/w/Read/ReadVariableOp"
        }  # fmt: skip
        if version == 1:
            gradients = tf.gradients(graph.get_tensor_by_name("second/y:0"), v1.trainable_variables())
            assert len(session.run(gradients, {"first/x:0": X})) == 2
    assert {each.name for each in tf.saved_model.load(str(tmp_path / "merged")).variables} == {
        "first/w:0",
        "second/w:0",
    }
    stored = [name for name, _ in tf.train.list_variables(str(tmp_path / "merged" / "variables" / "variables"))]
    assert stored == ["first/w", "second/w"]


def test_the_ends_of_a_half_are_proposed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every edge is followed for that: of a graph of a hundred thousand nodes it takes longer than the edit."""
    halves = [half(factor, version=1, resource=True) for factor in (2.0, 3.0)]
    asked = []
    propose = plumbing._proposed

    def proposed(wiring: Any) -> plumbing.Ends:
        asked.append(len(wiring.names))
        return propose(wiring)

    monkeypatch.setattr(plumbing, "_proposed", proposed)
    tfmagic.merge(*halves, connect={"loop/Exit_1": "x"}, output=tmp_path / "m", verify=False)
    assert len(asked) == len(halves)


def test_a_merge_of_graphs_freezes_under_its_scopes(tmp_path: Path) -> None:
    first, second = half(2.0, version=1, resource=False), half(3.0, version=1, resource=True)
    expected = second.run("y:0", {"x:0": first.run("y:0", {"x:0": X})})
    frozen = tfmagic.merge(first, second, connect={"y": "x"}, freeze=True, output=tmp_path / "m.pb")
    assert {"first/w", "second/w", "first/x", "second/y"} <= {node.name for node in frozen.graph_def.node}
    np.testing.assert_allclose(tfmagic.run(frozen, {"x": X}).outputs["y"], expected, rtol=1e-5)


@pytest.mark.parametrize("order", [("graph", "model"), ("model", "graph")])
def test_a_graph_keeps_its_names_beside_what_can_only_be_called(tmp_path: Path, order: tuple[str, str]) -> None:
    tf: Any = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        session = v1.Session()
        x = v1.placeholder(tf.float32, [None, 2], "x")
        weights = v1.get_variable("w", initializer=np.array([[2, 0], [1, 3]], np.float32), use_resource=False)
        tf.matmul(x, weights, name="y")
        session.run(v1.global_variables_initializer())
    module = tf.Module()
    module.scale = tf.Variable(5.0, name="scale", trainable=False)
    shift = tf.constant([1.0, 2.0])
    inner = tf.function(lambda a: a * module.scale + shift)
    module.call = tf.function(lambda given: {"result": inner(given)}, input_signature=[tf.TensorSpec([None, 2])])
    halves = {"graph": session, "model": module}
    connect = {"y": "given"} if order[0] == "graph" else {"result": "x"}
    done = tfmagic.merge(*(halves[each] for each in order), connect=connect, output=tmp_path / "m")
    assert not [note for note in done.notes if "not verified" in note]
    graph_scope, model_scope = ("first", "second") if order[0] == "graph" else ("second", "first")
    through = {"graph": lambda a: a @ np.array([[2, 0], [1, 3]]), "model": lambda a: a * 5 + [1, 2]}
    expected = through[order[1]](through[order[0]](X))
    names = {f"{graph_scope}/{each}" for each in ("x", "w", "w/read", "y")}
    with tf.Graph().as_default() as graph, v1.Session() as session:
        (signature,) = v1.saved_model.load(session, ["serve"], str(tmp_path / "m")).signature_def.values()
        assert names <= {op.name for op in graph.get_operations()}
        (given,), (wanted,) = signature.inputs.values(), signature.outputs.values()
        np.testing.assert_allclose(session.run(wanted.name, {given.name: X}), expected, rtol=1e-5)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert {each.name: each.trainable for each in loaded.variables} == {
        f"{graph_scope}/w:0": True, f"{model_scope}/scale:0": False
    }  # fmt: skip


@pytest.mark.parametrize("parts", [1, 2])
def test_a_merge_becomes_a_checkpoint_with_its_graph(
    tmp_path: Path, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    if parts > 1:
        monkeypatch.setattr(value_groups, "GROUP_BYTES", 1)
    first, second = half(2.0, version=2, resource=False), half(3.0, version=2, resource=True)
    expected = second.run("y:0", {"x:0": first.run("y:0", {"x:0": X})})
    merged = tfmagic.merge(first, second, connect={"y": "x"})
    tfmagic.export(merged, tmp_path / "m.ckpt")
    tfmagic.export(merged, tmp_path / "m.ckpt", overwrite=True)
    assert [name for name, _ in tf.train.list_variables(str(tmp_path / "m.ckpt"))] == ["first/w", "second/w"]
    with tf.Graph().as_default(), v1.Session() as session:
        saver = v1.train.import_meta_graph(str(tmp_path / "m.ckpt.meta"))
        saver.restore(session, str(tmp_path / "m.ckpt"))
        # What is a reference stays one.
        variables = {each.op.name: each.op.type for each in v1.global_variables()}
        assert variables == {"first/w": "VariableV2", "second/w": "VarHandleOp"}
        np.testing.assert_array_equal(session.run("first/w:0"), np.eye(2) * 2)
        session.run(v1.tables_initializer())
        np.testing.assert_allclose(session.run("second/y:0", {"first/x:0": X}), expected, rtol=1e-5)

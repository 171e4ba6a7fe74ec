"""A session's graph frozen: the nodes are its own, and TensorFlow takes it in the process where it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.session_samples import SITUATIONS, X
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.function_names import name_by_content, rename_functions
from tfmagic.verbs.conversion import plan_names
from tfmagic.verbs.conversion.plan import plan
from tfmagic.verbs.conversion.request import Request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow
_VARIABLES = {"VariableV2", "VarHandleOp", "ReadVariableOp", "ResourceGather"}
#: Nodes that may come besides: a hole's, a gathered variable's axis, what fills a table.
_BESIDES = ("/input_", "/axis", "/keys", "/values", "/fill")


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_nodes_are_the_sessions(name: str, tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    found = SITUATIONS[name](tmp_path)
    tensors = list(found.outputs.values())
    result = tfmagic.freeze(found.session, inputs=list(found.inputs.values()), outputs=tensors)
    before = {node.name: node for node in found.session.graph.as_graph_def().node}
    graph_def = result.graph_def
    for node in graph_def.node:
        assert node.name in before or any(part in node.name for part in _BESIDES), node.name
    assert not {node.op for node in graph_def.node} & _VARIABLES
    for prefix in ("", "again"):
        with tf.Graph().as_default(), v1.Session() as session:
            v1.import_graph_def(graph_def, name=prefix)
            scope = f"{prefix}/" if prefix else ""
            feeds = {f"{scope}{tensor}": value for tensor, value in found.feeds.items()}
            values = session.run([f"{scope}{tensor}" for tensor in tensors], feeds)
        for value, expected in zip(values, found.expected.values(), strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-5)
    # The process that holds the original, with its functions.
    wrapped = v1.wrap_function(lambda: v1.import_graph_def(graph_def, name=""), []).prune(list(found.feeds), tensors)
    given = [
        tf.constant(value, wrapped.graph.get_tensor_by_name(tensor).dtype) for tensor, value in found.feeds.items()
    ]
    for value, expected in zip(wrapped(*given), found.expected.values(), strict=True):
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5)


def test_an_op_that_gives_nothing_is_no_end(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        total = v1.get_variable("total", initializer=1.0, use_resource=True)
        v1.assign_add(total, v1.placeholder("float32", [], name="x"))
        session = v1.Session(graph=graph)
        session.run(v1.global_variables_initializer())
    (write,) = (each for each in graph.get_operations() if each.type == "AssignAddVariableOp")
    for output in (write, write.name):
        with pytest.raises(errors.ConversionError, match=r"gives no tensor \(AssignAddVariableOp\)"):
            tfmagic.export(session, tmp_path / "m", outputs=[output])


@pytest.mark.parametrize("place", ["m", "m.pb"])
def test_what_is_no_input_or_output_of_the_session_is_refused(tmp_path: Path, place: str) -> None:
    """A tensor of another graph may have the same name: that of the cell's last run, say."""
    found, other = (SITUATIONS["two_outputs"](tmp_path) for _ in range(2))
    for side, tensor in (("inputs", "x:0"), ("outputs", "Lu:0")):
        chosen: dict[str, Any] = {"outputs": ["Lu:0"], side: [other.session.graph.get_tensor_by_name(tensor)]}
        with pytest.raises(errors.ConversionError, match=f"'{tensor}' is a tensor of another graph"):
            tfmagic.export(found.session, tmp_path / place, **chosen)
    with pytest.raises(errors.ConversionError, match="one tensor is given as several inputs: 'a', 'b'"):
        tfmagic.export(found.session, tmp_path / place, inputs={"a": "x", "b": "x:0"}, outputs=["Lu:0"])
    assert not (tmp_path / place).exists()


def test_keys_that_no_tensor_bears_get_an_identity(tmp_path: Path) -> None:
    found = SITUATIONS["two_outputs"](tmp_path)
    result = tfmagic.freeze(found.session, outputs={"Lu": "Lu:0", "a b": "Lu:1", "x": "Lu:0"})
    tensors = result.signatures.query("side == 'output'").set_index("key")["tensor"].to_dict()
    assert tensors == {"Lu": "Lu:0", "a b": "a_b:0", "x": "x_1:0"}


def test_a_key_takes_no_name_of_a_node_that_is_left_out(tf: Any, tmp_path: Path) -> None:
    """By ``y:0`` somebody means the labels, whatever the signature calls what the model says."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x, labels = (v1.placeholder(tf.float32, [None], name) for name in ("x", "y"))
        scores = tf.identity(x * 2.0, "scores")
        tf.reduce_sum(scores - labels, name="loss")
        session = v1.Session()
    tfmagic.export(session, tmp_path / "m", inputs=["x"], outputs={"y": "scores"})
    for source, expected in ((session, "y_1"), (tmp_path / "m", "y")):
        frozen = tfmagic.freeze(source, inputs=["x"], outputs={"y": "scores"})
        assert set(frozen.ops["name"]) == {"x", "mul/y", "mul", "scores", expected}
        assert frozen.signatures["tensor"].iloc[-1] == f"{expected}:0"
    model = tfmagic.inspect(session)
    request = Request("graph_def", "m.pb", inputs="x", outputs="y=scores")
    planned = plan(model, request, plan_names.Names(plan_names.signed(model))).cautions
    done = tfmagic.export(session, tmp_path / "m.pb", inputs=["x"], outputs={"y": "scores"})
    for notes in (planned, done.notes):
        assert any("'y' is 'y_1'" in note for note in notes), notes


def test_a_key_may_be_the_name_of_a_scope(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None], "x")
        tf.identity(x * 2.0, "logits/BiasAdd")
        session = v1.Session()
    ends: dict[str, Any] = {"inputs": ["x"], "outputs": {"logits": "logits/BiasAdd"}}
    done = tfmagic.export(session, tmp_path / "m.pb", **ends)
    assert not any("cannot hold every key" in note for note in done.notes), done.notes
    graph_def = v1.GraphDef.FromString((tmp_path / "m.pb").read_bytes())
    for name in ("", "prefix"):
        with v1.Session(graph=tf.Graph()) as loaded:
            tf.import_graph_def(graph_def, name=name)
            scope = f"{name}/" if name else ""
            assert loaded.run(f"{scope}logits:0", {f"{scope}x:0": [1.0]}) == [2.0]


def test_what_is_kept_can_be_initialised_and_assigned(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    found = SITUATIONS["default_value"](tmp_path)
    done = tfmagic.freeze(found.session, outputs=["y"], keep_variables=["w"], output=tmp_path / "m.pb")
    assert not any("updates" in note for note in done.notes), done.notes
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.import_graph_def(tf.compat.v1.GraphDef.FromString((tmp_path / "m.pb").read_bytes()), name="")
        session.run("w/Assign")
        np.testing.assert_allclose(session.run("y:0", {"x:0": X}), found.expected["y"])
    with pytest.raises(tfmagic.errors.UnknownNameError, match="variable 'v'"):
        tfmagic.freeze(found.session, outputs=["y"], keep_variables=["v"])


def test_variables_of_what_is_called_are_not_kept_without_a_word(samples: Built) -> None:
    for name in ("keras_model", "saved_model_tf2"):
        with pytest.raises(tfmagic.errors.ConversionError, match="keep_variables= "):
            tfmagic.freeze(samples[name], keep_variables=["dense/kernel"])


def _library(factor: float) -> Any:
    tf = runtime.tensorflow()
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [2], "x")
        looped = tf.while_loop(lambda i, _: i < 3, lambda i, z: (i + 1, z * factor), [0, x], name="w")[1]
        tf.identity(looped, "y")
    return protos.adopt(graph.as_graph_def())


def test_functions_of_one_name_and_other_content_get_other_names() -> None:
    tf = runtime.tensorflow()
    graphs = [_library(2.0), _library(10.0)]
    for graph_def in graphs:
        own = {function.signature.name: f"loop_{place}" for place, function in enumerate(graph_def.library.function)}
        rename_functions(graph_def, own)
        name_by_content(graph_def)

    def inside(graph_def: Any) -> float:
        native = protos.native(graph_def)
        wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(native, name=""), [])
        return float(wrapped.prune("x:0", "y:0")(tf.ones(2)).numpy()[0])

    assert [inside(graph_def) for graph_def in graphs] == [8, 1000]
    names = [function.signature.name for function in graphs[0].library.function]
    name_by_content(graphs[0])
    assert names == [function.signature.name for function in graphs[0].library.function]

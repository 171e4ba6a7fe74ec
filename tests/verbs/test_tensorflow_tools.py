"""What TensorFlow's own tools and suites ask of SavedModels and frozen graphs, asked of those that are made here.

``saved_model_cli``, ``freeze_graph`` and ``convert_variables_to_constants_v2`` read what was written; the models of
their suites (constants alone, variables, variables made at the first call) are frozen without variables and calls.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
_GIVEN = np.array([[1.0, 2.0, 3.0]], np.float32)


@pytest.fixture
def session(tf: Any) -> Any:
    """A graph of TensorFlow 1 with variables, as articles have it."""
    graph = tf.Graph()
    with graph.as_default():
        inputs = tf.compat.v1.placeholder(tf.float32, [None, 3], name="inputs")
        weight = tf.compat.v1.get_variable("encoder/weight", initializer=tf.constant([[1.0], [2.0], [3.0]]))
        tf.identity(tf.matmul(inputs, weight, name="encoder/product"), name="prediction")
        running = tf.compat.v1.Session(graph=graph)
        running.run(tf.compat.v1.global_variables_initializer())
    return running


def _cli() -> Any:
    return importlib.import_module("tensorflow.python.tools.saved_model_cli")


def test_saved_model_cli_shows_and_runs_an_export(session: Any, tmp_path: Path) -> None:
    tfmagic.export(
        session, tmp_path / "m", inputs={"Image data": "inputs"}, outputs={"in-2": "prediction"}, signature="predict it"
    )
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        _cli()._show_all(str(tmp_path / "m"))
    for text in ("signature_def['predict it']", "inputs['Image data']", "outputs['in-2']", "name: inputs:0"):
        assert text in shown.getvalue()
    with contextlib.redirect_stdout(io.StringIO()):
        _cli().run_saved_model_with_feed_dict(
            str(tmp_path / "m"), "serve", "predict it", {"Image data": _GIVEN}, str(tmp_path), overwrite_flag=True
        )
    np.testing.assert_allclose(np.load(tmp_path / "in-2.npy"), [[14.0]])


def test_freeze_graph_freezes_an_export(tf: Any, session: Any, tmp_path: Path) -> None:
    tfmagic.export(session, tmp_path / "m", inputs={"x": "inputs"}, outputs={"y": "prediction"})
    freeze_graph = importlib.import_module("tensorflow.python.tools.freeze_graph").freeze_graph
    file = tmp_path / "theirs.pb"
    unused = ("input_graph", "input_saver", "input_checkpoint", "restore_op_name", "filename_tensor_name")
    nothing = dict.fromkeys((*unused, "initializer_nodes"))
    # It works in the default graph, in which other tests may have left nodes.
    with tf.Graph().as_default():
        freeze_graph(
            **nothing, input_binary=True, output_node_names="prediction", output_graph=str(file), clear_devices=True,
            input_saved_model_dir=str(tmp_path / "m"), saved_model_tags="serve",
        )  # fmt: skip
    tfmagic.freeze(tmp_path / "m", output=tmp_path / "ours.pb")
    for path in (file, tmp_path / "ours.pb"):
        graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        assert {"inputs", "encoder/weight", "encoder/product"} <= {node.name for node in graph_def.node}
        with tf.Graph().as_default(), tf.compat.v1.Session() as frozen:
            tf.graph_util.import_graph_def(graph_def, name="")
            np.testing.assert_allclose(frozen.run("encoder/product:0", {"inputs:0": _GIVEN}), [[14.0]])


def _models(tf: Any) -> dict[str, Any]:
    """Return functions as the suite of ``convert_to_constants`` has them, each of which takes a vector of one."""

    class Lazy(tf.Module):  # type: ignore[misc]
        """Its variables are made at the first call."""

        def __init__(self) -> None:
            super().__init__()
            self.first: Any = None
            self.second: Any = None

        @tf.function  # type: ignore[untyped-decorator]
        def add(self, x: Any) -> Any:
            if self.first is None:
                self.first = tf.Variable(2.0)
            return x + self.first

        @tf.function  # type: ignore[untyped-decorator]
        def sub(self, x: Any) -> Any:
            if self.second is None:
                self.second = tf.Variable(3.0)
            return x - self.second

    one, other = tf.Variable(3.0), tf.Variable(2.0)
    lazy = Lazy()
    functions = {
        "constants": tf.function(lambda x: 2.0 * x),
        "variables": tf.function(lambda x: one * other * x),
        "add": lazy.add,
        "sub": lazy.sub,
    }
    for function in functions.values():
        function(tf.constant([1.0]))
    return {**functions, "holder": lazy}


@pytest.mark.parametrize(("name", "expected"), [("constants", 4.0), ("variables", 12.0), ("add", 4.0), ("sub", -1.0)])
@pytest.mark.parametrize("kind", ["live", "saved"])
def test_a_frozen_graph_has_neither_variables_nor_calls(
    tf: Any, tmp_path: Path, name: str, expected: float, kind: str
) -> None:
    functions = _models(tf)
    source: Any = functions[name]
    if kind == "saved":
        tfmagic.export(source, tmp_path / "m")
        source = tmp_path / "m"
    frozen = tfmagic.freeze(source)
    assert not {"ReadVariableOp", "VarHandleOp", "PartitionedCall", "StatefulPartitionedCall"} & set(frozen.ops["op"])
    assert frozen.functions.empty
    assert tfmagic.run(frozen, {"x": [2.0]}).outputs["output_0"] == [expected]


def test_what_was_exported_is_frozen_by_tensorflow_itself(tf: Any, tmp_path: Path) -> None:
    tfmagic.export(_models(tf)["variables"], tmp_path / "m")
    convert = importlib.import_module("tensorflow.python.framework.convert_to_constants")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    frozen = convert.convert_variables_to_constants_v2(loaded.signatures["serving_default"])
    assert not [node for node in frozen.graph.as_graph_def().node if node.op == "ReadVariableOp"]
    assert frozen(tf.constant([2.0]))[0].numpy() == [12.0]
    assert tfmagic.run(frozen, {"x": [2.0]}).outputs["output_0"] == [12.0]

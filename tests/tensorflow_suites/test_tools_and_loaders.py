"""What TensorFlow's suites of its tools and of its older loader try, asked of exports and frozen graphs made here.

Of ``saved_model_cli_test``, ``loader_test``, ``simple_save_test`` and ``graph_util_test``: what the tools print of a
result is what is shown of it here, a result is loaded piece by piece, and a graph is cut to the nodes to which
TensorFlow's own functions cut it.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.graph_samples import control_flow
from tests.tensorflow_suites.initialised_sessions import initialised
from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.tensorflow

_X = np.array([[1.0, 2.0]], np.float32)


def _printed(call: Callable[..., None], *arguments: object) -> str:
    """Return what a tool prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        call(*arguments)
    return text.getvalue()


def _cli() -> Any:
    return importlib.import_module("tensorflow.python.tools.saved_model_cli")


@pytest.fixture
def session(tf: Any) -> Any:
    """A graph with a variable, a vector of any length, a text, and a tensor of which no rank is known."""

    def build(v1: Any) -> None:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        v1.placeholder(tf.string, None, name="word")
        weight = v1.get_variable("w", initializer=np.eye(2, dtype=np.float32) * 3, use_resource=False)
        tf.matmul(x, weight, name="y")
        tf.cast(tf.reduce_sum(x, 1), tf.int64, name="whole")
        tf.strings.length(v1.get_default_graph().get_tensor_by_name("word:0"), name="length")

    return initialised(tf, build)


_SIGNATURES: dict[str, dict[str, Any]] = {
    "serving_default": {"inputs": {"X in": "x"}, "outputs": {"b": "y", "a": "whole"}, "method": "predict"},
    "words": {"inputs": {"Word": "word"}, "outputs": {"length": "length"}},
}


def test_a_tool_prints_of_a_result_what_is_shown_of_it(session: Any, tmp_path: Path) -> None:
    """``testShowCommandInputsOutputs``, ``testShowAllCommand``, ``testShowCommandSignature``: keys, dtypes, shapes."""
    tfmagic.export(session, tmp_path / "m", signatures=_SIGNATURES, tags="serve,gpu")
    shown = tfmagic.inspect(tmp_path / "m").signatures
    assert _printed(_cli()._show_tag_sets, str(tmp_path / "m")).splitlines()[-1] == "'gpu, serve'"
    keys = re.findall(
        r'SignatureDef key: "(.*)"', _printed(_cli()._show_signature_def_map_keys, str(tmp_path / "m"), "serve,gpu")
    )
    assert {key for key in keys if not key.startswith("__")} == set(shown["signature"])
    end = re.compile(r"(inputs|outputs)\['(.*)'\] tensor_info:\s+dtype: DT_(\w+)\s+shape: (.*)\s+name: (\S+)")
    dtypes = {"FLOAT": "float32", "INT64": "int64", "INT32": "int32", "STRING": "string"}
    for key, rows in shown.groupby("signature"):
        text = _printed(_cli()._show_inputs_outputs, str(tmp_path / "m"), "serve,gpu", key)
        printed = {
            (side[:-1], name, dtypes[dtype], shape, tensor) for side, name, dtype, shape, tensor in end.findall(text)
        }
        ours = {
            (row.side, row.key, row.dtype, _as_printed(row.shape), row.tensor) for row in rows.itertuples(index=False)
        }
        assert printed == ours
        assert f"Method name is: {rows['method'].iloc[0]}" in text


def _as_printed(shape: Any) -> str:
    if shape is None:
        return "unknown_rank"
    numbers = ", ".join(str(-1 if size is None else size) for size in shape)
    return f"({numbers})" if numbers else "()"


def test_a_tool_lists_the_ops_and_the_functions_that_are_shown(tf: Any, tmp_path: Path) -> None:
    """``testShowAllCommandWithFunctions``, ``testShowOpsCommand``: callables that nobody signed."""
    module = tf.Module()
    module.scale = tf.Variable(2.0)
    module.twice = tf.function(lambda x: x * module.scale, input_signature=[tf.TensorSpec([None], name="x")])

    @tf.function  # type: ignore[untyped-decorator]
    def times(value: Any, factor: int = 3, *, shift: bool = False) -> Any:
        return value * factor + (1 if shift else 0)

    module.times = times
    times(tf.constant([1]), 4)
    times(tf.constant([1]), shift=True)
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={})
    text = _printed(_cli()._show_all, str(tmp_path / "m"))
    shown = str(tfmagic.inspect(tmp_path / "m"))
    for name in re.findall(r"Function Name: '(.*)'", text):
        assert name in shown
    with pytest.raises(errors.MissingPartError) as refused:
        tfmagic.freeze(tmp_path / "m")
    for words in ("twice(x", "times(value", "factor=4", "shift=True"):
        assert words in str(refused.value)
    ops = re.search(
        r"contains the following ops: \{(.*)\}", _printed(_cli()._show_ops_in_metagraph, str(tmp_path / "m"), "serve")
    )
    assert ops is not None
    everything = tfmagic.inspect(tmp_path / "m").table("ops", all=True)
    assert set(re.findall(r"'(\w+)'", ops[1])) <= set(everything["op"])


def test_a_result_is_loaded_piece_by_piece_and_under_a_scope(tf: Any, session: Any, tmp_path: Path) -> None:
    """``test_load_with_import_scope``, ``test_restore_variables``, ``test_run_init_op``, ``test_load_graph``."""
    v1 = tf.compat.v1
    tfmagic.export(session, tmp_path / "m", signatures=_SIGNATURES)
    loader = importlib.import_module("tensorflow.python.saved_model.loader_impl").SavedModelLoader(str(tmp_path / "m"))
    graph = tf.Graph()
    saver, returned = loader.load_graph(graph, ["serve"], import_scope="there", return_elements=["y:0", "x:0"])
    assert [tensor.name for tensor in returned] == ["there/y:0", "there/x:0"]
    with v1.Session(graph=graph) as loaded:
        with pytest.raises(tf.errors.FailedPreconditionError):
            loaded.run(returned[0], {returned[1]: _X})
        loader.restore_variables(loaded, saver, import_scope="there")
        loader.run_init_ops(loaded, ["serve"], import_scope="there")
        assert loaded.run(returned[0], {returned[1]: _X}).tolist() == [[3.0, 6.0]]
        (variable,) = graph.get_collection(v1.GraphKeys.GLOBAL_VARIABLES)
        assert variable.name == "there/w:0"
        # Its own saver stores what was changed since.
        loaded.run(variable.assign(variable * 2))
        with graph.as_default():
            v1.train.Saver([variable]).save(loaded, str(tmp_path / "again"))
    assert tf.train.load_checkpoint(str(tmp_path / "again")).get_tensor("there/w").tolist() == [[6.0, 0.0], [0.0, 6.0]]
    with pytest.raises(RuntimeError, match="could not be found in SavedModel"):
        loader.load_graph(tf.Graph(), ["train"])


def test_a_simple_save_stays_one(tf: Any, tmp_path: Path) -> None:
    """``test_simple_save_with_legacy_init_op``-like: the default key, the method, tables by the op that fills them."""
    v1 = tf.compat.v1
    words = tmp_path / "words.txt"
    words.write_text("red\nblue\n")

    def build(v1: Any) -> None:
        keys = v1.placeholder(tf.string, [None], name="Colour")
        weight = v1.get_variable("scale", initializer=10.0, use_resource=False)
        index = tf.lookup.TextFileIndex
        lines = tf.lookup.TextFileInitializer(str(words), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER)
        table = v1.lookup.StaticHashTable(lines, -1)
        tf.multiply(tf.cast(table.lookup(keys), tf.float32), weight, name="scaled")

    session = initialised(tf, build)
    with session.graph.as_default():
        ends = [session.graph.get_tensor_by_name(name) for name in ("Colour:0", "scaled:0")]
        v1.saved_model.simple_save(
            session, str(tmp_path / "m"), {"Colour": ends[0]}, {"Index": ends[1]},
            legacy_init_op=v1.tables_initializer(),
        )  # fmt: skip
    words.unlink()
    done = tfmagic.export(tmp_path / "m", tmp_path / "n")
    assert done.verification["equal"].all()
    fed = {"Colour": np.array([b"blue", b"none"], dtype=object)}
    for path in ("m", "n"):
        assert tfmagic.run(tmp_path / path, fed).outputs["Index"].tolist() == [10.0, -10.0]
        (signature,) = tfmagic.inspect(tmp_path / path).signature_def.values()
        assert signature.method_name == "tensorflow/serving/predict"
        assert (signature.inputs["Colour"].name, signature.outputs["Index"].name) == ("Colour:0", "scaled:0")
    with tf.Graph().as_default(), v1.Session() as loaded:
        v1.saved_model.load(loaded, ["serve"], str(tmp_path / "n"))
        assert [each.name for each in v1.global_variables()] == ["scale:0"]
        assert loaded.run("scaled:0", {"Colour:0": fed["Colour"]}).tolist() == [10.0, -10.0]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("resource", [False, True])
def test_a_graph_is_cut_and_frozen_to_the_nodes_of_tensorflows_own(tf: Any, version: int, *, resource: bool) -> None:
    """``testExtractSubGraph``, ``testConvertVariablesToConstsWithFunctions``, ``…WithEmbeddings``: loops, branches."""
    v1 = tf.compat.v1

    def build(v1: Any) -> None:
        ids = v1.placeholder(tf.int32, [None], name="ids")
        with v1.variable_scope("parts", partitioner=v1.fixed_size_partitioner(2), use_resource=resource):
            table = v1.get_variable("table", [6, 2], initializer=v1.random_uniform_initializer())
        rows = tf.nn.embedding_lookup(table, ids, name="rows")
        weight = v1.get_variable("w", initializer=np.eye(2, dtype=np.float32) * 2, use_resource=resource)
        _, looped = v1.while_loop(
            lambda i, _: i < 2, lambda i, z: (i + 1, tf.matmul(z, weight)), [0, rows], name="loop"
        )
        chosen = v1.cond(tf.reduce_sum(looped) > 0.0, lambda: tf.matmul(looped, weight), lambda: looped, name="choice")
        tf.identity(chosen, name="y")
        v1.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(rows), name="train")

    with control_flow(version):
        session = initialised(tf, build)
    graph_def = session.graph.as_graph_def()
    ids = np.array([5, 0], np.int32)
    expected = session.run("y:0", {"ids:0": ids})
    frozen = tfmagic.freeze(session, inputs=["ids"], outputs=["y"])
    np.testing.assert_allclose(tfmagic.run(frozen, {"ids": ids}).outputs["y"], expected)
    needed = {node.name for node in v1.graph_util.extract_sub_graph(graph_def, ["y"]).node}
    # Where a variable's rows were gathered, the axis is an input now.
    axes = {f"rows/{name}/axis" for name in ("Gather", "Gather_1")} if resource else set()
    assert {node.name for node in frozen.graph_def.node} == needed | axes
    kinds = {node.op for node in frozen.graph_def.node}
    assert not kinds & {"VariableV2", "VarHandleOp", "ReadVariableOp", "ResourceGather"}
    with pytest.raises(errors.UnknownNameError, match="'n3'"):
        tfmagic.freeze(session, outputs=["n3"])

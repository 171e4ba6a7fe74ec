"""A session's graph as a SavedModel: what each of those finds who load one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.session_samples import SITUATIONS, X, situation
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

    from tests.session_samples import Situation

pytestmark = pytest.mark.tensorflow


def state_of(graph: Any) -> tuple[Any, ...]:
    """Return what a conversion may not change in a user's graph."""
    collections = {key: list(graph.get_collection_ref(key)) for key in graph.get_all_collection_keys()}
    return len(graph.get_operations()), graph.version, collections


def exported(name: str, directory: Path) -> tuple[Situation, Path]:
    found = SITUATIONS[name](directory)
    before = state_of(found.session.graph)
    done = tfmagic.export(found.session, directory / "served", inputs=found.inputs, outputs=found.outputs)
    assert state_of(found.session.graph) == before
    assert all(done.verification["equal"]), done
    for file in directory.glob("*.txt"):
        file.unlink()  # it came along
    return found, directory / "served"


def values_of(found: Situation) -> dict[str, Any]:
    graph = found.session.graph
    reads = {
        name: f"{name}/Read/ReadVariableOp:0"
        if graph.get_operation_by_name(name).type == "VarHandleOp"
        else f"{name}:0"
        for name in found.variables
    }
    values: dict[str, Any] = found.session.run(reads)
    return values


@pytest.mark.parametrize("name", SITUATIONS)
def test_all_loaders_find_the_session(name: str, tmp_path: Path) -> None:
    tf = runtime.tensorflow()

    v1 = tf.compat.v1
    found, path = exported(name, tmp_path)
    values = values_of(found)
    with tf.Graph().as_default() as graph, v1.Session() as session:
        v1.saved_model.load(session, ["serve"], str(path))
        for key, value in session.run(dict(found.outputs), dict(found.feeds)).items():
            np.testing.assert_allclose(value, found.expected[key], rtol=1e-5)
        assert not {each.name for each in graph.get_operations()}.intersection(found.gone)
        assert {each.op.name for each in v1.trainable_variables()} == {
            each for each, is_trained in found.variables.items() if is_trained
        }
        for each in v1.global_variables() + v1.local_variables():
            np.testing.assert_array_equal(session.run(each), values[each.op.name])
    loaded = tf.saved_model.load(str(path))
    assert {each.name: each.trainable for each in loaded.variables} == {
        f"{each}:0": is_trained for each, is_trained in found.variables.items()
    }
    for each in loaded.variables:
        np.testing.assert_array_equal(each.numpy(), values[each.name.removesuffix(":0")])
    function = loaded.signatures["serving_default"]
    dtypes = function.structured_input_signature[1]
    given = {key: tf.constant(found.feeds[tensor], dtypes[key].dtype) for key, tensor in found.inputs.items()}
    for key, value in function(**given).items():
        np.testing.assert_allclose(value.numpy(), found.expected[key], rtol=1e-5)


@pytest.mark.parametrize("name", ["trained_references", "partitioned_references", "partitioned_resources"])
@pytest.mark.parametrize("resource", [True, False])
def test_a_saver_restores_the_variables_by_their_names(name: str, tmp_path: Path, *, resource: bool) -> None:
    tf = runtime.tensorflow()

    v1 = tf.compat.v1
    found, path = exported(name, tmp_path)
    prefix = str(path / "variables" / "variables")
    stored = dict(tf.train.list_variables(prefix))
    assert set(stored) == {each.partition("/part_")[0] for each in found.variables}
    with tf.Graph().as_default(), v1.Session() as session:
        for each, shape in stored.items():
            v1.get_variable(each, shape, use_resource=resource)
        v1.train.Saver().restore(session, prefix)


def test_nodes_stay_as_they_were(tmp_path: Path) -> None:
    found, path = exported("loop_of_functions", tmp_path)
    before = {node.name: node for node in found.session.graph.as_graph_def().node}
    after = tfmagic.inspect(path).graph_def
    kept = [node for node in after.node if node.name in before]
    assert {"x", "loop", "y", "w"} <= {node.name for node in kept}
    for node in kept:
        was = before[node.name]
        assert (node.op, list(node.input), node.device) == (was.op, list(was.input), was.device)
        for name, value in was.attr.items():
            assert node.attr[name] == value, (node.name, name)


def test_a_variable_by_reference_is_told(tmp_path: Path) -> None:
    found = SITUATIONS["default_value"](tmp_path)
    done = tfmagic.export(found.session, tmp_path / "m", inputs=["x"], outputs={"y": "y", "weights": "w:0"})
    assert any("'w:0' is 'w/read:0' now" in note for note in done.notes), done.notes
    np.testing.assert_array_equal(tfmagic.run(tmp_path / "m", {"x": X}).outputs["weights"], [3, 4])


@pytest.mark.parametrize("place", ["m", "m.pb", "m.pbtxt", "m.tflite", "m.onnx"])
def test_ends_that_do_not_suffice_are_refused(tmp_path: Path, place: str) -> None:
    found = SITUATIONS["behind_a_step"](tmp_path)
    with pytest.raises(tfmagic.errors.ConversionError, match="also need 'raw'"):
        tfmagic.export(found.session, tmp_path / place, inputs=["decoded:0"][:0] or {"w": "w:0"}, outputs=["y"])
    assert not (tmp_path / place).exists()


@pytest.mark.parametrize("place", ["m", "m.pb"])
def test_what_has_no_counterpart_is_refused_by_name(tmp_path: Path, place: str) -> None:
    @situation
    def choosing(tf: Any, session: Any, _directory: Path) -> dict[str, Any]:
        v1 = tf.compat.v1
        index = v1.placeholder(tf.int32, [], "index")
        pair = [v1.get_variable(name, initializer=np.array([1, 2], np.float32), use_resource=False) for name in "ab"]
        tf.identity(tf.raw_ops.RefSelect(index=index, inputs=[each._ref() for each in pair], name="chosen"), "y")
        session.run(v1.global_variables_initializer())
        return {"inputs": {"index": "index:0"}, "outputs": {"y": "y:0"}, "feeds": {"index:0": 1}}

    found = choosing(tmp_path)
    del SITUATIONS["choosing"]
    with pytest.raises(tfmagic.errors.UnsupportedConversionError, match="'chosen' \\(RefSelect\\)"):
        tfmagic.export(found.session, tmp_path / place, inputs=found.inputs, outputs=found.outputs)


@pytest.mark.parametrize("place", ["m", "m.pb"])
def test_what_calls_python_is_refused_and_left_out_where_it_is_cut_off(tmp_path: Path, place: str) -> None:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None], "x")
        read = tf.numpy_function(lambda each: each * 2, [x], tf.float32, name="read")
        tf.multiply(tf.ensure_shape(read, [None], name="q"), 3.0, name="y")
        session = v1.Session(graph=graph)
    with pytest.raises(tfmagic.errors.UnsupportedConversionError, match=r"'read'.* back into Python"):
        tfmagic.export(session, tmp_path / place, inputs=["x"], outputs=["y"])
    assert not (tmp_path / place).exists()
    tfmagic.export(session, tmp_path / place, inputs=["q"], outputs=["y"])
    assert tfmagic.run(tmp_path / place, {"q": [1.0]}).outputs["y"].tolist() == [3.0]


def test_tensorflows_own_tools_read_it(tmp_path: Path) -> None:
    freeze_graph = pytest.importorskip("tensorflow.python.tools.freeze_graph")
    v1 = runtime.tensorflow().compat.v1
    found, path = exported("trained_references", tmp_path)
    frozen = str(tmp_path / "frozen.pb")
    # It works in the default graph, in which other tests may have left nodes.
    with v1.Graph().as_default():
        freeze_graph.freeze_graph(
            input_graph=None,
            input_saver=None,
            input_binary=True,
            input_checkpoint=None,
            output_node_names="scores",
            restore_op_name=None,
            filename_tensor_name=None,
            output_graph=frozen,
            clear_devices=True,
            initializer_nodes="",
            input_saved_model_dir=str(path),
            saved_model_tags="serve",
        )
    with v1.Graph().as_default(), v1.Session() as session:
        v1.import_graph_def(v1.GraphDef.FromString((tmp_path / "frozen.pb").read_bytes()), name="")
        np.testing.assert_allclose(session.run("scores:0", {"x:0": X}), found.expected["result"], rtol=1e-5)

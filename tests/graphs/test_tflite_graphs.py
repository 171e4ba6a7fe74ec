"""A TFLite file has the tables, costs and details of a graph; its weights are the numbers that they stand for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic.display.graph.choices import choices
from tfmagic.display.graph.unfolding import Unfolding
from tfmagic.files.tflite import input_roles, operators
from tfmagic.graphs import node_details, tflite_graphs
from tfmagic.notebook.panel.graph_details import GraphDetails

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def network(tf: Any) -> Any:
    layers = tf.keras.layers
    tf.keras.utils.clear_session()
    return tf.keras.Sequential(
        [
            tf.keras.Input((8, 8, 3), name="image"),
            layers.Conv2D(4, 3, activation="relu", bias_initializer="normal", name="conv"),
            layers.DepthwiseConv2D(3, padding="same", bias_initializer="normal", name="depth"),
            layers.Flatten(name="flat"),
            layers.Dense(5, bias_initializer="normal", name="head"),
        ]
    )


@pytest.fixture(scope="module")
def net(tf: Any) -> Any:
    return network(tf)


@pytest.fixture(scope="module")
def place(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the network as float, float16 and int8."""
    folder = tmp_path_factory.mktemp("tflite")
    samples = np.random.default_rng(1).random((20, 8, 8, 3), np.float32)
    tfmagic.export(net, folder / "float32.tflite", verify=False)
    tfmagic.export(net, folder / "float16.tflite", quantize="float16", verify=False)
    tfmagic.export(net, folder / "int8.tflite", quantize="int8", samples=samples, verify=False)
    return folder


def test_operators_are_nodes_with_their_options(place: Path) -> None:
    model = tfmagic.inspect(place / "float32.tflite")
    ops = model.ops
    kinds = ops[~ops["op"].isin(["Const", "Placeholder"])]["op"].tolist()
    assert kinds == ["CONV_2D", "DEPTHWISE_CONV_2D", "RESHAPE", "FULLY_CONNECTED"] or "CONV_2D" in kinds
    row = ops.index[ops["op"] == "CONV_2D"][0]
    told = dict(node_details.attributes(model.meta_graph.graph.node_def(int(row))))
    assert told["fused_activation_function"] == "'RELU'"
    assert told["padding"] == "'VALID'"
    assert told["stride_w"] == "1"
    assert ops.loc[row, "shape"] == (None, 6, 6, 4)
    assert ops.loc[row, "dtype"] == "float32"
    assert len(ops.loc[row, "inputs"]) == 3


def test_inputs_are_told_by_what_they_are(place: Path) -> None:
    """The file has numbers of tensors alone; one that is left out does not move the others."""
    model = tfmagic.inspect(place / "float32.tflite")
    library = choices(model)[0].library
    assert library is not None
    unfolding = Unfolding(library, "", constants=True)
    for _ in range(4):
        for box in unfolding.visible():
            unfolding.open(box.number)
    boxes = {box.op: box for box in unfolding.visible() if box.kind == "op"}
    details = GraphDetails(model, library, is_layers=False)
    roles = {op: [end["key"].partition(",")[0] for end in details.of(box)["inputs"]] for op, box in boxes.items()}
    assert roles["CONV_2D"] == ["input", "filter", "bias"]
    assert roles["FULLY_CONNECTED"] == ["input", "weights", "bias"]
    assert roles["RESHAPE"] == ["input", "shape"]
    assert input_roles.role("LSTM", 1, omitted=(1,)) == "input_to_forget_weights"
    assert input_roles.role("TRANSPOSE_CONV", 2) == "input"
    assert input_roles.role("ADD", 0) == ""


def test_roles_are_of_operators_that_there_are() -> None:
    assert set(input_roles.BY_OPERATOR) <= set(operators.OPERATORS)


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_weights_are_the_numbers_that_they_stand_for(net: Any, place: Path, kind: str) -> None:
    model = tfmagic.inspect(place / f"{kind}.tflite")
    kernel = np.transpose(net.get_layer("conv").get_weights()[0], (3, 0, 1, 2))
    rows = [row for row in model.variable_rows() if row.shape == kernel.shape]
    (row,) = rows
    assert model.values is not None
    values = np.concatenate(list(model.values(row).blocks())).reshape(kernel.shape)
    assert np.abs(values - kernel).max() <= (np.abs(kernel).max() / 100 if kind == "int8" else 1e-3)
    assert row.bytes == kernel.size * {"float32": 4, "float16": 2, "int8": 1}[kind]
    stored = model.table("ops", all=True).set_index("name")["bytes"]
    assert stored[row.name] == row.bytes


def test_a_quantised_model_costs_what_the_float_one_does(net: Any, place: Path) -> None:
    wanted = tfmagic.inspect(net).costs["flops"].sum()
    for kind in ("float32", "float16", "int8"):
        costs = tfmagic.inspect(place / f"{kind}.tflite").costs
        assert costs["flops"].sum() == pytest.approx(wanted, rel=0.01)
        assert costs["parameters"].sum() == pytest.approx(net.count_params(), abs=1)


def test_quantisation_is_told_in_words_and_in_numbers(place: Path) -> None:
    model = tfmagic.inspect(place / "int8.tflite")
    nodes = {node.name: node for node in model.graph_def.node}
    kernels = [node for node in nodes.values() if node.op == "Const" and "_scale" in node.attr]
    by_axis = [node for node in kernels if len(node.attr["_scale"].list.f) == 4]
    assert by_axis
    assert (
        b"axis 0: 4 scales from" in by_axis[0].attr["quantization"].s or b"axis 3" in by_axis[0].attr["quantization"].s
    )
    (dense,) = [node for node in nodes.values() if node.op == "FULLY_CONNECTED"]
    assert b" * (q " in dense.attr["quantization"].s or b" * q" in dense.attr["quantization"].s


def test_control_flow_calls_functions(tf: Any, tmp_path: Path) -> None:
    def looping(x: Any) -> Any:
        (y,) = tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: (y * 2.0 + 1.0,), (x,))
        return {"y": tf.cond(tf.reduce_sum(x) > 0.0, lambda: y + 1.0, lambda: y - 1.0)}

    tfmagic.export(tf.function(looping, input_signature=[tf.TensorSpec([2])]), tmp_path / "m.tflite", verify=False)
    model = tfmagic.inspect(tmp_path / "m.tflite")
    functions = model.functions
    assert len(functions) == len(set(functions["function"])) >= 2
    (loop,) = (node for node in model.graph_def.node if node.op == "WHILE")
    assert {loop.attr["cond"].func.name, loop.attr["body"].func.name} <= set(functions["function"])
    assert model.picture is not None
    assert tfmagic.diff(model, tmp_path / "m.tflite").equal


def test_signatures_of_other_subgraphs_stand_in_the_main_graph(tf: Any, tmp_path: Path) -> None:
    module = tf.Module()
    spec = [tf.TensorSpec([3])]
    module.double = tf.function(lambda x: {"doubled": x * 2.0}, input_signature=spec)
    module.minus = tf.function(lambda x: {"less": x - 1.0}, input_signature=spec)
    signatures = {"double": module.double, "minus": module.minus}
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=signatures)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"), signature_keys=list(signatures))
    (tmp_path / "m.tflite").write_bytes(converter.convert())
    model = tfmagic.inspect(tmp_path / "m.tflite")
    ops = model.ops
    assert (ops["function"] == "").all()
    assert {"MUL", "SUB"} <= set(ops["op"])
    found = tfmagic.diff(model, model, signature="minus")
    assert found.equal


def test_names_that_say_nothing_or_too_much() -> None:
    assert tflite_graphs.plain_name("a/Relu;a/BiasAdd;a/Conv2D:0") == "a/Relu"
    assert tflite_graphs.plain_name("serving_default_x:0") == "serving_default_x"
    assert tflite_graphs.plain_name("StatefulPartitionedCall:1") == "StatefulPartitionedCall_1"
    assert tflite_graphs.plain_name("^odd") == "odd"
    assert tflite_graphs.plain_name("") == ""


def test_nothing_of_it_needs_tensorflow(place: Path) -> None:
    code = (
        "import sys, tfmagic; "
        f"m = tfmagic.inspect({str(place / 'int8.tflite')!r}); "
        "m.ops, m.variables, m.functions, m.costs, m.assets, repr(m), m._repr_html_(), m.picture; "
        "[list(m.values(row).blocks()) for row in m.variable_rows()]; "
        f"assert tfmagic.diff(m, {str(place / 'int8.tflite')!r}).equal; "
        "sys.exit('TensorFlow was imported' if 'tensorflow' in sys.modules else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_else_it_may_become_is_what_it_was(place: Path) -> None:
    forms = tfmagic.forms()
    row = forms[forms["form"] == "tflite"] if "form" in forms else forms.loc[["tflite"]]
    assert not row[["saved_model", "graph_def", "onnx", "tflite", "checkpoint"]].any(axis=None)
    with pytest.raises(tfmagic.errors.UnsupportedConversionError, match="ops of its own"):
        tfmagic.freeze(place / "float32.tflite")


def test_what_the_converter_kept_and_left_out_is_told_by_kinds_of_ops(tf: Any, tmp_path: Path) -> None:
    layers = tf.keras.layers
    convolution = layers.Conv2D(4, 3, use_bias=False, name="conv")
    model = tf.keras.Sequential([tf.keras.Input((8, 8, 3)), convolution, layers.BatchNormalization(), layers.ReLU()])
    tfmagic.export(model, tmp_path / "served", verify=False)
    tfmagic.export(model, tmp_path / "m.tflite", verify=False)
    found = tfmagic.diff(tmp_path / "served", tmp_path / "m.tflite")
    assert not found.equal
    ops = found.table[found.table["what"] == "op"]
    counts = dict(zip(ops["where"], zip(ops["a"], ops["b"], strict=True), strict=True))
    # The norm is folded into the convolution, whose bias is what is left of it.
    assert counts["Rsqrt"] == ("1 op", "")
    assert counts["BiasAdd"] == ("", "1 op")
    assert not {"Conv2D", "Relu"} & set(counts)
    assert (found.table["what"] == "not compared").any()
    # Of the norm's ones and zeros nobody knows where they went.
    (where,) = found.table["where"][found.table["what"] == "weight"]
    assert "conv/kernel / " in where
    assert "4 that hold one number throughout" in found.notes[0]

"""What restoring puts where, on graphs written by hand: no TensorFlow, no checkpoint."""

from __future__ import annotations

from typing import Any

from tfmagic.files import protos
from tfmagic.graphs import restores
from tfmagic.graphs.restores import Constant, Slot

STRING = 7


def text(node: Any, *values: str) -> None:
    tensor = node.attr["value"].tensor
    tensor.dtype = STRING
    tensor.string_val.extend(value.encode() for value in values)


def saver(graph: Any, keys: dict[str, str], scope: str = "save", slices: tuple[str, ...] = ()) -> str:
    """Add a saver's restoring part; ``keys`` has the checkpoint's key by variable. Returns the restoring op."""
    text(graph.node.add(name=f"{scope}/Const", op="Const"), "model")
    text(graph.node.add(name=f"{scope}/names", op="Const"), *keys.values())
    text(graph.node.add(name=f"{scope}/slices", op="Const"), *(slices or [""] * len(keys)))
    inputs = [f"{scope}/Const", f"{scope}/names", f"{scope}/slices"]
    graph.node.add(name=f"{scope}/RestoreV2", op="RestoreV2", input=inputs)
    for place, variable in enumerate(keys):
        graph.node.add(
            name=f"{scope}/Assign_{place}",
            op="Assign",
            input=[variable, f"{scope}/RestoreV2:{place}" if place else f"{scope}/RestoreV2"],
        )
    graph.node.add(name=f"{scope}/all", op="NoOp", input=[f"^{scope}/Assign_{place}" for place in range(len(keys))])
    return f"{scope}/all"


def graph_of(*variables: str) -> Any:
    graph = protos.message("GraphDef")()
    for name in variables:
        graph.node.add(name=name, op="VariableV2")
    return graph


def header(restore_op: str = "", filename: str = "") -> Any:
    message = protos.message("MetaGraphDef")()
    message.saver_def.restore_op_name = restore_op
    message.saver_def.filename_tensor_name = filename
    return message


def test_a_variable_gets_the_key_that_the_saver_restores_not_its_name() -> None:
    graph = graph_of("a", "b")
    done = restores.read(graph, header(saver(graph, {"a": "other/a", "b": "b"}), "save/Const:0"))
    assert done.variables == {"a": Slot("other/a"), "b": Slot("b")}


def test_pieces_of_a_partitioned_variable_keep_their_slices() -> None:
    graph = graph_of("w/part_0", "w/part_1")
    op = saver(graph, {"w/part_0": "w", "w/part_1": "w"}, slices=("4 2 0,2:0,2", "4 2 2,2:0,2"))
    done = restores.read(graph, header(op))
    assert done.variables == {"w/part_0": Slot("w", "4 2 0,2:0,2"), "w/part_1": Slot("w", "4 2 2,2:0,2")}


def test_a_restore_from_another_file_is_not_this_checkpoints() -> None:
    graph = graph_of("a", "b")
    own = saver(graph, {"a": "a"})
    saver(graph, {"b": "warm/b"}, scope="warm_start")
    graph.node.add(name="both", op="NoOp", input=[f"^{own}", "^warm_start/all"])
    assert restores.read(graph, header("both", "save/Const:0")).variables == {"a": Slot("a")}


def test_identities_and_reshapes_on_the_way_are_seen_through() -> None:
    graph = graph_of("a")
    saver(graph, {"a": "a"})
    assign = next(node for node in graph.node if node.name == "save/Assign_0")
    graph.node.add(name="identity", op="Identity", input=["save/RestoreV2"])
    graph.node.add(name="reshaped", op="Reshape", input=["identity", "shape"])
    assign.input[1] = "reshaped"
    assert restores.read(graph, header("save/all")).variables == {"a": Slot("a")}


def test_an_assignment_inside_a_function_is_followed_to_the_variable_outside() -> None:
    graph = graph_of("handle")
    graph.node[0].op = "VarHandleOp"
    function = graph.library.function.add()
    function.signature.name = "restore"
    function.signature.input_arg.add(name="file")
    function.signature.input_arg.add(name="variable")
    text(function.node_def.add(name="names", op="Const"), "v/.ATTRIBUTES/VARIABLE_VALUE")
    text(function.node_def.add(name="slices", op="Const"), "")
    function.node_def.add(name="read", op="RestoreV2", input=["file", "names:output:0", "slices:output:0"])
    function.node_def.add(name="assign", op="AssignVariableOp", input=["variable", "read:tensors:0"])
    graph.node.add(name="file", op="Placeholder")
    call = graph.node.add(name="call", op="StatefulPartitionedCall", input=["file", "handle"])
    call.attr["f"].func.name = "restore"
    assert restores.read(graph, header("call", "file:0")).variables == {"handle": Slot("v/.ATTRIBUTES/VARIABLE_VALUE")}


def test_a_table_is_filled_with_the_constants_that_reach_it() -> None:
    graph = protos.message("GraphDef")()
    graph.node.add(name="table", op="HashTableV2")
    text(graph.node.add(name="keys", op="Const"), "a", "b")
    graph.node.add(name="values", op="Placeholder")
    graph.node.add(name="fill", op="LookupTableImportV2", input=["table", "keys", "values", "^keys"])
    message = header()
    message.collection_def["table_initializer"].node_list.value.append("fill")
    (filled,) = restores.read(graph, message).fills["table"]
    assert [source.node for source in filled.sources if isinstance(source, Constant)] == ["keys", "values"]


def test_functions_that_call_one_another_in_a_circle_end() -> None:
    graph = protos.message("GraphDef")()
    for name, other in (("f", "g"), ("g", "f")):
        function = graph.library.function.add()
        function.signature.name = name
        function.signature.output_arg.add(name="r")
        function.node_def.add(name="call", op=other)
        function.ret["r"] = "call:r:0"
    graph.node.add(name="start", op="f")
    assert restores.read(graph, header("start")).variables == {}

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.findings.graph_defs import function, graph, node, text, writing
from tests.op_registry import registry
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.findings import execution, hazards, tflite_hazards
from tfmagic.graphs.ops import Effect

X = node("x", "Placeholder")
WRITER = function("writer", (), *writing())


def effects(*arguments: Any, **options: Any) -> set[Effect]:
    return {hazard.effect for hazard in hazards.of_graph(*arguments, **options)}


def test_computing_is_free() -> None:
    assert hazards.of_graph(graph(X, node("y", "Relu", "x"), node("p", "PrintV2", "y"))) == ()


def test_a_file_that_is_written_is_told_with_its_node() -> None:
    (hazard,) = hazards.of_graph(graph(*writing()))
    assert hazard.effect is Effect.WRITES_FILES
    assert hazards.describe([hazard]) == "write files (node 'write': WriteFile '/tmp/mark')"


def test_only_what_the_ends_need_counts() -> None:
    graph_def = graph(X, node("y", "Relu", "x"), *writing(), node("z", "Relu", "y", "^write"))
    assert effects(graph_def, ["y:0"]) == set()
    assert effects(graph_def, ["z"]) == {Effect.WRITES_FILES}


def test_what_is_fed_does_not_run() -> None:
    graph_def = graph(text("name", b"/x"), node("read", "ReadFile", "name"), node("y", "DecodeRaw", "read:0"))
    assert effects(graph_def, ["y"]) == {Effect.READS_FILES}
    assert effects(graph_def, ["y"], fed=["read"]) == set()


@pytest.mark.parametrize(
    "caller",
    [
        node("call", "writer", "x"),
        node("call", "StatefulPartitionedCall", "x", f="writer"),
        node("call", "If", "x", "x", then_branch="writer", else_branch="harmless"),
        node("call", "While", "x", cond="harmless", body="writer"),
        node("call", "Case", "x", branches=["harmless", "writer"]),
        node("call", "MapDataset", "x", f="writer"),
        node("call", "OneShotIterator", dataset_factory="writer"),
        node("call", "BatchFunction", "x", f="writer"),
    ],
    ids=lambda caller: caller.op,
)
def test_it_looks_into_functions(caller: Any) -> None:
    harmless = function("harmless", ["x"])
    (hazard,) = hazards.of_graph(graph(X, caller, functions=[harmless, WRITER]))
    assert hazard.where == "node 'write' in function 'writer'"


def test_it_looks_into_functions_of_functions_however_deep() -> None:
    chain = [function(f"f{i}", (), node("n", "PartitionedCall", f=f"f{i + 1}")) for i in range(5000)]
    graph_def = graph(node("n", "PartitionedCall", f="f0"), functions=[*chain, function("f5000", (), *writing())])
    assert effects(graph_def) == {Effect.WRITES_FILES}


def test_functions_that_call_one_another_come_to_an_end() -> None:
    both = [function("a", ["x"], node("n", "b", "x")), function("b", ["x"], node("n", "a", "x"))]
    assert effects(graph(X, node("n", "a", "x"), functions=both)) == {Effect.STOPS_THE_PROCESS}


def test_a_function_that_is_an_argument_of_a_function_attribute_counts() -> None:
    call = node("n", "PartitionedCall", f="outer")
    call.attr["f"].func.attr["inner"].func.name = "writer"
    assert effects(graph(call, functions=[function("outer", ()), WRITER])) == {Effect.WRITES_FILES}


def test_what_the_optimiser_may_put_in_its_place_counts() -> None:
    shown = function("shown", (), api_implements=b"lstm")
    hidden = function("hidden", (), *writing(), api_implements=b"lstm")
    assert effects(graph(node("n", "PartitionedCall", f="shown"), functions=[shown, hidden])) == {Effect.WRITES_FILES}


def test_a_graph_in_a_string_is_looked_into() -> None:
    inner = graph(*writing()).SerializeToString()
    assert effects(graph(text("g", inner), node("d", "DatasetFromGraph", "g"))) == {Effect.WRITES_FILES}
    assert effects(graph(text("g", b"\xff\xff"), node("d", "DatasetFromGraph", "g"))) == {Effect.UNKNOWN}
    assert effects(graph(node("g", "Placeholder"), node("d", "DatasetFromGraph", "g"))) == {Effect.UNKNOWN}


def test_a_constant_is_followed_into_a_function() -> None:
    cache = function("f", ["name"], node("c", "CacheDataset", "d:0", "name"))
    call = node("n", "PartitionedCall", "name", f="f")
    assert effects(graph(text("name", b""), call, functions=[cache])) == set()
    assert effects(graph(text("name", b"/x"), call, functions=[cache])) == {Effect.WRITES_FILES}
    assert effects(graph(node("name", "Placeholder"), call, functions=[cache])) == {Effect.WRITES_FILES}


def test_one_harmless_call_does_not_speak_for_another() -> None:
    cache = function("f", ["name"], node("c", "CacheDataset", "d:0", "name"))
    calls = [node("n", "PartitionedCall", "empty", f="f"), node("m", "PartitionedCall", "name", f="f")]
    graph_def = graph(text("empty", b""), text("name", b"/x"), *calls, functions=[cache])
    assert effects(graph_def) == {Effect.WRITES_FILES}


def test_strings_that_are_packed_are_not_taken_for_empty() -> None:
    packed = text("name", b"")
    packed.attr["value"].tensor.tensor_content = b"\x02/x"
    graph_def = graph(packed, node("c", "CacheDataset", "d", "name"))
    assert effects(graph_def) == {Effect.WRITES_FILES}


def test_an_op_of_an_extension_is_unknown_and_a_function_is_none() -> None:
    assert effects(graph(node("n", "SomebodysOp"))) == {Effect.UNKNOWN}
    assert effects(graph(node("n", "SomebodysOp"), functions=[function("SomebodysOp", ())])) == set()


def meta_graph(graph_def: Any, *assets: tuple[str, str]) -> Any:
    message = protos.message("MetaGraphDef")(graph_def=graph_def)
    message.signature_def["s"].inputs["x"].name = "x:0"
    message.signature_def["s"].outputs["y"].name = "y:0"
    for tensor, filename in assets:
        message.asset_file_def.add(filename=filename).tensor_info.name = tensor
    return message


TABLE = (node("table", "HashTableV2"), text("file", b"vocabulary.txt"))
FILLED = graph(X, node("y", "Relu", "x"), *TABLE, node("fill", "InitializeTableFromTextFileV2", "table", "file"))


def initialised(message: Any, name: str = "fill") -> Any:
    message.collection_def["saved_model_main_op"].node_list.value.append(name)
    return message


def test_a_table_filled_from_an_own_asset_is_free() -> None:
    assert hazards.of_saved_model(initialised(meta_graph(FILLED, ("file:0", "vocabulary.txt"))), ["s"]) == ()


@pytest.mark.parametrize("filename", ["../secret.txt", "a/../../secret.txt", "/etc/passwd", "C:\\secret", "..\\x", ""])
def test_an_asset_that_lies_elsewhere_is_not_the_models_own(filename: str) -> None:
    (hazard,) = hazards.of_saved_model(initialised(meta_graph(FILLED, ("file:0", filename))), ["s"])
    assert (hazard.effect, hazard.loading) == (Effect.READS_FILES, True)


def test_a_file_that_is_no_asset_is_not_the_models_own() -> None:
    assert hazards.of_saved_model(initialised(meta_graph(FILLED)), ["s"])


def test_an_assets_name_that_goes_by_a_variable_is_followed_if_nobody_else_assigns_it() -> None:
    variable = (
        node("v", "VarHandleOp"), text("asset", b"a"), node("assign", "AssignVariableOp", "v", "asset"),
        node("name", "ReadVariableOp", "v"), node("table", "HashTableV2"),
        node("fill", "InitializeTableFromTextFileV2", "table", "name"),
    )  # fmt: skip
    own = initialised(meta_graph(graph(X, node("y", "Relu", "x"), *variable), ("asset:0", "a")))
    assert hazards.of_saved_model(own, ["s"]) == ()
    own.graph_def.node.append(node("again", "AssignVariableOp", "v", "x"))
    assert hazards.of_saved_model(own, ["s"])


@pytest.mark.parametrize("key", ["saved_model_main_op", "legacy_init_op"])
def test_what_a_loader_runs_counts_though_no_signature_needs_it(key: str) -> None:
    message = meta_graph(graph(X, node("y", "Relu", "x"), *writing()))
    assert hazards.of_saved_model(message, ["s"]) == ()
    message.collection_def[key].node_list.value.append("write")
    (hazard,) = hazards.of_saved_model(message, ["s"])
    assert hazard.loading
    assert "at load time" in hazards.describe([hazard])


def test_the_init_op_of_the_signatures_counts() -> None:
    message = meta_graph(graph(X, node("y", "Relu", "x"), *writing()))
    message.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "write"
    assert hazards.of_saved_model(message, ["s"])


def test_restoring_the_models_own_checkpoint_is_free_and_another_is_not() -> None:
    nodes = (
        node("prefix", "Placeholder"),
        text("names", b"v"),
        node("restore", "RestoreV2", "prefix", "names", "names"),
    )
    message = meta_graph(graph(X, node("y", "Relu", "x"), *nodes, text("elsewhere", b"/x"), *writing()))
    message.saver_def.filename_tensor_name = "prefix:0"
    message.saver_def.restore_op_name = "restore"
    assert hazards.of_saved_model(message, ["s"]) == ()
    message.graph_def.node[4].input[0] = "elsewhere"
    assert {hazard.effect for hazard in hazards.of_saved_model(message, ["s"])} == {Effect.READS_FILES}
    message.saver_def.restore_op_name = "write"
    assert {hazard.effect for hazard in hazards.of_saved_model(message, ["s"])} == {Effect.WRITES_FILES}


def test_restoring_is_the_loaders_alone() -> None:
    """A signature that restores a checkpoint reads a file, whatever the saver calls its file name."""
    nodes = (node("prefix", "Placeholder"), text("names", b"v"), node("y", "RestoreV2", "prefix", "names", "names"))
    message = meta_graph(graph(X, *nodes))
    message.saver_def.filename_tensor_name = "prefix:0"
    assert {hazard.effect for hazard in hazards.of_saved_model(message, ["s"])} == {Effect.READS_FILES}


def with_objects(*functions: Any) -> Any:
    """Return a SavedModel of TensorFlow 2 whose root has a signature ``s`` and a resource, all harmless."""
    message = meta_graph(graph(X, node("y", "Relu", "x"), functions=functions))
    nodes = message.object_graph_def.nodes
    root, signed, signature, resource, created = (nodes.add() for _ in range(5))
    root.children.add(node_id=1, local_name="signatures")
    root.children.add(node_id=3, local_name="table")
    signed.children.add(node_id=2, local_name="s")
    signature.bare_concrete_function.concrete_function_name = "serve"
    resource.children.add(node_id=4, local_name="_initialize")
    created.function.concrete_functions.append("initialize")
    for name in ("serve", "initialize"):
        message.object_graph_def.concrete_functions[name].SetInParent()
    return message


def test_a_signature_is_what_the_object_graph_calls_so() -> None:
    """TensorFlow 2's loader does not look at the SignatureDef."""
    harmless = function("initialize", ())
    assert hazards.of_saved_model(with_objects(function("serve", ["x"]), harmless), ["s"]) == ()
    (hazard,) = hazards.of_saved_model(with_objects(function("serve", ["x"], *writing()), harmless), ["s"])
    assert not hazard.loading


def test_functions_that_make_a_resource_run_at_load_time() -> None:
    (hazard,) = hazards.of_saved_model(
        with_objects(function("serve", ["x"]), function("initialize", (), *writing())), ["s"]
    )
    assert hazard.loading


def test_functions_that_restore_an_object_run_at_load_time() -> None:
    message = with_objects(function("serve", ["x"]), function("initialize", ()), WRITER)
    message.object_graph_def.nodes.add().function.concrete_functions.append("writer")
    message.object_graph_def.nodes[3].saveable_objects["t"].restore_function = 5
    assert hazards.of_saved_model(message, ["s"])


def test_an_asset_that_a_function_captured_is_the_models_own() -> None:
    fill = function("initialize", ["table", "file"], node("fill", "InitializeTableFromTextFileV2", "table", "file"))
    message = with_objects(function("serve", ["x"]), fill)
    message.asset_file_def.add(filename="vocabulary.txt").tensor_info.name = "asset:0"
    message.object_graph_def.nodes.add().asset.asset_file_def_index = 0
    message.object_graph_def.concrete_functions["initialize"].bound_inputs.extend([3, 5])
    assert hazards.of_saved_model(message, ["s"]) == ()
    message.asset_file_def[0].filename = "../secret.txt"
    assert hazards.of_saved_model(message, ["s"])


def test_a_message_says_what_where_and_the_way_out() -> None:
    error = hazards.refusal(hazards.of_graph(graph(*writing())), "/models/m")
    assert isinstance(error, errors.UntrustedCodeError)
    for words in ("'/models/m'", "write files", "node 'write'", "trust=True", "--trust"):
        assert words in str(error)


def test_a_message_counts_what_it_does_not_name() -> None:
    many = [part for number in range(9) for part in writing(f"w{number}", f"p{number}")]
    assert "and 6 more" in hazards.describe(hazards.of_graph(graph(*many)))


def test_an_op_of_tflite_is_tensorflows_if_its_name_says_so_only() -> None:
    def told(*names: str) -> dict[str, Effect]:
        return {hazard.what: hazard.effect for hazard in tflite_hazards.of_names(names)}

    assert told("FlexSinh", "TFLite_Detection_PostProcess") == {}
    assert told("Sinh", "ADD", "FlexWriteFile", "FlexSinhX") == {
        "Sinh": Effect.UNKNOWN, "ADD": Effect.UNKNOWN, "FlexWriteFile": Effect.WRITES_FILES,
        "FlexSinhX": Effect.UNKNOWN,
    }  # fmt: skip


def test_a_name_that_begins_with_a_file_of_ones_own_is_ones_own_if_nothing_leads_out_of_it() -> None:
    def reading(*parts: bytes, chosen: bool = False) -> set[Effect]:
        names = [text(f"part{number}", part) for number, part in enumerate(parts)]
        joined = node("joined", "StringJoin", "own", *(each.name for each in names))
        choice = node("choice", "Select", "flag", "joined", "own" if chosen else "part0")
        own = node("own", "Placeholder")
        read = node("read", "RestoreV2", "choice")
        return effects(graph(own, node("flag", "Placeholder"), *names, joined, choice, read), own=["own:0"])

    assert reading(b"_temp", b"/part", chosen=True) == set()
    assert reading(b"/../../etc/passwd", chosen=True) == {Effect.READS_FILES}
    assert reading(b"/etc/passwd") == {Effect.READS_FILES}


@pytest.mark.tensorflow
def test_every_op_that_runs_functions_is_looked_at() -> None:
    running = {name for name, op in registry().items() if any("func" in attr.type for attr in op.attr)}
    assert "OneShotIterator" in running
    assert not running & execution._quiet(execution.ASKING)


def handle(name: str, dtype: str) -> Any:
    """Return a constant that names a table of the process."""
    constant = node(name, "Const")
    constant.attr["dtype"].type = constant.attr["value"].tensor.dtype = protos.dtype_number(dtype)
    constant.attr["value"].tensor.resource_handle_val.add(container="localhost", name="table_2")
    return constant


@pytest.mark.parametrize("dtype", ["resource", "variant"])
def test_a_constant_that_is_a_handle_may_be_anybodys_object(dtype: str) -> None:
    insert = node("insert", "LookupTableInsertV2", "table", "x", "x")
    (hazard,) = hazards.of_graph(graph(X, handle("table", dtype), insert))
    assert (hazard.effect, hazard.where) == (Effect.UNKNOWN, "node 'table'")
    inner = function("f", ["x"], handle("table", dtype), insert)
    assert effects(graph(X, node("y", "PartitionedCall", "x", f="f"), functions=[inner])) == {Effect.UNKNOWN}


@pytest.mark.parametrize("dtype", ["resource", "variant", "float32"])
def test_a_text_that_is_parsed_to_a_handle_may_name_anybodys_object(dtype: str) -> None:
    parsed = node("parsed", "ParseTensor", "text")
    parsed.attr["out_type"].type = protos.dtype_number(dtype)
    inside = function("inside", (), text("text", b"x"), parsed)
    for graph_def in (
        graph(text("text", b"x"), parsed),
        graph(node("y", "PartitionedCall", f="inside"), functions=[inside]),
    ):
        effects = {hazard.effect for hazard in hazards.of_graph(graph_def)}
        assert effects == (set() if dtype == "float32" else {Effect.UNKNOWN})


def test_a_function_that_calls_itself_takes_the_process_with_it() -> None:
    again = function("again", ["x"], node("c", "PartitionedCall", "x", f="again"))
    graph_def = graph(X, node("y", "Relu", "x"), node("z", "PartitionedCall", "x", f="again"), functions=[again])
    (hazard,) = hazards.of_graph(graph_def, ["z:0"])
    assert (hazard.effect, str(hazard)) == (Effect.STOPS_THE_PROCESS, "function 'again': calls itself")
    assert hazards.of_graph(graph_def, ["y:0"]) == ()


def test_an_iterator_that_a_string_names_may_be_anybodys() -> None:
    assert effects(graph(text("name", b"theirs"), node("i", "IteratorFromStringHandleV2", "name"))) == {Effect.UNKNOWN}


def test_a_graph_in_a_string_that_names_what_it_uses_may_mean_anybodys() -> None:
    for shared, expected in ((b"table_2", {Effect.UNKNOWN}), (b"", set())):
        inner = graph(node("t", "HashTableV2", shared_name=shared)).SerializeToString()
        assert effects(graph(text("g", inner), node("d", "DatasetFromGraph", "g"))) == expected


# Ways around, each of which was open


def signed(graph_def: Any, **endpoints: str) -> Any:
    """Return a MetaGraphDef with the signature ``f`` and an asset, whose file's name is the node ``asset``."""
    message = protos.message("MetaGraphDef")(graph_def=graph_def)
    for key, tensor in endpoints.items():
        message.signature_def["f"].outputs[key].name = tensor
    asset = message.asset_file_def.add(filename="vocab.txt")
    asset.tensor_info.name = "asset:0"
    return message


def test_an_asset_is_ones_own_where_the_loader_says_which_file_it_is() -> None:
    # Elsewhere the constant is what the file says: nothing feeds it when a signature is run.
    reading = node("y", "ReadFile", "asset")
    message = signed(graph(text("asset", b"/etc/passwd"), reading), y="y:0")
    assert {hazard.effect for hazard in hazards.of_saved_model(message, ["f"])} == {Effect.READS_FILES}
    held = [
        node("v", "VarHandleOp"), node("set", "AssignVariableOp", "v", "asset"), node("name", "ReadVariableOp", "v"),
    ]  # fmt: skip
    kept = signed(graph(node("asset", "Placeholder"), *held, node("y", "ReadFile", "name")), y="y:0")
    assert hazards.of_saved_model(kept, ["f"]) == ()
    filling = node("fill", "InitializeTableFromTextFileV2", "table", "asset")
    table = node("table", "HashTableV2")
    started = signed(graph(text("asset", b"/etc/passwd"), table, filling))
    started.collection_def["saved_model_main_op"].node_list.value.append("fill")
    assert hazards.of_saved_model(started, ["f"]) == ()
    restored = signed(graph(text("asset", b"/etc/other"), node("restore", "RestoreV2", "asset")))
    restored.saver_def.restore_op_name, restored.saver_def.filename_tensor_name = "restore", "name:0"
    assert {hazard.effect for hazard in hazards.of_saved_model(restored, ["f"])} == {Effect.READS_FILES}


@pytest.mark.parametrize("place", ["indices", "values", "dense_shape", "component"])
def test_what_a_sparse_or_composite_output_needs_counts(place: str) -> None:
    message = signed(graph(X, node("y", "Relu", "x"), *writing(), node("z", "Relu", "y", "^write")))
    info = message.signature_def["f"].outputs["y"]
    if place == "component":
        info.composite_tensor.components.add().name = "z:0"
    else:
        sparse = info.coo_sparse
        sparse.indices_tensor_name = sparse.values_tensor_name = sparse.dense_shape_tensor_name = "y:0"
        setattr(sparse, f"{place}_tensor_name", "z:0")
    assert {hazard.effect for hazard in hazards.of_saved_model(message, ["f"])} == {Effect.WRITES_FILES}


def test_what_stands_between_the_parts_of_a_name_may_lead_out() -> None:
    names = text("a", b""), text("b", b"")
    for separator, expected in ((b"", set()), (b"/../../etc/passwd", {Effect.READS_FILES})):
        joined = node("j", "StringJoin", "own", "a", "b", separator=separator)
        graph_def = graph(node("own", "Placeholder"), *names, joined, node("r", "RestoreV2", "j"))
        assert effects(graph_def, own=["own:0"]) == expected


def test_a_variable_under_two_nodes_is_not_known_by_what_one_of_them_is_assigned() -> None:
    nodes = [
        node("one", "VarHandleOp", shared_name=b"v"), node("two", "VarHandleOp", shared_name=b"v"),
        text("name", b""), text("evil", b"/etc/passwd"), node("set", "AssignVariableOp", "one", "name"),
        node("again", "AssignVariableOp", "two", "evil"), node("read", "ReadVariableOp", "one"),
        node("cache", "CacheDataset", "d:0", "read"),
    ]  # fmt: skip
    assert effects(graph(*nodes)) == {Effect.WRITES_FILES}
    assert effects(graph(nodes[0], nodes[2], nodes[4], *nodes[6:])) == set()


def test_of_two_functions_of_one_name_both_count() -> None:
    twins = [function("f", ["x"], *writing()), function("f", ["x"])]
    for functions in (twins, twins[::-1]):
        assert effects(graph(X, node("y", "PartitionedCall", "x", f="f"), functions=functions)) == {Effect.WRITES_FILES}


def test_a_function_that_is_called_as_an_op_of_tensorflows_counts() -> None:
    shadow = function("Relu", ["x"], *writing())
    assert effects(graph(X, node("y", "Relu", "x"), functions=[shadow])) == {Effect.WRITES_FILES}


def test_a_subgraph_of_tflite_that_runs_itself_is_told() -> None:
    def of(*bodies: int) -> tuple[hazards.Hazard, ...]:
        steps = [SimpleNamespace(op="WHILE", custom_options=b"", options={"body_subgraph_index": at}) for at in bodies]
        subgraphs = [SimpleNamespace(operators=[step]) for step in steps] + [SimpleNamespace(operators=[])]
        description: Any = SimpleNamespace(subgraphs=subgraphs, foreign=(), files={})
        return tflite_hazards.of_file(description)

    assert of(1, 2) == ()
    ((effect, _, what, *_),) = of(1, 0)
    assert (effect, what) == (Effect.STOPS_THE_PROCESS, "runs itself")

from __future__ import annotations

import itertools
from collections import Counter
from importlib import resources
from typing import Any

import pytest

from tests.op_registry import registry
from tfmagic.files import protos
from tfmagic.graphs import node_columns, ops, serialized
from tfmagic.graphs.ops import Effect

# What an op does is written down from TensorFlow's kernels; these are facts that public scanners were seen to miss, and
# ops whose registration says something else than what they do.
EFFECTS = {
    "ReadFile": Effect.READS_FILES,
    "MatchingFiles": Effect.READS_FILES,
    "ImmutableConst": Effect.READS_FILES,
    "RestoreV2": Effect.READS_FILES,
    "InitializeTableFromTextFileV2": Effect.READS_FILES,
    "TextLineDataset": Effect.READS_FILES,
    "Save": Effect.WRITES_FILES,
    "SaveV2": Effect.WRITES_FILES,
    "SaveSlices": Effect.WRITES_FILES,
    "MergeV2Checkpoints": Effect.WRITES_FILES,
    "WriteFile": Effect.WRITES_FILES,
    "WriteSummary": Effect.WRITES_FILES,
    "CreateSummaryFileWriter": Effect.WRITES_FILES,
    "DumpTensor": Effect.WRITES_FILES,
    "DataServiceDatasetV4": Effect.NETWORK,
    "_Recv": Effect.NETWORK,
    "CollectiveReduceV2": Effect.NETWORK,
    "PyFuncStateless": Effect.HOST_CODE,
    "EagerPyFunc": Effect.HOST_CODE,
    "Abort": Effect.STOPS_THE_PROCESS,
    "XlaCallModule": Effect.UNKNOWN,
    "Assert": Effect.PURE,
    "CheckNumerics": Effect.PURE,
    "DecodeJpeg": Effect.PURE,
    "ParseExample": Effect.PURE,
    "ScalarSummary": Effect.PURE,
    "Print": Effect.PRINTS,
    "MapDataset": Effect.CALL,
    "While": Effect.CALL,
    "RandomUniform": Effect.RANDOM,
    "StatelessRandomUniform": Effect.PURE,
    "AssignVariableOp": Effect.STATE,
}
DTYPES = ("float16", "int16", "uint8", "complex64", "bool", "string", "int64", "qint8", "bfloat16", "uint64", "int4")
VARIABLE_KINDS = ("variable", "reference variable", "temporary variable")


@pytest.mark.tensorflow
def test_every_op_that_tensorflow_registers_has_a_class() -> None:
    assert len(registry()) > 1500
    assert set(registry()) - ops.registered() == set()


@pytest.mark.tensorflow
def test_what_tensorflow_calls_stateful_is_not_called_arithmetic() -> None:
    """Stateful are also ops that fail, end a function, or live for one step; none of these kinds does more."""
    harmless = {
        "argument", "array", "assert", "boosted trees", "dataset", "identity", "query", "random", "shape", "test",
        "tpu", "xla",
    }  # fmt: skip
    pure = {name for name in ops.of_effect(Effect.PURE) & set(registry()) if registry()[name].is_stateful}
    assert {ops.named(name).kind for name in pure} <= harmless


@pytest.mark.tensorflow
def test_an_op_with_a_function_does_at_least_what_the_function_does() -> None:
    calls = [name for name, op in registry().items() if any("func" in attr.type for attr in op.attr)]
    assert {ops.named(name).kind for name in calls if ops.named(name).effect is Effect.PURE} <= {"test", "tpu"}
    callers = set(calls)
    assert {name for name in ops.of_effect(Effect.CALL) & set(registry()) if name not in callers} == set()


@pytest.mark.tensorflow
def test_every_op_that_makes_a_handle_has_a_kind_of_its_own() -> None:
    """What has a container and a shared name lives on beyond a call, so none of it is arithmetic."""
    named = [name for name, op in registry().items() if {"container", "shared_name"} <= {attr.name for attr in op.attr}]
    assert len(named) > 50
    assert {ops.named(name).kind for name in named if ops.named(name).effect is Effect.PURE} <= {"test"}


def test_no_op_is_written_down_twice() -> None:
    lines = resources.files("tfmagic.graphs").joinpath("ops.txt").read_text("utf-8").splitlines()
    names = Counter(entry.partition(":")[0] for line in lines if line.startswith(" ") for entry in line.split())
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize(("op", "effect"), EFFECTS.items())
def test_an_op_has_the_effect_that_its_kernel_has(op: str, effect: Effect) -> None:
    assert ops.named(op).effect is effect


def test_an_op_of_an_extension_is_unknown() -> None:
    assert ops.named("RaggedTensorToTensorOfSomebody").effect is Effect.UNKNOWN
    assert ops.named("RaggedTensorToTensorOfSomebody").kind == "unknown"


def test_a_kind_that_no_op_has_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="tabel"):
        ops.of_kind("tabel")


def test_kinds_tell_variables_from_tables() -> None:
    assert ops.of_kind(*VARIABLE_KINDS) == {"VarHandleOp", "VariableV2", "Variable", "TemporaryVariable"}
    assert {"MutableDenseHashTable", "MutableHashTableOfTensors"} <= ops.of_kind("mutable table")
    assert "HashTableV2" in ops.of_kind("table")


def node_of(op: Any, *, stripped: bool) -> Any:
    """Build a node of an op, a dtype of its own for each attribute that is one.

    ``stripped`` leaves out what has a default, as a SavedModel does.
    """
    node = protos.message("NodeDef")(name=op.name, op=op.name)
    dtypes = itertools.cycle(map(protos.dtype_number, DTYPES))
    for attr in op.attr:
        if stripped and attr.HasField("default_value"):
            continue
        if attr.type == "type":
            node.attr[attr.name].type = next(dtypes)
        elif attr.type == "list(type)":
            node.attr[attr.name].list.type.extend([next(dtypes), next(dtypes)])
    return node


def first_output(op: Any, node: Any) -> str:
    """Return the dtype of the first output as TensorFlow derives it from the OpDef; a reference is to that dtype."""
    if not op.output_arg:
        return ""
    output = op.output_arg[0]
    name = output.type_attr or output.type_list_attr
    if not name:
        return protos.dtype_name(output.type)
    default = next(attr.default_value for attr in op.attr if attr.name == name)
    value = node.attr.get(name, default)
    number = value.list.type[0] if output.type_list_attr and value.list.type else value.type
    return protos.dtype_name(number) if number else ""


@pytest.mark.tensorflow
@pytest.mark.parametrize("stripped", [False, True], ids=["written out", "defaults stripped"])
def test_the_first_outputs_dtype_is_the_registrys_for_every_op(*, stripped: bool) -> None:
    nodes = [node_of(op, stripped=stripped) for op in registry().values()]
    data = protos.message("GraphDef")(node=nodes).SerializeToString()
    dtypes = list(node_columns.read(serialized.SerializedGraph.of(data), {}).dtype)
    wrong = {
        node.op: (dtype, first_output(registry()[node.op], node))
        for node, dtype in zip(nodes, dtypes, strict=True)
        if dtype != first_output(registry()[node.op], node)
    }
    assert wrong == {}


@pytest.mark.tensorflow
def test_the_table_of_exceptions_holds_nothing_idle() -> None:
    """An op of the table that this TensorFlow has is one that the rule alone gets wrong."""
    idle = []
    for name in [name for name in ops._ops() if ops.named(name).dtype and name in registry()]:
        op = registry()[name]
        ways = [node_of(op, stripped=stripped) for stripped in (False, True)]
        if all(by_rule(node) == first_output(op, node) for node in ways):
            idle.append(name)
    assert idle == []


def by_rule(node: Any) -> str:
    """Return what the rule says of a node of an op that is in no table."""
    unknown = protos.message("NodeDef")()
    unknown.CopyFrom(node)
    unknown.op = "SomethingNobodyRegistered"
    data = protos.message("GraphDef")(node=[unknown]).SerializeToString()
    return str(node_columns.read(serialized.SerializedGraph.of(data), {}).dtype[0])


@pytest.mark.tensorflow
def test_the_ops_whose_shape_attribute_is_their_outputs_have_one() -> None:
    for name in ops.SHAPED_OPS:
        assert any((attr.name, attr.type) == ("shape", "shape") for attr in registry()[name].attr), name


def test_an_op_that_nobody_knows_goes_by_its_attributes() -> None:
    assert ops.output_dtype("MyOwnOp").default == ""
    assert "T" in ops.output_dtype("MyOwnOp").attrs

from __future__ import annotations

from collections import Counter
from importlib import resources

import pytest

from tests.op_registry import registry
from tfmagic.graphs import ops
from tfmagic.graphs.ops import Effect

# What an op does is written down from TensorFlow's kernels; these are the facts that public scanners were seen to miss, and
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
VARIABLE_KINDS = ("variable", "reference variable", "temporary variable")


@pytest.mark.tensorflow
def test_every_op_that_tensorflow_registers_has_a_class() -> None:
    assert len(registry()) > 1500
    assert set(registry()) - ops.registered() == set()


@pytest.mark.tensorflow
def test_what_tensorflow_calls_stateful_is_not_called_arithmetic() -> None:
    """Stateful are also ops that fail, end a function, or live for one step; none of these kinds does more."""
    harmless = {
        "argument", "array", "assert", "boosted trees", "dataset", "identity", "query", "random", "shape", "test", "tpu", "xla",
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
    assert ops.of_kind(*VARIABLE_KINDS) == {"VarHandleOp", "_VarHandlesOp", "_XlaAotOnlyVarHandleOp", "VariableV2", "Variable", "TemporaryVariable"}
    assert {"MutableDenseHashTable", "MutableHashTableOfTensors"} <= ops.of_kind("mutable table")
    assert "HashTableV2" in ops.of_kind("table")

"""What running one node does, where an attribute or an input of it decides: printing to a file is writing a file.

``ops.txt`` has the worst that an op is able to do; a node says less only where what decides is constant. Not for: what
the functions do that a node runs, and which nodes run (:mod:`tfmagic.findings.hazards`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from tfmagic.files import protos
from tfmagic.graphs import ops
from tfmagic.graphs.ops import Effect

#: Returns the elements of the input with a number, bytes or numbers, or None if it is not constant.
Constants: TypeAlias = Callable[[int], Sequence[bytes | float] | None]
_Decision: TypeAlias = Callable[[protos.Message, Constants], Effect]

#: Streams of PrintV2 that are no file (tensorflow/core/kernels/logging_ops.cc).
_STREAMS = frozenset({b"stdout", b"stderr", b"log(info)", b"log(warning)", b"log(error)"})
#: Where DecodeProtoV2 and EncodeProto find descriptors without a file (tensorflow/core/util/proto/descriptors.cc).
_DESCRIPTORS_IN_MEMORY = (b"local://", b"bytes://")
#: Seconds; whoever sleeps longer stops the process for who waits.
_LONG_SLEEP = 1.0
#: Dtypes whose values are no numbers and no text.
_HANDLES = frozenset({"resource", "variant"})
#: Ops that give a value of a dtype that they state: one that they hold, or, ParseTensor, one that a text holds. As they
#: are many, who walks asks :func:`gives_handle` first.
VALUES = frozenset({"Const", "HostConst", "_EagerConst", "ParseTensor"})
#: Which input, or which attribute, names the files that an op reads or writes, or the address that it talks to.
_FILE_NAMES: dict[str, int | str] = {
    "ReadFile": 0, "MatchingFiles": 0, "ImmutableConst": "memory_region_name", "Skipgram": "filename",
    "FixedUnigramCandidateSampler": "vocab_file", "RecordInput": "file_pattern",
    "InitializeTableFromTextFile": 1, "InitializeTableFromTextFileV2": 1,
    "Restore": 0, "RestoreV2": 0, "RestoreSlice": 0, "LoadAndRemapMatrix": 0,
    "TextLineDataset": 0, "TFRecordDataset": 0, "TFRecordDatasetV2": 0, "FixedLengthRecordDataset": 0,
    "FixedLengthRecordDatasetV2": 0, "CSVDataset": 0, "CSVDatasetV2": 0, "ExperimentalCSVDataset": 0,
    "LMDBDataset": 0, "ExperimentalLMDBDataset": 0, "MatchingFilesDataset": 0, "ExperimentalMatchingFilesDataset": 0,
    "LoadDataset": 0, "DecodeProtoV2": "descriptor_source", "EncodeProto": "descriptor_source",
    "WriteFile": 0, "Save": 0, "SaveV2": 0, "SaveSlices": 0, "MergeV2Checkpoints": 1, "SaveDataset": 1,
    "SaveDatasetV2": 1, "SnapshotDataset": 1, "SnapshotDatasetV2": 1, "CacheDataset": 1, "CacheDatasetV2": 1,
    "DatasetToTFRecord": 1, "ExperimentalDatasetToTFRecord": 1, "PrintV2": "output_stream",
    "CreateSummaryFileWriter": 1, "CreateSummaryDbWriter": 1, "CalibrationStatisticsSaver": "output_file_path",
    "DataServiceDataset": 2, "DataServiceDatasetV2": 2, "DataServiceDatasetV3": 2, "DataServiceDatasetV4": 2,
    "RegisterDataset": 1, "RegisterDatasetV2": 1, "RpcClient": 0, "RpcServer": 0, "DebugIdentity": "debug_urls",
    "DebugIdentityV2": "debug_urls", "DebugIdentityV3": "debug_urls", "DebugNanCount": "debug_urls",
    "DebugNumericSummary": "debug_urls",
}  # fmt: skip


def effect(node: protos.Message, constants: Constants) -> Effect:
    """Return what running a node does, functions that it runs left aside."""
    worst = ops.named(node.op).effect
    decide = _DECISIONS.get(node.op)
    return decide(node, constants) if decide else worst


def file_names(node: protos.Message) -> int | str | None:
    """Return which input (its number) or attribute (its name) names a node's files or address, None if neither does."""
    return _FILE_NAMES.get(node.op)


def text(node: protos.Message, attribute: str, default: bytes = b"") -> bytes | None:
    """Return a string attribute, the default where the node leaves it out, None where it is no plain string."""
    if attribute not in node.attr:
        return default
    value = node.attr[attribute]
    return value.s if value.WhichOneof("value") == "s" else None


def texts(node: protos.Message, attribute: str) -> Sequence[bytes] | None:
    """Return an attribute that is a list of strings: empty where the node leaves it out, None where it is another."""
    if attribute not in node.attr:
        return ()
    value = node.attr[attribute]
    return value.list.s if value.WhichOneof("value") == "list" else None


def _print(node: protos.Message, _constants: Constants) -> Effect:
    return Effect.PRINTS if text(node, "output_stream", b"stderr") in _STREAMS else Effect.WRITES_FILES


def _cache(_node: protos.Message, constants: Constants) -> Effect:
    """Judge a cache: without a file it lies in memory."""
    name = constants(1)
    return Effect.PURE if name is not None and list(name) == [b""] else Effect.WRITES_FILES


def _descriptors(node: protos.Message, _constants: Constants) -> Effect:
    source = text(node, "descriptor_source", b"local://")
    in_memory = source is not None and (not source or source.startswith(_DESCRIPTORS_IN_MEMORY))
    return Effect.PURE if in_memory else Effect.READS_FILES


def _debug(node: protos.Message, _constants: Constants) -> Effect:
    urls = texts(node, "debug_urls")
    if urls is not None and not urls:
        return Effect.PURE
    files = urls is not None and all(url.startswith(b"file://") for url in urls)
    return Effect.WRITES_FILES if files else Effect.NETWORK


def _copy(node: protos.Message, _constants: Constants) -> Effect:
    specification = texts(node, "debug_ops_spec")
    return Effect.PURE if specification is not None and not specification else Effect.NETWORK


def _sampler(node: protos.Message, _constants: Constants) -> Effect:
    return Effect.RANDOM if text(node, "vocab_file") == b"" else Effect.READS_FILES


def _sleep(unit: float, number: int) -> _Decision:
    """Judge a sleep by the input that says how many units it lasts."""

    def decide(_node: protos.Message, constants: Constants) -> Effect:
        values = constants(number)
        short = values is not None and all(
            not isinstance(value, bytes) and value * unit <= _LONG_SLEEP for value in values
        )
        return Effect.PURE if short else Effect.STOPS_THE_PROCESS

    return decide


def gives_handle(node: protos.Message) -> bool:
    """Say whether a constant is no value but a handle: it names an object of the process, whose ever that is."""
    kinds = (
        *(node.attr[name].type for name in ("dtype", "out_type") if name in node.attr),
        node.attr["value"].tensor.dtype if "value" in node.attr else 0,
    )
    return any(protos.dtype_name(kind) in _HANDLES for kind in kinds)


def _constant(node: protos.Message, _constants: Constants) -> Effect:
    return Effect.UNKNOWN if gives_handle(node) else Effect.PURE


def _graph_in_a_string(_node: protos.Message, constants: Constants) -> Effect:
    """Judge a graph in a string: a constant one does what its nodes do."""
    return Effect.UNKNOWN if constants(0) is None else Effect.CALL


_DECISIONS: dict[str, _Decision] = {
    "PrintV2": _print,
    "CacheDataset": _cache,
    "CacheDatasetV2": _cache,
    "DecodeProtoV2": _descriptors,
    "EncodeProto": _descriptors,
    "DebugIdentity": _debug,
    "DebugIdentityV2": _debug,
    "DebugIdentityV3": _debug,
    "DebugNanCount": _debug,
    "DebugNumericSummary": _debug,
    "Copy": _copy,
    "CopyHost": _copy,
    "FixedUnigramCandidateSampler": _sampler,
    "SleepOp": _sleep(1.0, 0),
    "SleepIdentityOp": _sleep(1.0, 0),
    "SleepDataset": _sleep(1e-6, 1),
    "ExperimentalSleepDataset": _sleep(1e-6, 1),
    "DatasetFromGraph": _graph_in_a_string,
    **dict.fromkeys(VALUES, _constant),
}

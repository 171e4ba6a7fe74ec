from __future__ import annotations

from typing import Any

import pytest

from tests.op_registry import registry
from tfmagic.files import protos
from tfmagic.graphs import op_effects, ops
from tfmagic.graphs.ops import Effect

URLS = "debug_urls"


def node(op: str, **attributes: Any) -> Any:
    made = protos.message("NodeDef")(name="n", op=op)
    for name, value in attributes.items():
        if isinstance(value, list):
            made.attr[name].list.s.extend(value)
        else:
            made.attr[name].s = value
    return made


def effect(op: str, *inputs: Any, **attributes: Any) -> Effect:
    return op_effects.effect(node(op, **attributes), lambda number: inputs[number] if number < len(inputs) else None)


@pytest.mark.parametrize("stream", [b"stdout", b"stderr", b"log(info)", b"log(warning)", b"log(error)"])
def test_printing_prints(stream: bytes) -> None:
    assert effect("PrintV2", output_stream=stream) is Effect.PRINTS


def test_printing_goes_to_stderr_where_the_node_says_nothing() -> None:
    assert effect("PrintV2") is Effect.PRINTS


@pytest.mark.parametrize("stream", [b"file:///tmp/x", b"FILE://x", b"stdout ", b""])
def test_printing_to_anything_else_writes_a_file(stream: bytes) -> None:
    assert effect("PrintV2", output_stream=stream) is Effect.WRITES_FILES


def test_an_attribute_that_a_caller_fills_in_is_the_worst() -> None:
    print_node = protos.message("NodeDef")(name="n", op="PrintV2")
    print_node.attr["output_stream"].placeholder = "stream"
    assert op_effects.effect(print_node, lambda _: None) is Effect.WRITES_FILES


@pytest.mark.parametrize("op", ["CacheDataset", "CacheDatasetV2"])
def test_a_cache_writes_where_its_file_has_a_name_or_may_have_one(op: str) -> None:
    assert effect(op, None, [b""]) is Effect.PURE
    assert effect(op, None, [b"/tmp/x"]) is Effect.WRITES_FILES
    assert effect(op, None, None) is Effect.WRITES_FILES


@pytest.mark.parametrize("op", ["DecodeProtoV2", "EncodeProto"])
def test_descriptors_come_from_memory_or_from_a_file(op: str) -> None:
    assert effect(op) is Effect.PURE
    assert effect(op, descriptor_source=b"") is Effect.PURE
    assert effect(op, descriptor_source=b"bytes://abc") is Effect.PURE
    assert effect(op, descriptor_source=b"/etc/passwd") is Effect.READS_FILES


@pytest.mark.parametrize(
    "op", ["DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary"]
)
def test_a_debug_op_sends_to_its_addresses(op: str) -> None:
    assert effect(op) is Effect.PURE
    assert effect(op, debug_urls=[]) is not Effect.NETWORK
    assert effect(op, debug_urls=[b"file:///tmp/x"]) is Effect.WRITES_FILES
    assert effect(op, debug_urls=[b"file:///tmp/x", b"grpc://a:1"]) is Effect.NETWORK


@pytest.mark.parametrize("op", ["Copy", "CopyHost"])
def test_a_copy_that_is_watched_is_the_worst(op: str) -> None:
    assert effect(op) is Effect.PURE
    assert effect(op, debug_ops_spec=[b"DebugIdentity;grpc://a:1;1"]) is Effect.NETWORK


def test_a_sampler_reads_the_vocabulary_that_it_names() -> None:
    assert effect("FixedUnigramCandidateSampler") is Effect.RANDOM
    assert effect("FixedUnigramCandidateSampler", vocab_file=b"/etc/passwd") is Effect.READS_FILES


def test_a_long_sleep_stops_the_process_and_a_short_one_does_not() -> None:
    assert effect("SleepOp", [0]) is Effect.PURE
    assert effect("SleepOp", [3600]) is Effect.STOPS_THE_PROCESS
    assert effect("SleepOp", None) is Effect.STOPS_THE_PROCESS
    assert effect("SleepDataset", None, [1000]) is Effect.PURE
    assert effect("SleepDataset", None, [3_600_000_000]) is Effect.STOPS_THE_PROCESS


def test_a_graph_in_a_string_is_looked_into_if_it_is_constant() -> None:
    assert effect("DatasetFromGraph", [b"..."]) is Effect.CALL
    assert effect("DatasetFromGraph", None) is Effect.UNKNOWN


@pytest.mark.tensorflow
def test_defaults_and_inputs_are_those_of_the_registry() -> None:
    """A node may leave out what has a default: what it then means is TensorFlow's to say."""
    expected = {"output_stream": b"stderr", "descriptor_source": b"local://", "vocab_file": b""}
    for op in [registry()[name] for name in op_effects._DECISIONS if name in registry()]:
        for attribute in op.attr:
            if attribute.name in expected:
                assert attribute.default_value.s == expected[attribute.name], op.name
            if attribute.name in {"debug_urls", "debug_ops_spec"}:
                assert not attribute.default_value.list.s, op.name
    for name, where in op_effects._FILE_NAMES.items():
        op = registry()[name]
        names = (
            [argument.name for argument in op.input_arg]
            if isinstance(where, int)
            else [attribute.name for attribute in op.attr]
        )
        assert (where < len(names)) if isinstance(where, int) else where in names
        if isinstance(where, int):
            assert any(
                word in names[where] for word in ("file", "path", "pattern", "prefix", "logdir", "db_uri", "address")
            ), name


def test_ops_that_are_asked_are_ops_of_the_list() -> None:
    assert set(op_effects._DECISIONS) <= ops.registered()
    assert set(op_effects._FILE_NAMES) <= ops.registered()
    outside = {Effect.READS_FILES, Effect.WRITES_FILES, Effect.NETWORK}
    assert {ops.named(name).effect for name in op_effects._FILE_NAMES} == outside

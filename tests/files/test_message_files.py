from __future__ import annotations

import random
from typing import Any

import pytest

from tests import graph_samples
from tests.wire_samples import attr, field, node, varint
from tfmagic.files import message_files, protos
from tfmagic.files.message_files import CHECKPOINT_STATE, GRAPH, META_GRAPH, SAVED_MODEL

FUNCTION = field(1, field(1, field(1, "f")))
LARGE = attr("value", field(8, field(4, bytes(1 << 20))))

BINARY = {
    "a node": (field(1, node("n", "NoOp")), GRAPH),
    "a node whose name is not ASCII": (field(1, node("größe", "Op")), GRAPH),
    "an op of a namespace": (field(1, node("n", "My_Lib>Some-Op.v1")), GRAPH),
    "a node larger than the head": (field(1, node("n", "Const", attrs=LARGE)), GRAPH),
    "a library": (field(2, FUNCTION), GRAPH),
    "versions": (field(4, b"\x08\x15"), GRAPH),
    "a library before the nodes": (field(2, FUNCTION) + field(1, node("n", "NoOp")), GRAPH),
    "a meta graph": (field(1, field(4, "serve")) + field(2, field(1, node("n", "NoOp"))), META_GRAPH),
    "a meta graph without info": (field(2, field(1, node("n", "NoOp"))), META_GRAPH),
    "a meta graph of a large list of ops": (field(1, field(2, field(1, field(1, "Op")) * 40_000)), META_GRAPH),
    "a saved model": (b"\x08\x01" + field(2, field(1, field(4, "serve"))), SAVED_MODEL),
    "a saved model without version": (field(2, field(1, field(4, "serve")) + field(2, b"")), SAVED_MODEL),
    "nothing": (b"", None),
    "zeros": (bytes(100), None),
    "a node without an op": (field(1, field(1, "n")), None),
    "a node with two ops": (field(1, node("n", "NoOp") + field(2, "Other")), None),
    "an op that is no name": (field(1, node("n", "no op")), None),
    "an example": (field(1, field(1, field(1, "key") + field(2, field(3, b"\x0a\x01\x05")))), None),
    "a pickle": (b"\x80\x04\x95\x10\x00\x00\x00", None),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(90), None),
    "ONNX": (b"\x08\x03\x12\x07pytorch\x1a\x031.9:\x00", None),
    "a varint that does not end": (b"\xff" * 20, None),
    "a node of which there is nothing but a length": (b"\x0a" + varint(2**40), GRAPH),
    "a node that the head cuts before its op": (field(1, node("a", "NoOp")) + b"\x0a\x40\x0a\x20name", GRAPH),
    "a large library": (field(2, field(1, field(1, field(1, "f"))) * 10_000), GRAPH),
}


@pytest.mark.parametrize(("data", "expected"), BINARY.values(), ids=BINARY)
def test_the_message_that_begins_here(data: bytes, expected: str | None) -> None:
    assert message_files.message_in_binary(data[: message_files.HEAD_BYTES]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('node { name: "a" }', GRAPH),
        ('node: { name: "a" }', GRAPH),
        ('node <\n  name: "a"\n>', GRAPH),
        ("\n\n  # a comment\n\nversions { producer: 21 }", GRAPH),
        ("# nothing but a comment\n", None),
        ("library { }", GRAPH),
        ("meta_info_def { }", META_GRAPH),
        ("graph_def { }", META_GRAPH),
        ("saved_model_schema_version: 1", SAVED_MODEL),
        ("meta_graphs { }", SAVED_MODEL),
        ('model_checkpoint_path: "model.ckpt"', CHECKPOINT_STATE),
        ('all_model_checkpoint_paths: "a"', CHECKPOINT_STATE),
        ('name: "LeNet"\nlayer { }', None),
        ('{"node": 1}', None),
        ("node = 5", None),
        ("nodes { }", None),
        ("", None),
        (" \n ", None),
        ("<html>", None),
    ],
)
def test_the_text_that_begins_here(text: str, expected: str | None) -> None:
    assert message_files.message_in_text(text.encode()) == expected


def test_text_may_end_within_a_character_but_not_break_off_before() -> None:
    data = 'node { name: "größe" }'.encode()
    cut = data.index(b"\xc3") + 1
    assert message_files.message_in_text(data[:cut]) == GRAPH
    assert message_files.message_in_text(data[:cut] + b" and more text behind it") is None


def messages() -> dict[str, Any]:
    """Return messages that TensorFlow wrote, by what they are."""
    import tensorflow as tf  # noqa: PLC0415 - seconds that only these tests should take
    from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415 - as above

    graph = graph_samples.training()
    with graph.as_default():
        meta_graph = tf.compat.v1.train.export_meta_graph()
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph])
    return {GRAPH: graph.as_graph_def(), META_GRAPH: meta_graph, SAVED_MODEL: saved}


@pytest.mark.tensorflow
def test_tensorflows_messages_are_told_apart_by_any_beginning() -> None:
    for name, message in messages().items():
        data, text = message.SerializeToString(), protos.to_text(protos.adopt(message)).encode()
        for size in (200, 1000, 4096, message_files.HEAD_BYTES):
            assert message_files.message_in_binary(data[:size]) == name
            assert message_files.message_in_text(data[:size]) is None
            assert message_files.message_in_text(text[:size]) == name


@pytest.mark.tensorflow
def test_other_messages_of_tensorflow_are_none_of_these() -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above
    from tensorflow.core.util import event_pb2  # noqa: PLC0415 - as above

    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[1, 2]))
    others = [
        tf.make_tensor_proto([1.0, 2.0]),
        tf.train.Example(features=tf.train.Features(feature={"x": feature})),
        tf.compat.v1.Summary(value=[{"tag": "loss", "simple_value": 1}]),
        event_pb2.Event(wall_time=1.0, step=3, file_version="brain.Event:2"),
        tf.compat.v1.ConfigProto(device_count={"GPU": 1}, intra_op_parallelism_threads=2),
    ]
    for message in others:
        assert message_files.message_in_binary(message.SerializeToString()) is None, message


def test_noise_is_hardly_ever_taken_for_a_message() -> None:
    rng = random.Random(0)
    noise = [rng.randbytes(rng.randrange(20, 300)) for _ in range(5000)]
    assert sum(message_files.message_in_binary(data) is not None for data in noise) < 60


def test_noise_behind_a_good_beginning_does_no_harm() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        data = bytearray(rng.choice([data for data, _ in BINARY.values() if 0 < len(data) < 1000]))
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        assert message_files.message_in_binary(bytes(data)) in (None, *message_files.MESSAGES)
        assert message_files.message_in_text(bytes(data)) in (None, *message_files.MESSAGES)


#: What follows the version in an ONNX file: its producer and, at the end, the version of its operators.
ONNX = b"\x12\x07pytorch\x1a\x031.2\x3a\x06\x12\x04main\x42\x02\x10\x11"


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04", "zip"),
        (b"\n\n<!DOCTYPE html>", "HTML"),
        (b'{"format": "layers-model"}', "JSON"),
        (b"\x80\x04", "pickle"),
        (b"\x08\x03" + ONNX, "ONNX"),
        (b"\x08\x0a" + ONNX, "ONNX"),
        (b"\x08\x0a\x12\x07pytorch" + b"\x3a\xff\xff\x03" + bytes(64), "ONNX"),
        # GraphDefs whose first node has 60 and 123 bytes, cut or damaged.
        (b"\n<\n\x04node\x12\x05Const", "truncated or of another program"),
        (b"\n{\n\x04node\x12\x02\xff\xff" + bytes(113), "truncated or of another program"),
        (b"\x08\x01\x12\x7f" + bytes(20), "truncated or of another program"),
        ("\ufeff <html>Ä".encode(), "HTML"),
        ("<html>Ä".encode("latin-1"), "HTML"),
        (b"model" + bytes(252) + b"ustar", "tar"),
        (b"\xffanything else", "truncated or of another program"),
    ],
)
def test_a_guess_helps(head: bytes, says: str) -> None:
    assert says in message_files.guess(head)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"# nothing but a comment\n\n# and another\n", "text with comments and nothing else"),
        (b"name,score\na,1\n", "text, but none of TensorFlow's messages"),
        (b'\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x10\n\x0e\n\x01x\x12\x01y"\x04Relu:\x00', "an ONNX model"),
        (b"\x08\x03\x12\x02CN:" + varint(1 << 20) + b"\n\x0e\n\x01x", "an ONNX model"),
        (b"PK\x03\x04\x00\x00archive/data.pkl", "a file of PyTorch"),
        (varint(64)[:1] + bytes(7) + b'{"__metadata__":{}}', "a safetensors file"),
        (b"GGUF\x03\x00\x00\x00", "a GGUF file"),
        (b"\x80\x05\x95", "a Python pickle"),
        (b"\x01\x02\x03", "may be truncated or of another program"),
    ],
)
def test_what_is_none_of_ours_is_told_by_what_it_seems_to_be(head: bytes, says: str) -> None:
    assert message_files.message_in_binary(head) is None
    assert message_files.message_in_text(head) is None
    assert says in message_files.guess(head)

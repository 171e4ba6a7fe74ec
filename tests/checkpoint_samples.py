"""Checkpoints of every kind, written by TensorFlow, for the tests that read them without it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.files import crc32c, protos
from tfmagic.files.checkpoints import sorted_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tfmagic.files.protos import Message

EMBEDDING = np.arange(40, dtype=np.float32).reshape(10, 4)
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def write_saver(prefix: Path, version: int, *, sharded: bool = False) -> None:
    """Save TF1 variables, a partitioned one (EMBEDDING) and a string among them, in the V1 or V2 format."""
    import tensorflow as tf  # noqa: PLC0415 - seconds that only the tests of this file should take

    v1 = tf.compat.v1
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default(), v1.Session() as session:
        for name, value in plain_values().items():
            v1.get_variable(name, initializer=value, use_resource=False)
        with v1.variable_scope("", partitioner=v1.fixed_size_partitioner(3)):
            pieces = v1.get_variable("embedding", [10, 4], use_resource=False)
        session.run(v1.global_variables_initializer())
        for piece, value in zip(pieces, np.split(EMBEDDING, [4, 7]), strict=True):
            piece.load(value, session)
        v1.train.Saver(write_version=version, sharded=sharded).save(session, str(prefix))


def plain_values() -> dict[str, object]:
    """Return a value of many dtypes, by the name of the variable that takes it, always the same."""
    rng = np.random.default_rng(7)
    integers: dict[str, object] = {
        f"numbers/{name}": rng.integers(0, 100, (2, 3)).astype(name)
        for name in ("int8", "uint8", "int16", "uint16", "int32", "int64")
    }
    floats: dict[str, object] = {
        f"numbers/{name}": rng.normal(size=(3,)).astype(name) for name in ("float16", "float32", "float64")
    }
    others: dict[str, object] = {
        "flag": np.array([True, False]),
        "complex": np.array([1 + 2j, 3 - 4j], dtype=np.complex64),
        "scalar": np.float32(2.5),
        "empty": np.zeros((0, 4), dtype=np.float32),
        "text": np.array([b"a", b"", b"\xff" * 300], dtype=object),
    }
    return integers | floats | others


def write_objects(prefix: Path) -> None:
    """Save a module in the object-based format, twice, with a state file."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    module = tf.Module()
    module.weight = tf.Variable([[1.0, 2.0]], name="weight")
    module.items = [tf.Variable(1), {"a/b": tf.Variable("text")}]
    module.half = tf.Variable(tf.constant([1.5, -2.0], tf.bfloat16))
    checkpoint = tf.train.Checkpoint(module=module, step=tf.Variable(3, dtype=tf.int64))
    manager = tf.train.CheckpointManager(checkpoint, str(prefix.parent), 3, checkpoint_name=prefix.name)
    for _ in range(2):
        manager.save()


def write_keras(prefix: Path) -> dict[str, np.ndarray]:
    """Save a Keras 3 model with its optimizer; return the model's weights by path."""
    import keras  # noqa: PLC0415 - as above
    import tensorflow as tf  # noqa: PLC0415 - as above

    layers = keras.layers
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(prefix))
    return {variable.path: np.asarray(variable) for variable in model.variables}


def write_names(prefix: Path, count: int) -> None:
    """Save many small tensors by name, as ``SaveV2`` does."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    names = [f"block_{index // 10}/layer_{index % 10}/kernel" for index in range(count)]
    values = [tf.fill([2, 3], float(index)) for index in range(count)]
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * count, tensors=values)


def entry(shape: tuple[int, ...], data: bytes, **fields: object) -> Message:
    """Return the index's entry for float32 values."""
    stored = protos.message("BundleEntryProto")(dtype=1, size=len(data), **fields)
    stored.shape.CopyFrom(protos.shape_proto(shape))
    stored.crc32c = crc32c.masked(crc32c.checksum(data))
    return stored


def write_bundle(prefix: Path, entries: dict[bytes, Message], data: bytes = b"", **header: object) -> Path:
    """Write a V2 checkpoint by hand, for what TensorFlow would not write."""
    stored = {b"": protos.message("BundleHeaderProto")(num_shards=1, **header)} | dict(sorted(entries.items()))
    index = table({key: value.SerializeToString() for key, value in stored.items()})
    prefix.with_name(prefix.name + ".index").write_bytes(index)
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)
    return prefix


def table(
    entries: Mapping[bytes, bytes],
    *,
    per_block: int = 1000,
    compress: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """Write a table of our own, for what TensorFlow does not write any more, or never would."""
    items = list(entries.items())
    result = b""
    handles = {}
    for start in range(0, len(items), per_block):
        chunk = dict(items[start : start + per_block])
        body = block(chunk) if compress is None else compress(block(chunk))
        handles[max(chunk)] = _varint(len(result)) + _varint(len(body))
        result += _sealed(body, kind=compress is not None)
    meta = _varint(len(result)) + _varint(len(block({})))
    result += _sealed(block({}))
    index = _varint(len(result)) + _varint(len(block(handles)))
    result += _sealed(block(handles))
    return result + (meta + index).ljust(40, b"\0") + sorted_tables.MAGIC


def block(entries: Mapping[bytes, bytes]) -> bytes:
    """Write a block whose keys share nothing, with one restart point."""
    body = b"".join(
        _varint(0) + _varint(len(key)) + _varint(len(value)) + key + value for key, value in entries.items()
    )
    return body + struct.pack("<II", 0, 1)


def _sealed(body: bytes, *, kind: bool = False) -> bytes:
    body += bytes([kind])
    return body + struct.pack("<I", crc32c.masked(crc32c.checksum(body)))


def _varint(number: int) -> bytes:
    result = b""
    while number > 0x7F:
        result += bytes([number & 0x7F | 0x80])
        number >>= 7
    return result + bytes([number])


def snappy_literals(data: bytes) -> bytes:
    """Write a Snappy block of literals alone, none longer than Snappy's own of 64 KiB."""
    result = _varint(len(data))
    for start in range(0, len(data), 1 << 16):
        piece = data[start : start + (1 << 16)]
        result += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return result

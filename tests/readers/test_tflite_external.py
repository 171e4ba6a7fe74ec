"""Constants of a TFLite file that lie in another file, as LiteRT writes them: written by its own generated writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors
from tfmagic.files.tflite import structure, values

if TYPE_CHECKING:
    from pathlib import Path

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3) - 2


@pytest.fixture
def schema() -> Any:
    return pytest.importorskip("ai_edge_litert.schema_py_generated")


def written(schema: Any, path: Path, *, name: str = "weights.bin", group: int = 0, packing: str = "") -> Path:
    """Write a file that adds a constant to its input; eight bytes stand before the constant."""
    flatbuffers: Any = pytest.importorskip("flatbuffers")

    tensors = []
    for label, external in (("x", 0), ("w", 7), ("y", 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = label, [2, 3], schema.TensorType.FLOAT32, 0
        tensor.externalBuffer = external
        tensors.append(tensor)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [2], [operator]
    files = schema.ExternalBufferGroupT()
    files.name = name
    buffer = schema.ExternalBufferT()
    buffer.id, buffer.group, buffer.offset, buffer.length, buffer.packing = 7, group, 8, VALUES.nbytes, packing
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    model.externalBufferGroups, model.externalBuffers = [files], [buffer]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def test_they_are_weights_whose_values_are_read_where_they_lie(schema: Any, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(8) + VALUES.tobytes())
    model = tfmagic.inspect(written(schema, tmp_path / "m.tflite"))
    row = model.variables.iloc[0]
    assert (row["name"], row["dtype"], row["shape"], row["bytes"]) == ("w", "float32", (2, 3), VALUES.nbytes)
    assert [note for note in model.notes if note.startswith("constants in other files")] == [
        "constants in other files: 'weights.bin'"
    ]
    assert tfmagic.diff(model, model.path).equal
    assert values.content(*place(model)) == VALUES.tobytes()


def place(model: Any) -> Any:
    return values.place(model.path, structure.describe(model.path), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "lie in 'weights.bin', which is not beside it"),
        ({"name": "../weights.bin"}, "lie in '../weights.bin', which is no file beside it"),
        ({"name": "/etc/passwd"}, "which is no file beside it"),
        ({"packing": "int4"}, "packed in a way that nobody says"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_graph_is_shown(
    schema: Any, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    model = tfmagic.inspect(written(schema, tmp_path / "m.tflite", **options))
    assert list(model.ops["op"]) == ["Placeholder", "Const", "ADD"]
    assert list(model.variables["name"]) == ["w"]
    with pytest.raises(errors.ReadError, match=message):
        place(model)


def test_a_group_that_there_is_not_is_damage(schema: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.CorruptSourceError, match="group of buffers 3 of 1"):
        tfmagic.inspect(written(schema, tmp_path / "m.tflite", group=3))

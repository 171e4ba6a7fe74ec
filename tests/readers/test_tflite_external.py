"""Constants of a TFLite file that lie in another file, as LiteRT writes them: written by its own generated writer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors, writers
from tfmagic.display import card_figures, elements
from tfmagic.files.tflite import structure, values
from tfmagic.graphs import node_details
from tfmagic.verbs.conversion import destinations

if TYPE_CHECKING:
    from pathlib import Path

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3) - 2


@pytest.fixture
def schema() -> Any:
    return pytest.importorskip("ai_edge_litert.schema_py_generated")


def written(schema: Any, path: Path, *, name: str = "weights.bin", **fields: Any) -> Path:
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
    buffer.id, buffer.group, buffer.offset, buffer.length, buffer.packing = 7, 0, 8, VALUES.nbytes, ""
    vars(buffer).update(fields)
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
    assert model.assets[["filename", "bytes"]].to_numpy().tolist() == [["weights.bin", 8 + VALUES.nbytes]]
    told = dict(node_details.attributes(next(node for node in model.graph_def.node if node.name == "w")))
    assert (told["file"], told["offset"], "packing" in told) == ("'weights.bin'", "8", False)
    assert [row.severity for row in tfmagic.scan(model.path).table.itertuples()] == []
    assert tfmagic.diff(model, model.path).equal
    assert values.content(*place(model)) == VALUES.tobytes()


def test_their_files_are_of_the_model(schema: Any, tmp_path: Path) -> None:
    """They count on the card, nothing is written over them, and a change of theirs is told."""
    other = tmp_path / "weights.bin"
    other.write_bytes(bytes(8) + VALUES.tobytes())
    path = written(schema, tmp_path / "m.tflite")
    model = tfmagic.inspect(path)
    assert set(model.marks) == {path, other}
    (row,) = card_figures.figures(model)
    assert f"{path.stat().st_size + other.stat().st_size:,} bytes" in elements.markup(row)
    with pytest.raises(errors.WriteError, match=r"weights\.bin.*is, or holds, what is read"):
        destinations.require_apart(model, other, writers.writer_named("keras"))
    other.write_bytes(bytes(9) + VALUES.tobytes())
    with pytest.raises(errors.ReadError, match=r"weights\.bin' was written again"):
        tfmagic.inspect(model)


def test_they_may_lie_in_a_folder_of_the_model(schema: Any, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "0.bin").write_bytes(bytes(8) + VALUES.tobytes())
    model = tfmagic.inspect(written(schema, tmp_path / "m.tflite", name="parts/0.bin"))
    (row,) = model.variable_rows()
    assert model.values is not None
    assert np.concatenate(list(model.values(row).blocks())).tolist() == VALUES.reshape(-1).tolist()


@pytest.mark.parametrize("name", ["../weights.bin", "parts/../../weights.bin", "/etc/passwd", "C:weights.bin", r"..\w"])
def test_another_folder_is_a_hazard_as_it_is_loaded_and_is_not_read(schema: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(8) + VALUES.tobytes())
    (tmp_path / "inner").mkdir()
    path = written(schema, tmp_path / "inner" / "m.tflite", name=name)
    (row,) = tfmagic.scan(path).table.itertuples()
    assert (row.severity, row.what, row.fires) == (
        "medium",
        f"reads files: constants in another folder {name!r}",
        "load",
    )
    with pytest.raises(errors.UntrustedCodeError, match="constants in another folder"):
        tfmagic.run(path)
    with pytest.raises(errors.ReadError, match="which is no file beside it"):
        place(tfmagic.inspect(path))


@pytest.mark.parametrize("claimed", [VALUES.nbytes, 1 << 40, (1 << 64) - 1])
def test_a_file_that_ends_early_is_said_before_room_is_made(schema: Any, tmp_path: Path, claimed: int) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(8) + VALUES.tobytes()[:-1])
    model = tfmagic.inspect(written(schema, tmp_path / "m.tflite", length=claimed))
    assert list(model.ops["op"]) == ["Placeholder", "Const", "ADD"]
    with pytest.raises(errors.CorruptSourceError, match=r"weights\.bin' ends before a buffer"):
        values.content(*place(model))


def place(model: Any) -> Any:
    return values.place(model.path, structure.describe(model.path), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'weights.bin'.*, which is not beside it"),
        ({"name": "../weights.bin"}, "'../weights.bin'.*, which is no file beside it"),
        ({"name": "/etc/passwd"}, "which is no file beside it"),
        ({"name": "no.bin", "packing": "int4"}, "'no.bin'.*, which is not beside it"),
        ({"name": "m.tflite", "packing": "int4"}, "packed as 'int4' by rules that nobody states"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_graph_is_shown(
    schema: Any, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    model = tfmagic.inspect(written(schema, tmp_path / "m.tflite", **options))
    assert list(model.ops["op"]) == ["Placeholder", "Const", "ADD"]
    assert list(model.variables["name"]) == ["w"]
    assert any(re.search(message, note) for note in model.notes)
    with pytest.raises(errors.ReadError, match=message):
        place(model)


def test_a_group_that_there_is_not_is_damage(schema: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.CorruptSourceError, match="group of buffers 3 of 1"):
        tfmagic.inspect(written(schema, tmp_path / "m.tflite", group=3))

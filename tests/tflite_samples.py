"""A TFLite file as LiteRT's own generated writer makes it: quantised, of two subgraphs, with metadata and labels.

Not for: files that TensorFlow's converter makes (``tests/samples.py``).
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LABELS = ("red", "green")
#: Weights as they are stored, and the scale of each of their rows.
WEIGHTS, SCALES = np.array([[-4, 0, 2, 6], [1, 3, -5, 127]], np.int8), (0.5, 0.25)
#: Field numbers of tflite-support's metadata_schema.fbs; the kind of an associated file that holds labels.
_NAME, _KIND, _SUBGRAPHS, _AUTHOR, _INPUTS, _OUTPUTS, _FILES, _LABELS = 0, 2, 3, 4, 2, 3, 6, 2


def labelled(path: Path, *, activation: str = "NONE") -> Path:
    """Write a classifier of ``image`` into ``scores``, and a subgraph that adds ``x`` to itself and activates it."""
    schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers: Any = pytest.importorskip("flatbuffers")

    def buffer(content: bytes = b"") -> Any:
        written = schema.BufferT()
        written.data = np.frombuffer(content, np.uint8) if content else None
        return written

    def tensor(name: str, shape: Sequence[int], dtype: int, scales: Sequence[float] = (), zero: int = 0) -> Any:
        written = schema.TensorT()
        written.name, written.shape, written.type = name, list(shape), dtype
        if scales:
            written.quantization = schema.QuantizationParametersT()
            written.quantization.scale, written.quantization.zeroPoint = list(scales), [zero] * len(scales)
        return written

    def graph(name: str, tensors: Sequence[Any], code: int, inputs: Sequence[int]) -> Any:
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = code, list(inputs), [len(tensors) - 1]
        written = schema.SubGraphT()
        written.name, written.tensors, written.operators = name, list(tensors), [operator]
        written.inputs, written.outputs = [0], [len(tensors) - 1]
        return written

    def signature(key: str, subgraph: int, ends: Sequence[tuple[str, int]]) -> Any:
        maps = []
        for name, number in ends:
            end = schema.TensorMapT()
            end.name, end.tensorIndex = name, number
            maps.append(end)
        written = schema.SignatureDefT()
        written.signatureKey, written.subgraphIndex, written.inputs, written.outputs = key, subgraph, maps[:1], maps[1:]
        return written

    types = schema.TensorType
    weights = tensor("weights", WEIGHTS.shape, types.INT8, SCALES)
    weights.buffer = 1
    classify = graph(
        "main",
        [
            tensor("image", (1, 4), types.INT8, (0.125,), 3),
            weights,
            tensor("scores", (1, 2), types.INT8, (0.0625,), -7),
        ],
        0,
        (0, 1, -1),
    )
    twice = graph("twice", [tensor("x", (2,), types.FLOAT32), tensor("doubled", (2,), types.FLOAT32)], 1, (0, 0))
    twice.operators[0].builtinOptionsType = schema.BuiltinOptions.AddOptions
    twice.operators[0].builtinOptions = schema.AddOptionsT()
    twice.operators[0].builtinOptions.fusedActivationFunction = getattr(schema.ActivationFunctionType, activation)
    codes = []
    for builtin in (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.ADD):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        codes.append(code)
    described = schema.MetadataT()
    described.name, described.buffer = "TFLITE_METADATA", 2
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, codes, [classify, twice]
    model.buffers, model.metadata = [buffer(), buffer(WEIGHTS.tobytes()), buffer(_metadata(flatbuffers))], [described]
    model.signatureDefs = [
        signature("classify", 0, [("image", 0), ("scores", 2)]),
        signature("twice", 1, [("x", 0), ("doubled", 1)]),
    ]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "\n".join(LABELS))
    return path


def _metadata(flatbuffers: Any) -> bytes:
    """Return what a maker says: its name, the model's, and which file has the labels of the first output."""
    builder = flatbuffers.Builder(256)

    def table(references: dict[int, int], kind: int = 0) -> int:
        builder.StartObject(8)
        for number, reference in references.items():
            builder.PrependUOffsetTRelativeSlot(number, reference, 0)
        builder.PrependByteSlot(_KIND, kind, 0)
        return int(builder.EndObject())

    def listed(reference: int) -> int:
        builder.StartVector(4, 1, 4)
        builder.PrependUOffsetTRelative(reference)
        return int(builder.EndVector())

    file = table({_NAME: builder.CreateString("labels.txt")}, _LABELS)
    output = table({_NAME: builder.CreateString("colours"), _FILES: listed(file)})
    image = table({_NAME: builder.CreateString("picture")})
    subgraph = table({_INPUTS: listed(image), _OUTPUTS: listed(output)})
    model = {_NAME: "Colours", _AUTHOR: "Ada"}
    texts = {number: builder.CreateString(text) for number, text in model.items()}
    builder.Finish(table({**texts, _SUBGRAPHS: listed(subgraph)}), b"M001")
    return bytes(builder.Output())

"""A file is read as flatbuffers' own generated reader reads it: every tensor, operator, buffer and signature."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors
from tfmagic.files.flatbuffers import Vector
from tfmagic.files.tflite import options, structure, values
from tfmagic.files.tflite.operators import OPERATORS

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.files.tflite.structure import Description, Subgraph


@pytest.fixture(scope="module")
def schema() -> Any:
    return pytest.importorskip("tensorflow.lite.python.schema_py_generated")


@pytest.mark.tensorflow
def test_the_schema_is_tensorflows(schema: Any) -> None:
    types = {number: name.lower() for name, number in vars(schema.TensorType).items() if not name.startswith("_")}
    assert [types[number] for number in sorted(types)] == list(options.DTYPES[: len(types)])


def files(corpus: Path) -> list[Path]:
    """Return all files that begin as TFLite's do, of the corpus and of the folder beside it."""
    lines = (corpus / "MANIFEST.tsv").read_text("utf-8").splitlines()[1:]
    paths = [corpus / line.split("\t")[0] for line in lines if line.split("\t")[1] == "TFLite"]
    beside = corpus.parent / "tflite"
    paths += sorted(path for path in beside.rglob("*") if path.suffix in (".tflite", ".bin"))
    return [path for path in paths if path.read_bytes()[4:8] == structure.IDENTIFIER]


def text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")


def listed(array: Any) -> tuple[Any, ...]:
    """Return a vector as the generated reader has it, which gives 0 for one that is absent."""
    return () if isinstance(array, int) or array is None else tuple(np.asarray(array).tolist())


@pytest.mark.corpus
@pytest.mark.tensorflow
def test_all_files_are_read_as_the_generated_reader_reads_them(corpus: Path, schema: Any) -> None:
    paths = files(corpus)
    seen = {"tensors": 0, "operators": 0, "scales": 0, "options": 0}
    for path in paths:
        dump = schema.Model.GetRootAs(path.read_bytes(), 0)
        read = structure.describe(path)
        assert read.schema_version == dump.Version()
        assert read.text == text(dump.Description())
        assert len(read.subgraphs) == dump.SubgraphsLength()
        for number, subgraph in enumerate(read.subgraphs):
            compare_tensors(subgraph, dump.Subgraphs(number), seen)
            compare_operators(subgraph, dump, number, schema, seen)
        compare_rest(path, read, dump)
    assert len(paths) >= 60
    assert all(seen.values())


def compare_tensors(subgraph: Subgraph, dump: Any, seen: dict[str, int]) -> None:
    assert len(subgraph.tensors) == dump.TensorsLength()
    assert (subgraph.name, subgraph.inputs, subgraph.outputs) == (
        text(dump.Name()),
        listed(dump.InputsAsNumpy()),
        listed(dump.OutputsAsNumpy()),
    )
    for place, tensor in enumerate(subgraph.tensors):
        other = dump.Tensors(place)
        assert tensor.name == text(other.Name())
        assert tensor.dtype == options.DTYPES[other.Type()]
        assert tensor.buffer == other.Buffer()
        assert tensor.is_variable == other.IsVariable()
        stated = listed(other.ShapeSignatureAsNumpy()) or listed(other.ShapeAsNumpy())
        assert tensor.shape == (
            tuple(size if size >= 0 else None for size in stated) or (() if other.HasRank() else None)
        )
        quantisation = other.Quantization()
        scales = () if quantisation is None else listed(quantisation.ScaleAsNumpy())
        assert (tensor.quantisation.scale if tensor.quantisation else ()) == scales
        if scales and tensor.quantisation:
            assert tensor.quantisation.zero_point == listed(quantisation.ZeroPointAsNumpy())
            assert tensor.quantisation.axis == quantisation.QuantizedDimension()
            seen["scales"] += len(scales)
        sparsity = other.Sparsity()
        assert (tensor.sparsity is None) == (sparsity is None)
        if sparsity is not None and tensor.sparsity is not None:
            assert tensor.sparsity.order == listed(sparsity.TraversalOrderAsNumpy())
            assert tensor.sparsity.block_map == listed(sparsity.BlockMapAsNumpy())
        seen["tensors"] += 1


def compare_operators(subgraph: Subgraph, dump: Any, number: int, schema: Any, seen: dict[str, int]) -> None:
    inner = dump.Subgraphs(number)
    assert len(subgraph.operators) == inner.OperatorsLength()
    for place, operator in enumerate(subgraph.operators):
        other = inner.Operators(place)
        code = dump.OperatorCodes(other.OpcodeIndex())
        kind = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        assert operator.op == (text(code.CustomCode()) if OPERATORS[kind] == "CUSTOM" else OPERATORS[kind])
        assert operator.version == code.Version()
        assert operator.inputs == listed(other.InputsAsNumpy())
        assert operator.outputs == listed(other.OutputsAsNumpy())
        assert operator.intermediates == listed(other.IntermediatesAsNumpy())
        assert operator.custom_options == bytes(listed(other.CustomOptionsAsNumpy()))
        told = schema.BuiltinOptionsCreator(other.BuiltinOptionsType(), other.BuiltinOptions())
        for name, value in operator.options.items():
            wanted = getattr(told, re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name))
            wanted = b"" if wanted is None and isinstance(value, str) else wanted
            if isinstance(value, str) and not isinstance(wanted, bytes):
                table = options.tables()["BuiltinOptions"][other.BuiltinOptionsType() - 1]
                wanted = next(field for field in table.fields if field.name == name).words[wanted]
            if isinstance(value, list):
                wanted = [] if wanted is None else list(wanted)
            assert value == (wanted.decode() if isinstance(wanted, bytes) else wanted), (operator.op, name)
            seen["options"] += 1
        seen["operators"] += 1


def compare_rest(path: Path, read: Description, dump: Any) -> None:
    assert len(read.buffers) == dump.BuffersLength()
    for number, place in enumerate(read.buffers):
        wanted = dump.Buffers(number).DataAsNumpy()
        assert values.content(path, place) == (b"" if isinstance(wanted, int) else wanted.tobytes())
    metadata = [dump.Metadata(place) for place in range(dump.MetadataLength())]
    assert list(read.metadata) == [(text(each.Name()), each.Buffer()) for each in metadata]
    signatures = [dump.SignatureDefs(place) for place in range(dump.SignatureDefsLength())]
    assert [each.key for each in read.signatures] == [text(each.SignatureKey()) for each in signatures]
    for mine, other in zip(read.signatures, signatures, strict=True):
        assert mine.subgraph == other.SubgraphIndex()
        inputs = [other.Inputs(place) for place in range(other.InputsLength())]
        assert mine.inputs == {text(each.Name()): each.TensorIndex() for each in inputs}
        outputs = [other.Outputs(place) for place in range(other.OutputsLength())]
        assert mine.outputs == {text(each.Name()): each.TensorIndex() for each in outputs}


def test_a_file_that_ends_early_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"\0" * 8)
    with pytest.raises(errors.CorruptSourceError, match="truncated"):
        values.content(path, Vector(4, 100))


@pytest.mark.parametrize(
    ("field", "number", "problem"),
    [("inputs", 99, "tensor 99"), ("outputs", -7, "tensor -7"), ("buffer", 999, "buffer 999"), ("inputs", -1, "")],
)
def test_a_number_of_what_is_not_there_is_told(
    schema: Any, tmp_path: Path, field: str, number: int, problem: str
) -> None:
    flatbuffers = pytest.importorskip("flatbuffers")
    tensor, step, subgraph, model = schema.TensorT(), schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    tensor.buffer, tensor.shape = 0, [1]
    step.inputs, step.outputs, step.opcodeIndex = [0], [0], 0
    holder = tensor if field == "buffer" else step
    setattr(holder, field, number if field == "buffer" else [number])
    subgraph.tensors, subgraph.operators, subgraph.inputs, subgraph.outputs = [tensor], [step], [0], [0]
    model.version, model.subgraphs, model.operatorCodes = 3, [subgraph], [schema.OperatorCodeT()]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), structure.IDENTIFIER)
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(builder.Output()))
    if not problem:
        assert structure.describe(path).subgraphs[0].operators[0].inputs == (-1,)
        return
    with pytest.raises(errors.CorruptSourceError, match=f"it refers to {problem} of 1"):
        structure.describe(path)

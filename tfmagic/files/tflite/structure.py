"""What a TensorFlow Lite file says of itself: subgraphs, their tensors and ops, signatures.

The field numbers are those of TensorFlow's ``tensorflow/compiler/mlir/lite/schema/schema.fbs``. Weights are not read.
Not for: flatbuffers as such (:mod:`tfmagic.files.flatbuffers`), or changing a file
(:mod:`tfmagic.files.tflite.renaming`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tfmagic.files.flatbuffers import Buffer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfmagic.files.flatbuffers import Table
    from tfmagic.frames import Shape

IDENTIFIER = b"TFL3"
_MAX_BYTES = 1 << 62

#: TensorType by number, in TensorFlow's names.
DTYPES = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16", "int2", "uint4",
)  # fmt: skip
#: BuiltinOperator by number.
OPERATORS = tuple(
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
    FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC
    LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX
    SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE
    BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL
    LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT
    RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT
    UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
    LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK
    ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4
    NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
    PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
    HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE
    READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL
    GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
    UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE
    STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
    STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE
    STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
    STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT
    STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
    STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE
    STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT
    STABLEHLO_CASE
    """.split()  # noqa: SIM905 - 210 quotes and commas would hide the names
)
_CUSTOM = OPERATORS.index("CUSTOM")
#: Numbers of the ops that TFLite has of its own, less those that stand for what somebody else brings.
_OWN = frozenset(range(len(OPERATORS))) - {
    _CUSTOM,
    OPERATORS.index("DELEGATE"),
    OPERATORS.index("STABLEHLO_CUSTOM_CALL"),
}


class _Model:
    """Fields of the table Model."""

    VERSION, OPERATOR_CODES, SUBGRAPHS, DESCRIPTION, BUFFERS, _, METADATA, SIGNATURES = range(8)


class _OperatorCode:
    DEPRECATED_CODE, CUSTOM_CODE, VERSION, CODE = range(4)


class _Subgraph:
    TENSORS, INPUTS, OUTPUTS, OPERATORS, NAME = range(5)


class _Tensor:
    SHAPE, TYPE, BUFFER, NAME, _, IS_VARIABLE, _, SHAPE_SIGNATURE, HAS_RANK = range(9)


class _Signature:
    INPUTS, OUTPUTS, KEY, _, SUBGRAPH = range(5)


class Tensor(NamedTuple):
    """A tensor of a subgraph; ``buffer`` is the number of the buffer with its content, 0 if it has none."""

    name: str
    dtype: str
    shape: Shape
    buffer: int


class Subgraph(NamedTuple):
    """A subgraph: the numbers of its inputs and outputs among its tensors, and how often it has each op."""

    name: str
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    ops: Counter[str]


class Signature(NamedTuple):
    """A signature: the numbers of its inputs and outputs among the tensors of its subgraph, by key."""

    key: str
    inputs: dict[str, int]
    outputs: dict[str, int]
    subgraph: int


class Description(NamedTuple):
    """What a TFLite file says of itself.

    ``sizes`` has the bytes of each buffer, by its number, ``metadata`` names what is packed along, ``foreign`` the ops
    that are not on TFLite's own list, whatever they are called.
    """

    schema_version: int
    text: str
    subgraphs: tuple[Subgraph, ...]
    signatures: tuple[Signature, ...]
    sizes: tuple[int, ...]
    metadata: tuple[str, ...]
    foreign: frozenset[str]

    @property
    def buffers(self) -> int:
        """The bytes of all constants."""
        return sum(self.sizes)

    @property
    def ops(self) -> Counter[str]:
        """How often each op occurs, in all subgraphs."""
        return sum((subgraph.ops for subgraph in self.subgraphs), Counter())


def describe(path: Path) -> Description:
    """Read a TFLite file's structure, without its weights.

    Raises
    ------
    CorruptSourceError
        If it does not parse, or its tables refer to what is not there.
    """
    with path.open("rb") as file:
        return described(file, str(path))


def described(file: BinaryIO, name: str) -> Description:
    """Read the structure of an open file, as :func:`describe`; ``name`` is what errors call it."""
    buffer = Buffer(file, name)
    if buffer.size < len(IDENTIFIER) * 2 or buffer.identifier() != IDENTIFIER:
        buffer.corrupt(f"it lacks the identifier {IDENTIFIER!r}")
    return _Parser(buffer).description()


class _Parser:
    """Reads the tables of the schema out of a buffer."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.model = buffer.root()
        codes = list(self.model.tables(_Model.OPERATOR_CODES))
        self.operators = [_operator(code) for code in codes]
        self.foreign = frozenset(
            name for code, name in zip(codes, self.operators, strict=True) if _number(code) not in _OWN
        )

    def description(self) -> Description:
        subgraphs = tuple(self._subgraph(table) for table in self.model.tables(_Model.SUBGRAPHS))
        signatures = (self._signature(table, subgraphs) for table in self.model.tables(_Model.SIGNATURES))
        return Description(
            self.model.scalar(_Model.VERSION, "uint"),
            self.model.text(_Model.DESCRIPTION),
            subgraphs,
            tuple(signatures),
            tuple(_buffer_size(table) for table in self.model.tables(_Model.BUFFERS)),
            tuple(table.text(0) for table in self.model.tables(_Model.METADATA)),
            self.foreign,
        )

    def _subgraph(self, table: Table) -> Subgraph:
        tensors = tuple(_tensor(each) for each in table.tables(_Subgraph.TENSORS))
        ops = Counter(self._op(operator) for operator in table.tables(_Subgraph.OPERATORS))
        inputs, outputs = table.scalars(_Subgraph.INPUTS, "int"), table.scalars(_Subgraph.OUTPUTS, "int")
        for number in (*inputs, *outputs):
            self._check(number, tensors, "tensor")
        return Subgraph(table.text(_Subgraph.NAME), tensors, inputs, outputs, ops)

    def _op(self, operator: Table) -> str:
        number = operator.scalar(0, "uint")
        self._check(number, self.operators, "operator code")
        return self.operators[number]

    def _signature(self, table: Table, subgraphs: Sequence[Subgraph]) -> Signature:
        number = table.scalar(_Signature.SUBGRAPH, "uint")
        self._check(number, subgraphs, "subgraph")
        inputs, outputs = _tensor_map(table, _Signature.INPUTS), _tensor_map(table, _Signature.OUTPUTS)
        for tensor in (*inputs.values(), *outputs.values()):
            self._check(tensor, subgraphs[number].tensors, "tensor")
        return Signature(table.text(_Signature.KEY), inputs, outputs, number)

    def _check(self, number: int, among: Sequence[object], what: str) -> None:
        if not 0 <= number < len(among):
            self.buffer.corrupt(f"it refers to {what} {number} of {len(among)}")


def _number(code: Table) -> int:
    """Return the number of an op.

    Files before schema 3a have its code in a byte, later ones keep that for old runtimes; the greater one counts
    (``tensorflow/compiler/mlir/lite/schema/schema_utils.cc``).
    """
    return max(code.scalar(_OperatorCode.DEPRECATED_CODE, "byte"), code.scalar(_OperatorCode.CODE, "int"))


def _operator(code: Table) -> str:
    """Name an op."""
    number = _number(code)
    if number == _CUSTOM:
        return code.text(_OperatorCode.CUSTOM_CODE) or "CUSTOM"
    return OPERATORS[number] if 0 <= number < len(OPERATORS) else f"OPERATOR_{number}"


def _tensor(table: Table) -> Tensor:
    kind = table.scalar(_Tensor.TYPE, "byte")
    dtype = DTYPES[kind] if 0 <= kind < len(DTYPES) else f"tflite_{kind}"
    return Tensor(table.text(_Tensor.NAME), dtype, _shape(table), table.scalar(_Tensor.BUFFER, "uint"))


def _shape(table: Table) -> Shape:
    """Return the shape, in which the signature's -1 marks the dimensions that the plain shape holds at 1.

    An empty shape is a scalar's only where ``has_rank`` says so, as the schema has it; files before that field leave
    scalars and unknown ranks alike.
    """
    field = _Tensor.SHAPE_SIGNATURE if table.count(_Tensor.SHAPE_SIGNATURE) else _Tensor.SHAPE
    shape = tuple(size if size >= 0 else None for size in table.scalars(field, "int"))
    return shape if shape or table.scalar(_Tensor.HAS_RANK, "bool") else None


def _tensor_map(table: Table, field: int) -> dict[str, int]:
    return {entry.text(0): entry.scalar(1, "uint") for entry in table.tables(field)}


def _buffer_size(table: Table) -> int:
    """Return a buffer's size: inside the flatbuffer, or behind it where that would pass 2 GiB."""
    return table.count(0, 1) or min(table.scalar(2, "ulong"), _MAX_BYTES)

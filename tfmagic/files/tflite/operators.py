"""The operators of a TensorFlow Lite file: which they are, what they take and give, what they are told.

Not for: the tables of their options (:mod:`tfmagic.files.tflite.options`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.tflite import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.files.flatbuffers import Table
    from tfmagic.files.tflite.options import Value

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
CUSTOM = OPERATORS.index("CUSTOM")
#: Numbers of the ops that TFLite has of its own, less those that stand for what somebody else brings.
_OWN = frozenset(range(len(OPERATORS))) - {
    CUSTOM,
    OPERATORS.index("DELEGATE"),
    OPERATORS.index("STABLEHLO_CUSTOM_CALL"),
}


class _OperatorCode:
    """Fields of the table OperatorCode."""

    DEPRECATED_CODE, CUSTOM_CODE, VERSION, CODE = range(4)


class _Operator:
    """Fields of the table Operator."""

    INPUTS, OUTPUTS, CUSTOM_OPTIONS, INTERMEDIATES = 1, 2, 5, 8


class Code(NamedTuple):
    """An entry of the file's list of ops: its name and version, and whether TFLite has it of its own."""

    name: str
    version: int
    is_own: bool


class Operator(NamedTuple):
    """An operator.

    Attributes
    ----------
    op : str
        TFLite's name, a custom op's own.
    version : int
        Of the op.
    is_own : bool
        Whether TFLite has it of its own.
    inputs, outputs, intermediates : tuple of int
        Numbers of tensors of its subgraph; -1 is an input that is left out.
    options : mapping of str to value
        What it is told, by the schema's names.
    custom_options : bytes
        What a custom op is told, in bytes of its own.
    """

    op: str
    version: int
    is_own: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options: Mapping[str, Value]
    custom_options: bytes


def code(table: Table) -> Code:
    """Read an entry of the list of ops.

    Files before schema 3a have an op's number in a byte, later ones keep that for old runtimes; the greater one counts
    (``tensorflow/compiler/mlir/lite/schema/schema_utils.cc``).
    """
    number = max(table.scalar(_OperatorCode.DEPRECATED_CODE, "byte"), table.scalar(_OperatorCode.CODE, "int"))
    version = table.scalar(_OperatorCode.VERSION, "int", 1)
    if number == CUSTOM:
        return Code(table.text(_OperatorCode.CUSTOM_CODE) or "CUSTOM", version, is_own=False)
    name = OPERATORS[number] if 0 <= number < len(OPERATORS) else f"OPERATOR_{number}"
    return Code(name, version, number in _OWN)


def read(table: Table, which: Code) -> Operator:
    """Read an operator."""
    return Operator(
        which.name,
        which.version,
        which.is_own,
        table.scalars(_Operator.INPUTS, "int"),
        table.scalars(_Operator.OUTPUTS, "int"),
        table.scalars(_Operator.INTERMEDIATES, "int"),
        options.read(table),
        table.data(_Operator.CUSTOM_OPTIONS),
    )

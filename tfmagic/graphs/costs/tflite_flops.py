"""The arithmetic of TFLite's operators, counted as TensorFlow's ops: a multiply-add is two, an activation nothing.

A bias and its addition belong to the operator here, where TensorFlow has an op of its own. Integers that stand for real
numbers are counted as those: a quantised model costs what its float one does. The layouts of kernels are those of
``tensorflow/lite/kernels``. Not for: TensorFlow's ops (:mod:`tfmagic.graphs.costs.flops`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tfmagic.graphs.costs.tensor_facts import NodeFacts, TensorFact

#: Operations for each element of the output.
PER_OUTPUT: Mapping[str, int] = {
    "ADD": 1, "DIV": 1, "EQUAL": 1, "GREATER": 1, "GREATER_EQUAL": 1, "L2_NORMALIZATION": 3, "LESS": 1,
    "LESS_EQUAL": 1, "LOG": 1, "LOG_SOFTMAX": 5, "MAXIMUM": 1, "MINIMUM": 1, "MUL": 1, "NEG": 1, "NOT_EQUAL": 1,
    "POW": 1, "PRELU": 1, "RSQRT": 2, "SOFTMAX": 5, "SQUARE": 1, "SQUARED_DIFFERENCE": 2, "SUB": 1,
}  # fmt: skip
#: Ops that move, choose, look up, round or activate.
FREE = frozenset({
    "ABS", "ASSIGN_VARIABLE", "BATCH_TO_SPACE_ND", "BITCAST", "BROADCAST_ARGS", "BROADCAST_TO", "BUCKETIZE", "CALL",
    "CALL_ONCE", "CAST", "CEIL", "CONCATENATION", "CONCAT_EMBEDDINGS", "COS", "DENSIFY", "DEPTH_TO_SPACE",
    "DEQUANTIZE", "DYNAMIC_UPDATE_SLICE", "ELU", "EMBEDDING_LOOKUP", "EXP", "EXPAND_DIMS", "FAKE_QUANT", "FILL",
    "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "GATHER", "GATHER_ND", "GELU", "HARD_SWISH", "HASHTABLE", "HASHTABLE_FIND",
    "HASHTABLE_IMPORT", "HASHTABLE_LOOKUP", "HASHTABLE_SIZE", "IF", "LEAKY_RELU", "LOGICAL_AND", "LOGICAL_NOT",
    "LOGICAL_OR", "LOGISTIC", "MATRIX_DIAG", "MATRIX_SET_DIAG", "MIRROR_PAD", "ONE_HOT", "PACK", "PAD", "PADV2",
    "QUANTIZE", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "RANGE", "RANK", "READ_VARIABLE", "REDUCE_ALL",
    "REDUCE_ANY", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "REVERSE_SEQUENCE", "REVERSE_V2", "ROUND", "SCATTER_ND", "SELECT", "SELECT_V2",
    "SHAPE", "SIGN", "SIN", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPARSE_TO_DENSE", "SPLIT", "SPLIT_V",
    "SQRT", "SQUEEZE", "STRIDED_SLICE", "TANH", "TILE", "TOPK_V2", "TRANSPOSE", "UNIQUE", "UNPACK", "VAR_HANDLE",
    "WHERE", "ZEROS_LIKE",
})  # fmt: skip
#: The operations on each unit of a recurrent layer at each step, beside its matrices: biases, sums, gates.
_ON_LSTM_UNIT, _ON_RNN_UNIT = 12, 2
_BIASED_INPUTS, _BIASED_TRANSPOSED_INPUTS = 3, 4
#: The rank of what is multiplied with.
_MATRIX = 2


def _output(outputs: Sequence[TensorFact]) -> int:
    """Return the number of elements of the first output; raises LookupError where a dimension is open."""
    return _known(outputs[0].size if outputs else None)


def _known(size: int | None) -> int:
    if size is None:
        raise LookupError("size")
    return size


def _products(axes: slice) -> Callable[[NodeFacts, Sequence[TensorFact]], int]:
    """Return a rule for outputs that are a sum over some axes of the kernel each."""

    def rule(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
        bias = len(facts.inputs) >= _BIASED_INPUTS
        return _output(outputs) * (2 * math.prod(facts.sizes(1)[axes]) + bias)

    return rule


def _transposed(axes: slice) -> Callable[[NodeFacts, Sequence[TensorFact]], int]:
    """Return a rule for inputs that go to some axes of the kernel each: the first input is the shape of the output."""

    def rule(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
        bias = _output(outputs) * (len(facts.inputs) >= _BIASED_TRANSPOSED_INPUTS)
        return 2 * math.prod(facts.sizes(2)) * math.prod(facts.sizes(1)[axes]) + bias

    return rule


def _matrices(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    return 2 * _output(outputs) * facts.sizes(0)[-2 if facts.flag("adj_x") else -1]


def _pool(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    return facts.integer("filter_width") * facts.integer("filter_height") * _output(outputs)


def _reduced(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    """Count an operation for each input but the first of each result, as TensorFlow's reductions are counted."""
    return max(0, math.prod(facts.sizes(0)) - _output(outputs))


def _averaged(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    del outputs
    return math.prod(facts.sizes(0))


def _summed(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    return _output(outputs) * max(0, len(facts.inputs) - 1)


def _response(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    """Count a window of squares, its sum, a power and a division for each element."""
    return _output(outputs) * (2 * (2 * facts.integer("radius") + 1) + 4)


def _recurrent(on_unit: int, *, is_sequence: bool) -> Callable[[NodeFacts, Sequence[TensorFact]], int]:
    """Return a rule for layers that use all their matrices at each step."""

    def rule(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
        weights = [fact for fact in facts.inputs if fact.weight is not None and len(fact.shape or ()) == _MATRIX]
        shape = facts.sizes(0)
        steps = math.prod(shape[:2]) if is_sequence else shape[0]
        matrices, units = (sum(_known(fact.size) for fact in listed) for listed in (weights, outputs))
        return 2 * matrices * steps + on_unit * units

    return rule


RULES: Mapping[str, Callable[[NodeFacts, Sequence[TensorFact]], int]] = {
    "ADD_N": _summed,
    "ARG_MAX": _reduced,
    "ARG_MIN": _reduced,
    "AVERAGE_POOL_2D": _pool,
    "BATCH_MATMUL": _matrices,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _recurrent(_ON_LSTM_UNIT, is_sequence=True),
    "BIDIRECTIONAL_SEQUENCE_RNN": _recurrent(_ON_RNN_UNIT, is_sequence=True),
    "CONV_2D": _products(slice(1, None)),
    "CONV_3D": _products(slice(0, -1)),
    "CONV_3D_TRANSPOSE": _transposed(slice(0, -1)),
    "CUMSUM": lambda _, outputs: _output(outputs),
    "DEPTHWISE_CONV_2D": _products(slice(1, 3)),
    "FULLY_CONNECTED": _products(slice(1, None)),
    "L2_POOL_2D": _pool,
    "LOCAL_RESPONSE_NORMALIZATION": _response,
    "LSTM": _recurrent(_ON_LSTM_UNIT, is_sequence=False),
    "MAX_POOL_2D": _pool,
    "MEAN": _averaged,
    "REDUCE_MAX": _reduced,
    "REDUCE_MIN": _reduced,
    "REDUCE_PROD": _reduced,
    "RNN": _recurrent(_ON_RNN_UNIT, is_sequence=False),
    "SUM": _reduced,
    "SVDF": _recurrent(_ON_RNN_UNIT, is_sequence=False),
    "TRANSPOSE_CONV": _transposed(slice(0, 3)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent(_ON_LSTM_UNIT, is_sequence=True),
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent(_ON_RNN_UNIT, is_sequence=True),
}

"""The floating-point operations of a node: a multiply-add counts two.

What TensorFlow's profiler has statistics for is counted as it counts (tensorflow/python/profiler/internal/
flops_registry.py and nn_ops.py), so that totals compare; so activations such as Relu or Sigmoid count nothing. Beyond
it: Einsum, FusedBatchNorm as the multiply-add that it is in inference, transposed and fused ops, further reductions,
and integers, which the profiler counts alike, are no floating-point operations here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tfmagic.graphs.costs import output_shapes, tflite_flops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tfmagic.graphs.costs.tensor_facts import NodeFacts, TensorFact

#: Operations for each element of the output.
_PER_OUTPUT: Mapping[str, int] = {
    "Add": 1, "AddV2": 1, "BiasAdd": 1, "BiasAddV1": 1, "Div": 1, "DivNoNan": 1, "Equal": 1, "FusedBatchNorm": 2,
    "FusedBatchNormV2": 2, "FusedBatchNormV3": 2, "Greater": 1, "GreaterEqual": 1, "Less": 1, "LessEqual": 1,
    "Log": 1, "Maximum": 1, "Minimum": 1, "Mul": 1, "MulNoNan": 1, "Neg": 1, "NotEqual": 1, "Pow": 1, "RealDiv": 1,
    "Reciprocal": 1, "Rsqrt": 2, "Softmax": 5, "LogSoftmax": 5, "Square": 1, "SquaredDifference": 2, "Sub": 1,
    "_FusedBatchNormEx": 2,
}  # fmt: skip
#: Ops that move, choose, compare or look up, or that the profiler counts as nothing.
_FREE = frozenset({
    "Abs", "All", "Any", "Assert", "Bitcast", "BatchToSpaceND", "BroadcastTo", "Cast", "Ceil", "CheckNumerics",
    "ClipByValue", "Concat", "ConcatV2", "Const", "Cos", "Cosh", "DepthToSpace", "Dequantize", "DynamicPartition",
    "DynamicStitch", "Elu", "EnsureShape", "Enter", "Erf", "Erfc", "Exit", "Exp", "ExpandDims", "Expm1", "Fill",
    "Floor", "FloorDiv", "FloorMod", "Gather", "GatherNd", "GatherV2", "GuaranteeConst", "Identity", "IdentityN",
    "InvertPermutation", "IsFinite", "IsInf", "IsNan", "LeakyRelu", "Log1p", "LogicalAnd", "LogicalNot", "LogicalOr",
    "LoopCond", "Merge", "MirrorPad", "NextIteration", "NoOp", "OneHot", "OnesLike", "Pack", "Pad", "PadV2",
    "ParallelDynamicStitch", "Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "PreventGradient",
    "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "Range", "Rank", "ReadVariableOp", "Relu", "Relu6",
    "Reshape", "ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "ResourceGather",
    "ReverseSequence", "ReverseV2", "Rint", "Round", "Select", "SelectV2", "Selu", "Shape", "ShapeN", "Sigmoid",
    "Sign", "Sin", "Sinh", "Size", "Slice", "Snapshot", "Softplus", "Softsign", "SpaceToBatchND", "SpaceToDepth",
    "Split", "SplitV", "Sqrt", "Squeeze", "StatelessRandomNormalV2", "StatelessRandomUniformV2", "StopGradient",
    "StridedSlice", "Switch", "Tan", "Tanh", "TensorArrayGatherV3", "TensorArrayReadV3", "TensorArrayScatterV3",
    "TensorArraySizeV3", "TensorArrayV3", "TensorArrayWriteV3", "TensorListFromTensor", "TensorListGetItem",
    "TensorListLength", "TensorListReserve", "TensorListSetItem", "TensorListStack", "Tile", "TopK", "TopKV2",
    "Transpose", "TruncatedNormal", "Unpack", "VarHandleOp", "VarIsInitializedOp", "Variable", "VariableV2", "Where",
    "ZerosLike",
})  # fmt: skip
_NUMBERS = ("float", "bfloat", "complex", "half")


def count(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int | None:
    """Return a node's FLOPs, None where its op or a size that they depend on is not known."""
    if facts.op in _FREE or facts.op in tflite_flops.FREE or not _computes(facts, outputs):
        return 0
    try:
        factor = _PER_OUTPUT.get(facts.op) or tflite_flops.PER_OUTPUT.get(facts.op)
        if factor is not None:
            return factor * _size(outputs[:1])
        rule = _RULES.get(facts.op) or tflite_flops.RULES.get(facts.op)
        return None if rule is None else rule(facts, outputs)
    except (LookupError, ValueError, TypeError, ZeroDivisionError):
        return None


def _computes(facts: NodeFacts, outputs: Sequence[TensorFact]) -> bool:
    """Whether floating-point numbers go in or come out, or what stands for such; what is not known may be some."""
    dtypes = {fact.dtype for fact in (*facts.inputs, *outputs)}
    if "quantization" in facts.node.attr:
        return True
    return not dtypes or any(not dtype or dtype.startswith(_NUMBERS) for dtype in dtypes)


def _size(facts: Iterable[TensorFact]) -> int:
    """Return the number of elements; raises LookupError where a dimension is open."""
    sizes = [fact.size for fact in facts]
    if not sizes or None in sizes:
        raise LookupError("size")
    return sum(size or 0 for size in sizes)


def _convolution(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    """Each output is a sum over the kernel's places and input channels."""
    kernel = facts.sizes(1)
    inner = kernel[:-2] if "Depthwise" in facts.op else kernel[:-1]
    fused = _size(outputs[:1]) if facts.op.startswith("_Fused") else 0
    return 2 * _size(outputs[:1]) * math.prod(inner) + fused


def _transposed_convolution(facts: NodeFacts, _: Sequence[TensorFact]) -> int:
    """Each number of what is spread goes to the kernel's places, times the output's channels."""
    kernel = facts.sizes(1)
    inner = kernel[:-2] if "Depthwise" in facts.op else kernel[:-1]
    return 2 * math.prod(facts.sizes(2)) * math.prod(inner)


def _matrices(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    shape = facts.sizes(0)
    inner = shape[-2] if facts.flag("transpose_a") or facts.flag("adj_x") else shape[-1]
    fused = _size(outputs[:1]) if facts.op.startswith("_Fused") else 0
    return 2 * _size(outputs[:1]) * inner + fused


def _einsum(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    """Count a multiply-add for each combination of all indices; of one operand it is at most a sum."""
    shapes = [facts.sizes(place) for place in range(len(facts.inputs))]
    whole = math.prod(size or 0 for size in output_shapes.einsum_sizes(facts.text("equation"), shapes).values())
    if len(shapes) == 1:
        return max(0, whole - _size(outputs[:1]))
    return 2 * whole


def _pool(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    return math.prod(facts.integers("ksize")) * _size(outputs[:1])


def _reduction(finished: int) -> Callable[[NodeFacts, Sequence[TensorFact]], int]:
    """Return a rule for what goes over all of its input, and does so much more for each result."""

    def rule(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
        return max(0, _size(facts.inputs[:1]) + _size(outputs[:1]) * (finished - 1))

    return rule


def _sum_of_all(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    return _size(outputs[:1]) * max(0, len(facts.inputs) - 1)


def _local_response(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    """Count a window of squares, its sum, a power and a division for each element."""
    return _size(outputs[:1]) * (2 * (2 * facts.integer("depth_radius", 5) + 1) + 4)


def _accumulated(facts: NodeFacts, outputs: Sequence[TensorFact]) -> int:
    del facts
    return _size(outputs[:1])


_RULES: Mapping[str, Callable[[NodeFacts, Sequence[TensorFact]], int]] = {
    "AddN": _sum_of_all,
    "AccumulateNV2": _sum_of_all,
    "ArgMax": _reduction(0),
    "ArgMin": _reduction(0),
    "AvgPool": _pool,
    "AvgPool3D": _pool,
    "BatchMatMul": _matrices,
    "BatchMatMulV2": _matrices,
    "BatchMatMulV3": _matrices,
    "Conv": _convolution,
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed_convolution,
    "Conv3D": _convolution,
    "Conv3DBackpropInputV2": _transposed_convolution,
    "Cumprod": _accumulated,
    "Cumsum": _accumulated,
    "DepthwiseConv2dNative": _convolution,
    "DepthwiseConv2dNativeBackpropInput": _transposed_convolution,
    "Einsum": _einsum,
    "L2Loss": lambda facts, _: 2 * _size(facts.inputs[:1]),
    "LRN": _local_response,
    "MatMul": _matrices,
    "Max": _reduction(0),
    "MaxPool": _pool,
    "MaxPool3D": _pool,
    "Mean": _reduction(1),
    "Min": _reduction(0),
    "Prod": _reduction(0),
    "Sum": _reduction(0),
    "_FusedConv2D": _convolution,
    "_FusedDepthwiseConv2dNative": _convolution,
    "_FusedMatMul": _matrices,
}

"""The shapes of a node's outputs, from those of its inputs and its attributes: TensorFlow's own rules, for common ops.

A frozen graph states no shapes, and TensorFlow's own inference needs TensorFlow. An op without a rule has what the node
says in ``_output_shapes``, else nothing. The rules follow tensorflow/core/framework/common_shape_fns.cc and the
``SetShapeFn`` of each op. Not for: values (:mod:`tfmagic.graphs.costs.small_values`).
"""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.graphs.costs import image_shapes, piece_shapes
from tfmagic.graphs.costs.tensor_facts import elementwise_shape, of_one_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tfmagic.frames import Shape
    from tfmagic.graphs.costs.tensor_facts import NodeFacts

#: Ops whose outputs all have the shape of the first input.
_SAME = frozenset({
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BiasAdd", "BiasAddV1", "Bitcast", "Cast", "Ceil",
    "CheckNumerics", "CheckNumericsV2", "Clip", "ClipByValue", "Cos", "Cosh", "Cumprod", "Cumsum", "Dequantize",
    "Digamma", "Elu", "EnsureShape", "Enter", "Erf", "Erfc", "Erfinv", "Exit", "Exp", "Expm1",
    "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel", "Floor",
    "GuaranteeConst", "Identity", "IdentityN", "Imag", "Inv", "InvertPermutation", "IsFinite", "IsInf", "IsNan",
    "LRN", "LeakyRelu", "Lgamma", "Log", "Log1p", "LogSoftmax", "LogicalNot", "Ndtri", "Neg", "NextIteration",
    "OnesLike", "PlaceholderWithDefault", "PreventGradient", "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3",
    "QuantizeAndDequantizeV4", "RandomShuffle", "Real", "Reciprocal", "RefEnter", "RefExit", "RefIdentity",
    "RefNextIteration", "Relu", "Relu6", "Reverse", "ReverseSequence", "ReverseV2", "Rint", "Round", "Rsqrt", "Selu",
    "Sigmoid", "Sign", "Sin", "Sinh", "Snapshot", "Softmax", "Softplus", "Softsign", "Sqrt", "Square", "StopGradient",
    "Switch", "RefSwitch", "Tan", "Tanh", "ZerosLike",
})  # fmt: skip
#: Ops whose one output is as large as its inputs make each other.
_BROADCAST = frozenset({
    "Add", "AddV2", "ApproximateEqual", "Atan2", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Complex", "Div",
    "DivNoNan", "Equal", "FloorDiv", "FloorMod", "Greater", "GreaterEqual", "LeftShift", "Less", "LessEqual",
    "LogicalAnd", "LogicalOr", "Maximum", "Minimum", "Mod", "Mul", "MulNoNan", "NotEqual", "Pow", "RealDiv",
    "RightShift", "SelectV2", "SquaredDifference", "Sub", "TruncateDiv", "TruncateMod", "Xdivy", "Xlog1py", "Xlogy",
})  # fmt: skip
_REDUCING = frozenset({
    "All", "Any", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum",
})  # fmt: skip
_POOLING = frozenset({
    "AvgPool", "AvgPool3D", "MaxPool", "MaxPool3D", "MaxPoolWithArgmax",
})  # fmt: skip
_CONVOLVING = frozenset({
    "Conv", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "_FusedConv2D", "_FusedDepthwiseConv2dNative",
})  # fmt: skip
_RESIZING = frozenset({
    "ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor",
})  # fmt: skip
_GENERATING = frozenset({
    "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "StatelessRandomNormal", "StatelessRandomNormalV2",
    "StatelessRandomUniform", "StatelessRandomUniformV2", "TruncatedNormal",
})  # fmt: skip
_NORMALISING = frozenset({
    "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "_FusedBatchNormEx",
})  # fmt: skip
_STATED = frozenset({
    "Placeholder", "PlaceholderV2", "VariableV2", "Variable", "TemporaryVariable", "_Arg",
})  # fmt: skip


def infer(facts: NodeFacts) -> list[Shape]:
    """Return the shapes of a node's outputs, as many as are known; the caller takes the others for unknown."""
    try:
        rule = _rule(facts.op)
        shapes = list(rule(facts)) if rule is not None else []
    except (LookupError, ValueError, TypeError, ZeroDivisionError, OverflowError):
        shapes = []
    stated = _stated_outputs(facts)
    return [_sharper(inferred, said) for inferred, said in zip_longest(shapes, stated)]


def _stated_outputs(facts: NodeFacts) -> list[Shape]:
    """Return what the node says of its outputs: TensorFlow 2 writes it into the functions of a SavedModel."""
    attr = facts.node.attr
    return [protos.shape_of(shape) for shape in attr["_output_shapes"].list.shape] if "_output_shapes" in attr else []


def _sharper(inferred: Shape, stated: Shape) -> Shape:
    """Return what is known of a shape by both, the inferred first: only it knows the batch."""
    if inferred is None:
        return stated if stated is None else of_one_batch(stated)
    if stated is None or len(stated) != len(inferred):
        return inferred
    return tuple(size if size is not None else said for size, said in zip(inferred, stated, strict=True))


def _rule(op: str) -> Callable[[NodeFacts], Iterable[Shape]] | None:
    if op in _RULES:
        return _RULES[op]
    return next((rule for family, rule in _FAMILIES if op in family), None)


def _same(facts: NodeFacts) -> Iterator[Shape]:
    if facts.op == "IdentityN":
        yield from (each.shape for each in facts.inputs)
        return
    yield facts.input(0).shape
    if facts.op in ("Switch", "RefSwitch"):
        yield facts.input(0).shape


def _of_statement(facts: NodeFacts) -> Iterator[Shape]:
    yield facts.stated_shape("shape")


def _broadcast(facts: NodeFacts) -> Iterator[Shape]:
    yield elementwise_shape(facts.shape(place) for place in range(len(facts.inputs)))


def reduced_axes(facts: NodeFacts) -> frozenset[int]:
    """Return the axes over which a node reduces its first input; raises LookupError where they are not known."""
    rank = len(facts.shape(0))
    return frozenset(axis % rank for axis in facts.values(1)) if rank else frozenset()


def _reduced(facts: NodeFacts) -> Iterator[Shape]:
    axes, keeps = reduced_axes(facts), facts.flag("keep_dims")
    kept = (1 if axis in axes else size for axis, size in enumerate(facts.shape(0)) if keeps or axis not in axes)
    yield tuple(kept)


def _index(facts: NodeFacts) -> Iterator[Shape]:
    shape = facts.shape(0)
    axis = facts.values(1)[0] % len(shape)
    yield (*shape[:axis], *shape[axis + 1 :])


def _matrices(facts: NodeFacts) -> Iterator[Shape]:
    first, second = facts.shape(0), facts.shape(1)
    rows = first[-1] if facts.flag("transpose_a") or facts.flag("adj_x") else first[-2]
    columns = second[-2] if facts.flag("transpose_b") or facts.flag("adj_y") else second[-1]
    yield (*elementwise_shape([first[:-2], second[:-2]]), rows, columns)


def einsum_sizes(equation: str, shapes: Sequence[Sequence[int | None]]) -> dict[str, int | None]:
    """Return the extent of each index of an Einsum by its letter, those of an ellipsis by their place from the end.

    Raises
    ------
    ValueError
        If the equation does not fit the shapes.
    """
    sizes: dict[str, int | None] = {}
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    for term, shape in zip(terms, shapes, strict=True):
        for letter, size in zip(_letters(term, len(shape)), shape, strict=True):
            known = sizes.get(letter)
            sizes[letter] = size if known in (None, 1) else known
    return sizes


def _letters(term: str, rank: int) -> list[str]:
    """Return the indices of a term: what stands for the ellipsis is counted from its end."""
    before, dots, after = term.partition("...")
    hidden = rank - len(before) - len(after) if dots else 0
    return [*before, *(f".{place}" for place in reversed(range(hidden))), *after]


def _einsum(facts: NodeFacts) -> Iterator[Shape]:
    equation = facts.text("equation").replace(" ", "")
    sizes = einsum_sizes(equation, [facts.shape(place) for place in range(len(facts.inputs))])
    hidden = sum(letter.startswith(".") for letter in sizes)
    result = equation.partition("->")[2]
    yield tuple(
        sizes[letter] for letter in _letters(result, len(result.replace("...", "")) + hidden * ("..." in result))
    )


def _value_shape(place: int) -> Callable[[NodeFacts], Iterator[Shape]]:
    """Return a rule for an op whose result has the shape that an input says."""

    def rule(facts: NodeFacts) -> Iterator[Shape]:
        yield tuple(size if size >= 0 else None for size in facts.values(place))

    return rule


def _reshaped(facts: NodeFacts) -> Iterator[Shape]:
    wanted = facts.values(1)
    size = facts.input(0).size
    if -1 not in wanted:
        yield tuple(wanted)
        return
    known = math.prod(each for each in wanted if each != -1)
    open_size = size // known if size is not None and known else None
    yield tuple(open_size if each == -1 else each for each in wanted)


def _transposed(facts: NodeFacts) -> Iterator[Shape]:
    shape = facts.shape(0)
    yield tuple(shape[axis] for axis in facts.values(1))


def _one_hot(facts: NodeFacts) -> Iterator[Shape]:
    shape, depth = facts.shape(0), facts.values(1)[0]
    axis = facts.integer("axis", -1) % (len(shape) + 1)
    yield (*shape[:axis], depth, *shape[axis:])


def _top(facts: NodeFacts) -> Iterator[Shape]:
    count = facts.values(1)[0] if facts.op == "TopKV2" else facts.integer("k")
    yield from [(*facts.shape(0)[:-1], count)] * 2


def _range(facts: NodeFacts) -> Iterator[Shape]:
    begin, end, step = (facts.values(place)[0] for place in range(3))
    yield (len(range(begin, end, step)),)


def _constant(facts: NodeFacts) -> Iterator[Shape]:
    # Of a large constant of a TFLite file the shape alone is stated.
    if "value" in facts.node.attr:
        yield protos.shape_of(facts.node.attr["value"].tensor.tensor_shape)


def _shape_op(facts: NodeFacts) -> Iterator[Shape]:
    yield from ((None if each.shape is None else len(each.shape),) for each in facts.inputs)


def _scalar(_: NodeFacts) -> Iterator[Shape]:
    yield ()


def _behind_handle(facts: NodeFacts) -> Iterator[Shape]:
    content = facts.input(0).content
    yield None if content is None else content.shape


def _merged(facts: NodeFacts) -> Iterator[Shape]:
    """Return what a Merge gives on: what comes around a loop has the shape of what went in."""
    yield next((each.shape for each in facts.inputs if each.shape is not None), None)
    yield ()


def _select(facts: NodeFacts) -> Iterator[Shape]:
    yield next((facts.input(place).shape for place in (1, 2) if facts.input(place).shape is not None), None)


def _first_known(facts: NodeFacts) -> Iterator[Shape]:
    yield next((each.shape for each in facts.inputs if each.shape is not None), None)


_FAMILIES: tuple[tuple[frozenset[str], Callable[[NodeFacts], Iterable[Shape]]], ...] = (
    (_SAME, _same),
    (_BROADCAST, _broadcast),
    (_REDUCING, _reduced),
    (_POOLING, image_shapes.pool),
    (_CONVOLVING, image_shapes.convolution),
    (_RESIZING, image_shapes.resized),
    (_GENERATING, _value_shape(0)),
    (_NORMALISING, image_shapes.normalised),
    (_STATED, _of_statement),
)
_RULES: dict[str, Callable[[NodeFacts], Iterable[Shape]]] = {
    "AddN": _first_known,
    "AccumulateNV2": _first_known,
    "ArgMax": _index,
    "ArgMin": _index,
    "BatchMatMul": _matrices,
    "BatchMatMulV2": _matrices,
    "BatchMatMulV3": _matrices,
    "BatchToSpaceND": image_shapes.space_to_batch,
    "BroadcastTo": _value_shape(1),
    "Concat": piece_shapes.concatenated,
    "ConcatV2": piece_shapes.concatenated,
    "Const": _constant,
    "Conv2DBackpropInput": _value_shape(0),
    "Conv3DBackpropInputV2": _value_shape(0),
    "DepthToSpace": image_shapes.space_to_depth,
    "DepthwiseConv2dNativeBackpropInput": _value_shape(0),
    "Einsum": _einsum,
    "ExpandDims": piece_shapes.with_axis,
    "Fill": _value_shape(0),
    "Gather": piece_shapes.gathered,
    "GatherNd": piece_shapes.gathered_nd,
    "GatherV2": piece_shapes.gathered,
    "LoopCond": _scalar,
    "MatMul": _matrices,
    "Merge": _merged,
    "MirrorPad": piece_shapes.padded,
    "OneHot": _one_hot,
    "Pack": piece_shapes.packed,
    "Pad": piece_shapes.padded,
    "PadV2": piece_shapes.padded,
    "Range": _range,
    "Rank": _scalar,
    "ReadVariableOp": _behind_handle,
    "Reshape": _reshaped,
    "ResourceGather": piece_shapes.gathered,
    "Select": _select,
    "Shape": _shape_op,
    "ShapeN": _shape_op,
    "Size": _scalar,
    "Slice": piece_shapes.sliced,
    "SpaceToBatchND": image_shapes.space_to_batch,
    "SpaceToDepth": image_shapes.space_to_depth,
    "Split": piece_shapes.split,
    "SplitV": piece_shapes.split_by_sizes,
    "Squeeze": piece_shapes.squeezed,
    "StridedSlice": piece_shapes.strided,
    "Tile": piece_shapes.tiled,
    "TopK": _top,
    "TopKV2": _top,
    "Transpose": _transposed,
    "Unpack": piece_shapes.unpacked,
    "VarHandleOp": _scalar,
    "_FusedMatMul": _matrices,
}

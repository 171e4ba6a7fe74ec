"""The values of small tensors of integers that no input decides: what a Reshape, a Tile or a reduction goes by.

Keras reshapes to ``[shape(x)[0], 1, 1, 32]``: with the batch known, that is a value. Not for: floats, or folding a
graph's constants for a run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.files import protos
from tfmagic.files.checkpoints import values as tensor_values
from tfmagic.graphs import constants
from tfmagic.graphs.costs import output_shapes, piece_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfmagic.graphs.costs.tensor_facts import NodeFacts

#: Larger tensors are data, not shapes.
_MOST_ELEMENTS = 4096
_KINDS = "iub"


def value(facts: NodeFacts) -> np.ndarray | None:
    """Return the value of a node's first output, None where it is not known, not small or not of integers."""
    rule = _RULES.get(facts.op)
    if rule is None:
        return None
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(rule(facts))
    except (LookupError, ValueError, TypeError, ArithmeticError, MemoryError):
        return None
    return result if result.dtype.kind in _KINDS and result.size <= _MOST_ELEMENTS else None


def _constant(facts: NodeFacts) -> np.ndarray:
    if "value" not in facts.node.attr:
        raise LookupError(facts.op)
    tensor = facts.node.attr["value"].tensor
    if tensor_values.numpy_dtype(protos.dtype_name(tensor.dtype)).kind not in _KINDS:
        raise ValueError(facts.op)
    if math.prod(dim.size for dim in tensor.tensor_shape.dim) > _MOST_ELEMENTS:
        raise ValueError(facts.op)
    return constants.tensor_value(tensor)


def _cast(facts: NodeFacts) -> np.ndarray:
    return facts.value(0).astype(np.dtype(facts.dtype("DstT")))


def _range(facts: NodeFacts) -> np.ndarray:
    begin, end, step = (facts.values(place)[0] for place in range(3))
    if len(range(begin, end, step)) > _MOST_ELEMENTS:
        raise ValueError(facts.op)
    return np.arange(begin, end, step)


def _filled(facts: NodeFacts) -> np.ndarray:
    sizes = facts.values(0)
    if math.prod(sizes) > _MOST_ELEMENTS:
        raise ValueError(facts.op)
    return np.full(sizes, facts.value(1))


def _joined(facts: NodeFacts) -> np.ndarray:
    return np.concatenate(
        [np.atleast_1d(facts.value(place)) for place in range(len(facts.inputs) - 1)], axis=facts.values(-1)[0]
    )


def _packed(facts: NodeFacts) -> np.ndarray:
    return np.stack([facts.value(place) for place in range(len(facts.inputs))], axis=facts.integer("axis"))


def _sliced(facts: NodeFacts) -> np.ndarray:
    begins, sizes = facts.values(1), facts.values(2)
    cuts = tuple(slice(begin, None if size < 0 else begin + size) for begin, size in zip(begins, sizes, strict=True))
    return facts.value(0)[cuts]


def _gathered(facts: NodeFacts) -> np.ndarray:
    return np.take(facts.value(0), facts.value(1), axis=facts.values(2)[0] if facts.op == "GatherV2" else 0)


def _squeezed(facts: NodeFacts) -> np.ndarray:
    axes = facts.integers("squeeze_dims")
    return np.squeeze(facts.value(0), axis=tuple(axes) or None)


def _reduction(function: Callable[..., np.ndarray]) -> Callable[[NodeFacts], np.ndarray]:
    def rule(facts: NodeFacts) -> np.ndarray:
        axes = tuple(output_shapes.reduced_axes(facts))
        return function(facts.value(0), axis=axes, keepdims=facts.flag("keep_dims"))

    return rule


def _elementwise(function: Callable[..., np.ndarray]) -> Callable[[NodeFacts], np.ndarray]:
    return lambda facts: function(*(facts.value(place) for place in range(len(facts.inputs))))


_RULES: Mapping[str, Callable[[NodeFacts], object]] = {
    "Add": _elementwise(np.add),
    "AddV2": _elementwise(np.add),
    "BroadcastTo": lambda facts: np.broadcast_to(facts.value(0), facts.values(1)),
    "Cast": _cast,
    "ConcatV2": _joined,
    "Const": _constant,
    "Equal": _elementwise(np.equal),
    "ExpandDims": lambda facts: np.expand_dims(facts.value(0), facts.values(1)[0]),
    "Fill": _filled,
    "FloorDiv": _elementwise(np.floor_divide),
    "FloorMod": _elementwise(np.mod),
    "Gather": _gathered,
    "GatherV2": _gathered,
    "Greater": _elementwise(np.greater),
    "GreaterEqual": _elementwise(np.greater_equal),
    "Identity": lambda facts: facts.value(0),
    "Less": _elementwise(np.less),
    "LessEqual": _elementwise(np.less_equal),
    "Max": _reduction(np.max),
    "Maximum": _elementwise(np.maximum),
    "Min": _reduction(np.min),
    "Minimum": _elementwise(np.minimum),
    "Mul": _elementwise(np.multiply),
    "Neg": _elementwise(np.negative),
    "Pack": _packed,
    "Prod": _reduction(np.prod),
    "Range": _range,
    "Rank": lambda facts: len(facts.shape(0)),
    "Reshape": lambda facts: facts.value(0).reshape(facts.values(1)),
    "SelectV2": _elementwise(np.where),
    "Shape": lambda facts: facts.sizes(0),
    "Size": lambda facts: math.prod(facts.sizes(0)),
    "Slice": _sliced,
    "Squeeze": _squeezed,
    "StopGradient": lambda facts: facts.value(0),
    "StridedSlice": lambda facts: facts.value(0)[tuple(piece_shapes.strided_slices(facts))],
    "Sub": _elementwise(np.subtract),
    "Sum": _reduction(np.sum),
    "Transpose": lambda facts: np.transpose(facts.value(0), facts.values(1)),
}

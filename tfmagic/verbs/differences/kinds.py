"""Rows for two graphs whose ops are not of one library: which kinds of ops a converter kept, folded or left out.

TFLite's names are brought to TensorFlow's, and what an operator of TFLite does beside its own work (a bias, an
activation) counts as the op that it was. Not for: graphs of one library
(:mod:`tfmagic.verbs.differences.computations`).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tfmagic import frames
from tfmagic.graphs.computation import INPUT
from tfmagic.graphs.node_descriptions import WEIGHT
from tfmagic.verbs.differences import computations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.graphs.computation import Op
    from tfmagic.models.model import Model
    from tfmagic.verbs.differences.computations import Ends

#: TFLite's names whose letters are not those of TensorFlow's op.
_NAMES = {
    "AVERAGE_POOL_2D": "AvgPool", "CONCATENATION": "Concat", "DEPTHWISE_CONV_2D": "DepthwiseConv2dNative",
    "DIV": "RealDiv", "FULLY_CONNECTED": "MatMul", "LOGISTIC": "Sigmoid", "MAX_POOL_2D": "MaxPool",
    "REDUCE_MAX": "Max", "REDUCE_MIN": "Min", "REDUCE_PROD": "Prod", "REDUCE_ALL": "All", "REDUCE_ANY": "Any",
    "TRANSPOSE_CONV": "Conv2DBackpropInput",
}  # fmt: skip
_VERSION = re.compile(r"V\d+$")
#: Operators of TFLite that add a bias if they have so many inputs.
_BIASED = {"CONV_2D": 3, "CONV_3D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 3, "TRANSPOSE_CONV": 4}
_ACTIVATION = "fused_activation_function"
_COUNTED_APART = frozenset({INPUT, WEIGHT, "Const", "NoOp", "unknown"})


def rows(first: Model, second: Model, mine: Ends, theirs: Ends) -> Iterator[frames.DiffRow]:
    """Yield a row for each kind of op that one of two models has more of, and one for what was not compared."""
    names: dict[str, str] = {}
    a, b = (_counted(model, ends, names) for model, ends in ((first, mine), (second, theirs)))
    for kind in sorted(a.keys() | b.keys(), key=lambda kind: (-abs(a[kind] - b[kind]), kind)):
        if a[kind] != b[kind]:
            yield frames.DiffRow("op", names[kind], _ops(a[kind]), _ops(b[kind]), None, None)
    yield frames.DiffRow("not compared", "ops one by one", _library(first), _library(second), None, None)


def _counted(model: Model, ends: Ends, names: dict[str, str]) -> Counter[str]:
    """Count the kinds of ops between a model's ends; note how each is called."""
    counts: Counter[str] = Counter()
    for op in computations.computation_of(model, ends).ops:
        for name in _done(op):
            kind = _letters(name)
            counts[kind] += 1
            names.setdefault(kind, name)
    return counts


def _done(op: Op) -> Iterator[str]:
    """Yield what an op does, as TensorFlow's ops."""
    if op.op in _COUNTED_APART:
        return
    yield _NAMES.get(op.op, op.op)
    if op.op in _BIASED and len(op.inputs) >= _BIASED[op.op]:
        yield "BiasAdd"
    activation = dict(op.attributes).get(_ACTIVATION, "NONE")
    if activation not in ("NONE", "default"):
        yield activation


def _letters(name: str) -> str:
    return _VERSION.sub("", name).replace("_", "").lower()


def _ops(count: int) -> str:
    return "" if not count else "1 op" if count == 1 else f"{count:,} ops"


def _library(model: Model) -> str:
    return f"{model.title}'s" if model.has_own_ops else "TensorFlow's"

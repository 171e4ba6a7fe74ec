"""The floating-point operations of a Keras layer at inference, from its class, its arguments and its shapes.

The rules count what the ops of a layer count in :mod:`tfmagic.graphs.costs.flops`, so that a model costs the same
before and after it is traced; tests hold them to each other. Not for: layers whose work depends on code or data; that
is not known, then.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from tfmagic.files import protos
from tfmagic.files.keras import specs as keras_specs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tfmagic.frames import Shape

#: The arguments of a layer's constructor, or its attributes of the same names.
Arguments: TypeAlias = "Mapping[str, Any]"
_Sizes: TypeAlias = tuple[int, ...]
_Rule: TypeAlias = "Callable[[Arguments, Sequence[_Sizes], _Sizes], int]"

#: What :func:`flops` reads of a layer's arguments.
ARGUMENTS = (
    "activation", "axes", "axis", "bias_axes", "center", "data_format", "depth_multiplier", "equation", "filters",
    "groups", "key_dim", "kernel_size", "merge_mode", "num_heads", "pool_size", "reset_after", "return_sequences",
    "scale", "units", "use_bias", "value_dim",
)  # fmt: skip
#: Layers that move, choose or look up numbers, or that do nothing at inference.
_FREE = frozenset({
    "ActivityRegularization", "AlphaDropout", "CategoryEncoding", "CenterCrop", "Concatenate", "Cropping1D",
    "Cropping2D", "Cropping3D", "Discretization", "Dropout", "ELU", "Embedding", "Flatten", "GaussianDropout",
    "GaussianNoise", "GetItem", "HashedCrossing", "Hashing", "Identity", "InputLayer", "IntegerLookup", "LeakyReLU",
    "Masking", "Permute", "ReLU", "RepeatVector", "Reshape", "Resizing", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "StringLookup", "TextVectorization", "ThresholdedReLU", "Transpose", "UpSampling1D",
    "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
})  # fmt: skip
#: Operations for each element by an activation's name, as Keras 3 writes it in TensorFlow's ops.
_ACTIVATIONS = {
    "celu": 5, "elu": 0, "exponential": 0, "gelu": 4, "hard_sigmoid": 2, "hard_silu": 3, "hard_swish": 3,
    "leaky_relu": 0, "linear": 0, "log_softmax": 5, "mish": 1, "relu": 0, "relu6": 0, "selu": 0, "sigmoid": 0,
    "silu": 2, "softmax": 5, "softplus": 0, "softsign": 0, "swish": 2, "tanh": 0,
}  # fmt: skip
_MERGING = frozenset({
    "Add", "Divide", "Maximum", "Minimum", "Multiply", "Subtract", "TrueDivide",
})  # fmt: skip
_SPATIAL = re.compile(
    r"(?P<kind>Conv|DepthwiseConv|SeparableConv|MaxPooling|AveragePooling|GlobalMaxPooling|GlobalAveragePooling)"
    r"(?P<rank>[123])D(?P<transposed>Transpose)?$"
)


def flops(kind: str, arguments: Arguments, inputs: Sequence[Shape], output: Shape) -> int | None:
    """Return the operations of one call, a multiply-add counted as two, None where they are not known.

    Parameters
    ----------
    kind : str
        The layer's class.
    arguments : mapping
        The arguments of its constructor; nothing about their types is trusted.
    inputs : sequence of shapes
        Of each tensor that it consumes. An open first dimension is a batch of one.
    output : shape
        Of its first output.
    """
    if kind in _FREE or kind.startswith("Random"):
        return 0
    try:
        return _rule(kind)(arguments, [_sizes(shape) for shape in inputs], _sizes(output))
    except (LookupError, TypeError, ValueError, ZeroDivisionError, AttributeError, RecursionError):
        return None


def activation_bytes(output: Shape, dtype: str | None) -> int | None:
    """Return the bytes of a layer's first output for a batch of one, None where they are not known."""
    item = protos.item_size(dtype) if dtype else None
    try:
        return None if item is None else item * math.prod(_sizes(output))
    except ValueError:
        return None


def total(costs: Any) -> int | None:  # noqa: ANN401 - an iterable of numbers and None
    """Add up costs; None if one of them is not known."""
    listed = list(costs)
    return None if None in listed else sum(listed)


@lru_cache(maxsize=1024)
def _sizes(shape: Shape) -> _Sizes:
    """Return a shape for a batch of one; raises ValueError where another dimension is open."""
    if shape is None or None in shape[1:]:
        raise ValueError(shape)
    return tuple(1 if size is None else size for size in shape)


def _rule(kind: str) -> _Rule:
    if kind in _RULES:
        return _RULES[kind]
    if kind in _MERGING:
        return lambda _, inputs, output: max(1, len(inputs) - 1) * math.prod(output)
    match = _SPATIAL.match(kind)
    if match is None:
        raise LookupError(kind)
    rule, rank = _SPATIAL_RULES[match["kind"] + (match["transposed"] or "")], int(match["rank"])
    return lambda arguments, inputs, output: rule(arguments, inputs[0], output, rank)


def _activation(arguments: Arguments, size: int, default: str = "linear") -> int:
    """Return the operations of the activation that comes last; raises LookupError for one that Keras does not know."""
    activation = arguments.get("activation", default)
    if isinstance(activation, dict):
        activation = activation.get("config") if isinstance(activation.get("config"), str) else activation["class_name"]
    if activation is None:
        return 0
    # By the name of its function, as nearly all have it, or of its class.
    name = str(activation)
    return size * _ACTIVATIONS[name if name in _ACTIVATIONS else keras_specs.snake_case(name)]


def _bias(arguments: Arguments, size: int) -> int:
    return size if arguments.get("use_bias", True) else 0


def _numbers(value: object, rank: int) -> list[int]:
    """Return an argument's number for each axis; one number stands for all of them."""
    listed = list(value) if isinstance(value, list | tuple) else [value] * rank
    if not all(isinstance(number, int) for number in listed):
        raise TypeError(value)
    return listed  # type: ignore[return-value]


def _whole(arguments: Arguments, key: str) -> int:
    number = arguments[key]
    if not isinstance(number, int):
        raise TypeError(number)
    return number


def _channels(arguments: Arguments, shape: _Sizes) -> int:
    return shape[1] if arguments.get("data_format") == "channels_first" else shape[-1]


def _dense(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    size = math.prod(output)
    return 2 * size * inputs[0][-1] + _bias(arguments, size) + _activation(arguments, size)


def _einsum_dense(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    terms, _, result = str(arguments["equation"]).replace(" ", "").partition("->")
    first, _, kernel = terms.partition(",")
    sizes: dict[str, int] = {}
    for term, shape in ((first, inputs[0]), (result, output)):
        before, dots, after = term.partition("...")
        hidden = len(shape) - len(before) - len(after) if dots else 0
        letters = [*before, *(f".{place}" for place in range(hidden)), *after]
        sizes.update(zip(letters, shape, strict=True))
    if not set(kernel.replace(".", "")) <= set(sizes):
        raise LookupError(kernel)
    size = math.prod(output)
    bias = size if arguments.get("bias_axes") is not None else 0
    return 2 * math.prod(sizes.values()) + bias + _activation(arguments, size)


def _convolution(arguments: Arguments, shape: _Sizes, output: _Sizes, rank: int) -> int:
    groups = _whole(arguments, "groups") if "groups" in arguments else 1
    inner = math.prod(_numbers(arguments["kernel_size"], rank)) * (_channels(arguments, shape) // groups)
    size = math.prod(output)
    return 2 * size * inner + _bias(arguments, size) + _activation(arguments, size)


def _transposed(arguments: Arguments, shape: _Sizes, output: _Sizes, rank: int) -> int:
    inner = math.prod(_numbers(arguments["kernel_size"], rank)) * _whole(arguments, "filters")
    size = math.prod(output)
    return 2 * math.prod(shape) * inner + _bias(arguments, size) + _activation(arguments, size)


def _depthwise(arguments: Arguments, shape: _Sizes, output: _Sizes, rank: int) -> int:
    del shape
    size = math.prod(output)
    kernel = math.prod(_numbers(arguments["kernel_size"], rank))
    return 2 * size * kernel + _bias(arguments, size) + _activation(arguments, size)


def _separable(arguments: Arguments, shape: _Sizes, output: _Sizes, rank: int) -> int:
    size = math.prod(output)
    places = size // _channels(arguments, output)
    times = _whole(arguments, "depth_multiplier") if "depth_multiplier" in arguments else 1
    between = _channels(arguments, shape) * times
    kernel = math.prod(_numbers(arguments["kernel_size"], rank))
    work = 2 * places * between * kernel + 2 * size * between
    return work + _bias(arguments, size) + _activation(arguments, size)


def _pool(arguments: Arguments, shape: _Sizes, output: _Sizes, rank: int) -> int:
    del shape
    return math.prod(output) * math.prod(_numbers(arguments["pool_size"], rank))


def _global_pool(arguments: Arguments, shape: _Sizes, output: _Sizes, rank: int) -> int:
    del arguments, output, rank
    return math.prod(shape)


def _global_maximum(arguments: Arguments, shape: _Sizes, output: _Sizes, rank: int) -> int:
    del arguments, rank
    return math.prod(shape) - math.prod(output)


def _batch_normalisation(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    """Count a multiply-add for each element; what is multiplied and added is made for each channel first."""
    del inputs
    axis = arguments.get("axis", -1)
    channels = output[axis[0] if isinstance(axis, list | tuple) else axis]
    folded = 4 + bool(arguments.get("scale", True)) + bool(arguments.get("center", True))
    return 2 * math.prod(output) + folded * channels


def _normalised_together(arguments: Arguments, output: _Sizes) -> int:
    """Return how many sets of elements are each brought to one scale."""
    axis = arguments.get("axis", -1)
    return math.prod(output) // math.prod(output[each] for each in (axis if isinstance(axis, list | tuple) else [axis]))


def _layer_normalisation(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    """Mean and variance of each set, and for each element what it is brought to one scale with."""
    del inputs
    return 9 * math.prod(output) + 4 * _normalised_together(arguments, output)


def _group_normalisation(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    del inputs
    groups, channels = _whole(arguments, "groups"), output[arguments.get("axis", -1)]
    return 6 * math.prod(output) + 4 * output[0] * (channels if groups == -1 else groups) + 3 * output[0] * channels


def _unit_normalisation(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    del inputs
    return 3 * math.prod(output) + 2 * _normalised_together(arguments, output)


def _root_mean_square(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    del inputs
    return 4 * math.prod(output) + 3 * _normalised_together(arguments, output)


def _per_element(count: int) -> _Rule:
    return lambda _arguments, _inputs, output: count * math.prod(output)


def _average(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    del arguments
    return len(inputs) * math.prod(output)


def _activated(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    del inputs
    return _activation(arguments, math.prod(output))


def _dot(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    axes = arguments["axes"]
    axis = axes[0] if isinstance(axes, list | tuple) else axes
    return 2 * math.prod(output) * inputs[0][axis]


def _recurrent(gates: int, elementwise: int) -> _Rule:
    """Return the rule of a layer that goes over steps, with so many gates and operations beside them."""

    def rule(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
        del output
        batch, steps, features = inputs[0]
        units = _whole(arguments, "units")
        biases = gates * (2 if gates == _GRU_GATES and arguments.get("reset_after", True) else 1)
        step = 2 * gates * units * (features + units) + _bias(arguments, biases * units) + elementwise * units
        return batch * steps * step

    return rule


_GRU_GATES = 3


def _inner(arguments: Arguments) -> tuple[str, Arguments]:
    """Return class and arguments of the layer that another one wraps."""
    spec = arguments["layer"]
    return keras_specs.class_name(spec), keras_specs.arguments(spec)


def _both_ways(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    kind, inner = _inner(arguments)
    joined = math.prod(output) if arguments.get("merge_mode", "concat") in ("sum", "mul", "ave") else 0
    return 2 * _rule(kind)(inner, inputs, output) + joined


def _each_step(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    kind, inner = _inner(arguments)
    batch, steps, *rest = inputs[0]
    cost = flops(kind, inner, [(batch, *rest)], (batch, *output[2:]))
    if cost is None:
        raise LookupError(kind)
    return steps * cost


def _multi_head(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    """Four projections, and two products of each query with each key."""
    query, value = inputs[0], inputs[min(1, len(inputs) - 1)]
    key = inputs[2] if len(inputs) > 2 else value  # noqa: PLR2004 - query, value, key
    heads, width = _whole(arguments, "num_heads"), _whole(arguments, "key_dim")
    depth = arguments.get("value_dim") or width
    targets, sources = math.prod(query[:-1]), math.prod(value[:-1])
    pairs = query[0] * heads * math.prod(query[1:-1]) * math.prod(value[1:-1])
    projected = [
        (targets, query[-1], heads * width),
        (sources, key[-1], heads * width),
        (sources, value[-1], heads * depth),
    ]
    work = sum(
        2 * rows * features * columns + _bias(arguments, rows * columns) for rows, features, columns in projected
    )
    back = 2 * targets * heads * depth * output[-1] + _bias(arguments, math.prod(output))
    # Each product is scaled before the softmax.
    return work + pairs * (2 * width + 1 + 5 + 2 * depth) + back


def _attention(arguments: Arguments, inputs: Sequence[_Sizes], output: _Sizes) -> int:
    del arguments
    query, value = inputs[0], inputs[1]
    pairs = math.prod(query[:-1]) * value[-2]
    return pairs * (2 * query[-1] + 5) + 2 * math.prod(output) * value[-2]


_SPATIAL_RULES: dict[str, Callable[[Arguments, _Sizes, _Sizes, int], int]] = {
    "AveragePooling": _pool,
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "DepthwiseConv": _depthwise,
    "GlobalAveragePooling": _global_pool,
    "GlobalMaxPooling": _global_maximum,
    "MaxPooling": _pool,
    "SeparableConv": _separable,
}
_RULES: dict[str, _Rule] = {
    "Activation": _activated,
    "Attention": _attention,
    "Average": _average,
    "BatchNormalization": _batch_normalisation,
    "Bidirectional": _both_ways,
    "Dense": _dense,
    "Dot": _dot,
    "EinsumDense": _einsum_dense,
    "GRU": _recurrent(_GRU_GATES, 8),
    "GroupNormalization": _group_normalisation,
    "LSTM": _recurrent(4, 8),
    "LayerNormalization": _layer_normalisation,
    "MultiHeadAttention": _multi_head,
    "Normalization": _per_element(2),
    "PReLU": _per_element(4),
    "RMSNormalization": _root_mean_square,
    "Rescaling": _per_element(2),
    "SimpleRNN": _recurrent(1, 1),
    "Softmax": _per_element(5),
    "TimeDistributed": _each_step,
    "UnitNormalization": _unit_normalisation,
}

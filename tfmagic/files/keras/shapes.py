"""Derive the shape of a Keras layer's output from its input's and its arguments, where they leave no doubt.

Configs before Keras 2.11 state the input's shape only; this fills in the rest for the layers that most networks are
made of. Not for: layers whose output depends on code or data; their shape stays unknown, and so does what follows.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfmagic.frames import Shape

#: The arguments of a layer's constructor, from a config; anything may be among them.
Arguments: TypeAlias = "dict[str, Any]"
_Sizes: TypeAlias = tuple[int | None, ...]

_MAX_DIMENSION = 2**63 - 1
#: Layers whose output has the shape of their input, whatever their arguments.
_SAME = frozenset({
    "Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "Dropout", "ELU", "GaussianDropout",
    "GaussianNoise", "GroupNormalization", "LayerNormalization", "LeakyReLU", "Masking", "Normalization", "PReLU",
    "ReLU", "Rescaling", "RMSNormalization", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "ThresholdedReLU", "UnitNormalization",
})  # fmt: skip
_MERGING = frozenset({"Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"})
_SPATIAL = re.compile(
    r"(?P<kind>Conv|DepthwiseConv|SeparableConv|MaxPooling|AveragePooling|GlobalMaxPooling|GlobalAveragePooling"
    r"|ZeroPadding|Cropping|UpSampling)(?P<rank>[123])D$"
)


def output(kind: str, arguments: Arguments, inputs: Sequence[Shape]) -> Shape:
    """Return the shape of a layer's output, None where it is not certain.

    Parameters
    ----------
    kind : str
        The layer's class.
    arguments : dict
        The arguments of its constructor, as the config has them; nothing about their types is trusted.
    inputs : sequence of shapes
        Of each tensor that it consumes.
    """
    try:
        shapes = [tuple(shape) for shape in inputs if shape is not None]
        if not shapes or len(shapes) < len(inputs):
            return None
        result = _merged(kind, arguments, shapes) if len(shapes) > 1 else _mapped(kind, arguments, shapes[0])
    except (LookupError, TypeError, ValueError, ZeroDivisionError):
        return None
    return result if result is not None and all(is_dimension(size) for size in result) else None


def is_dimension(size: object) -> bool:
    """Whether a value can be a dimension: None, or a number of elements."""
    return size is None or (isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= _MAX_DIMENSION)


def _merged(kind: str, arguments: Arguments, shapes: list[_Sizes]) -> Shape:
    if len({len(shape) for shape in shapes}) > 1:
        return None
    if kind in _MERGING:
        return tuple(broadcast(sizes) for sizes in zip(*shapes, strict=True))
    if kind != "Concatenate":
        return None
    axis = arguments["axis"] % len(shapes[0])
    if len({shape[:axis] + shape[axis + 1 :] for shape in shapes}) > 1:
        return None
    return (*shapes[0][:axis], _sum([shape[axis] for shape in shapes]), *shapes[0][axis + 1 :])


def broadcast(sizes: Sequence[int | None]) -> int | None:
    """Return what sizes along one axis become together; next to a known size an unknown one must be that, or 1."""
    larger = {size for size in sizes if size not in (None, 1)}
    if len(larger) > 1:
        raise ValueError(f"sizes {sizes!r} do not go together")
    return larger.pop() if larger else None if None in sizes else 1


def _mapped(kind: str, arguments: Arguments, shape: _Sizes) -> Shape:
    if kind in _SAME:
        return shape
    rule = _RULES.get(kind)
    return rule(arguments, shape) if rule else _spatial(kind, arguments, shape)


def _recurrent(arguments: Arguments, shape: _Sizes) -> Shape:
    return (*shape[: 2 if arguments["return_sequences"] else 1], arguments["units"])


def _spatial(kind: str, arguments: Arguments, shape: _Sizes) -> Shape:
    """Handle the layers that work on each place of an image, a line or a volume."""
    match = _SPATIAL.match(kind)
    if match is None or len(shape) != int(match["rank"]) + 2:
        return None
    first = arguments.get("data_format") == "channels_first"
    places = shape[2:] if first else shape[1:-1]
    channels = shape[1] if first else shape[-1]
    if match["kind"].startswith("Global"):
        kept: _Sizes = (1,) * len(places) if arguments.get("keepdims") else ()
    else:
        kept = tuple(_place(match["kind"], arguments, size, index, len(places)) for index, size in enumerate(places))
        channels = _channels(match["kind"], arguments, channels)
    return (shape[0], channels, *kept) if first else (shape[0], *kept, channels)


def _place(kind: str, arguments: Arguments, size: int | None, index: int, rank: int) -> int | None:
    """Return the extent along one axis."""
    if size is None:
        return None
    if kind == "UpSampling":
        return size * _of(arguments["size"], index)
    if kind in ("ZeroPadding", "Cropping"):
        around = arguments["padding" if kind == "ZeroPadding" else "cropping"]
        # A line's padding is one pair, an image's a pair for each axis; any may be one number instead.
        pair = around[index] if rank > 1 and isinstance(around, list) else around
        amount = _of(pair, 0) + _of(pair, 1)
        return size + amount if kind == "ZeroPadding" else size - amount
    window = _of(arguments["pool_size" if kind.endswith("Pooling") else "kernel_size"], index)
    step = _of(arguments["strides"], index)
    return _slid(size, (window - 1) * _of(arguments.get("dilation_rate", 1), index) + 1, step, arguments["padding"])


def _slid(size: int, window: int, step: int, padding: str) -> int | None:
    """Return how many windows fit (``keras.src.ops.operation_utils.compute_conv_output_shape``)."""
    if padding not in ("same", "valid", "causal"):
        return None
    return -(-(size if padding != "valid" else size - window + 1) // step)


def _channels(kind: str, arguments: Arguments, channels: int | None) -> int | None:
    if kind in ("Conv", "SeparableConv"):
        return _of(arguments["filters"], 0)
    if kind == "DepthwiseConv":
        return None if channels is None else channels * _of(arguments["depth_multiplier"], 0)
    return channels


def _reshaped(arguments: Arguments, shape: _Sizes) -> Shape:
    """Return a Reshape's output, its -1 replaced if that is known."""
    target, elements = [_of(size, 0) for size in arguments["target_shape"]], _product(shape[1:])
    known = math.prod(size for size in target if size != -1)
    rest = elements // known if elements is not None and known else None
    return (shape[0], *(rest if size == -1 else size for size in target))


def _of(value: object, index: int) -> int:
    """Return an argument's number for one axis; one number stands for all of them.

    Anything else is refused before it is calculated with: a size times a text is a long text.
    """
    number = value[index] if isinstance(value, list) else value
    if not isinstance(number, int):
        raise TypeError(f"{number!r} is no number")
    return number


def _sum(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _product(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


#: Layers with a rule of their own, whose output follows from one input.
_RULES: dict[str, Callable[[Arguments, _Sizes], Shape]] = {
    "Dense": lambda given, shape: (*shape[:-1], given["units"]),
    "Embedding": lambda given, shape: (*shape, given["output_dim"]),
    "Flatten": lambda _, shape: (shape[0], _product(shape[1:])),
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "RepeatVector": lambda given, shape: (shape[0], given["n"], *shape[1:]),
    "Reshape": _reshaped,
    "SimpleRNN": _recurrent,
}

"""What a node computes, as an op and texts that are the same for the same: the node's attributes, a constant's value.

What says how a node is run, and what repeats an op's default, is left out. Not for: what nodes take from one another
(:mod:`tfmagic.graphs.computation_reading`).
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic.files import protos
from tfmagic.graphs import constants, op_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Attributes that say how a node is run, or what TensorFlow knows of it, not what it computes.
_SILENT = frozenset({
    "allowed_devices", "config", "config_proto", "container", "debug_name", "executor_type", "output_shapes",
    "parallel_iterations", "shared_name", "swap_memory", "use_cudnn_on_gpu", "use_inter_op_parallelism",
    "use_node_name_sharing",
    "validate_indices", "validate_shape",
})  # fmt: skip
#: Values that ask for nothing, which is the default of most attributes.
_NOTHING = frozenset({"", "0", "0.0", "False", "[]"})
#: Constants of more elements are compared by a digest.
_LONGEST_VALUE = 100
#: What stands for weights, whether they are variables or constants.
WEIGHT = "weight"

Attributes: TypeAlias = tuple[tuple[str, str], ...]


class Weight(NamedTuple):
    """A constant that is a weight: its dtype and shape as a text, empty where they are not told, and of its value."""

    kind: str
    value: str


class Description(NamedTuple):
    """What a node computes; ``weight`` where it is a constant that is one."""

    op: str
    attributes: Attributes
    weight: Weight | None = None


def of_constant(node: protos.Message) -> Description:
    """Describe a Const."""
    if "value" not in node.attr or "quantization" in node.attr:
        # A weight of a TFLite file, whose values lie elsewhere.
        return Description(WEIGHT, (), Weight("", ""))
    tensor = node.attr["value"].tensor
    dtype, shape = protos.dtype_name(tensor.dtype), protos.shape_of(tensor.tensor_shape)
    size = math.prod(dimension or 0 for dimension in shape or ())
    if constants.is_of_weights(dtype) and size > 1:
        kind = f"{dtype} {shape}"
        return Description(WEIGHT, (), Weight(kind, f"{kind} {_digest(tensor)}"))
    return Description("Const", _of_value(dtype, shape, _value_text(tensor)))


def of_value(dtype: str, value: np.ndarray) -> Attributes:
    """Describe a constant that holds a value, as :func:`of_constant` does."""
    return _of_value(dtype, value.shape, _array_text(value))


def _of_value(dtype: str, shape: object, value: str) -> Attributes:
    return ("dtype", dtype), ("shape", str(shape)), ("value", value)


def kind_of_variable(node: protos.Message) -> str:
    """Return the dtype and shape of a variable as a text; empty where the node does not tell."""
    if "shape" not in node.attr:
        return ""
    return f"{protos.dtype_name(node.attr['dtype'].type)} {protos.shape_of(node.attr['shape'].shape)}"


def tells(key: str) -> bool:
    """Whether an attribute tells of what a node computes."""
    return key not in _SILENT and not key.startswith("_")


def of_attributes(node: protos.Message) -> Attributes:
    """Return what the attributes of a node say, but for functions, whose names tell nothing."""
    pairs = []
    for key in sorted(node.attr):
        if not tells(key):
            continue
        value = node.attr[key]
        # A function's name has a number of the process that made it; what it computes is compared.
        if value.HasField("func") or len(value.list.func):
            continue
        text = attribute_text(value)
        if not _is_default(node.op, key, text):
            pairs.append((key, text))
    return tuple(pairs)


def _digest(tensor: protos.Message) -> str:
    """Return a digest of a constant's value, which may be written in more than one way."""
    try:
        data = np.ascontiguousarray(constants.tensor_value(tensor)).tobytes()
    except ValueError:
        data = tensor.SerializeToString(deterministic=True)
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def short_digest(data: bytes) -> str:
    """Return a text that is the same for the same bytes."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _value_text(tensor: protos.Message) -> str:
    """Return the text of a constant's value, of a long one its digest."""
    try:
        value = constants.tensor_value(tensor)
    except ValueError:
        return str(tensor.SerializeToString(deterministic=True).hex())
    return _array_text(value)


def _array_text(value: np.ndarray) -> str:
    if value.size <= _LONGEST_VALUE:
        return repr(value.tolist())
    data = value.tobytes() if value.dtype != object else b"\0".join(map(bytes, value.reshape(-1)))
    return f"{value.size} values, {short_digest(data)}"


def _is_default(op: str, key: str, text: str) -> bool:
    default = op_defaults.default(op, key)
    return text == default if default else text in _NOTHING


def attribute_text(value: protos.Message) -> str:
    """Return the text of an attribute's value."""
    kind = value.WhichOneof("value")
    if kind in _WORDS:
        return str(_WORDS[kind](value))
    return str(value.SerializeToString(deterministic=True).hex()) if kind else ""


#: How the value of an attribute is worded, by its kind.
_WORDS: Mapping[str, Callable[[protos.Message], object]] = {
    "s": lambda value: value.s.decode("utf-8", "backslashreplace"),
    "type": lambda value: protos.dtype_name(value.type),
    "shape": lambda value: protos.shape_of(value.shape),
    "f": lambda value: f"{value.f:.6g}",
    "i": lambda value: value.i,
    "b": lambda value: value.b,
    "list": lambda value: _listed(value.list),
}


def _listed(values: protos.Message) -> list[object]:
    shapes: Iterable[object] = map(protos.shape_of, values.shape)
    texts = (each.decode("utf-8", "backslashreplace") for each in values.s)
    return [*texts, *values.i, *values.f, *values.b, *map(protos.dtype_name, values.type), *shapes]

"""What one node says of itself: its attributes in words, and the first values of a constant.

Not for: the columns of the table of ops, which are read for all nodes at once (:mod:`tfmagic.graphs.node_attributes`).
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic.files import protos
from tfmagic.files.checkpoints import values as tensor_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

#: Items of a list, values of a constant and characters of a string that are told.
MOST_ITEMS, MOST_VALUES, MOST_TEXT = 12, 24, 200
#: What TensorFlow writes down for itself; it comes last.
_OWN = "_"
_CONTENT, _ENDING, _BYTES = "tensor_content", "_val", "float8_val"


def attributes(node: protos.Message) -> list[tuple[str, str]]:
    """Return the attributes of a NodeDef by name, their values in words."""
    names = sorted(node.attr, key=lambda name: (name.startswith(_OWN), name))
    return [(name, value_text(node.attr[name])) for name in names]


def value_text(value: protos.Message) -> str:
    """Word an AttrValue."""
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind == "list":
        filled = [(field.name, items) for field, items in value.list.ListFields()]
        return f"[{', '.join(_listed(*filled[0]))}]" if filled else "[]"
    return _WORDS[kind](getattr(value, kind))


def _listed(kind: str, items: Sequence[Any]) -> Iterable[str]:
    yield from (_WORDS[kind](item) for item in items[:MOST_ITEMS])
    if len(items) > MOST_ITEMS:
        yield f"… {len(items) - MOST_ITEMS:,} more"


def _quoted(data: bytes) -> str:
    """Word a string: as text where it is one, cut."""
    cut = data[:MOST_TEXT]
    try:
        text = repr(cut.decode())
    except UnicodeDecodeError:
        text = repr(cut)
    return text if len(data) <= MOST_TEXT else f"{text}… ({len(data):,} bytes)"


def _tensor_text(tensor: protos.Message) -> str:
    """Word a TensorProto: its dtype and shape; of a single value, that."""
    shape = protos.shape_of(tensor.tensor_shape)
    text = f"{protos.dtype_name(tensor.dtype)} {shape}"
    return f"{text}: {values_text(tensor)}" if shape == () else text


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "s": _quoted,
    "i": str,
    "f": lambda value: f"{value:.9g}",
    "b": str,
    "type": protos.dtype_name,
    "shape": lambda shape: str(protos.shape_of(shape)) if not shape.unknown_rank else "unknown rank",
    "tensor": _tensor_text,
    "placeholder": str,
    "func": lambda function: str(function.name),
}


def values_text(tensor: protos.Message) -> str:
    """Word the first values of a TensorProto, and say how many there are; why there are none where none can be read."""
    try:
        values = first_values(tensor)
    except ValueError as error:
        return f"not shown: {error}"
    count = _count(tensor)
    text = ", ".join(_number_text(value) for value in values)
    return text if len(values) >= count else f"{text}, … ({count:,} values)"


def first_values(tensor: protos.Message, most: int = MOST_VALUES) -> list[Any]:
    """Return the first values of a TensorProto, in the order in which they lie.

    Values may be fewer than the shape calls for: the last one is meant for all others, none at all for zeros
    (tensorflow/core/framework/tensor.proto).

    Raises
    ------
    ValueError
        If they have a meaning inside TensorFlow only, or do not parse.
    """
    dtype = protos.dtype_name(tensor.dtype)
    count = min(_count(tensor), most)
    if not count:
        return []
    values = _stored(tensor, dtype, count)
    if not values:
        values = [b"" if dtype == "string" else tensor_values.numpy_dtype(dtype).type(0)]
    return (values + values[-1:] * count)[:count]


def _stored(tensor: protos.Message, dtype: str, count: int) -> list[Any]:
    """Return the values that are there, up to a number."""
    raw = tensor.tensor_content or tensor.float8_val
    if raw:
        stored = tensor_values.numpy_dtype(dtype).newbyteorder("<")
        return list(np.frombuffer(raw[: count * stored.itemsize], stored))
    filled = {field.name: items for field, items in tensor.ListFields() if field.name.endswith(_ENDING)}
    if not filled:
        return []
    name, items = next(iter(filled.items()))
    parts = 2 if dtype.startswith("complex") else 1
    there = min(len(items) // parts, count)
    cut = protos.message("TensorProto")()
    getattr(cut, name).extend(itertools.islice(items, there * parts))
    return list(tensor_values.from_proto(cut, dtype, (there,)))


def _count(tensor: protos.Message) -> int:
    shape = protos.shape_of(tensor.tensor_shape)
    return 0 if shape is None else math.prod(size or 0 for size in shape)


def _number_text(value: Any) -> str:  # noqa: ANN401 - whatever a tensor holds
    """Word a value of a tensor, numbers with the digits that tell them apart."""
    if isinstance(value, bytes):
        return _quoted(value)
    return str(value.item() if isinstance(value, (np.bool_, np.integer)) else value)

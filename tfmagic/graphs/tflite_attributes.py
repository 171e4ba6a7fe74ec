"""What is known of TFLite's operators and tensors as attributes of nodes: options, custom ones too, and words.

Not for: the nodes (:mod:`tfmagic.graphs.tflite_graphs`, which lists what the attributes say).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfmagic.files import protos
from tfmagic.files.tflite import flexbuffers
from tfmagic.files.tflite.options import Dtype
from tfmagic.graphs import node_details

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfmagic.files.tflite.operators import Operator
    from tfmagic.files.tflite.options import Value
    from tfmagic.files.tflite.tensors import Quantisation, Sparsity

#: How the names of ops begin that are TensorFlow's own.
_FLEX = "Flex"
_SHOWN_SCALES = 4
#: Attributes hold no larger integers.
_LARGE = 1 << 63


def fill(attribute: protos.Message, value: Value) -> None:
    """Write a value into an attribute."""
    if isinstance(value, bool):
        attribute.b = value
    elif isinstance(value, int):
        attribute.i = value
    elif isinstance(value, float):
        attribute.f = value
    elif isinstance(value, Dtype):
        attribute.type = dtype_number(value)
    elif isinstance(value, str):
        attribute.s = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes):
        attribute.s = value
    else:
        _fill_list(attribute.list, value)


def _fill_list(listed: protos.Message, values: Iterable[bool | int | float | str]) -> None:
    for value in values:
        if isinstance(value, bool):
            listed.b.append(value)
        elif isinstance(value, int):
            listed.i.append(value)
        elif isinstance(value, float):
            listed.f.append(value)
        else:
            listed.s.append(value.encode())


def custom_options(operator: Operator) -> Iterator[tuple[str, Value]]:
    """Yield what a custom operator is told: by names where it has such, TensorFlow's own op by its attributes."""
    data = operator.custom_options
    if not data:
        return
    try:
        content = flexbuffers.read(data)
    except ValueError:
        yield "custom_options", data
        return
    if isinstance(content, dict):
        yield from ((name, _plain(value)) for name, value in content.items())
    elif operator.op.startswith(_FLEX) and isinstance(content, list) and len(content) > 1:
        yield from _attributes_of_node(content[1], data)
    else:
        yield "custom_options", _plain(content)


def _attributes_of_node(node: object, data: bytes) -> Iterator[tuple[str, Value]]:
    """Yield the attributes of the NodeDef that an op of TensorFlow's own is told, in words."""
    content = node.encode("utf-8", "surrogatepass") if isinstance(node, str) else node
    try:
        message = protos.parse("NodeDef", content if isinstance(content, bytes) else b"")
    except protos.ParseError:
        yield "custom_options", data
        return
    yield from node_details.attributes(message)


def _plain(value: Any) -> Value:  # noqa: ANN401 - whatever a FlexBuffer holds
    """Return a value of a FlexBuffer as an attribute has it: a list of one kind, or words."""
    listed = value if isinstance(value, list) and value else [value]
    is_plain = len(set(map(type, listed))) == 1 and isinstance(listed[0], bool | int | float | str)
    is_small = all(abs(number) < _LARGE for number in listed if isinstance(number, int))
    if isinstance(value, bytes) or (is_plain and is_small):
        plain: Value = value
        return plain
    return "" if value is None else str(value)


def dtype_number(dtype: str) -> int:
    """Return TensorFlow's number of a dtype, that of none for one that it does not have."""
    try:
        return protos.dtype_number(dtype)
    except KeyError:
        return protos.dtype_number("invalid")


def quantisation_text(quantisation: Quantisation) -> str:
    """Word how integers stand for real numbers."""
    if quantisation.scheme:
        blocks = f" of {quantisation.block_size}" if quantisation.block_size else ""
        return f"{quantisation.scheme}{blocks}"
    scales, zeros = quantisation.scale, quantisation.zero_point or (0,)
    if not scales:
        ranges = zip(quantisation.low, quantisation.high, strict=False)
        return "seen from " + ", ".join(f"{low:.6g} to {high:.6g}" for low, high in list(ranges)[:_SHOWN_SCALES])
    if not quantisation.is_by_axis:
        zero = zeros[0]
        return f"{scales[0]:.9g} * q" if not zero else f"{scales[0]:.9g} * (q {'-' if zero > 0 else '+'} {abs(zero)})"
    zero_text = f"zero point {zeros[0]}" if len(set(zeros)) == 1 else f"zero points {min(zeros)} to {max(zeros)}"
    return f"axis {quantisation.axis}: {len(scales):,} scales from {min(scales):.6g} to {max(scales):.6g}, {zero_text}"


def sparsity_text(sparsity: Sparsity) -> str:
    """Word how a sparse tensor is written down."""
    kinds = (
        f"{each.kind} {each.size}" if each.kind == "dense" else f"{each.kind} with {len(each.indices):,} indices"
        for each in sparsity.dimensions
    )
    blocks = f", blocks of {list(sparsity.block_map)}" if sparsity.block_map else ""
    return f"order {list(sparsity.order)}{blocks}: {', '.join(kinds)}"

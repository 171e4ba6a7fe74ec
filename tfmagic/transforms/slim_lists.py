"""The lists of keys, slices and dtypes that a saver's ops go by, shortened.

Not for: which keys go, and what hangs on them (:mod:`tfmagic.transforms.slim_saver`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class OrdinaryError(errors.ConversionError):
    """A saver is made in no way that is known, and stays as it is."""


def constant(nodes: Mapping[str, protos.Message], text: str) -> protos.Message:
    """Return the constant that a node takes."""
    node = nodes.get(node_of(text))
    while node is not None and node.op == "Identity" and node.input:
        node = nodes.get(node_of(node.input[0]))
    if node is None or node.op != "Const" or "value" not in node.attr:
        raise OrdinaryError(f"what {text!r} lists is no constant")
    return node


def texts(node: protos.Message) -> list[str]:
    """Return the texts of a constant; raises OrdinaryError where they are no list."""
    tensor = node.attr["value"].tensor
    listed = [each.decode("utf-8", "backslashreplace") for each in tensor.string_val]
    shape = protos.shape_of(tensor.tensor_shape)
    if shape != (len(listed),):
        raise OrdinaryError(f"{node.name!r} lists {len(listed)} texts in a tensor of shape {shape}")
    return listed


def keep(node: protos.Message, kept: Sequence[bool]) -> None:
    """Leave only some of the texts of a constant."""
    tensor = node.attr["value"].tensor
    staying = [text for text, stays in zip(tensor.string_val, kept, strict=True) if stays]
    del tensor.string_val[:]
    tensor.string_val.extend(staying)
    tensor.tensor_shape.dim[0].size = len(staying)
    node.attr.pop("_output_shapes", None)


def keep_types(node: protos.Message, name: str, kept: Sequence[bool]) -> None:
    """Leave only some of the dtypes that an attribute lists."""
    types = list(node.attr[name].list.type)
    if len(types) != len(kept):
        raise OrdinaryError(f"{node.name!r} states {len(types)} dtypes for {len(kept)} tensors")
    node.attr[name].list.type[:] = [each for each, stays in zip(types, kept, strict=True) if stays]

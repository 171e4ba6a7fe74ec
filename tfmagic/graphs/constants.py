"""The weights of a frozen graph: constants that once were variables, by their nodes, and their values.

Not for: variables.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.checkpoints import values as tensor_values
from tfmagic.frames import VariableRow
from tfmagic.graphs import node_columns, numbered_nodes
from tfmagic.graphs.node_details import first_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.graphs.metagraphs import MetaGraph

#: How the names of dtypes begin that weights have.
_FLOATING = ("float", "bfloat", "complex", "qint", "quint")


def is_of_weights(dtype: str) -> bool:
    """Say whether a dtype is one that weights have: floating, complex or quantised."""
    return dtype.startswith(_FLOATING)


def weights(meta_graph: MetaGraph) -> Iterator[VariableRow]:
    """Yield a row for each constant of the main graph with more than one element of a floating or quantised dtype."""
    columns = node_columns.read(meta_graph.graph, {})
    count = len(meta_graph.graph.nodes[0])
    floating = [dtype for dtype in columns.dtype.labels if is_of_weights(dtype)]
    is_weight = (columns.op.among({"Const"}) & columns.dtype.among(floating))[:count]
    for place in np.flatnonzero(is_weight).tolist():
        dtype, shape = columns.dtype[place], columns.shape[place]
        size = None if shape is None or None in shape else math.prod(shape)
        if size is not None and size > 1:
            item = protos.item_size(dtype)
            yield VariableRow(str(columns.name[place]), dtype, shape, size, None if item is None else size * item, None)


def value(meta_graph: MetaGraph, name: str) -> np.ndarray:
    """Return the value of a constant.

    Raises
    ------
    UnknownNameError
        If the main graph has no such constant.
    ValueError
        If its values have a meaning inside TensorFlow only.
    """
    node = _constant(meta_graph, name)
    if node is None:
        numbered = numbered_nodes.of_graph(meta_graph.graph)
        raise errors.UnknownNameError(name, "constant", numbered.names[: numbered.body(0).count])
    return tensor_value(node.attr["value"].tensor)


def has(meta_graph: MetaGraph, name: str) -> bool:
    """Say whether the main graph has such a constant."""
    return _constant(meta_graph, name) is not None


def _constant(meta_graph: MetaGraph, name: str) -> protos.Message | None:
    place = numbered_nodes.of_graph(meta_graph.graph).body(0).tensor(name) // numbered_nodes.OUTPUTS
    node = None if place < 0 else meta_graph.graph.node_def(place)
    return None if node is None or node.op != "Const" or "value" not in node.attr else node


def tensor_value(tensor: protos.Message) -> np.ndarray:
    """Return the value of a TensorProto, text as bytes objects.

    Raises
    ------
    ValueError
        If its values have a meaning inside TensorFlow only, or do not fill its shape.
    """
    shape = tuple(size or 0 for size in protos.shape_of(tensor.tensor_shape) or ())
    dtype = protos.dtype_name(tensor.dtype)
    if tensor.tensor_content:
        stored = tensor_values.numpy_dtype(dtype).newbyteorder("<")
        return np.frombuffer(tensor.tensor_content, stored).reshape(shape)
    listed = first_values(tensor, math.prod(shape))
    if dtype == "string":
        return np.fromiter(listed, dtype=object, count=len(listed)).reshape(shape)
    return np.array(listed, tensor_values.numpy_dtype(dtype)).reshape(shape)

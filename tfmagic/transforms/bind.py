"""Make inputs constants: what is only there for training (a dropout rate, ``is_training``) is then no input any more.

Not for: choosing other ends (:mod:`tfmagic.transforms.cut_function`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions.named_function import as_array
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.graphs.signatures import find
from tfmagic.graphs.tensor_names import FreeNames, full, node_of, plain
from tfmagic.graphs.tensors import GraphTensors
from tfmagic.runtime import tensorflow as runtime
from tfmagic.runtime.ops_and_devices import Definitions
from tfmagic.transforms.cut_function import cut
from tfmagic.transforms.settled_branches import settle_branches

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from tfmagic.frames import Shape
    from tfmagic.functions import NamedFunction
    from tfmagic.functions.state.saved_models import Store

_PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")


def bind_graph(store: Store, values: Mapping[str, npt.ArrayLike]) -> Store:
    """Make tensors of a graph constants.

    Parameters
    ----------
    store : Store
        The graph, which stays as it is.
    values : mapping of str to array-like
        By the names of the tensors. A placeholder becomes a constant of its name, and of a branch that it decides one
        side is left.

    Raises
    ------
    UnknownNameError
        If the graph has no such tensor.
    ConversionError
        If a value does not fit the tensor's dtype or shape.
    """
    if not values:
        return store
    tensors = GraphTensors(store.meta_graph, Definitions(store.graph_def, store.meta_graph.header).of)
    message = store.meta_graph.meta_graph_def()
    names = FreeNames(node.name for node in message.graph_def.node)
    for name, value in values.items():
        info = tensors.info(name)
        shape = protos.shape_of(info.tensor_shape)
        constant = _constant(name, value, protos.dtype_name(info.dtype), shape)
        _put(message.graph_def, plain(info.name), constant, names)
    settle_branches(message.graph_def)
    return replace(store, meta_graph=MetaGraph.of_message(message))


def _put(graph_def: protos.Message, tensor: str, constant: protos.Message, names: FreeNames) -> None:
    """Put a constant in a tensor's place: under the name of a placeholder, beside a node with more outputs."""
    node = next(each for each in graph_def.node if each.name == node_of(tensor))
    if node.op in _PLACEHOLDERS:
        node.op = "Const"
        del node.input[:]
        node.attr.clear()
        _describe(node, constant)
        return
    bound = graph_def.node.add(name=names(f"{node.name}/bound"), op="Const")
    _describe(bound, constant)
    for consumer in graph_def.node:
        for place, text in enumerate(consumer.input):
            if plain(text) == tensor:
                consumer.input[place] = bound.name


def _describe(node: protos.Message, tensor: protos.Message) -> None:
    node.attr["dtype"].type = tensor.dtype
    node.attr["value"].tensor.CopyFrom(tensor)


def _constant(name: str, value: npt.ArrayLike, dtype: str, shape: Shape) -> protos.Message:
    """Return a value as a TensorProto of the tensor's own dtype.

    Raises
    ------
    ConversionError
        If it does not fit.
    """
    tf = runtime.tensorflow()
    array = as_array(value)
    try:
        fitted = array if dtype == "string" else array.astype(tf.as_dtype(dtype).as_numpy_dtype)
        message = protos.adopt(tf.make_tensor_proto(fitted, dtype))
    except (TypeError, ValueError) as error:
        raise errors.ConversionError(
            f"{name!r} is {dtype}, and cannot be bound to {value!r}: {error}; give a value of that dtype"
        ) from error
    if dtype != "string" and not np.array_equal(fitted.astype(array.dtype), array) and not dtype.startswith(_FLOATS):
        raise errors.ConversionError(
            f"{name!r} is {dtype}, and {value!r} would be another value as such; give one of that dtype"
        )
    if shape is not None and not tf.TensorShape(shape).is_compatible_with(np.shape(fitted)):
        raise errors.ConversionError(
            f"{name!r} has the shape {shape}, and the value it is bound to has "
            f"{np.shape(fitted)}; give one of that shape, not {value!r}"
        )
    return message


_FLOATS = ("float", "bfloat", "complex")


def bind_function(function: NamedFunction, values: Mapping[str, npt.ArrayLike]) -> NamedFunction:
    """Make inputs of a function constants.

    Parameters
    ----------
    function : NamedFunction
        It stays as it is.
    values : mapping of str to array-like
        By the keys or tensors of inputs.

    Raises
    ------
    UnknownNameError
        If there is no such input.
    ConversionError
        If a value does not fit.
    """
    if not values:
        return function
    tf = runtime.tensorflow()
    bound = {}
    for name, value in values.items():
        end = find(function.inputs, name)
        if end is None:
            raise errors.UnknownNameError(name, "input", [each.key for each in function.inputs])
        bound[end.tensor] = tf.make_ndarray(protos.native(_constant(name, value, end.dtype, end.shape)))
    rest = tuple(end for end in function.inputs if end.tensor not in bound)
    return cut(function, rest, function.outputs, {full(tensor): value for tensor, value in bound.items()})

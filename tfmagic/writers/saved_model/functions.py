"""The functions behind the signatures of a SavedModel that is written here: definitions, captures, library.

Not for: functions with tables or other resources, which TensorFlow saves itself
(:mod:`tfmagic.writers.saved_model.by_tensorflow`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files import protos
from tfmagic.graphs.signature_keys import argument_order, require_arguments
from tfmagic.runtime import concrete_functions, gradients
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.captures import assets, captures
from tfmagic.transforms.signature_functions import Layout, reordered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfmagic.functions import NamedFunction

_NAME = "__inference_signature_wrapper_{}"
_SHAPES, _GRADIENT = "_output_shapes", "_gradient_op_type"
#: How TensorFlow registers a gradient that a model defines; those of calls are made anew on loading.
_CUSTOM = b"CustomGradient"


class SignatureFunction(NamedTuple):
    """A function as a SavedModel holds it.

    Attributes
    ----------
    source : NamedFunction
        What it was made of.
    definition : FunctionDef
        Of our pool; its arguments and results stand as TensorFlow's loader orders their keys, captures last.
    inputs, outputs : tuple of str
        The keys in that order.
    captured : tuple of tensor
        What it captured, variables by their handles, in the order of its last arguments.
    """

    source: NamedFunction
    definition: protos.Message
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    captured: tuple[runtime.Live, ...]


class Functions(NamedTuple):
    """The functions of all signatures, what they call, and the dialect of their graphs."""

    signatures: tuple[SignatureFunction, ...]
    library: tuple[protos.Message, ...]
    versions: protos.Message


def are_plain(chosen: Sequence[NamedFunction]) -> bool:
    """Say whether functions need nothing but variables and constants, so that no library must be asked to save them.

    Tables, assets and other resources know themselves how they are saved; so do gradients that a model defines.
    """
    return all(_is_plain(each) for each in chosen)


def _is_plain(function: NamedFunction) -> bool:
    captured = captures(function)
    if captured.resources or assets(function, captured) or not hasattr(function.concrete, "function_def"):
        return False
    # A variable of tf.distribute is several, and each of them is saved.
    if any(hasattr(each, "values") or not hasattr(each, "handle") for each in captured.unique_variables()):
        return False
    return all(gradients.is_own(each) for each in _custom_gradients(concrete_functions.graph_def(function.concrete)))


def _custom_gradients(graph_def: protos.Message) -> set[str]:
    """Return the names under which the gradients are registered that stand for ops of a graph."""
    nodes = [graph_def.node, *(each.node_def for each in graph_def.library.function)]
    names = (node.attr[_GRADIENT].s for inner in nodes for node in inner if _GRADIENT in node.attr)
    return {each.decode() for each in names if each.startswith(_CUSTOM)}


def functions_of(chosen: Sequence[NamedFunction]) -> Functions | None:
    """Return the functions as they are written, None if two of them need different functions of one name.

    Raises
    ------
    ConversionError
        If TensorFlow's loader could not tell two inputs apart.
    """
    graphs = [_graph_def(each) for each in chosen]
    library = _united(graph.library.function for graph in graphs)
    if library is None:
        return None
    names = [name for name in map(_NAME.format, range(len(chosen) + len(library))) if name not in library]
    signed = tuple(
        _signature(each, graph, name) for each, graph, name in zip(chosen, graphs, names[: len(chosen)], strict=True)
    )
    return Functions(signed, tuple(library.values()), graphs[0].versions)


def _graph_def(function: NamedFunction) -> protos.Message:
    """Return a function's graph and library, shapes included."""
    data = function.concrete.graph.as_graph_def(add_shapes=True).SerializeToString()
    graph_def = protos.parse("GraphDef", data)
    for inner in (graph_def.node, *(each.node_def for each in graph_def.library.function)):
        _forget_gradients(inner)
    return graph_def


def _forget_gradients(nodes: Iterable[protos.Message]) -> None:
    """Let ops have their own gradients again: those that TensorFlow and Keras define are the same, only faster."""
    for node in nodes:
        if _GRADIENT in node.attr and node.attr[_GRADIENT].s.startswith(_CUSTOM):
            del node.attr[_GRADIENT]


def _united(function_library: Iterable[Iterable[protos.Message]]) -> dict[str, protos.Message] | None:
    definitions: dict[str, protos.Message] = {}
    for function in (each for library in function_library for each in library):
        known = definitions.setdefault(function.signature.name, function)
        if known is not function and known != function:
            return None
    return definitions


def _signature(function: NamedFunction, graph_def: protos.Message, name: str) -> SignatureFunction:
    concrete = function.concrete
    definition = protos.parse("FunctionDef", concrete.function_def.SerializeToString())
    _forget_gradients(definition.node_def)
    _add_shapes(definition, {node.name: node.attr[_SHAPES] for node in graph_def.node if _SHAPES in node.attr})
    layout = _layout(function)
    definition = reordered(definition, layout)
    definition.signature.name = name
    return SignatureFunction(function, definition, layout.inputs, layout.outputs, tuple(concrete.captured_inputs))


def _layout(function: NamedFunction) -> Layout:
    """Order the ends as TensorFlow's loader does: inputs by what it makes of their keys, outputs by their keys."""
    require_arguments((end.key for end in function.inputs), function.key)
    order = {tensor.name: place for place, tensor in enumerate(function.concrete.inputs)}
    arguments = {end.key: order[end.tensor] for end in function.inputs}
    places = {end.key: place for end, place in zip(function.outputs, function.places, strict=True)}
    inputs, outputs = argument_order(arguments), sorted(places)
    return Layout(
        tuple(inputs), tuple(arguments[key] for key in inputs), tuple(outputs), tuple(places[key] for key in outputs)
    )


def _add_shapes(definition: protos.Message, shapes: Mapping[str, protos.Message]) -> None:
    for node in definition.node_def:
        if node.name in shapes:
            node.attr[_SHAPES].CopyFrom(shapes[node.name])

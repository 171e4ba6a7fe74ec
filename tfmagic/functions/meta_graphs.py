"""Describe functions as a MetaGraphDef, the message that everything with a graph is shown through.

One function is its own graph. Several become what saving them together would make: each in the function library, and
a main graph that calls them between placeholders named ``<signature>_<input>``. Not for: writing a SavedModel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.functions import nested_structures
from tfmagic.functions.named_function import endpoint
from tfmagic.graphs import signatures
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.functions.named_function import NamedFunction
    from tfmagic.graphs.signatures import Endpoint


def meta_graph_def(functions: Sequence[NamedFunction], *, shapes: bool = True) -> protos.Message:
    """Describe functions, one signature each, in one MetaGraphDef of our pool.

    Variables and tables stand in the graph as the placeholders that TensorFlow captures them by.

    Parameters
    ----------
    functions : sequence of NamedFunction
        The functions.
    shapes : bool
        Whether each node states the shapes of its outputs, which takes most of the time.
    """
    if len(functions) == 1:
        (only,) = functions
        ends = [(only, only.inputs, only.outputs)]
        if not shapes:
            return _message(only.concrete.graph, concrete_functions.graph_def(only.concrete), ends)
        graph = only.concrete.graph
    else:
        graph, ends = _calling(functions)
    return _message(graph, graph.as_graph_def(add_shapes=shapes), ends)


def signature_defs(functions: Sequence[NamedFunction]) -> tuple[tuple[str, ...], signatures.Ordered]:
    """Return the tag-set and the signatures that :func:`meta_graph_def` states; of one function without its graph."""
    if len(functions) == 1:
        (only,) = functions
        stated = {only.key: signatures.signature_def(only.inputs, only.outputs, only.method)}
        return only.tags, signatures.Ordered(stated, _orders(functions))
    whole = meta_graph_def(functions)
    stated = {key: whole.signature_def[key] for key in sorted(whole.signature_def)}
    return tuple(whole.meta_info_def.tags), signatures.Ordered(stated, _orders(functions))


def _orders(functions: Sequence[NamedFunction]) -> dict[str, tuple[list[str], list[str]]]:
    return {each.key: ([end.key for end in each.inputs], [end.key for end in each.outputs]) for each in functions}


def _message(
    graph: runtime.Live,
    graph_def: runtime.Live,
    ends: Sequence[tuple[NamedFunction, tuple[Endpoint, ...], tuple[Endpoint, ...]]],
) -> protos.Message:
    result = protos.message("MetaGraphDef")()
    result.graph_def.MergeFromString(graph_def.SerializeToString())
    _drop(result.graph_def, _returns(graph, {each.tensor for _, _, outputs in ends for each in outputs}))
    result.meta_info_def.tensorflow_version = runtime.tensorflow().__version__
    for function, inputs, outputs in ends:
        result.signature_def[function.key].CopyFrom(signatures.signature_def(inputs, outputs, function.method))
    result.meta_info_def.tags.extend(ends[0][0].tags if ends else signatures.DEFAULT_TAGS)
    return result


def _returns(graph: runtime.Live, named: set[str]) -> set[str]:
    """Return the Identity nodes that TensorFlow ends a function with, where they stand behind a node that is named."""
    return {tensor.op.name for tensor in graph.outputs if tensor.op.type == "Identity" and tensor.name not in named}


def _drop(graph_def: protos.Message, names: set[str]) -> None:
    for place in reversed([place for place, node in enumerate(graph_def.node) if node.name in names]):
        del graph_def.node[place]


def _calling(
    functions: Sequence[NamedFunction],
) -> tuple[runtime.Live, list[tuple[NamedFunction, tuple[Endpoint, ...], tuple[Endpoint, ...]]]]:
    """Trace a function that calls them all: its graph, and the ends of each in it."""
    tf = runtime.tensorflow()
    specs = list(_specs(functions))
    outputs: list[tuple[Endpoint, ...]] = []

    def every(*tensors: runtime.Live) -> list[runtime.Live]:
        rest = iter(tensors)
        results = [_called(function, [next(rest) for _ in function.inputs]) for function in functions]
        outputs[:] = [tuple(endpoint(key, tensor) for key, tensor in result.items()) for result in results]
        return [tensor for result in results for tensor in result.values()]

    with runtime.eager():
        graph = tf.function(every, input_signature=specs, autograph=False).get_concrete_function().graph
    rest = iter(graph.inputs)
    inputs = [tuple(endpoint(each.key, next(rest)) for each in function.inputs) for function in functions]
    return graph, list(zip(functions, inputs, outputs, strict=True))


def _specs(functions: Sequence[NamedFunction]) -> Iterator[runtime.Live]:
    """Yield a TensorSpec for each input of each function, with a name of its own."""
    tf = runtime.tensorflow()
    names = iter(
        nested_structures.identifiers(
            f"{function.key}_{each.key}" for function in functions for each in function.inputs
        )
    )
    for function in functions:
        for end in function.inputs:
            yield tf.TensorSpec(end.shape, end.dtype, name=next(names))


def _called(function: NamedFunction, tensors: list[runtime.Live]) -> dict[str, runtime.Live]:
    """Call a function inside another one; return its results by key, each behind a node named after it."""
    tf = runtime.tensorflow()
    names = nested_structures.identifiers(f"{function.key}_{each.key}" for each in function.outputs)
    results = function.on_tensors(dict(zip([each.key for each in function.inputs], tensors, strict=True)))
    return {key: tf.identity(tensor, name=name) for (key, tensor), name in zip(results.items(), names, strict=True)}

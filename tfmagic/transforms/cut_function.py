"""Choose, rename and cut: the function from some tensors of a function's graph to some others, under chosen keys.

Not for: which signature is meant (:mod:`tfmagic.graphs.signatures`), or what is a graph
(:mod:`tfmagic.transforms.cut_graph`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.functions.named_function import NamedFunction, endpoint
from tfmagic.graphs import tensor_names
from tfmagic.graphs.signatures import find, own_key
from tfmagic.graphs.walks import ancestors
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.end_names import node_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from tfmagic.graphs.signatures import Endpoint

#: Tensors by the keys that they are to have; of a plain sequence, each is its own key.
Ends = "Sequence[object] | Mapping[str, object]"


def select(function: NamedFunction, inputs: runtime.Live = None, outputs: runtime.Live = None) -> NamedFunction:
    """Return the function from some tensors to some others.

    Parameters
    ----------
    function : NamedFunction
        It stays as it is.
    inputs, outputs : sequence or mapping of str to tensor, optional
        Each tensor a key of the signature, a name (``"conv/Relu"``, ``"conv/Relu:0"``) or the tensor itself.

    Raises
    ------
    UnknownNameError
        If there is no such tensor; names the nearest.
    ConversionError
        If the outputs need an input that is not given.
    """
    if inputs is None and outputs is None:
        return function
    chosen = _chosen(function, inputs, function.inputs)
    results = _chosen(function, outputs, function.outputs)
    if [each.tensor for each in chosen] == [each.tensor for each in function.inputs]:
        places = {end.tensor: place for end, place in zip(function.outputs, function.places, strict=True)}
        if all(end.tensor in places for end in results):
            return replace(
                function, inputs=chosen, outputs=results, places=tuple(places[end.tensor] for end in results)
            )
    return cut(function, chosen, results)


def _chosen(function: NamedFunction, wanted: runtime.Live, ends: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return the tensors that are meant, under their keys."""
    if wanted is None:
        return ends
    keys = [end.key for end in ends]
    return tuple(_resolved(function, each, ends)._replace(key=key) for key, each in by_key(wanted, keys).items())


def by_key(wanted: object, keys: Collection[str] = ()) -> Mapping[str, object]:
    """Return tensors, or names of some, by the keys that they are to have.

    Parameters
    ----------
    wanted : object
        What a user gave: a sequence, a mapping, or one of them.
    keys : collection of str
        The keys of the signature, which what is named by one keeps.

    Raises
    ------
    ConversionError
        If what is given names none, or a key is empty. A function may take nothing: no input is none.
    """
    # A tensor by itself is not to be iterated: that would add ops to its graph.
    listed = [wanted] if isinstance(wanted, str) or hasattr(wanted, "name") else wanted
    tensors = listed if isinstance(listed, Mapping) or not isinstance(listed, Iterable) else _keyed(listed, keys)
    if not isinstance(tensors, Mapping) or not all(isinstance(key, str) for key in tensors):
        raise errors.ConversionError(
            "inputs and outputs are tensors or names of some, in a list or under the keys that they are to have, as in "
            f"{{'key': 'tensor'}}, not {wanted!r}"
        )
    if "" in tensors:
        raise errors.ConversionError(f"an input or output of {wanted!r} has no key; give it one")
    return tensors


def _keyed(tensors: Iterable[object], keys: Collection[str]) -> dict[str, object]:
    return {own_key(each, keys): each for each in tensors}


def _resolved(function: NamedFunction, tensor: object, ends: tuple[Endpoint, ...]) -> Endpoint:
    """Find a tensor by its key in the signature, or by its name in the graph."""
    end = find(ends, tensor)
    if end is not None:
        return end
    name = str(getattr(tensor, "name", tensor))
    graph = function.concrete.graph
    try:
        return endpoint(name, graph.get_tensor_by_name(tensor_names.full(name)))
    except (KeyError, ValueError):
        known = [end.key for end in ends]
        known += [output.name.removesuffix(":0") for op in graph.get_operations() for output in op.outputs]
        raise errors.UnknownNameError(name, "tensor", dict.fromkeys(known)) from None


def cut(
    function: NamedFunction,
    inputs: tuple[Endpoint, ...],
    outputs: tuple[Endpoint, ...],
    constants: Mapping[str, np.ndarray] | None = None,
) -> NamedFunction:
    """Import the graph once more, between other ends; what it captured is captured again.

    Parameters
    ----------
    function : NamedFunction
        It stays as it is.
    inputs, outputs : tuple of Endpoint
        Tensors of its graph under the keys that they are to have.
    constants : mapping of str to array, optional
        Values for other tensors of the graph, by their names.

    Raises
    ------
    ConversionError
        If the outputs need an input that is not given.
    """
    tf = runtime.tensorflow()
    graph_def = function.concrete.graph.as_graph_def()
    outside = function.concrete.captured_inputs
    inside = function.concrete.inputs[len(function.concrete.inputs) - len(outside) :]
    captured = {placeholder.name: tensor for placeholder, tensor in zip(inside, outside, strict=True)}
    bound = constants or {}
    nodes = {node.name: node for node in graph_def.node}
    feeds = [*(end.tensor for end in inputs), *bound]
    needed, _ = ancestors(nodes, [end.tensor for end in outputs], feeds)
    _check_given(function, inputs, needed)
    names = node_names(end.key for end in inputs)
    specs = [tf.TensorSpec(end.shape, end.dtype, name=name) for end, name in zip(inputs, names, strict=True)]

    def call(*tensors: runtime.Live) -> dict[str, runtime.Live]:
        fed = {end.tensor: tensor for end, tensor in zip(inputs, tensors, strict=True)}
        fed.update((name, tf.constant(value)) for name, value in bound.items())
        for name, outer in captured.items():
            if name.partition(":")[0] in needed:
                fed[name] = concrete_functions.capture(outer)
        part = _part(graph_def, needed, fed)
        results = tf.graph_util.import_graph_def(
            part, input_map=fed, return_elements=[end.tensor for end in outputs], name=""
        )
        return {f"{place:06}": tf.identity(tensor) for place, tensor in enumerate(results)}

    with runtime.eager():
        try:
            concrete = tf.function(call, input_signature=specs, autograph=False).get_concrete_function()
        except AttributeError as error:
            # Its order of side effects looks for contexts that a loop or a branch of an imported graph does not have.
            raise errors.ConversionError(
                f"TensorFlow cannot make a function of a part of {function.key!r}, which writes to variables within "
                f"loops or branches of TensorFlow 1: {error}"
            ) from error
    arguments = [end._replace(tensor=tensor.name) for end, tensor in zip(inputs, concrete.inputs, strict=False)]
    results = [end._replace(tensor=tensor.name) for end, tensor in zip(outputs, concrete.outputs, strict=True)]
    return replace(
        function, concrete=concrete, inputs=tuple(arguments), outputs=tuple(results), places=tuple(range(len(results)))
    )


def _part(graph_def: runtime.Live, needed: set[str], fed: Collection[str]) -> runtime.Live:
    """Return the nodes that are needed, and those that are fed: a stateful one beside them would run by itself."""
    # What is fed may be named by an edge of control, and has inputs that nobody needs.
    stops = {tensor_names.node_of(name) for name in fed}
    kept = needed | stops
    part = type(graph_def)()
    part.CopyFrom(graph_def)
    del part.node[:]
    for node in graph_def.node:
        if node.name not in kept:
            continue
        copy = part.node.add()
        copy.CopyFrom(node)
        if node.name not in needed and node.input:
            copy.op = "NoOp"
            copy.attr.clear()
        # What is given need not be waited for: it would be a placeholder that nobody feeds.
        waits = [text for text in node.input if not (text.startswith("^") and tensor_names.node_of(text) in stops)]
        del copy.input[:]
        copy.input.extend(waits if copy.op != "NoOp" or node.op == "NoOp" else ())
    return part


def _check_given(function: NamedFunction, inputs: Sequence[Endpoint], needed: set[str]) -> None:
    """Refuse a choice of inputs that leaves another one open."""
    tensors = {end.tensor for end in inputs}
    missing = [
        end.key for end in function.inputs if end.tensor not in tensors and end.tensor.partition(":")[0] in needed
    ]
    if missing:
        raise errors.ConversionError(
            f"the outputs also need {errors.listed(missing)}, which is not among the inputs "
            f"{errors.listed(end.key for end in inputs)}; add it, or choose inputs further down the graph"
        )

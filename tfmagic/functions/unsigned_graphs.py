"""The function of a graph that has no signature: between the ends that are named, else between those proposed.

Not for: proposing them (:mod:`tfmagic.graphs.plumbing`), nor wrapping the graph (:mod:`tfmagic.functions.graph_defs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tfmagic import errors
from tfmagic.graphs import node_columns, plumbing, signatures, tensor_names

if TYPE_CHECKING:
    from tfmagic.functions.named_function import NamedFunction
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.runtime import tensorflow as runtime

#: Tensor names by key, or tensor names, whose nodes' names are then the keys.
Ends: TypeAlias = Mapping[str, str] | Sequence[str] | None
#: Makes a function of inputs and outputs by key.
Wrap: TypeAlias = "Callable[..., NamedFunction]"

_HANDLES = frozenset({"resource", "variant"})


def between(
    wrap: Wrap, meta_graph: MetaGraph, key: str | None, inputs: Ends, outputs: Ends, **others: runtime.Live
) -> NamedFunction:
    """Take out the function between the ends given, those proposed for the graph where none are.

    Parameters
    ----------
    wrap : callable
        Takes inputs and outputs by key, and ``key`` and the others by name.
    meta_graph : MetaGraph
        Describes the graph.
    key : str or None
        The signature's key, the default one if None.
    inputs, outputs : mapping or sequence of str, or None
        The ends, as far as the user named them.

    Raises
    ------
    MissingPartError
        If nothing in the graph looks like an output.
    """
    proposed = propose(meta_graph, outputs) if inputs is None or outputs is None else None
    taken, wanted = (
        by_key(getattr(proposed, side) if ends is None else ends)
        for side, ends in (("inputs", inputs), ("outputs", outputs))
    )
    if not wanted:
        advice = "No output is to be seen in the graph: name one, outputs=['node:0'] (--outputs node:0)"
        raise errors.MissingPartError("function", "graph", ("graph",), advice)
    return wrap(taken, wanted, key=key or signatures.DEFAULT_KEY, **others)


def propose(meta_graph: MetaGraph, outputs: Ends = None) -> plumbing.Ends:
    """Propose the ends of a graph; a handle is nothing that a function could hand to anyone.

    Parameters
    ----------
    meta_graph : MetaGraph
        Describes the graph.
    outputs : mapping or sequence of str, optional
        The outputs, if they are known: only inputs that they need are proposed.
    """
    ends = plumbing.ends_of(meta_graph.graph)
    needed = None if outputs is None else plumbing.needed_of(meta_graph.graph, by_key(outputs).values())
    columns, count = node_columns.read(meta_graph.graph, {}), len(meta_graph.graph.nodes[0])
    names = {tensor_names.node_of(each) for each in ends.outputs}
    dtypes = {
        name: str(columns.dtype[place]) for place, name in enumerate(columns.name[:count].tolist()) if name in names
    }
    return ends._replace(
        inputs=tuple(each for each in ends.inputs if needed is None or tensor_names.node_of(each) in needed),
        outputs=tuple(each for each in ends.outputs if dtypes[tensor_names.node_of(each)] not in _HANDLES),
    )


def by_key(ends: Ends, signed: Sequence[Endpoint] = ()) -> dict[str, str]:
    """Name tensors after their nodes if nobody else did.

    Parameters
    ----------
    ends : mapping or sequence of str, or None
        Tensors, or keys of the signature.
    signed : sequence of Endpoint
        That side of the signature, which is meant where no ends are given.
    """
    known = {end.key: end.tensor for end in signed}
    if ends is None:
        return known
    named = ends if isinstance(ends, Mapping) else {signatures.own_key(tensor, known): tensor for tensor in ends}
    resolved = ((key, tensor, signatures.find(signed, tensor)) for key, tensor in named.items())
    return {key: end.tensor if end else tensor for key, tensor, end in resolved}

"""Scopes of their own for calls whose name is a scope of the graph already.

TensorFlow puts what is in a called function under the name of the call. Where the graph has a node of that name
(``cond/Identity`` beside the call ``cond``), running it fails, and TensorFlow's optimizer ends the whole process
(``AddUniqueNodeOrDie`` in tensorflow/core/grappler/graph_view.h). Not for: inlining.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.graphs.tensor_names import FreeNames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.files import protos

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


class _Body(NamedTuple):
    """The nodes of the main graph or of a function, and how one of them names the outputs of a call."""

    nodes: protos.Message
    output: str


def stand_apart(graph_def: protos.Message) -> None:
    """Give such calls names that are free, in place; a node that hands on their results has their own."""
    functions = {function.signature.name: function for function in graph_def.library.function}
    if not functions:
        return
    _separate(_Body(graph_def.node, ""), functions)
    for function in functions.values():
        _separate(_Body(function.node_def, "output:"), functions)


def _separate(body: _Body, functions: Mapping[str, protos.Message]) -> None:
    taken = {node.name for node in body.nodes}
    names: FreeNames | None = None
    for node in list(body.nodes):
        function = functions.get(node.attr["f"].func.name) if node.op in _CALLS and "f" in node.attr else None
        if function is not None and any(f"{node.name}/{inner.name}" in taken for inner in function.node_def):
            names = names or FreeNames(taken)
            _put_behind(body, node, names(f"{node.name}/called"))


def _put_behind(body: _Body, call: protos.Message, name: str) -> None:
    """Rename a call; a node of its old name hands on its results, and its end where somebody waits for that."""
    dtypes = list(call.attr["Tout"].list.type)
    result = body.nodes.add(name=call.name, op="IdentityN" if dtypes else "NoOp", device=call.device)
    call.name = name
    if not dtypes:
        result.input.append(f"^{name}")
        return
    result.attr["T"].list.type.extend(dtypes)
    places = (f"{body.output}{place}" for place in range(len(dtypes)))
    result.input.extend(name if place == "0" else f"{name}:{place}" for place in places)

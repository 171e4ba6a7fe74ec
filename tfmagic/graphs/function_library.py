"""The function library of a GraphDef: its nodes, what is called, and the references that attributes hold.

Not for: tables of functions (:mod:`tfmagic.graphs.function_uses`), or names that this process has not taken yet
(:mod:`tfmagic.functions.graph_part`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfmagic.files import protos


def all_nodes(graph_def: protos.Message) -> Iterator[protos.Message]:
    """Yield the nodes of the main graph and of all functions."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def called(nodes: Iterable[protos.Message], functions: dict[str, protos.Message]) -> set[str]:
    """Return the names of the functions that nodes call, themselves or through others."""
    return reached(_calls(nodes, functions), lambda name: _calls(functions[name].node_def, functions))


def _calls(nodes: Iterable[protos.Message], functions: dict[str, protos.Message]) -> Iterator[str]:
    for node in nodes:
        # A function of TensorFlow 1 may be called as an op of its own name.
        if node.op in functions:
            yield node.op
        yield from (reference.name for reference in references(node) if reference.name in functions)


def references(node: protos.Message) -> Iterator[protos.Message]:
    """Yield the functions that a node names in its attributes, each a NameAttrList that can be changed."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func
        elif value.HasField("list"):
            yield from value.list.func

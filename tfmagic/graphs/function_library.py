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


def needed_library(nodes: Iterable[protos.Message], library: protos.Message) -> protos.Message:
    """Return a library with what nodes call, themselves or through others, and with the gradients of that."""
    functions = {function.signature.name: function for function in library.function}
    gradients = {each.function_name: each.gradient_func for each in library.gradient}

    def following(name: str) -> Iterator[str]:
        yield from _calls(functions[name].node_def, functions)
        yield from _named(functions[name].attr.values(), functions)
        if gradients.get(name) in functions:
            yield gradients[name]

    listed = list(nodes)
    stated = (value for node in listed for value in node.attr.values())
    needed = reached([*_calls(listed, functions), *_named(stated, functions)], following)
    result = type(library)()
    result.function.extend(function for name, function in functions.items() if name in needed)
    result.gradient.extend(each for each in library.gradient if {each.function_name, each.gradient_func} <= needed)
    return result


def _named(values: Iterable[protos.Message], functions: dict[str, protos.Message]) -> Iterator[str]:
    """Yield the functions that attributes name as plain text, as those that know the other half of a gradient do."""
    for value in values:
        name = value.s.decode("utf-8", "replace") if value.HasField("s") else ""
        if name in functions:
            yield name


def references(node: protos.Message) -> Iterator[protos.Message]:
    """Yield the functions that a node names in its attributes, each a NameAttrList that can be changed."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func
        elif value.HasField("list"):
            yield from value.list.func

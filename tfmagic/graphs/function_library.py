"""The function library of a GraphDef: its nodes, what is called, and the references that attributes hold.

Not for: tables of functions (:mod:`tfmagic.graphs.function_uses`), or names that this process has not taken yet
(:mod:`tfmagic.functions.importable_part`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfmagic.files import protos


def all_nodes(graph_def: protos.Message) -> Iterator[protos.Message]:
    """Yield the nodes of the main graph and of all functions."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def called(nodes: Iterable[protos.Message], functions: dict[str, protos.Message]) -> set[str]:
    """Return the names of the functions that nodes call, themselves or through others."""
    if not functions:
        return set()
    return reached(_calls(nodes, functions), lambda name: _calls(functions[name].node_def, functions))


def _calls(nodes: Iterable[protos.Message], functions: dict[str, protos.Message]) -> Iterator[str]:
    for node in nodes:
        # A function of TensorFlow 1 may be called as an op of its own name.
        if node.op in functions:
            yield node.op
        yield from (reference.name for reference in references(node) if reference.name in functions)


def needed_library(nodes: Iterable[protos.Message], library: protos.Message) -> protos.Message:
    """Return a library with what nodes call, themselves or through others, and with the gradients of that."""
    needed = needed_functions(nodes, library)
    result = type(library)()
    result.function.extend(function for function in library.function if function.signature.name in needed)
    result.gradient.extend(each for each in library.gradient if {each.function_name, each.gradient_func} <= needed)
    return result


def needed_functions(nodes: Iterable[protos.Message], library: protos.Message, roots: Iterable[str] = ()) -> set[str]:
    """Return the names of the functions that nodes need: what they call, through others too, and the gradients of that.

    Parameters
    ----------
    nodes : iterable of NodeDef
        Of the main graph.
    library : FunctionDefLibrary
        All functions.
    roots : iterable of str
        Functions that are needed whoever calls them.
    """
    functions = {function.signature.name: function for function in library.function}
    gradients = {each.function_name: each.gradient_func for each in library.gradient}
    # A node says by a text under which name its gradient is registered, a function what its other half is called.
    stated = {each.registered_op_type: each.gradient_func for each in library.registered_gradients}
    stated = {text: name for text, name in stated.items() if name in functions} | {name: name for name in functions}

    def of_node(node: protos.Message) -> Iterator[str]:
        yield from _calls([node], functions)
        yield from _named(node.attr.values(), stated)

    def following(name: str) -> Iterator[str]:
        for node in functions[name].node_def:
            yield from of_node(node)
        yield from _named(functions[name].attr.values(), stated)
        if gradients.get(name) in functions:
            yield gradients[name]

    called_here = (name for node in nodes for name in of_node(node))
    return reached([*called_here, *(name for name in roots if name in functions)], following)


def _named(values: Iterable[protos.Message], stated: Mapping[str, str]) -> Iterator[str]:
    """Yield the functions that attributes name as plain text, as those that know the other half of a gradient do."""
    for value in values:
        name = value.s.decode("utf-8", "replace") if value.HasField("s") else ""
        if name in stated:
            yield stated[name]


def references(node: protos.Message) -> Iterator[protos.Message]:
    """Yield the functions that a node names in its attributes, each a NameAttrList that can be changed."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func
        elif value.HasField("list"):
            yield from value.list.func

"""The function library of a GraphDef: what is called, and its way into this process under names that are free.

TensorFlow keeps the functions of all graphs of a process under one name each, and generates names such as
``while_body_12``: two files easily hold different functions of the same name. Not for: tables of functions
(:mod:`tfmagic.graphs.function_uses`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tfmagic.graphs.walks import reached
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_numbers = itertools.count(1)


def settle(graph_def: runtime.Live) -> None:
    """Reduce the library of a GraphDef, in place, to what its nodes call, and rename what would clash."""
    functions = {function.signature.name: function for function in graph_def.library.function}
    needed = called(graph_def.node, functions)
    kept = [
        type(functions[name]).FromString(functions[name].SerializeToString()) for name in functions if name in needed
    ]
    graph_def.ClearField("library")
    graph_def.library.function.extend(kept)
    _rename(graph_def, {name: _free(name, functions) for name in needed if runtime.has_function(name)})


def all_nodes(graph_def: runtime.Live) -> Iterator[runtime.Live]:
    """Yield the nodes of the main graph and of all functions."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def called(nodes: Iterable[runtime.Live], functions: dict[str, runtime.Live]) -> set[str]:
    """Return the names of the functions that nodes call, themselves or through others."""
    return reached(_calls(nodes, functions), lambda name: _calls(functions[name].node_def, functions))


def _calls(nodes: Iterable[runtime.Live], functions: dict[str, runtime.Live]) -> Iterator[str]:
    for node in nodes:
        # A function of TensorFlow 1 may be called as an op of its own name.
        if node.op in functions:
            yield node.op
        yield from (reference.name for reference in references(node) if reference.name in functions)


def references(node: runtime.Live) -> Iterator[runtime.Live]:
    """Yield the functions that a node names in its attributes, each a NameAttrList that can be changed."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func
        elif value.HasField("list"):
            yield from value.list.func


def _free(name: str, functions: dict[str, runtime.Live]) -> str:
    """Return a name that nothing in the process or the library has."""
    candidates = (f"{name}_{number}" for number in _numbers)
    return next(each for each in candidates if each not in functions and not runtime.has_function(each))


def _rename(graph_def: runtime.Live, names: dict[str, str]) -> None:
    for function in graph_def.library.function if names else ():
        function.signature.name = names.get(function.signature.name, function.signature.name)
    for node in all_nodes(graph_def) if names else ():
        node.op = names.get(node.op, node.op)
        for reference in references(node):
            reference.name = names.get(reference.name, reference.name)

"""Give the functions of a graph's library names of their own, made from what they do.

A process keeps the functions of all graphs under one name each. Where two differ under one name, importing the second
fails, or inside a ``tf.function`` the first runs in silence; a device or a written shape is difference enough. Not for:
names that are free in this process only (:mod:`tfmagic.functions.importable_part`).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from tfmagic.graphs.function_library import all_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.files import protos

_DIGITS = 10
_OWN = re.compile(rf"__[0-9a-f]{{{_DIGITS}}}\Z")


def name_by_content(graph_def: protos.Message) -> None:
    """Rename all functions of a graph, in place: equal libraries get equal names in every process.

    A name that was given here before is given again, so that doing it twice changes nothing.
    """
    names = [function.signature.name for function in graph_def.library.function]
    bare = {name: _OWN.sub("", name) for name in names}
    if len(set(bare.values())) < len(names):
        bare = {name: name for name in names}
    rename_functions(graph_def, bare)
    digest = _digest(graph_def.library)
    rename_functions(graph_def, {name: f"{name}__{digest}" for name in bare.values()})


def _digest(library: protos.Message) -> str:
    """Tell a library from all others."""
    digest = hashlib.sha256()
    for function in sorted(library.function, key=lambda each: each.signature.name):
        digest.update(function.SerializeToString(deterministic=True))
    return digest.hexdigest()[:_DIGITS]


def rename_functions(graph_def: protos.Message, names: Mapping[str, str]) -> None:
    """Give functions other names, and call them by these, wherever a graph names a function."""
    names = {old: new for old, new in names.items() if old != new}
    if not names:
        return
    for function in graph_def.library.function:
        function.signature.name = names.get(function.signature.name, function.signature.name)
        _rename_in(function.attr, names)
    for gradient in graph_def.library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)
    for node in all_nodes(graph_def):
        node.op = names.get(node.op, node.op)
        _rename_in(node.attr, names)


def _rename_in(attributes: Mapping[str, protos.Message], names: Mapping[str, str]) -> None:
    for value in attributes.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            value.func.name = names.get(value.func.name, value.func.name)
            _rename_in(value.func.attr, names)
        elif kind == "list":
            for function in value.list.func:
                function.name = names.get(function.name, function.name)
                _rename_in(function.attr, names)
        elif kind == "s" and value.s.decode("utf-8", "replace") in names:
            # A function knows the other half of its gradient so.
            value.s = names[value.s.decode()].encode()

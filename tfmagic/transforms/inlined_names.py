"""The names that nodes had before TensorFlow's optimizer copied the branches around them.

A branch with variables is written anew for the one place that runs it, and each of its nodes is marked with that place:
``dense/MatMul_tfg_inlined_cond_0`` is ``dense/MatMul`` for whoever made it. Not for: the functions' own names.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.files import protos

#: How the optimizer marks a node, with the op that runs the branch behind it.
_MARK = "_tfg_inlined_"


def restore(graph_def: protos.Message) -> None:
    """Give nodes in the function library their names back, in place, as far as no other has the same."""
    for function in graph_def.library.function:
        plain = {node.name: node.name.partition(_MARK)[0] for node in function.node_def}
        taken = Counter(plain.values())
        taken.update(argument.name for argument in function.signature.input_arg)
        names = {name: short for name, short in plain.items() if short and short != name and taken[short] == 1}
        if names:
            _rename(function, names)


def _rename(function: protos.Message, names: Mapping[str, str]) -> None:
    for node in function.node_def:
        node.name = names.get(node.name, node.name)
        for place, text in enumerate(node.input):
            node.input[place] = _renamed(text, names)
    for returned in (function.ret, function.control_ret):
        for key, text in list(returned.items()):
            returned[key] = _renamed(text, names)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Exchange the node in a reference: ``node:output:0``, ``^node``, or the node alone."""
    name = node_of(text)
    if name not in names:
        return text
    caret = "^" if text.startswith("^") else ""
    return caret + names[name] + text.removeprefix(caret)[len(name) :]

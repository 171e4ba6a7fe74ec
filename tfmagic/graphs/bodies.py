"""A main graph or the body of a function: where a tensor comes from, which functions its nodes run.

Both are nodes by name, but a graph numbers a node's outputs (``node:1``) and a body names them (``node:output:0``). Not
for: the whole library (:mod:`tfmagic.graphs.function_library`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tfmagic.graphs import op_outputs, ops

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.files import protos

_Function = TypeVar("_Function")

#: The attributes in which a node names the functions that it runs, a loop's condition before its body.
_CALLING = ("f", "then_branch", "else_branch", "cond", "body")
#: Ops of TFLite that run functions once each, or again and again.
_TFLITE_CALLING = frozenset({
    "CALL", "CALL_ONCE", "IF", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE", "WHILE",
})  # fmt: skip


@dataclass
class Body:
    """Nodes by name, and the definitions of ops that came with the model."""

    nodes: Mapping[str, protos.Message]
    definitions: Mapping[str, protos.Message] = field(default_factory=dict)

    def source(self, text: str) -> tuple[str, int]:
        """Return the node and the number of the output that a tensor is, as a graph or a body writes it.

        What is no node is an argument, all of whose name comes back.
        """
        name, _, rest = text.partition(":")
        if name not in self.nodes:
            return name, 0
        output, _, index = rest.rpartition(":")
        place = int(index) if index.isdecimal() else 0
        if output:
            return name, op_outputs.number(self.nodes[name], output, place, self.definitions) or 0
        return name, place


def data_inputs(node: protos.Message) -> list[str]:
    """Return the tensors that a node consumes, control inputs left out."""
    return [text for text in node.input if not text.startswith("^")]


def called(node: protos.Message, functions: Mapping[str, _Function]) -> list[_Function]:
    """Return the functions of some by name that a node runs, a loop's condition before its body."""
    return [function for _, function in called_as(node, functions)]


def called_as(node: protos.Message, functions: Mapping[str, _Function]) -> list[tuple[str, _Function]]:
    """Return the functions that :func:`called` does, each with the attribute that names it."""
    # A function of TensorFlow 1 may be called as an op of its own name.
    if node.op in functions:
        return [("f", functions[node.op])]
    if node.op not in ops.of_effect(ops.Effect.CALL) and node.op not in _TFLITE_CALLING:
        return []
    attr = node.attr
    names = [(key, attr[key].func.name) for key in _CALLING if key in attr and attr[key].HasField("func")]
    branches = attr["branches"].list.func if "branches" in attr else ()
    names += [(f"branch {place}", each.name) for place, each in enumerate(branches)]
    return [(key, functions[name]) for key, name in names if name in functions]


def results(function: protos.Message) -> list[str]:
    """Return the tensors of a function's body that come out of it, in order."""
    return [function.ret.get(output.name, output.name) for output in function.signature.output_arg]

"""The functions that a node runs: a call's, a branch's, a loop's.

Not for: the whole library (:mod:`tfmagic.graphs.function_library`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tfmagic.graphs import ops

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


def called(node: protos.Message, functions: Mapping[str, _Function]) -> list[_Function]:
    """Return the functions of some by name that a node runs, a loop's condition before its body."""
    # A function of TensorFlow 1 may be called as an op of its own name.
    if node.op in functions:
        return [functions[node.op]]
    if node.op not in ops.of_effect(ops.Effect.CALL) and node.op not in _TFLITE_CALLING:
        return []
    attr = node.attr
    names = [attr[key].func.name for key in _CALLING if key in attr and attr[key].HasField("func")]
    names += [each.name for each in attr["branches"].list.func] if "branches" in attr else []
    return [functions[name] for name in names if name in functions]

"""Branches of TensorFlow 1 whose predicate is a constant: the other side is gone, and with it what it would write.

::

    x ──► Switch ──► training side ──► Merge ──► y        x ──► Identity ──► Identity ──► y
    is_training = false ─┘                                 (both under the names that they had)

A batch norm updates its averages on the side for training, which is why no graph with both can be frozen. Not for:
making an input a constant (:mod:`tfmagic.transforms.bind`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tfmagic.graphs import call_scopes, constants
from tfmagic.graphs.tensor_names import node_of, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.files import protos

#: What takes one side of a branch, what joins both, and what passes on what such an op has.
_SWITCHES = {"Switch": "Identity", "RefSwitch": "RefIdentity"}
_MERGES = {"Merge": "Identity", "RefMerge": "RefIdentity"}
_PASSING = frozenset({"Identity", "StopGradient"})
_CONDITIONALS = frozenset({"If", "StatelessIf"})
#: Predicates followed before a graph counts as one that leads round in circles.
_MAX_STEPS = 1000


def settle_branches(graph_def: protos.Message) -> None:
    """Take out of a graph, in place, the sides of branches that a constant predicate rules out."""
    nodes = {node.name: node for node in graph_def.node}
    sides = {
        name: int(value)
        for name, node in nodes.items()
        if node.op in _SWITCHES and (value := _predicate(nodes, node.input[1])) is not None
    }
    if settle_conditionals(graph_def):
        call_scopes.stand_apart(graph_def)
    if not sides:
        return
    alive = _alive(nodes, sides)
    for place in reversed(range(len(graph_def.node))):
        if graph_def.node[place].name not in alive:
            del graph_def.node[place]
    for node in graph_def.node:
        _settle(node, alive, sides)


def settle_conditionals(graph_def: protos.Message) -> bool:
    """Let the branch that a constant predicate chooses be called, in place; say whether there was one."""
    conditionals = [node for node in graph_def.node if node.op in _CONDITIONALS]
    nodes = {node.name: node for node in graph_def.node} if conditionals else {}
    values = {node.name: _predicate(nodes, node.input[0]) for node in conditionals}
    for node in conditionals:
        if (value := values[node.name]) is not None:
            _settle_conditional(node, value=value)
    return any(value is not None for value in values.values())


def _predicate(nodes: Mapping[str, protos.Message], text: str) -> bool | None:
    """Return the value of a predicate, None where it is computed."""
    negated = False
    for _ in range(_MAX_STEPS):
        node = nodes.get(node_of(text))
        if node is None or not node.input:
            break
        if node.op == "LogicalNot":
            negated = not negated
        elif node.op not in _PASSING:
            return None
        text = node.input[0]
    node = nodes.get(node_of(text))
    if node is None or node.op != "Const" or "value" not in node.attr:
        return None
    with contextlib.suppress(ValueError):
        value = constants.tensor_value(node.attr["value"].tensor)
        return bool(value.reshape(-1)[0]) != negated if value.size == 1 else None
    return None


def _settle_conditional(node: protos.Message, *, value: bool) -> None:
    """Make a call of a conditional."""
    node.op = "PartitionedCall" if node.op == "StatelessIf" else "StatefulPartitionedCall"
    node.attr["f"].CopyFrom(node.attr["then_branch" if value else "else_branch"])
    for name in ("then_branch", "else_branch", "Tcond", "output_shapes"):
        if name in node.attr:
            del node.attr[name]
    del node.input[0]


def _alive(nodes: Mapping[str, protos.Message], sides: Mapping[str, int]) -> set[str]:
    """Return the nodes that run: all they take is there, or of what joins branches, one of it."""
    consumers: dict[str, list[str]] = {}
    for name, node in nodes.items():
        for text in node.input:
            consumers.setdefault(node_of(text), []).append(name)
    alive: set[str] = set()
    waiting = [name for name, node in nodes.items() if not node.input]
    while waiting:
        name = waiting.pop()
        if name not in alive and _runs(nodes[name], alive, sides):
            alive.add(name)
            waiting.extend(consumers.get(name, ()))
    return alive


def _runs(node: protos.Message, alive: set[str], sides: Mapping[str, int]) -> bool:
    there = [_is_there(text, alive, sides) for text in node.input]
    if node.op not in _MERGES:
        return all(there)
    return any(found for text, found in zip(node.input, there, strict=True) if not text.startswith("^"))


def _is_there(text: str, alive: set[str], sides: Mapping[str, int]) -> bool:
    name = node_of(text)
    if name not in alive:
        return False
    return text.startswith("^") or name not in sides or _number(text) == sides[name]


def _number(text: str) -> int:
    return int(text.partition(":")[2] or 0)


def _settle(node: protos.Message, alive: set[str], sides: Mapping[str, int]) -> None:
    """Let a node take what is left, and what took a side or joined both pass it on."""
    left = [plain(text) for text in node.input if _is_there(text, alive, sides)]
    if node.op in _MERGES:
        data = [text for text in left if not text.startswith("^")]
        if len(data) == 1:
            _pass_on(node, _MERGES[node.op])
        else:
            node.attr["N"].i = len(data)
    elif node.name in sides:
        _pass_on(node, _SWITCHES[node.op])
        del left[1]
    texts = [node_of(text) if node_of(text) in sides and not text.startswith("^") else text for text in left]
    del node.input[:]
    node.input.extend(texts)


def _pass_on(node: protos.Message, op: str) -> None:
    node.op = op
    for name in [name for name in node.attr if name not in ("T", "_class")]:
        del node.attr[name]

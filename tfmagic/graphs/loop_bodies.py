"""The bodies of loops as TensorFlow 1 writes them: nodes between the entries and the exits of a frame.

What lies in a body has a value at each step and none for whoever runs the graph::

    x ──► Enter ──► Merge ──► Switch ──► Exit ──► y
                      ▲          └──► add ──► NextIteration
                      └──────────────────────────┘

Not for: loops whose body is a function (``While``).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from tfmagic import errors
from tfmagic.graphs.tensor_names import node_of, plain
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tfmagic.files import protos

_Node = TypeVar("_Node", str, int)
#: Ops through which values come into the body of a loop, and leave it.
ENTRIES, _EXITS = frozenset({"Enter", "RefEnter"}), frozenset({"Exit", "RefExit"})
#: Loops within loops that are told apart: a damaged graph may enter without ever leaving.
_MOST_LOOPS = 32
#: Names that a message shows.
_MOST_NAMED = 3


def inside(ops: Mapping[_Node, str], used: Mapping[_Node, Iterable[_Node]]) -> set[_Node]:
    """Return the nodes that lie between the entries and the exits of loops.

    Parameters
    ----------
    ops : mapping of node to str
        The op of each node, which is a name or a number.
    used : mapping of node to iterable of node
        The nodes that take what a node gives.
    """
    depths: dict[_Node, int] = {}
    waiting = [(name, 1) for name, op in ops.items() if op in ENTRIES]
    while waiting:
        name, depth = waiting.pop()
        if not depths.get(name, 0) < depth <= _MOST_LOOPS:
            continue
        depths[name] = depth
        waiting += [(user, depth + (ops[user] in ENTRIES) - (ops[user] in _EXITS)) for user in used.get(name, ())]
    return set(depths)


def require_outside(
    nodes: Mapping[str, protos.Message], needed: Collection[str], fed: Collection[str], fetched: Iterable[str]
) -> None:
    """Refuse ends in the body of a loop that is to run: no session fetches such a tensor, and none is fed there.

    Parameters
    ----------
    nodes : mapping of str to NodeDef
        The graph.
    needed : collection of str
        The nodes that stay.
    fed, fetched : tensors
        As nodes name their inputs.

    Raises
    ------
    ConversionError
        Naming what comes out of the loop.
    """
    if not any(nodes[name].op in ENTRIES for name in needed):
        return
    ops = {name: nodes[name].op for name in needed}
    inputs = {name: [text for text in map(plain, nodes[name].input) if text not in fed] for name in needed}
    bodies = inside(ops, _users(inputs))
    inner = [text for text in fetched if text not in fed and node_of(text) in bodies]
    # A step that goes on with what is given takes something from within its frame and something from without.
    if any(
        text in fed or node_of(text) not in bodies
        for name in bodies
        if ops[name] not in ENTRIES
        for text in map(plain, nodes[name].input)
    ):
        everywhere = inside({name: node.op for name, node in nodes.items()}, _all_users(nodes))
        inner += [text for text in fed if node_of(text) in everywhere]
    if inner:
        exits = _exits(nodes, map(node_of, inner))
        ways = f"what comes out of it ({errors.listed(exits[:_MOST_NAMED])}), or " if exits else ""
        raise errors.ConversionError(
            f"{errors.listed(inner[:_MOST_NAMED])} lies in the body of a loop and has another value at each step: it "
            f"can neither be given nor asked for while the loop runs; choose {ways}ends between which it does not run"
        )


def _exits(nodes: Mapping[str, protos.Message], names: Iterable[str]) -> list[str]:
    """Return the exits of loops that some nodes lead to, in the order of the graph."""
    used = _all_users(nodes)
    behind = reached(names, lambda name: () if nodes[name].op in _EXITS else used.get(name, ()))
    return [name for name in nodes if name in behind and nodes[name].op in _EXITS]


def _all_users(nodes: Mapping[str, protos.Message]) -> Mapping[str, list[str]]:
    return _users({name: node.input for name, node in nodes.items()})


def _users(inputs: Mapping[str, Iterable[str]]) -> Mapping[str, list[str]]:
    used: dict[str, list[str]] = defaultdict(list)
    for name, texts in inputs.items():
        for text in texts:
            used[node_of(text)].append(name)
    return used

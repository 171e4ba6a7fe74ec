"""What can be reached from some names by going on and on from each to those after it; what some tensors depend on.

Not for: knowing what comes after a name otherwise, or a walk that needs more than names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.graphs.tensor_names import node_of, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tfmagic.files import protos


def reached(roots: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the roots and all names that follow them, directly or through others."""
    names: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting.extend(following(name))
    return names


def ancestors(
    nodes: Mapping[str, protos.Message], roots: Iterable[str], feeds: Iterable[str] = ()
) -> tuple[set[str], set[str]]:
    """Return the nodes that some tensors or nodes depend on, and those of which only what is fed is wanted.

    Parameters
    ----------
    nodes : mapping of str to NodeDef
        The graph.
    roots : iterable of str
        Names as nodes name their inputs.
    feeds : iterable of str
        Tensors at which the walk ends.

    Raises
    ------
    ConversionError
        If a node takes what is not there.
    """
    stops = set(map(plain, feeds))
    ended = {node_of(tensor) for tensor in stops}
    needed: set[str] = set()
    leaves: set[str] = set()
    waiting = [plain(root) for root in roots]
    while waiting:
        text = waiting.pop()
        name = node_of(text)
        # Who waits for a node that is fed waits for what is fed.
        if text in stops or (text.startswith("^") and name in ended):
            leaves.add(name)
            continue
        if name in needed:
            continue
        if name not in nodes:
            raise errors.ConversionError(f"the graph is incomplete: it takes {text!r}, and there is no such node")
        needed.add(name)
        waiting.extend(plain(each) for each in nodes[name].input)
    return needed, leaves - needed

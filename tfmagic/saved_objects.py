"""What a SavedModel's object graph says of its variables: the names they had, and which ones are trained.

Not for: the object graph inside a checkpoint, which is another message (:mod:`tfmagic.object_graph`).
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.object_graph import short_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfmagic.protos import Message


class SavedVariable(NamedTuple):
    """A variable of the object graph: its name when it was saved, and whether it is trained."""

    name: str
    trainable: bool


def by_key(object_graph: Message | None) -> dict[str, SavedVariable]:
    """Return the variables of a SavedObjectGraph by the readable part of their checkpoint key.

    The key is the shortest way from the root, as TensorFlow's saver walks it
    (tensorflow/python/checkpoint/graph_view.py).
    """
    return {key: SavedVariable(node.variable.name, node.variable.trainable) for key, node in _variables(object_graph)}


def _variables(object_graph: Message | None) -> Iterator[tuple[str, Message]]:
    """Walk the object graph breadth first; ids that lead nowhere are passed over."""
    if object_graph is None or not object_graph.nodes:
        return
    seen, waiting = {0}, deque([(0, "")])
    while waiting:
        index, path = waiting.popleft()
        node = object_graph.nodes[index]
        if node.WhichOneof("kind") == "variable":
            yield path, node
        for child in node.children:
            if child.node_id not in seen and 0 <= child.node_id < len(object_graph.nodes):
                seen.add(child.node_id)
                name = child.local_name.replace(".", "..").replace("/", ".S")
                waiting.append((child.node_id, f"{path}/{name}" if path else name))


def names(saved: Mapping[str, SavedVariable], keys: Collection[str]) -> dict[str, str]:
    """Choose the name under which each checkpoint key is listed: the variable's own if it is no other's, else the key.

    A name that does not say where the variable belongs (``kernel``) is worse than the key.
    """
    own = {key: saved[short_key(key)].name for key in keys if short_key(key) in saved}
    count = Counter(own.values())
    return {key: own[key] if count[own.get(key, "")] == 1 and "/" in own[key] else short_key(key) for key in keys}

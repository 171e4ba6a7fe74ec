"""What a checkpoint's object graph says of its variables: the names they had, and which ones were trained.

An object-based checkpoint (``tf.train.Checkpoint``, Keras) stores a TrackableObjectGraph beside its values. Not for:
the object graph of a SavedModel, which is another message.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tfmagic.files.protos import Message

#: The key under which the graph is stored, a scalar string.
KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
# A Keras 3 optimizer tracks the weights that it trains under the first, its own state under the second.
_TRAINED = "_trainable_variables"
_STATE = "_variables"


def short_key(key: str) -> str:
    """Return the readable part of a checkpoint key: ``a/b`` of ``a/b/.ATTRIBUTES/VARIABLE_VALUE``."""
    return key.removesuffix(_VALUE)


def may_hold_layers(keys: Collection[str]) -> bool:
    """Say whether some variable hangs on an object of its own, so that the graph may know a better name.

    A variable right on the root, or in a list right on it (``v``, ``vs/3``), has none: its key is its name.
    """
    paths = (short_key(key).split("/") for key in keys if key.endswith(_VALUE))
    return any(len(path) > 2 or (len(path) > 1 and not path[-1].isdecimal()) for path in paths)  # noqa: PLR2004 - as said


def names(graph: Message | None, keys: Collection[str]) -> dict[str, str]:
    """Choose the name under which each key is listed.

    That is the variable's full name where it is the path of a layer's variable (``sequential/dense/kernel``, Keras'
    ``variable.path``) and no other's, else the readable part of the key.
    """
    short = {key: short_key(key) for key in keys}
    if graph is None:
        return short
    paths = {key: name for key, name in _full_names(graph) if key in short and "/" in name}
    count = Counter((*paths.values(), *(name for key, name in short.items() if key not in paths)))
    return short | {key: name for key, name in paths.items() if count[name] == 1}


def trainable(graph: Message | None) -> dict[str, bool]:
    """Return, by key, whether a variable is trained, where the checkpoint says so.

    Only a Keras 3 optimizer's checkpoint does: it lists what it trains.
    """
    if graph is None:
        return {}
    optimizers = [lists for lists in map(_lists, graph.nodes) if _TRAINED in lists and _STATE in lists]
    state = dict.fromkeys(_listed_keys(graph, {lists[_STATE] for lists in optimizers}), False)
    return state | dict.fromkeys(_listed_keys(graph, {lists[_TRAINED] for lists in optimizers}), True)


def _lists(node: Message) -> dict[str, int]:
    return {child.local_name: child.node_id for child in node.children if child.local_name in (_TRAINED, _STATE)}


def full_names(graph: Message) -> dict[str, str]:
    """Return what each variable was called when it was saved, by key."""
    return dict(_full_names(graph))


def listed_keys(graph: Message, name: str) -> list[str]:
    """Return the keys of the variables in a list that the root has under a name, in its order."""
    there = range(len(graph.nodes))
    root = graph.nodes[0].children if len(graph.nodes) else ()
    lists = [graph.nodes[child.node_id] for child in root if child.local_name == name and child.node_id in there]
    members = [child for node in lists for child in node.children if child.local_name.isdecimal()]
    members.sort(key=lambda child: int(child.local_name))
    nodes = [graph.nodes[child.node_id] for child in members if child.node_id in there]
    return [attribute.checkpoint_key for node in nodes for attribute in node.attributes]


def _full_names(graph: Message) -> Iterator[tuple[str, str]]:
    for node in graph.nodes:
        for attribute in node.attributes:
            yield attribute.checkpoint_key, attribute.full_name


def _listed_keys(graph: Message, lists: set[int]) -> Iterator[str]:
    """Yield the keys of the variables in some lists, each node visited once; one that does not exist has none."""
    there = range(len(graph.nodes))
    listed = {child.node_id for node in lists if node in there for child in graph.nodes[node].children}
    for node in listed:
        if node in there:
            yield from (attribute.checkpoint_key for attribute in graph.nodes[node].attributes)

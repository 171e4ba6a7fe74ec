"""What a SavedModel's object graph says of its variables: the names they had, and which ones are trained.

Not for: the object graph inside a checkpoint, which is another message
(:mod:`tfmagic.files.checkpoints.trackable_object_graph`).
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.checkpoints.trackable_object_graph import short_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfmagic.files.checkpoints.entries import Entry
    from tfmagic.files.protos import Message


#: The list under which an export of Keras' has each variable once more.
KERAS_COPIES = "_all_variables"
#: The lists of its variables that a model has.
_LISTS = frozenset({"variables", "trainable_variables", "non_trainable_variables"})


class SavedVariable(NamedTuple):
    """A variable of the object graph: its name when it was saved, and whether it is trained and read by a function."""

    name: str
    trainable: bool
    is_used: bool


def by_key(object_graph: Message | None) -> dict[str, SavedVariable]:
    """Return the variables of a SavedObjectGraph by the readable part of their checkpoint key.

    The key is the shortest way from the root, as TensorFlow's saver walks it, and a slot's that of its variable and
    its optimizer (``tensorflow/python/checkpoint/graph_view.py`` and ``util.py``).
    """
    if object_graph is None or not object_graph.nodes:
        return {}
    used = {index for function in object_graph.concrete_functions.values() for index in function.bound_inputs}
    paths = _paths(object_graph)
    nodes = object_graph.nodes
    # A variable of a module stands in the lists of variables, too, and is stored by its attributes.
    along_attributes = {path: index for index, path in _paths(object_graph, passed_over=_LISTS).items()}
    index_of = along_attributes | {path: index for index, path in paths.items()} | dict(_slots(object_graph, paths))
    return {
        path: SavedVariable(nodes[index].variable.name, nodes[index].variable.trainable, index in used)
        for path, index in index_of.items()
        if nodes[index].WhichOneof("kind") == "variable"
    }


def is_listed(path: str) -> bool:
    """Say whether the way to a variable is only its place in one of the lists that a model has."""
    return path.partition("/")[0] in _LISTS


def _paths(object_graph: Message, passed_over: Collection[str] = ()) -> dict[int, str]:
    """Walk the object graph breadth first, less some edges of the root; ids that lead nowhere are passed over."""
    paths, waiting = {0: ""}, deque([0])
    while waiting:
        index = waiting.popleft()
        for child in object_graph.nodes[index].children:
            if not index and child.local_name in passed_over:
                continue
            if child.node_id not in paths and 0 <= child.node_id < len(object_graph.nodes):
                name = escaped(child.local_name)
                paths[child.node_id] = f"{paths[index]}/{name}" if paths[index] else name
                waiting.append(child.node_id)
    return paths


def _slots(object_graph: Message, paths: Mapping[int, str]) -> Iterator[tuple[str, int]]:
    """Yield what Keras 2's optimizers keep for each variable, by the readable part of the key."""
    for index, optimizer in paths.items():
        for slot in object_graph.nodes[index].slot_variables:
            there = 0 <= slot.slot_variable_node_id < len(object_graph.nodes)
            if there and slot.original_variable_node_id in paths:
                variable = paths[slot.original_variable_node_id]
                yield f"{variable}/.OPTIMIZER_SLOT/{optimizer}/{escaped(slot.slot_name)}", slot.slot_variable_node_id


def copies(saved: Mapping[str, SavedVariable], entries: Mapping[str, Entry]) -> set[str]:
    """Return the readable parts of keys under which an export of Keras 3 has variables a second time.

    It stores each in a list of all, too, as another object. One that has the name and the value of another variable is
    that variable; a value that somebody changed is not.

    Parameters
    ----------
    saved : mapping of str to SavedVariable
        As :func:`by_key` returns them.
    entries : mapping of str to Entry
        What the checkpoint has, by its keys.
    """
    stored = {short_key(key): entry for key, entry in entries.items()}
    listed = [path for path in saved if path.startswith(f"{KERAS_COPIES}/") and path in stored]
    if not listed:
        return set()
    others = {
        (variable.name, *_value(stored[path]))
        for path, variable in saved.items()
        if path in stored and not path.startswith(f"{KERAS_COPIES}/")
    }
    return {path for path in listed if (saved[path].name, *_value(stored[path])) in others}


def _value(entry: Entry) -> tuple[object, ...]:
    """Return what two tensors of one value have in common."""
    return entry.dtype, entry.shape, entry.bytes, entry.crc32c


def escaped(name: str) -> str:
    """Write an attribute's name as the saver does."""
    return name.replace(".", "..").replace("/", ".S")


def names(saved: Mapping[str, SavedVariable], keys: Collection[str], again: Collection[str] = ()) -> dict[str, str]:
    """Choose the name under which each checkpoint key is listed: the variable's own if it is no other's, else the key.

    A name that does not say where the variable belongs (``kernel``) is worse than the key. Keras 3 exports each
    variable twice, of which the functions read one: that is the variable, the other goes by its key.

    Parameters
    ----------
    saved : mapping of str to SavedVariable
        As :func:`by_key` returns them.
    keys : collection of str
        The checkpoint's keys, or the readable parts of them.
    again : collection of str
        Readable parts of the keys of copies (:func:`copies`), which go by them.
    """
    short = {key: short_key(key) for key in keys}
    known = {
        key: saved[path]
        for key, path in short.items()
        if path in saved and "/" in saved[path].name and path not in again
    }
    bearers = Counter(variable.name for variable in known.values())
    readers = Counter(variable.name for variable in known.values() if variable.is_used)
    own = {
        key: variable.name
        for key, variable in known.items()
        if bearers[variable.name] == 1 or (variable.is_used and readers[variable.name] == 1)
    }
    taken = {path for key, path in short.items() if key not in own}
    return short | {key: name for key, name in own.items() if name not in taken}

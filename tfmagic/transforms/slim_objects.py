"""The object graph of a SavedModel beside that of its checkpoint: whose key is whose, and both without what goes.

Nodes go by number, so what goes leaves a plain object in its place. Not for: the graph's nodes and functions
(:mod:`tfmagic.transforms.slim_graph`).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfmagic.files.protos import Message

_PLAIN = "_generic_user_object"
#: Functions of a resource that loaders run: they make it, fill it and let it go.
_OF_RESOURCES = frozenset({"_create_resource", "_initialize", "_destroy_resource"})
_SIGNATURES = "signatures"


def paired(saved: Message, stored: Message) -> dict[int, int]:
    """Return, by the nodes of a SavedObjectGraph, those of the checkpoint's graph, as TensorFlow's loader matches them.

    Parameters
    ----------
    saved : SavedObjectGraph
        Of the SavedModel's message.
    stored : TrackableObjectGraph
        Of its checkpoint.
    """
    if not saved.nodes or not stored.nodes:
        return {}
    pairs, waiting = {0: 0}, deque([0])
    while waiting:
        number = waiting.popleft()
        others = {child.local_name: child.node_id for child in stored.nodes[pairs[number]].children}
        for child in saved.nodes[number].children:
            other = others.get(child.local_name, -1)
            if child.node_id not in pairs and 0 <= child.node_id < len(saved.nodes) and 0 <= other < len(stored.nodes):
                pairs[child.node_id] = other
                waiting.append(child.node_id)
    for number, other in list(pairs.items()):
        slots = {
            (slot.original_variable_node_id, slot.slot_name): slot.slot_variable_node_id
            for slot in stored.nodes[other].slot_variables
        }
        for slot in saved.nodes[number].slot_variables:
            at = slots.get((pairs.get(slot.original_variable_node_id, -1), slot.slot_name), -1)
            if 0 <= at < len(stored.nodes) and 0 <= slot.slot_variable_node_id < len(saved.nodes):
                pairs[slot.slot_variable_node_id] = at
    return pairs


def variables_by_key(saved: Message, stored: Message) -> dict[str, int]:
    """Return the variables of a SavedObjectGraph, by their keys in the checkpoint."""
    return {
        attribute.checkpoint_key: number
        for number, other in paired(saved, stored).items()
        if saved.nodes[number].WhichOneof("kind") == "variable"
        for attribute in stored.nodes[other].attributes
    }


def lost(saved: Message, functions: Collection[str]) -> list[str]:
    """Return the names of the root's functions, other than the signatures, that lose a trace of theirs."""
    there = range(len(saved.nodes))
    children = saved.nodes[0].children if saved.nodes else ()
    return sorted(
        child.local_name
        for child in children
        if child.node_id in there and any(name not in functions for name in _functions(saved.nodes[child.node_id]))
    )


def entry_functions(saved: Message) -> set[str]:
    """Return the functions of the library that loading, saving and the signatures need."""
    there = range(len(saved.nodes))
    numbers: set[int] = set()
    for number, node in enumerate(saved.nodes):
        names = {child.local_name: child.node_id for child in node.children}
        numbers.update(each for name, each in names.items() if name in _OF_RESOURCES)
        for saveable in node.saveable_objects.values():
            numbers.update((saveable.save_function, saveable.restore_function))
        if number == 0 and names.get(_SIGNATURES, -1) in there:
            numbers.update(child.node_id for child in saved.nodes[names[_SIGNATURES]].children)
    return {name for number in numbers if number in there for name in _functions(saved.nodes[number])}


def _functions(node: Message) -> Iterator[str]:
    """Yield the functions of the library that a node stands for."""
    yield from node.function.concrete_functions
    if node.WhichOneof("kind") == "bare_concrete_function":
        yield node.bare_concrete_function.concrete_function_name


def bound(saved: Message, functions: Collection[str]) -> set[int]:
    """Return the nodes that some functions take with them, and the nodes that those in turn are made by."""
    there = range(len(saved.nodes))
    return {
        number
        for name in functions
        if name in saved.concrete_functions
        for number in saved.concrete_functions[name].bound_inputs
        if number in there
    }


def closed(saved: Message, functions: Collection[str]) -> set[str]:
    """Return some functions, and those out of which tensors are captured that they take."""
    names = set(functions)
    while True:
        makers = {
            saved.nodes[number].captured_tensor.concrete_function
            for number in bound(saved, names)
            if saved.nodes[number].WhichOneof("kind") == "captured_tensor"
        }
        if makers <= names:
            return names
        names |= makers


def reduced(saved: Message, functions: Collection[str], gone: Collection[int]) -> Message:
    """Return a SavedObjectGraph with some functions only, and without some variables.

    Parameters
    ----------
    saved : SavedObjectGraph
        It stays as it is.
    functions : collection of str
        What stays of the library.
    gone : collection of int
        The nodes of variables that the checkpoint has no longer.
    """
    result = type(saved)()
    result.CopyFrom(saved)
    taken = bound(saved, functions)
    for name in [name for name in result.concrete_functions if name not in functions]:
        del result.concrete_functions[name]
    for number, node in enumerate(result.nodes):
        kind = node.WhichOneof("kind")
        if kind == "function":
            kept = [name for name in node.function.concrete_functions if name in functions]
            node.function.concrete_functions[:] = kept
        lost_function = {
            "bare_concrete_function": node.bare_concrete_function.concrete_function_name,
            "captured_tensor": node.captured_tensor.concrete_function,
        }.get(kind or "")
        is_lost = number in gone or (lost_function is not None and lost_function not in functions)
        if is_lost or (kind == "constant" and number not in taken):
            node.Clear()
            node.user_object.identifier = _PLAIN
            node.user_object.version.producer = 1
            node.user_object.version.min_consumer = 1
        slots = [slot for slot in node.slot_variables if slot.slot_variable_node_id not in gone]
        if len(slots) < len(node.slot_variables):
            del node.slot_variables[:]
            node.slot_variables.extend(slots)
    return result


def other_keys(stored: Message, variables: Mapping[str, int]) -> set[str]:
    """Return the keys of a checkpoint's graph that no variable has: of tables, generators and the like."""
    return {each.checkpoint_key for node in stored.nodes for each in node.attributes} - variables.keys()

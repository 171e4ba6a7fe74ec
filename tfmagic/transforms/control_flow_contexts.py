"""The contexts of TensorFlow 1's loops and branches, by which it makes gradients of them after a graph was imported.

A context names nodes, and importing fails where one of them is not there. Not for: loops that are functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

#: The collections, and the message that each holds.
COLLECTIONS = {"while_context": "WhileContextDef", "cond_context": "CondContextDef"}


def contexts(header: protos.Message, collection: str) -> Iterator[protos.Message]:
    """Yield the contexts of a collection."""
    if collection in header.collection_def:
        for data in header.collection_def[collection].bytes_list.value:
            yield protos.parse(COLLECTIONS[collection], data)


def companions(header: protos.Message, kept: Collection[str]) -> list[str]:
    """Return what the contexts of loops and branches that stay name, used or not, of those inside others too.

    These are all exits of a loop, and the pivot of a branch: what is made in it, gradients too, waits for that.
    """
    outer = [context for collection in COLLECTIONS for context in contexts(header, collection)]
    nested = [inner for context in outer for inner in _with_nested(context)]
    exits = [name for each in nested if not _is_branch(each) for name in _exits(each, kept)]
    return exits + [each.pivot_name for each in nested if _is_branch(each) and _has_own(each, kept)]


def _is_branch(context: protos.Message) -> bool:
    return bool(context.DESCRIPTOR.name == "CondContextDef")


def _exits(loop: protos.Message, kept: Collection[str]) -> Sequence[str]:
    return loop.loop_exit_names if node_of(loop.pivot_name) in kept else ()


def _has_own(branch: protos.Message, kept: Collection[str]) -> bool:
    """Say whether a node of a branch stays, its condition and what only comes into it apart."""
    values = branch.values_def
    others = {node_of(name) for name in (branch.pred_name, branch.pivot_name, *values.external_values)}
    names = {node_of(name) for name in values.values}
    return node_of(branch.pred_name) in kept and any(name in kept for name in names - others)


def _with_nested(context: protos.Message) -> Iterator[protos.Message]:
    yield context
    for holder in context.nested_contexts:
        yield from _with_nested(_inside(holder))


def reduced(header: protos.Message, collection: str, names: Collection[str]) -> list[bytes]:
    """Return the contexts of which the pivot is among some nodes, without what is not, serialised."""
    serialised = []
    for context in contexts(header, collection):
        if _is_there(context, names):
            _reduce(context, names)
            serialised.append(context.SerializeToString())
    return serialised


def _is_there(context: protos.Message, names: Collection[str]) -> bool:
    stated = [context.pivot_name, *([context.pred_name] if _is_branch(context) else ())]
    return all(node_of(name) in names for name in stated)


def _reduce(context: protos.Message, names: Collection[str]) -> None:
    """Drop the values, and the contexts inside, that are not there."""
    values = context.values_def
    kept = [value for value in values.values if node_of(value) in names]
    del values.values[:]
    values.values.extend(kept)
    for inner, outer in list(values.external_values.items()):
        if node_of(inner) not in names or node_of(outer) not in names:
            del values.external_values[inner]
    nested = []
    for holder in context.nested_contexts:
        inside = _inside(holder)
        if _is_there(inside, names):
            _reduce(inside, names)
            nested.append(protos.parse("ControlFlowContextDef", holder.SerializeToString()))
    del context.nested_contexts[:]
    context.nested_contexts.extend(nested)


def _inside(holder: protos.Message) -> protos.Message:
    return getattr(holder, holder.WhichOneof("ctxt"))


def renamed(context: protos.Message, rename: Callable[[str], str]) -> None:
    """Give all nodes that a context names, and the context itself, other names."""
    for field, value in list(context.ListFields()):
        if field.name.endswith("_names"):
            names = [rename(name) for name in value]
            del value[:]
            value.extend(names)
        elif field.name.endswith("_name"):
            setattr(context, field.name, rename(value))
    values = context.values_def
    names = [rename(name) for name in values.values]
    del values.values[:]
    values.values.extend(names)
    outside = {rename(inner): rename(outer) for inner, outer in values.external_values.items()}
    values.external_values.clear()
    values.external_values.update(outside)
    for holder in context.nested_contexts:
        renamed(_inside(holder), rename)

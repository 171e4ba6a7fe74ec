"""Variables that were loaded without their values, which are read from the checkpoint when somebody writes them.

A model that is only converted needs none of them in memory. Not for: graphs, whose variables are known by their nodes
(:mod:`tfmagic.functions.state.saved_models`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.files.checkpoints import trackable_object_graph
from tfmagic.functions.state.initial_values import Stored
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfmagic.files.checkpoints.tensor_bundle import Checkpoint

#: The attribute of a variable that was loaded here under which it has the way to its value.
_STORED = "_tfmagic_stored"
_VALUE = "VARIABLE_VALUE"


def describe(root: runtime.Live, checkpoint: Checkpoint) -> bool:
    """Give the variables of what was loaded the way to their values.

    Parameters
    ----------
    root : object
        Loaded, its checkpoint left out.
    checkpoint : Checkpoint
        With the object graph by which TensorFlow would restore it.

    Returns
    -------
    bool
        Whether that is all that the checkpoint restores: of tables, and of what fits its variable in another dtype or
        shape only, nothing is described.
    """
    if trackable_object_graph.KEY not in checkpoint.entries:
        return False
    graph = protos.parse("TrackableObjectGraph", checkpoint.read(trackable_object_graph.KEY).item())
    pairs = list(_pairs(root, graph))
    for value, node in pairs:
        if not node.attributes:
            continue
        stored = _stored(value, node, checkpoint)
        if stored is None:
            return False
        setattr(value, _STORED, stored)
    return all(stored_value(each) is not None for each, _ in pairs if _is_variable(each))


def stored_value(variable: runtime.Live) -> Stored | None:
    """Return where the value of a variable lies that was loaded without it, None for any other."""
    stored: Stored | None = getattr(variable, _STORED, None)
    return stored


def restore(variables: Iterable[runtime.Live]) -> None:
    """Give variables their values that were loaded without."""
    for variable in variables:
        stored = stored_value(variable)
        if stored is not None:
            variable.assign(stored.read())
            delattr(variable, _STORED)


def _pairs(root: runtime.Live, graph: protos.Message) -> Iterator[tuple[runtime.Live, protos.Message]]:
    """Yield each object that has a node in the object graph, with it: along equal names, as TensorFlow restores."""
    view = runtime.tensorflow().train.TrackableView
    seen = {id(root)}
    waiting = [(root, 0)]
    while waiting:
        value, number = waiting.pop()
        node = (
            graph.nodes[number] if number < len(graph.nodes) else protos.message("TrackableObjectGraph")().nodes.add()
        )
        yield value, node
        numbers = {child.local_name: child.node_id for child in node.children}
        for name, child in view.children(value).items():
            if name in numbers and id(child) not in seen:
                seen.add(id(child))
                waiting.append((child, numbers[name]))


def _is_variable(value: object) -> bool:
    return isinstance(value, runtime.tensorflow().Variable)


def _stored(value: runtime.Live, node: protos.Message, checkpoint: Checkpoint) -> Stored | None:
    """Return where a variable's value lies, None for another object or another value."""
    keys = [each.checkpoint_key for each in node.attributes if each.name == _VALUE]
    entry = checkpoint.entries.get(keys[0]) if len(keys) == len(node.attributes) == 1 else None
    if entry is None or not _is_variable(value) or entry.dtype != value.dtype.name:
        return None
    shape = tuple(int(size or 0) for size in entry.shape or ())
    if not value.shape.is_compatible_with(shape):
        return None
    return Stored(entry.dtype, shape, partial(checkpoint.read, keys[0]))

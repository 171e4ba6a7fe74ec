"""Variables whose values lie elsewhere, on the disk or in a session, and are in memory as long as something runs.

A model that is only written needs none of them, and one that was run before its result is loaded lets go of them, so
that the weights are not there twice. Not for: finding a variable's value by its node
(:mod:`tfmagic.functions.state.saved_models`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tfmagic.files import places, protos
from tfmagic.files.checkpoints import trackable_object_graph
from tfmagic.functions.state.initial_values import Stored
from tfmagic.functions.state.value_groups import tensor_bytes
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfmagic.files.checkpoints.tensor_bundle import Checkpoint

#: The attributes of a variable that was made here: the way to its value, and whether it has none itself.
_STORED, _ABSENT = "_tfmagic_stored", "_tfmagic_absent"
#: A smaller value is not worth letting go of, in bytes.
_WORTH = 1 << 20
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
        attach(value, stored)
        setattr(value, _ABSENT, True)
    return all(stored_value(each) is not None for each, _ in pairs if _is_variable(each))


def attach(variable: runtime.Live, stored: Stored) -> None:
    """Tell a variable that was made here where its value lies."""
    setattr(variable, _STORED, stored)


def stored_value(variable: runtime.Live) -> Stored | None:
    """Return where the value of a variable lies that has none itself, None for any other."""
    stored: Stored | None = getattr(variable, _STORED, None)
    return stored if getattr(variable, _ABSENT, False) else None


def restore(variables: Iterable[runtime.Live]) -> None:
    """Give variables their values where they have none themselves."""
    absent = [(each, stored) for each in variables if (stored := stored_value(each)) is not None]
    if absent:
        with runtime.eager():
            for variable, stored in absent:
                _set(variable, _read(stored, variable.dtype))
                setattr(variable, _ABSENT, False)


def _read(stored: Stored, dtype: runtime.Live) -> runtime.Live:
    """Return a value as a tensor; where TensorFlow reads it, nobody has it a second time meanwhile."""
    tf = runtime.tensorflow()
    if stored.place is not None:
        prefix, key = stored.place
        # What it cannot read is told in words of ours.
        with suppress(tf.errors.OpError), tf.device("CPU"):
            return tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=[key], shape_and_slices=[""], dtypes=[dtype])[0]
    return tf.constant(stored.read(), dtype)


def large(variables: Iterable[runtime.Live]) -> list[runtime.Live]:
    """Return those variables that are worth letting go of, and can be given their values again."""
    return [each for each in variables if hasattr(each, _STORED) and (_bytes(each) or 0) >= _WORTH]


def let_go(variables: Iterable[runtime.Live]) -> None:
    """Let go of the values of large variables that can have them again, until somebody runs what reads them."""
    tf = runtime.tensorflow()
    with runtime.eager():
        for variable in large(variables):
            _set(variable, tf.zeros([0], variable.dtype))
            setattr(variable, _ABSENT, True)


def _set(variable: runtime.Live, value: runtime.Live) -> None:
    """Set a variable, whatever shape its value has by now."""
    runtime.tensorflow().raw_ops.AssignVariableOp(resource=variable.handle, value=value, validate_shape=False)


def _bytes(variable: runtime.Live) -> int | None:
    return tensor_bytes(variable.dtype.name, None if variable.shape.rank is None else tuple(variable.shape.as_list()))


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
    # Where the path is a pattern, TensorFlow finds none of the files, or those of another checkpoint.
    is_plain = checkpoint.version != "V1" and not entry.slices and not places.is_pattern(checkpoint.prefix)
    place = (str(checkpoint.prefix), keys[0]) if is_plain else None
    return Stored(entry.dtype, shape, partial(checkpoint.read, keys[0]), place)

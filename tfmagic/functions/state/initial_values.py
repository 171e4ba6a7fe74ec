"""The values that variables get when a graph is initialised, where no checkpoint has them: local ones, say.

They are computed as TensorFlow would, from the graph alone. Not for: finding out which tensor that is
(:mod:`tfmagic.functions.state.saved_models`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs import function_library
from tfmagic.graphs.ops import Effect, named, of_kind
from tfmagic.graphs.resources import TABLES, VARIABLES
from tfmagic.graphs.tensor_names import full
from tfmagic.graphs.walks import ancestors
from tfmagic.runtime import cancellation, error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Gives the values of variables, by the names of their nodes.
Values: TypeAlias = "Callable[[Sequence[str]], Mapping[str, np.ndarray]]"
#: What computing an initial value may do.
_HARMLESS = frozenset({Effect.PURE, Effect.CALL, Effect.STATE, Effect.PRINTS})
#: What would have to be filled first.
_OTHER_STATE = TABLES | of_kind("iterator", "queue")


class Stored(NamedTuple):
    """The value of a variable that lies somewhere; ``read`` gives it.

    ``place`` is the prefix of a checkpoint and the key there, if TensorFlow itself can read it, as well and whole.
    """

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]
    place: tuple[str, str] | None = None


def initial_values(graph_def: protos.Message, tensors: Mapping[str, str], values: Values) -> dict[str, Stored]:
    """Compute the values with which a graph is initialised.

    Parameters
    ----------
    graph_def : GraphDef
        The graph.
    tensors : mapping of str to str
        What each variable is set to, by the variable's node.
    values : callable
        Gives the values of the variables that other values are made from, by their nodes.

    Raises
    ------
    ConversionError
        If computing one would do more than that, gives another number each time, or goes round in a circle.
    """
    for name, tensor in tensors.items():
        _require_harmless(graph_def, name, tensor)
    return _computed(graph_def, tensors, values)


def values_behind(graph_def: protos.Message, writes: Sequence[str], values: Values) -> dict[str, Stored]:
    """Return what variables hold once ops of an initialiser have run behind the checkpoint.

    Parameters
    ----------
    graph_def : GraphDef
        The graph.
    writes : sequence of str
        The ops that may write to variables, by their nodes.
    values : callable
        Gives the values that a checkpoint has of variables, by their nodes; those that it has none of are left out.

    Raises
    ------
    ConversionError
        If running them would do more than that, or gives another value each time.
    """
    nodes = {node.name: node for node in graph_def.node}
    for name in writes:
        _require_harmless(graph_def, name, name)
    part = _part(graph_def, ancestors(nodes, writes)[0])
    names = [node.name for node in part.node if node.op in VARIABLES]
    before = values(names) if names else {}
    if not before:
        return {}
    tf = runtime.tensorflow()
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        try:
            tf.graph_util.import_graph_def(protos.native(part), name="")
            handles = {name: graph.get_tensor_by_name(f"{name}:0") for name in before}
            for name, handle in handles.items():
                _assign(tf, session, handle, before[name])
            cancellation.bounded(lambda: session.run([graph.get_operation_by_name(name) for name in writes]))
            after = session.run({name: _value(tf, handle) for name, handle in handles.items()})
        except (cancellation.EndlessError, ValueError, TypeError, tf.errors.OpError) as error:
            message = f"{errors.listed(writes)}, which initialise the graph, do not run: {error_texts.gist(error)}"
            raise errors.ConversionError(f"{message}; give the live session, whose values count") from error
    # A scalar of text comes as bytes.
    arrays = {name: np.asarray(value, object if isinstance(value, bytes) else None) for name, value in after.items()}
    return {name: _stored(value) for name, value in arrays.items() if not _are_equal(before[name], value)}


def _value(tf: runtime.Live, variable: runtime.Live) -> runtime.Live:
    """Return a tensor with the value of a variable."""
    if variable.dtype != "resource":
        return variable
    dtype = variable.op.get_attr("dtype")
    return tf.raw_ops.ReadVariableOp(resource=variable, dtype=dtype)


def _are_equal(first: np.ndarray, second: np.ndarray) -> bool:
    if first.dtype.kind == "O":
        return bool(np.array_equal(first, second))
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def _require_harmless(graph_def: protos.Message, name: str, tensor: str) -> None:
    """Refuse to compute a variable's value if that does more than computing, or gives another one each time."""
    nodes = {node.name: node for node in graph_def.node}
    library = {function.signature.name: function for function in graph_def.library.function}
    needed = [nodes[each] for each in sorted(ancestors(nodes, [tensor])[0])]
    called = (library[each].node_def for each in sorted(function_library.called(needed, library)))
    for node in itertools.chain(needed, *called):
        effect = Effect.CALL if node.op in library else named(node.op).effect
        if (node.name == name and tensor != name) or effect not in _HARMLESS or node.op in _OTHER_STATE:
            why = "is drawn anew" if effect is Effect.RANDOM else f"needs op {node.name!r} ({node.op})"
            raise errors.ConversionError(
                f"the checkpoint has no value for the variable {name!r}, and what it is initialised with {why}; "
                "give the live session, whose values count, or choose outputs that do not read it"
            )


def _part(graph_def: protos.Message, needed: set[str]) -> protos.Message:
    """Return some nodes of a graph, bound to no device."""
    part = type(graph_def)(versions=graph_def.versions, library=graph_def.library)
    nodes = {node.name: node for node in graph_def.node}
    for name in sorted(needed):
        copy = part.node.add()
        copy.CopyFrom(nodes[name])
        copy.device = ""
        copy.attr.pop("_class", None)
    return part


def _computed(graph_def: protos.Message, tensors: Mapping[str, str], values: Values) -> dict[str, Stored]:
    """Run what is needed of a graph in a session, as a loader of TensorFlow 1 would."""
    tf = runtime.tensorflow()
    nodes = {node.name: node for node in graph_def.node}
    needed, _ = ancestors(nodes, tensors.values())
    part = _part(graph_def, needed)
    names = [name for name in sorted(needed) if nodes[name].op in VARIABLES]
    circle = [name for name in names if name in tensors]
    if circle:
        raise errors.ConversionError(
            f"the initial values of {errors.listed(circle)} are made from one another; give the live session"
        )
    stored = values(names)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        try:
            tf.graph_util.import_graph_def(protos.native(part), name="")
            for name in names:
                _assign(tf, session, graph.get_tensor_by_name(f"{name}:0"), stored[name])
            # An initialiser may go round for ever.
            fetches = {name: full(tensor) for name, tensor in tensors.items()}
            computed = cancellation.bounded(lambda: session.run(fetches))
        except cancellation.EndlessError as error:
            raise errors.ConversionError(
                f"computing the initial values of {errors.listed(tensors)} {error}; give the live session, whose "
                "values count"
            ) from error
        except (ValueError, TypeError, tf.errors.OpError) as error:
            message = f"the initial values of {errors.listed(tensors)} cannot be computed: {error_texts.gist(error)}"
            message += "; give the live session, whose values count"
            raise errors.ConversionError(message) from error
    return {name: _stored(np.asarray(value)) for name, value in computed.items()}


def _assign(tf: runtime.Live, session: runtime.Live, variable: runtime.Live, value: np.ndarray) -> None:
    ops = tf.raw_ops
    if variable.dtype == "resource":
        session.run(ops.AssignVariableOp(resource=variable, value=value))
    else:
        session.run(ops.Assign(ref=variable, value=value).op)


def _stored(value: np.ndarray) -> Stored:
    return Stored("string" if value.dtype.kind in "OS" else value.dtype.name, value.shape, lambda: value)

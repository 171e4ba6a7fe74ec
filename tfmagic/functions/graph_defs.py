"""Wrap a GraphDef with named ends as a function; its variables and tables become objects of their own.

A variable node, by reference or resource, is replaced by a ``tf.Variable``
with the value that the caller has for it, so the result is captured, saved and frozen like any TF2 function. Not for:
which nodes are imported (:mod:`tfmagic.functions.importable_part`), or finding the ends of a graph
(:mod:`tfmagic.graphs.plumbing`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions import nested_structures
from tfmagic.functions.importable_part import dtype_of, part_between
from tfmagic.functions.named_function import NamedFunction, endpoint
from tfmagic.functions.state import stored_variables
from tfmagic.functions.state.initial_values import Stored
from tfmagic.graphs.resources import RESOURCE_VARIABLES, TABLES, VARIABLES, resource
from tfmagic.graphs.tensor_names import node_of
from tfmagic.runtime import concrete_functions, error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from tfmagic.functions.importable_part import GraphPart

#: Gives the values of variables, by the names of their nodes.
Values: TypeAlias = "Callable[[Sequence[str]], Mapping[str, npt.ArrayLike]]"
#: Gives what holds a table's content, by the names of their nodes.
Tables: TypeAlias = "Callable[[Sequence[str]], Mapping[str, runtime.Live]]"

_WRITES = (
    "; the outputs need ops that write to variables of TensorFlow 1, which only a session runs; choose outputs before "
    "them, with outputs=[…]"
)


def wrap_graph_def(  # noqa: PLR0913 - a graph, its ends, its state
    graph_def: protos.Message,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    *,
    values: Values | None = None,
    tables: Tables | None = None,
    shared: Shared | None = None,
    held: Mapping[str, runtime.Live] | None = None,
    **others: runtime.Live,
) -> NamedFunction:
    """Wrap the part of a graph between named ends as a function.

    Parameters
    ----------
    graph_def : GraphDef
        Of any descriptor pool; it stays as it is.
    inputs, outputs : mapping of str to str
        The tensors' names by the keys they are to have, in order. Any tensor may be an input.
    values, tables : callable, optional
        Give, for the names of the nodes of the variables and tables that are needed, their values and the objects
        that hold them. Without, the graph must have none.
    shared : Shared, optional
        What functions of the same graph have made already; what is made here is added.
    held : mapping of str to tensor, optional
        What stands for constants of the graph, by their nodes; their content may be missing in it. TensorFlow copies
        the constants of a function several times, and not what it captures.
    **others
        ``key``, ``tags``, ``method`` of the NamedFunction.

    Raises
    ------
    UnknownNameError
        If the graph has no such tensor.
    ConversionError
        If variables or tables have no values, or TensorFlow cannot import the graph; its error is the cause.
    """
    with runtime.eager():
        part = part_between(graph_def, inputs, outputs, held or ())
        known = shared or Shared()
        state = _State(_variables(part, values, known), _table_objects(part, tables, known), held or {})
        return _wrapped(part, state, others)


@dataclass(frozen=True)
class Shared:
    """The variables and tables of one graph, made once for all functions that are taken out of it.

    Attributes
    ----------
    variables : dict of (container, name) to tf.Variable
        By what identifies them in a session.
    tables : dict of str to table
        By the names of their nodes.
    """

    variables: dict[tuple[bytes, bytes], runtime.Live] = field(default_factory=dict)
    tables: dict[str, runtime.Live] = field(default_factory=dict)


def _variables(part: GraphPart, values: Values | None, shared: Shared) -> dict[str, runtime.Live]:
    """Make a variable for each variable node, one for the nodes that share a resource."""
    names = [name for name, node in part.states.items() if node.op in VARIABLES]
    if names and values is None:
        raise errors.ConversionError(
            f"the graph reads the variables {errors.listed(names)}, and a GraphDef does not hold their values: "
            "give the SavedModel, the checkpoint with its .meta, the session, or a frozen graph"
        )
    variables = shared.variables
    resources = {name: resource(part.states[name]) for name in names}
    missing = [name for name in names if resources[name] not in variables]
    # What a session gave is let go of value by value, so that it is not in memory twice.
    contents = dict(values(missing)) if missing and values else {}
    for name in missing:
        if resources[name] not in variables:
            variable = runtime.tensorflow().Variable(contents.pop(name), dtype=dtype_of(part.states[name]), name=name)
            variables[resources[name]] = variable
            shape = tuple(variable.shape.as_list())
            stored_variables.attach(variable, Stored(variable.dtype.name, shape, _reading(values, name)))
    return {name: variables[resources[name]] for name in names}


def _reading(values: Values | None, name: str) -> Callable[[], np.ndarray]:
    """Return what reads a variable's value once more."""
    assert values is not None  # noqa: S101 - what has variables was given their values
    return lambda: np.asarray(values([name])[name])


def _table_objects(part: GraphPart, tables: Tables | None, shared: Shared) -> dict[str, runtime.Live]:
    """Return what holds the content of each table that the graph itself does not fill."""
    names = [name for name, node in part.states.items() if node.op in TABLES]
    if names and tables is None:
        raise errors.ConversionError(
            f"the graph looks words up in the tables {errors.listed(names)}, and nothing in it fills them: give the "
            "SavedModel or the session that does"
        )
    missing = [name for name in names if name not in shared.tables]
    shared.tables.update(tables(missing) if missing and tables else {})
    return {name: shared.tables[name] for name in names}


class _State(NamedTuple):
    """What a function takes from outside, by the nodes that it stands for: variables, tables, constants."""

    variables: dict[str, runtime.Live]
    tables: dict[str, runtime.Live]
    held: Mapping[str, runtime.Live]


def _wrapped(part: GraphPart, state: _State, others: dict[str, runtime.Live]) -> NamedFunction:
    """Import the part into a function from its inputs to its outputs."""
    tf = runtime.tensorflow()
    marked: dict[str, str] = {}

    def call(*arguments: runtime.Live) -> dict[str, runtime.Live]:
        states = _states(part, state)
        outputs = _outputs(part, {**states, **dict(zip(part.inputs.values(), arguments, strict=True))})
        marked.update((key, tensor.name) for key, tensor in outputs.items())
        return outputs

    try:
        concrete = tf.compat.v1.wrap_function(call, list(part.specs.values()))
    except (ValueError, TypeError, tf.errors.OpError) as error:
        said = error_texts.gist(error).rstrip(".") + (_WRITES if "_ref" in str(error) else "")
        raise errors.ConversionError(f"TensorFlow cannot import the graph: {said}; check its nodes") from error
    concrete_functions.name_arguments(concrete, [spec.name for spec in part.specs.values()])
    order = sorted(marked)
    inputs = zip(part.inputs, concrete.inputs, strict=False)
    return NamedFunction(
        concrete,
        tuple(endpoint(key, tensor) for key, tensor in inputs),
        tuple(endpoint(key, concrete.graph.get_tensor_by_name(name)) for key, name in marked.items()),
        tuple(order.index(key) for key in marked),
        owner=_owner(state.variables, state.tables),
        variables=state.variables,
        **others,
    )


def _states(part: GraphPart, state: _State) -> dict[str, runtime.Live]:
    """Return what stands for the outputs of nodes that were taken out, inside the function being made."""
    handles = {name: one.handle for name, one in state.variables.items() if part.states[name].op in RESOURCE_VARIABLES}
    handles.update((name, table.resource_handle) for name, table in state.tables.items())
    handles.update((name, tensor) for name, tensor in state.held.items() if name in part.states)
    tensors = {f"{name}:0": concrete_functions.capture(handle) for name, handle in handles.items()}
    for name, variable in state.variables.items():
        # A node that is a reference gives the value itself to whoever does not assign it.
        if name not in handles:
            tensors[f"{name}:0"] = variable.read_value()
    return tensors


def _outputs(part: GraphPart, known: dict[str, runtime.Live]) -> dict[str, runtime.Live]:
    """Import the part into the current graph and return its outputs by key, their nodes named after the keys."""
    tf = runtime.tensorflow()
    wanted = [tensor for tensor in part.outputs.values() if tensor not in known]
    used = {name: tensor for name, tensor in known.items() if name in part.consumed}
    results = tf.graph_util.import_graph_def(part.graph_def, input_map=used, return_elements=wanted, name="")
    for name, tensor in zip(wanted, results, strict=True):
        _restore_shape(tensor, part, name)
    tensors = {**known, **dict(zip(wanted, results, strict=True))}
    names = nested_structures.identifiers(part.outputs)
    return {key: _called(tensors[name], plain) for (key, name), plain in zip(part.outputs.items(), names, strict=True)}


def _restore_shape(tensor: runtime.Live, part: GraphPart, name: str) -> None:
    """Give a tensor the shape that is written at its node: what a loop returns, importing does not find out."""
    node = next(node for node in part.graph_def.node if node.name == node_of(name))
    index = int(name.rpartition(":")[2])
    if "_output_shapes" in node.attr and len(node.attr["_output_shapes"].list.shape) > index:
        with contextlib.suppress(ValueError):  # An edited graph may contradict what was written.
            tensor.set_shape(protos.shape_of(node.attr["_output_shapes"].list.shape[index]))


def _called(tensor: runtime.Live, name: str) -> runtime.Live:
    """Return the tensor under a name of its own, itself if it has that already."""
    if tensor.name == f"{name}:0" and tensor.op.type != "Placeholder":
        return tensor
    return runtime.tensorflow().identity(tensor, name=name)


def _owner(variables: Mapping[str, runtime.Live], tables: Mapping[str, runtime.Live]) -> runtime.Live:
    owner = runtime.tensorflow().Module()
    owner.weights = list({id(one): one for one in variables.values()}.values())
    owner.tables = list(tables.values())
    return owner

"""Wrap a GraphDef with named ends as a function; its variables and tables become objects of their own.

Only what the outputs need is imported. A variable node, by reference or resource, is replaced by a ``tf.Variable``
with the value that the caller has for it, so the result is captured, saved and frozen like any TF2 function. Not for:
finding the ends of a graph (:mod:`tfmagic.plumbing`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tfmagic import _tf, errors, protos
from tfmagic.functions import libraries, nests
from tfmagic.functions.named import NamedFunction, endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

#: Gives the values of variables, by the names of their nodes.
Values: TypeAlias = "Callable[[Sequence[str]], Mapping[str, npt.ArrayLike]]"
#: Gives what holds a table's content, by the names of their nodes.
Tables: TypeAlias = "Callable[[Sequence[str]], Mapping[str, _tf.Live]]"

REF_VARIABLES = frozenset({"VariableV2", "Variable", "AutoReloadVariable", "TemporaryVariable"})
RESOURCE_VARIABLES = frozenset({"VarHandleOp"})
VARIABLES = REF_VARIABLES | RESOURCE_VARIABLES
TABLES = frozenset({
    "HashTableV2", "HashTable", "MutableHashTableV2", "MutableHashTable", "MutableHashTableOfTensorsV2",
    "MutableHashTableOfTensors", "MutableDenseHashTableV2", "MutableDenseHashTable",
})  # fmt: skip
#: What function bodies have in the place of placeholders and fetches.
_ARGUMENTS = frozenset({"_Arg", "_Retval", "_DeviceArg", "_DeviceRetval"})
#: Ops of control flow exist twice, for values and for references to them.
PLAIN_OPS = {f"Ref{op}": op for op in ("Switch", "Merge", "Enter", "Exit", "NextIteration", "Identity", "Select")}
_WRITES = (
    "; the outputs need ops that write to variables of TensorFlow 1, which only a session runs; choose outputs before "
    "them, with outputs=[…]"
)
#: From this GraphDef version on a Placeholder of shape [] is a scalar; before, its shape was not known.
_SCALAR_PLACEHOLDERS = 24


def wrap_graph_def(  # noqa: PLR0913 - a graph, its ends, its state
    graph_def: protos.Message,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    *,
    values: Values | None = None,
    tables: Tables | None = None,
    shared: Shared | None = None,
    **others: _tf.Live,
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
    **others
        ``key``, ``tags``, ``method`` of the NamedFunction.

    Raises
    ------
    UnknownNameError
        If the graph has no such tensor.
    ConversionError
        If variables or tables have no values, or TensorFlow cannot import the graph; its error is the cause.
    """
    with _tf.eager():
        part = _part(graph_def, inputs, outputs)
        known = shared or Shared()
        return _wrapped(part, _variables(part, values, known), _table_objects(part, tables, known), others)


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

    variables: dict[tuple[bytes, bytes], _tf.Live] = field(default_factory=dict)
    tables: dict[str, _tf.Live] = field(default_factory=dict)


class Part(NamedTuple):
    """The nodes that the outputs need, without those above the inputs."""

    graph_def: _tf.Live
    #: TensorSpecs by key, and the tensors they stand for.
    specs: dict[str, _tf.Live]
    inputs: dict[str, str]
    outputs: dict[str, str]
    #: The NodeDefs of variables and of tables without content; they are not in the graph any more.
    states: dict[str, _tf.Live]

    @property
    def consumed(self) -> set[str]:
        """The tensors that nodes of the part take."""
        return {_tensor_name(text) for node in self.graph_def.node for text in node.input if not text.startswith("^")}


def _part(graph_def: protos.Message, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Part:
    source = protos.native(graph_def)
    nodes = {node.name: node for node in source.node}
    feeds, fetches = ({key: _known(name, nodes) for key, name in side.items()} for side in (inputs, outputs))
    needed = _needed(nodes, set(feeds.values()), fetches.values())
    _refuse_arguments(nodes, needed)
    filled = {_node_name(node.input[0]) for node in map(nodes.__getitem__, needed) if _fills_table(node)}
    states = {
        name: nodes[name]
        for name in needed
        if nodes[name].op in VARIABLES or (nodes[name].op in TABLES and name not in filled)
    }
    result = type(source)(versions=source.versions, library=source.library)
    kept = needed - set(states)
    for node in source.node:
        if node.name in kept:
            _add(result, node, kept)
    libraries.settle(result)
    return Part(result, _specs(source, nodes, feeds), feeds, fetches, states)


def _tensor_name(text: str) -> str:
    """Write a tensor's name in full: a node's first output may go without its number."""
    return text if ":" in text else f"{text}:0"


def _node_name(text: str) -> str:
    return text.removeprefix("^").partition(":")[0]


def _known(name: str, nodes: Mapping[str, _tf.Live]) -> str:
    if _node_name(name) not in nodes:
        raise errors.UnknownNameError(name, "tensor", nodes)
    return _tensor_name(name)


def _fills_table(node: _tf.Live) -> bool:
    return bool(node.input) and node.op.startswith(("InitializeTable", "LookupTableImport"))


def _needed(nodes: Mapping[str, _tf.Live], stops: set[str], fetches: Iterable[str]) -> set[str]:
    """Return the names of the nodes that the fetches depend on, by data or control, up to some tensors."""
    found: set[str] = set()
    pending = list(fetches)
    while pending:
        text = pending.pop()
        name = _node_name(text)
        if name in found or (not text.startswith("^") and _tensor_name(text) in stops):
            continue
        if name not in nodes:
            raise errors.ConversionError(f"the graph is incomplete: it takes {text!r}, and there is no such node")
        found.add(name)
        pending.extend(nodes[name].input)
    return found


def _refuse_arguments(nodes: Mapping[str, _tf.Live], needed: set[str]) -> None:
    """Refuse a function's body: TensorFlow ends the whole process over such a node in a graph."""
    found = [name for name in nodes if name in needed and nodes[name].op in _ARGUMENTS]
    if found:
        raise errors.ConversionError(
            f"{errors.listed(found)} stand for the arguments and results of a function ({nodes[found[0]].op}), so that "
            "this is the body of one and no graph by itself; choose inputs behind them and outputs before them, with "
            "inputs=[…] and outputs=[…]"
        )


def _add(graph_def: _tf.Live, node: _tf.Live, kept: set[str]) -> None:
    """Add a copy of a node, free of devices and of nodes that are not there."""
    copy = graph_def.node.add()
    copy.CopyFrom(node)
    copy.device = ""
    copy.op = PLAIN_OPS.get(node.op, node.op)
    if "_class" in copy.attr:
        del copy.attr["_class"]
    del copy.input[:]
    copy.input.extend(text for text in node.input if not text.startswith("^") or _node_name(text) in kept)


def _specs(source: _tf.Live, nodes: Mapping[str, _tf.Live], feeds: Mapping[str, str]) -> dict[str, _tf.Live]:
    """Return the dtype and shape of each input as a TensorSpec named after its key."""
    tf = _tf.tensorflow()
    names = dict(zip(feeds, nests.identifiers(feeds), strict=True))
    found = {}
    whole = None
    for key, tensor in feeds.items():
        node = nodes[_node_name(tensor)]
        if node.op in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"):
            found[key] = tf.TensorSpec(_placeholder_shape(source, node), _dtype(node), name=names[key])
            continue
        whole = whole or _imported(source)
        inner = whole.get_tensor_by_name(tensor)
        found[key] = tf.TensorSpec(inner.shape, inner.dtype, name=names[key])
    return found


def _dtype(node: _tf.Live) -> _tf.Live:
    number = node.attr["dtype"].type if "dtype" in node.attr else 0
    if not number:
        raise errors.ConversionError(f"the graph does not say of which dtype {node.name!r} ({node.op}) is")
    return _tf.tensorflow().as_dtype(number)


def _placeholder_shape(source: _tf.Live, node: _tf.Live) -> _tf.Live:
    shape = node.attr["shape"].shape if "shape" in node.attr else None
    if shape is None or (not shape.dim and source.versions.producer < _SCALAR_PLACEHOLDERS):
        return None
    return protos.shape_of(shape)


def _imported(source: _tf.Live) -> _tf.Live:
    """Import a whole graph, to learn dtypes and shapes that it does not write down."""
    tf = _tf.tensorflow()
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(source, name="")
    return graph


def _variables(part: Part, values: Values | None, shared: Shared) -> dict[str, _tf.Live]:
    """Make a variable for each variable node, one for the nodes that share a resource."""
    names = [name for name, node in part.states.items() if node.op in VARIABLES]
    if names and values is None:
        raise errors.ConversionError(
            f"the graph reads the variables {errors.listed(names)}, and a GraphDef does not hold their values: "
            "give the SavedModel, the checkpoint with its .meta, the session, or a frozen graph"
        )
    made = shared.variables
    missing = [name for name in names if _resource(part.states[name]) not in made]
    given = values(missing) if missing and values else {}
    for name in missing:
        resource = _resource(part.states[name])
        if resource not in made:
            made[resource] = _tf.tensorflow().Variable(given[name], dtype=_dtype(part.states[name]), name=name)
    return {name: made[_resource(part.states[name])] for name in names}


def _resource(node: _tf.Live) -> tuple[bytes, bytes]:
    """Return what identifies a variable in a session: nodes with the same shared name are one."""
    shared = node.attr["shared_name"].s if "shared_name" in node.attr else b""
    return (node.attr["container"].s if "container" in node.attr else b"", shared or node.name.encode())


def _table_objects(part: Part, tables: Tables | None, shared: Shared) -> dict[str, _tf.Live]:
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


def _wrapped(
    part: Part, variables: dict[str, _tf.Live], tables: dict[str, _tf.Live], others: dict[str, _tf.Live]
) -> NamedFunction:
    """Import the part into a function from its inputs to its outputs."""
    tf = _tf.tensorflow()
    marked: dict[str, str] = {}

    def call(*arguments: _tf.Live) -> dict[str, _tf.Live]:
        states = _states(part, variables, tables)
        outputs = _outputs(part, {**states, **dict(zip(part.inputs.values(), arguments, strict=True))})
        marked.update((key, tensor.name) for key, tensor in outputs.items())
        return outputs

    try:
        concrete = tf.compat.v1.wrap_function(call, list(part.specs.values()))
    except (ValueError, TypeError, tf.errors.OpError) as error:
        said = _tf.gist(error).rstrip(".") + (_WRITES if "_ref" in str(error) else "")
        raise errors.ConversionError(f"TensorFlow cannot import the graph: {said}") from error
    _tf.name_arguments(concrete, [spec.name for spec in part.specs.values()])
    order = sorted(marked)
    inputs = zip(part.inputs, concrete.inputs, strict=False)
    return NamedFunction(
        concrete,
        tuple(endpoint(key, tensor) for key, tensor in inputs),
        tuple(endpoint(key, concrete.graph.get_tensor_by_name(name)) for key, name in marked.items()),
        tuple(order.index(key) for key in marked),
        owner=_owner(variables, tables),
        variables=variables,
        **others,
    )


def _states(part: Part, variables: dict[str, _tf.Live], tables: dict[str, _tf.Live]) -> dict[str, _tf.Live]:
    """Return what stands for the outputs of variable and table nodes inside the function being made."""
    handles = {name: one.handle for name, one in variables.items() if part.states[name].op in RESOURCE_VARIABLES}
    handles.update((name, table.resource_handle) for name, table in tables.items())
    found = {f"{name}:0": _tf.capture(handle) for name, handle in handles.items()}
    for name, one in variables.items():
        # A node that is a reference gives the value itself to whoever does not assign it.
        if name not in handles:
            found[f"{name}:0"] = one.read_value()
    return found


def _outputs(part: Part, given: dict[str, _tf.Live]) -> dict[str, _tf.Live]:
    """Import the part into the current graph and return its outputs by key, their nodes named after the keys."""
    tf = _tf.tensorflow()
    wanted = [tensor for tensor in part.outputs.values() if tensor not in given]
    used = {name: tensor for name, tensor in given.items() if name in part.consumed}
    found = tf.graph_util.import_graph_def(part.graph_def, input_map=used, return_elements=wanted, name="")
    for name, tensor in zip(wanted, found, strict=True):
        _restore_shape(tensor, part, name)
    tensors = {**given, **dict(zip(wanted, found, strict=True))}
    names = nests.identifiers(part.outputs)
    return {key: _called(tensors[name], plain) for (key, name), plain in zip(part.outputs.items(), names, strict=True)}


def _restore_shape(tensor: _tf.Live, part: Part, name: str) -> None:
    """Give a tensor the shape that is written at its node: what a loop returns, importing does not find out."""
    node = next(node for node in part.graph_def.node if node.name == _node_name(name))
    index = int(name.rpartition(":")[2])
    if "_output_shapes" in node.attr and len(node.attr["_output_shapes"].list.shape) > index:
        with contextlib.suppress(ValueError):  # An edited graph may contradict what was written.
            tensor.set_shape(protos.shape_of(node.attr["_output_shapes"].list.shape[index]))


def _called(tensor: _tf.Live, name: str) -> _tf.Live:
    """Return the tensor under a name of its own, itself if it has that already."""
    if tensor.name == f"{name}:0" and tensor.op.type != "Placeholder":
        return tensor
    return _tf.tensorflow().identity(tensor, name=name)


def _owner(variables: Mapping[str, _tf.Live], tables: Mapping[str, _tf.Live]) -> _tf.Live:
    owner = _tf.tensorflow().Module()
    owner.weights = list({id(one): one for one in variables.values()}.values())
    owner.tables = list(tables.values())
    return owner

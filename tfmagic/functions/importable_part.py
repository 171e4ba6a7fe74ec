"""The part of a GraphDef between named ends as TensorFlow 2 can import it: what the outputs need, up to the inputs.

Devices, colocations and references go, and the nodes of variables and tables are taken out. Not for: importing it
(:mod:`tfmagic.functions.graph_defs`), or a part that stays a graph (:mod:`tfmagic.transforms.cut_graph`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions import nested_structures
from tfmagic.graphs import function_library, loop_bodies
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.resources import TABLES, VARIABLES, filled_tables
from tfmagic.graphs.tensor_names import full, node_of, plain
from tfmagic.graphs.walks import ancestors
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_PLACEHOLDERS = of_kind("placeholder")
#: What function bodies have in the place of placeholders and fetches.
_ARGUMENTS = frozenset({"_Arg", "_Retval", "_DeviceArg", "_DeviceRetval"})
#: Ops of control flow exist twice, for values and for references to them; RefSelect takes a number, Select a condition.
PLAIN_OPS = {f"Ref{op}": op for op in ("Switch", "Merge", "Enter", "Exit", "NextIteration", "Identity")}
#: From this GraphDef version on a Placeholder of shape [] is a scalar; before, its shape was not known.
_SCALAR_PLACEHOLDERS = 24
#: TensorFlow keeps the functions of all graphs of a process under one name each, and generates names such as
#: ``while_body_12``: two files easily hold different functions of the same name.
_numbers = itertools.count(1)


class GraphPart(NamedTuple):
    """The nodes that the outputs need, without those above the inputs."""

    graph_def: runtime.Live
    #: TensorSpecs by key, and the tensors they stand for.
    specs: dict[str, runtime.Live]
    inputs: dict[str, str]
    outputs: dict[str, str]
    #: The NodeDefs of variables and of tables without content; they are not in the graph any more.
    states: dict[str, runtime.Live]

    @property
    def consumed(self) -> set[str]:
        """The tensors that nodes of the part take."""
        return {full(text) for node in self.graph_def.node for text in node.input if not text.startswith("^")}


def part_between(
    graph_def: protos.Message, inputs: Mapping[str, str], outputs: Mapping[str, str], held: Collection[str] = ()
) -> GraphPart:
    """Take the part between tensors out of a GraphDef, which stays as it is.

    Parameters
    ----------
    graph_def : GraphDef
        Of any descriptor pool.
    inputs, outputs : mapping of str to str
        The tensors by key.
    held : collection of str
        Constants that are taken out like variables.

    Raises
    ------
    UnknownNameError
        If the graph has no such tensor.
    ConversionError
        If the part is incomplete, or inside a function's body.
    """
    source = protos.native(graph_def)
    nodes = {node.name: node for node in source.node}
    feeds, fetches = ({key: _known(name, nodes) for key, name in side.items()} for side in (inputs, outputs))
    needed, _ = ancestors(nodes, fetches.values(), feeds.values())
    refuse_arguments(nodes, needed)
    fed = {plain(tensor) for tensor in feeds.values()}
    require_placeholders(nodes, f"the outputs {errors.listed(fetches)}", needed, fed)
    loop_bodies.require_outside(nodes, needed, fed, map(plain, fetches.values()))
    filled = filled_tables(map(nodes.__getitem__, needed))
    states = {
        name: nodes[name]
        for name in needed
        if nodes[name].op in VARIABLES or (nodes[name].op in TABLES and name not in filled) or name in held
    }
    result = type(source)(versions=source.versions, library=source.library)
    kept = needed - set(states)
    for node in source.node:
        if node.name in kept:
            _add(result, node, kept)
    settle(result)
    return GraphPart(result, _specs(source, nodes, feeds), feeds, fetches, states)


def _known(name: str, nodes: Mapping[str, runtime.Live]) -> str:
    if node_of(name) not in nodes:
        raise errors.UnknownNameError(name, "tensor", nodes)
    return full(name)


def refuse_arguments(nodes: Mapping[str, runtime.Live], needed: set[str]) -> None:
    """Refuse a function's body: TensorFlow ends the whole process over such a node in a graph."""
    arguments = [name for name in nodes if name in needed and nodes[name].op in _ARGUMENTS]
    if arguments:
        raise errors.ConversionError(
            f"{errors.listed(arguments)} stand for the arguments and results of a function "
            f"({nodes[arguments[0]].op}), so that this is the body of one and no graph by itself; choose inputs behind "
            "them and outputs before them, with inputs=[…] and outputs=[…]"
        )


def require_placeholders(
    nodes: Mapping[str, runtime.Live], outputs: str, needed: Collection[str], fed: Collection[str]
) -> None:
    """Refuse inputs that do not suffice: the outputs wait for a value that nobody gives.

    Parameters
    ----------
    nodes : mapping of str to NodeDef
        The graph.
    outputs : str
        What a message calls them.
    needed : collection of str
        The nodes that they depend on.
    fed : collection of str
        The inputs, as nodes name theirs.

    Raises
    ------
    ConversionError
        Naming what is missing.
    """
    names = {node_of(tensor) for tensor in fed}
    missing = [name for name in nodes if name in needed and nodes[name].op in _PLACEHOLDERS and name not in names]
    if missing:
        raise errors.ConversionError(
            f"{outputs} also need {errors.listed(missing)}, which is not among the inputs "
            f"{errors.listed(sorted(fed))}; add it, make it a constant with bind={{{missing[0]!r}: …}} (--bind "
            f"{missing[0]}=…), or choose inputs further down the graph",
            options={"bind": dict.fromkeys(missing, ...)},
        )


def _add(graph_def: runtime.Live, node: runtime.Live, kept: set[str]) -> None:
    """Add a copy of a node, free of devices and of nodes that are not there."""
    copy = graph_def.node.add()
    copy.CopyFrom(node)
    copy.device = ""
    copy.op = PLAIN_OPS.get(node.op, node.op)
    if "_class" in copy.attr:
        del copy.attr["_class"]
    del copy.input[:]
    copy.input.extend(text for text in node.input if not text.startswith("^") or node_of(text) in kept)


def _specs(
    source: runtime.Live, nodes: Mapping[str, runtime.Live], feeds: Mapping[str, str]
) -> dict[str, runtime.Live]:
    """Return the dtype and shape of each input as a TensorSpec named after its key."""
    tf = runtime.tensorflow()
    names = dict(zip(feeds, nested_structures.identifiers(feeds), strict=True))
    specs = {}
    whole = None
    for key, tensor in feeds.items():
        node = nodes[node_of(tensor)]
        if node.op in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"):
            specs[key] = tf.TensorSpec(_placeholder_shape(source, node), dtype_of(node), name=names[key])
            continue
        whole = whole or _imported(source)
        inner = whole.get_tensor_by_name(tensor)
        specs[key] = tf.TensorSpec(inner.shape, inner.dtype, name=names[key])
    return specs


def dtype_of(node: runtime.Live) -> runtime.Live:
    """Return the dtype that a placeholder or a variable states."""
    number = node.attr["dtype"].type if "dtype" in node.attr else 0
    if not number:
        raise errors.ConversionError(f"the graph does not say of which dtype {node.name!r} ({node.op}) is")
    return runtime.tensorflow().as_dtype(number)


def _placeholder_shape(source: runtime.Live, node: runtime.Live) -> runtime.Live:
    shape = node.attr["shape"].shape if "shape" in node.attr else None
    if shape is None or (not shape.dim and source.versions.producer < _SCALAR_PLACEHOLDERS):
        return None
    return protos.shape_of(shape)


def _imported(source: runtime.Live) -> runtime.Live:
    """Import a whole graph, to learn dtypes and shapes that it does not write down."""
    tf = runtime.tensorflow()
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(source, name="")
    return graph


def settle(graph_def: runtime.Live) -> None:
    """Reduce the library of a GraphDef, in place, to what its nodes call, and rename what would clash."""
    functions = {function.signature.name: function for function in graph_def.library.function}
    needed = function_library.called(graph_def.node, functions)
    kept = [
        type(functions[name]).FromString(functions[name].SerializeToString()) for name in functions if name in needed
    ]
    graph_def.ClearField("library")
    graph_def.library.function.extend(kept)
    _rename(graph_def, {name: _free(name, functions) for name in needed if concrete_functions.has_function(name)})


def _free(name: str, functions: dict[str, runtime.Live]) -> str:
    """Return a name that nothing in the process or the library has."""
    candidates = (f"{name}_{number}" for number in _numbers)
    return next(each for each in candidates if each not in functions and not concrete_functions.has_function(each))


def _rename(graph_def: runtime.Live, names: dict[str, str]) -> None:
    for function in graph_def.library.function if names else ():
        function.signature.name = names.get(function.signature.name, function.signature.name)
    for node in function_library.all_nodes(graph_def) if names else ():
        node.op = names.get(node.op, node.op)
        for reference in function_library.references(node):
            reference.name = names.get(reference.name, reference.name)

"""Flatten the calls of a graph and drop what its results do not need.

Inlining is for people and for other tools: names of layers in the main graph, no call in between. Of a function that
is loaded, TensorFlow's optimizer does it; where it cannot be reached, the calls stay, and freezing goes into them. What
lies on disk is inlined by an edit. Not for: changing what is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.graphs import call_scopes, function_library
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.walks import reached
from tfmagic.runtime import grappler
from tfmagic.transforms import call_inlining, inlined_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Functional control flow stays functional: lowered to Switch and Merge it leaves placeholders without a feed.
LOWERING = "_lower_using_switch_merge"
#: Attributes of nodes that hold for the graph they came from only.
_LOCAL_ATTRS = ("_class", "_gradient_op_type", "_construction_context")
#: Attributes of functions by which an optimizer would exchange them for others.
_EXCHANGE_ATTRS = ("api_implements", "api_preferred_device", "forward_function_name", "backward_function_name")


def inlined(graph_def: protos.Message, keep: Sequence[str]) -> protos.Message:
    """Return a copy of the graph with its calls inlined, in our pool, devices cleared.

    Parameters
    ----------
    graph_def : GraphDef
        Of any descriptor pool; it stays as it is.
    keep : sequence of str
        Nodes that must stay under their names.
    """
    result = protos.adopt(graph_def)
    _keep_functions(result)
    if _calls(result):
        call_scopes.stand_apart(result)
        result = protos.adopt(grappler.inline_calls(protos.native(result), keep))
        inlined_names.restore(result)
    _leave_places(result)
    return result


def _calls(graph_def: protos.Message) -> bool:
    """Say whether there is anything to inline: a node that is called a call, or by the name of a function."""
    names = {*call_inlining.CALLS, *(function.signature.name for function in graph_def.library.function)}
    return any(node.op in names for node in function_library.all_nodes(graph_def))


def flatten(graph_def: protos.Message, definitions: Mapping[str, protos.Message]) -> None:
    """Inline the calls of a graph in place, without TensorFlow; devices are cleared.

    Parameters
    ----------
    graph_def : GraphDef
        Of our pool.
    definitions : mapping of str to OpDef
        Those that came with the model.

    Raises
    ------
    ConversionError
        As :func:`tfmagic.transforms.call_inlining.inline_calls`.
    """
    _keep_functions(graph_def)
    call_inlining.inline_calls(graph_def, definitions)
    _leave_places(graph_def)


def _keep_functions(graph_def: protos.Message) -> None:
    """Take out what would have functions exchanged for others, or control flow written as that of TensorFlow 1."""
    for function in graph_def.library.function:
        _drop(function, _EXCHANGE_ATTRS)
    for node in function_library.all_nodes(graph_def):
        if LOWERING in node.attr:
            node.attr[LOWERING].b = False


def _leave_places(graph_def: protos.Message) -> None:
    """Take out what held for the process and the graph that nodes come from."""
    for node in function_library.all_nodes(graph_def):
        node.ClearField("device")
        _drop(node, _LOCAL_ATTRS)


def _drop(holder: protos.Message, attrs: Iterable[str]) -> None:
    for attr in attrs:
        if attr in holder.attr:
            del holder.attr[attr]


def prune(graph_def: protos.Message, outputs: Iterable[str], inputs: Sequence[str]) -> None:
    """Drop the nodes that no output depends on, by data or control, and the functions that nothing calls.

    Parameters
    ----------
    graph_def : GraphDef
        Changed in place. Its nodes end up as inputs, then everything else in its order, then outputs.
    outputs, inputs : names of nodes
        Both stay, in this order, inputs even if nothing consumes them: they are the signature's.
    """
    nodes = {node.name: node for node in graph_def.node}
    ends = list(outputs)
    needed = reached(ends, lambda name: map(node_of, nodes[name].input)) | set(inputs)
    outer = {*inputs, *ends}
    wanted = [*inputs, *(name for name in nodes if name in needed and name not in outer), *ends]
    if wanted != list(nodes):
        kept = type(graph_def)()
        kept.node.extend(nodes[name] for name in wanted)
        graph_def.ClearField("node")
        graph_def.MergeFrom(kept)
    prune_library(graph_def)


def prune_library(graph_def: protos.Message) -> None:
    """Drop the functions that nothing calls, and all gradients: a frozen graph is not trained."""
    functions = {function.signature.name: function for function in graph_def.library.function}
    needed = function_library.called(graph_def.node, functions)
    library = protos.message("FunctionDefLibrary")()
    library.function.extend(function for name, function in functions.items() if name in needed)
    graph_def.library.CopyFrom(library)

"""Drop what the results of a graph do not need: nodes, and functions that nothing calls.

Not for: the part of a graph between the ends of its signatures (:mod:`tfmagic.transforms.cut_graph`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.graphs import function_library
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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
    _prune_library(graph_def)


def _prune_library(graph_def: protos.Message) -> None:
    """Drop the functions that nothing calls, and all gradients: a frozen graph is not trained."""
    functions = {function.signature.name: function for function in graph_def.library.function}
    needed = function_library.called(graph_def.node, functions)
    library = protos.message("FunctionDefLibrary")()
    library.function.extend(function for name, function in functions.items() if name in needed)
    graph_def.library.CopyFrom(library)

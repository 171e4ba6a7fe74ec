"""TensorFlow's optimizer of graphs. Not for: changing a graph ourselves (``transforms/``)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Sequence


def inline_calls(graph_def: runtime.Live, keep: Sequence[str]) -> runtime.Live:
    """Return a GraphDef with its calls inlined by TensorFlow's own optimizer.

    The fallback is the graph as it is: the same function, its calls still calls.

    Parameters
    ----------
    graph_def : GraphDef
        Of TensorFlow's own class.
    keep : sequence of str
        Nodes or tensors that stay under their names.
    """
    compat = runtime.tensorflow().compat.v1
    placeholders = {node.name: node for node in graph_def.node if node.op in ("Placeholder", "PlaceholderV2")}
    try:
        optimize = importlib.import_module("tensorflow.python.grappler.tf_optimizer").OptimizeGraph
    except (ImportError, AttributeError):
        return graph_def
    if not all("dtype" in node.attr and node.attr["dtype"].type for node in placeholders.values()):
        return graph_def  # the optimizer would end the whole process
    meta_graph = compat.MetaGraphDef(graph_def=graph_def)
    meta_graph.collection_def["train_op"].node_list.value.extend(keep)
    for node in meta_graph.graph_def.node:
        # It makes a tensor for each placeholder, as large as the model claims.
        if node.name in placeholders:
            node.attr["shape"].shape.unknown_rank = True
            node.attr["shape"].shape.ClearField("dim")
            node.attr.pop("_output_shapes", None)
    config = compat.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    config.graph_options.rewrite_options.optimizers.append("function")
    try:
        result = optimize(config, meta_graph)
    except runtime.tensorflow().errors.OpError:
        return graph_def  # a dtype that the optimizer does not know, such as float8_e5m2
    for node in result.node:
        if node.name in placeholders:
            node.CopyFrom(placeholders[node.name])
    return result

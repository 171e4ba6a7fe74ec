"""The tables that the graph of a model gives: ops, proposed signatures, MetaGraphDefs, asset files (DESIGN section 5).

Not for: reading the graph, or keeping the tables and hiding rows of them (:mod:`tfmagic.models.public_tables`).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from tfmagic import frames
from tfmagic.files import places
from tfmagic.findings import hazards
from tfmagic.graphs import node_columns, numbered_nodes, plumbing, signatures, tensor_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from tfmagic.graphs.metagraphs import MetaGraph

#: The collection in which TensorFlow 1 notes the tensors that hold a file's name, until it saves.
_ASSET_PATHS = "asset_filepaths"


def ops(meta_graph: MetaGraph) -> pd.DataFrame:
    """Return the nodes of the main graph and of all functions."""
    known = signatures.shapes_by_node(meta_graph.signature_def)
    columns = node_columns.read(meta_graph.graph, known)
    return frames.from_columns("ops", columns.table())


def proposals(meta_graph: MetaGraph, ends: plumbing.Ends) -> pd.DataFrame:
    """Return the rows of a signature for the ends that were found in the main graph."""
    columns = node_columns.read(meta_graph.graph, signatures.shapes_by_node(meta_graph.signature_def))
    main = numbered_nodes.of_graph(meta_graph.graph).body(0)
    tensors = (*ends.inputs, *ends.outputs)
    rows = [main.tensor(tensor_names.full(each)) // numbered_nodes.OUTPUTS for each in tensors]
    return frames.from_columns(
        "signatures",
        {
            "tags": [",".join(meta_graph.tags)] * len(tensors),
            "signature": [signatures.PROPOSED] * len(tensors),
            "method": [signatures.PROPOSED] * len(tensors),
            "side": ["input"] * len(ends.inputs) + ["output"] * len(ends.outputs),
            "key": list(map(tensor_names.node_of, tensors)),
            "tensor": tensors,
            "dtype": list(columns.dtype.take(rows)),
            "shape": list(columns.shape[rows]),
        },
    )


def metagraphs(meta_graphs: Sequence[MetaGraph], variables: int) -> Iterable[frames.MetaGraphRow]:
    """Return a row for each MetaGraphDef; the variables are those of all of them."""
    return (_metagraph_row(each, variables) for each in meta_graphs)


def _metagraph_row(meta_graph: MetaGraph, variables: int) -> frames.MetaGraphRow:
    inner = meta_graph.graph
    nodes = len(inner.nodes[0]) + len(inner.function_nodes.owner)
    visible = [key for key in meta_graph.signature_def if not signatures.is_hidden(key)]
    return frames.MetaGraphRow(
        ",".join(meta_graph.tags),
        meta_graph.tensorflow_version,
        nodes,
        len(inner.functions[0]),
        len(visible),
        variables,
        meta_graph.bytes,
    )


def assets(meta_graphs: Sequence[MetaGraph], directory: Path | None) -> Iterable[frames.AssetRow]:
    """Yield the asset files that each MetaGraphDef names, with their sizes if they lie in the model's directory.

    TensorFlow 1 enters what fills a table once for each time that somebody says so: a row tells it once.
    """
    for meta_graph in meta_graphs:
        stated = ((each.filename, each.tensor_info.name) for each in hazards.asset_files(meta_graph.header))
        for filename, tensor in dict.fromkeys(chain(stated, _unsaved_assets(meta_graph))):
            size = None if directory is None else places.size_within(directory / "assets", filename)
            yield frames.AssetRow(",".join(meta_graph.tags), filename, tensor, size)


def _unsaved_assets(meta_graph: MetaGraph) -> Iterator[tuple[str, str]]:
    """Yield the files that TensorFlow 1 would take along, and their tensors: what names them is a constant."""
    header = meta_graph.header
    if _ASSET_PATHS not in header.collection_def or hazards.asset_files(header):
        return
    nodes = {node.name: node for node in meta_graph.lean_meta_graph_def().graph_def.node}
    for tensor in header.collection_def[_ASSET_PATHS].node_list.value:
        node = nodes.get(tensor_names.node_of(tensor))
        if node is not None and node.op == "Const" and node.attr["value"].tensor.string_val:
            yield node.attr["value"].tensor.string_val[0].decode(errors="backslashreplace"), tensor

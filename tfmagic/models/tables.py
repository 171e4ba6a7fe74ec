"""The tables of a model, each made of one of its parts (DESIGN section 5).

Not for: reading the parts, or keeping and hiding rows of the tables (:mod:`tfmagic.models.model`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import frames
from tfmagic.files import places
from tfmagic.findings import hazards
from tfmagic.graphs import node_columns, plumbing, signatures, tensor_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pandas as pd

    from tfmagic.graphs.metagraphs import MetaGraph


def ops(meta_graph: MetaGraph) -> pd.DataFrame:
    """Return the nodes of the main graph and of all functions."""
    known = signatures.shapes_by_node(meta_graph.signature_def)
    columns = node_columns.read(meta_graph.graph, known)
    return frames.from_columns("ops", columns._asdict())


def proposals(meta_graph: MetaGraph, whole: pd.DataFrame, ends: plumbing.Ends) -> pd.DataFrame:
    """Return the rows of a signature for the ends that were found in the whole table of ops."""
    known = plumbing.endpoint_shapes(whole)
    tags = ",".join(meta_graph.tags)
    sides = [("input", each) for each in ends.inputs] + [("output", each) for each in ends.outputs]
    return frames.from_rows(
        "signatures",
        (
            (tags, signatures.PROPOSED, signatures.PROPOSED, side, tensor_names.node_of(tensor), tensor)
            + known[tensor_names.node_of(tensor)]
            for side, tensor in sides
        ),
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
    """Yield the asset files that each MetaGraphDef names, with their sizes if they lie in the model's directory."""
    for meta_graph in meta_graphs:
        for asset in hazards.asset_files(meta_graph.header):
            size = None if directory is None else places.size_within(directory / "assets", asset.filename)
            yield frames.AssetRow(",".join(meta_graph.tags), asset.filename, asset.tensor_info.name, size)

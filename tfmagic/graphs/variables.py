"""The variables of a MetaGraphDef: from the checkpoint beside it, else as the graph declares them.

No value is read. Not for: checkpoints that stand alone (form ``checkpoint``).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.files import protos
from tfmagic.files.checkpoints import location as checkpoint_location
from tfmagic.files.checkpoints import trackable_object_graph
from tfmagic.frames import Shape, VariableRow
from tfmagic.graphs import node_columns, resources, restores, saved_object_graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.graphs.serialized import SerializedGraph

#: Where a SavedModel keeps its checkpoint: today's place first, then those of the releases before 1.0.
_PREFIXES = ("variables/variables", "variables/saved_model_variables", "saved_model_variables")
_META_SUFFIX = ".meta"
_NAMELESS = re.compile(r"Variable(_\d+)?")
#: The collections of TensorFlow 1 that hold VariableDefs.
COLLECTIONS = (
    "variables", "trainable_variables", "local_variables", "model_variables", "global_step",
    "moving_average_variables", "metric_variables",
)  # fmt: skip


def is_nameless(name: str) -> bool:
    """Say whether a variable's name is the one that TensorFlow gives where nobody named it."""
    return _NAMELESS.fullmatch(name) is not None


def find_checkpoint(directory: Path, prefixes: Iterable[str] = _PREFIXES) -> checkpoint_location.CheckpointFiles | None:
    """Return the checkpoint of a SavedModel, None if there is none."""
    checkpoints = (checkpoint_location.find(directory / prefix) for prefix in prefixes)
    return next((each for each in checkpoints if each is not None and each.tables), None)


def checkpoint_beside(path: Path) -> checkpoint_location.CheckpointFiles | None:
    """Return the checkpoint that belongs to a MetaGraphDef's file, by its name."""
    prefix = path.name.removesuffix(_META_SUFFIX)
    return find_checkpoint(path.parent, (prefix,)) if prefix != path.name else None


def rows(
    checkpoint: checkpoint_location.CheckpointFiles | None, graphs: Sequence[MetaGraph]
) -> tuple[VariableRow, ...]:
    """Return the table of variables of some MetaGraphDefs that share a checkpoint."""
    if checkpoint is None:
        return tuple(_declared(graphs))
    trained, saved = _trained(graphs), _saved(graphs)
    rows = checkpoint.opened.rows_by_key()
    names = _names(checkpoint, saved, rows)
    return tuple(row._replace(name=names[row.name], trainable=_is_trained(row.name, saved, trained)) for row in rows)


def _saved(graphs: Sequence[MetaGraph]) -> dict[str, saved_object_graph.SavedVariable]:
    saved: dict[str, saved_object_graph.SavedVariable] = {}
    for graph in graphs:
        saved |= saved_object_graph.by_key(graph.object_graph_def)
    return saved


def _names(
    checkpoint: checkpoint_location.CheckpointFiles,
    saved: Mapping[str, saved_object_graph.SavedVariable],
    rows: Sequence[VariableRow],
) -> dict[str, str]:
    """Return the names of variables by the readable parts of their keys."""
    again = saved_object_graph.copies(saved, checkpoint.opened.entries)
    return saved_object_graph.names(saved, [row.name for row in rows], again)


def restored_names(
    checkpoint: checkpoint_location.CheckpointFiles | None, graphs: Sequence[MetaGraph], graph: MetaGraph
) -> dict[str, str]:
    """Return what the nodes of variables in a main graph are called in the table, by what is restored into them.

    A variable that its user did not name is a node called ``Variable_1``, which says nothing of which one it is.
    """
    if checkpoint is None:
        return {}
    names = _names(checkpoint, _saved(graphs), checkpoint.opened.rows_by_key())
    slots = restores.read(graph.graph_def(), graph.header).variables
    short = {node: trackable_object_graph.short_key(slot.key) for node, slot in slots.items() if not slot.slice}
    return {node: names[key] for node, key in short.items() if key in names}


def copies(checkpoint: checkpoint_location.CheckpointFiles | None, graphs: Sequence[MetaGraph]) -> frozenset[str]:
    """Return the names of those rows that are a variable of the table once more: Keras 3 exports each twice."""
    if checkpoint is None or not checkpoint.tables:
        return frozenset()
    entries = checkpoint.opened.entries
    again = (saved_object_graph.copies(saved_object_graph.by_key(each.object_graph_def), entries) for each in graphs)
    return frozenset().union(*again)


def in_order(graphs: Sequence[MetaGraph]) -> list[str]:
    """Return the names of variables in the order in which a graph of TensorFlow 1 made them."""
    return list(_trained(graphs)) or [row.name for row in _declared(graphs)]


def _is_trained(
    key: str, saved: Mapping[str, saved_object_graph.SavedVariable], trained: Mapping[str, bool]
) -> bool | None:
    """Say whether a variable is trained, by the object graph of TensorFlow 2 or the collections of TensorFlow 1."""
    return saved[key].trainable if key in saved else trained.get(key)


def _trained(graphs: Sequence[MetaGraph]) -> dict[str, bool]:
    """Return the variables that TensorFlow 1's collections name, and whether they are trained."""
    flags: dict[str, bool] = {}
    for graph in graphs:
        for collection in COLLECTIONS:
            for variable in definitions(graph.header, collection):
                name = variable.variable_name.partition(":")[0]
                flags[name] = flags.get(name, False) or collection == "trainable_variables"
    return flags


def definitions(header: protos.Message, collection: str) -> Iterator[protos.Message]:
    """Yield the VariableDefs of a collection; what does not parse as one is some other object's."""
    if collection not in header.collection_def:
        return
    for data in header.collection_def[collection].bytes_list.value:
        try:
            yield protos.parse("VariableDef", data)
        except protos.ParseError:
            continue


def _declared(graphs: Sequence[MetaGraph]) -> Iterator[VariableRow]:
    """Yield the variables that the graphs declare."""
    seen: set[str] = set()
    for graph in graphs:
        trained = _trained([graph])
        for row in _declared_by(graph.graph):
            if row.name not in seen:
                seen.add(row.name)
                yield row._replace(trainable=trained.get(row.name)) if row.name in trained else row


def _declared_by(graph: SerializedGraph) -> Iterator[VariableRow]:
    """Yield a row for each node of the main graph that is a variable, of its node's name or the one that it shares."""
    count = len(graph.nodes[0])
    if not count:
        return
    columns, kinds = node_columns.read(graph, {}), node_columns.kinds(graph)
    places = np.flatnonzero(columns.op.among(resources.VARIABLES)[:count])
    declared: dict[int, VariableRow] = {}
    for name, kind in zip(columns.name[places].tolist(), kinds.of_nodes[places].tolist(), strict=True):
        if kind not in declared:
            # Nodes that differ in their names alone are declared alike.
            node = graph.node_def(kinds.examples[kind])
            declared[kind] = declared_row(node, _shared_name(node), None)
        row = declared[kind]
        yield row if row.name else row._replace(name=name)


def _shared_name(node: protos.Message) -> str:
    """Return the name that a variable goes by in place of its node's, empty where that is the node's."""
    is_shared = node.op == "VarHandleOp" and "shared_name" in node.attr
    return node.attr["shared_name"].s.decode(errors="replace") if is_shared else ""


def declared_row(node: protos.Message, name: str, trainable: bool | None) -> VariableRow:  # noqa: FBT001 - a column
    """Return the row of a variable as its node declares it; its size follows from shape and dtype."""
    dtype = protos.dtype_name(node.attr["dtype"].type) if "dtype" in node.attr else "invalid"
    shape: Shape = protos.shape_of(node.attr["shape"].shape) if "shape" in node.attr else None
    size = None if shape is None or None in shape else math.prod(each or 0 for each in shape)
    item = protos.item_size(dtype)
    return VariableRow(name, dtype, shape, size, None if size is None or item is None else size * item, trainable)

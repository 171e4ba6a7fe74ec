"""Lookup tables that fill themselves: a frozen graph that needs neither an initialiser to be run nor an asset file.

The table's handle becomes a table op, its present content two constants, and whatever takes the handle waits for
the op that fills it. Filling a full table does nothing, at a cost that was not measurable beside a lookup. Not for:
tables in a SavedModel, which has initialisers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.functions.state import live_tables
from tfmagic.functions.state.live_tables import TableContent
from tfmagic.graphs.function_library import all_nodes
from tfmagic.graphs.tensor_names import FreeNames, node_of
from tfmagic.transforms import captures
from tfmagic.transforms.frozen_graph import become, constant
from tfmagic.transforms.variable_reads import refusal

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from tfmagic.runtime import tensorflow as runtime
    from tfmagic.transforms.frozen_graph import Value

#: Ops that change a table while the graph runs.
_WRITES = frozenset({"LookupTableInsertV2", "LookupTableRemoveV2", "LookupTableImportV2", "InitializeTableV2"})
_FILLS = frozenset({"LookupTableImportV2", "InitializeTableV2"})
_TABLES = ("HashTableV2", "HashTableOfTensorsV2")


def fill(graph_def: protos.Message, handles: Mapping[str, runtime.Live | TableContent]) -> dict[str, Value]:
    """Replace the placeholders of table handles by tables that fill themselves.

    Parameters
    ----------
    graph_def : GraphDef
        Of our pool; changed in place.
    handles : mapping of str to tensor or TableContent
        The handle behind each placeholder, or what its table holds; those that the graph does not hold are passed over.

    Returns
    -------
    dict of str to Value
        The content of the constants that were made, by the node's name.

    Raises
    ------
    UnsupportedConversionError
        If a handle is no table's, or the graph writes to a table.
    """
    nodes = {node.name: node for node in graph_def.node} if handles else {}
    values: dict[str, Value] = {}
    if any(name in nodes for name in handles):
        # Before the first op that fills a table is there.
        _refuse_writes(graph_def, nodes, handles)
    for name, handle in handles.items():
        if name in nodes:
            _fill_one(graph_def, nodes[name], _exported(graph_def, name, handle), values)
    return values


def _refuse_writes(graph_def: protos.Message, nodes: Mapping[str, protos.Message], handles: Container[str]) -> None:
    """Refuse a graph that writes to a table; one that was frozen already fills its own."""
    inner = (node for function in graph_def.library.function for node in function.node_def)
    for node in (*(node for node in graph_def.node if not _fills_its_own(node, nodes, handles)), *inner):
        if node.op in _WRITES:
            raise refusal(
                f"op {node.name!r} ({node.op}) changes a lookup table while the graph runs, and a frozen table keeps "
                "its content. Export to a SavedModel"
            )


def _fills_its_own(node: protos.Message, nodes: Mapping[str, protos.Message], handles: Container[str]) -> bool:
    table = node_of(node.input[0]) if node.op in _FILLS and node.input else ""
    return table in nodes and table not in handles and nodes[table].op.endswith(_TABLES)


def _exported(graph_def: protos.Message, name: str, handle: runtime.Live | TableContent) -> TableContent:
    """Return the keys and values that a table holds now."""
    if isinstance(handle, TableContent):
        return handle
    content = live_tables.content(handle, all_nodes(graph_def))
    if content is not None:
        return content
    raise refusal(
        f"it captures {name!r}, a resource that is neither a variable nor a lookup table, such as an iterator, "
        "a queue or a generator; a graph cannot hold it"
    )


def _fill_one(
    graph_def: protos.Message,
    handle: protos.Message,
    content: TableContent,
    values: dict[str, Value],
) -> None:
    """Put a table and what fills it in a placeholder's place."""
    name = handle.name
    if not content[0].shape[0]:
        raise refusal(f"its lookup table {name!r} is empty, and no op fills a table with nothing; put something in it")
    if len(content[0].shape) > 1:
        raise refusal(f"its lookup table {name!r} is a dense one, which gives out its buckets, not what it holds")
    _make_table(handle, content)
    free = FreeNames(node.name for node in graph_def.node)
    sources = {part: free(f"{name}/{part}") for part in ("keys", "values")}
    constants = [captures.of_array(each) for each in content]
    for node_name, value in zip(sources.values(), constants, strict=True):
        values.update(_add_constant(graph_def, node_name, value))
    fill = graph_def.node.add(name=free(f"{name}/fill"))
    for node in graph_def.node:
        if any(node_of(source) == name and not source.startswith("^") for source in node.input):
            node.input.append(f"^{fill.name}")
    keys, results = (value.dtype for value in constants)
    if handle.op == "HashTableV2":
        become(fill, "InitializeTableV2", Tkey=keys, Tval=results)
    else:
        become(fill, "LookupTableImportV2", Tin=keys, Tout=results)
    fill.input.extend((name, *sources.values()))


def _make_table(handle: protos.Message, content: TableContent) -> None:
    """Turn a placeholder into a table: of fixed content, or of the growing kind where each value is a vector."""
    keys, values = (captures.of_array(each).dtype for each in content)
    shape = content.values.shape[1:]
    del handle.input[:]
    become(handle, "MutableHashTableOfTensorsV2" if shape else "HashTableV2", key_dtype=keys, value_dtype=values)
    if shape:
        handle.attr["value_shape"].shape.CopyFrom(protos.shape_proto(shape))
    # In one process, tables of one name are one table: only equal content may share a name.
    handle.attr["shared_name"].s = f"tfmagic_table_{_digest(content)}".encode()


def _digest(content: TableContent) -> str:
    """Tell a table's content from all others."""
    digest = hashlib.blake2s(digest_size=16)
    for values in content:
        constant_value = captures.of_array(values)
        digest.update(f"{constant_value.dtype}{values.shape}".encode())
        digest.update(_bytes(constant_value))
    return digest.hexdigest()


def _bytes(value: Value) -> bytes | memoryview:
    if value.texts is None:
        return value.read()
    data: bytes = value.texts().SerializeToString(deterministic=True)
    return data


def _add_constant(graph_def: protos.Message, name: str, value: Value) -> dict[str, Value]:
    """Add a Const; return its content, unless that is text, which has no fixed place in a tensor."""
    node = graph_def.node.add(name=name)
    constant(node, value)
    if value.texts is None:
        return {name: value}
    node.attr["value"].tensor.CopyFrom(value.texts())
    return {}

"""What a session's own Savers restore: under which keys they look for variables, and which op fills a table.

A Saver may know a variable by another name than the graph (``Saver({"other/b": b})``), and only it can fill a table
without an op being added. Not for: names that are equal anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files import protos
from tfmagic.graphs import restores
from tfmagic.graphs.restores import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.runtime import tensorflow as runtime

_IMPORT, _EXPORT = "LookupTableImportV2", "LookupTableExportV2"
_KEYS, _VALUES = "-keys", "-values"


class SessionTable(NamedTuple):
    """A table of a session: its name, the op that a Saver fills it with, and the one that reads it, if there is any."""

    name: str
    key: str
    fill: runtime.Live
    content: runtime.Live | None


class SessionRestores(NamedTuple):
    """The checkpoint key of each variable that a Saver restores, by its node, and the tables that one fills."""

    keys: Mapping[str, str]
    tables: tuple[SessionTable, ...]


def session_restores(graph: runtime.Live) -> SessionRestores:
    """Look at the ops that a graph restores with."""
    known = restores.read(graph.as_graph_def(), protos.message("MetaGraphDef")())
    keys = {name: slot.key for name, slot in known.variables.items()}
    return SessionRestores(keys, tuple(_tables(graph, known)))


def node_of(variable: runtime.Live) -> str:
    """Return the node of a variable: that of its handle, or itself where it is a reference."""
    tensor: runtime.Live = getattr(variable, "handle", variable)
    return str(tensor.op.name)


def _tables(graph: runtime.Live, known: restores.Restores) -> Iterator[SessionTable]:
    for name, fills in known.fills.items():
        for fill in fills:
            slots = [source.key for source in fill.sources if isinstance(source, Slot)]
            key = slots[0].removesuffix(_KEYS) if slots else ""
            if fill.node.op == _IMPORT and slots == [key + _KEYS, key + _VALUES]:
                handle = graph.get_operation_by_name(name).outputs[0]
                reading = next((op for op in handle.consumers() if op.type == _EXPORT), None)
                yield SessionTable(name, key, graph.get_operation_by_name(fill.node.name), reading)

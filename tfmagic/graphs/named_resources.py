"""The variables, tables, queues and buffers that a graph itself names: a run of it meets what the process calls so.

Not for: what a function captures, which has no name (:mod:`tfmagic.graphs.resource_uses` finds who takes it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.resource_uses import ResourceUses
from tfmagic.graphs.resources import REF_VARIABLES, TABLES, VARIABLES, filled_tables

if TYPE_CHECKING:
    from tfmagic.files import protos

_REFERENCE_WRITES = of_kind("reference write")
#: Resources of one step or one graph, which a copy of the graph has anew, and those that are used where they are named.
_PASSING = of_kind("queue", "iterator", "reader", "mutex")
_BUFFERS = of_kind("stage", "batch")
_ALL = VARIABLES | TABLES | _PASSING | _BUFFERS


class NamedResource(NamedTuple):
    """A node that names a resource.

    Attributes
    ----------
    node : NodeDef
        Its ``container`` and ``shared_name`` say which resource, else its own name.
    changes : bool
        Whether a run may change the resource.
    is_own : bool
        Whether a copy of the graph may have one of its own: nothing that was put into it before is needed.
    """

    node: protos.Message
    changes: bool
    is_own: bool


def named_resources(graph_def: protos.Message) -> list[NamedResource]:
    """Return the resources that a graph and its functions name."""
    uses = ResourceUses(graph_def)
    bodies = {"": graph_def.node, **{each.signature.name: each.node_def for each in graph_def.library.function}}
    filled = filled_tables(node for nodes in bodies.values() for node in nodes)
    return [
        NamedResource(node, _changes(uses, body, node), node.op not in VARIABLES | TABLES or node.name in filled)
        for body, nodes in bodies.items()
        for node in nodes
        if node.op in _ALL
    ]


def _changes(uses: ResourceUses, body: str, node: protos.Message) -> bool:
    if node.op in _BUFFERS:
        return True
    following = uses.of_node(node.name, body)
    if node.op in REF_VARIABLES:
        # What takes the value is no change.
        return any(use.node.op in _REFERENCE_WRITES for use in following)
    return any(use.changes for use in following)

"""Match a live object with the objects of a checkpoint, edge by edge, as ``tf.train.Checkpoint.restore`` does.

The object may be the checkpoint's root, or hang on it (``tf.train.Checkpoint(model=model)``). Not for: names.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.graphs.saved_object_graph import KERAS_COPIES
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.restoration.live_variables import is_variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.files import protos

#: The attribute of a node under which a variable's value lies, and that of a table's content.
_VALUE, _TABLE = "VARIABLE_VALUE", "table"


class TableEdge(NamedTuple):
    """A live table, the way to it, and where a checkpoint has its content: ``KEY-keys`` and ``KEY-values``."""

    table: runtime.Live
    name: str
    key: str


@dataclass
class Edges:
    """What a walk from one root found.

    Attributes
    ----------
    root : str
        How the checkpoint calls what the live object was matched with; empty for its root.
    variables : dict
        The checkpoint key of each variable, by the variable's identity.
    objects : dict
        The variables themselves, by their identity.
    tables : list of TableEdge
        The tables.
    """

    root: str
    variables: dict[int, str] = field(default_factory=dict)
    objects: dict[int, runtime.Live] = field(default_factory=dict)
    tables: list[TableEdge] = field(default_factory=list)


def matched(source: runtime.Live, graph: protos.Message) -> list[Edges]:
    """Walk from the root of a checkpoint and from each object that hangs on it."""
    roots = [("", 0)] if len(graph.nodes) else []
    roots += [(child.local_name, child.node_id) for _, number in roots for child in graph.nodes[number].children]
    with runtime.eager():
        return [_walk(source, graph, name, number) for name, number in roots if number < len(graph.nodes)]


def _walk(source: runtime.Live, graph: protos.Message, name: str, root: int) -> Edges:
    """Walk the live and the saved objects side by side; a saved one is matched once."""
    view = runtime.tensorflow().train.TrackableView(source)
    edges = Edges(name)
    waiting: deque[tuple[runtime.Live, int, str]] = deque([(source, root, "")])
    partners: dict[int, runtime.Live] = {}
    slots: list[tuple[runtime.Live, protos.Message]] = []
    while waiting:
        live, number, path = waiting.popleft()
        if number in partners or not 0 <= number < len(graph.nodes):
            continue
        partners[number] = live
        node = graph.nodes[number]
        if is_variable(live):
            _note(edges, live, node)
            continue
        edges.tables += [TableEdge(live, path, key) for key in _keys(node, _TABLE) if hasattr(live, "export")]
        if len(node.slot_variables) and hasattr(live, "get_slot"):
            slots.append((live, node))
        children = view.children(live)
        if "variables" in children:
            # Keras exports each variable a second time, in an order that is another each time; nothing reads those.
            children.pop(KERAS_COPIES, None)
        waiting.extend(
            (children[child.local_name], child.node_id, f"{path}/{child.local_name}" if path else child.local_name)
            for child in node.children
            if child.local_name in children
        )
    for optimizer, node in slots:
        for slot in node.slot_variables:
            live = _slot(optimizer, partners.get(slot.original_variable_node_id), slot.slot_name)
            if live is not None and 0 <= slot.slot_variable_node_id < len(graph.nodes):
                _note(edges, live, graph.nodes[slot.slot_variable_node_id])
    return edges


def _note(edges: Edges, variable: runtime.Live, node: protos.Message) -> None:
    for key in _keys(node, _VALUE):
        edges.variables[id(variable)] = key
        edges.objects[id(variable)] = variable


def _keys(node: protos.Message, name: str) -> Iterator[str]:
    return (attribute.checkpoint_key for attribute in node.attributes if attribute.name == name)


def _slot(optimizer: runtime.Live, variable: runtime.Live | None, name: str) -> runtime.Live | None:
    """Return what an optimizer of TensorFlow 1's or Keras 2's make keeps for a variable, if it was used already."""
    if variable is None:
        return None
    try:
        return optimizer.get_slot(variable, name)
    except (KeyError, ValueError, AttributeError):
        return None

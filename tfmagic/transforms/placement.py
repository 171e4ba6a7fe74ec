"""Where nodes are bound to: colocations with nodes that are gone, devices that are not here.

Not for: choosing devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.graphs.function_library import all_nodes
from tfmagic.runtime.ops_and_devices import has_device

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tfmagic.files import protos

_NODE = b"loc:@"


def drop_absent_colocations(nodes: Sequence[protos.Message], there: Collection[str] | None = None) -> None:
    """Drop colocations with nodes that are gone: TensorFlow 1 does not import such a graph.

    Parameters
    ----------
    nodes : sequence of NodeDef
        They are changed in place.
    there : collection of str, optional
        The nodes that there are, if more than these.
    """
    names = {name.encode() for name in (there if there is not None else (node.name for node in nodes))}
    for node in nodes:
        if "_class" not in node.attr:
            continue
        places = list(node.attr["_class"].list.s)
        kept = [each for each in places if not each.startswith(_NODE) or each.removeprefix(_NODE) in names]
        if len(kept) < len(places):
            del node.attr["_class"]
        if kept and len(kept) < len(places):
            node.attr["_class"].list.s.extend(kept)


def leave_absent_devices(graph_def: protos.Message) -> tuple[str, ...]:
    """Unbind nodes from devices that are not here, in place: what is bound to one could be neither loaded nor checked.

    Returns
    -------
    tuple of str
        What is to be noted.
    """
    absent = {node.device for node in all_nodes(graph_def) if node.device and not has_device(node.device)}
    for node in all_nodes(graph_def):
        if node.device in absent:
            node.device = ""
    if not absent:
        return ()
    return (f"nodes are not bound to {errors.listed(sorted(absent))} any more, which is not here",)

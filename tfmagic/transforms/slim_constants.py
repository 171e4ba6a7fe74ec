"""Constants of a graph that hold the same bytes: all but one of them can hand on what the one holds.

Names stay, as each becomes an Identity of the first. Constants of a few bytes stay what they are: ops want some as
constants, such as a shape. Not for: constants in functions.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tfmagic.files import protos, wire

if TYPE_CHECKING:
    from collections.abc import Collection

    from tfmagic.files.protos import Message
    from tfmagic.transforms.slim_graph import GraphUse

# Field numbers of tensorflow/core/framework/node_def.proto, and of an entry of a map.
_NODE_ATTR, _ENTRY_KEY, _ENTRY_VALUE = 5, 1, 2
#: Bytes from which on a constant is worth the while.
_LARGE = 1 << 12
_CONTENT = frozenset({"dtype", "value"})


def originals(use: GraphUse, names: Collection[str]) -> dict[str, str]:
    """Return, by the name of each constant that repeats another's bytes, the name of that other.

    Parameters
    ----------
    use : GraphUse
        Knows the graph.
    names : collection of str
        The nodes to look at. What waits for something, as in a loop, or lies on another device, is another.
    """
    graph = use.meta_graph.graph
    starts, ends = (each.tolist() for each in graph.nodes)
    known: dict[tuple[str, bytes], str] = {}
    repeats: dict[str, str] = {}
    for node, start, end in zip(use.message.graph_def.node, starts, ends, strict=True):
        if node.op != "Const" or node.input or end - start < _LARGE or node.name not in names:
            continue
        original = known.setdefault((node.device, _digest(graph.buffer, start, end)), node.name)
        if original != node.name:
            repeats[node.name] = original
    return repeats


def _digest(buffer: wire.Buffer, start: int, end: int) -> bytes:
    """Return a digest of a constant's dtype and value as they lie in the file."""
    digest = hashlib.blake2b(digest_size=32)
    parts: dict[str, memoryview] = {}
    for number, kind, begin, stop in wire.fields(buffer, start, end):
        if number == _NODE_ATTR and kind == wire.BYTES:
            entry = {field: (a, b) for field, _, a, b in wire.fields(buffer, begin, stop)}
            key = buffer.text(*entry.get(_ENTRY_KEY, (begin, begin)))
            if key in _CONTENT and _ENTRY_VALUE in entry:
                parts[key] = buffer.data[slice(*entry[_ENTRY_VALUE])]
    for key in sorted(parts):
        digest.update(parts[key])
    return digest.digest()


def handed_on(node: Message, original: str) -> Message:
    """Return an Identity of the name of a constant, which hands on another constant."""
    result = protos.message("NodeDef")(name=node.name, op="Identity", device=node.device)
    result.input.append(original)
    for name, value in node.attr.items():
        if name.startswith("_"):
            result.attr[name].CopyFrom(value)
    result.attr["T"].type = node.attr["dtype"].type
    return result

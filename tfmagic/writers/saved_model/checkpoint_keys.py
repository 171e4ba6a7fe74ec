"""The keys of the checkpoint in a SavedModel that TensorFlow wrote, exchanged for the ways to what they hold.

TensorFlow calls a variable by the shortest way to it, which is the list of all variables for whatever lies deeper::

    variables/1/.ATTRIBUTES/VARIABLE_VALUE       encoder/blocks/1/kernel/.ATTRIBUTES/VARIABLE_VALUE

A key stands in the checkpoint's index, in the objects that the checkpoint holds, and in what saves and restores it in
the graph. No value is moved: the objects are written anew behind the others. Not for: which way leads to a variable
(:mod:`tfmagic.functions.attribute_paths`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import crc32c, protos
from tfmagic.files.checkpoints import sorted_tables, tensor_bundle, tensor_writing, trackable_object_graph
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

#: What has its keys as its second input, a constant.
_BY_KEYS = frozenset({"SaveV2", "RestoreV2"})
_KEYS = 1
_ATTRIBUTES = b".ATTRIBUTES/"


def rename(prefix: Path, meta_graph: protos.Message, wanted: Mapping[tuple[str, ...], str]) -> None:
    """Give variables other keys, in the files of a checkpoint and in the graph that saves and restores it.

    Parameters
    ----------
    prefix : Path
        How the files of the checkpoint begin; nobody else reads them yet.
    meta_graph : MetaGraphDef
        Changed in place.
    wanted : mapping of tuple of str to str
        By the way to a variable along the objects, its new key.
    """
    if not wanted:
        return
    checkpoint = tensor_bundle.open_checkpoint(prefix)
    stored = checkpoint.read(trackable_object_graph.KEY).item()
    objects = protos.parse("TrackableObjectGraph", stored)
    old = [each.checkpoint_key for way in wanted for each in _at(objects, way).attributes]
    keys = {key: new for key, new in zip(old, wanted.values(), strict=True) if new not in checkpoint.entries}
    graph_def = meta_graph.graph_def
    bodies = [graph_def.node, *(function.node_def for function in graph_def.library.function)]
    lists = [constant for nodes in bodies for constant in _key_lists(nodes)]
    # A variable in pieces has a key for each, which no graph of TensorFlow 2 saves.
    if not keys or checkpoint.pieces or None in lists:
        return
    _write(checkpoint, keys, _with_keys(stored, keys))
    encoded = {old.encode(): new.encode() for old, new in keys.items()}
    for constant in filter(None, lists):
        texts = constant.attr["value"].tensor.string_val
        texts[:] = [encoded.get(text, text) for text in texts]
    # What saves writes the objects, too.
    for constant in (node for nodes in bodies for node in nodes if node.op == "Const"):
        texts = constant.attr["value"].tensor.string_val
        if len(texts) == 1 and _ATTRIBUTES in texts[0]:
            texts[:] = [_with_keys(texts[0], keys)]


def _with_keys(objects: bytes, keys: Mapping[str, str]) -> bytes:
    """Return the message of a checkpoint's objects with other keys; what is no such message stays as it is."""
    try:
        graph = protos.parse("TrackableObjectGraph", objects)
    except protos.ParseError:
        return objects
    for attribute in (each for node in graph.nodes for each in node.attributes):
        attribute.checkpoint_key = keys.get(attribute.checkpoint_key, attribute.checkpoint_key)
    return bytes(graph.SerializeToString(deterministic=True))


def _at(objects: protos.Message, way: Sequence[str]) -> protos.Message:
    """Return the object to which a way leads from the root."""
    node = objects.nodes[0]
    for name in way:
        node = objects.nodes[next(child.node_id for child in node.children if child.local_name == name)]
    return node


def _write(checkpoint: tensor_bundle.Checkpoint, keys: Mapping[str, str], objects: bytes) -> None:
    """Write the index with other keys, and the objects, behind all else in the first shard."""
    table = dict(checkpoint.tables[0])
    content, crc = tensor_writing.texts_content([objects])
    entry = protos.parse("BundleEntryProto", table[trackable_object_graph.KEY.encode()])
    with checkpoint.shard(0).open("ab") as shard:
        entry.shard_id, entry.offset, entry.size = 0, shard.tell(), len(content)
        shard.write(content)
    entry.crc32c = crc32c.masked(crc)
    table[trackable_object_graph.KEY.encode()] = entry.SerializeToString(deterministic=True)
    encoded = {old.encode(): new.encode() for old, new in keys.items()}
    renamed = {encoded.get(key, key): value for key, value in table.items()}
    checkpoint.prefix.with_name(f"{checkpoint.prefix.name}.index").write_bytes(
        sorted_tables.table({key: renamed[key] for key in sorted(renamed)})
    )


def _key_lists(nodes: Iterable[protos.Message]) -> Iterator[protos.Message | None]:
    """Yield the constants that say what the ops of a graph save and restore, None where it is no constant."""
    by_name = {node.name: node for node in nodes}
    for node in by_name.values():
        if node.op in _BY_KEYS:
            source = by_name.get(node_of(node.input[_KEYS]))
            yield source if source is not None and source.op == "Const" else None

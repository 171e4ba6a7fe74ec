"""What lies beside the graph in a MetaGraphDef, without what names nodes and functions that are gone.

Not for: the graph itself (:mod:`tfmagic.transforms.slim_message`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfmagic.files import protos, wire
from tfmagic.findings import hazards
from tfmagic.graphs.tensor_names import node_of
from tfmagic.transforms import control_flow_contexts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfmagic.files.protos import Message
    from tfmagic.transforms.slim_graph import GraphUse

#: Of QueueRunnerDef: queue_name, enqueue_op_name.
_QUEUE_OPS = frozenset({1, 2})


@dataclass(frozen=True)
class Header:
    """A MetaGraphDef beside its graph.

    Attributes
    ----------
    use : GraphUse
        Where it comes from.
    live, functions : collection of str
        The nodes and the functions that stay.
    by_saver : mapping of str to str
        By variables whose own initialiser goes, the ops that restore them.
    """

    use: GraphUse
    live: Collection[str]
    functions: Collection[str]
    by_saver: Mapping[str, str]

    def message(self) -> Message:
        """Return what is beside the graph, without what names nodes that are gone."""
        header = protos.message("MetaGraphDef")()
        header.CopyFrom(self.use.header)
        for name in [name for name in header.meta_info_def.function_aliases if name not in self.functions]:
            del header.meta_info_def.function_aliases[name]
        if not self._names_assets_by_number():
            assets = [each for each in header.asset_file_def if node_of(each.tensor_info.name) in self.live]
            copies = [type(each).FromString(each.SerializeToString()) for each in assets]
            del header.asset_file_def[:]
            header.asset_file_def.extend(copies)
        for name in list(header.collection_def):
            self._reduce_collection(header, name)
        return header

    def _names_assets_by_number(self) -> bool:
        """Whether the object graph has assets, which it counts."""
        return self.use.objects is not None and any(node.HasField("asset") for node in self.use.objects.nodes)

    def _reduce_collection(self, header: Message, name: str) -> None:
        collection = header.collection_def[name]
        if collection.HasField("node_list"):
            names = [each for each in collection.node_list.value if node_of(each) in self.live]
            if len(names) < len(collection.node_list.value):
                collection.node_list.value[:] = names
                if not names:
                    del header.collection_def[name]
        elif name in control_flow_contexts.COLLECTIONS:
            kept = control_flow_contexts.reduced(header, name, self.live)
            collection.bytes_list.value[:] = kept
        elif name == hazards.ASSET_COLLECTION and not self._names_assets_by_number():
            kept_assets = [
                each
                for each in collection.any_list.value
                if node_of(protos.parse("AssetFileDef", each.value).tensor_info.name) in self.live
            ]
            copies = [type(each).FromString(each.SerializeToString()) for each in kept_assets]
            del collection.any_list.value[:]
            collection.any_list.value.extend(copies)
        elif collection.HasField("bytes_list"):
            values = [each for data in collection.bytes_list.value for each in self._reduced_item(name, data)]
            collection.bytes_list.value[:] = values

    def _reduced_item(self, collection: str, data: bytes) -> Iterator[bytes]:
        """Yield an item of a collection, less what it names that is gone; nothing if that is all."""
        if collection == "savers":
            saver = _parsed("SaverDef", data)
            if saver is None or node_of(saver.restore_op_name) in self.live:
                yield data
            return
        if collection == "queue_runners":
            if all(node_of(name) in self.live for name in _queue_ops(data)):
                yield data
            return
        definition = _parsed("VariableDef", data)
        name = "" if definition is None else node_of(definition.variable_name)
        if definition is None or name not in self.use.nodes:
            yield data
        elif name in self.live:
            if name in self.by_saver:
                definition.initializer_name = self.by_saver[name]
                definition.initial_value_name = ""
                yield definition.SerializeToString()
            else:
                yield data


def _parsed(name: str, data: bytes) -> Message | None:
    try:
        return protos.parse(name, data)
    except protos.ParseError:
        return None


def _queue_ops(data: bytes) -> list[str]:
    """Return the queue and the ops of a QueueRunnerDef, nothing of what is none."""
    buffer = wire.Buffer(data)
    try:
        spans = [(start, end) for number, _, start, end in wire.fields(buffer, 0, buffer.size) if number in _QUEUE_OPS]
        return [buffer.text(start, end) for start, end in spans]
    except wire.WireError:
        return []

"""A MetaGraphDef without what it does not need: its nodes and functions copied as they lie there, the rest parsed.

Not for: what is needed (:mod:`tfmagic.transforms.slim_graph`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic.files import protos, wire
from tfmagic.findings import hazards
from tfmagic.graphs import function_library
from tfmagic.graphs.resources import VARIABLES
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.variables import COLLECTIONS, definitions
from tfmagic.transforms import control_flow_contexts, placement, slim_constants, slim_objects, slim_saver

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfmagic.files.protos import Message
    from tfmagic.transforms.slim_graph import GraphUse

    Piece = bytes | memoryview

# Field numbers of tensorflow/core/framework/graph.proto, node_def.proto and protobuf/meta_graph.proto.
_NODE, _LIBRARY, _DEBUG = 1, 2, 5
_FUNCTION, _GRADIENT, _REGISTERED = 1, 2, 3
_NODE_DEBUG = 6
_GRAPH_DEF, _OBJECT_GRAPH = 2, 7
#: Of QueueRunnerDef: queue_name, enqueue_op_name.
_QUEUE_OPS = frozenset({1, 2})
#: Ops that only declare, set and read variables: loaders and exporters leave some, and they weigh next to nothing.
_BYSTANDERS = VARIABLES | {
    "VarIsInitializedOp", "IsVariableInitialized", "ReadVariableOp", "AssignVariableOp", "Assign", "Identity", "NoOp",
}  # fmt: skip
_ASSIGNS = frozenset({"Assign", "AssignVariableOp"})
#: Constants of a variable's initialiser that take more are not needed, as the value lies in the checkpoint.
_LARGE = 1 << 10
_COLOCATED = b"loc:@"
_CLASS = "_class"


class Weights:
    """What each part of a graph takes in its message, tags and lengths included.

    Attributes
    ----------
    nodes : dict of str to int
        By node of the main graph, less where it comes from.
    functions : dict of str to int
        By function, likewise.
    debug : int
        Of where nodes come from in somebody's Python.
    total : int
        Of the whole MetaGraphDef.
    """

    def __init__(self, use: GraphUse) -> None:
        graph = use.meta_graph.graph
        names = [node.name for node in use.message.graph_def.node]
        functions = [function.signature.name for function in use.message.graph_def.library.function]
        self.nodes = _sizes(names, graph.nodes)
        self.functions = _sizes(functions, graph.functions)
        self.debug = sum(_field_size(stop - start) for start, stop in _debug_spans(use))
        self.total = use.meta_graph.bytes
        homes = graph.functions_of_nodes.tolist()
        for row, size in _traces(use):
            self.debug += size
            if homes[row]:
                self.functions[functions[homes[row] - 1]] -= size
            else:
                self.nodes[names[row]] -= size


def _sizes(names: list[str], spans: tuple[wire.Integers, wire.Integers]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, size in zip(names, (spans[1] - spans[0]).tolist(), strict=True):
        sizes[name] = sizes.get(name, 0) + _field_size(size)
    return sizes


def _field_size(size: int) -> int:
    """Return what a field of so many bytes takes, with a tag of one byte."""
    return 1 + len(wire.written(size)) + size


def _debug_spans(use: GraphUse) -> Iterator[tuple[int, int]]:
    """Yield where a graph says which code its nodes come from."""
    graph = use.meta_graph.graph
    for start, end in graph.pieces:
        (spans,) = wire.spans(graph.buffer, start, end, _DEBUG)
        yield from zip(spans[0].tolist(), spans[1].tolist(), strict=True)


def _traces(use: GraphUse) -> Iterator[tuple[int, int]]:
    """Yield the row of each node that says where it comes from, and what that takes."""
    graph = use.meta_graph.graph
    for first, starts, ends in graph.node_blocks():
        fields = wire.scan(graph.buffer, starts, ends).select(_NODE_DEBUG)
        sizes = (fields.end - fields.start).tolist()
        yield from zip((fields.owner + first).tolist(), map(_field_size, sizes), strict=True)


@dataclass(frozen=True)
class Reduction:
    """A MetaGraphDef less what goes.

    Attributes
    ----------
    use : GraphUse
        What of it is needed.
    gone : frozenset of str
        Keys that the checkpoint has no longer.
    retained : collection of str
        Kinds that stay.

    Raises
    ------
    OrdinaryError
        If its saver is made in no way that is known.
    """

    use: GraphUse
    gone: frozenset[str]
    retained: Collection[str]

    @cached_property
    def weights(self) -> Weights:
        """What each part takes."""
        return Weights(self.use)

    @cached_property
    def _lost(self) -> tuple[set[str], set[int]]:
        return self.use.holders(self.gone) if self.gone else (set(), set())

    @cached_property
    def _edited(self) -> slim_saver.Edited:
        if not self.gone:
            return slim_saver.Edited({}, {}, frozenset())
        graph_def = self.use.message.graph_def
        return slim_saver.without_keys(graph_def.node, graph_def.library.function, self.gone, self._lost[0])

    @cached_property
    def _nodes(self) -> Mapping[str, Message]:
        return {**self.use.nodes, **self._edited.nodes}

    @cached_property
    def _assigns(self) -> Mapping[str, str]:
        """The ops that restore each variable, by its node."""
        saver = self.use.header.saver_def.restore_op_name
        names = self.use.ancestors([node_of(saver)], self._nodes)
        restoring = (self._nodes[name] for name in sorted(names))
        return {node_of(node.input[0]): node.name for node in restoring if node.op in _ASSIGNS and node.input}

    @cached_property
    def _initialised(self) -> tuple[set[str], set[str]]:
        """Nodes that initialise variables which stay; and the variables that are to be set by the saver instead."""
        roots = [*self.use.roots, *self.use.constants, *self.use.saver_roots]
        base = self.use.ancestors(roots, self._nodes)
        more: set[str] = set()
        by_saver: set[str] = set()
        for definition in _definitions(self.use.header):
            name = node_of(definition.variable_name)
            if name not in base:
                continue
            more |= self.use.ancestors([node_of(definition.snapshot_name)], self._nodes)
            own = [node_of(definition.initializer_name), node_of(definition.initial_value_name)]
            needed = self.use.ancestors(own, self._nodes)
            heavy = sum(self.weights.nodes[each] for each in needed - base if self._nodes[each].op == "Const")
            if "constants" not in self.retained and heavy > _LARGE and name in self._assigns:
                by_saver.add(name)
            else:
                more |= needed
        return base | more, by_saver

    @cached_property
    def needed(self) -> set[str]:
        """The nodes of the main graph that are needed, with the saver and the initialisers of variables."""
        if not self.use.is_signed:
            return set(self._nodes) - self._edited.dead
        needed = set(self._initialised[0])
        for collection in control_flow_contexts.COLLECTIONS:
            for context in control_flow_contexts.contexts(self.use.header, collection):
                if node_of(context.pivot_name) in needed:
                    exits = getattr(context, "loop_exit_names", ())
                    needed |= self.use.ancestors(map(node_of, exits), self._nodes)
        return needed

    def require_sound(self) -> None:
        """Refuse an edit that would take away what is needed.

        Raises
        ------
        OrdinaryError
            Naming what it is.
        """
        lost = sorted(self._edited.dead & self.needed) if self.use.is_signed else []
        if lost:
            raise slim_saver.OrdinaryError(f"{lost[0]!r} hangs on a variable that nothing else needs")

    @cached_property
    def live(self) -> set[str]:
        """The nodes of the main graph that stay."""
        if "unreached" in self.retained or not self.use.is_signed:
            return set(self._nodes) - self._edited.dead
        live = set(self.needed)
        if "constants" in self.retained:
            live |= {name for name, node in self._nodes.items() if node.op == "Const"}
        if "assets" in self.retained:
            live |= self.use.ancestors([node_of(each.tensor_info.name) for each in self.use.header.asset_file_def])
        return live

    @cached_property
    def functions(self) -> set[str]:
        """The functions that stay."""
        functions = self.use.functions
        if self.live == self.needed:
            return functions
        nodes = [self._nodes[name] for name in sorted(self.live)]
        return functions | function_library.needed_functions(nodes, self.use.message.graph_def.library)

    @cached_property
    def repeats(self) -> dict[str, str]:
        """The constants that repeat what another holds, by name, and that other."""
        # Out of some, TensorFlow 2 takes values by their names; and a saver wants its lists as constants.
        fixed = {*self.use.constants, *self.use.ancestors(self.use.saver_roots)}
        return slim_constants.originals(self.use, self.live - fixed)

    @property
    def unneeded(self) -> set[str]:
        """The nodes of the main graph that nothing needs."""
        return set(self.use.nodes) - self.needed

    @cached_property
    def is_due(self) -> bool:
        """Whether the message has to change: something with a weight of its own goes."""
        leaving = [self.use.nodes[name] for name in self.use.nodes if name not in self.live]
        return bool(
            self.gone
            or self.functions < self.weights.functions.keys()
            or any(node.op not in _BYSTANDERS for node in leaving)
            or (self.weights.debug and "debug" not in self.retained)
            or (self.repeats and "duplicates" not in self.retained)
        )

    # What is written

    def pieces(self, tag: bytes = b"") -> list[Piece]:
        """Return the MetaGraphDef in pieces, behind a tag with its length if one is given."""
        buffer = self.use.meta_graph.buffer
        if not self.is_due:
            pieces: list[Piece] = [buffer.data[self.use.meta_graph.start : self.use.meta_graph.end]]
        else:
            pieces = [self.header().SerializeToString()]
            pieces += _field(_GRAPH_DEF, self.graph_pieces())
            if self.use.objects is not None:
                gone = self._lost[1]
                objects = slim_objects.reduced(self.use.objects, self.functions, gone)
                pieces += _field(_OBJECT_GRAPH, [objects.SerializeToString()])
        return [tag, wire.written(sum(map(len, pieces))), *pieces] if tag else pieces

    def graph_pieces(self) -> list[Piece]:
        """Return the GraphDef in pieces."""
        graph = self.use.meta_graph.graph
        pieces: list[Piece] = []
        cut = self._cut_nodes()
        starts, ends = graph.nodes
        for node, start, end in zip(self.use.message.graph_def.node, starts.tolist(), ends.tolist(), strict=True):
            if node.name in self.live:
                edited = cut.get(node.name)
                pieces += _field(_NODE, [graph.buffer.data[start:end]] if edited is None else [edited])
        pieces += _field(_LIBRARY, self._library()) if self.weights.functions else []
        for start, end in graph.pieces:
            place = start
            for number, _, _, stop in wire.fields(graph.buffer, start, end):
                if number not in (_NODE, _LIBRARY) and not (number == _DEBUG and "debug" not in self.retained):
                    pieces.append(graph.buffer.data[place:stop])
                place = stop
        return pieces

    def _cut_nodes(self) -> dict[str, bytes]:
        """Return the nodes that change, serialised, by name."""
        changed = {name: node for name, node in self._edited.nodes.items() if name in self.live}
        for name in self.live:
            node = self._nodes[name]
            waits = [text for text in node.input if text.startswith("^") and text[1:] not in self.live]
            beside = _CLASS in node.attr and any(
                place.startswith(_COLOCATED) and place[len(_COLOCATED) :].decode("utf-8", "replace") not in self.live
                for place in node.attr[_CLASS].list.s
            )
            is_traced = node.HasField("experimental_debug_info") and "debug" not in self.retained
            if waits or beside or is_traced:
                changed[name] = self._whole(name) if name not in changed else changed[name]
                changed[name].input[:] = [text for text in changed[name].input if text not in waits]
                if is_traced:
                    changed[name].ClearField("experimental_debug_info")
        for name, original in self.repeats.items() if "duplicates" not in self.retained else ():
            changed[name] = slim_constants.handed_on(self._whole(name), original)
        placement.drop_absent_colocations(list(changed.values()), self.live)
        return {name: node.SerializeToString() for name, node in changed.items()}

    def _whole(self, name: str) -> Message:
        """Parse a node from the buffer, as the message may be without its weights."""
        return self.use.meta_graph.graph.node_def(self._rows[name])

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {node.name: row for row, node in enumerate(self.use.message.graph_def.node)}

    def _library(self) -> list[Piece]:
        """Return the function library in pieces."""
        graph = self.use.meta_graph.graph
        library = self.use.message.graph_def.library
        pieces: list[Piece] = []
        starts, ends = graph.functions
        for function, start, end in zip(library.function, starts.tolist(), ends.tolist(), strict=True):
            name = function.signature.name
            if name not in self.functions:
                continue
            edited = self._edited.functions.get(name)
            is_traced = any(node.HasField("experimental_debug_info") for node in function.node_def)
            if is_traced and "debug" not in self.retained:
                edited = protos.parse("FunctionDef", graph.buffer.data[start:end]) if edited is None else edited
                for node in edited.node_def:
                    node.ClearField("experimental_debug_info")
            pieces += _field(
                _FUNCTION, [graph.buffer.data[start:end] if edited is None else edited.SerializeToString()]
            )
        for gradient in library.gradient:
            if {gradient.function_name, gradient.gradient_func} <= self.functions:
                pieces += _field(_GRADIENT, [gradient.SerializeToString()])
        for registered in library.registered_gradients:
            if registered.gradient_func in self.functions:
                pieces += _field(_REGISTERED, [registered.SerializeToString()])
        return pieces

    def header(self) -> Message:
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
            if name in self._initialised[1] and self.use.is_signed and "unreached" not in self.retained:
                definition.initializer_name = self._assigns[name]
                definition.initial_value_name = ""
                yield definition.SerializeToString()
            else:
                yield data


def _definitions(header: Message) -> Iterator[Message]:
    for collection in COLLECTIONS:
        yield from definitions(header, collection)


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


def _field(number: int, pieces: list[Piece]) -> list[Piece]:
    """Return a field of bytes in pieces, behind its tag and its length."""
    return [wire.written(number << 3 | wire.BYTES) + wire.written(sum(map(len, pieces))), *pieces]

"""A MetaGraphDef without what it does not need: its nodes and functions copied as they lie there, the rest parsed.

Not for: what is needed (:mod:`tfmagic.transforms.slim_graph`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic.files import protos, wire
from tfmagic.graphs import function_library
from tfmagic.graphs.resources import VARIABLES
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.variables import COLLECTIONS, definitions
from tfmagic.transforms import control_flow_contexts, placement, slim_constants, slim_lists, slim_objects, slim_saver
from tfmagic.transforms.slim_header import Header
from tfmagic.transforms.slim_weights import DEBUG, Weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfmagic.files.protos import Message
    from tfmagic.transforms.slim_graph import GraphUse

    Piece = bytes | memoryview

# Field numbers of tensorflow/core/framework/graph.proto, node_def.proto and protobuf/meta_graph.proto.
_NODE, _LIBRARY = 1, 2
_FUNCTION, _GRADIENT, _REGISTERED = 1, 2, 3
_GRAPH_DEF, _OBJECT_GRAPH = 2, 7
#: Ops that only declare, set and read variables: loaders and exporters leave some, and they weigh next to nothing.
_BYSTANDERS = VARIABLES | {
    "VarIsInitializedOp", "IsVariableInitialized", "ReadVariableOp", "AssignVariableOp", "Assign", "Identity", "NoOp",
}  # fmt: skip
_ASSIGNS = frozenset({"Assign", "AssignVariableOp"})
#: Constants of a variable's initialiser that take more are not needed, as the value lies in the checkpoint.
_LARGE = 1 << 10
_COLOCATED = b"loc:@"
_CLASS = "_class"


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
            raise slim_lists.OrdinaryError(f"{lost[0]!r} hangs on a variable that nothing else needs")

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
                if number not in (_NODE, _LIBRARY) and not (number == DEBUG and "debug" not in self.retained):
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
        shortens = self.use.is_signed and "unreached" not in self.retained
        by_saver = {name: self._assigns[name] for name in self._initialised[1]} if shortens else {}
        return Header(self.use, self.live, self.functions, by_saver).message()


def _definitions(header: Message) -> Iterator[Message]:
    for collection in COLLECTIONS:
        yield from definitions(header, collection)


def _field(number: int, pieces: list[Piece]) -> list[Piece]:
    """Return a field of bytes in pieces, behind its tag and its length."""
    return [wire.written(number << 3 | wire.BYTES) + wire.written(sum(map(len, pieces))), *pieces]

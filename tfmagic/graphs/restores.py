"""What restoring a graph puts where: the tensor of the checkpoint that each variable gets, and what fills each table.

A variable's node and its key in the checkpoint need not have one name: moving averages are restored into the variables
that they average, a TF2 SavedModel's keys are paths of objects. What counts is what the graph does, so each assignment
is followed back to the RestoreV2 behind it, into functions too. Nothing is run. Not for: reading the tensors
(:mod:`tfmagic.files.checkpoints.tensor_bundle`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.resources import fills_table
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfmagic.files import protos

#: Ops that hand their first input on unchanged; a saver reshapes what it restores to the variable's own shape.
_PASSING = frozenset({"Identity", "RefIdentity", "Reshape", "DisableCopyOnRead"})
_ASSIGNMENTS = frozenset({"Assign", "AssignVariableOp"})
_RESTORES = of_kind("restore")
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op", "table_initializer")
_INIT_SIGNATURE = "__saved_model_init_op"
#: References followed before a graph counts as one that leads round in circles.
_MAX_STEPS, _MAX_DEPTH = 1000, 50


class Slot(NamedTuple):
    """A tensor of the checkpoint: its key, and the slice of it as RestoreV2 writes it, empty for the whole."""

    key: str
    slice: str = ""


class Constant(NamedTuple):
    """A tensor that the graph holds itself: its node's name in the main graph, and its TensorProto.

    Of a placeholder the loader fills in the value: the name of an asset file.
    """

    node: str
    tensor: protos.Message | None


Source: TypeAlias = "Slot | Constant | None"


class Fill(NamedTuple):
    """What fills a table: the op's NodeDef, and where what it takes comes from, None where that is computed."""

    node: protos.Message
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Restores:
    """What a graph's variables and tables get, by the names of their nodes.

    Attributes
    ----------
    variables : mapping of str to Slot
        Where each variable's value lies. A variable that is not restored is not in it.
    initial : mapping of str to str
        For variables that the initialiser gives the value of a constant or a placeholder, that node. The name of an
        asset file is kept so.
    fills : mapping of str to tuple of Fill
        What fills each table.
    """

    variables: Mapping[str, Slot]
    initial: Mapping[str, str]
    fills: Mapping[str, tuple[Fill, ...]]


def read(graph_def: protos.Message, header: protos.Message) -> Restores:
    """Find out what restores a graph.

    Parameters
    ----------
    graph_def : GraphDef
        With its function library.
    header : MetaGraphDef
        Its saver, its collections and its signatures.
    """
    main = Scope(graph_def.node, {function.signature.name: function for function in graph_def.library.function})
    sought = _Found(main, _checkpoint_node(header, main))
    reached = list(visited(main, _roots(header, main)))
    for scope, node in reached:
        if node.op in _ASSIGNMENTS:
            sought.assign(scope, node)
    for scope, node in reached:
        if fills_table(node):
            sought.fill(scope, node)
    return Restores(sought.variables, sought.initial, {name: tuple(each) for name, each in sought.fills.items()})


@dataclass
class _Found:
    """Collects what is assigned and filled, and answers where a tensor comes from."""

    main: Scope
    checkpoint: str
    variables: dict[str, Slot] = field(default_factory=dict)
    initial: dict[str, str] = field(default_factory=dict)
    fills: dict[str, list[Fill]] = field(default_factory=dict)

    def target(self, scope: Scope, node: protos.Message) -> str | None:
        """Return the variable or table of the main graph that an op changes."""
        origin = scope.origin(node.input[0])
        return origin.node.name if origin and origin.scope is self.main else None

    def assign(self, scope: Scope, node: protos.Message) -> None:
        name, source = self.target(scope, node), self.source(scope, node.input[1])
        if name is not None and isinstance(source, Slot):
            self.variables[name] = source
        elif name is not None and isinstance(source, Constant) and source.node:
            self.initial[name] = source.node

    def fill(self, scope: Scope, node: protos.Message) -> None:
        name = self.target(scope, node)
        sources = tuple(self.source(scope, text) for text in node.input[1:] if not text.startswith("^"))
        if name is not None:
            self.fills.setdefault(name, []).append(Fill(node, sources))

    def source(self, scope: Scope, text: str) -> Source:
        """Say what a tensor is: one of this checkpoint, or a constant."""
        origin = scope.origin(text)
        if origin is None:
            return None
        node = origin.node
        own_name = "" if origin.scope.depth else node.name
        if node.op == "Const" and "value" in node.attr:
            return Constant(own_name, node.attr["value"].tensor)
        if node.op == "Placeholder" and own_name:
            return Constant(own_name, None)
        if node.op == "ReadVariableOp":
            variable = self.target(origin.scope, node)
            return Constant(self.initial[variable], None) if variable in self.initial else None
        return self._restored(origin) if node.op in _RESTORES and len(node.input) > 1 else None

    def _restored(self, origin: Origin) -> Slot | None:
        """Read a restoring op; an initialiser may restore from some other checkpoint, to start warm from it."""
        scope, node, place = origin
        file = scope.origin(node.input[0])
        if self.checkpoint and (file is None or file.scope.depth or file.node.name != self.checkpoint):
            return None
        key, piece = (_text(scope, each, place) for each in [*node.input[1:3], ""][:2])
        return None if key is None else Slot(key, piece or "")


@dataclass(eq=False)
class Scope:
    """The main graph, or a function as one node calls it: where each reference comes from."""

    sequence: Iterable[protos.Message]
    functions: Mapping[str, protos.Message]
    arguments: Mapping[str, tuple[Scope, str]] = field(default_factory=dict)
    results: Sequence[str] = ()
    depth: int = 0
    _inner: dict[str, Scope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nodes = {node.name: node for node in self.sequence}

    def origin(self, text: str) -> Origin | None:
        """Follow a reference to the node that makes the tensor, through calls and out of functions."""
        scope = self
        for _ in range(_MAX_STEPS):
            name, _, place = text.partition(":")
            if name in scope.arguments:
                scope, text = scope.arguments[name]
                continue
            node = scope.nodes.get(name)
            if node is None:
                return None
            # "2" in the main graph, "output:2" in a function.
            index = int(place.rpartition(":")[2] or 0)
            inner = scope.called(node)
            if inner is not None and index < len(inner.results):
                scope, text = inner, inner.results[index]
            elif node.op in _PASSING:
                text = node.input[0]
            else:
                return Origin(scope, node, index)
        return None

    def called(self, node: protos.Message) -> Scope | None:
        """Return the function that a node calls, None if it calls none."""
        name = node.attr["f"].func.name if node.op in _CALLS and "f" in node.attr else node.op
        if name not in self.functions or self.depth > _MAX_DEPTH:
            return None
        if node.name not in self._inner:
            function = self.functions[name]
            arguments = zip(function.signature.input_arg, node.input, strict=False)
            self._inner[node.name] = Scope(
                function.node_def,
                self.functions,
                {argument.name: (self, text) for argument, text in arguments},
                [function.ret[result.name] for result in function.signature.output_arg],
                self.depth + 1,
            )
        return self._inner[node.name]


class Origin(NamedTuple):
    """An output of a node in its scope."""

    scope: Scope
    node: protos.Message
    place: int


def _roots(header: protos.Message, main: Scope) -> list[str]:
    """Return the ops that restore and initialise; all there are where nobody says which."""
    nodes = [header.saver_def.restore_op_name]
    for name in _INIT_COLLECTIONS:
        if name in header.collection_def:
            nodes += header.collection_def[name].node_list.value
    if _INIT_SIGNATURE in header.signature_def:
        nodes += [info.name for info in header.signature_def[_INIT_SIGNATURE].outputs.values()]
    known = [name for name in map(node_of, nodes) if name in main.nodes]
    return known if node_of(header.saver_def.restore_op_name) in main.nodes else list(main.nodes)


def visited(main: Scope, roots: Iterable[str]) -> Iterator[tuple[Scope, protos.Message]]:
    """Yield the nodes that the roots depend on, and all of the functions that these call, each once a call."""
    waiting: list[tuple[Scope, str]] = [(main, name) for name in roots]
    seen: set[tuple[int, str]] = set()
    while waiting:
        scope, name = waiting.pop()
        if (id(scope), name) in seen or name not in scope.nodes:
            continue
        seen.add((id(scope), name))
        node = scope.nodes[name]
        yield scope, node
        waiting.extend((scope, node_of(text)) for text in node.input)
        inner = scope.called(node)
        if inner is not None:
            waiting.extend((inner, each) for each in inner.nodes)


def _checkpoint_node(header: protos.Message, main: Scope) -> str:
    """Return the node that holds the name of the checkpoint, empty where nobody says which."""
    name = node_of(header.saver_def.filename_tensor_name)
    return name if name in main.nodes else ""


def _text(scope: Scope, text: str, place: int) -> str | None:
    """Return one of the strings of a constant; the last stands for all that follow it."""
    origin = scope.origin(text) if text else None
    if origin is None or origin.node.op != "Const" or "value" not in origin.node.attr:
        return None
    values = origin.node.attr["value"].tensor.string_val
    value: bytes = values[min(place, len(values) - 1)] if values else b""
    return value.decode(errors="backslashreplace")

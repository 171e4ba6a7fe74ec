"""Walk through what would execute of a graph: the nodes that some ends need, and every function that they run.

It goes through calls, branches, loops, functions of datasets, graphs in strings, and functions that TensorFlow's
optimiser may put in the place of another. Nothing is executed; a value is known where it is constant. Not for: words
about what was seen (:mod:`tfmagic.findings.hazards`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from tfmagic.files import protos
from tfmagic.graphs import op_effects, ops
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.resources import VARIABLES, resource
from tfmagic.graphs.tensor_names import full, node_of
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence


class _Own(Enum):
    """The name of a file of the model's own, which whoever loads the model puts in."""

    FILE = "own file"


OWN_FILE: Final = _Own.FILE
#: Effects that need somebody's word.
ASKING: Final = frozenset(Effect) - ops.FREE_EFFECTS
#: What is known of a tensor: its elements, that it names a file of the model's own, or nothing.
Value: TypeAlias = tuple[bytes | float, ...] | _Own | None

_Context: TypeAlias = tuple[tuple[str, Value], ...]

#: Ops that give on the value of their first input.
_HANDING_ON = frozenset({"Identity", "StopGradient", "Snapshot", "GuaranteeConst", "EnsureShape"})
#: Ops that put names of files together, and how many inputs the name that they begin with has beside it.
_JOINING = frozenset({"StringJoin", "ShardedFilename"})
#: Ops that gather several values, or choose one of them by their first input.
_GATHERING = frozenset({"Pack", "ConcatV2"})
_CHOOSING = frozenset({"Select", "SelectV2"})
#: Ops that run functions, or may, though their effect says less.
_RUNNING = frozenset({"OneShotIterator"})
_RUNNING_KINDS = frozenset({"tpu", "test"})
#: Ops whose inputs, from this one on, are the arguments of the function that they run.
_ARGUMENTS_FROM = {
    "PartitionedCall": 0,
    "StatefulPartitionedCall": 0,
    "If": 1,
    "StatelessIf": 1,
    "Case": 1,
    "StatelessCase": 1,
}
#: Attributes by which a resource is named.
_NAMING = ("shared_name", "container")
#: Functions with the same value of this attribute stand for one another (grappler's implementation selector).
_INTERCHANGEABLE = "api_implements"
#: A value is followed so far, and a function is walked through with so many different arguments.
_DEEPEST, _MOST_CONTEXTS, _MOST_NAMES = 50, 20, 16
#: Elements of a constant that are looked at: names of files are few.
_MOST_ELEMENTS = 10_000


class Executed(NamedTuple):
    """A node that would execute and does more than compute.

    Attributes
    ----------
    node, op : str
        Its name and its op.
    function : str
        The function that it is in, ``""`` for the main graph.
    effect : Effect
        What it does.
    subject : str
        The file that it reads or writes, if that is constant.
    inside : tuple of str
        Function and name of the node that holds, in a string, the graph which the node is in; empty if none does.
    """

    node: str
    op: str
    function: str
    effect: Effect
    subject: str = ""
    inside: tuple[str, ...] = ()


class Nodes(Mapping[str, "protos.Message"]):
    """The nodes of a graph or of a function, by name and by op; each way is prepared when it is first taken.

    A million objects for a million nodes would take seconds, of which few are asked for.

    Parameters
    ----------
    node_defs : sequence of NodeDef
        In the graph's order.
    """

    def __init__(self, node_defs: Sequence[protos.Message]) -> None:
        self.node_defs = node_defs
        self._louder: dict[Collection[str], list[protos.Message]] = {}

    @cached_property
    def _ops(self) -> list[str]:
        return [node.op for node in self.node_defs]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate([node.name for node in self.node_defs])}

    def __getitem__(self, name: str) -> protos.Message:
        return self.node_defs[self._places[name]]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self.node_defs)

    def of_ops(self, names: Collection[str]) -> list[protos.Message]:
        """Return the nodes of some ops."""
        return [self.node_defs[place] for place, op in enumerate(self._ops) if op in names]

    def but(self, names: frozenset[str]) -> list[protos.Message]:
        """Return the nodes of all other ops, and the constants among these that hold handles."""
        if names not in self._louder:
            constants, nodes = op_effects.CONSTANTS & names, self.node_defs
            self._louder[names] = [
                nodes[place]
                for place, op in enumerate(self._ops)
                if op not in names or (op in constants and op_effects.holds_handle(nodes[place]))
            ]
        return self._louder[names]


class Graph:
    """A GraphDef as several walks share it: its nodes, its functions, and those that stand for one another.

    Parameters
    ----------
    graph_def : GraphDef
        With its library.
    """

    def __init__(self, graph_def: protos.Message) -> None:
        self.nodes = Nodes(graph_def.node)
        self.gradients = [gradient.gradient_func for gradient in graph_def.library.gradient]
        self.library = {function.signature.name: function for function in graph_def.library.function}
        self.alike: dict[bytes, list[str]] = defaultdict(list)
        for name, function in self.library.items():
            if _INTERCHANGEABLE in function.attr:
                self.alike[function.attr[_INTERCHANGEABLE].s].append(name)
        #: Of two functions of one name it is open which one counts: both are looked at.
        self._twins: dict[str, list[protos.Message]] = defaultdict(list)
        for function in graph_def.library.function:
            self._twins[function.signature.name].extend(function.node_def)
        self._bodies: dict[str, Nodes] = {}

    def body(self, name: str) -> Nodes:
        """Return the nodes of a function."""
        if name not in self._bodies:
            self._bodies[name] = Nodes(self._twins[name])
        return self._bodies[name]

    @cached_property
    def aliases(self) -> Mapping[tuple[bytes, bytes], int]:
        """How many nodes are one and the same variable, by what identifies it."""
        bodies = [self.nodes, *map(self.body, self.library)]
        return Counter(resource(node) for body in bodies for node in body.of_ops(VARIABLES))


@dataclass(frozen=True)
class _Body:
    """The nodes of the main graph or of a function, what its arguments are, and what its tensors name."""

    function: str
    nodes: Nodes
    arguments: Mapping[str, Value]
    #: How many nodes of the graph are one and the same variable, by what identifies it.
    aliases: Mapping[tuple[bytes, bytes], int]
    #: What is known of tensors where a variable is assigned: as the model is loaded.
    at_start: Mapping[str, Value] = field(default_factory=dict)

    def value(self, tensor: str, depth: int = 0) -> Value:
        """Return what is known of a tensor."""
        if (known := self.arguments.get(full(tensor))) is not None:
            return known
        node = self.nodes.get(node_of(tensor))
        if node is None or depth > _DEEPEST:
            return None
        if node.op in ops.of_kind("constant") and "value" in node.attr:
            return elements(node.attr["value"].tensor)
        if node.op in _HANDING_ON and node.input:
            return self.value(node.input[0], depth + 1)
        if node.op in _JOINING or node.op in _GATHERING or node.op in _CHOOSING:
            return self._assembled(node, depth + 1)
        is_read = node.op == "ReadVariableOp" and node.input
        return self._assigned(node_of(node.input[0]), depth + 1) if is_read else None

    def _assembled(self, node: protos.Message, depth: int) -> Value:
        """Return what is known of a name that is put together: a saver makes those of its shards so."""
        edges = [edge for edge in node.input if not edge.startswith("^")]
        if node.op in _JOINING:
            first, *rest = (self.value(edge, depth) for edge in edges) if edges else (None,)
            if node.op == "ShardedFilename":
                return first if first is OWN_FILE else None
            separator = op_effects.text(node, "separator")
            rest.append(None if separator is None else (separator,))
            return OWN_FILE if first is OWN_FILE and all(map(_stays, rest)) else None
        values = [self.value(edge, depth) for edge in (edges[1:] if node.op in _CHOOSING else edges)]
        if all(value is OWN_FILE for value in values):
            return OWN_FILE if values else None
        known = [value for value in values if isinstance(value, tuple)]
        return tuple(item for value in known for item in value) if len(known) == len(values) else None

    @cached_property
    def _consumers(self) -> Mapping[str, list[protos.Message]]:
        consumers = defaultdict(list)
        for node in self.nodes.node_defs:
            for edge in node.input:
                consumers[node_of(edge)].append(node)
        return consumers

    def _assigned(self, handle: str, depth: int) -> Value:
        """Return what one node assigns to a variable and nobody else can: so a SavedModel keeps the names of assets."""
        users = self._consumers.get(handle, [])
        writers = [node for node in users if node.op == "AssignVariableOp"]
        if handle not in self.nodes or self.aliases[resource(self.nodes[handle])] != 1:
            return None
        reading = ops.of_kind("variable read", "variable query")
        if len(writers) != 1 or any(node.op not in reading for node in users if node not in writers):
            return None
        return replace(self, arguments={**self.arguments, **self.at_start}).value(writers[0].input[1], depth)


@dataclass
class Walk:
    """A walk through a graph, which remembers where it was.

    Attributes
    ----------
    graph : Graph
        The graph with its library.
    own : collection of str
        Tensors of the main graph that name files of the model's own.
    effects : frozenset of Effect
        The effects that are told.
    writes_own : bool
        Whether the model's own files may be written, too: by its saver.
    entry : str
        What runs the nodes that are walked through next, in words.
    seen : dict of Executed to str
        What was come across, in order, and by which entry first.
    depth : int
        How many graphs in strings it is inside of.
    inside : tuple of str
        Function and name of the node that holds the graph, the outermost one.
    judged : set of (str, str)
        Function and name of each node that was looked at closely.
    callers : dict of str to str
        By the name of a function, the one that was first seen to call it.
    """

    graph: Graph
    own: Collection[str] = ()
    effects: frozenset[Effect] = ASKING
    writes_own: bool = False
    entry: str = ""
    seen: dict[Executed, str] = field(default_factory=dict)
    depth: int = 0
    inside: tuple[str, ...] = ()
    judged: set[tuple[str, str]] = field(default_factory=set)
    callers: dict[str, str] = field(default_factory=dict)
    _contexts: dict[str, set[_Context]] = field(default_factory=lambda: defaultdict(set))
    #: Functions that are still to be walked through: calls may be nested deeper than Python's stack.
    _waiting: list[tuple[str, _Context]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.know(self.own)
        self._quiet = _quiet(self.effects | {Effect.STATE} if self.inside else self.effects).difference(
            self.graph.library
        )

    def know(self, own: Iterable[str], at_start: Iterable[str] = ()) -> None:
        """Say which tensors of the main graph name files of the model's own from now on.

        Parameters
        ----------
        own : iterable of str
            Those that whoever runs what is walked through next feeds so.
        at_start : iterable of str
            Those that were fed so as the model was loaded, when its variables got their values.
        """
        fed, started = ({full(tensor): OWN_FILE for tensor in tensors} for tensors in (own, at_start))
        self._main = _Body("", self.graph.nodes, fed, self.graph.aliases, started)

    def whole_graph(self) -> None:
        """Walk through every node of the main graph."""
        self._walk(self._main, self._main.nodes.but(self._quiet))

    def ends(self, tensors: Iterable[str], fed: Iterable[str] = ()) -> None:
        """Walk through the nodes of the main graph that some tensors or nodes need; what is fed needs nothing.

        A sparse or composite tensor is its parts, joined by commas.
        """
        tensors = [part for tensor in tensors for part in tensor.split(",")]
        fed = [part for tensor in fed for part in tensor.split(",")]
        stops = {full(tensor) for tensor in fed}
        nodes = self._main.nodes

        def before(name: str) -> list[str]:
            edges = nodes[name].input if name in nodes else ()
            return [node_of(edge) for edge in edges if edge.startswith("^") or full(edge) not in stops]

        roots = [node_of(tensor) for tensor in tensors if full(tensor) not in stops]
        if not roots or not nodes.but(self._quiet):
            return
        needed = reached(roots, before)
        self._walk(self._main, [node for node in nodes.but(self._quiet) if node.name in needed])

    def function(self, name: str, arguments: Sequence[Value] = ()) -> None:
        """Walk through a function, called with arguments of which something may be known."""
        self._call(name, arguments)
        self._walk(self._main, ())

    def _walk(self, body: _Body, nodes: Iterable[protos.Message]) -> None:
        """Look at nodes, and go on through the functions that they run."""
        for node in nodes:
            self._look(body, node)
        while self._waiting:
            name, context = self._waiting.pop()
            function = self.graph.library[name]
            inner = _Body(name, self.graph.body(name), dict(context), self.graph.aliases)
            for node in inner.nodes.but(self._quiet):
                self._look(inner, node)
            if _INTERCHANGEABLE in function.attr:
                for alike in self.graph.alike[function.attr[_INTERCHANGEABLE].s]:
                    self._call(alike, (), name)

    def _call(self, name: str, arguments: Sequence[Value], caller: str = "") -> None:
        """Enter a function into those that are still to be walked through, unless that was done."""
        if name not in self.graph.library:
            return
        self.callers.setdefault(name, caller)
        names = [full(argument.name) for argument in self.graph.library[name].signature.input_arg]
        known = [(argument, value) for argument, value in zip(names, arguments, strict=False) if _names_files(value)]
        contexts = self._contexts[name]
        context = tuple(known) if len(contexts) < _MOST_CONTEXTS else ()
        if context not in contexts:
            contexts.add(context)
            self._waiting.append((name, context))

    def _look(self, body: _Body, node: protos.Message) -> None:
        data = [edge for edge in node.input if not edge.startswith("^")]
        values = _Values(body, data)
        is_call = node.op in self.graph.library
        if not is_call or node.op in ops.registered():
            self._judge(body.function, node, values)
        if node.op == "DatasetFromGraph":
            self._graph_in_a_string(body.function, node, values(0))
        if is_call:
            self._call(node.op, [body.value(edge) for edge in data], body.function)
        start = _ARGUMENTS_FROM.get(node.op)
        arguments = () if start is None else [body.value(edge) for edge in data[start:]]
        for name in functions_of(node):
            self._call(name, arguments, body.function)
        if node.op == "SymbolicGradient":
            for name in self.graph.gradients:
                self._call(name, (), body.function)

    def _judge(self, function: str, node: protos.Message, values: _Values) -> None:
        effect = op_effects.effect(node, values)
        if self.inside and effect is Effect.STATE and any(op_effects.text(node, name) != b"" for name in _NAMING):
            # What a graph in a string calls so is not renamed with the rest: it may be the user's own.
            effect = Effect.UNKNOWN
        self.judged.add((function, node.name))
        if effect not in self.effects:
            return
        place = op_effects.file_names(node)
        free = {Effect.READS_FILES, Effect.WRITES_FILES} if self.writes_own else {Effect.READS_FILES}
        if effect in free and isinstance(place, int) and values.known(place) is OWN_FILE:
            return
        self._tell(function, node, effect, _subject(node, place, values))

    def _tell(self, function: str, node: protos.Message, effect: Effect, subject: str = "") -> None:
        self.seen.setdefault(Executed(node.name, node.op, function, effect, subject, self.inside), self.entry)

    def _graph_in_a_string(self, function: str, node: protos.Message, value: Sequence[bytes | float] | None) -> None:
        for data in value or ():
            try:
                graph_def = protos.parse("GraphDef", data if isinstance(data, bytes) else b"")
            except protos.ParseError:
                graph_def = None
            if graph_def is None or self.depth > _DEEPEST:
                self._tell(function, node, Effect.UNKNOWN)
            else:
                place = self.inside or (function, node.name)
                inner = Walk(Graph(graph_def), effects=self.effects, seen=self.seen, depth=self.depth + 1, inside=place)
                inner.entry = self.entry
                inner.whole_graph()


@cache
def _quiet(effects: frozenset[Effect]) -> frozenset[str]:
    """Return the ops that have none of some effects, whatever their attributes say, and run no function."""
    harmless = (effect for effect in Effect if effect not in effects and effect is not Effect.CALL)
    running = _RUNNING | ops.of_kind(*_RUNNING_KINDS)
    return ops.of_effect(*(effect for effect in harmless if effect in ops.FREE_EFFECTS)) - running


def _stays(value: Value) -> bool:
    """Say whether what is put behind a file's name leads nowhere else."""
    return isinstance(value, tuple) and all(
        isinstance(item, bytes) and b".." not in item.replace(b"\\", b"/").split(b"/") for item in value
    )


def _names_files(value: Value) -> bool:
    """Say whether a value may be a file's name: others are not worth another walk through the function."""
    return value is OWN_FILE or (
        value is not None and len(value) <= _MOST_NAMES and all(isinstance(v, bytes) for v in value)
    )


@dataclass(frozen=True)
class _Values:
    """What is known of the inputs of a node."""

    body: _Body
    inputs: Sequence[str]

    def known(self, number: int) -> Value:
        """Return what is known of an input."""
        return self.body.value(self.inputs[number]) if number < len(self.inputs) else None

    def __call__(self, number: int) -> Sequence[bytes | float] | None:
        """Return the elements of an input that is constant."""
        value = self.known(number)
        return value if isinstance(value, tuple) else None


def functions_of(node: protos.Message) -> Iterator[str]:
    """Yield the names of the functions in a node's attributes."""
    for value in node.attr.values():
        yield from _functions_in(value)


def _functions_in(value: protos.Message) -> Iterator[str]:
    kind = value.WhichOneof("value")
    for function in [value.func] if kind == "func" else value.list.func if kind == "list" else ():
        yield function.name
        for inner in function.attr.values():
            yield from _functions_in(inner)


def elements(tensor: protos.Message) -> tuple[bytes | float, ...] | None:
    """Return the elements of a small constant, None where it is none of text or whole numbers."""
    dtype = protos.dtype_name(tensor.dtype)
    if dtype == "string":
        # TensorFlow reads strings from the packed content, too, which no writer of files makes.
        return None if tensor.tensor_content or len(tensor.string_val) > _MOST_ELEMENTS else tuple(tensor.string_val)
    if dtype not in {"int32", "int64"}:
        return None
    if tensor.tensor_content:
        content = tensor.tensor_content
        aligned = len(content) % np.dtype(dtype).itemsize == 0
        return tuple(np.frombuffer(content, dtype)[:_MOST_ELEMENTS].tolist()) if aligned else None
    return tuple(tensor.int_val if dtype == "int32" else tensor.int64_val)[:_MOST_ELEMENTS] or (0,)


def _subject(node: protos.Message, place: int | str | None, values: _Values) -> str:
    """Return the file that a node names, where it is constant."""
    if isinstance(place, str):
        name = op_effects.text(node, place) or next(iter(op_effects.texts(node, place) or ()), b"")
        return name.decode("utf-8", "replace")
    known = () if place is None else values(place) or ()
    return next((item.decode("utf-8", "replace") for item in known if isinstance(item, bytes)), "")

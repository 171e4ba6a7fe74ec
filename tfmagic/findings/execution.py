"""Walk through what would execute of a graph: the nodes that some ends need, and every function that they run.

It goes through calls, branches, loops, functions of datasets, graphs in strings, and functions that TensorFlow's
optimiser may put in the place of another. Nothing is executed; a value is known where it is constant. Not for: words
about what was seen (:mod:`tfmagic.findings.hazards`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from tfmagic.files import protos
from tfmagic.findings.known_values import DEEPEST, OWN_FILE, Body, Inputs, Value
from tfmagic.findings.walked_graphs import INTERCHANGEABLE, Graph, functions_of
from tfmagic.graphs import op_effects, ops
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.tensor_names import full, node_of
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


#: Effects that need somebody's word.
ASKING: Final = frozenset(Effect) - ops.FREE_EFFECTS

_Context: TypeAlias = tuple[tuple[str, Value], ...]

#: Ops that run functions, or may, though their effect says less.
_RUNNING = frozenset({"OneShotIterator"})
_RUNNING_KINDS = frozenset({"tpu", "test"})
#: Ops that run other functions than their attributes name: in a string, and gradients.
_CALLING_MORE = frozenset({"DatasetFromGraph", "SymbolicGradient"})
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
#: A function is walked through with so many different arguments.
_MOST_CONTEXTS, _MOST_NAMES = 20, 16


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
    #: The nodes of the main graph that were gone through, by what was fed that keeps others from running.
    _passed: dict[frozenset[str], set[str]] = field(default_factory=lambda: defaultdict(set))
    #: Functions that are still to be walked through: calls may be nested deeper than Python's stack.
    _waiting: list[tuple[str, _Context]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.know(self.own)
        watched = self.effects | {Effect.STATE} if self.inside else self.effects
        self._quiet = self.graph.not_called(_quiet(watched))
        self._acting = self.graph.acting(self._quiet, _calling(watched))

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
        self._main = Body("", self.graph.nodes, fed, self.graph.aliases, started)
        self._passed.clear()

    def whole_graph(self, fed: Iterable[str] = ()) -> None:
        """Walk through every node of the main graph; what is fed is not what the graph says of it."""
        fed_tensors = frozenset(map(full, fed))
        self._walk(replace(self._main, fed=fed_tensors), self._main.nodes.but(self._quiet))

    def ends(self, tensors: Iterable[str], fed: Iterable[str] = ()) -> None:
        """Walk through the nodes of the main graph that some tensors or nodes need; what is fed needs nothing.

        A sparse or composite tensor is its parts, joined by commas.
        """
        tensors = [part for tensor in tensors for part in tensor.split(",")]
        fed = [part for tensor in fed for part in tensor.split(",")]
        stops = {full(tensor) for tensor in fed}
        nodes, louder = self._main.nodes, self._main.nodes.but(self._quiet)
        roots = [node_of(tensor) for tensor in tensors if full(tensor) not in stops]
        if not roots or not louder:
            return
        # Thousands of signatures may end in one graph: what an earlier one went through, a later one need not, if what
        # both are fed keeps the same from running. That what does nothing by itself does not run keeps nothing.
        keeping = frozenset(stop for stop in stops if self._keeps(node_of(stop)))
        passed = self._passed[keeping]

        def before(name: str) -> list[str]:
            edges = nodes[name].input if name in nodes else ()
            names = (node_of(edge) for edge in edges if edge.startswith("^") or full(edge) not in stops)
            return [each for each in names if each not in passed]

        needed = reached((root for root in roots if root not in passed), before)
        passed |= needed
        if not needed.isdisjoint(self._louder_names):
            self._walk(replace(self._main, fed=stops), [node for node in louder if node.name in needed])

    def _keeps(self, name: str) -> bool:
        """Say whether anything that matters does not run, or is not what it was, where a node is fed."""
        nodes = self._main.nodes
        return name in nodes and (
            name in self._louder_names or nodes[name].op in op_effects.VALUES or bool(nodes[name].input)
        )

    @cached_property
    def _louder_names(self) -> frozenset[str]:
        return frozenset(node.name for node in self._main.nodes.but(self._quiet))

    def function(self, name: str, arguments: Sequence[Value] = ()) -> None:
        """Walk through a function, called with arguments of which something may be known."""
        self._call(name, arguments)
        self._walk(self._main, ())

    def _walk(self, body: Body, nodes: Iterable[protos.Message]) -> None:
        """Look at nodes, and go on through the functions that they run."""
        for node in nodes:
            self._look(body, node)
        while self._waiting:
            name, context = self._waiting.pop()
            function = self.graph.library[name]
            inner = Body(name, self.graph.body(name), dict(context), self.graph.aliases)
            for node in inner.nodes.but(self._quiet):
                self._look(inner, node)
            if INTERCHANGEABLE in function.attr:
                for alike in self.graph.alike[function.attr[INTERCHANGEABLE].s]:
                    self._call(alike, (), name)

    def _call(self, name: str, arguments: Sequence[Value], caller: str = "") -> None:
        """Enter a function into those that are still to be walked through, unless that was done."""
        if name not in self.graph.library:
            return
        self.callers.setdefault(name, caller)
        if name not in self._acting:
            return
        names = [full(argument.name) for argument in self.graph.library[name].signature.input_arg]
        known = [(argument, value) for argument, value in zip(names, arguments, strict=False) if _names_files(value)]
        contexts = self._contexts[name]
        context = tuple(known) if len(contexts) < _MOST_CONTEXTS else ()
        if context not in contexts:
            contexts.add(context)
            self._waiting.append((name, context))

    def _look(self, body: Body, node: protos.Message) -> None:
        data = [edge for edge in node.input if not edge.startswith("^")]
        values = Inputs(body, data)
        is_call = node.op in self.graph.library
        if not is_call or node.op in ops.registered():
            self._judge(body.function, node, values)
        if node.op == "DatasetFromGraph":
            self._graph_in_a_string(body.function, node, values(0))
        if is_call:
            known = [body.value(edge) for edge in data] if node.op in self._acting else ()
            self._call(node.op, known, body.function)
        names = list(functions_of(node))
        start = _ARGUMENTS_FROM.get(node.op) if self._acting.intersection(names) else None
        arguments = () if start is None else [body.value(edge) for edge in data[start:]]
        for name in names:
            self._call(name, arguments, body.function)
        if node.op == "SymbolicGradient":
            for name in self.graph.gradients:
                self._call(name, (), body.function)

    def _judge(self, function: str, node: protos.Message, values: Inputs) -> None:
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
            if graph_def is None or self.depth > DEEPEST:
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


@cache
def _calling(effects: frozenset[Effect]) -> frozenset[str]:
    """Return the ops that do none of some things but run functions, which their attributes name."""
    return frozenset() if Effect.CALL in effects else ops.of_effect(Effect.CALL) - _CALLING_MORE


def _names_files(value: Value) -> bool:
    """Say whether a value may be a file's name: others are not worth another walk through the function."""
    return value is OWN_FILE or (
        value is not None and len(value) <= _MOST_NAMES and all(isinstance(v, bytes) for v in value)
    )


def _subject(node: protos.Message, place: int | str | None, values: Inputs) -> str:
    """Return the file that a node names, where it is constant."""
    if isinstance(place, str):
        name = op_effects.text(node, place) or next(iter(op_effects.texts(node, place) or ()), b"")
        return name.decode("utf-8", "replace")
    known = () if place is None else values(place) or ()
    return next((item.decode("utf-8", "replace") for item in known if isinstance(item, bytes)), "")

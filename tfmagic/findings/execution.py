"""Walk through what would execute of a graph: the nodes that some ends need, and every function that they run.

It goes through calls, branches, loops, functions of datasets, graphs in strings, and functions that TensorFlow's
optimiser may put in the place of another. Nothing is executed; a value is known where it is constant. Not for: words
about what was seen (:mod:`tfmagic.findings.hazards`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from tfmagic.files import protos
from tfmagic.graphs import op_effects, ops
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.tensor_names import full, node_of
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence


class _Own(Enum):
    """The name of a file of the model's own, which whoever loads the model puts in."""

    FILE = "own file"


OWN_FILE: Final = _Own.FILE
#: What is known of a tensor: its elements, that it names a file of the model's own, or nothing.
Value: TypeAlias = tuple[bytes | float, ...] | _Own | None

_Context: TypeAlias = tuple[tuple[str, Value], ...]

#: Ops that give on the value of their first input.
_HANDING_ON = frozenset({"Identity", "StopGradient", "Snapshot", "GuaranteeConst", "EnsureShape"})
#: Ops whose inputs, from this one on, are the arguments of the function that they run.
_ARGUMENTS_FROM = {
    "PartitionedCall": 0,
    "StatefulPartitionedCall": 0,
    "If": 1,
    "StatelessIf": 1,
    "Case": 1,
    "StatelessCase": 1,
}
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
    """

    node: str
    op: str
    function: str
    effect: Effect
    subject: str = ""


@dataclass(frozen=True)
class _Body:
    """The nodes of the main graph or of a function, what its arguments are, and what its tensors name."""

    function: str
    nodes: Mapping[str, protos.Message]
    arguments: Mapping[str, Value]

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
        if node.op == "ReadVariableOp" and node.input:
            return self._assigned(node_of(node.input[0]), depth + 1)
        return None

    @cached_property
    def _consumers(self) -> Mapping[str, list[protos.Message]]:
        consumers = defaultdict(list)
        for node in self.nodes.values():
            for edge in node.input:
                consumers[node_of(edge)].append(node)
        return consumers

    def _assigned(self, handle: str, depth: int) -> Value:
        """Return what one node assigns to a variable and nobody else can: so a SavedModel keeps the names of assets."""
        users = self._consumers.get(handle, [])
        writers = [node for node in users if node.op == "AssignVariableOp"]
        reading = ops.of_kind("variable read", "variable query")
        if len(writers) != 1 or any(node.op not in reading for node in users if node not in writers):
            return None
        return self.value(writers[0].input[1], depth)


@dataclass
class Walk:
    """A walk through a graph, which remembers where it was.

    Attributes
    ----------
    graph_def : GraphDef
        The graph with its library.
    own : collection of str
        Tensors of the main graph that name files of the model's own.
    seen : dict of Executed to None
        What was come across, in order.
    depth : int
        How many graphs in strings it is inside of.
    """

    graph_def: protos.Message
    own: Collection[str] = ()
    seen: dict[Executed, None] = field(default_factory=dict)
    depth: int = 0
    _contexts: dict[str, set[_Context]] = field(default_factory=lambda: defaultdict(set))
    #: Functions that are still to be walked through: calls may be nested deeper than Python's stack.
    _waiting: list[tuple[str, _Context]] = field(default_factory=list)

    def __post_init__(self) -> None:
        nodes = {node.name: node for node in self.graph_def.node}
        self._main = _Body("", nodes, {full(tensor): OWN_FILE for tensor in self.own})
        self._library = {function.signature.name: function for function in self.graph_def.library.function}
        self._alike: dict[bytes, list[str]] = defaultdict(list)
        for name, function in self._library.items():
            if _INTERCHANGEABLE in function.attr:
                self._alike[function.attr[_INTERCHANGEABLE].s].append(name)

    def whole_graph(self) -> None:
        """Walk through every node of the main graph."""
        self._walk(self._main, self._main.nodes.values())

    def ends(self, tensors: Iterable[str], fed: Iterable[str] = ()) -> None:
        """Walk through the nodes of the main graph that some tensors or nodes need; what is fed needs nothing."""
        stops = {full(tensor) for tensor in fed}
        nodes = self._main.nodes

        def before(name: str) -> list[str]:
            edges = nodes[name].input if name in nodes else ()
            return [node_of(edge) for edge in edges if edge.startswith("^") or full(edge) not in stops]

        needed = reached([node_of(tensor) for tensor in tensors if full(tensor) not in stops], before)
        self._walk(self._main, [node for name, node in nodes.items() if name in needed])

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
            function = self._library[name]
            inner = _Body(name, {node.name: node for node in function.node_def}, dict(context))
            for node in function.node_def:
                self._look(inner, node)
            for alike in self._alike[function.attr[_INTERCHANGEABLE].s] if _INTERCHANGEABLE in function.attr else ():
                self._call(alike, ())

    def _call(self, name: str, arguments: Sequence[Value]) -> None:
        """Enter a function into those that are still to be walked through, unless that was done."""
        if name not in self._library:
            return
        names = [full(argument.name) for argument in self._library[name].signature.input_arg]
        known = [(argument, value) for argument, value in zip(names, arguments, strict=False) if _names_files(value)]
        contexts = self._contexts[name]
        context = tuple(known) if len(contexts) < _MOST_CONTEXTS else ()
        if context not in contexts:
            contexts.add(context)
            self._waiting.append((name, context))

    def _look(self, body: _Body, node: protos.Message) -> None:
        data = [edge for edge in node.input if not edge.startswith("^")]
        values = _Values(body, data)
        is_call = node.op in self._library
        if not is_call or node.op in ops.registered():
            self._judge(body.function, node, values)
        if node.op == "DatasetFromGraph":
            self._graph_in_a_string(body.function, node, values(0))
        if is_call:
            self._call(node.op, [body.value(edge) for edge in data])
        start = _ARGUMENTS_FROM.get(node.op)
        arguments = () if start is None else [body.value(edge) for edge in data[start:]]
        for name in functions_of(node):
            self._call(name, arguments)
        if node.op == "SymbolicGradient":
            for gradient in self.graph_def.library.gradient:
                self._call(gradient.gradient_func, ())

    def _judge(self, function: str, node: protos.Message, values: _Values) -> None:
        effect = op_effects.effect(node, values)
        if effect in ops.FREE_EFFECTS:
            return
        place = op_effects.file_names(node)
        if effect is Effect.READS_FILES and isinstance(place, int) and values.known(place) is OWN_FILE:
            return
        self.seen[Executed(node.name, node.op, function, effect, _subject(node, place, values))] = None

    def _graph_in_a_string(self, function: str, node: protos.Message, value: Sequence[bytes | float] | None) -> None:
        for data in value or ():
            try:
                graph_def = protos.parse("GraphDef", data if isinstance(data, bytes) else b"")
            except protos.ParseError:
                graph_def = None
            if graph_def is None or self.depth > _DEEPEST:
                self.seen[Executed(node.name, node.op, function, Effect.UNKNOWN)] = None
            else:
                Walk(graph_def, seen=self.seen, depth=self.depth + 1).whole_graph()


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
        name = op_effects.text(node, place) or b""
        return name.decode("utf-8", "replace")
    known = () if place is None else values(place) or ()
    return next((item.decode("utf-8", "replace") for item in known if isinstance(item, bytes)), "")

"""A graph as walks through it share it: its nodes by name and by op, its functions, and which stand for one another.

Not for: the walk (:mod:`tfmagic.findings.execution`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic.graphs import op_effects, ops
from tfmagic.graphs.resources import VARIABLES, resource
from tfmagic.graphs.tensor_names import full, node_of
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from tfmagic.files import protos

#: Functions with the same value of this attribute stand for one another (grappler's implementation selector).
INTERCHANGEABLE = "api_implements"


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
    def counts(self) -> Counter[str]:
        """How many nodes of each op there are."""
        return Counter(self._ops)

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
            constants, nodes = op_effects.VALUES & names, self.node_defs
            self._louder[names] = [
                nodes[place]
                for place, op in enumerate(self._ops)
                if op not in names or (op in constants and op_effects.gives_handle(nodes[place]))
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
            if INTERCHANGEABLE in function.attr:
                self.alike[function.attr[INTERCHANGEABLE].s].append(name)
        #: Of two functions of one name it is open which one counts: both are looked at.
        self._twins: dict[str, list[protos.Message]] = defaultdict(list)
        if len(self.library) < len(graph_def.library.function):
            for function in graph_def.library.function:
                self._twins[function.signature.name].extend(function.node_def)
        self._bodies: dict[str, Nodes] = {}
        self._taken: dict[str, frozenset[str]] = {}
        self._quiet: dict[frozenset[str], frozenset[str]] = {}
        self._acting: dict[tuple[frozenset[str], frozenset[str]], frozenset[str]] = {}

    def _node_defs(self, name: str) -> Sequence[protos.Message]:
        return self._twins[name] if self._twins else self.library[name].node_def

    def body(self, name: str) -> Nodes:
        """Return the nodes of a function."""
        if name not in self._bodies:
            self._bodies[name] = Nodes(self._node_defs(name))
        return self._bodies[name]

    @property
    def has_twins(self) -> bool:
        """Whether two functions have one name."""
        return bool(self._twins)

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many nodes of each op the main graph and all functions have."""
        return self.nodes.counts + Counter(node.op for name in self.library for node in self._node_defs(name))

    @cached_property
    def present(self) -> frozenset[str]:
        """The ops of the main graph and of all functions."""
        return frozenset(self.counts)

    def of_ops(self, names: Collection[str]) -> Iterator[tuple[str, protos.Message]]:
        """Yield the nodes of some ops, the main graph's and those of each function, behind the function's name."""
        if self.present.isdisjoint(names):
            return
        yield from (("", node) for node in self.nodes.of_ops(names))
        for name in self.library:
            yield from ((name, node) for node in self._node_defs(name) if node.op in names)

    def not_called(self, ops: frozenset[str]) -> frozenset[str]:
        """Return those of some ops whose names no function bears, which is called where it does."""
        if ops not in self._quiet:
            self._quiet[ops] = ops.difference(self.library)
        return self._quiet[ops]

    def acting(self, quiet: frozenset[str], calling: frozenset[str]) -> frozenset[str]:
        """Return the functions that hold other nodes than those of some ops, themselves or in what they call.

        Parameters
        ----------
        quiet : frozenset of str
            Ops that count for nothing and run no function.
        calling : frozenset of str
            Ops that do nothing but run functions.
        """
        if (quiet, calling) not in self._acting:
            self._acting[quiet, calling] = frozenset(self._found_acting(quiet, calling))
        return self._acting[quiet, calling]

    def _found_acting(self, quiet: frozenset[str], calling: frozenset[str]) -> Iterable[str]:
        calling = (calling | self.library.keys()) - ops.registered().intersection(self.library)
        rest = self.present - calling
        if rest <= quiet and rest.isdisjoint(op_effects.VALUES):
            return ()
        callers: dict[str, list[str]] = defaultdict(list)
        own = [name for name in self.library if self._acts(name, quiet, calling, callers)]
        for names in self.alike.values():
            for name in names:
                callers[name] += names
        return reached(own, lambda name: callers.get(name, ()))

    def _acts(
        self, name: str, quiet: frozenset[str], calling: frozenset[str], callers: Mapping[str, list[str]]
    ) -> bool:
        """Say whether a function acts by a node of its own; if it does not, enter it as the caller of what it calls."""
        names: list[str] = []
        for node in self._node_defs(name):
            op = node.op
            if op in calling:
                names.append(op)
                names += functions_of(node)
            elif op not in quiet or (op in op_effects.VALUES and op_effects.gives_handle(node)):
                return True
        for called in names:
            callers[called].append(name)
        return False

    def needed(
        self, ends: Iterable[str] | None, functions: Iterable[str] = (), fed: Iterable[str] = ()
    ) -> tuple[set[str], set[str]]:
        """Return the nodes of the main graph that some ends need, and the functions that run.

        Parameters
        ----------
        ends : iterable of str, optional
            The tensors or nodes of the main graph that are asked for; all if left out.
        functions : iterable of str
            Functions that are called besides.
        fed : iterable of str
            Tensors of the main graph that are fed, so that nothing behind them runs.
        """
        nodes, stops = self.nodes, {full(tensor) for tensor in fed}

        def before(name: str) -> list[str]:
            edges = nodes[name].input if name in nodes else ()
            return [node_of(edge) for edge in edges if edge.startswith("^") or full(edge) not in stops]

        roots = None if ends is None else [node_of(end) for end in ends if full(end) not in stops]
        main = set(nodes) if roots is None else reached(roots, before)

        def called(function: str) -> list[str]:
            return [name for node in self._node_defs(function) for name in self._run_by(node)]

        first = (name for node in nodes.node_defs if node.name in main for name in self._run_by(node))
        return main, reached((*(name for name in functions if name in self.library), *first), called)

    def taken(self, function: str) -> frozenset[str]:
        """Return the nodes of a function that others of it need, or that it gives back; all if two have its name."""
        if function not in self._taken:
            body, message = self.body(function), self.library[function]
            results = (*message.ret.values(), *message.control_ret.values())
            edges = (edge for node in body.node_defs for edge in node.input)
            self._taken[function] = frozenset(body if self.has_twins else map(node_of, (*results, *edges)))
        return self._taken[function]

    def _run_by(self, node: protos.Message) -> list[str]:
        names = [node.op, *functions_of(node)]
        return [name for name in names if name in self.library]

    @cached_property
    def aliases(self) -> Mapping[tuple[bytes, bytes], int]:
        """How many nodes are one and the same variable, by what identifies it."""
        return Counter(resource(node) for _, node in self.of_ops(VARIABLES))


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

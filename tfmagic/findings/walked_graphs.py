"""A graph as walks through it share it: its nodes by name and by op, its functions, and which stand for one another.

Not for: the walk (:mod:`tfmagic.findings.execution`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic.graphs import op_effects
from tfmagic.graphs.resources import VARIABLES, resource

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

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
            if INTERCHANGEABLE in function.attr:
                self.alike[function.attr[INTERCHANGEABLE].s].append(name)
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

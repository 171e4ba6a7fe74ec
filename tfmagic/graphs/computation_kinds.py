"""What the nodes of a graph compute, kind by kind: found out when the first node of a kind is met.

Not for: which node takes what (:mod:`tfmagic.graphs.computation_reading`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfmagic.files import protos
from tfmagic.graphs import bodies, node_descriptions, ops
from tfmagic.graphs.computation import TABLE
from tfmagic.graphs.resources import TABLES
from tfmagic.graphs.state_changes import StateChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfmagic.files.wire import Integers
    from tfmagic.graphs.node_descriptions import Attributes, Description, Weight
    from tfmagic.graphs.numbered_nodes import NumberedGraph

#: Ops whose value is that of their input.
_SKIPPED = frozenset({
    "CheckNumerics", "GuaranteeConst", "Identity", "IdentityN", "PreventGradient", "ReadVariableOp", "RefIdentity",
    "Snapshot", "StopGradient",
})  # fmt: skip
_PLACEHOLDERS = ops.of_kind("placeholder", "default placeholder")
_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
#: Attributes of what runs functions that say the dtypes of what goes in and out.
_OF_HANDED = frozenset({"T", "Tin", "Tout"})
#: Kinds of ops that are taken for what the function does that they name.
CALLS = ("call", "unknown")
#: How a node is taken: as an op, for its input, as a variable, as what the function does that it calls.
OP, SKIP, VARIABLE, CALL = range(4)
_NOTHING = -1
#: What looks up rows of a weight, and attributes that say no more than the weight does.
_GATHERS: Mapping[str, frozenset[str]] = {
    "ResourceGather": frozenset({"dtype", "Tindices"}),
    "GatherV2": frozenset({"Tparams", "Tindices", "Taxis"}),
}
GATHER = "GatherV2"


class Kinds:
    """What nodes of each kind compute.

    Parameters
    ----------
    graph : NumberedGraph
        The nodes.
    body_digest : callable
        Returns a text that is the same for functions that compute the same, by these kinds, the function's number and
        how many calls lead to it.

    Attributes
    ----------
    changes : StateChanges
        The nodes that change state.
    ways : int array
        For each kind, how its nodes are taken.
    codes : int array
        What they compute, by its place in ``described``.
    is_weight, is_placeholder : bool array
        Whether they are constants that are weights, whether placeholders.
    weights : dict of int to Weight
        By kind, those constants.
    variables : dict of int to (str, str)
        By kind, the name that a variable shares, and its dtype and shape.
    called : dict of int to int
        By kind, the function that they are taken for.
    described : list of (op, attributes)
        What there is to compute.
    is_cut : bool
        Whether a body has more ops than are looked at.
    """

    def __init__(self, graph: NumberedGraph, body_digest: Callable[[Kinds, int, int], str]) -> None:
        self.graph = graph
        self.changes = StateChanges(graph)
        self._body_digest = body_digest
        self.ways = np.full(graph.kind_count, _NOTHING, np.int64)
        self.codes = np.full(graph.kind_count, _NOTHING, np.int64)
        self.is_weight = np.zeros(graph.kind_count, bool)
        self.is_placeholder = np.zeros(graph.kind_count, bool)
        self.weights: dict[int, Weight] = {}
        self.variables: dict[int, tuple[str, str]] = {}
        self.called: dict[int, int] = {}
        self.described: list[tuple[str, Attributes]] = []
        self.is_cut = False
        self._numbers: dict[tuple[str, Attributes], int] = {}
        self._digests: dict[int, str] = {}

    def code(self, op: str, attributes: Attributes = ()) -> int:
        """Return the number of what an op computes."""
        number = self._numbers.setdefault((op, attributes), len(self.described))
        if number == len(self.described):
            self.described.append((op, attributes))
        return number

    def learn(self, kinds: Integers, depth: int) -> None:
        """Find out what nodes of some kinds compute."""
        for kind in dict.fromkeys(kinds[self.codes[kinds] < 0].tolist()):
            node = self.graph.example(kind)
            self.is_placeholder[kind] = node.op in _PLACEHOLDERS
            self.ways[kind] = self._way(kind, node)
            if self.ways[kind] in (VARIABLE, CALL):
                self.codes[kind] = 0
                continue
            # A function that is looked at for it may hold such a node itself.
            description = self._described(node, depth)
            self.codes[kind] = self.code(description.op, description.attributes)
            if description.weight is not None:
                self.is_weight[kind] = True
                self.weights[kind] = description.weight

    def _way(self, kind: int, node: protos.Message) -> int:
        if node.op in _SKIPPED:
            return SKIP
        if node.op in _VARIABLES or _is_captured(node):
            shared = node.attr["shared_name"].s.decode("utf-8", "replace") if "shared_name" in node.attr else ""
            self.variables[kind] = shared, node_descriptions.kind_of_variable(node)
            return VARIABLE
        functions = bodies.called(node, self.graph.functions)
        if len(functions) == 1 and ops.named(node.op).kind in CALLS:
            self.called[kind] = functions[0]
            return CALL
        return OP

    def too_deep(self, kind: int, depth: int) -> int:
        """Return the number of a call that is not descended into."""
        description = self._described(self.graph.example(kind), depth)
        return self.code(description.op, description.attributes)

    def _described(self, node: protos.Message, depth: int) -> Description:
        if node.op == "Const":
            return node_descriptions.of_constant(node)
        if node.op in TABLES:
            # Freezing makes one kind of another; dtypes come with what it holds.
            return node_descriptions.Description(TABLE, ())
        attributes = node_descriptions.of_attributes(node)
        functions = bodies.called_as(node, self.graph.functions)
        if functions:
            # A variable is handed in as a handle, what it is frozen to as its value.
            attributes = tuple(pair for pair in attributes if pair[0] not in _OF_HANDED)
            attributes += tuple((key, self._digest(function, depth)) for key, function in functions)
        op = node.op
        if op in _GATHERS:
            # Freezing makes the one of the other.
            attributes, op = tuple(pair for pair in attributes if pair[0] not in _GATHERS[node.op]), GATHER
        return node_descriptions.Description(op, attributes)

    def _digest(self, function: int, depth: int) -> str:
        if function not in self._digests:
            self._digests[function] = ""  # A function that calls itself is nothing that TensorFlow runs.
            self._digests[function] = self._body_digest(self, function, depth)
        return self._digests[function]


def _is_captured(node: protos.Message) -> bool:
    """Whether a node stands for the handle of a variable outside, as a traced function has it."""
    return node.op in _PLACEHOLDERS and node.attr["dtype"].type == protos.dtype_number("resource")

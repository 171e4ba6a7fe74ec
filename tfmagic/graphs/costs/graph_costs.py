"""Walk through what a signature runs, function bodies included, and note what each node costs.

Nothing runs: shapes go forward from the inputs, whose batch is one. What nodes of one kind cost that take the like of
one another's inputs is found once. Not for: the rules of single ops (:mod:`tfmagic.graphs.costs.output_shapes`,
:mod:`tfmagic.graphs.costs.flops`), or sums by scope (:mod:`tfmagic.graphs.costs.scope_costs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.graphs import bodies, constants, numbered_nodes, ops, tensor_names
from tfmagic.graphs.costs import flops as node_flops
from tfmagic.graphs.costs import output_shapes, small_values
from tfmagic.graphs.costs.tensor_facts import UNKNOWN, NodeFacts, TensorFact, Weight, of_one_batch
from tfmagic.graphs.numbered_nodes import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfmagic.frames import Shape
    from tfmagic.graphs.numbered_nodes import NumberedBody, NumberedGraph
    from tfmagic.graphs.serialized import SerializedGraph

#: Functions that call one another, each twice, run exponentially many nodes: past so many calls of one node on average,
#: and so many nodes, the rest is not looked at.
_MOST_CALLS = 4
_MOST_NODES = 300_000
_DEEPEST_CALL = 200
#: Ops that hand a weight on as it is, at most in another dtype or place.
_HANDING_ON = frozenset(
    [
        "Cast",
        "DENSIFY",
        "DEQUANTIZE",
        "Dequantize",
        "Enter",
        "GuaranteeConst",
        "Identity",
        "IdentityN",
        "ReadVariableOp",
        "RefIdentity",
        "Snapshot",
        "StopGradient",
    ]
)
#: Ops whose results take no memory of their own: what is stored, given on or seen under another shape.
WITHOUT_RESULT = ops.of_kind(
    "placeholder", "default placeholder", "argument", "constant", "identity", "variable", "reference variable",
    "variable read", "call", "branch", "loop", "control flow",
) - {"Cast"} | {"Reshape", "Squeeze", "ExpandDims", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"}  # fmt: skip
_BRANCHES = ops.of_kind("branch") | {"IF", "STABLEHLO_CASE"}
_LOOPS = ops.of_kind("loop") | {"WHILE", "STABLEHLO_WHILE"}


class NodeCost(NamedTuple):
    """What one run of a node costs; None is not known.

    Attributes
    ----------
    name : str
        Behind the scopes of what calls the function that it is in.
    place : (str, str)
        The function, ``""`` for the main graph, and the node's own name.
    """

    name: str
    op: str
    flops: int | None
    activation_bytes: int | None
    weights: tuple[Weight, ...]
    place: tuple[str, str] = ("", "")


class _Tensor(NamedTuple):
    """A tensor on the way: the number of what is known of it, and the name of the weight that it is."""

    fact: int
    weight: str = ""


class _Outcome(NamedTuple):
    """What nodes of one kind give for the like of one another's inputs, and what that costs.

    Attributes
    ----------
    outputs : tuple of _Tensor
        What is known of each output.
    weight : str or None
        The name of the weight that the first output is, ``""`` where it is called as its node, None where it is none.
    is_handed_on : bool
        Whether that weight is what comes in first.
    weighted : tuple of (int, Weight)
        The places of inputs that are weights, which are worked with, with their sizes.
    """

    outputs: tuple[_Tensor, ...]
    flops: int | None
    activation_bytes: int | None
    weight: str | None
    is_handed_on: bool
    weighted: tuple[tuple[int, Weight], ...]


class _Kind(NamedTuple):
    """An op, and the numbers of the functions that it calls."""

    op: str
    called: Sequence[int]


#: What is known of a tensor that nothing gives.
_NOTHING = _Tensor(0)


def of_graph(graph: SerializedGraph, outputs: Iterable[str], inputs: Mapping[str, Shape]) -> tuple[NodeCost, ...]:
    """Return what each node costs that outputs need, in the order in which they can run.

    Parameters
    ----------
    graph : SerializedGraph
        With its function library, and the constants' shapes.
    outputs : iterable of str
        Tensors of the main graph.
    inputs : mapping of str to shape
        The shapes of tensors that the caller gives. An open first dimension is a batch of one; any other stays open.

    Raises
    ------
    WireError
        Where the graph is not well-formed protobuf.
    """
    walk = _Walk(numbered_nodes.of_graph(graph))
    main = walk.graph.body(0)
    known = {main.tensor(tensor_names.full(tensor)): of_one_batch(shape) for tensor, shape in inputs.items()}
    walk.run(_Place(0, "", 0), [main.tensor(tensor_names.full(tensor)) for tensor in outputs], {}, known)
    return tuple(walk.costs)


class _Place(NamedTuple):
    """Which function's body is walked through, 0 for the main graph, behind which scopes, and how many calls deep."""

    function: int
    prefix: str
    depth: int


class _Walk:
    """Goes through graphs, and notes what their nodes cost."""

    def __init__(self, graph: NumberedGraph) -> None:
        self.graph = graph
        self.facts = [UNKNOWN]
        self.costs: list[NodeCost] = []
        self.visited = 0
        self._most = max(_MOST_NODES, _MOST_CALLS * len(graph.names))
        self._numbers: dict[object, int] = {UNKNOWN: 0}
        self._kinds: dict[int, _Kind] = {}
        self._outcomes: dict[tuple[int, ...], _Outcome] = {}
        #: By the functions' numbers, their names, and what their nodes take.
        self._names = {0: "", **{number: name for name, number in graph.functions.items()}}
        self._inputs: dict[int, tuple[list[int], list[int]]] = {}

    @property
    def is_over(self) -> bool:
        """Whether so much was looked at that the rest is left alone."""
        return self.visited > self._most

    def run(
        self, place: _Place, ends: Sequence[int], arguments: Mapping[int, _Tensor], given_shapes: Mapping[int, Shape]
    ) -> list[_Tensor]:
        """Note what each node costs that the ends need; return what is known of these."""
        body = self.graph.body(place.function)
        tensors = dict(arguments)
        cut = {tensor // OUTPUTS for tensor in given_shapes if tensor >= 0 and tensor % OUTPUTS == 0}
        given_nodes = {tensor // OUTPUTS for tensor in given_shapes}
        order = body.in_order(ends, cut)
        # What comes around a loop is known by the end; until then its shape is that of what went in.
        late = order[body.comes_around[order]]
        order = np.concatenate([order[~body.comes_around[order]], late])
        sources, offsets = self._sources(place.function, body)
        for node, kind in zip(order.tolist(), body.kinds[order].tolist(), strict=True):
            self.visited += 1
            if self.is_over:
                # What is left may cost anything.
                name = place.prefix + self.graph.names[body.first + node]
                self.costs.append(NodeCost(name, self._kind(kind).op, None, None, ()))
                break
            inputs = [tensors.get(tensor, _NOTHING) for tensor in sources[offsets[node] : offsets[node + 1]]]
            shapes = _shapes_of(node, given_shapes) if node in given_nodes else {}
            outputs = self._node(kind, inputs, place, body.first + node, shapes)
            tensors.update(zip(range(node * OUTPUTS, node * OUTPUTS + len(outputs)), outputs, strict=True))
        return [tensors.get(tensor, _NOTHING) for tensor in ends]

    def _sources(self, function: int, body: NumberedBody) -> tuple[list[int], list[int]]:
        if function not in self._inputs:
            self._inputs[function] = body.sources.tolist(), body.offsets.tolist()
        return self._inputs[function]

    def _kind(self, number: int) -> _Kind:
        if number not in self._kinds:
            node = self.graph.example(number)
            self._kinds[number] = _Kind(str(node.op), bodies.called(node, self.graph.functions))
        return self._kinds[number]

    def _node(
        self, number: int, inputs: Sequence[_Tensor], place: _Place, node: int, shapes: Mapping[int, Shape]
    ) -> Sequence[_Tensor]:
        """Note what a node of a kind costs; return what is known of its outputs, some of whose shapes are given."""
        kind, own = self._kind(number), self.graph.names[node]
        name = place.prefix + own
        if kind.called:
            return self._call(kind, inputs, name, place.depth)
        key = number, *[tensor.fact for tensor in inputs]
        outcome = self._outcomes.get(key) if not shapes else None
        if outcome is None:
            outcome = self._outcome(number, [self.facts[tensor.fact] for tensor in inputs], shapes)
            if not shapes:
                self._outcomes[key] = outcome
        weights = tuple([stored._replace(name=inputs[slot].weight) for slot, stored in outcome.weighted])
        where = self._names[place.function], own
        self.costs.append(NodeCost(name, kind.op, outcome.flops, outcome.activation_bytes, weights, where))
        if outcome.weight is None:
            return outcome.outputs
        weight = inputs[0].weight if outcome.is_handed_on else outcome.weight or own
        return _Tensor(outcome.outputs[0].fact, weight), *outcome.outputs[1:]

    def _outcome(self, kind: int, inputs: Sequence[TensorFact], shapes: Mapping[int, Shape]) -> _Outcome:
        """Find out what a node gives and costs, some shapes of what it gives being known."""
        facts = NodeFacts(self.graph.example(kind), inputs)
        outputs = [
            fact._replace(shape=shapes[place]) if place in shapes else fact
            for place, fact in enumerate(_outputs(facts))
        ]
        is_handed_on = facts.op in _HANDING_ON
        weight = outputs[0].weight
        weighted = enumerate(each.weight for each in inputs if not is_handed_on)
        return _Outcome(
            tuple(_Tensor(self._number(fact)) for fact in outputs),
            node_flops.count(facts, outputs),
            0 if facts.op in WITHOUT_RESULT else total(fact.bytes for fact in outputs),
            None if weight is None else weight.name,
            is_handed_on,
            tuple((slot, stored) for slot, stored in weighted if stored is not None),
        )

    def _number(self, fact: TensorFact) -> int:
        """Return a number for what is known of a tensor, the same for the same; a weight's name is no part of it."""
        fact = fact._replace(weight=None if fact.weight is None else fact.weight._replace(name=""))
        value = fact.value
        key = fact if value is None else (fact._replace(value=None), value.dtype.str, value.shape, value.tobytes())
        number = self._numbers.setdefault(key, len(self.facts))
        if number == len(self.facts):
            self.facts.append(fact)
        return number

    def _call(self, kind: _Kind, inputs: Sequence[_Tensor], name: str, depth: int) -> Sequence[_Tensor]:
        """Run through what a node calls: of branches the one that costs more counts, of a loop one round."""
        if depth > _DEEPEST_CALL or self.is_over:
            return []
        prefix = _scope(name)
        handed = inputs[1:] if kind.op in _BRANCHES else inputs
        results: list[Sequence[_Tensor]] = []
        dearest: list[NodeCost] = []
        begun = len(self.costs)
        for function in kind.called:
            body = self.graph.body(function)
            arguments = dict(zip(body.arguments, handed, strict=False))
            results.append(self.run(_Place(function, prefix, depth + 1), body.results, arguments, {}))
            if kind.op in _BRANCHES:
                branch = self.costs[begun:]
                del self.costs[begun:]
                dearest = max(dearest, branch, key=_total_flops)
        self.costs += dearest
        if kind.op in _LOOPS:
            # How often it goes around is not known: what is noted is one round.
            self.costs.append(NodeCost(prefix + name.rpartition("/")[2], kind.op, None, 0, ()))
            return inputs
        return results[0]


def _shapes_of(node: int, shapes: Mapping[int, Shape]) -> dict[int, Shape]:
    """Return the shapes of a node's outputs, by output, that some tensors' tell."""
    own = {tensor % OUTPUTS: shape for tensor, shape in shapes.items() if tensor // OUTPUTS == node}
    return {place: shape for place, shape in own.items() if shape is not None}


def _scope(name: str) -> str:
    """Return the scope of a node with its stroke, ``""`` where it has none."""
    return "".join(name.rpartition("/")[:2])


def _outputs(facts: NodeFacts) -> list[TensorFact]:
    shapes = output_shapes.infer(facts) or [None]
    dtypes = list(_dtypes(facts, len(shapes)))
    value, weight, content = small_values.value(facts), _weight(facts, shapes[0], dtypes[0]), _content(facts)
    first = TensorFact(dtypes[0], shapes[0], value, weight, content)
    return [first, *(TensorFact(dtype, shape) for dtype, shape in zip(dtypes[1:], shapes[1:], strict=True))]


def _dtypes(facts: NodeFacts, count: int) -> Iterator[str]:
    """Yield the dtypes of outputs: the rule of the first one is right for nearly all ops."""
    rule = ops.output_dtype(facts.op)
    # A node has fewer attributes than a rule asks for.
    stated = set(facts.node.attr)
    dtype = next(filter(None, (facts.dtype(attr) for attr in rule.attrs if attr in stated)), rule.default)
    stored = facts.input(0).content
    if facts.op == "ReadVariableOp" and stored is not None:
        dtype = stored.dtype
    yield from [dtype.removesuffix("_ref")] * count


def _content(facts: NodeFacts) -> TensorFact | None:
    """Return what is known of the variable behind a handle."""
    if facts.op == "VarHandleOp":
        return TensorFact(facts.dtype("dtype"), facts.stated_shape("shape"))
    return facts.input(0).content if facts.op in _HANDING_ON else None


def _weight(facts: NodeFacts, shape: Shape, dtype: str) -> Weight | None:
    """Return the weight that a node's first output is, or is a handle to; its name where it is not its node's."""
    if facts.op in _HANDING_ON:
        return facts.input(0).weight
    content = _content(facts)
    if content is not None:
        return Weight(facts.text("shared_name"), content.size, content.bytes)
    stored = TensorFact(dtype, shape)
    is_real = constants.is_of_weights(dtype) or "quantization" in facts.node.attr
    is_constant = facts.op == "Const" and is_real and (stored.size or 0) > 1
    if facts.op in ("VariableV2", "Variable") or is_constant:
        return Weight("", stored.size, stored.bytes)
    return None


def _total_flops(costs: Iterable[NodeCost]) -> int:
    return sum(cost.flops or 0 for cost in costs)


def total(values: Iterable[int | None]) -> int | None:
    """Return a sum, None where one of the values is not known."""
    listed = list(values)
    return None if None in listed else sum(value or 0 for value in listed)

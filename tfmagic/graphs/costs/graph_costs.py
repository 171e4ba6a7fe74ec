"""Walk through what a signature runs, function bodies included, and note what each node costs; sum it up by name scope.

Nothing runs: shapes go forward from the inputs, whose batch is one. Not for: the rules of single ops
(:mod:`tfmagic.graphs.costs.output_shapes`, :mod:`tfmagic.graphs.costs.flops`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.frames import CostRow
from tfmagic.graphs import bodies, constants, ops, tensor_names
from tfmagic.graphs.costs import flops as node_flops
from tfmagic.graphs.costs import output_shapes, small_values
from tfmagic.graphs.costs.tensor_facts import UNKNOWN, NodeFacts, TensorFact, Weight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfmagic.files import protos
    from tfmagic.frames import Shape

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
_WITHOUT_RESULT = ops.of_kind(
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


def of_graph(graph_def: protos.Message, outputs: Iterable[str], inputs: Mapping[str, Shape]) -> tuple[NodeCost, ...]:
    """Return what each node costs that outputs need, in the order in which they can run.

    Parameters
    ----------
    graph_def : GraphDef
        With its function library, and the constants' shapes.
    outputs : iterable of str
        Tensors of the main graph.
    inputs : mapping of str to shape
        The shapes of tensors that the caller gives. An open first dimension is a batch of one; any other stays open.
    """
    walk = _Walk(graph_def)
    known = {tensor_names.full(tensor): of_one_batch(shape) for tensor, shape in inputs.items()}
    graph = _Graph({node.name: node for node in graph_def.node}, walk.definitions, known)
    walk.run(graph, [tensor_names.full(tensor) for tensor in outputs], "", 0)
    return tuple(walk.costs)


def of_one_batch(shape: Shape) -> Shape:
    """Return a shape for one example: its first dimension is one where it is open."""
    return (1, *shape[1:]) if shape and shape[0] is None else shape


@dataclass
class _Graph(bodies.Body):
    """The nodes of a main graph or of a function's body, and what is known of its tensors."""

    #: The shapes of tensors that the caller gives, by full name.
    given_shapes: Mapping[str, Shape] = field(default_factory=dict)
    arguments: Mapping[str, TensorFact] = field(default_factory=dict)
    #: Which function's body it is.
    function: str = ""
    facts: dict[str, list[TensorFact]] = field(default_factory=dict)

    @property
    def cut(self) -> set[str]:
        """The nodes whose first output the caller gives: nothing before them runs."""
        return {tensor.removesuffix(":0") for tensor in self.given_shapes if tensor.endswith(":0")}

    def fact(self, text: str) -> TensorFact:
        """Return what is known of a tensor."""
        name, place = self.source(text)
        if name in self.arguments:
            return self.arguments[name]
        known = self.facts.get(name, ())
        return known[place] if 0 <= place < len(known) else UNKNOWN


@dataclass
class _Walk:
    """Goes through graphs, and notes what their nodes cost."""

    graph_def: protos.Message
    definitions: Mapping[str, protos.Message] = field(default_factory=dict)
    costs: list[NodeCost] = field(default_factory=list)
    visited: int = 0

    def __post_init__(self) -> None:
        self.functions = {each.signature.name: each for each in self.graph_def.library.function}
        self._bodies_by_name: dict[str, dict[str, protos.Message]] = {}
        everything = len(self.graph_def.node) + sum(len(each.node_def) for each in self.functions.values())
        self._most = max(_MOST_NODES, _MOST_CALLS * everything)

    @property
    def is_over(self) -> bool:
        """Whether so much was looked at that the rest is left alone."""
        return self.visited > self._most

    def run(self, graph: _Graph, ends: Iterable[str], prefix: str, depth: int) -> None:
        """Find what is known of all tensors that the ends need."""
        for node in graph.in_order(ends, graph.cut):
            self.visited += 1
            if self.is_over:
                # What is left may cost anything.
                self.costs.append(NodeCost(prefix + node.name, node.op, None, None, ()))
                return
            inputs = [graph.fact(text) for text in bodies.data_inputs(node)]
            graph.facts[node.name] = self._node(NodeFacts(node, inputs), graph, prefix, depth)

    def _node(self, facts: NodeFacts, graph: _Graph, prefix: str, depth: int) -> list[TensorFact]:
        called = bodies.called(facts.node, self.functions)
        name = prefix + facts.node.name
        if called:
            return self._call(facts, called, _scope(name), depth)
        outputs = _outputs(facts)
        for place, fact in enumerate(outputs):
            shape = graph.given_shapes.get(f"{facts.node.name}:{place}")
            if shape is not None:
                outputs[place] = fact._replace(shape=shape)
        weights = () if facts.op in _HANDING_ON else tuple(each.weight for each in facts.inputs if each.weight)
        results = 0 if facts.op in _WITHOUT_RESULT else _sum(fact.bytes for fact in outputs)
        flops = node_flops.count(facts, outputs)
        self.costs.append(NodeCost(name, facts.op, flops, results, weights, (graph.function, facts.node.name)))
        return outputs

    def _call(self, facts: NodeFacts, called: Sequence[protos.Message], prefix: str, depth: int) -> list[TensorFact]:
        """Run through what a node calls: of branches the one that costs more counts, of a loop one round."""
        if depth > _DEEPEST_CALL or self.is_over:
            return []
        inputs = facts.inputs[1:] if facts.op in _BRANCHES else facts.inputs
        results: list[list[TensorFact]] = []
        dearest: list[NodeCost] = []
        begun = len(self.costs)
        for body in called:
            results.append(self._body(body, inputs, prefix, depth + 1))
            if facts.op in _BRANCHES:
                branch = self.costs[begun:]
                del self.costs[begun:]
                dearest = max(dearest, branch, key=_total_flops)
        self.costs += dearest
        if facts.op in _LOOPS:
            # How often it goes around is not known: what is noted is one round.
            self.costs.append(NodeCost(prefix + facts.node.name.rpartition("/")[2], facts.op, None, 0, ()))
            return list(inputs)
        return results[0]

    def _body(
        self, function: protos.Message, inputs: Sequence[TensorFact], prefix: str, depth: int
    ) -> list[TensorFact]:
        arguments = [argument.name for argument in function.signature.input_arg]
        name = function.signature.name
        if name not in self._bodies_by_name:
            self._bodies_by_name[name] = {node.name: node for node in function.node_def}
        graph = _Graph(
            self._bodies_by_name[name],
            self.definitions,
            arguments=dict(zip(arguments, inputs, strict=False)),
            function=name,
        )
        results = bodies.results(function)
        self.run(graph, results, prefix, depth)
        return [graph.fact(text) for text in results]


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
    """Return the weight that a node's first output is, or is a handle to."""
    if facts.op in _HANDING_ON:
        return facts.input(0).weight
    content = _content(facts)
    if content is not None:
        name = facts.text("shared_name") or facts.node.name
        return Weight(name, content.size, content.bytes)
    stored = TensorFact(dtype, shape)
    is_real = constants.is_of_weights(dtype) or "quantization" in facts.node.attr
    is_constant = facts.op == "Const" and is_real and (stored.size or 0) > 1
    if facts.op in ("VariableV2", "Variable") or is_constant:
        return Weight(facts.node.name, stored.size, stored.bytes)
    return None


def _total_flops(costs: Iterable[NodeCost]) -> int:
    return sum(cost.flops or 0 for cost in costs)


def _sum(values: Iterable[int | None]) -> int | None:
    listed = list(values)
    return None if None in listed else sum(value or 0 for value in listed)


# By scope


@dataclass
class _Scope:
    """What the nodes of a scope cost together."""

    ops: Counter[str] = field(default_factory=Counter)
    flops_by_op: Counter[str] = field(default_factory=Counter)
    weights: list[Weight] = field(default_factory=list)
    flops: list[int | None] = field(default_factory=list)
    activations: list[int | None] = field(default_factory=list)

    def row(self, name: str) -> CostRow:
        dearest = self.flops_by_op.most_common(1) or self.ops.most_common(1)
        return CostRow(
            name,
            dearest[0][0],
            self.ops.total(),
            _sum(weight.size for weight in self.weights),
            _sum(weight.bytes for weight in self.weights),
            _sum(self.flops),
            _sum(self.activations),
        )


def by_scope(costs: Sequence[NodeCost], depth: int | None = None) -> Iterator[CostRow]:
    """Yield a row for each name scope, cut at a depth, in the order in which they run.

    Parameters
    ----------
    costs : sequence of NodeCost
        Of all nodes.
    depth : int, optional
        How many parts of a node's name make its scope; by default the first at which the model is more than one.
    """
    depth = depth or _first_parting(costs)
    scopes: dict[str, _Scope] = {}
    counted: set[str] = set()
    for cost in costs:
        if cost.op in _WITHOUT_RESULT and not cost.weights and cost.flops == 0:
            continue
        parts = cost.name.split("/")
        # The last part is the node's own.
        scope = scopes.setdefault("/".join(parts[: max(1, min(depth, len(parts) - 1))]), _Scope())
        scope.ops[cost.op] += 1
        scope.flops_by_op.update({cost.op: cost.flops} if cost.flops else {})
        scope.flops.append(cost.flops)
        scope.activations.append(cost.activation_bytes)
        # A weight that several use is stored once, and counted where it is used first.
        scope.weights += [weight for weight in cost.weights if weight.name not in counted]
        counted.update(weight.name for weight in cost.weights)
    return (scope.row(name) for name, scope in scopes.items())


def _first_parting(costs: Sequence[NodeCost]) -> int:
    """Return the depth at which the scopes of what computes part."""
    working = [cost.name.split("/")[:-1] for cost in costs if cost.flops != 0 or cost.weights]
    if not working:
        return 1
    shortest, longest = min(working), max(working)
    pairs = enumerate(zip(shortest, longest, strict=False))
    return next((place for place, (first, last) in pairs if first != last), min(len(shortest), len(longest))) + 1

"""How large the results of a graph's nodes are that are larger than what goes in: what a file states in a few bytes.

A ``Fill`` of a constant shape takes no room in a file, and all of the memory. Values and shapes are followed back from
such nodes, through functions to where they are called, as far as they are known without running anything. Not for: what
a node costs (:mod:`tfmagic.graphs.costs`), or what becomes large as a loop goes around.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from tfmagic.files import protos
from tfmagic.findings.known_values import elements
from tfmagic.graphs import bodies, ops
from tfmagic.graphs.costs import output_shapes, small_values
from tfmagic.graphs.costs.tensor_facts import UNKNOWN, NodeFacts, TensorFact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfmagic.findings.walked_graphs import Graph

#: Bytes of a result above which it counts as one that no memory holds. The largest that a model of the corpus states
#: are the initial values of an embedding, 0.6 GB.
LARGEST_RESULT: Final = 1 << 34
ALL_MEMORY: Final = "it may take all of the memory"
#: Ops whose result has as many elements as one of their inputs says, by the place of that: a shape, or a count.
_STATED = {
    "Bincount": 1, "BroadcastTo": 1, "Conv2DBackpropInput": 0, "Conv3DBackpropInputV2": 0, "CropAndResize": 3,
    "DecodePaddedRaw": 1, "DenseBincount": 1, "DepthwiseConv2dNativeBackpropInput": 0, "Empty": 0,
    "EmptyTensorList": 1, "Fill": 0, "IRFFT": 1, "IRFFT2D": 1, "IRFFT3D": 1, "LinSpace": 2, "MatrixDiagV2": 2,
    "MatrixDiagV3": 2, "MirrorPad": 1, "Multinomial": 1, "OneHot": 1, "Pad": 1, "PadV2": 1,
    "ParameterizedTruncatedNormal": 0, "RFFT": 1, "RFFT2D": 1, "RFFT3D": 1, "RaggedBincount": 2,
    "RaggedTensorToTensor": 0, "RandomGamma": 0, "RandomPoisson": 0, "RandomPoissonV2": 0, "RandomStandardNormal": 0,
    "RandomUniform": 0, "RandomUniformInt": 0, "ResizeArea": 1, "ResizeBicubic": 1, "ResizeBilinear": 1,
    "ResizeNearestNeighbor": 1, "ScatterNd": 2, "SegmentMaxV2": 2, "SegmentMinV2": 2, "SegmentProdV2": 2,
    "SegmentSumV2": 2, "SparseBincount": 3, "SparseSegmentMeanWithNumSegments": 3,
    "SparseSegmentSqrtNWithNumSegments": 3, "SparseSegmentSumWithNumSegments": 3, "SparseToDense": 1,
    "StatefulRandomBinomial": 2, "StatefulStandardNormal": 1, "StatefulStandardNormalV2": 2,
    "StatefulTruncatedNormal": 2, "StatefulUniform": 2, "StatefulUniformFullInt": 2, "StatefulUniformInt": 2,
    "StatelessMultinomial": 1, "StatelessParameterizedTruncatedNormal": 0, "StatelessRandomBinomial": 0,
    "StatelessRandomGammaV2": 0, "StatelessRandomGammaV3": 0, "StatelessRandomNormal": 0,
    "StatelessRandomNormalV2": 0, "StatelessRandomPoisson": 0, "StatelessRandomUniform": 0,
    "StatelessRandomUniformFullInt": 0, "StatelessRandomUniformFullIntV2": 0, "StatelessRandomUniformInt": 0,
    "StatelessRandomUniformIntV2": 0, "StatelessRandomUniformV2": 0, "StatelessTruncatedNormal": 0,
    "StatelessTruncatedNormalV2": 0, "TensorArray": 0, "TensorArrayV2": 0, "TensorArrayV3": 0, "TensorListReserve": 1,
    "TensorListResize": 1, "Tile": 1, "TruncatedNormal": 0, "UnsortedSegmentMax": 2, "UnsortedSegmentMin": 2,
    "UnsortedSegmentProd": 2, "UnsortedSegmentSum": 2,
}  # fmt: skip
#: Ops that take memory for as many elements as one of their attributes says.
_BY_ATTRIBUTE = {
    "AllCandidateSampler": "num_sampled", "AnonymousMutableDenseHashTable": "initial_num_buckets",
    "FixedUnigramCandidateSampler": "num_sampled", "LearnedUnigramCandidateSampler": "num_sampled",
    "LogUniformCandidateSampler": "num_sampled", "MutableDenseHashTable": "initial_num_buckets",
    "MutableDenseHashTableV2": "initial_num_buckets", "ThreadUnsafeUnigramCandidateSampler": "num_sampled",
    "UniformCandidateSampler": "num_sampled",
}  # fmt: skip
#: Ops whose result is larger than what goes in by what one of their inputs says, of which the shape is known.
_GROWING = frozenset({
    "BroadcastTo", "Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput", "Fill",
    "MirrorPad", "OneHot", "Pad", "PadV2", "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "Range",
    "ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "StatelessRandomNormal",
    "StatelessRandomNormalV2", "StatelessRandomUniform", "StatelessRandomUniformV2", "TemporaryVariable", "Tile",
    "TruncatedNormal",
})  # fmt: skip
#: Ops that only compute, and that TensorFlow runs also where nobody takes what they give: it calls them stateful.
ALWAYS_RUN: Final = frozenset({"TensorArray", "TensorArrayV2", "TensorArrayV3"})
#: Ops that put as many elements around what goes in as their second input says.
_PADDING = frozenset({"MirrorPad", "Pad", "PadV2"})
#: Ops whose results grow from one to the next: looked at where a graph is small.
_JOINING = frozenset({
    "Add", "AddV2", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "ConcatV2", "Einsum", "MatMul", "Mul", "Pack",
})  # fmt: skip
#: All ops that are looked at, in a small graph.
#: Ops that put what goes in, or its last dimension, on the diagonal of something as high as it is wide.
_SQUARING = frozenset({"Diag", "MatrixDiag", "MatrixDiagV2", "MatrixDiagV3"})
SIZED: Final = _GROWING | _STATED.keys() | _BY_ATTRIBUTE.keys() | _JOINING | _SQUARING
_SMALL = 1_000
#: The inputs of a range, and sizes that a constant may list: a tensor has 254 dimensions at most.
_RANGE, _MOST_SIZES = ("start", "limit", "delta"), 1024
#: What is looked at of a graph: tensors, all in all; nodes one behind another; calls of a function.
_MOST, _DEEPEST, _MOST_CALLS = 4_000, 60, 8
#: Bytes of an element where its dtype is not known, and of a place in a list of tensors.
_ITEM, _PLACE = 4, 32


class Claimed(NamedTuple):
    """A node, the function that it is in, and how large its result is."""

    function: str
    node: str
    op: str
    elements: int


def above(graph: Graph, most: int) -> Iterator[Claimed]:
    """Yield the nodes whose results take more bytes than a number, but those that no run computes."""
    sizes = _Sizes(graph)
    is_small = sum(graph.counts.values()) <= _SMALL
    wanted = SIZED if is_small else SIZED - _JOINING
    for function, node in graph.of_ops(wanted):
        body = sizes.body(function)
        elements, item = sizes.of(body, node)
        # What joins tensors is told where it makes them so large, not where they were.
        is_own = node.op not in _JOINING or all(size * item <= most for size in sizes.of_inputs(body, node))
        if elements * item > most and is_own and not _is_left_out(graph, function, node):
            yield Claimed(function, str(node.name), str(node.op), elements)


def _is_left_out(graph: Graph, function: str, node: protos.Message) -> bool:
    """Say whether TensorFlow leaves out a node of a function: nobody takes what it gives, as of the range of a loop."""
    is_computed = node.op in ops.of_effect(ops.Effect.PURE) and node.op not in ALWAYS_RUN
    return bool(function) and is_computed and node.name not in graph.taken(function)


@dataclass
class _Body(bodies.Body):
    """The nodes of a graph or a function, and what is known of their outputs so far."""

    function: str = ""
    #: The places of a function's arguments by their names.
    arguments: Mapping[str, int] = field(default_factory=dict)
    facts: dict[str, Sequence[TensorFact]] = field(default_factory=dict)


class _Sizes:
    """What is known of the tensors of a graph and of its functions."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._bodies: dict[str, _Body] = {}
        self._left = _MOST

    def body(self, function: str) -> _Body:
        """Return the main graph, or the body of a function."""
        if function not in self._bodies:
            known = self._graph.library.get(function)
            arguments = {} if known is None else {each.name: at for at, each in enumerate(known.signature.input_arg)}
            nodes = self._graph.nodes if known is None else self._graph.body(function)
            self._bodies[function] = _Body(nodes, {}, function, arguments)
        return self._bodies[function]

    def of(self, body: _Body, node: protos.Message) -> tuple[int, int]:
        """Return the elements of a node's first output, those of an open dimension being one, and what each takes."""
        if (attribute := _BY_ATTRIBUTE.get(node.op)) is not None:
            return max(int(node.attr[attribute].i), 0) if attribute in node.attr else 0, _ITEM
        stated = self._stated(body, node)
        item = _PLACE if "List" in node.op else _ITEM
        if node.op not in _GROWING and node.op not in _JOINING:
            return stated, item
        (fact, *_) = self._outputs(body, node, 0)
        return max(stated, _elements(fact)), protos.item_size(fact.dtype) or item

    def _stated(self, body: _Body, node: protos.Message) -> int:
        """Return how many elements a node's inputs say that there are, at least; 0 where none does."""
        inputs = bodies.data_inputs(node)
        if node.op == "Range":
            ends = [self._values(body, text) for text in inputs]
            known = [each[0] for each in ends if len(each) == 1]
            return _length(*known) if len(known) == len(ends) == len(_RANGE) else 0
        if node.op in _SQUARING and inputs:
            shape = [size or 1 for size in self._fact(body, inputs[0], 0).shape or ()]
            return math.prod(shape) * (math.prod(shape) if node.op == "Diag" else shape[-1]) if shape else 0
        place = _STATED.get(node.op, -1)
        sizes = self._values(body, inputs[place]) if 0 <= place < len(inputs) else ()
        sizes = [max(size, 0) for size in sizes]
        return max(sizes, default=0) if node.op in _PADDING else math.prod(sizes) if sizes else 0

    def _values(self, body: _Body, text: str) -> Sequence[int]:
        """Return the whole numbers that a tensor is known to hold.

        Constants are read at once, of which thousands cost little: no number of harmless nodes may hide one.
        """
        node = body.nodes.get(body.source(text)[0])
        if node is None or node.op != "Const" or "value" not in node.attr:
            value = self._fact(body, text, 0).value
            return [] if value is None else [int(size) for size in value.reshape(-1).tolist()]
        tensor = node.attr["value"].tensor
        count: int = math.prod(max(dim.size, 0) for dim in tensor.tensor_shape.dim)
        listed = elements(tensor) if count <= _MOST_SIZES else None
        numbers = [number for number in listed or () if isinstance(number, int)]
        # What a constant does not list is as its last number.
        return numbers + numbers[-1:] * (count - len(numbers))

    def of_inputs(self, body: _Body, node: protos.Message) -> Iterator[int]:
        """Yield the elements of what a node takes."""
        yield from (_elements(self._fact(body, text, 0)) for text in bodies.data_inputs(node))

    def _fact(self, body: _Body, text: str, depth: int) -> TensorFact:
        """Return what is known of a tensor."""
        name, place = body.source(text)
        if name in body.nodes:
            outputs = self._outputs(body, body.nodes[name], depth)
            return outputs[place] if place < len(outputs) else UNKNOWN
        if name not in body.arguments or depth > _DEEPEST:
            return UNKNOWN
        # A function may be called with several: the largest counts.
        calls = self._callers.get(body.function, ())[:_MOST_CALLS]
        known = (self._argument(call, body.arguments[name], depth + 1) for call in calls)
        return max(known, key=_extent, default=UNKNOWN)

    def _argument(self, call: tuple[str, protos.Message, int], place: int, depth: int) -> TensorFact:
        function, node, first = call
        inputs = bodies.data_inputs(node)[first:]
        return self._fact(self.body(function), inputs[place], depth) if place < len(inputs) else UNKNOWN

    def _outputs(self, body: _Body, node: protos.Message, depth: int) -> Sequence[TensorFact]:
        name = str(node.name)
        if name not in body.facts:
            if depth > _DEEPEST or self._left <= 0:
                return (UNKNOWN,)
            self._left -= 1
            # A graph may go round in a circle.
            body.facts[name] = (UNKNOWN,)
            body.facts[name] = self._worked_out(body, node, depth + 1) or (UNKNOWN,)
        return body.facts[name]

    def _worked_out(self, body: _Body, node: protos.Message, depth: int) -> Sequence[TensorFact]:
        called = bodies.called(node, self._graph.library)
        if called:
            inner = self.body(called[-1].signature.name)
            return [self._fact(inner, text, depth) for text in bodies.results(called[-1])]
        facts = NodeFacts(node, [self._fact(body, text, depth) for text in bodies.data_inputs(node)])
        shapes = output_shapes.infer(facts) or [None]
        return [TensorFact(_dtype(facts), shape, small_values.value(facts) if at == 0 else None)
                for at, shape in enumerate(shapes)]  # fmt: skip

    @cached_property
    def _callers(self) -> Mapping[str, list[tuple[str, protos.Message, int]]]:
        """The nodes that call each function, the function that each is in, and its first input that is an argument."""
        callers: dict[str, list[tuple[str, protos.Message, int]]] = {}
        library = self._graph.library
        for function, node in self._graph.of_ops(ops.of_effect(ops.Effect.CALL) | library.keys()):
            first = 1 if node.op in ops.of_kind("branch") else 0
            for callee in bodies.called(node, library):
                callers.setdefault(callee.signature.name, []).append((function, node, first))
        return callers


def _length(start: int, limit: int, delta: int) -> int:
    return max(0, -((start - limit) // delta)) if delta else 0


def _elements(fact: TensorFact) -> int:
    return 0 if fact.shape is None else math.prod(1 if size is None else size for size in fact.shape)


def _extent(fact: TensorFact) -> int:
    """Say how much is claimed by what is known of a tensor, as a value or by its shape."""
    value = () if fact.value is None else fact.value.reshape(-1).tolist()
    return max(math.prod(max(int(number), 1) for number in value), _elements(fact))


def _dtype(facts: NodeFacts) -> str:
    rule = ops.output_dtype(facts.op)
    stated: Iterable[str] = (facts.dtype(attr) for attr in rule.attrs if attr in facts.node.attr)
    return next(filter(None, stated), rule.default).removesuffix("_ref")

"""What a graph computes between its ends, without what only says how it is written down.

Calls are descended into, identities skipped, variables and the constants that are weights taken for the same thing, and
attributes left out that repeat an op's default: a SavedModel, what was frozen of it and what was saved again are then
alike. Not for: what a node by itself computes (:mod:`tfmagic.graphs.computation_kinds`), finding what differs
(:mod:`tfmagic.graphs.computation_matching`), or the values of weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.graphs import computation, node_descriptions, numbered_nodes, tensor_names
from tfmagic.graphs.computation import INPUT, TABLE, UNKNOWN, Computation, Names, spread, tensors
from tfmagic.graphs.computation_kinds import GATHER, OP, SKIP, VARIABLE, Kinds
from tfmagic.graphs.node_descriptions import WEIGHT
from tfmagic.graphs.numbered_nodes import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tfmagic.files.wire import Integers
    from tfmagic.graphs.node_descriptions import Attributes
    from tfmagic.graphs.numbered_nodes import NumberedBody
    from tfmagic.graphs.serialized import SerializedGraph

_DEEPEST_CALL = 200
#: Nodes that are gone through in the time that a body takes beside its nodes.
_STEPS_OF_CALL = 300
_NOTHING = -1
_GATHER_INPUTS = 3
_AS_STATED: Mapping[str, str] = {}


def of_graph(
    graph: SerializedGraph,
    *ends: tuple[Mapping[str, str], Mapping[str, str]],
    variables: Mapping[str, str] = _AS_STATED,
    tables: Collection[str] = (),
) -> Iterator[Computation]:
    """Yield what a graph computes between some ends.

    Parameters
    ----------
    graph : SerializedGraph
        With its function library.
    *ends : pairs of mappings of str to str
        Inputs and outputs: tensors of the main graph by key. Nothing before an input belongs to the computation.
    variables : mapping of str to str
        What variables are called whose nodes in the main graph do not tell.
    tables : collection of str
        The placeholders of the main graph that stand for lookup tables outside.

    Raises
    ------
    WireError
        Where the graph is not well-formed protobuf.
    """
    kinds = Kinds(numbered_nodes.of_graph(graph), _body_digest)
    main = kinds.graph.body(0)
    for inputs, outputs in ends:
        reading = _Reading(kinds, variables, tables)
        known = {main.tensor(tensor_names.full(text)): reading.add(key, INPUT) for key, text in inputs.items()}
        results = [main.tensor(tensor_names.full(text)) for text in outputs.values()]
        yield reading.written(dict(zip(outputs, reading.body(main, results, known, "", 0), strict=True)))


def _body_digest(kinds: Kinds, function: int, depth: int) -> str:
    """Return a text that is the same for branches and loop bodies that compute the same."""
    inner = _Reading(kinds)
    inputs = [inner.add(str(place), INPUT) for place in range(len(kinds.graph.body(function).arguments))]
    results = [*inner.call(function, inputs, "", depth), *inner.changes]
    whole = inner.written({})
    # Only a constant of the body itself: what is handed in is compared where it comes from.
    steps = [(op.op, op.attributes, op.inputs, whole.constants.get(at)) for at, op in enumerate(whole.ops)]
    kinds.is_cut |= inner.is_cut
    # Python's own hash is another one in each process.
    return node_descriptions.short_digest(repr((steps, tensors(results))).encode())


class _Ops(NamedTuple):
    """Ops that nodes of a body are: their places, what they compute, the nodes, their scope, what they consume."""

    places: Integers
    codes: Integers
    nodes: Integers
    scope: int
    counts: Integers
    sources: Integers


@dataclass
class _Reading:
    """Goes through bodies, and writes down what their nodes compute."""

    kinds: Kinds
    variables: Mapping[str, str] = field(default_factory=dict)
    tables: Collection[str] = ()
    count: int = 0
    #: Nodes that were gone through, a call counting for several.
    steps: int = 0
    is_cut: bool = False
    scopes: list[str] = field(default_factory=list)
    parts: list[_Ops] = field(default_factory=list)
    #: What goes by a name of its own, by place.
    others: dict[int, str] = field(default_factory=dict)
    _codes: list[int] = field(default_factory=list)
    _inputs: list[Sequence[int]] = field(default_factory=list)
    #: What changes state, by its first output.
    changes: list[int] = field(default_factory=list)
    constants: dict[int, str] = field(default_factory=dict)
    weight_kinds: dict[int, str] = field(default_factory=dict)
    _weights: dict[str, int] = field(default_factory=dict)
    _unknown: int = _NOTHING

    def add(self, name: str, op: str, attributes: Attributes = (), inputs: Sequence[int] = ()) -> int:
        """Append an op; return its first output."""
        return self._add(name, self.kinds.code(op, attributes), inputs)

    def _add(self, name: str, code: int, inputs: Sequence[int]) -> int:
        self.others[self.count] = name
        self._codes.append(code)
        self._inputs.append(inputs)
        self.count += 1
        return (self.count - 1) * OUTPUTS

    @property
    def is_full(self) -> bool:
        """Whether no more is written down: bodies that are gone through take time, whether they hold ops or not."""
        return self.count >= computation.MOST_OPS or self.steps >= computation.MOST_STEPS

    @property
    def unknown(self) -> int:
        """What stands for a tensor that nothing gives."""
        if self._unknown < 0:
            self._unknown = self.add("", UNKNOWN)
        return self._unknown

    def weight(self, name: str, kind: str) -> int:
        """Return a variable, which several nodes may name; which one it is, its values tell."""
        if name not in self._weights:
            self._weights[name] = self.add(name, WEIGHT)
            if kind:
                self.weight_kinds[self.count - 1] = kind
        return self._weights[name]

    def body(
        self, body: NumberedBody, ends: Sequence[int], known: Mapping[int, int], prefix: str, depth: int
    ) -> list[int]:
        """Write down what tensors need, and what changes state beside; return the tensors."""
        self.scopes.append(prefix)
        walk = _Walk(self, body, known, len(self.scopes) - 1, depth)
        state = self.kinds.changes
        changing = state.of_function(body.number) if body.number else state.of_main(ends, walk.cut)
        walk.run(body.in_order([*ends, *(node * OUTPUTS for node in changing)], walk.cut))
        self.changes += [int(walk.firsts[node]) for node in changing if walk.is_written(node)]
        return [walk.end(tensor) for tensor in ends]

    def call(self, function: int, inputs: Sequence[int], prefix: str, depth: int) -> list[int]:
        """Write down what a function computes; return its results."""
        body = self.kinds.graph.body(function)
        return self.body(body, body.results, dict(zip(body.arguments, inputs, strict=False)), prefix, depth + 1)

    def too_deep(self, name: str, kind: int, inputs: Sequence[int], depth: int) -> int:
        """Write down a call that is not descended into."""
        return self._add(name, self.kinds.too_deep(kind, depth), inputs)

    def written(self, outputs: Mapping[str, int]) -> Computation:
        """Return what was written down."""
        others = np.array(list(self.others), np.int64)
        codes, nodes, scopes, counts = (np.full(self.count, fill, np.int64) for fill in (0, -1, -1, 0))
        codes[others], counts[others] = self._codes, list(map(len, self._inputs))
        for part in self.parts:
            codes[part.places], counts[part.places] = part.codes, part.counts
            nodes[part.places], scopes[part.places] = part.nodes, part.scope
        offsets = np.zeros(self.count + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        sources = np.zeros(int(offsets[-1]), np.int64)
        for part in self.parts:
            sources[spread(offsets[part.places], part.counts)] = part.sources
        sources[spread(offsets[others], counts[others])] = [each for inputs in self._inputs for each in inputs]
        whole = Computation(self.kinds.described, codes, offsets, sources)
        whole.names = Names(self.kinds.graph.names_of_nodes, nodes, scopes, self.scopes, self.others)
        whole.outputs = dict(zip(outputs, tensors(outputs.values()), strict=True))
        whole.changes = np.array(self.changes, np.int64) // OUTPUTS
        whole.constants, whole.kinds = self.constants, self.weight_kinds
        whole.is_cut = self.is_cut or self.kinds.is_cut
        _drop_first_axes(whole)
        return whole


def _drop_first_axes(whole: Computation) -> None:
    """Leave out the axis of what looks up rows where it is the first, as nobody states it for variables."""
    counts = np.diff(whole.offsets)
    gathers = whole.of_ops(GATHER)
    gathers = gathers[counts[gathers] == _GATHER_INPUTS]
    if not len(gathers):
        return
    is_zero = np.array([("value", "0") in attributes for _, attributes in whole.described], bool)
    last = whole.offsets[gathers + 1] - 1
    dropped = is_zero[whole.codes[whole.sources[last] // OUTPUTS]]
    whole.sources = np.delete(whole.sources, last[dropped])
    counts[gathers[dropped]] -= 1
    whole.offsets = np.concatenate([[0], np.cumsum(counts)])


class _Walk:
    """One way through a body: which tensor of the computation is each tensor of the body.

    Parameters
    ----------
    reading : _Reading
        What is written to.
    body : NumberedBody
        The nodes.
    known : mapping of int to int
        Tensors of the body that are given, with those of the computation.
    scope : int
        Where the nodes lie.
    depth : int
        How many calls lead here.
    """

    def __init__(self, reading: _Reading, body: NumberedBody, known: Mapping[int, int], scope: int, depth: int) -> None:
        self.reading = reading
        self.body = body
        self.known = known
        self.scope = scope
        self.depth = depth
        #: Nodes whose first output is given: nothing before them is looked at.
        self.cut = {tensor // OUTPUTS for tensor in known if tensor >= 0 and tensor % OUTPUTS == 0}
        #: The first output of each node.
        self.firsts = np.full(body.count, _NOTHING, np.int64)
        #: The outputs of nodes that have another number of them than one.
        self.several: dict[int, list[int]] = {}

    def run(self, order: Integers) -> None:
        """Write down nodes, each after what it needs."""
        kinds, reading = self.reading.kinds, self.reading
        kinds.learn(self.body.kinds[order], self.depth)
        if self.cut:
            is_input = np.isin(order, np.fromiter(self.cut, np.int64, len(self.cut)))
            order = order[~(is_input & kinds.is_placeholder[self.body.kinds[order]])]
        self.order, self.of_order = order, self.body.kinds[order]
        reading.steps += len(order) + _STEPS_OF_CALL
        self._gather_inputs()
        ways = kinds.ways[self.of_order]
        self.late_reads = kinds.changes.before_reads(self.body.number, order)
        self.is_op = (ways == OP) | ((ways == SKIP) & (self.counts == 0))
        if self.late_reads:
            self.is_op |= np.isin(order, list(self.late_reads))
        self.is_skip = (ways == SKIP) & ~self.is_op
        begin = 0
        for place in [*np.flatnonzero(ways >= VARIABLE).tolist(), len(order)]:
            end = self._written(begin, place)
            if end < place or (place < len(order) and reading.is_full):
                reading.is_cut = True
                self.is_op[end:] = False
                break
            if place < len(order):
                self._node(place, int(ways[place]))
            begin = place + 1
        self._finish()

    def _gather_inputs(self) -> None:
        """Look up what each node consumes, and what of it is given or never comes."""
        body, order = self.body, self.order
        self.counts = body.offsets[order + 1] - body.offsets[order]
        self.begins = np.cumsum(self.counts) - self.counts
        self.inputs = body.sources[spread(body.offsets[order], self.counts)]
        sources = self.inputs // OUTPUTS
        self.supplied = np.full(len(self.inputs), _NOTHING, np.int64)
        if self.known:
            of_known = np.zeros(body.count + 1, bool)
            of_known[[max(each // OUTPUTS, -1) for each in self.known]] = True
            hits = np.flatnonzero(of_known[np.maximum(sources, -1)])
            self.supplied[hits] = [self.known.get(tensor, _NOTHING) for tensor in self.inputs[hits].tolist()]
        positions = np.full(body.count + 1, len(order), np.int64)
        positions[order] = np.arange(len(order))
        late = positions[np.maximum(sources, -1)] >= np.repeat(np.arange(len(order)), self.counts)
        late &= self.supplied < 0
        # What comes around a loop is written down by the end.
        late &= ~(np.repeat(body.comes_around[order], self.counts) & (positions[np.maximum(sources, -1)] < len(order)))
        if late.any():
            # What a damaged graph takes from nowhere, or in a circle.
            self.supplied[late] = self.reading.unknown

    def _written(self, begin: int, end: int) -> int:
        """Give numbers to the ops among some nodes, look through identities; return where there were enough of them."""
        reading = self.reading
        is_op = self.is_op[begin:end]
        before = np.cumsum(is_op) - is_op
        if reading.count + len(before) > computation.MOST_OPS:
            end = begin + int(np.searchsorted(before, computation.MOST_OPS - reading.count, "left"))
            is_op, before = is_op[: end - begin], before[: end - begin]
        nodes = self.order[begin:end]
        self.firsts[nodes[is_op]] = (reading.count + before[is_op]) * OUTPUTS
        reading.count += int(is_op.sum())
        for place in (begin + np.flatnonzero(self.is_skip[begin:end])).tolist():
            self._take(int(self.order[place]), self._inputs(place))
        return end

    def _take(self, node: int, outputs: list[int]) -> None:
        """Say what a node gives."""
        self.firsts[node] = outputs[0] if outputs else self.reading.unknown
        if len(outputs) != 1:
            self.several[node] = outputs

    def _node(self, place: int, way: int) -> None:
        """Write down a variable or a call."""
        reading, node, kind = self.reading, int(self.order[place]), int(self.of_order[place])
        own = reading.kinds.graph.names[self.body.first + node]
        if way == VARIABLE and self.depth == 0 and own in reading.tables:
            self._take(node, [reading.add(own, TABLE)])
            return
        if way == VARIABLE:
            name, described = reading.kinds.variables[kind]
            known = reading.variables.get(own) if self.depth == 0 else None
            self._take(node, [reading.weight(known or name or own, described)])
            return
        name = reading.scopes[self.scope] + own
        inputs = self._inputs(place)
        if self.depth < _DEEPEST_CALL:
            function = reading.kinds.called[kind]
            self._take(node, reading.call(function, inputs, "".join(name.rpartition("/")[:2]), self.depth))
        else:
            self._take(node, [reading.too_deep(name, kind, inputs, self.depth)])

    def _inputs(self, place: int) -> list[int]:
        begin = int(self.begins[place])
        end = begin + int(self.counts[place])
        pairs = zip(self.inputs[begin:end].tolist(), self.supplied[begin:end].tolist(), strict=True)
        return [known if known >= 0 else self._tensor(tensor) for tensor, known in pairs]

    def _tensor(self, tensor: int) -> int:
        """Return the tensor of the computation that one of the body is, which something gives."""
        node, place = divmod(tensor, OUTPUTS)
        outputs = self.several.get(node)
        if outputs is not None and place < len(outputs):
            return outputs[place]
        first = int(self.firsts[node])
        # A further output of an op.
        return first // OUTPUTS * OUTPUTS + place if place and outputs != [] else first

    def is_written(self, node: int) -> bool:
        """Whether a node is an op of the computation."""
        return bool(self.is_op[self.order == node].any())

    def end(self, tensor: int) -> int:
        """Return the tensor of the computation that an end of the body is."""
        if tensor in self.known:
            return self.known[tensor]
        is_there = tensor >= 0 and self.firsts[tensor // OUTPUTS] >= 0
        return self._tensor(tensor) if is_there else self.reading.unknown

    def _finish(self) -> None:
        """Hand over the ops, with what they consume."""
        order, reading, kinds = self.order[self.is_op], self.reading, self.reading.kinds
        if not len(order):
            return
        of_ops = np.repeat(self.is_op, self.counts)
        inputs, sources = self.inputs[of_ops], self.supplied[of_ops]
        rest = np.flatnonzero(sources < 0)
        firsts, numbers = self.firsts[inputs[rest] // OUTPUTS], inputs[rest] % OUTPUTS
        sources[rest] = np.where(numbers > 0, firsts // OUTPUTS * OUTPUTS + numbers, firsts)
        if (firsts < 0).any():
            # What comes around a loop was not looked at any more.
            sources[rest[firsts < 0]] = reading.unknown
        if self.several:
            among = np.zeros(self.body.count, bool)
            among[list(self.several)] = True
            hits = rest[among[inputs[rest] // OUTPUTS]]
            sources[hits] = [self._tensor(tensor) for tensor in inputs[hits].tolist()]
        places, of_order = self.firsts[order] // OUTPUTS, self.of_order[self.is_op]
        nodes, codes = self.body.first + order, kinds.codes[of_order]
        for node, count in self.late_reads.items():
            codes[order == node] = kinds.code("ReadVariableOp", (("after changes", str(count)),))
        reading.parts.append(_Ops(places, codes, nodes, self.scope, self.counts[self.is_op], sources))
        for place in np.flatnonzero(kinds.is_weight[of_order]).tolist():
            weight = kinds.weights[int(of_order[place])]
            if weight.kind:
                reading.weight_kinds[int(places[place])] = weight.kind
                reading.constants[int(places[place])] = weight.value

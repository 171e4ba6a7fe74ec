"""The nodes of a graph and its functions as numbers: what each takes, and in which order what tensors need can run.

A graph of a million nodes is walked through in seconds so, where messages of protobuf take minutes. Not for: what an op
computes (:mod:`tfmagic.graphs.computation_reading`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.graphs import node_columns, op_outputs, tensor_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tfmagic.files import protos
    from tfmagic.files.wire import Integers, Mask
    from tfmagic.graphs.node_attributes import Objects
    from tfmagic.graphs.serialized import SerializedGraph

#: Ops that hand on to the next round of a loop what is made in this one.
_AROUND = ("NextIteration", "RefNextIteration")
#: A tensor is one integer: the number of its node times this, and the number of the output.
OUTPUTS = 1 << 20


def of_graph(graph: SerializedGraph) -> NumberedGraph:
    """Return the nodes of a graph by number, found once for all who ask; raises what :class:`NumberedGraph` does."""
    if "numbered" not in graph.kept:
        graph.kept["numbered"] = NumberedGraph(graph)
    numbered: NumberedGraph = graph.kept["numbered"]
    return numbered


class NumberedGraph:
    """The nodes of a graph, those of the main graph first, then function by function.

    Parameters
    ----------
    graph : SerializedGraph
        With its function library.

    Attributes
    ----------
    names : list of str
        Of all nodes.
    kinds : int array
        A number for each node, the same for nodes of the same op with the same attributes.
    comes_around : bool array
        Whether a node hands on what it takes to the next round of a loop.
    functions : dict of str to int
        The numbers of functions by name; 0 is the main graph.

    Raises
    ------
    WireError
        Where the graph is not well-formed protobuf.
    """

    def __init__(self, graph: SerializedGraph) -> None:
        self._graph = graph
        columns, kinds = node_columns.read(graph, {}), node_columns.kinds(graph)
        self.names_of_nodes = columns.name
        self.names: list[str] = columns.name.tolist()
        self.kinds = kinds.of_nodes
        self.comes_around = columns.op.among(_AROUND)
        self._columns = columns
        self._inputs = columns.data_inputs
        self._offsets = np.concatenate([[0], np.cumsum(columns.data_inputs.counts)])
        self._examples = kinds.examples
        self._firsts = np.searchsorted(graph.functions_of_nodes, np.arange(len(graph.functions[0]) + 2))
        self.functions = {name: number for number, name in enumerate(graph.function_names, 1)}
        self._bodies: dict[int, NumberedBody] = {}
        self._outputs: dict[tuple[int, str, int], int] = {}

    def of_ops(self, wanted: Collection[str]) -> Mask:
        """Say of each node whether it has one of some ops."""
        return self._columns.op.among(wanted)

    @cached_property
    def waits(self) -> tuple[Integers, Objects]:
        """Where the control inputs of each node begin, and the end; the inputs, with their carets, node by node."""
        waited_for = self._columns.waited_for
        return np.concatenate([[0], np.cumsum(waited_for.counts)]), waited_for.texts

    @property
    def kind_count(self) -> int:
        """How many kinds of nodes there are."""
        return len(self._examples)

    def example(self, kind: int) -> protos.Message:
        """Parse a node of a kind."""
        return self._graph.node_def(self._examples[kind])

    def body(self, number: int) -> NumberedBody:
        """Return the nodes of a function, or of the main graph."""
        if number not in self._bodies:
            first, end = self._firsts[number : number + 2].tolist()
            offsets = self._offsets[first : end + 1]
            texts = self._inputs.texts[offsets[0] : offsets[-1]].tolist()
            self._bodies[number] = NumberedBody(self, number, first, texts, offsets - offsets[0])
        return self._bodies[number]

    def argument_names(self, number: int) -> list[str]:
        """Return the names of a function's arguments."""
        return [each.name for each in self._graph.function_signatures[number - 1].input_arg]

    def result_names(self, number: int) -> list[str]:
        """Return the tensors of a function's body that come out of it, in order, as it names them."""
        ret = self._graph.function_results(number - 1)
        return [ret.get(each.name, each.name) for each in self._graph.function_signatures[number - 1].output_arg]

    def output(self, kind: int, name: str, place: int) -> int:
        """Return the number of an output that goes by a name, as bodies of functions have it."""
        key = kind, name, place
        if key not in self._outputs:
            self._outputs[key] = op_outputs.number(self.example(kind), name, place, {}) or 0
        return self._outputs[key]


class _Tensors(dict[str, int]):
    """Tensors of a body by how inputs write them: no negative number, or of what is no node a negative one."""

    def __init__(self, body: NumberedBody, names: Sequence[str]) -> None:
        super().__init__(zip(names, range(0, len(names) * OUTPUTS, OUTPUTS), strict=True))
        self._body = body
        self._others: dict[str, int] = {}

    def __missing__(self, text: str) -> int:
        name, _, rest = text.partition(":")
        first = self.get(name)
        if first is None:
            tensor = self._others.setdefault(name, -1 - len(self._others))
        else:
            output, _, index = rest.rpartition(":")
            place = int(index) if index.isdecimal() else 0
            if output:
                place = self._body.output(first // OUTPUTS, output, place)
            tensor = first + min(place, OUTPUTS - 1)
        self[text] = tensor
        return tensor


class NumberedBody:
    """The nodes of a function or of the main graph, numbered from 0 on.

    Attributes
    ----------
    number : int
        The function's; 0 is the main graph.
    first : int
        The number of its first node in the graph.
    count : int
        How many nodes it has.
    sources : int array
        The tensors that the nodes consume, node by node.
    offsets : int array
        Where those of each node begin, and the end.
    """

    def __init__(self, graph: NumberedGraph, number: int, first: int, inputs: Sequence[str], offsets: Integers) -> None:
        self._graph = graph
        self.number = number
        #: What was asked for last: a function may be called again and again.
        self._orders: dict[tuple[tuple[int, ...], frozenset[int]], Integers] = {}
        self.first = first
        self.count = len(offsets) - 1
        self._tensors = _Tensors(self, graph.names[first : first + self.count])
        self.offsets = offsets
        self.sources = np.fromiter(map(self._tensors.__getitem__, inputs), np.int64, len(inputs))

    @property
    def kinds(self) -> Integers:
        """The kinds of its nodes."""
        return self._graph.kinds[self.first : self.first + self.count]

    @property
    def comes_around(self) -> Mask:
        """Whether its nodes hand on what they take to the next round of a loop."""
        return self._graph.comes_around[self.first : self.first + self.count]

    def tensor(self, text: str) -> int:
        """Return the tensor that an input means."""
        return self._tensors[text]

    def output(self, node: int, name: str, place: int) -> int:
        """Return the number of an output of a node that goes by a name."""
        return self._graph.output(int(self._graph.kinds[self.first + node]), name, place)

    @cached_property
    def waits(self) -> tuple[Integers, Integers]:
        """Which nodes wait for which others: a pair for each control input that is a node."""
        offsets, texts = self._graph.waits
        counts = np.diff(offsets[self.first : self.first + self.count + 1])
        own = texts[offsets[self.first] : offsets[self.first + self.count]].tolist()
        sources = np.array([self.tensor(tensor_names.node_of(text)) for text in own], np.int64) // OUTPUTS
        takers = np.repeat(np.arange(self.count), counts)
        return takers[sources >= 0], sources[sources >= 0]

    @cached_property
    def arguments(self) -> list[int]:
        """The tensors that a function's arguments are."""
        return list(map(self.tensor, self._graph.argument_names(self.number)))

    @cached_property
    def results(self) -> list[int]:
        """The tensors that come out of a function, in order."""
        return list(map(self.tensor, self._graph.result_names(self.number)))

    def in_order(self, ends: Sequence[int], cut: Collection[int] = ()) -> Integers:
        """Return the nodes that tensors need, each after what it needs but for what comes around a loop.

        Parameters
        ----------
        ends : sequence of int
            The tensors.
        cut : collection of int
            Nodes before which nothing is looked at.
        """
        key = tuple(ends), frozenset(cut)
        if key not in self._orders:
            self._orders = {key: self._ordered(ends, cut)}
        return self._orders[key]

    def _ordered(self, ends: Sequence[int], cut: Collection[int]) -> Integers:
        nodes = (self.sources // OUTPUTS).tolist()
        stops = self.offsets[1:].copy()
        around = set(np.flatnonzero(self.comes_around).tolist()) - set(cut)
        for node in (*cut, *around):
            stops[node] = self.offsets[node]
        # What of the inputs of each node is looked at next, and where they end.
        following, last = self.offsets[:-1].tolist(), stops.tolist()
        begun = bytearray(self.count)
        ordered: list[int] = []
        waiting: list[int] = []
        roots = [tensor // OUTPUTS for tensor in ends if tensor >= 0]
        for node in roots:
            if begun[node]:
                continue
            before = len(ordered)
            begun[node] = 1
            waiting.append(node)
            while waiting:
                taker = waiting[-1]
                place, end = following[taker], last[taker]
                while place < end:
                    source = nodes[place]
                    place += 1
                    if source >= 0 and not begun[source]:
                        begun[source] = 1
                        waiting.append(source)
                        following[taker] = place
                        break
                else:
                    ordered.append(waiting.pop())
            for taker in [each for each in ordered[before:] if each in around] if around else ():
                roots += [source for source in nodes[self.offsets[taker] : self.offsets[taker + 1]] if source >= 0]
        return np.array(ordered, np.int64)

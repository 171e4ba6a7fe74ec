"""Which nodes of a graph and of its functions change variables and tables as something is run.

What a function holds runs with it; of a main graph only what its outputs wait for. Not for: what single ops do
(:mod:`tfmagic.graphs.ops`), or changes outside the model (:mod:`tfmagic.findings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfmagic.graphs import bodies, ops
from tfmagic.graphs.numbered_nodes import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Collection

    from tfmagic.files.wire import Integers, Mask
    from tfmagic.graphs.numbered_nodes import NumberedBody, NumberedGraph

_WRITES = ops.of_kind("variable write", "reference write", "table write")
#: Reads that differ by what was written before.
_READS = frozenset({"ReadVariableOp"})


class StateChanges:
    """Finds the nodes that change state.

    Parameters
    ----------
    graph : NumberedGraph
        With its functions.
    """

    def __init__(self, graph: NumberedGraph) -> None:
        self._graph = graph
        self._writes = graph.of_ops(_WRITES)
        self._calls = graph.of_ops({*ops.of_effect(ops.Effect.CALL), *graph.functions})
        self._reads = graph.of_ops(_READS)
        self._by_function: dict[int, list[int]] = {}
        self._by_kind: dict[int, bool] = {}

    def of_function(self, number: int) -> list[int]:
        """Return the nodes of a function, by their numbers in its body, that change state or call what does."""
        if number not in self._by_function:
            self._by_function[number] = []  # A function that calls itself does nothing more.
            body = self._graph.body(number)
            own = slice(body.first, body.first + body.count)
            changing = self._writes[own].copy()
            for node in np.flatnonzero(self._calls[own]).tolist():
                changing[node] = self._has_effect(int(body.kinds[node]))
            self._by_function[number] = np.flatnonzero(changing).tolist()
        return self._by_function[number]

    def of_main(self, ends: Collection[int], cut: Collection[int]) -> list[int]:
        """Return such nodes of the main graph that tensors wait for.

        Parameters
        ----------
        ends : collection of int
            The tensors.
        cut : collection of int
            Nodes before which nothing is looked at.
        """
        changing = self.of_function(0)
        if not changing:
            return []
        body = self._graph.body(0)
        takers, sources = body.waits
        reached = np.zeros(body.count, bool)
        waiting = list(ends)
        while waiting:
            reached[body.in_order(waiting, cut)] = True
            waited_for = np.unique(sources[reached[takers]])
            waiting = (waited_for[~reached[waited_for]] * OUTPUTS).tolist()
        return [node for node in changing if reached[node]]

    def before_reads(self, number: int, order: Integers) -> dict[int, int]:
        """Return how many changes come before reads of variables, of those behind some, by the nodes of a body."""
        changing = self.of_function(number)
        body = self._graph.body(number)
        if not changing:
            return {}
        is_waiting = np.zeros(body.count, bool)
        is_waiting[body.waits[0]] = True
        reads = order[self._reads[body.first + order] & is_waiting[order]]
        before = {node: len(_before(body, node, changing)) for node in reads.tolist()}
        return {node: count for node, count in before.items() if count}

    def _has_effect(self, kind: int) -> bool:
        """Whether nodes of a kind run what changes state."""
        if kind not in self._by_kind:
            self._by_kind[kind] = False
            called = bodies.called(self._graph.example(kind), self._graph.functions)
            self._by_kind[kind] = any(self.of_function(function) for function in called)
        return self._by_kind[kind]


def _before(body: NumberedBody, node: int, wanted: Collection[int]) -> set[int]:
    """Return which of some nodes another one comes after, by data or because it waits."""
    takers, waited_for = body.waits
    is_wanted: Mask = np.zeros(body.count, bool)
    is_wanted[list(wanted)] = True
    reached: Mask = np.zeros(body.count, bool)
    waiting = np.array([node], np.int64)
    owners = np.repeat(np.arange(body.count), np.diff(body.offsets))
    sources = body.sources // OUTPUTS
    while len(waiting):
        reached[waiting] = True
        direct = np.concatenate([sources[reached[owners]], waited_for[reached[takers]]])
        direct = np.unique(direct[direct >= 0])
        waiting = direct[~reached[direct]]
    return set(np.flatnonzero(reached & is_wanted).tolist())

"""The wiring of a main graph: its nodes by number, the edges between them, what can be reached along these.

Not for: what the edges mean (:mod:`tfmagic.graphs.plumbing`), or the order in which nodes can run
(:mod:`tfmagic.graphs.numbered_nodes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfmagic.graphs import node_columns, numbered_nodes, tensor_names
from tfmagic.graphs.numbered_nodes import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tfmagic.files.wire import Integers, Mask
    from tfmagic.graphs.serialized import SerializedGraph


class Wiring:
    """The nodes of a main graph by number, and what each takes, by data or by control.

    Parameters
    ----------
    names : sequence of str
        Of the nodes.
    ops, labels : int array, sequence of str
        For each node which of the ops it is.
    edges : int array, int array, bool array
        For each edge the node that takes and the one that gives, -1 for one that there is not, and whether it only
        waits; of each node in the order of its inputs.
    """

    def __init__(
        self, names: Sequence[str], ops: Integers, labels: Sequence[str], edges: tuple[Integers, Integers, Mask]
    ) -> None:
        self.names, self.ops, self.labels = names, ops, labels
        users, sources, controls = edges
        kept = sources >= 0
        self.takers, self.sources, self.controls = users[kept], sources[kept], controls[kept]
        #: How many edges lead away from each node.
        self.used = np.bincount(self.sources, minlength=len(names))

    @classmethod
    def of_graph(cls, graph: SerializedGraph) -> Wiring:
        """Take the main graph of a serialised one."""
        columns, numbered = node_columns.read(graph, {}), numbered_nodes.of_graph(graph)
        body = numbered.body(0)
        counts = columns.waited_for.counts[: body.count]
        texts = columns.waited_for.texts[: int(counts.sum())].tolist()
        waits = [max(body.tensor(tensor_names.node_of(text)) // OUTPUTS, -1) for text in texts]
        takers = np.repeat(np.arange(body.count), np.diff(body.offsets))
        edges = (
            np.concatenate([takers, np.repeat(np.arange(body.count), counts)]),
            np.concatenate([np.maximum(body.sources // OUTPUTS, -1), np.array(waits, np.int64)]),
            np.arange(len(takers) + len(waits)) >= len(takers),
        )
        ops = columns.op.codes[: body.count].astype(np.int64)
        wiring = cls(numbered.names[: body.count], ops, list(columns.op.labels), edges)
        if len(set(wiring.names)) == body.count:
            return wiring
        # A name is its last node's, where a damaged graph has several.
        last = {name: node for node, name in enumerate(wiring.names)}
        return wiring.without(np.array([last[name] != node for node, name in enumerate(wiring.names)], bool))

    def without(self, gone: Mask) -> Wiring:
        """Return the same without some nodes."""
        numbers = np.where(gone, -1, np.cumsum(~gone) - 1)
        kept = ~gone[self.takers]
        edges = numbers[self.takers[kept]], numbers[self.sources[kept]], self.controls[kept]
        names = [self.names[node] for node in np.flatnonzero(~gone).tolist()]
        return Wiring(names, self.ops[~gone], self.labels, edges)

    def of_ops(self, wanted: Callable[[str], bool]) -> Mask:
        """Say of each node whether its op is wanted."""
        return np.array([wanted(label) for label in self.labels] or [False], bool)[self.ops]

    def called(self, wanted: Collection[str]) -> Mask:
        """Say of each node whether it has one of some names."""
        return np.array([name in wanted for name in self.names] if wanted else np.zeros(len(self.names)), bool)

    def behind(self, roots: Mask) -> Mask:
        """Return some nodes and all that depend on them."""
        return _reached(roots, self.sources, self.takers)

    def before(self, roots: Mask) -> Mask:
        """Return some nodes and all that they depend on."""
        return _reached(roots, self.takers, self.sources)

    def users(self) -> Callable[[int], list[int]]:
        """Return what gives the nodes that take something of a node."""
        return _following(len(self.names), self.sources, self.takers)

    def inputs(self) -> Callable[[int], list[int]]:
        """Return what gives the nodes that a node takes something of."""
        return _following(len(self.names), self.takers, self.sources)

    def first_inputs(self) -> Integers:
        """Return the node that each node takes first, -1 for none."""
        first = np.full(len(self.names), -1, np.int64)
        # Of several assignments to a place the last one stays.
        first[self.takers[::-1]] = self.sources[::-1]
        return first


def _reached(roots: Mask, begins: Integers, ends: Integers) -> Mask:
    """Return some nodes and all that edges lead to from them, directly or through others."""
    following = _following(len(roots), begins, ends)
    reached = bytearray(len(roots))
    waiting = np.flatnonzero(roots).tolist()
    while waiting:
        node = waiting.pop()
        if not reached[node]:
            reached[node] = 1
            waiting += following(node)
    return np.frombuffer(bytes(reached), bool)


def _following(count: int, begins: Integers, ends: Integers) -> Callable[[int], list[int]]:
    """Return what gives the nodes to which the edges of a node lead, in the order of the edges."""
    order = np.argsort(begins, kind="stable")
    following = ends[order].tolist()
    firsts = np.searchsorted(begins[order], np.arange(count + 1)).tolist()
    return lambda node: following[firsts[node] : firsts[node + 1]]

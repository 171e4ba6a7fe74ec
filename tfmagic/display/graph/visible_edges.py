"""The edges between the boxes that are visible: parallel ones merged, and followed into functions that are open.

Not for: the ways that they take (:mod:`tfmagic.display.graph.layout.nesting`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic.display.graph.bodies import CONTROL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.display.graph.boxes import Box, Room
    from tfmagic.display.graph.unfolding import Unfolding
    from tfmagic.files.wire import Integers, Mask


class Edge(NamedTuple):
    """Tensors that flow from one visible box to another.

    Attributes
    ----------
    source, target : int
        The boxes' numbers.
    merged : int
        How many edges of the graph it stands for.
    tensor : (Room, int)
        The node that one of them leaves, with its room.
    port : int
        Which of the node's outputs.
    is_control : bool
        Whether all of them are control edges.
    """

    source: int
    target: int
    merged: int
    tensor: tuple[Room, int]
    port: int
    is_control: bool


def visible(unfolding: Unfolding) -> list[Edge]:
    """Return the edges between visible boxes, parallel ones merged."""
    return _Edges(unfolding).all()


@dataclass
class _Edges:
    """Finds the edges of an unfolding."""

    unfolding: Unfolding

    def all(self) -> list[Edge]:
        """Return the edges, those between the same two boxes as one."""
        merged: dict[tuple[int, int], Edge] = {}
        is_open = np.array([box.is_open and box.kind == "op" for box in self.boxes], bool)
        for room, edges in self._between():
            for edge in self._room_edges(room, edges, is_open):
                known = merged.get(edge[:2])
                merged[edge[:2]] = edge if known is None else _both(known, edge)
        return list(merged.values())

    @property
    def boxes(self) -> list[Box]:
        """All boxes by number."""
        return self.unfolding.boxes

    def _between(self) -> Iterator[tuple[Room, Integers]]:
        """Yield the visible rooms, each with those of its edges that no folded box holds whole, in order."""
        rooms = list(self.unfolding.rooms())
        edges = {id(room): [room.split.between] for room in rooms}
        for box in self.unfolding.visible():
            if box.is_open and box.kind not in {"op", "function"}:
                edges[id(box.room)].append(box.split.between)
        for room in rooms:
            yield room, np.sort(np.concatenate(edges[id(room)]))

    def _room_edges(self, room: Room, edges: Integers, is_open: Mask) -> Iterator[Edge]:
        body = room.body
        source, target = room.holder[body.source[edges]], room.holder[body.target[edges]]
        calls = is_open[source] | is_open[target]
        plain = np.flatnonzero(~calls)
        keys = source[plain] * len(self.boxes) + target[plain]
        # The first edge of each pair, in the order of the graph.
        unique, first, counts = np.unique(keys, return_index=True, return_counts=True)
        data = np.bincount(
            np.searchsorted(unique, keys), weights=body.slot[edges[plain]] != CONTROL, minlength=len(unique)
        )
        for place in np.argsort(first, kind="stable").tolist():
            at = int(plain[first[place]])
            edge = int(edges[at])
            tensor = (room, int(body.source[edge]))
            yield Edge(
                int(source[at]), int(target[at]), int(counts[place]), tensor, int(body.port[edge]), not data[place]
            )
        for edge in edges[calls].tolist():
            yield from self._call_edges(room, edge)

    def _call_edges(self, room: Room, edge: int) -> Iterator[Edge]:
        """Follow an edge that leaves or enters a call into the function's body."""
        body = room.body
        is_control = int(body.slot[edge]) == CONTROL
        sources = list(self._results(room, int(body.source[edge]), CONTROL if is_control else int(body.port[edge])))
        targets = list(self._arguments(room, int(body.target[edge]), int(body.slot[edge])))
        for inner, node, port in sources:
            for box in targets:
                number = int(inner.holder[node])
                if number != box:
                    yield Edge(number, box, 1, (inner, node), port, is_control)

    def _results(self, room: Room, node: int, port: int) -> Iterator[tuple[Room, int, int]]:
        """Yield the nodes that an output comes from: those of the bodies if its box is an open call."""
        box = self.boxes[int(room.holder[node])]
        is_visible = False
        # A loop's condition answers to the loop alone.
        for inner in self._open_rooms(box)[1 if box.op.endswith("While") else 0 :]:
            results = inner.body.results
            if 0 <= port < len(results) and inner.shown[results[port]]:
                is_visible = True
                yield from self._results(inner, results[port], 0)
        if not is_visible:
            yield room, node, max(port, 0)

    def _arguments(self, room: Room, node: int, slot: int) -> Iterator[int]:
        """Yield the boxes that an input reaches: those of the bodies' arguments if its box is an open call."""
        box = self.boxes[int(room.holder[node])]
        is_visible = False
        for inner in self._open_rooms(box):
            place, arguments = slot - inner.first_input, inner.body.arguments
            if slot != CONTROL and 0 <= place < len(arguments) and inner.shown[arguments[place]]:
                is_visible = True
                yield from self._arguments(inner, arguments[place], 0)
        if not is_visible:
            yield box.number

    @staticmethod
    def _open_rooms(box: Box) -> list[Room]:
        if not box.is_open or box.kind != "op":
            return []
        return [room for room in box.rooms if room.inside and room.inside.is_open]


def _both(first: Edge, second: Edge) -> Edge:
    return first._replace(merged=first.merged + second.merged, is_control=first.is_control and second.is_control)

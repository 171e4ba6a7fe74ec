"""A rank of very many boxes made several, so that a wide graph is no strip: every other box moves down.

Not for: ranks themselves (:mod:`tfmagic.display.graph.layout.ranks`), long chains
(:mod:`tfmagic.display.graph.layout.columns`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfmagic.display.graph.layout.ranks import BOTTOM, TOP, Component

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: A rank may be so wide, in pixels, gaps included.
MOST_WIDTH = 1600
_GAP = 24
#: A few wide boxes stay beside each other: what is open is read from its top.
_LEAST_BOXES = 5


def staggered(component: Component, sizes: Mapping[int, tuple[float, float]], most: float = MOST_WIDTH) -> Component:
    """Split ranks that are too wide; edges pass between the boxes that stay above.

    Parameters
    ----------
    component : Component
        Ranked and ordered boxes.
    sizes : mapping of int to (width, height)
        Of the boxes.
    most : float
        How wide a rank may be.
    """
    ranks: dict[int, list[int]] = defaultdict(list)
    for key in sorted(component.ranks, key=lambda key: (component.order[key], key)):
        if key in sizes:
            ranks[component.ranks[key]].append(key)
    many = {rank: keys for rank, keys in ranks.items() if len(keys) >= _LEAST_BOXES}
    widths = {rank: sum(sizes[key][0] + _GAP for key in keys) for rank, keys in many.items()}
    if max(widths.values(), default=0) <= most:
        return component
    return _Split(component, many, {rank: math.ceil(width / most) for rank, width in widths.items()}).split()


@dataclass
class _Split:
    """Splits ranks into as many as are wanted of each."""

    component: Component
    boxes: Mapping[int, Sequence[int]]
    counts: Mapping[int, int]
    first: dict[int, int] = field(default_factory=dict)
    ranks: dict[int, int] = field(default_factory=dict)
    order: dict[int, float] = field(default_factory=dict)

    def split(self) -> Component:
        """Return the boxes with their new ranks, and edges with a point in each rank that they pass."""
        total = 0
        for rank in range(max(self.component.ranks.values()) + 1):
            self.first[rank] = total
            total += self.counts.get(rank, 1)
        self.ranks = {key: self.first[rank] for key, rank in self.component.ranks.items()}
        for rank, keys in self.boxes.items():
            for index, key in enumerate(keys):
                self.ranks[key] += index % self.counts[rank]
        self.order = dict(self.component.order)
        chains = {edge: self._chain(edge, chain) for edge, chain in self.component.chains.items()}
        return Component(self.ranks, self.order, chains)

    def _chain(self, edge: tuple[int, int], chain: Sequence[int]) -> list[int]:
        """Fill the ranks between what an edge passes."""
        source, target = edge
        way = [*([] if source == TOP else [source]), *chain, *([] if target == BOTTOM else [target])]
        points: list[int] = []
        # The upper end is above the rank of what comes first, the lower end below that of what comes last.
        before = self.first[self.component.ranks[way[0]]] - 1 if source == TOP else self.ranks[way[0]]
        near = way[0]
        for key in way if source == TOP else way[1:]:
            points += self._points(before + 1, self.ranks[key], near, key)
            points += [key] if key != target else []
            before, near = self.ranks[key], key
        if target == BOTTOM:
            rank = self.component.ranks[way[-1]]
            points += self._points(before + 1, self.first[rank] + self.counts.get(rank, 1), near, near)
        return points

    def _points(self, begin: int, end: int, above: int, below: int) -> list[int]:
        """Make points in the ranks from one up to another, beside what is above or below in the same rank before."""
        points = []
        for rank in range(begin, end):
            point = min(BOTTOM, *self.ranks) - 1
            within_above = rank < self.first.get(self.component.ranks.get(above, -1) + 1, math.inf)
            self.ranks[point] = rank
            self.order[point] = self.order[above if within_above else below]
            points.append(point)
        return points

"""Ranked boxes of different sizes in rows: each as near to what it is connected to as its neighbours let it.

Not for: which rank and order they have (:mod:`tfmagic.display.graph.layout.ranks`).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfmagic.display.graph.layout.ranks import BOTTOM, TOP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfmagic.display.graph.layout.ranks import Component

#: Between boxes of a row, between a box and a passing edge, between two of those, between rows.
_GAP, _ASIDE, _LANE, ROW_GAP = 24, 16, 12, 36
#: Rounds of moving boxes towards what they are connected to.
_ROUNDS = 6
#: How much an edge wants to be straight: from box to box, where a long one begins or ends, where it passes boxes.
_WEIGHTS = (3.0, 0.2, 6.0)

Size = tuple[float, float]


@dataclass
class Row:
    """One rank: what stands in it from the left, and where it begins and ends from above."""

    keys: list[int]
    top: float
    bottom: float


def stacked(component: Component, sizes: Mapping[int, Size]) -> list[Row]:
    """Put ranks one below the other, each as high as its highest box."""
    ranks: dict[int, list[int]] = defaultdict(list)
    for key, rank in component.ranks.items():
        ranks[rank].append(key)
    tops, top = [], 0.0
    for rank in sorted(ranks):
        keys = sorted(ranks[rank], key=lambda key: (component.order[key], key))
        bottom = top + max(sizes[key][1] if key in sizes else 0 for key in keys)
        tops.append(Row(keys, top, bottom))
        top = bottom + ROW_GAP
    return tops


@dataclass
class Middles:
    """Finds the middles of boxes and passing edges.

    Attributes
    ----------
    sizes : mapping of int to (width, height)
        The boxes; what is not in it passes.
    ports : mapping of int to (float, float)
        Of open boxes: where edges leave and enter, from the left side.
    """

    sizes: Mapping[int, Size]
    ports: Mapping[int, tuple[float, float]]
    places: dict[int, float] = field(default_factory=dict)
    #: By box, what is in the rows above and below: the other end, its weight, and how far to its middle it pulls.
    above: dict[int, list[tuple[int, float, float]]] = field(default_factory=lambda: defaultdict(list))
    below: dict[int, list[tuple[int, float, float]]] = field(default_factory=lambda: defaultdict(list))

    def find(self, component: Component, rows: Sequence[Row]) -> dict[int, float]:
        """Return the middles, counted from the left."""
        # A trunk that many edges share pulls once.
        for source, target in dict.fromkeys(_links(component)):
            self._link(source, target)
        for row in rows:
            self.places.update(zip(row.keys, self._packed(row.keys, [0.0] * len(row.keys), None), strict=True))
        for turn in range(_ROUNDS):
            down = turn % 2 == 0
            for row in rows if down else reversed(rows):
                self._settle(row, [self.above] if down else [self.below])
        for row in rows:
            self._settle(row, [self.above, self.below])
        left = min(place - self._half(key) for key, place in self.places.items())
        return {key: place - left for key, place in self.places.items()}

    def _link(self, source: int, target: int) -> None:
        """Have two neighbours pull at each other."""
        passing = (source not in self.sizes) + (target not in self.sizes)
        weight = _WEIGHTS[passing]
        offset = self._port(source, 0) - self._port(target, 1)
        self.above[target].append((source, weight, offset))
        self.below[source].append((target, weight, -offset))

    def _port(self, key: int, side: int) -> float:
        """Return how far right of its middle edges leave (0) or enter (1) a box."""
        return self.ports[key][side] - self.sizes[key][0] / 2 if key in self.ports else 0.0

    def _half(self, key: int) -> float:
        return self.sizes[key][0] / 2 if key in self.sizes else 0.0

    def _settle(self, row: Row, sides: Sequence[Mapping[int, list[tuple[int, float, float]]]]) -> None:
        """Move the boxes of a row towards what they are connected to."""
        wanted, weights = [], []
        for key in row.keys:
            pulls = [pull for side in sides for pull in side.get(key, ())]
            weight = sum(pull[1] for pull in pulls)
            total = sum((self.places[other] + offset) * part for other, part, offset in pulls)
            wanted.append(total / weight if weight else self.places[key])
            weights.append(weight or 0.1)
        self.places.update(zip(row.keys, self._packed(row.keys, wanted, weights), strict=True))

    def _packed(self, keys: Sequence[int], wanted: Sequence[float], weights: Sequence[float] | None) -> list[float]:
        """Return places in this order, none too near to its neighbour, and in all as near as can be to those wanted.

        Without the distances between neighbours this is isotonic regression; pooling adjacent violators solves it
        exactly (Best and Chakravarti, Mathematical Programming 47, 1990).
        """
        offsets = [0.0]
        for left, right in itertools.pairwise(keys):
            offsets.append(offsets[-1] + self._distance(left, right))
        pools: list[tuple[float, float, int]] = []
        for index, (place, offset) in enumerate(zip(wanted, offsets, strict=True)):
            mean, weight, count = place - offset, weights[index] if weights else 1.0, 1
            while pools and pools[-1][0] > mean:
                before, heavy, many = pools.pop()
                mean = (before * heavy + mean * weight) / (heavy + weight)
                weight, count = heavy + weight, many + count
            pools.append((mean, weight, count))
        levels = [mean for mean, _, count in pools for _ in range(count)]
        return [level + offset for level, offset in zip(levels, offsets, strict=True)]

    def _distance(self, left: int, right: int) -> float:
        """Return how far the middles of two neighbours are apart at least."""
        gap = (_LANE, _ASIDE, _GAP)[(left in self.sizes) + (right in self.sizes)]
        return self._half(left) + gap + self._half(right)


def _links(component: Component) -> Iterator[tuple[int, int]]:
    """Yield neighbours along each edge."""
    for (source, target), chain in component.chains.items():
        way = [*([] if source == TOP else [source]), *chain, *([] if target == BOTTOM else [target])]
        yield from itertools.pairwise(way)

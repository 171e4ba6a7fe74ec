"""Rows of boxes drawn in one column, or in several where they are many; what nothing connects, on shelves.

A long chain turns where few edges pass: down to below its column, up between the two, in at the head of the next. What
closes a cycle runs along the right side; what nothing connects lies beside it, on shelves::

    edges                one column     two columns        edges              placed

    a -> b -> c -> d     a              a   ┌──┐           a -> b -> c        a◄──┐   e   g
                         │              │   │  ▼           c -> a             │   │   │
                         b              b   │  c           e -> f             b   │   f
                         │              │   │  │           g, h               │   │
                         c              └───┘  d                              c───┘
                         │
                         d                                                    h

Not for: boxes within boxes (:mod:`tfmagic.display.graph.layout.nesting`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.display.graph.layout import ranks
from tfmagic.display.graph.layout.edge_bundling import bundled
from tfmagic.display.graph.layout.ranks import BOTTOM, TOP
from tfmagic.display.graph.layout.rows import Middles, stacked
from tfmagic.display.graph.layout.wide_ranks import MOST_WIDTH, staggered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfmagic.display.graph.layout.ranks import Links
    from tfmagic.display.graph.layout.rows import Row, Size

#: Between parts that nothing connects, between columns, between edges that run beside each other.
_PART_GAP, _GUTTER, _TRACK = 32, 44, 9
#: Below a column, room for the shape that is written where an edge begins.
_WRITTEN = 12
#: Views narrower than this get narrower ranks.
_WIDE = 1.6
#: A shelf takes at least so much.
_LEAST_SHELF = 480
#: What is not higher than this stays one column.
HIGH = 620
_MOST_COLUMNS = 8
#: What has grown higher than this is laid out anew, though it was one column.
_HIGHEST = 2 * HIGH
#: A turn with more edges than this would be a tangle.
_MOST_TURNING = 6
#: How far from its ideal place a turn may be, as a share of a column.
_SLACK = 0.3

Point = tuple[float, float]


@dataclass
class Placed:
    """The parts of one box.

    Attributes
    ----------
    corners : dict of int to point
        Upper left corners.
    edges : dict of (int, int) to list of points
        What an edge between two parts passes on its way.
    leaving, entering : dict of int to list of points
        What an edge passes between a part and the lower, or the upper end.
    width, height : float
        Of all parts together.
    heads : frozenset of int
        The parts that begin a column, but for the first.
    """

    corners: dict[int, Point]
    edges: dict[tuple[int, int], list[Point]]
    leaving: dict[int, list[Point]]
    entering: dict[int, list[Point]]
    width: float
    height: float
    heads: frozenset[int] = frozenset()

    def take(self, other: Placed) -> None:
        """Add parts that are placed already."""
        self.corners |= other.corners
        self.edges |= other.edges
        self.leaving |= other.leaving
        self.entering |= other.entering
        self.heads |= other.heads

    def widened(self, width: float) -> Placed:
        """Return the same in the middle of more room."""
        return self.moved((width - self.width) / 2, 0, width, self.height)

    def moved(self, dx: float, dy: float, width: float, height: float) -> Placed:
        """Return the same elsewhere."""

        def shift(points: Iterable[Point]) -> list[Point]:
            return [(x + dx, y + dy) for x, y in points]

        return Placed(
            dict(zip(self.corners, shift(self.corners.values()), strict=True)),
            {key: shift(points) for key, points in self.edges.items()},
            {key: shift(points) for key, points in self.leaving.items()},
            {key: shift(points) for key, points in self.entering.items()},
            width,
            height,
            self.heads,
        )


class Limits(NamedTuple):
    """When boxes one below the other go on in another column.

    Attributes
    ----------
    wrap : float or None
        The width to height ratio to aim for.
    high : float
        What is not higher stays in one column.
    heads : frozenset of int or None
        The parts that began columns before: they do so again, and no others, so that nothing jumps.
    """

    wrap: float | None
    high: float = HIGH
    heads: frozenset[int] | None = None


def place(
    sizes: Mapping[int, Size],
    links: Links,
    ports: Mapping[int, tuple[float, float]],
    limits: Limits,
) -> Placed:
    """Place the parts of one box.

    Parameters
    ----------
    sizes : mapping of int to (width, height)
        The parts.
    links : Links
        What connects them.
    ports : mapping of int to (float, float)
        Of parts that are open: where edges leave and enter, from the left side.
    limits : Limits
        When to begin another column.
    """
    wrap, heads = limits.wrap, limits.heads
    forward, backward = ranks.acyclic(sizes, links.between)
    most = MOST_WIDTH if wrap is None or wrap >= _WIDE else MOST_WIDTH * wrap / _WIDE
    blocks = []
    components = ranks.solved(list(sizes), links._replace(between=forward))
    for ranked in sorted(components, key=lambda each: min(key for key in each.ranks if key >= 0)):
        component = staggered(bundled(ranked), sizes, most)
        rows = stacked(component, sizes)
        middles = Middles(sizes, ports).find(component, rows)
        blocks.append(_Drawing(component.chains, rows, middles, sizes, ports, limits.high, heads).placed(wrap))
    known = {key for component in components for key in component.ranks}
    blocks += [_alone(key, sizes[key]) for key in sizes if key not in known]
    return _with_returns(_shelved(blocks, wrap), backward, sizes)


def _alone(key: int, size: Size) -> Placed:
    return Placed({key: (0.0, 0.0)}, {}, {}, {}, *size)


def _shelved(blocks: Sequence[Placed], wrap: float | None) -> Placed:
    """Put blocks side by side, on as many shelves as it takes."""
    if len(blocks) == 1:
        return blocks[0]
    area = sum((each.width + _PART_GAP) * (each.height + _PART_GAP) for each in blocks)
    limit = max([_LEAST_SHELF, math.sqrt(area * (wrap or 1.6)), *(each.width for each in blocks)])
    placed = Placed({}, {}, {}, {}, 0, 0)
    x = y = shelf = 0.0
    for block in blocks:
        if x and x + block.width > limit:
            x, y, shelf = 0.0, y + shelf + _PART_GAP, 0.0
        placed.take(block.moved(x, y, block.width, block.height))
        x, shelf = x + block.width + _PART_GAP, max(shelf, block.height)
        placed.width, placed.height = max(placed.width, x - _PART_GAP), max(placed.height, y + block.height)
    return placed


def _with_returns(placed: Placed, backward: Sequence[tuple[int, int]], sizes: Mapping[int, Size]) -> Placed:
    """Draw the edges that close cycles: down, along the right side, up again."""
    for number, (source, target) in enumerate(backward, 1):
        side = placed.width + number * _TRACK
        (x, y), (width, height) = placed.corners[source], sizes[source]
        over, above = placed.corners[target][0] + sizes[target][0] / 2, placed.corners[target][1] - _TRACK
        below = y + height + _TRACK
        placed.edges[source, target] = [(x + width / 2, below), (side, below), (side, above), (over, above)]
    if backward:
        placed.width += (len(backward) + 1) * _TRACK
        placed = placed.moved(0, _TRACK, placed.width, placed.height + 2 * _TRACK)
    return placed


@dataclass
class _Column:
    """Rows drawn one below the other: which, and where their left and their first top go."""

    first: int
    last: int
    left: float = 0.0
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0


@dataclass
class _Drawing:
    """One component, its rows' places known."""

    chains: Mapping[tuple[int, int], Sequence[int]]
    rows: Sequence[Row]
    middles: Mapping[int, float]
    sizes: Mapping[int, Size]
    ports: Mapping[int, tuple[float, float]]
    high: float
    heads: frozenset[int] | None = None
    columns: list[_Column] = field(default_factory=list)
    row_of: dict[int, int] = field(default_factory=dict)

    def placed(self, wrap: float | None) -> Placed:
        """Return everything drawn."""
        self.row_of = {key: index for index, row in enumerate(self.rows) for key in row.keys}
        starts = self._starts(wrap)
        ends = [*(start - 1 for start in starts[1:]), len(self.rows) - 1]
        self.columns = [_Column(first, last) for first, last in zip(starts, ends, strict=True)]
        self._arrange()
        heads = frozenset(key for start in starts[1:] for key in self.rows[start].keys if key in self.sizes)
        placed = Placed({}, {}, {}, {}, self.columns[-1].x + self.columns[-1].width, self._height(), heads)
        for key in [key for key in self.row_of if key in self.sizes]:
            placed.corners[key] = (self._x(key) - self.sizes[key][0] / 2, self._top(key))
        turned: dict[tuple[int, int], int] = {}
        for edge, chain in self.chains.items():
            points = self._points(edge, chain, turned)
            if edge[0] == TOP:
                placed.entering[edge[1]] = points
            elif edge[1] == BOTTOM:
                placed.leaving[edge[0]] = points
            else:
                placed.edges[edge] = points
        return placed

    # Columns

    def _starts(self, wrap: float | None) -> list[int]:
        """Choose the rows that begin a column."""
        if self.heads is not None and wrap is not None:
            kept = [index for index, row in enumerate(self.rows) if index and self.heads.intersection(row.keys)]
            if kept or self.rows[-1].bottom <= _HIGHEST:
                return [0, *kept]
        height, width = self.rows[-1].bottom, max(self._span(0, len(self.rows) - 1)[1], 1)
        if wrap is None or height <= self.high:
            return [0]
        count = min(_MOST_COLUMNS, round(math.sqrt(wrap * height / (width + _GUTTER))), math.ceil(height / 200))
        starts = [0]
        for number in range(1, count):
            start = self._turn(number * height / count, height / count * _SLACK, starts[-1])
            starts += [start] if start else []
        return starts

    def _turn(self, ideal: float, slack: float, after: int) -> int:
        """Return the row near a height where the fewest edges pass, 0 if there is none to turn at."""
        near = [index for index, row in enumerate(self.rows) if index > after and abs(row.top - ideal) <= slack]
        counts = {index: self._tracks(index) for index in near}
        near = [index for index in near if counts[index] <= _MOST_TURNING]
        return min(near, key=lambda index: (counts[index], abs(self.rows[index].top - ideal)), default=0)

    def _tracks(self, row: int) -> int:
        """Return how many ways beside each other the edges that pass into a row take: those of one box share one."""
        steps = (step for edge, chain in self.chains.items() for step in self._steps(edge, chain))
        return len({a for a, b in steps if self.row_of[a] < row <= self.row_of[b]})

    def _steps(self, edge: tuple[int, int], chain: Sequence[int]) -> list[tuple[int, int]]:
        way = [*([] if edge[0] == TOP else [edge[0]]), *chain, *([] if edge[1] == BOTTOM else [edge[1]])]
        return list(itertools.pairwise(way))

    def _span(self, first: int, last: int) -> tuple[float, float]:
        """Return where the leftmost box of some rows begins, and where the rightmost ends."""
        keys = [key for row in self.rows[first : last + 1] for key in row.keys]
        halves = {key: self.sizes[key][0] / 2 if key in self.sizes else 0.0 for key in keys}
        left = min(self.middles[key] - halves[key] for key in keys)
        return left, max(self.middles[key] + halves[key] for key in keys)

    def _arrange(self) -> None:
        """Put columns beside each other, with room for the edges that turn."""
        x = 0.0
        for index, column in enumerate(self.columns):
            column.left, right = self._span(column.first, column.last)
            column.width = right - column.left
            if index:
                x += _GUTTER + self._tracks(column.first) * _TRACK
            column.x, column.y = x, self._headroom() - self.rows[column.first].top
            x += column.width

    def _headroom(self) -> float:
        most = max((self._tracks(column.first) for column in self.columns[1:]), default=0)
        return (most + 1) * _TRACK if most else 0.0

    def _height(self) -> float:
        tallest = max(self.rows[column.last].bottom + column.y for column in self.columns)
        return tallest + self._headroom() + (_WRITTEN if len(self.columns) > 1 else 0)

    def _column(self, key: int) -> int:
        row = self.row_of[key]
        return next(index for index, column in enumerate(self.columns) if row <= column.last)

    def _x(self, key: int) -> float:
        column = self.columns[self._column(key)]
        return self.middles[key] - column.left + column.x

    def _top(self, key: int) -> float:
        return self.rows[self.row_of[key]].top + self.columns[self._column(key)].y

    def _bottom(self, key: int) -> float:
        return self.rows[self.row_of[key]].bottom + self.columns[self._column(key)].y

    # Edges

    def _points(self, edge: tuple[int, int], chain: Sequence[int], turned: dict[tuple[int, int], int]) -> list[Point]:
        """Return what an edge passes after its source and before its target."""
        source, target = edge
        points: list[Point] = []
        before = None
        for key in [*([] if source == TOP else [source]), *chain, *([] if target == BOTTOM else [target])]:
            if before is not None and self._column(before) != self._column(key):
                points += self._turning(before, key, turned)
            if key not in edge:
                points.append((self._x(key), self._top(key)))
            if key != target:
                points.append((self._port(key, 0), self._bottom(key)))
            before = key
        if target == BOTTOM and before is not None:
            points.append((self._port(before, 0), self._height()))
        if source == TOP and not points:
            points.append((self._port(target, 1), self._top(target)))
        return points

    def _port(self, key: int, side: int) -> float:
        """Return where edges leave (0) or enter (1)."""
        if key not in self.ports:
            return self._x(key)
        return self._x(key) - self.sizes[key][0] / 2 + self.ports[key][side]

    def _turning(self, before: int, after: int, turned: dict[tuple[int, int], int]) -> list[Point]:
        """Return the way from the end of a column to the head of the next; edges of one box share it."""
        here, there = self._column(before), self._column(after)
        track = turned.setdefault((there, before), sum(1 for column, _ in turned if column == there)) + 1
        low = self.rows[self.columns[here].last].bottom + self.columns[here].y + track * _TRACK + _WRITTEN
        high = self.rows[self.columns[there].first].top + self.columns[there].y - track * _TRACK
        side = self.columns[there].x - _GUTTER / 2 - (track - 1) * _TRACK
        return [(self._port(before, 0), low), (side, low), (side, high), (self._port(after, 1), high)]

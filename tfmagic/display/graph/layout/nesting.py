"""Where nested boxes stand and how the edges between them run: inner boxes first, then those around them by size.

Rank and order come from ``fast-sugiyama`` (https://pypi.org/project/fast-sugiyama/), which knows points only; the sizes
are given room by :mod:`tfmagic.display.graph.layout.columns`. Only what is visible is laid out. Not for: what a box
looks like.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.display.graph.layout import columns as layout_columns
from tfmagic.display.graph.layout.ranks import Links

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Around the boxes in an open box, and above them for its title, in pixels.
PADDING, TITLE = 14, 24
#: How high a column may be in a box that stands among others, and how many are too few to count.
_HIGH_INSIDE, _FEW_BESIDE = 1100, 5
Point = tuple[float, float]


@dataclass(frozen=True)
class Item:
    """A box to place.

    Attributes
    ----------
    key : int
        Its number.
    width, height : float
        Its size while it is folded; of an open one the least size.
    inner : sequence of Item
        The boxes within, if it is open.
    """

    key: int
    width: float
    height: float
    inner: Sequence[Item] = ()


class Rectangle(NamedTuple):
    """A placed box: its upper left corner, width and height, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> Point:
        """The middle of its lower side."""
        return self.x + self.width / 2, self.y + self.height


class Layout(NamedTuple):
    """Where everything is.

    Attributes
    ----------
    boxes : dict of int to Rectangle
        By the boxes' numbers.
    edges : dict of (int, int) to list of points
        The points that an edge passes, from the lower side of its source to the upper side of its target.
    width, height : float
        The whole picture's size.
    heads : dict of int to frozenset of int
        For each open box, and -1 for what is around all, the parts in it that begin columns.
    """

    boxes: dict[int, Rectangle]
    edges: dict[tuple[int, int], list[Point]]
    width: float
    height: float
    heads: dict[int, frozenset[int]]


def place(
    items: Sequence[Item],
    edges: Iterable[tuple[int, int]],
    *,
    wrap: float | None = None,
    heads: Mapping[int, frozenset[int]] | None = None,
) -> Layout:
    """Place nested boxes.

    Parameters
    ----------
    items : sequence of Item
        The outermost boxes.
    edges : iterable of (int, int)
        Numbers of boxes, at any depth; an open box may be an end as well.
    wrap : float, optional
        A width to height ratio to aim for: what is much taller goes on in a second column.
    heads : mapping of int to frozenset of int, optional
        Those of the layout before: its columns stay.
    """
    nest = _Nest.of(items)
    wanted = [edge for edge in dict.fromkeys(edges) if edge[0] != edge[1] and not nest.contains(*edge)]
    levels = _levels(nest, wanted)
    placed = {key: layout_columns.Placed({}, {}, {}, {}, 0, 0) for key in levels}
    for key in nest.inner_first:
        limits = layout_columns.Limits(wrap, _high(nest, key), (heads or {}).get(key))
        placed[key] = _place_level(nest, key, levels[key], placed, limits)
    return _absolute(nest, wanted, placed)


#: The number of what is around the outermost boxes.
_OUTSIDE = -1


@dataclass
class _Nest:
    """Boxes by number, with what is around and within each."""

    items: dict[int, Item]
    parent: dict[int, int]
    inner: dict[int, list[int]]

    @classmethod
    def of(cls, items: Sequence[Item]) -> _Nest:
        nest = cls({}, {}, {_OUTSIDE: [item.key for item in items]})
        waiting = [(item, _OUTSIDE) for item in items]
        while waiting:
            item, around = waiting.pop()
            nest.items[item.key], nest.parent[item.key] = item, around
            if item.inner:
                nest.inner[item.key] = [each.key for each in item.inner]
                waiting += [(each, item.key) for each in item.inner]
        return nest

    @property
    def inner_first(self) -> list[int]:
        """The open boxes, those within others first, the outside last."""
        return sorted(self.inner, key=lambda key: -len(self.path(key)))

    def path(self, key: int) -> list[int]:
        """Return a box and all boxes around it, the box first, the outside last."""
        keys = [key]
        while keys[-1] != _OUTSIDE:
            keys.append(self.parent[keys[-1]])
        return keys

    def contains(self, first: int, second: int) -> bool:
        """Say whether one of two boxes is around the other."""
        return first in self.path(second) or second in self.path(first)


@dataclass
class _Level:
    """The edges of one open box: between its parts, and to what is outside."""

    between: dict[tuple[int, int], None] = field(default_factory=dict)
    leaving: dict[int, None] = field(default_factory=dict)
    entering: dict[int, None] = field(default_factory=dict)


def _levels(nest: _Nest, edges: Iterable[tuple[int, int]]) -> dict[int, _Level]:
    """Say of each open box which edges run in it."""
    levels = {key: _Level() for key in nest.inner}
    for source, target in edges:
        up, common, down = _way(nest, source, target)
        levels[common].between[up[-1], down[0]] = None
        for part in up[:-1]:
            levels[nest.parent[part]].leaving[part] = None
        for part in down[1:]:
            levels[nest.parent[part]].entering[part] = None
    return levels


def _way(nest: _Nest, source: int, target: int) -> tuple[list[int], int, list[int]]:
    """Return the boxes that an edge leaves, the box in which it crosses over, and the boxes that it enters."""
    out, into = nest.path(source), nest.path(target)
    while len(out) > 1 and len(into) > 1 and out[-2] == into[-2]:
        out.pop()
        into.pop()
    return out[:-1], out[-1], into[:-1][::-1]


def _high(nest: _Nest, key: int) -> float:
    """Return how high the parts of an open box may be as one column.

    A box among others is better one column than a picture of its own; one with little beside it is the picture.
    """
    is_all = all(len(nest.inner[around]) <= _FEW_BESIDE for around in nest.path(key)[1:])
    return layout_columns.HIGH if is_all else _HIGH_INSIDE


def _place_level(
    nest: _Nest,
    key: int,
    level: _Level,
    placed: Mapping[int, layout_columns.Placed],
    limits: layout_columns.Limits,
) -> layout_columns.Placed:
    """Place the parts of one open box beside each other, their own insides placed before."""
    sizes = {part: _size(nest, part, placed) for part in nest.inner[key]}
    ports = _ports(nest, placed)
    links = Links(list(level.between), list(level.leaving), list(level.entering))
    columns = layout_columns.place(sizes, links, ports, limits)
    if key == _OUTSIDE:
        return columns
    least = nest.items[key].width - 2 * PADDING
    return columns.widened(least) if least > columns.width else columns


def _size(nest: _Nest, part: int, placed: Mapping[int, layout_columns.Placed]) -> tuple[float, float]:
    item = nest.items[part]
    if part not in nest.inner:
        return item.width, item.height
    return placed[part].width + 2 * PADDING, placed[part].height + 2 * PADDING + TITLE


def _ports(nest: _Nest, placed: Mapping[int, layout_columns.Placed]) -> dict[int, tuple[float, float]]:
    """Return where edges leave and enter each open box on average, from its left side."""
    ports = {}
    for key in nest.inner:
        if key != _OUTSIDE:
            leave = [points[-1][0] for points in placed[key].leaving.values()]
            enter = [points[0][0] for points in placed[key].entering.values()]
            middle = placed[key].width / 2
            ports[key] = (
                PADDING + (sum(leave) / len(leave) if leave else middle),
                PADDING + (sum(enter) / len(enter) if enter else middle),
            )
    return ports


def _absolute(nest: _Nest, edges: Sequence[tuple[int, int]], placed: Mapping[int, layout_columns.Placed]) -> Layout:
    """Turn places within boxes into places in the picture, and join the pieces of edges."""
    origins: dict[int, Point] = {_OUTSIDE: (0.0, 0.0)}
    boxes: dict[int, Rectangle] = {}
    for key in reversed(nest.inner_first):
        for part in nest.inner[key]:
            (x, y), (width, height) = placed[key].corners[part], _size(nest, part, placed)
            boxes[part] = Rectangle(x + origins[key][0], y + origins[key][1], width, height)
            origins[part] = (boxes[part].x + PADDING, boxes[part].y + PADDING + TITLE)
    paths = {edge: _path(nest, edge, placed, origins, boxes) for edge in edges}
    heads = {key: columns.heads for key, columns in placed.items()}
    return Layout(boxes, paths, placed[_OUTSIDE].width, placed[_OUTSIDE].height, heads)


def _path(
    nest: _Nest,
    edge: tuple[int, int],
    placed: Mapping[int, layout_columns.Placed],
    origins: Mapping[int, Point],
    boxes: Mapping[int, Rectangle],
) -> list[Point]:
    """Join the pieces of one edge: out of the boxes around its source, across, into those around its target."""
    source, target = edge
    up, common, down = _way(nest, source, target)
    points = [boxes[source].bottom]
    for part in up[:-1]:
        around = nest.parent[part]
        points += _continued(points, _moved(placed[around].leaving[part], origins[around]))
        points.append((points[-1][0], boxes[around].y + boxes[around].height))
    points += _continued(points, _moved(placed[common].edges[up[-1], down[0]], origins[common]))
    for part in down[1:]:
        around = nest.parent[part]
        inner = _moved(placed[around].entering[part], origins[around])
        first = inner[0][0] if inner else boxes[part].x + boxes[part].width / 2
        points.append((first, boxes[around].y))
        points += inner
    points.append((boxes[target].x + boxes[target].width / 2, boxes[target].y))
    return points


def _moved(points: Iterable[Point], origin: Point) -> list[Point]:
    return [(x + origin[0], y + origin[1]) for x, y in points]


def _continued(points: Sequence[Point], more: list[Point]) -> list[Point]:
    """Return a way that goes straight on from where an edge left an open box."""
    return [(points[-1][0], more[0][1]), *more[1:]] if more else more

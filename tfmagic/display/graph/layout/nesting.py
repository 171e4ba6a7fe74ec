"""Where nested boxes stand and how the edges between them run: inner boxes first, then those around them by size.

Rank and order come from ``fast-sugiyama`` (https://pypi.org/project/fast-sugiyama/), which knows points only; the sizes
are given room by :mod:`tfmagic.display.graph.layout.columns`. Only what is visible is laid out. Not for: what a box
looks like.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

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


class Asked(NamedTuple):
    """All that the places of the parts of one open box depend on.

    Attributes
    ----------
    least : float
        How wide it is at least.
    """

    sizes: dict[int, tuple[float, float]]
    links: Links
    ports: dict[int, tuple[float, float]]
    limits: layout_columns.Limits
    least: float


#: By open box, how its parts are placed, and for what that was worked out.
Levels: TypeAlias = dict[int, tuple[Asked, layout_columns.Placed]]


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
    levels : Levels
        Of each open box, and of what is around all under -1, how its parts are placed, and for what that was worked
        out.
    """

    boxes: dict[int, Rectangle]
    edges: dict[tuple[int, int], list[Point]]
    width: float
    height: float
    levels: Levels


def place(
    items: Sequence[Item],
    edges: Iterable[tuple[int, int]],
    *,
    wrap: float | None = None,
    heads: Mapping[int, frozenset[int]] | None = None,
    before: Levels | None = None,
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
        For each open box, and -1 for what is around all, the parts that began columns in layouts before: columns stay.
    before : Levels, optional
        Those of the layout before: what is in a box in which nothing has changed is not placed anew.
    """
    nest = _Nest.of(items)
    wanted = [edge for edge in dict.fromkeys(edges) if edge[0] != edge[1] and not nest.contains(*edge)]
    edges_within = _levels(nest, wanted)
    levels: Levels = {}
    for key in nest.inner_first:
        limits = layout_columns.Limits(wrap, _high(nest, key), (heads or {}).get(key))
        asked = _asked(nest, key, edges_within[key], levels, limits)
        known = (before or {}).get(key)
        levels[key] = known if known is not None and known[0] == asked else (asked, _place_level(asked))
    return _absolute(nest, wanted, levels)


#: The number of what is around the outermost boxes.
_OUTSIDE = -1


@dataclass
class _Nest:
    """Boxes by number, with what is around and within each."""

    items: dict[int, Item]
    parent: dict[int, int]
    inner: dict[int, list[int]]
    #: Of each box itself and all boxes around it, the box first, the outside last.
    paths: dict[int, tuple[int, ...]]

    @classmethod
    def of(cls, items: Sequence[Item]) -> _Nest:
        nest = cls({}, {}, {_OUTSIDE: [item.key for item in items]}, {_OUTSIDE: (_OUTSIDE,)})
        waiting = [(item, _OUTSIDE) for item in items]
        while waiting:
            item, around = waiting.pop()
            nest.items[item.key], nest.parent[item.key] = item, around
            nest.paths[item.key] = (item.key, *nest.paths[around])
            if item.inner:
                nest.inner[item.key] = [each.key for each in item.inner]
                waiting += [(each, item.key) for each in item.inner]
        return nest

    @property
    def inner_first(self) -> list[int]:
        """The open boxes, those within others first, the outside last."""
        return sorted(self.inner, key=lambda key: -len(self.paths[key]))

    def contains(self, first: int, second: int) -> bool:
        """Say whether one of two boxes is around the other."""
        return first in self.paths[second] or second in self.paths[first]


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
    out, into = list(nest.paths[source]), list(nest.paths[target])
    while len(out) > 1 and len(into) > 1 and out[-2] == into[-2]:
        out.pop()
        into.pop()
    return out[:-1], out[-1], into[:-1][::-1]


def _high(nest: _Nest, key: int) -> float:
    """Return how high the parts of an open box may be as one column.

    A box among others is better one column than a picture of its own; one with little beside it is the picture.
    """
    is_all = all(len(nest.inner[around]) <= _FEW_BESIDE for around in nest.paths[key][1:])
    return layout_columns.HIGH if is_all else _HIGH_INSIDE


def _asked(nest: _Nest, key: int, level: _Level, levels: Levels, limits: layout_columns.Limits) -> Asked:
    """Return all that the places of the parts of one open box depend on; their own insides are placed already."""
    parts = nest.inner[key]
    return Asked(
        {part: _size(nest, part, levels) for part in parts},
        Links(list(level.between), list(level.leaving), list(level.entering)),
        {part: _ports(levels[part][1]) for part in parts if part in nest.inner},
        limits,
        0 if key == _OUTSIDE else nest.items[key].width - 2 * PADDING,
    )


def _place_level(asked: Asked) -> layout_columns.Placed:
    """Place the parts of one open box beside each other."""
    columns = layout_columns.place(asked.sizes, asked.links, asked.ports, asked.limits)
    return columns.widened(asked.least) if asked.least > columns.width else columns


def _size(nest: _Nest, part: int, levels: Levels) -> tuple[float, float]:
    item = nest.items[part]
    if part not in nest.inner:
        return item.width, item.height
    placed = levels[part][1]
    return placed.width + 2 * PADDING, placed.height + 2 * PADDING + TITLE


def _ports(placed: layout_columns.Placed) -> tuple[float, float]:
    """Return where edges leave and enter an open box on average, from its left side."""
    leave = [points[-1][0] for points in placed.leaving.values()]
    enter = [points[0][0] for points in placed.entering.values()]
    middle = placed.width / 2
    return (
        PADDING + (sum(leave) / len(leave) if leave else middle),
        PADDING + (sum(enter) / len(enter) if enter else middle),
    )


def _absolute(nest: _Nest, edges: Sequence[tuple[int, int]], levels: Levels) -> Layout:
    """Turn places within boxes into places in the picture, and join the pieces of edges."""
    placed = {key: each for key, (_, each) in levels.items()}
    origins: dict[int, Point] = {_OUTSIDE: (0.0, 0.0)}
    boxes: dict[int, Rectangle] = {}
    for key in reversed(nest.inner_first):
        for part in nest.inner[key]:
            (x, y), (width, height) = placed[key].corners[part], levels[key][0].sizes[part]
            boxes[part] = Rectangle(x + origins[key][0], y + origins[key][1], width, height)
            origins[part] = (boxes[part].x + PADDING, boxes[part].y + PADDING + TITLE)
    paths = {edge: _path(nest, edge, placed, origins, boxes) for edge in edges}
    return Layout(boxes, paths, placed[_OUTSIDE].width, placed[_OUTSIDE].height, levels)


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

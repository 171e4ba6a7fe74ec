"""Rank and order of boxes that edges connect, from ``fast-sugiyama`` (https://pypi.org/project/fast-sugiyama/).

Not for: coordinates (:mod:`tfmagic.display.graph.layout.rows`).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic.display.graph.name_scopes import topological_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The names under which the solver logs.
_LOGS = ("rust-sugiyama", "connected_components")
#: The points at the upper and lower end of an open box, to and from which the edges of others run.
TOP, BOTTOM = -1, -2


class Links(NamedTuple):
    """What connects the parts of one box.

    Attributes
    ----------
    between : sequence of (int, int)
        Edges between parts.
    leaving, entering : sequence of int
        Parts that edges lead from to the outside, and to from the outside.
    """

    between: Sequence[tuple[int, int]]
    leaving: Sequence[int] = ()
    entering: Sequence[int] = ()


def acyclic(
    keys: Iterable[int], edges: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Tell edges that go forward from those that close a cycle."""
    place = {key: index for index, key in enumerate(topological_order(keys, edges))}
    forward = [edge for edge in edges if place[edge[0]] < place[edge[1]]]
    return forward, [edge for edge in edges if place[edge[0]] >= place[edge[1]]]


@dataclass
class Component:
    """Parts that edges connect, ranked and ordered.

    Attributes
    ----------
    ranks : dict of int to int
        Parts, and the points that long edges pass (numbers below ``BOTTOM``), by rank from above.
    order : dict of int to float
        Places from the left within a rank.
    chains : dict of (int, int) to list of int
        The points between the ends of each edge; ends may be ``TOP`` and ``BOTTOM``.
    """

    ranks: dict[int, int]
    order: dict[int, float]
    chains: dict[tuple[int, int], list[int]]


def solved(keys: Sequence[int], links: Links) -> list[Component]:
    """Rank and order parts with the solver."""
    # Imported with the first picture: the solver is a shared library.
    from fast_sugiyama import from_edges  # noqa: PLC0415

    # It tells each of its steps to Python's logging, hundreds of lines a picture.
    for log in map(logging.getLogger, _LOGS):
        if log.level == logging.NOTSET:
            log.setLevel(logging.WARNING)

    ends = _end_edges(keys, links)
    edges = [*links.between, *ends]
    wanted = {*links.between, *((TOP, key) for key in links.entering), *((key, BOTTOM) for key in links.leaving)}
    parts = []
    # One call for each: of several components at once, the solver gives points the numbers of other components' boxes.
    for part in _connected(edges):
        keyed = list(dict.fromkeys(end for edge in part for end in edge))
        names = {key: index for index, key in enumerate(keyed)}
        numbered = [(names[source], names[target]) for source, target in part]
        ((positions, _, _, pairs),) = from_edges(numbered, vertex_spacing=1, dummy_vertices=True)
        parts.append(_component(positions, pairs, keyed, wanted))
    return parts


def _connected(edges: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Tell apart the edges of parts that nothing connects."""
    leader: dict[int, int] = {}

    def find(key: int) -> int:
        while leader.setdefault(key, key) != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for source, target in edges:
        leader[find(source)] = find(target)
    by_part: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for edge in edges:
        by_part[find(edge[0])].append(edge)
    return list(by_part.values())


def _end_edges(keys: Sequence[int], links: Links) -> list[tuple[int, int]]:
    """Return edges that hold the upper end above all parts and the lower end below, where there is one."""
    sources, targets = {source for source, _ in links.between}, {target for _, target in links.between}
    above = {*links.entering, *(key for key in keys if key not in targets)} if links.entering else ()
    below = {*links.leaving, *(key for key in keys if key not in sources)} if links.leaving else ()
    return [(TOP, key) for key in keys if key in above] + [(key, BOTTOM) for key in keys if key in below]


def _component(
    positions: Any,  # noqa: ANN401 - as the solver gives them: numbers with places, pairs of numbers
    links: Any,  # noqa: ANN401 - as above
    keyed: Sequence[int],
    wanted: set[tuple[int, int]],
) -> Component:
    """Translate the solver's answer; points of edges that only held the ends in place are dropped."""

    def name(number: int) -> int:
        return keyed[number] if number < len(keyed) else BOTTOM - 1 - number

    following: dict[int, list[int]] = defaultdict(list)
    for source, target in links:
        following[name(source)].append(name(target))
    chains: dict[tuple[int, int], list[int]] = {}
    for source in [key for key in following if key >= BOTTOM]:
        for first in following[source]:
            chain, target = [], first
            while target < BOTTOM:
                chain.append(target)
                target = following[target][0]
            if (source, target) in wanted:
                chains[source, target] = chain
    kept = {point for chain in chains.values() for point in chain} | {key for key in keyed if key >= 0}
    places = {name(number): place for number, place in positions if name(number) in kept}
    levels = {y: rank for rank, y in enumerate(sorted({y for _, y in places.values()}, reverse=True))}
    ranks = {key: levels[y] for key, (_, y) in places.items()}
    return Component(ranks, {key: x for key, (x, _) in places.items()}, dict(sorted(chains.items())))

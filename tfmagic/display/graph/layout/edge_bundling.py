"""Long edges of one box that run side by side, made one trunk with branches: a state that feeds every step of a loop.

Not for: edges of neighbours, which stay apart.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tfmagic.display.graph.layout.ranks import BOTTOM, TOP, Component

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: So many edges of one box make a trunk, and so many ranks must each of them pass.
_LEAST_EDGES, _LEAST_RANKS = 4, 2

_Edge = tuple[int, int]


def bundled(component: Component) -> Component:
    """Join the points that long edges of one source, else of one target, pass in the same rank."""
    chains = dict(component.chains)
    order = dict(component.order)
    taken: set[_Edge] = set()
    for side in (0, 1):
        for edges in _hubs(chains, side, taken):
            taken |= set(edges)
            _join(component, chains, edges, order)
    kept = {point for chain in chains.values() for point in chain} | {key for key in component.ranks if key >= 0}
    return Component({key: rank for key, rank in component.ranks.items() if key in kept}, order, chains)


def _hubs(chains: Mapping[_Edge, Sequence[int]], side: int, taken: set[_Edge]) -> list[list[_Edge]]:
    """Return the long edges of each box that has many; the ends of an open box are many boxes outside."""
    edges_by_end: dict[int, list[_Edge]] = defaultdict(list)
    for edge, chain in chains.items():
        if len(chain) >= _LEAST_RANKS and edge not in taken:
            edges_by_end[edge[side]].append(edge)
    # What enters an open box is drawn as coming from one place, but need not.
    return [edges for end, edges in edges_by_end.items() if len(edges) >= _LEAST_EDGES and end not in {TOP, BOTTOM}] + [
        edges for end, edges in edges_by_end.items() if len(edges) >= 2 * _LEAST_EDGES and end in {TOP, BOTTOM}
    ]


def _join(
    component: Component, chains: dict[_Edge, list[int]], edges: Sequence[_Edge], order: dict[int, float]
) -> None:
    """Give some edges one point for each rank that they pass, in the middle of those that they had."""
    points: dict[int, list[int]] = defaultdict(list)
    for edge in edges:
        for point in chains[edge]:
            points[component.ranks[point]].append(point)
    for same in points.values():
        order[same[0]] = sum(order[point] for point in same) / len(same)
    for edge in edges:
        chains[edge] = [points[component.ranks[point]][0] for point in chains[edge]]

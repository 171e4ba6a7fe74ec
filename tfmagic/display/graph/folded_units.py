"""What a folded graph is made of: units of nodes under one label, the edges between them, the rows they stand in.

Not for: which units there are (:mod:`tfmagic.display.graph.folded_graph`).
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.display.graph import name_scopes, op_colours
from tfmagic.display.graph.bodies import ENDS
from tfmagic.graphs.ops import of_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfmagic.display.graph.bodies import Body
    from tfmagic.display.graph.name_scopes import Scope
    from tfmagic.files.wire import Integers, Mask
    from tfmagic.frames import Shape

#: A larger graph is folded by names alone, and its weights are not summed.
_FOLLOWED_NODES = 50_000
#: Tucked nodes between a weight and the drawn one that it belongs to.
_MOST_TUCKED = 1_000
#: The ops whose values are parameters where a graph says no more.
_PARAMETERS = of_kind("constant", "reference variable") | {"ReadVariableOp"}
_FLOATS = ("float", "bfloat", "qint", "quint", "half", "double", "int8", "uint8")
NUMBERS = re.compile(r"([0-9]+)")


@dataclass
class Unit:
    """What becomes a box: nodes under one label."""

    label: str
    nodes: list[int]
    scope: Scope | None = None
    #: What follows the layer that it is.
    after: list[str] = field(default_factory=list)
    count: int = 1
    #: What to say of it, if not what its ops say.
    detail: str = ""


class UnitGraph:
    """A body of which each drawn node belongs to one unit at most.

    Parameters
    ----------
    body : Body
        The graph.
    shown : array of bool
        The nodes that are drawn.

    Attributes
    ----------
    is_small : bool
        Whether it is followed edge by edge.
    source, target : int array
        The edges between drawn nodes.
    place : int array
        For each node, its place in the order of reading.
    """

    def __init__(self, body: Body, shown: Mask) -> None:
        self.body = body
        self.shown = shown
        self.is_small = len(body.names) <= _FOLLOWED_NODES
        kept = shown[body.source] & shown[body.target]
        self.source, self.target = body.source[kept], body.target[kept]
        self.place = np.arange(len(body.names))
        if self.is_small:
            order = name_scopes.reading_order(
                len(body.names), zip(self.source.tolist(), self.target.tolist(), strict=True)
            )
            self.place[order] = np.arange(len(order))

    def numbers(self, units: Sequence[Unit]) -> Integers:
        """Return for each node the number of the unit that holds it, -1 where none does."""
        number = np.full(len(self.body.names), -1, np.int64)
        for index, unit in enumerate(units):
            number[unit.nodes] = index
        return number

    def edges(self, number: Integers) -> set[tuple[int, int]]:
        """Return the edges between units, by what :meth:`numbers` returns."""
        source, target = number[self.source], number[self.target]
        between = (source != target) & (source >= 0) & (target >= 0)
        pairs = np.unique(np.stack([source[between], target[between]]), axis=1).T
        return {(int(first), int(second)) for first, second in pairs.tolist()}

    def in_order(self, units: Sequence[Unit]) -> list[Unit]:
        """Put before each unit what feeds it, but where that is a loop; else they stay as they are.

        A scope that reads its weights first has its middle before an input that it alone takes.
        """
        edges = self.edges(self.numbers(units))
        waiting = Counter(target for _, target in edges)
        feeds: dict[int, list[int]] = defaultdict(list)
        for source, target in edges:
            feeds[source].append(target)
        ready = [index for index in range(len(units)) if not waiting[index]]
        in_loops = iter(range(len(units)))
        # In the order in which they are put there.
        placed: dict[int, Unit] = {}
        while len(placed) < len(units):
            index = heapq.heappop(ready) if ready else next(in_loops)
            if index in placed:
                continue
            placed[index] = units[index]
            for target in feeds[index]:
                waiting[target] -= 1
                if not waiting[target]:
                    heapq.heappush(ready, target)
        return list(placed.values())

    def shapes(self, units: Sequence[Unit]) -> list[Shape]:
        """Return for each unit the shape of the last tensor that goes on from it, or of its last."""
        number, count = self.numbers(units), len(self.body.names)
        goes_on = np.zeros(count, bool)
        goes_on[self.source[number[self.source] != number[self.target]]] = True
        order = self.place + np.where(goes_on, count, 0)
        last = np.full(len(units), -1, np.int64)
        drawn = np.flatnonzero(number >= 0)
        np.maximum.at(last, number[drawn], order[drawn])
        return [self.body.shapes[node] for node in np.argsort(self.place)[last % count].tolist()]

    def middle(self, scope: Scope) -> float:
        """Return where the middle of a scope is read."""
        if len(scope.members) == 1:
            return float(self.place[scope.members[0]])
        # A twentieth of what numpy's median takes of a handful.
        places = np.sort(self.place[scope.members])
        return float(places[(len(places) - 1) // 2] + places[len(places) // 2]) / 2

    def kind(self, nodes: Iterable[int]) -> str:
        """Return the kind of what tells most among some nodes."""
        kinds = {op_colours.kind_of(self.body.ops[node]) for node in nodes}
        inner = kinds - {"end"} or kinds
        return next(kind for kind in op_colours.KINDS if kind in inner)

    def is_end(self, unit: Unit) -> bool:
        """Say whether a unit is made of inputs and outputs alone."""
        return all(self.body.ops[node] in ENDS for node in unit.nodes)

    def ops(self, unit: Unit) -> Counter[str]:
        """Count a unit's ops."""
        return Counter(self.body.ops[node] for node in unit.nodes)

    def name(self, unit: Unit) -> str:
        """Return the key of the end that a unit is, else its label."""
        return self.body.keys.get(unit.nodes[0], unit.label) if len(unit.nodes) == 1 else unit.label

    def are_alike(self, first: Unit, second: Unit) -> bool:
        """Say whether two units that the same shape leaves are alike by their names, or by their ops."""
        if self.is_end(first) or self.is_end(second):
            return False
        if NUMBERS.sub("#", first.label) == NUMBERS.sub("#", second.label) and first.label != second.label:
            return min(len(first.nodes), len(second.nodes)) > 1 or self.ops(first) == self.ops(second)
        return self.ops(first) == self.ops(second) and self.kind(first.nodes) not in {"shape", "math", "other"}

    def summed_weights(self) -> Integers:
        """Count for each drawn node the constants and variables that are tucked into it."""
        body = self.body
        weights = np.zeros(len(body.names), np.int64)
        following: dict[int, list[int]] = defaultdict(list)
        tucked = ~self.shown[body.source]
        for source, target in zip(body.source[tucked].tolist(), body.target[tucked].tolist(), strict=True):
            following[source].append(target)
        for node in np.flatnonzero(body.is_op(_PARAMETERS) & ~self.shown).tolist():
            shape = body.shapes[node]
            if shape and None not in shape and body.dtypes[node].startswith(_FLOATS):
                owner = self._consumer(node, following)
                if owner >= 0:
                    weights[owner] += int(np.prod([float(each or 0) for each in shape]))
        return weights

    def _consumer(self, node: int, following: Mapping[int, Sequence[int]]) -> int:
        """Return the first drawn node that a tucked one reaches, -1 if there is none."""
        seen, waiting = {node}, deque([node])
        while waiting and len(seen) < _MOST_TUCKED:
            for target in following.get(waiting.popleft(), ()):
                if self.shown[target]:
                    return target
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return -1


def joined(units: Sequence[Unit], label: str, detail: str = "") -> Unit:
    """Make one unit of several."""
    return Unit(label, [node for unit in units for node in unit.nodes], detail=detail)


def ranged(first: str, last: str) -> str:
    """Name a run: ``block_3-5`` (with an en dash), ``conv … dense``."""
    pieces, others = NUMBERS.split(first), NUMBERS.split(last)
    differing = [place for place, (one, other) in enumerate(zip(pieces, others, strict=False)) if one != other]
    if len(pieces) == len(others) and len(differing) == 1 and pieces[differing[0]].isdecimal():
        pieces[differing[0]] += f"\N{EN DASH}{others[differing[0]]}"
        return "".join(pieces)
    return f"{first} … {last}"


def ranked(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """Put each box in the row below all that feeds it; an edge that goes back says nothing."""
    forward = sorted((source, target) for source, target in edges if source < target)
    ranks = [0] * count
    for source, target in forward:
        ranks[target] = max(ranks[target], ranks[source] + 1)
    # A branch stands just above where it comes back.
    for source in reversed(range(count)):
        targets = [ranks[target] for start, target in forward if start == source]
        ranks[source] = min(targets, default=ranks[source] + 1) - 1
    return ranks

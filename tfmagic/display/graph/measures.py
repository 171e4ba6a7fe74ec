"""Numbers for the nodes of a graph, by name, and what they sum up to in a box that stands for several nodes.

Not for: where numbers come from (:mod:`tfmagic.verbs.colouring`), or how they look
(:mod:`tfmagic.display.graph.shades`).
"""

from __future__ import annotations

import bisect
import math
from collections import defaultdict, deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from tfmagic.display.graph.bodies import Body, Library
    from tfmagic.files.wire import Integers, Mask

    Floats = npt.NDArray[np.float64]

#: Functions that call functions are summed up so deep.
_DEEPEST_CALL = 50
#: Nodes between a node that is not drawn and the drawn one that it feeds.
_MOST_TUCKED = 1_000
COUNT, BYTES, SECONDS = "", "bytes", "seconds"


@dataclass(frozen=True)
class Measure:
    """One number for each node that has some.

    Attributes
    ----------
    title : str
        What is measured.
    of_names : mapping of str to float
        By name, in whichever body: of a node or a layer, else of a name scope.
    of_nodes : mapping of (str, str) to float
        By function (``""`` is the main graph) and node; that of a node is taken before that of a name.
    unit : str
        ``"bytes"``, ``"seconds"``, or nothing for counts and whatever else.
    note : str
        What a person should know of it.
    """

    title: str
    of_names: Mapping[str, float] = field(default_factory=dict)
    of_nodes: Mapping[tuple[str, str], float] = field(default_factory=dict)
    unit: str = COUNT
    note: str = ""


class Sums:
    """What a measure sums up to in the boxes of a library's graphs.

    Parameters
    ----------
    measure : Measure
        The numbers.
    library : Library
        The bodies.
    """

    def __init__(self, measure: Measure, library: Library) -> None:
        self.measure = measure
        self._library = library
        self._totals: dict[str, float | None] = {}
        self._named: dict[str, _Named] = {}
        self._drawn: dict[tuple[str, bytes], tuple[Floats, Integers]] = {}

    def of(self, body: Body, shown: Mask, nodes: Integers) -> float | None:
        """Return the sum over some drawn nodes, None where none of them has a number.

        A scope's number counts where all of its drawn nodes are among them; that of a node which is not drawn, such as
        a constant, counts for the drawn one that it feeds.
        """
        values, places = self._of_drawn(body, shown)
        own = values[nodes]
        known = own[~np.isnan(own)]
        sums = [float(known.sum())] if known.size else []
        named = self._names_of(body)
        if named.scopes:
            sorted_places = np.sort(places[nodes])
            drawn = np.sort(places[shown])
            for begin, end, value in named.scopes:
                inside = np.searchsorted(sorted_places, [begin, end])
                all_of = np.searchsorted(drawn, [begin, end])
                if 0 < inside[1] - inside[0] == all_of[1] - all_of[0]:
                    sums.append(value)
        return math.fsum(sums) if sums else None

    @cached_property
    def unmatched(self) -> list[str]:
        """The names that are neither a node's nor a scope's in any of the bodies."""
        if not self.measure.of_names:
            return []
        nodes = self._library.names
        names = sorted(nodes)
        return [name for name in self.measure.of_names if name not in nodes and not _range(names, name)]

    def _names_of(self, body: Body) -> _Named:
        if body.function not in self._named:
            self._named[body.function] = _Named.of(self.measure, body)
        return self._named[body.function]

    def _of_drawn(self, body: Body, shown: Mask) -> tuple[Floats, Integers]:
        """Return for each node its number with those of what is tucked into it, and its place in the order of names."""
        key = (body.function, shown.tobytes())
        if key not in self._drawn:
            named = self._names_of(body)
            values = self._with_calls(body, named.values)
            hidden = np.flatnonzero(~shown & ~np.isnan(values))
            owners = _consumers(body, shown, hidden.tolist())
            for node, owner in zip(hidden.tolist(), owners, strict=True):
                if owner >= 0:
                    values[owner] = np.nansum([values[owner], values[node]])
            self._drawn[key] = values, named.places
        return self._drawn[key]

    def _with_calls(self, body: Body, own: Floats, depth: int = 0) -> Floats:
        """Give nodes without a number what the functions that they call come to."""
        values = own.copy()
        for node in np.flatnonzero(np.isnan(own)).tolist():
            totals = [self._total(call.function, depth + 1) for call in self._library.calls(body, node)]
            known = [total for total in totals if total is not None]
            if known:
                values[node] = math.fsum(known)
        return values

    def _total(self, function: str, depth: int) -> float | None:
        """Return what a function comes to; one that calls itself counts once."""
        if function not in self._totals:
            self._totals[function] = None
            if depth <= _DEEPEST_CALL:
                body = self._library.body(function)
                named = self._names_of(body)
                values = self._with_calls(body, named.values, depth)
                known = values[~np.isnan(values)]
                sums = [*known.tolist(), *(value for _, _, value in named.scopes)]
                self._totals[function] = math.fsum(sums) if sums else None
        return self._totals[function]


@dataclass
class _Named:
    """What a measure says of one body.

    Attributes
    ----------
    values : float array
        One a node, NaN where there is none.
    places : int array
        Where each node stands in the order of names.
    scopes : list of (int, int, float)
        Name scopes with a number: their nodes are those between two places.
    """

    values: Floats
    places: Integers
    scopes: list[tuple[int, int, float]]

    @classmethod
    def of(cls, measure: Measure, body: Body) -> _Named:
        values = np.full(len(body.names), np.nan)
        by_name, by_node, function = measure.of_names, measure.of_nodes, body.function
        for node, name in enumerate(body.names):
            value = by_node.get((function, name), by_name.get(name))
            if value is not None:
                values[node] = value
        order = sorted(range(len(body.names)), key=body.names.__getitem__)
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        names = [body.names[node] for node in order]
        own = set(body.names) if by_name else set()
        ranges = ((name, _range(names, name)) for name in by_name if name not in own)
        return cls(values, places, [(*found, by_name[name]) for name, found in ranges if found])


def _range(names: Sequence[str], scope: str) -> tuple[int, int] | None:
    """Return where in sorted names those of a scope begin and end, None where there are none."""
    begin = bisect.bisect_left(names, f"{scope}/")
    # What follows the stroke.
    end = bisect.bisect_left(names, f"{scope}0")
    return (begin, end) if begin < end else None


def _consumers(body: Body, shown: Mask, nodes: Sequence[int]) -> list[int]:
    """Return for each node the first drawn one that it feeds, -1 where there is none."""
    following: dict[int, list[int]] = defaultdict(list)
    if nodes:
        tucked = ~shown[body.source]
        for source, target in zip(body.source[tucked].tolist(), body.target[tucked].tolist(), strict=True):
            following[source].append(target)
    return [_consumer(node, following, shown) for node in nodes]


def _consumer(node: int, following: Mapping[int, Sequence[int]], shown: Mask) -> int:
    seen, waiting = {node}, deque([node])
    while waiting and len(seen) < _MOST_TUCKED:
        for target in following.get(waiting.popleft(), ()):
            if shown[target]:
                return target
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return -1

"""The bodies of one model with what only another one has, each node and edge of it by name.

Not for: what differs between two models (the verb diff), or marking it (:mod:`tfmagic.display.graph.shades`).
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.display.graph.bodies import Library
from tfmagic.display.graph.layer_bodies import LayerLibrary
from tfmagic.graphs import ops
from tfmagic.graphs.computation_kinds import CALLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pandas as pd

    from tfmagic.display.graph.bodies import Body
    from tfmagic.display.graph.choices import Choice
    from tfmagic.display.shown_model import ShownModel


def layers(own: pd.DataFrame, other: pd.DataFrame, gone: Collection[str]) -> LayerLibrary:
    """Return the layers of a model, and those that another one has besides; each stands before what it fed there."""
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    added = other[other["name"].isin(set(gone) - set(own["name"]))]
    return LayerLibrary(pd.concat([own, added], ignore_index=True) if len(added) else own)


class OverlaidLibrary(Library):
    """The bodies of a model's graph with nodes that only another one has.

    Parameters
    ----------
    model : ShownModel
        What is drawn.
    other : Library
        The bodies of the other one.
    gone : mapping of str to collection of str
        By function of the other one, the nodes that only it has.
    partners : dict of str to str
        Which function of the other one goes with which of the model's.
    """

    def __init__(
        self, model: ShownModel, other: Library, gone: Mapping[str, Collection[str]], partners: dict[str, str]
    ) -> None:
        super().__init__(model)
        self._other = other
        self._gone = gone
        self._partners = partners

    @property
    def names(self) -> set[str]:
        """What nodes are called, those of the other one included."""
        return super().names.union(*self._gone.values())

    def _build(self, function: str) -> Body:
        body = super()._build(function)
        partner = self._partners.get(function)
        gone = () if partner is None else self._gone.get(partner, ())
        return _overlaid(body, self._other.body(partner), gone) if partner is not None and gone else body


def located(library: Library, roots: Iterable[str], wanted: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """Find ops by the names that they have below the scopes of the calls that lead to them.

    Parameters
    ----------
    library : Library
        The bodies.
    roots : iterable of str
        The functions that nothing leads to.
    wanted : collection of str
        Names as a computation has them (:class:`tfmagic.graphs.computation.Op`).

    Returns
    -------
    dict of str to list of (str, str)
        By name, functions and nodes: one function may be called under one scope by several.
    """
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    names, ordered = frozenset(wanted), sorted(wanted)
    waiting, seen = [(root, "") for root in roots], set()
    while waiting:
        function, scope = waiting.pop()
        if (function, scope) in seen:
            continue
        seen.add((function, scope))
        body = library.body(function)
        for node, name in enumerate(body.names):
            if scope + name in names:
                places[scope + name].append((function, name))
            calls = library.calls(body, node)
            inner = "".join((scope + name).rpartition("/")[:2])
            if len(calls) == 1 and ops.named(body.ops[node]).kind in CALLS and _has_any(ordered, inner):
                waiting.append((calls[0].function, inner))
    return places


def _has_any(ordered: Sequence[str], beginning: str) -> bool:
    """Whether one of some sorted names begins like this."""
    place = bisect.bisect_left(ordered, beginning)
    return place < len(ordered) and ordered[place].startswith(beginning)


def _overlaid(body: Body, other: Body, gone: Collection[str]) -> Body:
    """Return a body with nodes of another one, and the edges between them and those of the same names."""
    numbers = dict(zip(body.names, range(len(body.names)), strict=True))
    added = [node for node, name in enumerate(other.names) if name in gone and name not in numbers]
    numbers |= {other.names[node]: len(body.names) + place for place, node in enumerate(added)}
    is_added = np.isin(np.arange(len(other.names)), added)
    edges = np.flatnonzero(is_added[other.source] | is_added[other.target])
    names = np.array([numbers.get(name, -1) for name in other.names], np.int64)
    edges = edges[(names[other.source[edges]] >= 0) & (names[other.target[edges]] >= 0)]
    return replace(
        body,
        names=[*body.names, *(other.names[node] for node in added)],
        ops=[*body.ops, *(other.ops[node] for node in added)],
        shapes=[*body.shapes, *(other.shapes[node] for node in added)],
        dtypes=[*body.dtypes, *(other.dtypes[node] for node in added)],
        rows=np.append(body.rows, np.full(len(added), -1)),
        hidden=np.append(body.hidden, np.zeros(len(added), bool)),
        source=np.append(body.source, names[other.source[edges]]),
        target=np.append(body.target, names[other.target[edges]]),
        port=np.append(body.port, other.port[edges]),
        slot=np.append(body.slot, other.slot[edges]),
    )


def partners(own: Iterable[Choice], other: Iterable[Choice]) -> dict[str, str]:
    """Pair functions of two models: what entry points of one name begin with, and what nodes of one name call."""
    known = {choice.title: (choice.library, choice.function) for choice in other if choice.library is not None}
    waiting = [
        (choice.library, choice.function, *known[choice.title])
        for choice in own
        if choice.library is not None and choice.title in known
    ]
    pairs: dict[str, str] = {}
    while waiting:
        library, function, others, partner = waiting.pop()
        if function in pairs:
            continue
        pairs[function] = partner
        body, theirs = library.body(function), others.body(partner)
        numbers = dict(zip(theirs.names, range(len(theirs.names)), strict=True))
        for node, name in enumerate(body.names):
            calls = library.calls(body, node)
            if calls and name in numbers:
                inner = zip(calls, others.calls(theirs, numbers[name]), strict=False)
                waiting += [(library, mine.function, others, its.function) for mine, its in inner]
    return pairs

"""The scope tree of a graph, grown where somebody looks: name scopes, series of names, chunks of what is left.

A scope of a million nodes is split into its parts only when it is opened; what its parts hold stays arrays of numbers.
Not for: which boxes are open (:mod:`tfmagic.display.graph.unfolding`) or where they stand
(:mod:`tfmagic.display.graph.layout.nesting`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.display.graph.bodies import ARGUMENT, ENDS, RESULT
from tfmagic.graphs.ops import of_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfmagic.display.graph.bodies import Body
    from tfmagic.files.wire import Integers, Mask

#: A scope never has more parts than a person can take in.
MAX_PARTS = 60
#: From so many parts on, names that count up (Keras: ``block_3_expand``, ``block_3_project``) fold by series.
_SERIES_FROM = 20
#: Chunks of a long scope: not so small that they are many, not so large that they are no help.
_CHUNK_LEAST, _CHUNKS = 10, 30
#: A part of a name that counts: ``3``, ``block1a``, ``conv2``; but not the ``2d`` of ``conv2d``.
_COUNTING = re.compile(r".*\d(?![dD]$).*")
_MOST_COUNTERS = 4
_NUMBER = re.compile(r"([0-9]+)")
#: A very large graph whose edges mostly go forward needs no sorting before it is cut into chunks.
_SORTED_SHARE, _FOLLOWED_EDGES = 0.9, 200_000
_MOST_SORTED = 5000

#: Ops that give a consumer what it is made with rather than what flows through it.
_CONSTANT_OPS = of_kind("constant", "variable", "reference variable") | {"ReadVariableOp"}
#: Ops that pass such a value on: hidden with it.
_PASSING_OPS = frozenset({"Identity", "Enter", "RefEnter", "StopGradient", "Cast", "GuaranteeConst", "Snapshot"})
#: Ops that give variables their first value, and what orders them.
_INITIALISING_OPS = of_kind("variable query", "table fill") | {"Assign", "AssignVariableOp", "NoOp"}


@dataclass(eq=False)
class Scope:
    """Some nodes of a body under one label; one node alone is a scope that has no parts.

    Attributes
    ----------
    label : str
        What to call it within the scope around it.
    members : int array
        Its nodes, in the order of the graph.
    depth : int
        How many characters of its nodes' names its own name takes.
    kind : str
        ``"scope"`` for a name scope, ``"series"``, ``"chunk"``.
    """

    label: str
    members: Integers
    depth: int
    kind: str = "scope"
    grouped: list[Scope] | None = field(default=None, repr=False)

    @property
    def is_node(self) -> bool:
        """Whether it is a single node."""
        return len(self.members) == 1

    def parts(self, body: Body) -> list[Scope]:
        """Return what the scope is made of, at most ``MAX_PARTS``."""
        if self._parts is None:
            parts = self.grouped or split(body, self.members, self.depth)
            parts = by_series(_in_order(body, parts)) if len(parts) > _SERIES_FROM else parts
            self._parts = _by_chunks(body, parts) if len(parts) > MAX_PARTS else _in_natural_order(parts)
        return self._parts

    _parts: list[Scope] | None = field(default=None, init=False, repr=False)


def root(shown: Mask) -> Scope:
    """Return the scope that holds the nodes of a body that are shown."""
    return Scope("", np.flatnonzero(shown), 0)


def split(body: Body, members: Integers, depth: int) -> list[Scope]:
    """Split a scope by the next component of its nodes' names."""
    names = body.names
    groups: dict[str, list[int]] = {}
    for node in members.tolist():
        name = names[node]
        end = name.find("/", depth)
        groups.setdefault(name[depth:] if end < 0 else name[depth:end], []).append(node)
    # Nodes of one name, which no graph should have, are as many nodes.
    return [
        _part(body, label, each, depth)
        for label, nodes in groups.items()
        for each in ([nodes] if any(len(names[node]) > depth + len(label) for node in nodes) else zip(nodes))
    ]


def _part(body: Body, label: str, nodes: Sequence[int], depth: int) -> Scope:
    """Make one part; scopes that hold nothing but one scope or one node are told in one breath."""
    if len(nodes) == 1:
        # A node may be called as its scope is: it stands within, under the same name.
        name = body.names[nodes[0]]
        return Scope(name[depth:] or name.rpartition("/")[2] or name, np.array(nodes, np.int64), depth)
    end = depth + len(label) + 1
    while True:
        first = body.names[nodes[0]]
        stop = first.find("/", end)
        inner = first[depth : stop + 1]
        if stop < 0 or not all(body.names[node].startswith(inner, depth) for node in nodes):
            return Scope(first[depth : end - 1], np.array(nodes, np.int64), end)
        end = stop + 1


def by_series(parts: list[Scope]) -> list[Scope]:
    """Fold parts whose names begin alike up to a number that counts."""
    beginnings = [_counted(part.label) for part in parts]
    for counters in range(1, _MOST_COUNTERS):
        counted = [known[counters - 1] if len(known) >= counters else "" for known in beginnings]
        groups = _counted_groups(counted) if any(counted) else []
        if groups and len(groups) < len(parts) and max(map(len, groups)) <= len(parts) * 2 / 3:
            return [
                _gathered(f"{counted[places[0]]}_*", [parts[place] for place in places], "series")
                if len(places) > 1
                else parts[places[0]]
                for places in groups
            ]
    return parts


def _counted_groups(counted: Sequence[str]) -> list[list[int]]:
    """Group the places of parts whose names begin alike; those with much of others between them are no series."""
    groups: dict[str, list[int]] = {}
    runs: list[list[int]] = []
    for place, beginning in enumerate(counted):
        if beginning:
            groups.setdefault(beginning, []).append(place)
        else:
            runs.append([place])
    for places in groups.values():
        strangers = places[-1] - places[0] + 1 - len(places)
        runs += [places] if strangers < len(places) / 2 else [[place] for place in places]
    return sorted(runs)


def _counted(label: str) -> list[str]:
    """Return a label up to and with each of its first counting parts, those that something follows."""
    *pieces, _ = label.partition("/")[0].split("_")
    counting = [place for place, piece in enumerate(pieces, 1) if _COUNTING.fullmatch(piece)] if pieces else []
    return ["_".join(pieces[:place]) for place in counting[: _MOST_COUNTERS - 1]]


def _gathered(label: str, parts: list[Scope], kind: str) -> Scope:
    """Gather parts into one."""
    members = np.sort(np.concatenate([part.members for part in parts]))
    return Scope(label, members, parts[0].depth, kind, parts)


def in_handfuls(parts: list[Scope], most: int) -> list[Scope]:
    """Gather neighbours by their number alone, under the names of the first and the last, until there are so few."""
    size = -(-len(parts) // most)
    handfuls = [parts[first : first + size] for first in range(0, len(parts), size)]
    return [
        _gathered(f"{each[0].label} … {each[-1].label}", each, "chunk") if len(each) > 1 else each[0]
        for each in handfuls
    ]


def _by_chunks(body: Body, parts: list[Scope]) -> list[Scope]:
    """Cut a long row of parts into chunks of neighbours; inputs and outputs stay outside."""
    ends = [part for part in parts if part.is_node and body.ops[int(part.members[0])] in ENDS][: MAX_PARTS // 3]
    kept = set(map(id, ends))
    rest = _in_order(body, [part for part in parts if id(part) not in kept])
    size = max(_CHUNK_LEAST, -(-len(rest) // _CHUNKS))
    chunks = [rest[first : first + size] for first in range(0, len(rest), size)]
    return ends + [
        _gathered(f"{chunk[0].label} … {chunk[-1].label}", chunk, "chunk") if len(chunk) > 1 else chunk[0]
        for chunk in chunks
    ]


def _in_natural_order(parts: list[Scope]) -> list[Scope]:
    """Let names that differ in their numbers alone stand as these count, in the places that they have together."""
    places: dict[str, list[int]] = {}
    for place, part in enumerate(parts):
        places.setdefault(_NUMBER.sub("#", part.label), []).append(place)
    ordered = list(parts)
    for alike in places.values():
        counted = sorted(
            (parts[place] for place in alike), key=lambda part: list(map(_value, _NUMBER.findall(part.label)))
        )
        for place, part in zip(alike, counted, strict=True):
            ordered[place] = part
    return ordered


def _value(digits: str) -> tuple[int, str]:
    """Return what sorts digits by their number; a name from elsewhere may have thousands of them."""
    digits = digits.lstrip("0")
    return len(digits), digits


def _in_order(body: Body, parts: list[Scope]) -> list[Scope]:
    """Sort parts so that what feeds comes before what is fed, and what belongs together stands together."""
    count = len(body.source)
    if len(parts) > _MOST_SORTED or not count:
        return parts
    if count > _FOLLOWED_EDGES and (body.source < body.target).mean() > _SORTED_SHARE:
        return parts
    number = np.full(len(body.names), -1, np.int64)
    for index, part in enumerate(parts):
        number[part.members] = index
    source, target = number[body.source], number[body.target]
    inner = (source >= 0) & (target >= 0) & (source != target)
    pairs = set(zip(source[inner].tolist(), target[inner].tolist(), strict=True))
    return [parts[index] for index in reading_order(len(parts), pairs)]


def reading_order(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """Return nodes so that each stands behind what feeds it, as near as can be: branch after branch.

    Parameters
    ----------
    count : int
        How many nodes there are.
    edges : iterable of (int, int)
        Which node feeds which; of a cycle one edge goes back.
    """
    feeding: list[list[int]] = [[] for _ in range(count)]
    feeds = [False] * count
    for source, target in sorted(edges):
        feeding[target].append(source)
        feeds[source] = True
    # What feeds nothing comes last; what is left then stands in a cycle.
    starts = [*(node for node in range(count) if not feeds[node]), *range(count)]
    depth = [0] * count
    for node in _behind_sources(starts, feeding):
        depth[node] = 1 + max((depth[source] for source in feeding[node]), default=0)
    # The longest way first: what is worked out aside, of constants, then stands just before what it is for.
    return _behind_sources(starts, [sorted(sources, key=lambda source: -depth[source]) for sources in feeding])


def _behind_sources(starts: Sequence[int], feeding: Sequence[Sequence[int]]) -> list[int]:
    """Return nodes depth first, each behind what feeds it."""
    order: list[int] = []
    seen = [False] * len(feeding)
    for start in starts:
        waiting = [] if seen[start] else [(start, iter(feeding[start]))]
        seen[start] = True
        while waiting:
            node, sources = waiting[-1]
            source = next((each for each in sources if not seen[each]), None)
            if source is None:
                order.append(node)
                waiting.pop()
            else:
                seen[source] = True
                waiting.append((source, iter(feeding[source])))
    return order


def topological_order(nodes: Iterable[int], edges: Iterable[tuple[int, int]]) -> list[int]:
    """Return nodes so that edges go forward, as far as cycles let them, and otherwise as they came."""
    waiting = dict.fromkeys(nodes, 0)
    followers: dict[int, list[int]] = {node: [] for node in waiting}
    for source, target in edges:
        followers[source].append(target)
        waiting[target] += 1
    order: list[int] = []
    done: set[int] = set()
    ready = [node for node, count in waiting.items() if not count]
    for start in waiting:
        # A cycle has nothing that is ready: its first node is.
        ready = ready or ([] if start in done else [start])
        while ready:
            node = ready.pop(0)
            if node in done:
                continue
            done.add(node)
            order.append(node)
            for follower in followers[node]:
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    ready.append(follower)
    return order


@dataclass(frozen=True)
class Shown:
    """Which nodes of a body are drawn, and which are tucked into what consumes them."""

    body: Body

    @cached_property
    def plain(self) -> Mask:
        """What is drawn unless constants are asked for: not plumbing, constants, reads of variables, initialisers."""
        tucked = self._constants()
        tucked |= self._initialisers(tucked)
        shown = ~(tucked | self.body.hidden)
        return shown if shown.any() else self.everything

    @cached_property
    def everything(self) -> Mask:
        """What is drawn if constants and variables are asked for."""
        return ~self.body.hidden if not self.body.hidden.all() else np.ones(len(self.body.names), bool)

    @property
    def unused_arguments(self) -> Mask:
        """Say of each node whether it is an argument that the function does not look at."""
        used = np.bincount(self.body.source, minlength=len(self.body.names)) > 0
        return self.body.is_op(frozenset({ARGUMENT})) & ~used

    def _constants(self) -> Mask:
        """Say of each node whether it is a constant or variable, or hands one on unchanged."""
        body = self.body
        dtypes = np.array([dtype == "resource" for dtype in body.dtypes], bool)
        mask = body.is_op(_CONSTANT_OPS) | (dtypes & body.is_op(frozenset({ARGUMENT, RESULT})))
        passing = body.is_op(_PASSING_OPS)
        data = body.slot >= 0
        total = np.bincount(body.target[data], minlength=len(body.names))
        passing &= total > 0
        while passing.any():
            hidden = np.bincount(body.target[data & mask[body.source]], minlength=len(body.names))
            more = passing & ~mask & (hidden == total)
            if not more.any():
                break
            mask = mask | more
        return mask

    def _initialisers(self, tucked: Mask) -> Mask:
        """Say of each node whether it only gives variables their first values."""
        body = self.body
        hidden = body.is_op(_INITIALISING_OPS)
        if not hidden.any():
            return hidden
        count = len(body.names)
        fixed = body.is_op(ENDS) | tucked
        # By data only: a training step is a NoOp that waits for all the work.
        data = body.slot >= 0
        while True:
            feeds = np.bincount(body.source[data & hidden[body.target]], minlength=count) > 0
            feeds_others = np.bincount(body.source[data & ~(hidden | tucked)[body.target]], minlength=count) > 0
            more = feeds & ~feeds_others & ~hidden & ~fixed
            if not more.any():
                return hidden
            hidden = hidden | more

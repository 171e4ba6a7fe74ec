"""A graph folded to about a dozen boxes: what a model is made of, at one look, beside its card.

A layer with its normalisation and activation is one box, equal blocks in a row are one box with their number. Not for:
what a person unfolds (:mod:`tfmagic.display.graph.unfolding`), or how it is drawn
(:mod:`tfmagic.display.graph.folded_svg`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.display.graph import choices as graph_choices
from tfmagic.display.graph import name_scopes, op_colours, scenes
from tfmagic.display.graph.bodies import ENDS, RESULT
from tfmagic.graphs.ops import of_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tfmagic.display.graph.bodies import Body, Library
    from tfmagic.display.graph.choices import Choice
    from tfmagic.display.graph.name_scopes import Scope
    from tfmagic.display.shown_model import ShownModel
    from tfmagic.files.wire import Integers, Mask
    from tfmagic.frames import Shape

#: Boxes of a folded graph at most; fewer than the least are unfolded once more, if one holds most of the graph.
MOST_BOXES, _LEAST_BOXES = 13, 6
#: Tucked nodes between a weight and the drawn one that it belongs to.
_MOST_TUCKED = 1_000
#: More scopes that no series holds are taken by the handful before anything is said of each.
_MOST_SCOPES = 2_000
#: More neighbours than these are joined without weighing each pair.
_MOST_WEIGHED = 240
#: Boxes beside each other at most.
MOST_BESIDE = 2
_TELLING_SHARE = 0.5
#: A larger graph is folded by names alone, and its weights are not summed.
_FOLLOWED_NODES = 50_000
#: Kinds of ops that belong to the layer before them.
_FOLLOWING = frozenset({"norm", "activation"})
#: Ops of other kinds that do.
_FOLLOWING_OPS = frozenset({"BiasAdd", "BiasAddV1", "Dropout", "SpatialDropout1D", "SpatialDropout2D"})
#: The ops whose values are parameters where a graph says no more.
_PARAMETERS = of_kind("constant", "reference variable") | {"ReadVariableOp"}
_FLOATS = ("float", "bfloat", "qint", "quint", "half", "double", "int8", "uint8")
_SHORT = {"BatchNormalization": "BN", "LayerNormalization": "LN", "Activation": "activation"}
_NUMBERS = re.compile(r"([0-9]+)")
_TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class FoldedBox:
    """One box: a layer with what follows it, a block, or a run of equal ones.

    Attributes
    ----------
    label : str
        Its name: a layer's, ``block_3-5``.
    detail : str
        What it is: ``Conv2D +BN +ReLU``, ``9 layers``, ``3 TransformerBlock`` with a cross.
    kind : str
        A key of :data:`tfmagic.display.graph.op_colours.KINDS`.
    shape : shape
        Of what leaves it.
    parameters : int
        How many numbers it has learnt.
    count : int
        How many equal blocks it stands for.
    nodes : int array
        What it holds.
    """

    label: str
    detail: str
    kind: str
    shape: Shape
    parameters: int
    count: int
    nodes: Integers = field(repr=False)


@dataclass(frozen=True)
class FoldedGraph:
    """About a dozen boxes and the edges between them.

    Attributes
    ----------
    title : str
        What is drawn: ``layers``, the key of a signature.
    boxes : tuple of FoldedBox
        In the order of the graph.
    edges : tuple of (int, int)
        Numbers of boxes.
    ranks : tuple of int
        For each box, in which row it stands.
    library, body, shown
        What was folded: the body with all others, and which of its nodes are drawn.
    """

    title: str
    boxes: tuple[FoldedBox, ...]
    edges: tuple[tuple[int, int], ...]
    ranks: tuple[int, ...]
    library: Library = field(repr=False)
    body: Body = field(repr=False)
    shown: Mask = field(repr=False)

    @property
    def parameters(self) -> int:
        """How many parameters all boxes have."""
        return sum(box.parameters for box in self.boxes)


def folded(model: ShownModel, over: Callable[[list[Choice]], list[Choice]] | None = None) -> FoldedGraph | None:
    """Fold the graph of a model; nothing is traced for it.

    Parameters
    ----------
    model : ShownModel
        The model.
    over : callable, optional
        Puts more into what there is to draw.

    Returns
    -------
    FoldedGraph or None
        None where no graph is at hand.
    """
    choices = graph_choices.choices(model)
    drawn = next((each for each in (over(choices) if over else choices) if each.library is not None), None)
    if drawn is None or drawn.library is None:
        return None
    body = drawn.library.body(drawn.function)
    shown = name_scopes.Shown(body).plain
    if not body.names or not shown.any():
        return None
    return _Folding(body, shown, drawn.library.parameters(body)).all(drawn.title, drawn.library)


@dataclass
class _Unit:
    """What becomes a box: nodes under one label."""

    label: str
    nodes: list[int]
    scope: Scope | None = None
    #: What follows the layer that it is.
    after: list[str] = field(default_factory=list)
    count: int = 1
    #: What to say of it, if not what its ops say.
    detail: str = ""


class _Folding:
    """Folds one body.

    Parameters
    ----------
    body : Body
        The graph.
    shown : array of bool
        The nodes that are drawn.
    parameters : int array or None
        The parameters of each node, where a library knows them.
    """

    def __init__(self, body: Body, shown: Mask, parameters: Integers | None) -> None:
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
        own = self._summed_weights() if parameters is None and self.is_small else parameters
        self.parameters = np.zeros(len(body.names), np.int64) if own is None else own

    def all(self, title: str, library: Library) -> FoldedGraph:
        """Fold until a person can take it in at one look."""
        units = self._units()
        for fold in (self._joined_ends, self._runs, self._by_cuts, self._runs, self._by_neighbours):
            units = fold(units)
        units, edges, ranks = self._narrowed(units)
        boxes = tuple(map(self._box, units, self._shapes(units)))
        return FoldedGraph(title, boxes, tuple(sorted(edges)), tuple(ranks), library, self.body, self.shown)

    # Weights

    def _summed_weights(self) -> Integers:
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

    # Units

    def _units(self) -> list[_Unit]:
        """Group by names: scopes, series; the scope that holds most of it gives way to its parts."""
        scopes = name_scopes.split(self.body, np.flatnonzero(self.shown), 0)
        while True:
            units = self._absorbed(self._by_series(scopes))
            if len(units) >= _LEAST_BOXES:
                return units
            heaviest = max(scopes, key=lambda scope: len(scope.members))
            if heaviest.is_node or len(heaviest.members) < _TELLING_SHARE * self.shown.sum():
                return units
            inner = name_scopes.split(self.body, heaviest.members, heaviest.depth)
            scopes = [each for scope in scopes for each in (inner if scope is heaviest else [scope])]

    def _by_series(self, scopes: list[Scope]) -> list[_Unit]:
        """Fold names that count up, where there are many."""
        scopes = sorted(scopes, key=self._middle)
        if len(scopes) > MOST_BOXES:
            scopes = sorted(name_scopes.by_series(scopes), key=self._middle)
        if len(scopes) > _MOST_SCOPES:
            scopes = name_scopes.in_handfuls(scopes, _MOST_SCOPES)
        return [_Unit(scope.label.removesuffix("_*"), scope.members.tolist(), scope) for scope in scopes]

    def _middle(self, scope: Scope) -> float:
        if len(scope.members) == 1:
            return float(self.place[scope.members[0]])
        # A twentieth of what numpy's median takes of a handful.
        places = np.sort(self.place[scope.members])
        return float(places[(len(places) - 1) // 2] + places[len(places) // 2]) / 2

    def _kind(self, nodes: Iterable[int]) -> str:
        kinds = {op_colours.kind_of(self.body.ops[node]) for node in nodes}
        inner = kinds - {"end"} or kinds
        return next(kind for kind in op_colours.KINDS if kind in inner)

    def _is_end(self, unit: _Unit) -> bool:
        return all(self.body.ops[node] in ENDS for node in unit.nodes)

    def _absorbed(self, units: list[_Unit]) -> list[_Unit]:
        """Let a layer take in the normalisation and the activation that alone follow it."""
        number = self._numbers(units)
        edges = self._edges(number)
        fed: dict[int, set[int]] = defaultdict(set)
        feeds: dict[int, set[int]] = defaultdict(set)
        for source, target in edges:
            fed[target].add(source)
            feeds[source].add(target)
        owner = list(range(len(units)))
        for index, unit in enumerate(units):
            sources = fed[index]
            if len(sources) != 1:
                continue
            (source,) = sources
            head = owner[source]
            if self._is_another_name(unit, units[head]):
                owner[index] = head
                units[head].nodes += unit.nodes
            elif not self._follows(unit):
                continue
            elif len(feeds[source]) == 1 and self._is_layer(units[head]):
                owner[index] = head
                units[head].nodes += unit.nodes
                units[head].after.append(self._short(unit))
        return [unit for index, unit in enumerate(units) if owner[index] == index]

    def _is_another_name(self, unit: _Unit, source: _Unit) -> bool:
        """Say whether a unit only hands on what its source gave, under the name that it has anyway."""
        op = self.body.ops[unit.nodes[0]]
        is_passing = len(unit.nodes) == 1 and op in {"Identity", RESULT}
        return is_passing and not self._is_end(source) and self._name(unit) == self._name(source)

    def _follows(self, unit: _Unit) -> bool:
        ops = {self.body.ops[node] for node in unit.nodes}
        series = unit.scope is not None and unit.scope.kind == "series"
        return not series and (self._kind(unit.nodes) in _FOLLOWING or ops <= _FOLLOWING_OPS)

    def _is_layer(self, unit: _Unit) -> bool:
        series = unit.scope is not None and unit.scope.kind != "scope"
        return not series and self._kind(unit.nodes[:1]) not in _FOLLOWING | {"end", "shape"}

    def _short(self, unit: _Unit) -> str:
        op = self.body.ops[unit.nodes[0]]
        if len(unit.nodes) > 1:
            return "BN" if "batch" in self.body.names[unit.nodes[0]].lower() else self._kind(unit.nodes)
        if op.startswith("FusedBatchNorm"):
            return "BN"
        return "bias" if op.startswith("BiasAdd") else _SHORT.get(op, op)

    # Folding more

    def _joined_ends(self, units: list[_Unit]) -> list[_Unit]:
        """Make many inputs one box, and many outputs."""
        fed = set(self.target.tolist())
        for is_output, noun in ((False, "inputs"), (True, "outputs")):
            ends = [unit for unit in units if self._is_end(unit) and (unit.nodes[0] in fed) == is_output]
            if len(ends) > MOST_BESIDE:
                others = {id(unit) for unit in ends[1:]}
                joined = _joined(ends, f"{len(ends)} {noun}", _listed([self._name(unit) for unit in ends]))
                units = [joined if unit is ends[0] else unit for unit in units if id(unit) not in others]
        return units

    def _by_cuts(self, units: list[_Unit]) -> list[_Unit]:
        """Fold what lies between tensors that all the rest depends on alone: blocks that no name tells."""
        if len(units) <= MOST_BOXES:
            return units
        number = self._numbers(units)
        last = list(range(len(units)))
        for source, target in self._edges(number):
            last[source] = max(last[source], target)
        blocks: list[list[_Unit]] = [[]]
        reach = 0
        for index, unit in enumerate(units):
            if self._is_end(unit):
                blocks += [[unit], []]
            else:
                blocks[-1].append(unit)
                # Nothing before this one is used behind it: it is all that goes on.
                if reach <= index:
                    blocks.append([])
            reach = max(reach, last[index])
        groups = [block for block in blocks if block]
        return [self._block(block) for block in groups] if len(groups) > 1 else units

    def _block(self, units: list[_Unit]) -> _Unit:
        """Make one of several, under the name of the last, which all of them feed."""
        if len(units) == 1:
            return units[0]
        return _joined(units, units[-1].label)

    def _runs(self, units: list[_Unit]) -> list[_Unit]:
        """Make equal units in a row one."""
        number = self._numbers(units)
        edges, shapes = self._edges(number), self._shapes(units)
        runs: list[list[_Unit]] = []
        for index, unit in enumerate(units):
            is_next = (index - 1, index) in edges and shapes[index - 1] == shapes[index]
            if is_next and self._equal(units[index - 1], unit):
                runs[-1].append(unit)
            else:
                runs.append([unit])
        return [self._run(run) for run in runs]

    def _equal(self, first: _Unit, second: _Unit) -> bool:
        """Say whether two units that the same shape leaves are alike by their names, or by their ops."""
        if self._is_end(first) or self._is_end(second):
            return False
        if _NUMBERS.sub("#", first.label) == _NUMBERS.sub("#", second.label) and first.label != second.label:
            return min(len(first.nodes), len(second.nodes)) > 1 or self._ops(first) == self._ops(second)
        return self._ops(first) == self._ops(second) and self._kind(first.nodes) not in {"shape", "math", "other"}

    def _ops(self, unit: _Unit) -> Counter[str]:
        return Counter(self.body.ops[node] for node in unit.nodes)

    def _run(self, units: list[_Unit]) -> _Unit:
        if len(units) == 1:
            return units[0]
        first = units[0]
        single = self.body.ops[first.nodes[0]] if len(first.nodes) - len(first.after) == 1 else ""
        detail = f"{_TIMES}{len(units)} {single}".strip()
        joined = _joined(units, _ranged(self._name(first), self._name(units[-1])), detail)
        return replace(joined, count=len(units))

    def _by_neighbours(self, units: list[_Unit]) -> list[_Unit]:
        """Join the lightest neighbours until there are few enough."""
        total = max(int(self.parameters.sum()), 1)

        def weight(unit: _Unit) -> float:
            return float(self.parameters[unit.nodes].sum()) / total + len(unit.nodes) / len(self.body.names)

        units = self._in_handfuls(units)
        while len(units) > MOST_BOXES:
            pairs = [
                (weight(units[index]) + weight(units[index + 1]), index)
                for index in range(len(units) - 1)
                if not self._is_end(units[index]) and not self._is_end(units[index + 1])
            ]
            if not pairs:
                break
            _, index = min(pairs)
            units = [*units[:index], self._neighbours(units[index : index + 2]), *units[index + 2 :]]
        return units

    def _in_handfuls(self, units: list[_Unit]) -> list[_Unit]:
        """Join neighbours by their number alone where weighing each pair of them would take too long."""
        size = -(-len(units) // _MOST_WEIGHED)
        joined: list[list[_Unit]] = []
        for unit in units if size > 1 else ():
            is_next = joined and len(joined[-1]) < size and not self._is_end(unit) and not self._is_end(joined[-1][0])
            if not is_next:
                joined.append([])
            joined[-1].append(unit)
        return [self._neighbours(each) for each in joined] or units

    def _neighbours(self, units: list[_Unit]) -> _Unit:
        """Join units that follow each other, under the names of the first and the last."""
        if len(units) == 1:
            return units[0]
        first, last = units[0].label.partition(" … ")[0], units[-1].label.rpartition(" … ")[2]
        return _joined(units, f"{first} … {last}")

    def _narrowed(self, units: list[_Unit]) -> tuple[list[_Unit], set[tuple[int, int]], list[int]]:
        """Rank units, and join those of a rank that are too many to stand beside each other."""
        while True:
            edges = self._edges(self._numbers(units))
            ranks = _ranked(len(units), edges)
            rows: dict[int, list[int]] = defaultdict(list)
            for index, rank in enumerate(ranks):
                rows[rank].append(index)
            wide = next((row for row in rows.values() if len(row) > MOST_BESIDE), None)
            if wide is None:
                return units, edges, ranks
            beside = [units[index] for index in wide]
            joined = _joined(beside, _listed([self._name(unit) for unit in beside]), f"{len(beside)} beside each other")
            units = [joined if index == wide[0] else unit for index, unit in enumerate(units) if index not in wide[1:]]

    # What units are

    def _numbers(self, units: Sequence[_Unit]) -> Integers:
        number = np.full(len(self.body.names), -1, np.int64)
        for index, unit in enumerate(units):
            number[unit.nodes] = index
        return number

    def _edges(self, number: Integers) -> set[tuple[int, int]]:
        source, target = number[self.source], number[self.target]
        between = (source != target) & (source >= 0) & (target >= 0)
        pairs = np.unique(np.stack([source[between], target[between]]), axis=1).T
        return {(int(first), int(second)) for first, second in pairs.tolist()}

    def _shapes(self, units: Sequence[_Unit]) -> list[Shape]:
        """Return for each unit the shape of the last tensor that goes on from it, or of its last."""
        number, count = self._numbers(units), len(self.body.names)
        goes_on = np.zeros(count, bool)
        goes_on[self.source[number[self.source] != number[self.target]]] = True
        order = self.place + np.where(goes_on, count, 0)
        last = np.full(len(units), -1, np.int64)
        drawn = np.flatnonzero(number >= 0)
        np.maximum.at(last, number[drawn], order[drawn])
        return [self.body.shapes[node] for node in np.argsort(self.place)[last % count].tolist()]

    def _name(self, unit: _Unit) -> str:
        return self.body.keys.get(unit.nodes[0], unit.label) if len(unit.nodes) == 1 else unit.label

    def _box(self, unit: _Unit, shape: Shape) -> FoldedBox:
        first = unit.nodes[: 1 if unit.after else None]
        op, label = self.body.ops[unit.nodes[0]], self._name(unit)
        if unit.detail or self._is_end(unit):
            detail = unit.detail
        elif unit.after and unit.scope is not None and unit.scope.is_node:
            detail, label = " +".join([op, *unit.after]), label.rpartition("/")[0] or label
        elif len(unit.nodes) == 1:
            detail = "" if scenes.is_named_after(label, op) else op
        else:
            detail = f"{len(unit.nodes):,} {self.body.noun}"
        return FoldedBox(
            label,
            detail,
            self._kind(first),
            shape,
            int(self.parameters[unit.nodes].sum()),
            unit.count,
            np.array(unit.nodes, np.int64),
        )


def _joined(units: Sequence[_Unit], label: str, detail: str = "") -> _Unit:
    """Make one unit of several."""
    return _Unit(label, [node for unit in units for node in unit.nodes], detail=detail)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _ranged(first: str, last: str) -> str:
    """Name a run: ``block_3-5`` (with an en dash), ``conv … dense``."""
    pieces, others = _NUMBERS.split(first), _NUMBERS.split(last)
    differing = [place for place, (one, other) in enumerate(zip(pieces, others, strict=False)) if one != other]
    if len(pieces) == len(others) and len(differing) == 1 and pieces[differing[0]].isdecimal():
        pieces[differing[0]] += f"\N{EN DASH}{others[differing[0]]}"
        return "".join(pieces)
    return f"{first} … {last}"


def _ranked(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
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

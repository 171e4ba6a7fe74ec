"""A graph folded to about a dozen boxes: what a model is made of, at one look, beside its card.

A layer with its normalisation and activation is one box, equal blocks in a row are one box with their number. Not for:
what a person unfolds (:mod:`tfmagic.display.graph.unfolding`), or how it is drawn
(:mod:`tfmagic.display.graph.folded_svg`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.display.graph import choices as graph_choices
from tfmagic.display.graph import folded_units, name_scopes, scenes
from tfmagic.display.graph.bodies import RESULT
from tfmagic.display.graph.folded_units import Unit, UnitGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfmagic.display.graph.bodies import Body, Library
    from tfmagic.display.graph.choices import Choice
    from tfmagic.display.graph.name_scopes import Scope
    from tfmagic.display.shown_model import ShownModel
    from tfmagic.files.wire import Integers, Mask
    from tfmagic.frames import Shape

#: Boxes of a folded graph at most; fewer than the least are unfolded once more, if one holds most of the graph.
MOST_BOXES, _LEAST_BOXES = 13, 6
#: More scopes that no series holds are taken by the handful before anything is said of each.
_MOST_SCOPES = 2_000
#: More neighbours than these are joined without weighing each pair.
_MOST_WEIGHED = 240
#: Boxes beside each other at most.
MOST_BESIDE = 2
_TELLING_SHARE = 0.5
#: Kinds of ops that belong to the layer before them.
_FOLLOWING = frozenset({"norm", "activation"})
#: Ops of other kinds that do.
_FOLLOWING_OPS = frozenset({"BiasAdd", "BiasAddV1", "Dropout", "SpatialDropout1D", "SpatialDropout2D"})
_SHORT = {"BatchNormalization": "BN", "LayerNormalization": "LN", "Activation": "activation"}
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


class _Folding(UnitGraph):
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
        super().__init__(body, shown)
        own = self.summed_weights() if parameters is None and self.is_small else parameters
        self.parameters = np.zeros(len(body.names), np.int64) if own is None else own

    def all(self, title: str, library: Library) -> FoldedGraph:
        """Fold until a person can take it in at one look."""
        units = self._units()
        for fold in (self._joined_ends, self._runs, self._by_cuts, self._runs, self._by_neighbours):
            units = fold(units)
        units, edges, ranks = self._narrowed(units)
        boxes = tuple(map(self._box, units, self.shapes(units)))
        return FoldedGraph(title, boxes, tuple(sorted(edges)), tuple(ranks), library, self.body, self.shown)

    # Units

    def _units(self) -> list[Unit]:
        """Group by names: scopes, series; the scope that holds most of it gives way to its parts."""
        scopes = name_scopes.split(self.body, np.flatnonzero(self.shown), 0)
        while True:
            units = self._absorbed(self._by_series(scopes))
            ends = sum(map(self.is_end, units))
            # Many inputs will be one box, and so will many outputs.
            if len(units) - ends + min(ends, MOST_BESIDE) >= _LEAST_BOXES:
                return units
            heaviest = max(scopes, key=lambda scope: len(scope.members))
            if heaviest.is_node or len(heaviest.members) < _TELLING_SHARE * self.shown.sum():
                return units
            inner = name_scopes.split(self.body, heaviest.members, heaviest.depth)
            scopes = [each for scope in scopes for each in (inner if scope is heaviest else [scope])]

    def _by_series(self, scopes: list[Scope]) -> list[Unit]:
        """Fold names that count up, where there are many."""
        scopes = sorted(scopes, key=self.middle)
        if len(scopes) > MOST_BOXES:
            scopes = sorted(name_scopes.by_series(scopes), key=self.middle)
        if len(scopes) > _MOST_SCOPES:
            scopes = name_scopes.in_handfuls(scopes, _MOST_SCOPES)
        return self.in_order([Unit(scope.label.removesuffix("_*"), scope.members.tolist(), scope) for scope in scopes])

    def _absorbed(self, units: list[Unit]) -> list[Unit]:
        """Let a layer take in the normalisation and the activation that alone follow it."""
        number = self.numbers(units)
        edges = self.edges(number)
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

    def _is_another_name(self, unit: Unit, source: Unit) -> bool:
        """Say whether a unit only hands on what its source gave, under the name that it has anyway."""
        op = self.body.ops[unit.nodes[0]]
        is_passing = len(unit.nodes) == 1 and op in {"Identity", RESULT}
        return is_passing and not self.is_end(source) and self.name(unit) == self.name(source)

    def _follows(self, unit: Unit) -> bool:
        ops = {self.body.ops[node] for node in unit.nodes}
        series = unit.scope is not None and unit.scope.kind == "series"
        return not series and (self.kind(unit.nodes) in _FOLLOWING or ops <= _FOLLOWING_OPS)

    def _is_layer(self, unit: Unit) -> bool:
        series = unit.scope is not None and unit.scope.kind != "scope"
        return not series and self.kind(unit.nodes[:1]) not in _FOLLOWING | {"end", "shape"}

    def _short(self, unit: Unit) -> str:
        op = self.body.ops[unit.nodes[0]]
        if len(unit.nodes) > 1:
            return "BN" if "batch" in self.body.names[unit.nodes[0]].lower() else self.kind(unit.nodes)
        if op.startswith("FusedBatchNorm"):
            return "BN"
        return "bias" if op.startswith("BiasAdd") else _SHORT.get(op, op)

    # Folding more

    def _joined_ends(self, units: list[Unit]) -> list[Unit]:
        """Make many inputs one box, and many outputs."""
        fed = set(self.target.tolist())
        for is_output, noun in ((False, "inputs"), (True, "outputs")):
            ends = [unit for unit in units if self.is_end(unit) and (unit.nodes[0] in fed) == is_output]
            if len(ends) > MOST_BESIDE:
                others = {id(unit) for unit in ends[1:]}
                joined = folded_units.joined(ends, f"{len(ends)} {noun}", _listed([self.name(unit) for unit in ends]))
                units = [joined if unit is ends[0] else unit for unit in units if id(unit) not in others]
        return units

    def _by_cuts(self, units: list[Unit]) -> list[Unit]:
        """Fold what lies between tensors that all the rest depends on alone: blocks that no name tells."""
        if len(units) <= MOST_BOXES:
            return units
        number = self.numbers(units)
        last = list(range(len(units)))
        for source, target in self.edges(number):
            last[source] = max(last[source], target)
        blocks: list[list[Unit]] = [[]]
        reach = 0
        for index, unit in enumerate(units):
            if self.is_end(unit):
                blocks += [[unit], []]
            else:
                blocks[-1].append(unit)
                # Nothing before this one is used behind it: it is all that goes on.
                if reach <= index:
                    blocks.append([])
            reach = max(reach, last[index])
        groups = [block for block in blocks if block]
        return [self._block(block) for block in groups] if len(groups) > 1 else units

    def _block(self, units: list[Unit]) -> Unit:
        """Make one of several, under the name of the last, which all of them feed."""
        if len(units) == 1:
            return units[0]
        return folded_units.joined(units, units[-1].label)

    def _runs(self, units: list[Unit]) -> list[Unit]:
        """Make equal units in a row one."""
        number = self.numbers(units)
        edges, shapes = self.edges(number), self.shapes(units)
        runs: list[list[Unit]] = []
        for index, unit in enumerate(units):
            is_next = (index - 1, index) in edges and shapes[index - 1] == shapes[index]
            if is_next and self.are_alike(units[index - 1], unit):
                runs[-1].append(unit)
            else:
                runs.append([unit])
        return [self._run(run) for run in runs]

    def _run(self, units: list[Unit]) -> Unit:
        if len(units) == 1:
            return units[0]
        first = units[0]
        single = self.body.ops[first.nodes[0]] if len(first.nodes) - len(first.after) == 1 else ""
        detail = f"{_TIMES}{len(units)} {single}".strip()
        joined = folded_units.joined(units, folded_units.ranged(self.name(first), self.name(units[-1])), detail)
        return replace(joined, count=len(units))

    def _by_neighbours(self, units: list[Unit]) -> list[Unit]:
        """Join the lightest neighbours until there are few enough."""
        total = max(int(self.parameters.sum()), 1)

        def weight(unit: Unit) -> float:
            return float(self.parameters[unit.nodes].sum()) / total + len(unit.nodes) / len(self.body.names)

        units = self._in_handfuls(units)
        while len(units) > MOST_BOXES:
            pairs = [
                (weight(units[index]) + weight(units[index + 1]), index)
                for index in range(len(units) - 1)
                if not self.is_end(units[index]) and not self.is_end(units[index + 1])
            ]
            if not pairs:
                break
            _, index = min(pairs)
            units = [*units[:index], self._neighbours(units[index : index + 2]), *units[index + 2 :]]
        return units

    def _in_handfuls(self, units: list[Unit]) -> list[Unit]:
        """Join neighbours by their number alone where weighing each pair of them would take too long."""
        size = -(-len(units) // _MOST_WEIGHED)
        joined: list[list[Unit]] = []
        for unit in units if size > 1 else ():
            is_next = joined and len(joined[-1]) < size and not self.is_end(unit) and not self.is_end(joined[-1][0])
            if not is_next:
                joined.append([])
            joined[-1].append(unit)
        return [self._neighbours(each) for each in joined] or units

    def _neighbours(self, units: list[Unit]) -> Unit:
        """Join units that follow each other, under the names of the first and the last."""
        if len(units) == 1:
            return units[0]
        first, last = units[0].label.partition(" … ")[0], units[-1].label.rpartition(" … ")[2]
        return folded_units.joined(units, f"{first} … {last}")

    def _narrowed(self, units: list[Unit]) -> tuple[list[Unit], set[tuple[int, int]], list[int]]:
        """Rank units, and join those of a rank that are too many to stand beside each other."""
        while True:
            edges = self.edges(self.numbers(units))
            ranks = folded_units.ranked(len(units), edges)
            rows: dict[int, list[int]] = defaultdict(list)
            for index, rank in enumerate(ranks):
                rows[rank].append(index)
            wide = next((row for row in rows.values() if len(row) > MOST_BESIDE), None)
            if wide is None:
                return units, edges, ranks
            beside = [units[index] for index in wide]
            joined = folded_units.joined(
                beside, _listed([self.name(unit) for unit in beside]), f"{len(beside)} beside each other"
            )
            units = [joined if index == wide[0] else unit for index, unit in enumerate(units) if index not in wide[1:]]

    def _box(self, unit: Unit, shape: Shape) -> FoldedBox:
        first = unit.nodes[: 1 if unit.after else None]
        op, label = self.body.ops[unit.nodes[0]], self.name(unit)
        if unit.detail or self.is_end(unit):
            detail = unit.detail
        elif unit.after and unit.scope is not None and unit.scope.is_node:
            detail, label = " +".join([op, *unit.after]), label.rpartition("/")[0] or label
        elif len(unit.nodes) == 1:
            words = scenes.op_words(self.body, unit.nodes[0])
            detail = "" if words == op and scenes.is_named_after(label, op) else words
        else:
            detail = f"{len(unit.nodes):,} {self.body.noun}"
        return FoldedBox(
            label,
            detail,
            self.kind(first),
            shape,
            int(self.parameters[unit.nodes].sum()),
            unit.count,
            np.array(unit.nodes, np.int64),
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)

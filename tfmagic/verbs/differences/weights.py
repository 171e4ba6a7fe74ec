"""Rows for the variables of two models: which go together, and which differ.

Variables go together by name; those that only one model calls so by equal values, else by shape and order where that is
certain. Whatever goes together, what the same ops take must hold the same. Not for: comparing values
(:mod:`tfmagic.verbs.differences.weight_values`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors, frames
from tfmagic.graphs import computation_matching, node_descriptions
from tfmagic.graphs.node_descriptions import WEIGHT
from tfmagic.verbs.differences import weight_values
from tfmagic.verbs.differences.weight_sides import Side, kind_of, whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from tfmagic.frames import Shape, VariableRow
    from tfmagic.graphs.computation import Op
    from tfmagic.graphs.computation_matching import Matching
    from tfmagic.models.model import Model

_NOT_COMPARED = "not compared"
#: What a weight is that only one model has, and that no result of it depends on.
UNUSED = "unused weight"


#: What TensorFlow saves beside a model's own variables.
_BOOKKEEPING = frozenset({"save_counter"})
#: What a generator of Keras draws from, of a Dropout for one; files of Keras do not hold it.
_DRAWN_FROM = "seed_generator_state"
#: Where Keras files keep what training goes on with.
_OF_TRAINING = ("optimizer/", "metrics/", "_metrics/")


class Comparison:
    """The variables of two models, to be compared.

    Parameters
    ----------
    first, second : Model
        Models with variables.
    matching : Matching or None
        What their computations have in common, if these were compared. It learns which weights hold the same although
        both models have others by their names.
    """

    def __init__(self, first: Model, second: Model, matching: Matching | None) -> None:
        self._models = first, second
        self._matching = matching
        self._sides = Side(first), Side(second)
        #: Variables that the same ops take, under other names.
        self._taken = [] if matching is None else list(_taken(*self._sides, matching))
        self._exchanged = _exchanged(*self._sides, self._taken)
        if matching is not None:
            matching.equal_weights |= {each.places for each in self._exchanged}

    def rows(self) -> Iterator[frames.DiffRow]:
        """Yield a row for each variable that differs, for each that only one has, and for each scope that is renamed.

        Where all weights that both computations use go together, what only one model has, and nothing is left for it in
        the other, is used by none. So is what only a checkpoint has of a model.
        """
        first, second = self._models
        matching = self._matching
        if matching is not None and matching.is_same and _holds_weights(first) and _holds_weights(second):
            return
        all_match = matching is not None and matching.has_all_weights
        a, b = self._sides
        # A graph without weights is not what a checkpoint is of.
        spare = [
            all_match or ("graph" not in model.parts and "graph" in beside.parts and bool(others.rows))
            for model, beside, others in ((first, second, b), (second, first, a))
        ]
        for pair in self._exchanged:
            a.rows.pop(pair.first.name, None)
            b.rows.pop(pair.second.name, None)
        yield from _renames([(each.first, each.second) for each in self._exchanged])
        yield from self._of_generators()
        if matching is not None:
            yield from _of_constants(a, b, matching, {each.first.name for each in self._exchanged})
        yield from _gathered(_rows(a, b, spare, [each for each in self._taken if each not in self._exchanged]))

    def _of_generators(self) -> Iterator[frames.DiffRow]:
        """Yield a row for each state of a generator that no result draws from; the sides have those no longer."""
        computations = () if self._matching is None else self._matching.both
        used = {name for each in computations for name in each.names.of(each.of_ops(WEIGHT))}
        a, b = self._sides
        idle = [
            [row for name, row in side.rows.items() if name.endswith(_DRAWN_FROM) and name not in used]
            for side in (a, b)
        ]
        for side, rows in zip((a, b), idle, strict=True):
            for row in rows:
                del side.rows[row.name]
        if [a.digest(row) for row in idle[0]] == [b.digest(row) for row in idle[1]]:
            return
        yield from (frames.DiffRow(UNUSED, row.name, _described(row), "", None, None) for row in idle[0])
        yield from (frames.DiffRow(UNUSED, row.name, "", _described(row), None, None) for row in idle[1])


class _Taken(NamedTuple):
    """Two variables that ops which go together take at the same place, under other names.

    Attributes
    ----------
    places : (int, int)
        Those of the weights in both computations.
    first, second : VariableRow
        The variables.
    is_crossed : bool
        Whether one computation takes a variable of the other one's name elsewhere.
    """

    places: tuple[int, int]
    first: VariableRow
    second: VariableRow
    is_crossed: bool


def _taken(a: Side, b: Side, matching: Matching) -> Iterator[_Taken]:
    """Yield what goes together by its use and has other names, where both are listed as variables."""
    known = [set(computation.names.of(computation.of_ops(WEIGHT))) for computation in matching.both]
    for places in matching.weight_pairs:
        mine, theirs = (computation.names[place] for computation, place in zip(matching.both, places, strict=True))
        if mine != theirs and mine in a.rows and theirs in b.rows:
            yield _Taken(places, a.rows[mine], b.rows[theirs], mine in known[1] or theirs in known[0])


def _exchanged(a: Side, b: Side, taken: Sequence[_Taken]) -> list[_Taken]:
    """Return what goes together by its use and holds the same, although both models have others by these names."""
    crossed = [each for each in taken if each.is_crossed]
    once = len({each.first.name for each in crossed}) == len({each.second.name for each in crossed}) == len(crossed)
    return crossed if once and all(_holds_same(a, b, each) for each in crossed) else []


def _holds_same(a: Side, b: Side, pair: _Taken) -> bool:
    return kind_of(pair.first) == kind_of(pair.second) and a.digest(pair.first) == b.digest(pair.second)


def _of_constants(a: Side, b: Side, matching: Matching, compared: Collection[str]) -> Iterator[frames.DiffRow]:
    """Yield a row for each constant with another value; what is compared so, the sides have no longer."""
    for mine, theirs, is_equal in matching.constants:
        if mine in compared:
            continue
        if is_equal:
            a.rows.pop(mine, None)
            b.rows.pop(theirs, None)
        elif mine not in a.rows or theirs not in b.rows:
            where = mine if mine == theirs else f"{mine} / {theirs}"
            yield frames.DiffRow("weight", where, "constant", "another value", None, None)
    for own, other in matching.stand_ins:
        if own.op == WEIGHT:
            yield from _stand_in(a, own, other, is_first=True)
        else:
            yield from _stand_in(b, other, own, is_first=False)


def _stand_in(side: Side, weight: Op, constant: Op, *, is_first: bool) -> Iterator[frames.DiffRow]:
    """Yield a row where a constant of one model has another value than the variable of the other one that it is."""
    row = side.rows.pop(weight.name, None) or side.of_value(constant.attributes)
    where = f"{weight.name} / {constant.name}" if is_first else f"{constant.name} / {weight.name}"
    known = dict(constant.attributes)
    words = [f"variable {weight.name!r}" if row is None else _described(row), f"constant {known.get('value', '')}"]
    a, b = words if is_first else words[::-1]
    try:
        value = None if row is None else whole(side.values(row), row)
    except errors.TfMagicError:
        value = None
    if value is None or row is None:
        yield frames.DiffRow(_NOT_COMPARED, where, a, b, None, None)
    elif node_descriptions.of_value(row.dtype, value) != constant.attributes:
        yield frames.DiffRow("weight", where, a, b, None, None)


def _gathered(listed: Iterable[frames.DiffRow]) -> Iterator[frames.DiffRow]:
    """Yield rows, at the end what was not compared: one row for all weights with the same reason."""
    waiting: dict[object, list[frames.DiffRow]] = defaultdict(list)
    for row in listed:
        if row.what == _NOT_COMPARED:
            waiting[row.b].append(row)
        else:
            yield row
    for reason, alike in waiting.items():
        yield (
            alike[0]
            if len(alike) == 1
            else frames.DiffRow(_NOT_COMPARED, f"{len(alike):,} weights", "", str(reason), None, None)
        )


def _holds_weights(model: Model) -> bool:
    """Whether the weights are in the graph, so that equal graphs have equal ones."""
    return model.variables_are_constants and not model.has_own_ops


def _rows(a: Side, b: Side, spare: Sequence[bool], taken: Sequence[_Taken]) -> Iterator[frames.DiffRow]:
    pairs = [(a.rows[name], b.rows[name]) for name in a.rows if name in b.rows]
    left = a.without_copies([row for name, row in a.rows.items() if name not in b.rows])
    right = b.without_copies([row for name, row in b.rows.items() if name not in a.rows])
    apart = [each for each in taken if not each.is_crossed]
    renamed = _by_values(a, b, left, right, {(each.first.name, each.second.name) for each in apart})
    gone, come = {pair[0].name for pair in renamed}, {pair[1].name for pair in renamed}
    left, right = [row for row in left if row.name not in gone], [row for row in right if row.name not in come]
    guessed = _by_shape(left, right)
    yield from (row for rows in pairs for row in _difference(a, b, *rows))
    yield from _renames(renamed)
    yield from (row for rows in guessed for row in _difference(a, b, *rows))
    seen = {(mine.name, theirs.name) for mine, theirs in (*renamed, *guessed)}
    for pair in apart:
        if (pair.first.name, pair.second.name) not in seen and not _holds_same(a, b, pair):
            yield from _difference(a, b, pair.first, pair.second)
            gone.add(pair.first.name)
            come.add(pair.second.name)
    known, others = {pair[0].name for pair in guessed} | gone, {pair[1].name for pair in guessed} | come
    left, right = [row for row in left if row.name not in known], [row for row in right if row.name not in others]
    for row in left:
        what = UNUSED if (spare[0] and not right) or _is_bookkeeping(a, row) else "weight"
        yield frames.DiffRow(what, row.name, _described(row), "", None, None)
    for row in right:
        what = UNUSED if (spare[1] and not left) or _is_bookkeeping(b, row) else "weight"
        yield frames.DiffRow(what, row.name, "", _described(row), None, None)


def _is_bookkeeping(side: Side, row: VariableRow) -> bool:
    """Whether no result depends on a variable, whatever the graph: it counts, or training goes on with it."""
    is_of_training = side.has_layers and row.trainable is False and row.name.startswith(_OF_TRAINING)
    return is_of_training or row.name in _BOOKKEEPING


def _described(row: VariableRow) -> str:
    return f"{row.dtype} {_shape_text(row.shape)}"


def _shape_text(shape: Shape) -> str:
    return "of unknown shape" if shape is None else str(shape)


def _by_values(
    a: Side, b: Side, left: Sequence[VariableRow], right: Sequence[VariableRow], likely: set[tuple[str, str]]
) -> list[tuple[VariableRow, VariableRow]]:
    """Pair variables of equal dtype, shape and values, by name those that likely go together first.

    Only those are read that could have a twin.
    """
    kinds = {kind_of(row) for row in left} & {kind_of(row) for row in right}
    waiting: dict[object, list[VariableRow]] = defaultdict(list)
    for row in right:
        if kind_of(row) in kinds:
            waiting[kind_of(row), b.digest(row)].append(row)
    pairs = []
    of_pairs = {name for name, _ in likely}
    for row in sorted(left, key=lambda row: row.name not in of_pairs):
        twins = waiting.get((kind_of(row), a.digest(row))) if kind_of(row) in kinds else None
        if twins:
            likest = next((place for place, twin in enumerate(twins) if (row.name, twin.name) in likely), None)
            pairs.append((row, twins.pop(_likest(row.name, twins) if likest is None else likest)))
    return pairs


def _likest(name: str, rows: Sequence[VariableRow]) -> int:
    """Return the place of the row whose name shares most parts at its end: many weights hold the same zeros."""
    own = name.split("/")[::-1]

    def shared(row: VariableRow) -> int:
        other = row.name.split("/")[::-1]
        return next((place for place, pair in enumerate(zip(own, other, strict=False)) if pair[0] != pair[1]), len(own))

    return max(range(len(rows)), key=lambda place: (shared(rows[place]), -place))


def _by_shape(left: Sequence[VariableRow], right: Sequence[VariableRow]) -> list[tuple[VariableRow, VariableRow]]:
    """Pair what is left where both models have as many variables of a shape, and their names end alike."""
    by_kind: dict[object, tuple[list[VariableRow], list[VariableRow]]] = defaultdict(lambda: ([], []))
    for side, listed in enumerate((left, right)):
        for row in listed:
            by_kind[kind_of(row)][side].append(row)
    return [
        pair
        for ours, theirs in by_kind.values()
        if len(ours) == len(theirs)
        for pair in zip(ours, theirs, strict=True)
        if pair[0].name.rpartition("/")[2] == pair[1].name.rpartition("/")[2]
    ]


def _renames(pairs: Sequence[tuple[VariableRow, VariableRow]]) -> Iterator[frames.DiffRow]:
    """Yield a row for each scope that is called otherwise, not one for each of its variables."""
    scopes: dict[tuple[str, str], int] = defaultdict(int)
    for mine, theirs in pairs:
        scopes[computation_matching.parted(mine.name, theirs.name)] += 1
    for scope, count in scopes.items():
        yield frames.DiffRow("renamed", f"{count} weights", *scope, None, None)


def _difference(a: Side, b: Side, mine: VariableRow, theirs: VariableRow) -> Iterator[frames.DiffRow]:
    where = mine.name if mine.name == theirs.name else f"{mine.name} / {theirs.name}"
    if kind_of(mine) != kind_of(theirs):
        yield frames.DiffRow("weight", where, _described(mine), _described(theirs), None, None)
        return
    try:
        first, second = a.values(mine), b.values(theirs)
        if mine.dtype == "string":
            others = weight_values.other_texts(first, second)
            words = f"{others:,} of {first.size:,} differ"
            yield from [frames.DiffRow("weight", where, _described(mine), words, None, None)] if others else []
            return
        difference = weight_values.compared(first, second, mine.dtype)
    except errors.TfMagicError as error:
        yield frames.DiffRow(_NOT_COMPARED, where, _described(mine), str(error), None, None)
        return
    if difference.largest != 0:
        # A NaN in a table says that there is no number.
        lost = ", where one has NaN and the other a number" if math.isnan(difference.largest) else ""
        words = f"{_described(theirs)}{lost}"
        yield frames.DiffRow("weight", where, _described(mine), words, difference.largest, difference.cosine)

"""Compare the values of two models' variables, block by block, as they lie on disk or live in memory.

Variables go together by name; those that only one model calls so by equal values, else by shape and order where that is
certain. Not for: finding values (:mod:`tfmagic.models.variable_values`).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import errors, frames
from tfmagic.graphs import computation_matching, node_descriptions
from tfmagic.graphs.node_descriptions import WEIGHT
from tfmagic.models.model import Part
from tfmagic.models.variable_values import VariableValues, comparable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tfmagic.frames import Shape, VariableRow
    from tfmagic.graphs.computation import Op
    from tfmagic.graphs.computation_matching import Matching
    from tfmagic.graphs.node_descriptions import Attributes
    from tfmagic.models.model import Model
    from tfmagic.models.value_blocks import Array, Values


class WeightDifference(NamedTuple):
    """How far the values of two variables are from each other.

    Attributes
    ----------
    largest : float
        The largest difference between two numbers; NaN where one of them alone is none.
    cosine : float or None
        Of the angle between both, taken as vectors; None where one of them is all zeros.
    """

    largest: float
    cosine: float | None


class _Side:
    """One model's variables, by name."""

    def __init__(self, model: Model) -> None:
        rows: Sequence[VariableRow] = model.part(Part.VARIABLES)
        self.rows = {row.name: row for row in rows}
        self.has_layers = Part.KERAS in model.parts
        self._values = VariableValues(model)
        self._digests: dict[str, str] = {}

    def values(self, row: VariableRow) -> Values:
        return self._values.as_stored(row)

    def of_value(self, attributes: Attributes) -> VariableRow | None:
        """Take away a variable that holds what a constant holds, for one whose node does not say its name."""
        kind = attributes[:-1]
        for row in list(self.rows.values()):
            if (("dtype", row.dtype), ("shape", str(row.shape))) == kind:
                with contextlib.suppress(errors.TfMagicError):
                    if node_descriptions.of_value(row.dtype, _whole(self.values(row), row)) == attributes:
                        return self.rows.pop(row.name)
        return None

    def digest(self, row: VariableRow) -> str:
        """Return a digest of the values, of what cannot be read one that no other has."""
        if row.name not in self._digests:
            self._digests[row.name] = self._digest(row)
        return self._digests[row.name]

    def without_copies(self, rows: Sequence[VariableRow]) -> list[VariableRow]:
        """Return what is no copy of another variable: a Keras export holds each weight under two keys."""
        spare = {row.name for row in rows}
        kinds = {_kind(row) for row in rows}
        kept = [row for row in self.rows.values() if row.name not in spare and _kind(row) in kinds]
        digests = {(_kind(row), self.digest(row)) for row in kept}
        return [row for row in rows if (_kind(row), self.digest(row)) not in digests]

    def _digest(self, row: VariableRow) -> str:
        digest = hashlib.blake2b(digest_size=16)
        try:
            for block in self.values(row).blocks():
                digest.update(_content(comparable(block, row.dtype)))
        except errors.TfMagicError:
            return f"unread {id(self)} {row.name}"
        return digest.hexdigest()


def _content(values: Array) -> bytes:
    """Return bytes that are the same for the same values."""
    if values.dtype.kind not in _TEXT_KINDS:
        return np.ascontiguousarray(values).tobytes()
    texts = list(map(bytes, values.tolist()))
    return b"".join([*(len(text).to_bytes(8, "little") for text in texts), *texts])


_NOT_COMPARED = "not compared"
#: Kinds of numpy dtypes in which text comes.
_TEXT_KINDS = frozenset("OS")
#: What a weight is that only one model has, and that no result of it depends on.
UNUSED = "unused weight"


#: What TensorFlow saves beside a model's own variables.
_BOOKKEEPING = frozenset({"save_counter"})
#: Where Keras files keep what training goes on with.
_OF_TRAINING = ("optimizer/", "metrics/", "_metrics/")


def rows(first: Model, second: Model, matching: Matching | None) -> Iterator[frames.DiffRow]:
    """Yield a row for each variable that differs, for each that only one has, and for each scope that is renamed.

    Parameters
    ----------
    first, second : Model
        Models with variables.
    matching : Matching or None
        What their computations have in common, if these were compared. Where all weights that both use go together,
        what only one model has, and nothing is left for it in the other, is used by none. So is what only a checkpoint
        has of a model.
    """
    if matching is not None and matching.is_same and _holds_weights(first) and _holds_weights(second):
        return
    all_match = matching is not None and matching.has_all_weights
    a, b = _Side(first), _Side(second)
    # A graph without weights is not what a checkpoint is of.
    spare = [
        all_match or ("graph" not in model.parts and "graph" in beside.parts and bool(others.rows))
        for model, beside, others in ((first, second, b), (second, first, a))
    ]
    constants = list(matching.constants) if matching is not None else []
    for mine, theirs, is_equal in constants:
        if is_equal:
            a.rows.pop(mine, None)
            b.rows.pop(theirs, None)
        elif mine not in a.rows or theirs not in b.rows:
            where = mine if mine == theirs else f"{mine} / {theirs}"
            yield frames.DiffRow("weight", where, "constant", "another value", None, None)
    for own, other in matching.stand_ins if matching is not None else ():
        if own.op == WEIGHT:
            yield from _stand_in(a, own, other, is_first=True)
        else:
            yield from _stand_in(b, other, own, is_first=False)
    yield from _gathered(_rows(a, b, spare))


def _stand_in(side: _Side, weight: Op, constant: Op, *, is_first: bool) -> Iterator[frames.DiffRow]:
    """Yield a row where a constant of one model has another value than the variable of the other one that it is."""
    row = side.rows.pop(weight.name, None) or side.of_value(constant.attributes)
    where = f"{weight.name} / {constant.name}" if is_first else f"{constant.name} / {weight.name}"
    known = dict(constant.attributes)
    words = [f"variable {weight.name!r}" if row is None else _described(row), f"constant {known.get('value', '')}"]
    a, b = words if is_first else words[::-1]
    try:
        value = None if row is None else _whole(side.values(row), row)
    except errors.TfMagicError:
        value = None
    if value is None or row is None:
        yield frames.DiffRow(_NOT_COMPARED, where, a, b, None, None)
    elif node_descriptions.of_value(row.dtype, value) != constant.attributes:
        yield frames.DiffRow("weight", where, a, b, None, None)


def _whole(values: Values, row: VariableRow) -> Array:
    blocks = [comparable(block, row.dtype).reshape(-1) for block in values.blocks()]
    return np.concatenate(blocks).reshape(tuple(size or 0 for size in row.shape or ()))


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


def _rows(a: _Side, b: _Side, spare: Sequence[bool]) -> Iterator[frames.DiffRow]:
    pairs = [(a.rows[name], b.rows[name]) for name in a.rows if name in b.rows]
    left = a.without_copies([row for name, row in a.rows.items() if name not in b.rows])
    right = b.without_copies([row for name, row in b.rows.items() if name not in a.rows])
    renamed = _by_values(a, b, left, right)
    gone, come = {pair[0].name for pair in renamed}, {pair[1].name for pair in renamed}
    left, right = [row for row in left if row.name not in gone], [row for row in right if row.name not in come]
    guessed = _by_shape(left, right)
    yield from (row for pair in pairs for row in _difference(a, b, *pair))
    yield from _renames(renamed)
    yield from (row for pair in guessed for row in _difference(a, b, *pair))
    known, others = {pair[0].name for pair in guessed}, {pair[1].name for pair in guessed}
    left, right = [row for row in left if row.name not in known], [row for row in right if row.name not in others]
    for row in left:
        what = UNUSED if (spare[0] and not right) or _is_bookkeeping(a, row) else "weight"
        yield frames.DiffRow(what, row.name, _described(row), "", None, None)
    for row in right:
        what = UNUSED if (spare[1] and not left) or _is_bookkeeping(b, row) else "weight"
        yield frames.DiffRow(what, row.name, "", _described(row), None, None)


def _is_bookkeeping(side: _Side, row: VariableRow) -> bool:
    """Whether no result depends on a variable, whatever the graph: it counts, or training goes on with it."""
    is_of_training = side.has_layers and row.trainable is False and row.name.startswith(_OF_TRAINING)
    return is_of_training or row.name in _BOOKKEEPING


def _described(row: VariableRow) -> str:
    return f"{row.dtype} {_shape_text(row.shape)}"


def _shape_text(shape: Shape) -> str:
    return "of unknown shape" if shape is None else str(shape)


def _by_values(
    a: _Side, b: _Side, left: Sequence[VariableRow], right: Sequence[VariableRow]
) -> list[tuple[VariableRow, VariableRow]]:
    """Pair variables of equal dtype, shape and values; only those are read that could have a twin."""
    kinds = {_kind(row) for row in left} & {_kind(row) for row in right}
    waiting: dict[object, list[VariableRow]] = defaultdict(list)
    for row in right:
        if _kind(row) in kinds:
            waiting[_kind(row), b.digest(row)].append(row)
    pairs = []
    for row in left:
        twins = waiting.get((_kind(row), a.digest(row))) if _kind(row) in kinds else None
        if twins:
            pairs.append((row, twins.pop(_likest(row.name, twins))))
    return pairs


def _kind(row: VariableRow) -> tuple[str, Shape]:
    return row.dtype, row.shape


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
            by_kind[_kind(row)][side].append(row)
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


def _difference(a: _Side, b: _Side, mine: VariableRow, theirs: VariableRow) -> Iterator[frames.DiffRow]:
    where = mine.name if mine.name == theirs.name else f"{mine.name} / {theirs.name}"
    if _kind(mine) != _kind(theirs):
        yield frames.DiffRow("weight", where, _described(mine), _described(theirs), None, None)
        return
    try:
        first, second = a.values(mine), b.values(theirs)
        if mine.dtype == "string":
            others = _other_texts(first, second)
            words = f"{others:,} of {first.size:,} differ"
            yield from [frames.DiffRow("weight", where, _described(mine), words, None, None)] if others else []
            return
        difference = compared(first, second, mine.dtype)
    except errors.TfMagicError as error:
        yield frames.DiffRow(_NOT_COMPARED, where, _described(mine), str(error), None, None)
        return
    if difference.largest != 0:
        # A NaN in a table says that there is no number.
        lost = ", where one has NaN and the other a number" if math.isnan(difference.largest) else ""
        words = f"{_described(theirs)}{lost}"
        yield frames.DiffRow("weight", where, _described(mine), words, difference.largest, difference.cosine)


def _other_texts(first: Values, second: Values) -> int:
    """Return how many texts of two variables differ."""
    return sum(
        bytes(x) != bytes(y) for a, b in _together(first, second) for x, y in zip(a.tolist(), b.tolist(), strict=True)
    )


def compared(first: Values, second: Values, dtype: str) -> WeightDifference:
    """Compare two variables of one dtype, a block of each at a time; NaN equals NaN, and an infinity itself."""
    largest, product, squares = 0.0, 0.0, [0.0, 0.0]
    # Numbers of damaged files, and of models that diverged, are of any size: nobody is warned of that.
    with np.errstate(all="ignore"):
        for a, b in _together(first, second):
            wide = np.complex128 if dtype.startswith("complex") else np.float64
            if a.tobytes() == b.tobytes():
                x = comparable(a, dtype).astype(wide)
                square = _product(x, x)
                product, squares = product + square, [squares[0] + square, squares[1] + square]
                continue
            x, y = (comparable(each, dtype).astype(wide) for each in (a, b))
            apart = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
            block = float(np.max(apart)) if apart.size else 0.0
            largest = block if math.isnan(block) else max(largest, block) if not math.isnan(largest) else largest
            product += _product(x, y)
            squares = [total + _product(each, each) for total, each in zip(squares, (x, y), strict=True)]
    scale = math.sqrt(squares[0]) * math.sqrt(squares[1])
    return WeightDifference(largest, product / scale if scale and math.isfinite(scale) else None)


def _product(x: Array, y: Array) -> float:
    """Return the product of two vectors of numbers, complex ones taken as pairs of these."""
    return float(np.nansum((x * np.conj(y)).real))


def _together(first: Values, second: Values) -> Iterator[tuple[Array, Array]]:
    """Yield pieces of both that begin and end alike, whatever the blocks of either are."""
    if first.size != second.size:
        raise errors.ConversionError(f"one has {first.size:,} values, the other {second.size:,}")
    left, right = first.blocks(), second.blocks()
    a = b = np.zeros(0)
    while True:
        a = a if a.size else next(left, np.zeros(0)).reshape(-1)
        b = b if b.size else next(right, np.zeros(0)).reshape(-1)
        length = min(a.size, b.size)
        if not length:
            return
        yield a[:length], b[:length]
        a, b = a[length:], b[length:]

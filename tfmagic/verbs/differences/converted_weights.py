"""Rows for the weights of a model and of the TFLite file that was made of it.

A converter lays weights out otherwise, folds norms into them, and rounds them to integers; names tell little. So what
goes together is found by the values alone, and only where no other weight is nearly as alike. What has no such
counterpart was left out, or folded into others: values do not tell which. Not for: weights of one library
(:mod:`tfmagic.verbs.differences.weights`).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import errors, frames
from tfmagic.graphs.signatures import shape_text
from tfmagic.verbs.differences.weight_sides import Side, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tfmagic.frames import VariableRow
    from tfmagic.models.model import Model
    from tfmagic.models.value_blocks import Array

#: The cosine from which on two weights are one that was rounded, and below which all others must stay.
_ALIKE, _APART = 0.99, 0.9
#: What may be left of a difference that factors make up.
_REST = 0.1
#: Weights of more dimensions are laid out as they were.
_MOST_AXES = 5
#: Numbers that are compared of all weights of one size with each other; of more only equal ones are found.
_MOST_COMPARED = 1 << 29


class _Pair(NamedTuple):
    """A weight and the one that it became, with the values of the first as the second has them laid out."""

    own: VariableRow
    converted: VariableRow
    values: Array
    kept: Array
    is_scaled: bool = False


@dataclass
class Comparison:
    """What became of a model's weights.

    Attributes
    ----------
    rows : list of DiffRow
        One for each weight that holds other values, and for each that only one of the two has.
    note : str
        How many hold the same.
    """

    rows: list[frames.DiffRow]
    note: str


def compared(first: Model, second: Model) -> Comparison:
    """Compare the weights of two models, one of which is a TFLite file."""
    is_swapped = first.has_own_ops
    own, converted = (Side(each) for each in ((second, first) if is_swapped else (first, second)))
    left, right = _numbers(own), _numbers(converted)
    # By side, what tells nothing.
    untold: tuple[set[str], set[str]] = set(), set()
    pairs = list(_paired((own, converted), (left, right), untold))
    rows = [
        _row(pair) for pair in pairs if pair.is_scaled or not np.array_equal(pair.values, pair.kept, equal_nan=True)
    ]
    same = len(pairs) - len(rows)
    paired, kept = {pair.own.name for pair in pairs}, {pair.converted.name for pair in pairs}
    rows += [_difference(row.name, _described(row), "") for row in left if row.name not in paired | untold[0]]
    rows += [_difference(row.name, "", _described(row)) for row in right if row.name not in kept | untold[1]]
    rows = [row._replace(a=row.b, b=row.a) if is_swapped else row for row in rows]
    note = f"{same:,} of {len(left):,} weights hold the same in the converted model, laid out as it wants"
    more = f"; {len(untold[0]):,} that hold one number throughout, or that cannot be read, tell nothing"
    return Comparison(rows, note + more * bool(untold[0]))


def _numbers(side: Side) -> list[VariableRow]:
    """Return the weights that are real numbers, or stand for such; what counts is none."""
    return [
        row for row in side.rows.values() if (row.size or 0) > 1 and row.dtype != "string" and row.shape is not None
    ]


def _paired(
    both: tuple[Side, Side], listed: tuple[Sequence[VariableRow], ...], untold: tuple[set[str], set[str]]
) -> Iterator[_Pair]:
    sizes: dict[int, tuple[list[VariableRow], list[VariableRow]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate(listed):
        for row in rows:
            sizes[row.size or 0][side].append(row)
    for size, groups in sizes.items():
        if all(groups):
            mine, theirs = (list(_read(*each)) for each in zip(both, groups, untold, strict=True))
            yield from _of_one_size(mine, theirs, size)


def _read(side: Side, rows: Iterable[VariableRow], untold: set[str]) -> Iterator[tuple[VariableRow, Array]]:
    """Yield weights with their values; note those that are no more than one number, of which others may be as many."""
    for row in rows:
        try:
            values = whole(side.values(row), row).astype(np.float32)
        except (errors.TfMagicError, ValueError, TypeError):
            untold.add(row.name)
            continue
        if values.min() == values.max():
            untold.add(row.name)
        else:
            yield row, values


def _of_one_size(
    mine: list[tuple[VariableRow, Array]], theirs: list[tuple[VariableRow, Array]], size: int
) -> Iterator[_Pair]:
    """Pair what holds the same, then what is alike, then what is alike but for a factor of each channel."""
    for row, values in list(mine):
        equal = next(
            (
                (place, laid)
                for place, (_, kept) in enumerate(theirs)
                for laid in _layouts(values, kept.shape)
                if np.array_equal(laid, kept)
            ),
            None,
        )
        if equal is not None:
            other, kept = theirs.pop(equal[0])
            mine[:] = [each for each in mine if each[0] is not row]
            yield _Pair(row, other, equal[1], kept)
    if len(mine) * len(theirs) * size > _MOST_COMPARED:
        return
    for is_scaled in (False, True):
        scores = [[_best(values, kept, is_scaled=is_scaled) for _, kept in theirs] for _, values in mine]
        yield from _certain(mine, theirs, scores, is_scaled=is_scaled)


def _certain(
    mine: list[tuple[VariableRow, Array]],
    theirs: list[tuple[VariableRow, Array]],
    scores: Sequence[Sequence[tuple[float, Array]]],
    *,
    is_scaled: bool,
) -> Iterator[_Pair]:
    """Yield the pairs that are alike while nothing else is nearly so; take them away."""
    if not mine or not theirs:
        return
    table = np.array([[score for score, _ in row] for row in scores])
    taken: list[tuple[int, int]] = []
    for x, y in np.argwhere(table >= _ALIKE).tolist():
        others = [*np.delete(table[x], y), *np.delete(table[:, y], x)]
        if max(others, default=0.0) < _APART:
            taken.append((x, y))
    for x, y in taken:
        laid, kept = scores[x][y][1], theirs[y][1]
        yield _Pair(mine[x][0], theirs[y][0], laid, kept, is_scaled or _is_scaled(laid, kept, scores[x][y][0]))
    mine[:] = [each for x, each in enumerate(mine) if x not in {pair[0] for pair in taken}]
    theirs[:] = [each for y, each in enumerate(theirs) if y not in {pair[1] for pair in taken}]


def _best(values: Array, kept: Array, *, is_scaled: bool) -> tuple[float, Array]:
    """Return how alike two weights are in the layout in which they are most, and the first one so."""
    best = 0.0, values
    for laid in _layouts(values, kept.shape):
        score = _by_channel(laid, kept) if is_scaled else _cosine(laid.reshape(1, -1), kept.reshape(1, -1))
        if score > best[0]:
            best = score, laid
    return best


def _by_channel(laid: Array, kept: Array) -> float:
    """Return how alike two weights are if each channel may be scaled: outputs come first, of depthwise ones last."""
    if kept.ndim < 2:  # noqa: PLR2004 - a vector has a number a channel: any two are alike
        return 0.0
    axes = (0, kept.ndim - 1)
    return max(
        _cosine(*(np.moveaxis(each, axis, 0).reshape(each.shape[axis], -1) for each in (laid, kept)))
        if kept.size > 2 * kept.shape[axis]
        else 0.0
        for axis in axes
    )


def _is_scaled(laid: Array, kept: Array, likeness: float) -> bool:
    """Whether factors of the channels make up nearly all of the difference."""
    return 1 - _by_channel(laid, kept) < _REST * (1 - likeness)


def _cosine(first: Array, second: Array) -> float:
    """Return the least cosine of the rows of two tables; 0 where a row is all zeros."""
    products = np.einsum("ij,ij->i", first, second, dtype=np.float64)
    norms = np.linalg.norm(first, axis=1).astype(np.float64) * np.linalg.norm(second, axis=1)
    if not np.isfinite(norms).all() or not norms.all():
        return 0.0
    return float(np.min(products / norms))


def _layouts(values: Array, shape: Sequence[int]) -> Iterator[Array]:
    """Yield a weight in the orders of its axes that fill a shape; axes of one element stand anywhere."""
    wanted = [size for size in shape if size != 1]
    plain = values.reshape([size for size in values.shape if size != 1])
    if plain.ndim <= _MOST_AXES:
        for order in itertools.permutations(range(plain.ndim)):
            if [plain.shape[axis] for axis in order] == wanted:
                yield plain.transpose(order).reshape(shape)
    if list(plain.shape) != wanted and plain.ndim != len(wanted):
        # Depthwise kernels have the channels and their multiples as one axis.
        yield values.reshape(shape)


def _row(pair: _Pair) -> frames.DiffRow:
    apart = float(np.max(np.abs(pair.values.astype(np.float64) - pair.kept)))
    cosine = _cosine(pair.values.reshape(1, -1), pair.kept.reshape(1, -1))
    scaled = ", scaled by channel" if pair.is_scaled else ""
    where = pair.own.name if pair.own.name == pair.converted.name else f"{pair.own.name} / {pair.converted.name}"
    return frames.DiffRow("weight", where, _described(pair.own), f"{_described(pair.converted)}{scaled}", apart, cosine)


def _difference(where: str, a: str, b: str) -> frames.DiffRow:
    return frames.DiffRow("weight", where, a, b, None, None)


def _described(row: VariableRow) -> str:
    return f"{row.dtype} {shape_text(row.shape)}"

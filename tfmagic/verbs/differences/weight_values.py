"""Compare the values of two variables, block by block, as they lie on disk or live in memory.

Not for: which variables go together (:mod:`tfmagic.verbs.differences.weights`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import errors
from tfmagic.models.variable_values import comparable

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def other_texts(first: Values, second: Values) -> int:
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

"""Statistics and a histogram of many numbers that come block by block: no more of them is held than a block.

Not for: where the numbers come from (:mod:`tfmagic.models.variable_values`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float64]"

#: Bars of a histogram; integers that take fewer values have one bar for each.
BARS = 40
#: Ranges wider than this overflow when they are divided into bars.
_WIDE = 1e300


class CancelledError(Exception):
    """Nobody wants the statistics any more."""


@dataclass(frozen=True)
class Statistics:
    """What is known of some numbers.

    Attributes
    ----------
    count : int
        How many there are.
    zeros, nans, infinities : int
        How many of them are zero, NaN, plus or minus infinity.
    mean, std, low, high : float or None
        Of those that are finite, the standard deviation with ``count`` as its divisor; None where none is.
    bars : tuple of int
        How many of those lie in each of equal stretches from ``low`` to ``high``.
    """

    count: int
    zeros: int
    nans: int
    infinities: int
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    bars: tuple[int, ...]


@dataclass
class _Moments:
    """Adds up blocks: mean and spread are merged as Chan, Golub and LeVeque do, which keeps their digits."""

    count: int = 0
    zeros: int = 0
    nans: int = 0
    infinities: int = 0
    finite: int = 0
    mean: float = 0.0
    spread: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: npt.NDArray[Any]) -> None:
        """Add a block."""
        finite = as_floats(values)
        self.count += finite.size
        self.zeros += int(finite.size - np.count_nonzero(finite))
        is_finite = np.isfinite(finite)
        if not is_finite.all():
            self.nans += int(np.isnan(finite).sum())
            self.infinities += int(np.isinf(finite).sum())
            finite = finite[is_finite]
        if finite.size:
            self._merge(finite)

    def _merge(self, values: Floats) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean())
            spread = float(np.square(values - mean).sum())
            total = self.finite + values.size
            apart = mean - self.mean
            self.spread += spread + apart * apart * (self.finite * values.size / total)
            self.mean += apart * (values.size / total)
        self.finite = total
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))


def of(blocks: Callable[[], Iterable[npt.NDArray[Any]]], check: Callable[[int], None] | None = None) -> Statistics:
    """Find out about numbers in two passes: the moments, then the histogram between the least and the greatest.

    Parameters
    ----------
    blocks : callable
        Returns the numbers from the beginning, block by block.
    check : callable, optional
        Called after each block with how many numbers were looked at so far, over both passes; what it raises ends it.

    Raises
    ------
    CancelledError
        If ``check`` does.
    """
    tell = check or (lambda _: None)
    moments = _Moments()
    is_whole = True
    for block in blocks():
        moments.add(block)
        is_whole &= block.dtype.kind in "iub"
        tell(moments.count)
    if not moments.finite:
        return Statistics(moments.count, 0, moments.nans, moments.infinities, None, None, None, None, ())
    bars = _histogram(blocks, moments, is_whole=is_whole, tell=tell)
    std = math.sqrt(moments.spread / moments.finite)
    return Statistics(
        moments.count,
        moments.zeros,
        moments.nans,
        moments.infinities,
        moments.mean,
        std,
        moments.low,
        moments.high,
        bars,
    )


def _histogram(
    blocks: Callable[[], Iterable[npt.NDArray[Any]]], moments: _Moments, *, is_whole: bool, tell: Callable[[int], None]
) -> tuple[int, ...]:
    """Count the finite numbers between the least and the greatest."""
    low, high, number = moments.low, moments.high, BARS
    if is_whole and high - low < BARS:
        low, high, number = low - 0.5, high + 0.5, round(high - low) + 1
    elif low == high:
        return (moments.finite,)
    # The difference of the two may be more than any number.
    scale = 0.25 if max(abs(low), abs(high)) > _WIDE else 1.0
    counts = np.zeros(number, np.int64)
    seen = moments.count
    for block in blocks():
        values = as_floats(block)
        counts += _counted(values[np.isfinite(values)] * scale, low * scale, high * scale, number)
        seen += values.size
        tell(seen)
    return tuple(counts.tolist())


def _counted(values: Floats, low: float, high: float, number: int) -> npt.NDArray[np.int64]:
    """Count values by the bar they fall into; the greatest belongs to the last."""
    # Numbers so close together that a bar has no width fall into one.
    width = (high - low) / number
    if not width:
        places = np.zeros(len(values), np.int64)
    else:
        places = np.clip(((values - low) / width).astype(np.int64), 0, number - 1)
    return np.bincount(places, minlength=number)


def as_floats(values: npt.NDArray[Any]) -> Floats:
    """Return numbers of any kind in one dimension as floats."""
    floats: Floats = values.reshape(-1).astype(np.float64)
    return floats

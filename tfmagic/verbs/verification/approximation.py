"""How far an approximation is from its source: reported, not judged.

A quantised model gives other numbers, and how far off is too far is for its user to say. Refused is what no user wants:
NaN, another shape, an output that is the same whatever goes in. Not for: running the two
(:mod:`tfmagic.verbs.verification.trial_run`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic import progress
from tfmagic.verbs.verification import comparison
from tfmagic.verbs.verification.comparison import Comparison
from tfmagic.verbs.verification.outcome import Verification

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    _Outputs = Mapping[str, npt.ArrayLike]

#: What stands in the table's attributes instead of what equal means.
MEANING = (
    "not judged: a quantised result is near the source's; error where it is NaN, of another shape, or all the same"
)
#: An output of the source that varies by less, of what it reaches, may be the same everywhere once it is quantised.
_VARIES = 0.01
#: Outputs that a note tells of.
_MOST_TOLD = 4


def measure(pairs: Iterator[tuple[str, _Outputs, _Outputs]]) -> Verification:
    """Return what an approximation is off by.

    Parameters
    ----------
    pairs : iterator of (str, outputs, outputs)
        Which kind of inputs both were run on; what the source gives, by key, and what the approximation gives.
    """
    measured: dict[str, _Output] = {}
    kinds: list[str] = []
    for kind, expected, values in pairs:
        progress.check()
        kinds.append(kind)
        for key, value in expected.items():
            output = measured.setdefault(key, _Output(key))
            output.add(np.asarray(value), None if key not in values else np.asarray(values[key]))
    compared = Comparison([output.row for output in measured.values()], _told(kinds), MEANING)
    wrong = "; ".join(output.wrong for output in measured.values() if output.wrong)
    outputs = list(measured.values())
    said = "; ".join(output.text for output in outputs[:_MOST_TOLD])
    more = f"; and {len(outputs) - _MOST_TOLD} outputs more" if len(outputs) > _MOST_TOLD else ""
    return Verification(compared, note=f"not judged, on {_told(kinds)}: {said}{more}", wrong=wrong)


def _told(kinds: list[str]) -> str:
    """Say on what both were run."""
    if not kinds or len(set(kinds)) > 1 or kinds[0] != "samples":
        return "; ".join(dict.fromkeys(kinds))
    return f"{len(kinds):,} sample{'' if len(kinds) == 1 else 's'}"


class _Output:
    """One output, over all that was run."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._problem = ""
        self._max_abs, self._max_rel, self._sum, self._count = 0.0, 0.0, 0.0, 0
        self._same = 0
        self._is_text = False
        #: The lowest and the highest value of the source and of the approximation.
        self._source, self._result = _Range(), _Range()

    def add(self, expected: npt.NDArray[Any], value: npt.NDArray[Any] | None) -> None:
        """Take what both give for one call."""
        if value is None or expected.shape != value.shape or expected.dtype != value.dtype:
            other = "nothing" if value is None else f"{value.dtype.name} {value.shape}"
            self._problem = f"{self.key!r} gives {other} where the source gives {expected.dtype.name} {expected.shape}"
            return
        if expected.dtype.kind in "OSU":
            self._is_text = True
            self._same += int((expected == value).sum())
            self._count += expected.size
            return
        ours, theirs = (
            each.astype(np.complex128 if each.dtype.kind == "c" else np.float64) for each in (expected, value)
        )
        lost = np.isfinite(ours) & ~np.isfinite(theirs)
        if lost.any():
            what = "NaN" if np.isnan(theirs[lost]).any() else "infinity"
            self._problem = f"{self.key!r} gives {what} where the source gives numbers"
            return
        finite = np.isfinite(ours)
        size, distance = np.abs(ours[finite]), np.abs(ours[finite] - theirs[finite])
        self._source.add(ours[finite])
        self._result.add(theirs[finite])
        self._count += distance.size
        self._same += int((distance == 0).sum())
        if distance.size:
            self._max_abs = max(self._max_abs, float(distance.max()))
            self._max_rel = max(self._max_rel, float((distance / np.maximum(size, comparison.SMALLEST)).max()))
            self._sum += float(distance.sum())

    @property
    def wrong(self) -> str:
        """Why nobody wants it, empty if somebody may."""
        if self._problem:
            return self._problem
        varies = self._source.width > _VARIES * self._source.reach
        if varies and self._result.width == 0.0:
            return (
                f"{self.key!r} is {self._result.lowest:.3g} whatever goes in, where the source gives "
                f"{self._source.lowest:.3g} to {self._source.highest:.3g}"
            )
        return ""

    @property
    def row(self) -> tuple[str, float, float, bool | None]:
        """The row of the public table."""
        if self._problem or self._is_text or not self._count:
            return self.key, np.nan, np.nan, False if self.wrong else None
        return self.key, self._max_abs, self._max_rel, False if self.wrong else None

    @property
    def text(self) -> str:
        """How far it is off, in words."""
        if self._is_text:
            return f"{self.key!r} is the same in {self._same:,} of {self._count:,} texts"
        if not self._count:
            return f"{self.key!r} has no numbers to compare"
        return (
            f"{self.key!r} is off by up to {self._max_abs:.3g}, on average {self._sum / self._count:.2g}, where the "
            f"source reaches {self._source.reach:.3g}"
        )


class _Range:
    """The lowest and the highest of numbers, of complex ones by their sizes."""

    def __init__(self) -> None:
        self.lowest, self.highest = np.inf, -np.inf

    def add(self, values: npt.NDArray[Any]) -> None:
        """Take some more."""
        if values.size:
            plain = np.abs(values) if values.dtype.kind == "c" else values
            self.lowest = min(self.lowest, float(plain.min()))
            self.highest = max(self.highest, float(plain.max()))

    @property
    def width(self) -> float:
        """How far they lie apart; nothing where there are none."""
        return max(self.highest - self.lowest, 0.0) if self.highest >= self.lowest else 0.0

    @property
    def reach(self) -> float:
        """The largest size."""
        return max(abs(self.lowest), abs(self.highest)) if self.highest >= self.lowest else 0.0

"""Arrays held against those that are expected: how far apart they are, and whether that counts as equal.

What counts as equal: integers, booleans and strings exactly; floats when ``|a - b| <= tolerance * (|a| + scale)``
with the largest finite ``|a|`` of that output as ``scale`` and the dtype's tolerance of :data:`TOLERANCES`; NaN equals
NaN, an infinity itself. Not for: running anything to get the arrays (:mod:`tfmagic.verbs.verification.trial_run`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

COLUMNS = ("output", "max_abs", "max_rel", "equal")
#: Relative tolerance by dtype: some hundred times its precision, as a thousand additions in another order need.
TOLERANCES: Mapping[str, float] = {
    "float64": 1e-8, "complex128": 1e-8, "float32": 1e-4, "complex64": 1e-4, "float16": 1e-2, "bfloat16": 5e-2,
}  # fmt: skip
_COARSE = 0.25
#: A relative difference is taken to at least this.
_SMALLEST = 1e-9


class Comparison(NamedTuple):
    """The table, and whether every row of it is equal."""

    frame: pd.DataFrame

    @property
    def equals_all(self) -> bool:
        """Whether all outputs are equal."""
        return bool(all(self.frame["equal"]))


def compare(expected: Mapping[str, npt.ArrayLike], found: Mapping[str, npt.ArrayLike]) -> Comparison:
    """Compare outputs by key, in the order of those expected; an output that is missing is not equal."""
    rows = [
        (key, *(difference(np.asarray(value), np.asarray(found[key])) if key in found else _UNLIKE))
        for key, value in expected.items()
    ]
    rows += [(key, *_UNLIKE) for key in found if key not in expected]
    return Comparison(frame(rows))


def frame(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """Return the public table of the rows."""
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    return pd.DataFrame(list(rows), columns=list(COLUMNS)).astype({"max_abs": float, "max_rel": float})


#: Nothing to measure: other shapes, other dtypes, or text that is not the same.
_UNLIKE = (np.nan, np.nan, False)


def difference(expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> tuple[float, float, bool]:
    """Return the largest absolute and relative difference of two arrays, and whether they count as equal."""
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return _UNLIKE
    if expected.dtype.kind in "OSU":
        same = bool((expected == found).all())
        return (0.0, 0.0, True) if same else _UNLIKE
    if expected.size == 0:
        return 0.0, 0.0, True
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    if expected.dtype.kind in "biu":
        return _measured(expected.astype(np.float64), found.astype(np.float64), equal=bool((expected == found).all()))
    one, other = expected.astype(wide), found.astype(wide)
    return _measured(one, other, equal=_close(one, other, TOLERANCES.get(expected.dtype.name, _COARSE)))


def _measured(one: npt.NDArray[Any], other: npt.NDArray[Any], *, equal: bool) -> tuple[float, float, bool]:
    """Return the largest differences of the elements that are finite in both."""
    finite = np.isfinite(one) & np.isfinite(other)
    if not finite.any():
        return (0.0, 0.0, True) if equal else _UNLIKE
    size = np.abs(one[finite])
    distance = np.abs(one[finite] - other[finite])
    return float(distance.max()), float((distance / np.maximum(size, _SMALLEST)).max()), equal


def _close(one: npt.NDArray[Any], other: npt.NDArray[Any], tolerance: float) -> bool:
    finite = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return False
    size = np.abs(one[finite])
    allowed = tolerance * (size + size.max(initial=0.0))
    return bool((np.abs(one[finite] - other[finite]) <= allowed).all())

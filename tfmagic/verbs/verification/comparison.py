"""Arrays held against those that are expected: how far apart they are, and whether that counts as equal.

With :mod:`tfmagic.verbs.verification.tolerances` this is the one place that says what counts as equal. Not for:
running anything to get the arrays (:mod:`tfmagic.verbs.verification.trial_run`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tfmagic.verbs.verification.tolerances import MEANING, TOLERANCES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

#: An output, its largest absolute and relative difference, and whether it is equal.
OutputRow: TypeAlias = tuple[str, float, float, bool | None]
#: Of dtypes that have no tolerance of their own: those with fewer bits.
_COARSE = 0.25
COLUMNS = ("output", "max_abs", "max_rel", "equal")
#: A relative difference is taken to at least this.
SMALLEST = 1e-9


class Difference(NamedTuple):
    """How far two arrays are apart, and whether they count as equal: None where they tell nothing."""

    max_abs: float
    max_rel: float
    equal: bool | None


@dataclass(frozen=True)
class Comparison:
    """A comparison, a row an output.

    Attributes
    ----------
    rows : sequence of tuple
        Output, largest absolute and relative difference, whether it is equal: None where it tells nothing, or nothing
        was compared.
    inputs : str
        Which kind of inputs both were run on, empty where nothing was run.
    meaning : str
        What equal means.
    """

    rows: Sequence[OutputRow] = ()
    inputs: str = ""
    meaning: str = MEANING

    @property
    def differs(self) -> bool:
        """Whether an output is not equal."""
        return any(equal is False for *_, equal in self.rows)

    @property
    def telling(self) -> int:
        """How many outputs tell something."""
        return sum(equal is not None for *_, equal in self.rows)

    @property
    def untelling(self) -> tuple[str, ...]:
        """The outputs that tell nothing."""
        return tuple(output for output, *_, equal in self.rows if equal is None)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The public table, made when it is asked for: who only writes a file needs no pandas."""
        import pandas as pd  # noqa: PLC0415 - loaded with the first table

        table = pd.DataFrame(list(self.rows), columns=list(COLUMNS))
        table.attrs["equal"] = self.meaning
        if self.inputs:
            table.attrs["inputs"] = self.inputs
        return table.astype({"max_abs": float, "max_rel": float, "equal": object})


def compare(
    expected: Mapping[str, npt.ArrayLike],
    results: Mapping[str, npt.ArrayLike],
    *,
    settled: Collection[str] = (),
) -> Comparison:
    """Compare outputs by key, in the order of those expected; an output that is missing is not equal.

    Parameters
    ----------
    expected, results : mapping of str to array-like
        The outputs.
    settled : collection of str
        Outputs that no inputs change: one that has no value, or none that is finite, tells all if it is so in both.
    """
    rows = [
        (key, *(_of_output(value, results[key], is_settled=key in settled) if key in results else _UNLIKE))
        for key, value in expected.items()
    ]
    rows += [(key, *_UNLIKE) for key in results if key not in expected]
    return Comparison(rows)


def _of_output(expected: npt.ArrayLike, result: npt.ArrayLike, *, is_settled: bool) -> Difference:
    measured = difference(_array(expected), _array(result))
    return _SAME if is_settled and measured.equal is None else measured


def _array(value: npt.ArrayLike) -> npt.NDArray[Any]:
    """Take a result for an array; one text is bytes, and numpy's own strings lose zeros at their end."""
    return np.asarray(value, dtype=object if isinstance(value, bytes) else None)


#: Nothing to measure: other shapes, other dtypes, or text that is not the same.
_UNLIKE = Difference(np.nan, np.nan, equal=False)
_UNTELLING = Difference(np.nan, np.nan, equal=None)
_SAME = Difference(0.0, 0.0, equal=True)


def tells(values: npt.NDArray[Any]) -> bool:
    """Say whether an array can tell a right result from a wrong one: it has a value that is finite."""
    if not values.size:
        return False
    return not _is_float(values.dtype) or bool(np.isfinite(_wide(values)).any())


def difference(expected: npt.NDArray[Any], value: npt.NDArray[Any]) -> Difference:
    """Return the largest absolute and relative difference of two arrays, and whether they count as equal."""
    if expected.shape != value.shape or expected.dtype != value.dtype:
        return _UNLIKE
    if expected.dtype.kind in "OSU":
        same = bool((expected == value).all())
        return Difference(0.0, 0.0, same if expected.size else None) if same else _UNLIKE
    ours, theirs = _wide(expected), _wide(value)
    if _is_float(expected.dtype):
        measured = _measured(ours, theirs, equal=_close(ours, theirs, TOLERANCES.get(expected.dtype.name, _COARSE)))
    else:
        measured = _measured(ours, theirs, equal=bool((expected == value).all()))
    return measured if tells(expected) or measured.equal is False else _UNTELLING


def _is_float(dtype: np.dtype[Any]) -> bool:
    """Say whether a dtype is of floats: numpy knows no kind for some of TensorFlow's."""
    return dtype.kind in "fc" or dtype.name.startswith(("bfloat", "float"))


def _wide(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def _measured(ours: npt.NDArray[Any], theirs: npt.NDArray[Any], *, equal: bool) -> Difference:
    """Return the largest differences of the elements that are finite in both."""
    finite = np.isfinite(ours) & np.isfinite(theirs)
    if not finite.any():
        return Difference(0.0, 0.0, equal=True) if equal else _UNLIKE
    size = np.abs(ours[finite])
    distance = np.abs(ours[finite] - theirs[finite])
    return Difference(float(distance.max()), float((distance / np.maximum(size, SMALLEST)).max()), equal)


def _close(ours: npt.NDArray[Any], theirs: npt.NDArray[Any], tolerance: float) -> bool:
    finite = np.isfinite(ours) & np.isfinite(theirs)
    if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
        return False
    size = np.abs(ours[finite])
    allowed = tolerance * (size + size.max(initial=0.0))
    return bool((np.abs(ours[finite] - theirs[finite]) <= allowed).all())

"""What a verification found: a row an output, what was not checked and why.

Not for: running anything (:mod:`tfmagic.verbs.verification.trial_run`), or saying what is equal
(:mod:`tfmagic.verbs.verification.comparison`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import errors, progress
from tfmagic.verbs.verification import comparison
from tfmagic.verbs.verification.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pandas as pd

    from tfmagic.functions import NamedFunction


class Verification(NamedTuple):
    """What a comparison found.

    Attributes
    ----------
    compared : Comparison
        A row an output.
    unchecked : str
        Why it could not be checked, empty if it was.
    note : str
        How far off an approximation is, which nobody judges; empty for what is to be equal.
    wrong : str
        Why nobody wants an approximation.
    """

    compared: Comparison
    unchecked: str = ""
    note: str = ""
    wrong: str = ""

    @property
    def frame(self) -> pd.DataFrame:
        """A row an output: :data:`tfmagic.verbs.verification.comparison.COLUMNS`.

        ``attrs["inputs"]`` says which kind of inputs it was compared on.
        """
        return self.compared.frame

    @property
    def differs(self) -> bool:
        """Whether an output that was compared is not equal."""
        return not self.unchecked and self.compared.differs

    @property
    def reservation(self) -> str:
        """What is not verified and why, empty if all is."""
        untelling = () if self.unchecked or self.note else self.compared.untelling
        if not untelling:
            return self.unchecked
        what = "the output {} is empty or has" if len(untelling) == 1 else "the outputs {} are empty or have"
        return (
            f"{what.format(errors.listed(untelling))} no finite value, whatever inputs are tried, which tells nothing; "
            "give inputs of your own to verify"
        )


def unchecked(source: NamedFunction, reason: str) -> Verification:
    """Return the answer for a result that nobody ran."""
    return Verification(Comparison([(end.key, np.nan, np.nan, None) for end in source.outputs]), reason)


def of_values(values: Iterable[tuple[str, npt.ArrayLike, npt.ArrayLike]], unchecked: str = "") -> Verification:
    """Compare values that nothing has to run for: each has a name, what it should be, and what it is.

    They are not made by a trial: a value that is empty, or NaN, was kept if it is so in the result too.
    """
    rows = []
    listed = iter(values)
    try:
        for name, expected, value in listed:
            progress.check()
            measured = comparison.difference(np.asarray(expected), np.asarray(value))
            rows.append((name, *(measured if measured.equal is not None else (0.0, 0.0, True))))
    finally:
        # A generator that is left in its middle would leave TensorFlow's modes when its garbage is collected, whatever
        # mode somebody else is in by then.
        getattr(listed, "close", lambda: None)()
    return Verification(Comparison(rows), unchecked)

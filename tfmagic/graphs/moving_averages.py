"""Moving averages of variables, as they lie beside them: what ``tf.train.ExponentialMovingAverage`` calls them.

Not for: those that a Keras optimizer keeps, which have no such names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What TensorFlow appends to a variable's name (``tensorflow/python/training/moving_averages.py``).
SUFFIX = "/ExponentialMovingAverage"


def averages(names: Iterable[str]) -> dict[str, str]:
    """Return the name of each variable's moving average, of those variables that have one.

    Parameters
    ----------
    names : iterable of str
        The names of variables, or keys of a checkpoint.
    """
    known = set(names)
    return {
        raw: name for name in sorted(known) if name.endswith(SUFFIX) and (raw := name.removesuffix(SUFFIX)) in known
    }

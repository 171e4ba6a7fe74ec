"""The values of one variable, a block at a time.

Not for: finding them (:mod:`tfmagic.models.variable_values`, and each reader for what lies in no checkpoint).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"

#: The bytes of one block.
BLOCK = 4 << 20


class Values(NamedTuple):
    """The values of a variable, so many; ``blocks`` returns them from the beginning, in one dimension."""

    size: int
    blocks: Callable[[], Iterator[Array]]


def cut(values: Array) -> Values:
    """Hand out an array in blocks."""
    flat = values.reshape(-1)
    step = max(1, BLOCK // max(1, flat.itemsize))
    return Values(flat.size, lambda: (flat[first : first + step] for first in range(0, flat.size, step)))

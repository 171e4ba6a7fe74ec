"""Which values are read together: so many that a run of a session is worth it, so few that memory hardly tells.

Not for: reading them (:mod:`tfmagic.functions.state.sessions`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from tfmagic.files import protos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tfmagic.frames import Shape

_Item = TypeVar("_Item")
#: What values that are read together take at most, in bytes.
GROUP_BYTES = 32 << 20


def tensor_bytes(dtype: str, shape: Shape) -> int | None:
    """Return what a tensor takes, None where its dtype (text) or a shape that is not known does not say."""
    item = protos.item_size(dtype)
    if item is None or shape is None or None in shape:
        return None
    return item * math.prod(size or 0 for size in shape)


def grouped(items: Iterable[_Item], size_of: Callable[[_Item], int | None]) -> Iterator[list[_Item]]:
    """Yield items in order, in groups of at most :data:`GROUP_BYTES`; what is larger, or of unknown size, alone."""
    group: list[_Item] = []
    total = 0
    for item in items:
        known = size_of(item)
        size = GROUP_BYTES if known is None else known
        if group and total + size > GROUP_BYTES:
            yield group
            group, total = [], 0
        group.append(item)
        total += size
    if group:
        yield group

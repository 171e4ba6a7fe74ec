"""What can be reached from some names by going on and on from each to those after it.

Not for: knowing what comes after a name, or a walk that needs more than names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def reached(roots: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """Return the roots and all names that follow them, directly or through others."""
    names: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting.extend(following(name))
    return names

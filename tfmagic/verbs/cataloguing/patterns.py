"""Places with wildcards: ``models/*/prod`` and ``bucket/team/**``.

``*`` and ``?`` stand for letters of one name, ``**`` for any number of folders; at an address, where a ``?`` begins
what is asked and names have brackets, only what has a ``*`` is a pattern. What a pattern matches is a model, or a
folder with models. Not for: walking.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tfmagic.files.addresses import urls

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANY = "**"
_WILD, _STAR = re.compile(r"[*?\[]"), re.compile(r"\*")


@dataclass(frozen=True)
class Pattern:
    """The names below the folder where a pattern begins; without any, all models below are meant."""

    names: tuple[str, ...] = ()

    def matches(self, parts: Sequence[str]) -> bool:
        """Say whether a model is meant, by the names that lead to it: it, or a folder above it, is matched."""
        return not self.names or any(_fits(self.names, tuple(parts[:count])) for count in range(len(parts) + 1))

    def may_lead(self, parts: Sequence[str]) -> bool:
        """Say whether a folder is to be entered, by the names that lead to it."""
        if _ANY in self.names[: len(parts)]:
            return True
        return all(map(_is_like, parts, self.names))


def parted(place: str) -> tuple[str, Pattern]:
    """Return the folder in which a pattern begins, and the rest of it."""
    names = place.split("/")
    wild = _wild(place)
    first = next((number for number, name in enumerate(names) if wild.search(name)), len(names))
    rest = tuple(name for name in names[first:] if name)
    base = "/".join(names[:first])
    if not base:
        base = "/" if first and not names[0] else "."
    # What ends in ** means all that is below.
    while rest and rest[-1] == _ANY:
        rest = rest[:-1]
    return base, Pattern(rest)


def is_pattern(place: str) -> bool:
    """Say whether a place has wildcards."""
    return _wild(place).search(place) is not None


def _wild(place: str) -> re.Pattern[str]:
    return _STAR if urls.is_address(place) else _WILD


@cache
def _compiled(name: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(name))


def _is_like(name: str, pattern: str) -> bool:
    return pattern == _ANY or _compiled(pattern).match(name) is not None


def _fits(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Say whether names are matched as a whole."""
    if not pattern:
        return not parts
    if pattern[0] == _ANY:
        return any(_fits(pattern[1:], parts[count:]) for count in range(len(parts) + 1))
    return bool(parts) and _is_like(parts[0], pattern[0]) and _fits(pattern[1:], parts[1:])

"""Automatic names, which a library made up, told from names that people gave: only the latter say whose a value is.

A library numbers what it names (``dense``, ``dense_1``), anew in each process and on in each cell, so that the same
name stands for another layer the next time. Not for: where values lie.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.keras import weight_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_COUNTED = re.compile(r"_\d+$")
#: A Bidirectional calls its two layers after the one that it was given.
_DIRECTION = re.compile(r"^(forward|backward)_")
#: What a variable or a model is called that nobody named.
_MADE_UP = frozenset({"variable", "kernel", "vars", "functional", "sequential", "model", "seed_generator_state"})

_ROLES = weight_names.ALL_NAMES | {"depthwise_kernel"}


class Place(NamedTuple):
    """A variable or a value under the names that lead to it on both sides.

    Attributes
    ----------
    stored, live : tuple of str
        The names in the file and in the model, outermost first; empty where that side has nothing here, or tells no
        names.
    kinds : frozenset of str
        The classes of the live objects on the way, in snake case.
    key, variable : str
        What the file and the model call it, for a person.
    """

    stored: tuple[str, ...]
    live: tuple[str, ...]
    kinds: frozenset[str]
    key: str
    variable: str

    @property
    def given_stored(self) -> frozenset[str]:
        """The names in the file that somebody gave."""
        return frozenset(name for name in self.stored if not is_made_up(name, self.kinds))

    @property
    def given_live(self) -> frozenset[str]:
        """The names in the model that somebody gave."""
        return frozenset(name for name in self.live if not is_made_up(name, self.kinds))

    @property
    def is_renamed(self) -> bool:
        """Whether somebody gave other names in the file than in the model; a file without names is no evidence.

        What layers call their weights is theirs, and another Keras may call it otherwise. A file may leave out some of
        the names on the way.
        """
        stored, live = self.given_stored - _ROLES, self.given_live - _ROLES
        return bool(stored - live) or (len(self.stored) == len(self.live) and stored != live)


class Contradiction(NamedTuple):
    """A given name that stands in the file at one place and in the model at another."""

    name: str
    key: str
    variable: str


def is_made_up(name: str, kinds: Iterable[str]) -> bool:
    """Say whether a library made a name up: its class's in snake case, or its role's, with an optional number.

    Parameters
    ----------
    name : str
        One name, without those that it lies in.
    kinds : iterable of str
        The classes, in snake case, that it may be the name of.
    """
    plain = _COUNTED.sub("", name)
    is_class = plain in kinds or name in kinds or _DIRECTION.sub("", plain) in kinds
    return is_class or plain.lower() in _MADE_UP or name.isdecimal()


def split(name: str) -> tuple[str, ...]:
    """Return the names that a path consists of."""
    return tuple(part for part in name.partition(":")[0].split("/") if part)


def contradictions(places: Sequence[Place]) -> list[Contradiction]:
    """Find the given names that stand on both sides, and on each at a place where the other has another name."""
    stored: dict[str, dict[int, None]] = defaultdict(dict)
    live: dict[str, dict[int, None]] = defaultdict(dict)
    for number, place in enumerate(places):
        for name in sorted(place.given_stored):
            stored[name][number] = None
        for name in sorted(place.given_live):
            live[name][number] = None
    return list(_differing(places, stored, live))


def _differing(
    places: Sequence[Place], stored: dict[str, dict[int, None]], live: dict[str, dict[int, None]]
) -> Iterator[Contradiction]:
    for name in (name for name in stored if name in live):
        only_stored = [number for number in stored[name] if number not in live[name]]
        only_live = [number for number in live[name] if number not in stored[name]]
        if only_stored and only_live:
            yield Contradiction(name, places[only_stored[0]].key, places[only_live[0]].variable)


def ranked(names: Sequence[tuple[str, ...]], kinds: frozenset[str]) -> list[tuple[str, ...]]:
    """Count made-up names anew, in the order of their numbers: ``dense_4`` and ``dense_7`` become 0 and 1.

    A cell that is run again makes its layers in the same order, so that these names are the same each time.
    """
    numbers: dict[str, set[int]] = defaultdict(set)
    for name in (name for path in names for name in path[:-1] if is_made_up(name, kinds)):
        numbers[_COUNTED.sub("", name)].add(_number(name))
    order = {plain: {number: place for place, number in enumerate(sorted(of))} for plain, of in numbers.items()}

    def rank(name: str) -> str:
        plain = _COUNTED.sub("", name)
        return f"{plain}#{order[plain][_number(name)]}" if is_made_up(name, kinds) else name

    return [(*(rank(name) for name in path[:-1]), *path[-1:]) for path in names]


def _number(name: str) -> int:
    counted = _COUNTED.search(name)
    return int(counted[0][1:]) if counted else 0

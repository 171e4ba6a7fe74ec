"""What ``rename`` says: names in the file and the names that they have in the model.

OLD may be a variable, a checkpoint key or what several begin with (a layer), with one ``*`` for whatever stands
there; NEW takes it over. Not for: names that are equal anyway.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files.checkpoints.trackable_object_graph import short_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.verbs.restoration.live_variables import Target
    from tfmagic.verbs.restoration.stored_values import Saved


def renamed(rename: Mapping[str, str], targets: Sequence[Target], saved: Sequence[Saved], model: str) -> dict[int, int]:
    """Pair variables and values by what was said, by their places in the lists.

    Raises
    ------
    ConversionError
        If a name has more than one ``*``, or NEW has one that OLD lacks.
    UnknownNameError
        If there is nothing of a name, in the file or in the model.
    """
    pairs: dict[int, int] = {}
    names = _Names(targets, model)
    for old, new in rename.items():
        _check(old, new)
        pattern = _pattern(old)
        matches = [(place, match) for place, value in enumerate(saved) if (match := _match(pattern, value))]
        if not matches:
            raise errors.UnknownNameError(old, "variable of the file", [value.name for value in saved])
        for place, match in matches:
            pairs.setdefault(names.place(_wanted(new, match)), place)
    return pairs


class _Names:
    """The variables of a model by their names, with and without that of the model."""

    def __init__(self, targets: Sequence[Target], model: str) -> None:
        self.targets = targets
        self.places: dict[str, int] = {}
        self.members: dict[str, list[int]] = {}
        for place, target in enumerate(targets):
            for name in dict.fromkeys((target.name, *_within(target.name, model), target.stored_name)):
                self.places.setdefault(name, place)
                self.members.setdefault(name.rpartition("/")[0], []).append(place)

    def place(self, name: str) -> int:
        """Return the place of a variable; ``layer/vars/1``, as files number what has no name, is a layer's second."""
        layer, _, number = name.rpartition("/vars/")
        members = self.members.get(layer, []) if number.isdecimal() else []
        if name not in self.places and number.isdecimal() and int(number) < len(members):
            return members[int(number)]
        if name not in self.places:
            raise errors.UnknownNameError(name, "variable of the model", [target.name for target in self.targets])
        return self.places[name]


def _match(pattern: re.Pattern[str], value: Saved) -> re.Match[str] | None:
    names = (value.name, *_within(value.name), short_key(value.key), "/".join(value.scope))
    return next((match for name in names if (match := pattern.fullmatch(name))), None)


def _check(old: str, new: str) -> None:
    if old.count("*") > 1 or new.count("*") > old.count("*"):
        raise errors.ConversionError(
            f"rename {old!r}={new!r}: one * is allowed on each side, and stands for the same on both"
        )


def _pattern(old: str) -> re.Pattern[str]:
    """Match a name as a whole, and what lies below it."""
    return re.compile(re.escape(old).replace(r"\*", "(?P<star>.*)") + "(?P<below>/.*)?", re.DOTALL)


def _wanted(new: str, match: re.Match[str]) -> str:
    star = match.groupdict().get("star") or ""
    return new.replace("*", star) + (match["below"] or "")


def _within(name: str, model: str | None = None) -> tuple[str, ...]:
    """Return a variable's name without that of its model, if something is left beside its own."""
    first, _, inner = name.partition("/")
    is_model = first == model if model is not None else "/" in inner
    return (inner,) if inner and is_model else ()

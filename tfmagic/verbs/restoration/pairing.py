"""Which variable takes which value, and what is left on both sides.

Not for: how a value is identified (:mod:`tfmagic.verbs.restoration.identity`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.verbs.restoration.automatic_names import Place
from tfmagic.verbs.restoration.live_variables import KERAS
from tfmagic.verbs.restoration.stored_values import COUNTER, ORDER, PATHS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfmagic.verbs.restoration.keras_places import Owner
    from tfmagic.verbs.restoration.live_variables import LiveVariables, Target
    from tfmagic.verbs.restoration.object_edges import TableEdge
    from tfmagic.verbs.restoration.stored_values import StoredValues


class Loading(NamedTuple):
    """An object of Keras that loads its values by its own method, and their places by name."""

    owner: Owner
    places: dict[str, int]


@dataclass
class Pairing:
    """Which variable takes which value.

    Attributes
    ----------
    live : LiveVariables
        The variables; those that only the walk along objects found are added.
    stored : StoredValues
        The values.
    pairs : dict
        The place of a value in ``stored.saved`` for the place of a variable in ``live.targets``.
    explicit : set of int
        The variables that go by a name: ``rename`` speaks of them, a Saver of the session, or whoever named both sides.
    reserved : set of int
        The values that were paired before anything else, which nothing else takes.
    ways : dict
        The names on the way to a variable and their classes, where the file's are those of Keras' walk.
    loading : list of Loading
        The objects of Keras that load their values by themselves.
    tables : list of TableEdge
        Tables that a checkpoint has the content of.
    problem : str
        What keeps two orders from being one, where order is the identity.
    """

    live: LiveVariables
    stored: StoredValues
    pairs: dict[int, int] = field(default_factory=dict)
    explicit: set[int] = field(default_factory=set)
    reserved: set[int] = field(default_factory=set)
    ways: dict[int, tuple[tuple[str, ...], frozenset[str]]] = field(default_factory=dict)
    loading: list[Loading] = field(default_factory=list)
    tables: list[TableEdge] = field(default_factory=list)
    problem: str = ""

    @property
    def missing(self) -> list[int]:
        """The variables without a value."""
        covered = self.covered
        places = range(len(self.live.targets))
        return [place for place in places if place not in self.pairs and place not in covered]

    @property
    def covered(self) -> dict[int, str]:
        """The variables that such an object sets without a value of their own, and where its values lie."""
        owners = (loading.owner for loading in self.loading)
        of_owners = ((self.live.places.get(id(own)), owner.path) for owner in owners for own in owner.own)
        return {place: path for place, path in of_owners if place is not None}

    def required(self) -> list[int]:
        """Return the weights among them."""
        return [place for place in self.missing if not self.live.targets[place].is_state]

    @property
    def left_over(self) -> list[int]:
        """The values that no variable takes."""
        used = {*self.pairs.values(), *self.table_places}
        used.update(place for loading in self.loading for place in loading.places.values())
        return [place for place, value in enumerate(self.stored.saved) if place not in used and value.name != COUNTER]

    @property
    def table_places(self) -> list[int]:
        """The values that are the content of tables."""
        keys = {f"{edge.key}-{part}" for edge in self.tables for part in ("keys", "values")}
        return [place for place, value in enumerate(self.stored.saved) if value.key in keys]

    def propose(self, target: int, other: int) -> None:
        """Pair a variable with a value, unless it was said what becomes of one of them."""
        if other not in self.reserved:
            self.pairs.setdefault(target, other)

    def without(self, targets: set[int]) -> None:
        """Take back the values of some variables, and the loading of what they belong to."""
        self.pairs = {target: other for target, other in self.pairs.items() if target not in targets}
        self.by_themselves(lambda target, _: target not in targets)

    def by_themselves(self, may: Callable[[int, int], bool]) -> None:
        """Let only those objects load by themselves all of whose variables and places may."""
        places = self.live.places
        self.loading = [
            loading
            for loading in self.loading
            if all(
                may(places[id(variable)], loading.places[name])
                for name, variable in loading.owner.variables.items()
                if id(variable) in places
            )
        ]

    def scope(self, other: int) -> tuple[str, ...]:
        """Return the names of a value, its own at the end; none where the file tells none of its layers."""
        saved = self.stored.saved[other]
        if self.stored.layout != PATHS:
            return saved.scope
        return (*saved.scope, saved.name.rpartition("/")[2]) if saved.scope else ()

    def place(self, target: int) -> Place:
        """Return a variable with the names on both sides."""
        live, other = self.live.targets[target], self.pairs.get(target)
        saved = None if other is None else self.stored.saved[other]
        scope = () if saved is None else _without_model(saved.scope, live, self.live)
        names, kinds = self.ways.get(target, (live.scope, live.kinds))
        return Place(scope, names, kinds, "" if saved is None else saved.key, live.name)

    def places(self) -> list[Place]:
        """Return the weights on both sides, those without a partner too; what only tells of training has no place."""
        targets = self.live.targets
        paired = [self.place(number) for number, target in enumerate(targets) if not target.is_state]
        alone = [self.stored.saved[number] for number in self.left_over if not self.stored.saved[number].is_state]
        return paired + [Place(saved.scope, (), self.live.kinds, saved.key, "") for saved in alone]

    def fits(self, target: int, other: int) -> bool:
        """Say whether a variable can take a value: Keras' files are cast to what the layer computes in."""
        live, saved = self.live.targets[target], self.stored.saved[other]
        is_cast = self.stored.layout in (PATHS, ORDER) and "string" not in (live.dtype, saved.dtype)
        if live.dtype != saved.dtype and not is_cast:
            return False
        if live.piece is None:
            return _same_shape(live.shape, saved.shape)
        whole = saved.shape or ()
        ends = [part.stop <= (size or 0) for part, size in zip(live.piece, whole, strict=False)]
        return len(live.piece) == len(whole) and all(ends)


def _same_shape(live: tuple[int | None, ...] | None, saved: tuple[int | None, ...] | None) -> bool:
    """Say whether a variable of a shape, perhaps an open one, can take a value of another."""
    if live is None or saved is None:
        return live is None
    return len(live) == len(saved) and all(size in (None, other) for size, other in zip(live, saved, strict=True))


def _without_model(scope: tuple[str, ...], target: Target, live: LiveVariables) -> tuple[str, ...]:
    """Leave out the name of the model, which Keras puts before those of layers or not."""
    is_longer = len(scope) > len(target.scope)
    return scope[1:] if is_longer and live.form == KERAS and target.name.partition("/")[0] == live.name else scope

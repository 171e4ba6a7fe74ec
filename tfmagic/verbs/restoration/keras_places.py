"""Where Keras 3's files keep the values of a live model: the path by attribute, class and counter that Keras walks.

The walk is Keras' own for loading (``keras.src.saving.saving_lib._load_state``), with nothing loaded: an object takes
the values under the first path where they fit, and is looked for along other attributes where they do not. Not for:
reading or assigning values.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.keras import specs as keras_specs
from tfmagic.runtime import keras_saving
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.frames import Shape

#: The group that holds an object's own values.
VALUES = "vars"
_OLD_LAYERS = "_layer_checkpoint_dependencies"
_LIBRARIES = frozenset({"keras", "tf_keras"})

#: The shapes of an object's own values by their names, for each path.
Groups = dict[str, dict[str, "Shape"]]


class Owner(NamedTuple):
    """An object that Keras saves, at a place in a file.

    Attributes
    ----------
    saved : object
        A layer, an optimizer.
    path : str
        Where its values lie.
    names, kinds : tuple of str
        The names and the classes, in snake case, of the objects on the way and its own; the model's are left out.
    variables : dict
        The variable that each of its values is the value of; None where Keras stores something made of several.
    own : list
        All variables of its own.
    fits : bool
        Whether it takes all values of its group.
    """

    saved: keras_saving.Live
    path: str
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    variables: dict[str, keras_saving.Live | None]
    own: list[keras_saving.Live]
    fits: bool

    @property
    def is_optimizer(self) -> bool:
        """Whether it is an optimizer."""
        return keras_saving.is_optimizer(self.saved)


def groups(datasets: Mapping[str, Shape]) -> Groups:
    """Sort the datasets of a file by the object that they belong to."""
    result: Groups = {}
    for path, shape in datasets.items():
        owner, _, name = path.rpartition("/")
        result.setdefault(owner.removesuffix(VALUES).rstrip("/"), {})[name] = shape
    for path in list(result):
        result.setdefault(todays_path(path), result[path])
    return result


def todays_path(path: str) -> str:
    """Return a path with today's name of the list of layers; Keras 2.12 called it otherwise."""
    return path.replace(_OLD_LAYERS, "layers")


def dataset(path: str, name: str) -> str:
    """Return the path of a value of an object."""
    return f"{path}/{VALUES}/{name}" if path else f"{VALUES}/{name}"


def owners(model: keras_saving.Live, stored: Groups) -> list[Owner]:
    """Return the objects of a model whose values a file has, in the order in which Keras meets them.

    An object that a group does not fit comes with ``fits`` False, if it has none that does.
    """
    with runtime.eager():
        walk = _Loading(keras_saving.saving(model), stored)
        walk.load(model, "", (), ())
    misfits = [owner for number, owner in walk.misfits.items() if number not in walk.placed]
    return [*walk.placed.values(), *misfits]


@dataclass
class _Loading:
    """Keras' walk over a model in step with a file."""

    saving: keras_saving.Saving
    stored: Groups
    placed: dict[int, Owner] = field(default_factory=dict)
    misfits: dict[int, Owner] = field(default_factory=dict)
    _visited: set[int] = field(default_factory=set)
    _failed: set[int] = field(default_factory=set)
    #: Objects and containers that the walk is inside of: some refer to what they lie in.
    _open: set[int] = field(default_factory=set)
    _expected: dict[int, dict[str, keras_saving.Live]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pieces = [path.split("/") for path in self.stored]
        self._paths = {"/".join(parts[:count]) for parts in pieces for count in range(len(parts) + 1)}

    def load(self, saved: keras_saving.Live, path: str, names: tuple[str, ...], kinds: tuple[str, ...]) -> None:
        """Go into an object. Where the file has nothing below a path, nothing is found along it either."""
        number = id(saved)
        if number in self._visited or number in self._open or path not in self._paths:
            return
        self._open.add(number)
        fits = self._take(saved, path, names, kinds)
        before = len(self._failed)
        for attribute, value in self.saving.attributes(saved):
            below = f"{path}/{attribute}" if path else attribute
            if self.saving.is_saved(value):
                self._enter(value, below, names, kinds)
            elif isinstance(value, list | dict | tuple) and below in self._paths:
                self._contain(value, below, names, kinds)
        if fits and len(self._failed) <= before:
            self._visited.add(number)
        if fits:
            self._failed.discard(number)
        self._open.discard(number)

    def _enter(self, saved: keras_saving.Live, path: str, names: tuple[str, ...], kinds: tuple[str, ...]) -> None:
        name = getattr(saved, "name", None)
        self.load(saved, path, (*names, name if isinstance(name, str) else ""), (*kinds, kind_of(saved)))

    def _contain(self, container: object, path: str, names: tuple[str, ...], kinds: tuple[str, ...]) -> None:
        """Go through a list: its members are numbered by class, and lists in it among themselves."""
        if id(container) in self._open:
            return
        self._open.add(id(container))
        count: Counter[str] = Counter()
        members = list(container.values()) if isinstance(container, dict) else list(container)  # type: ignore[call-overload]
        for member in members:
            is_saved = self.saving.is_saved(member)
            if not is_saved and not isinstance(member, list | dict | tuple):
                continue
            if is_saved and not self.saving.counts_again and id(member) in self._visited:
                continue
            kind = kind_of(member) if is_saved else "container"
            below = f"{path}/{kind}_{count[kind]}" if count[kind] else f"{path}/{kind}"
            count[kind] += 1
            if is_saved:
                self._enter(member, below, names, kinds)
            elif below in self._paths:
                self._contain(member, below, names, kinds)
        self._open.discard(id(container))

    def _take(self, saved: keras_saving.Live, path: str, names: tuple[str, ...], kinds: tuple[str, ...]) -> bool:
        """Note what an object would load from a path; returns whether Keras would do it without an error."""
        if not hasattr(saved, "load_own_variables"):
            return True
        group, expected = self.stored.get(path, {}), self._values(saved)
        same = expected.keys() == group.keys()
        shapes_fit = same and all(_shape(expected[name]) == group[name] for name in group)
        if shapes_fit or (not same and _loads_by_itself(saved, group, expected)):
            if group:
                self.placed[id(saved)] = self._owner(saved, path, names, kinds, fits=True)
            return True
        if group:
            self.misfits.setdefault(id(saved), self._owner(saved, path, names, kinds, fits=False))
        # Keras passes over an optimizer with other variables, and goes on.
        if keras_saving.is_optimizer(saved):
            return True
        self._failed.add(id(saved))
        return False

    def _values(self, saved: keras_saving.Live) -> dict[str, keras_saving.Live]:
        """Return what an object would save, by name: its variables themselves, or arrays."""
        if id(saved) not in self._expected:
            store: dict[str, keras_saving.Live] = {}
            try:
                saved.save_own_variables(store)
            except Exception:  # noqa: BLE001 - a layer's own code may raise anything, and then it stores nothing
                store = {}
            self._expected[id(saved)] = store
        return self._expected[id(saved)]

    def _owner(
        self, saved: keras_saving.Live, path: str, names: tuple[str, ...], kinds: tuple[str, ...], *, fits: bool
    ) -> Owner:
        """Find the variable behind each value of a group: the same object, else the one of its number."""
        own, values = self.saving.own_variables(saved), self._values(saved)
        known = {id(variable) for variable in own}
        numbered = {str(number): variable for number, variable in enumerate(own)} if len(own) == len(values) else {}
        variables = {
            name: values[name] if id(values.get(name)) in known else numbered.get(name)
            for name in self.stored[path]
            if fits or name in values
        }
        return Owner(saved, path, names, kinds, variables, own, fits)


def kind_of(saved: object) -> str:
    """Return the name of an object's class as Keras writes it in a path."""
    return keras_specs.snake_case(type(saved).__name__)


def kinds_of(saved: object) -> set[str]:
    """Return the names that Keras 3 and Keras 2 make of an object's class."""
    return {kind_of(saved), keras_specs.keras_2_snake_case(type(saved).__name__)}


def layer_kinds() -> frozenset[str]:
    """Return the names that Keras makes of the classes of its layers and models."""
    return frozenset(keras_specs.snake_case(name) for name in (*keras_saving.layer_classes(), "Sequential", "Model"))


def walk(model: keras_saving.Live) -> Iterator[tuple[tuple[str, ...], keras_saving.Live]]:
    """Yield each object that a model saves, with the names on the way to it and its own, the model first."""
    saving = keras_saving.saving(model)
    pending: list[tuple[tuple[str, ...], object]] = [((), model)]
    seen: set[int] = set()
    while pending:
        names, value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list | dict | tuple):
            members = list(value.values()) if isinstance(value, dict) else list(value)
            pending.extend((names, member) for member in reversed(members) if _leads_on(saving, member))
        else:
            own = names if value is model else (*names, str(getattr(value, "name", "")))
            yield own, value
            children = [child for _, child in saving.attributes(value) if _leads_on(saving, child)]
            pending.extend((own, child) for child in reversed(children))


def _leads_on(saving: keras_saving.Saving, value: object) -> bool:
    return saving.is_saved(value) or isinstance(value, list | dict | tuple)


def _shape(value: keras_saving.Live) -> Shape:
    return tuple(value.shape)


def _loads_by_itself(saved: keras_saving.Live, group: Mapping[str, Shape], expected: Mapping[str, object]) -> bool:
    """Whether only an object's own code knows what it makes of other values than it would save."""
    loader = type(saved).load_own_variables
    is_library = loader.__module__.partition(".")[0] in _LIBRARIES
    if is_library:
        return not expected and "load_own_variables" in vars(type(saved))
    return bool(group) or not expected

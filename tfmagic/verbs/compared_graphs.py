"""What differs between two models, as marks on the boxes of a graph: one model drawn over the other.

Not for: finding what differs (:mod:`tfmagic.verbs.diff`), or drawing (:mod:`tfmagic.display.graph.shades`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tfmagic import readers
from tfmagic.display.graph import choices as graph_choices
from tfmagic.display.graph import overlaid as overlaid_graphs
from tfmagic.display.graph.layer_bodies import LayerLibrary
from tfmagic.display.graph.measures import Measure, Sums
from tfmagic.display.graph.overlaid import OverlaidLibrary
from tfmagic.display.graph.shades import CHANGED, GONE, ONLY, WEIGHTS, ByMarks
from tfmagic.verbs.diff import diff

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tfmagic.display.graph.bodies import Library
    from tfmagic.display.graph.choices import Choice
    from tfmagic.models.model import Model
    from tfmagic.verbs.diff import Diff

#: What parts the two names of a weight that is called otherwise in the other model.
_OR = " / "


class ComparedColour:
    """Boxes of a model by what another one has that it has not, and the other way round.

    Parameters
    ----------
    model : Model
        What is drawn.
    other : Model
        The other one.
    compared : Diff
        Of both.
    """

    def __init__(self, model: Model, other: Model, compared: Diff) -> None:
        self.diff = compared
        self._other = other
        self.title = f"differences from {compared.origins[1].rpartition('/')[2]}"
        self._model = model
        self._made: dict[int, tuple[Library, ByMarks]] = {}

    def __call__(self, library: Library) -> ByMarks:
        """Return what marks the boxes of a library's graphs."""
        if id(library) not in self._made:
            marks = _marks(self._model, self.diff, library)
            sums = {kind: Sums(measure, library) for kind, measure in marks.items()}
            note = "; ".join(self.diff.notes)
            self._made[id(library)] = library, ByMarks(sums, self.title, note, is_equal=self.diff.equal)
        return self._made[id(library)][1]

    def over(self, choices: list[Choice]) -> list[Choice]:
        """Return what there is to draw, with what only the other model has."""
        gone = self._gone
        if not gone:
            return choices
        others = graph_choices.choices(self._other)
        graphs: OverlaidLibrary | None = None
        overlaid = []
        for choice in choices:
            library: Library | None = choice.library
            if isinstance(library, LayerLibrary):
                if "keras" in self._other.parts:
                    library = overlaid_graphs.layers(self._model.layers, self._other.layers, gone)
            elif library is not None:
                theirs = next((each.library for each in others if each.library is not None), None)
                if theirs is not None and not isinstance(theirs, LayerLibrary):
                    if graphs is None:
                        pairs = overlaid_graphs.partners(choices, others)
                        graphs = OverlaidLibrary(self._model, theirs, _by_function(theirs, others, gone), pairs)
                    library = graphs
            overlaid.append(choice._replace(library=library))
        return overlaid

    @property
    def _gone(self) -> set[str]:
        """The layers and ops that only the other model has, by name."""
        table = self.diff.table
        return set(table["where"][table["what"].isin([_OP, _LAYER]) & (table["a"] == "")])


def of(model: Model, other: object, *, trust: bool = False) -> ComparedColour:
    """Compare a model with another one, to be drawn over it.

    Raises
    ------
    ReadError, MissingPartError
        As :func:`tfmagic.diff`.
    """
    read = readers.read(other, trust=trust)
    return ComparedColour(model, read, diff(model, read, trust=trust))


def _marks(model: Model, compared: Diff, library: Library) -> dict[str, Measure]:
    """Return for each kind of difference where it is, by the names of what is drawn."""
    layers = set(map(str, library.frame["name"])) if isinstance(library, LayerLibrary) else None
    known = library.names
    users = _users(model) if layers is None else {}
    places_of: Mapping[str, list[tuple[str, str]]] = {}
    if layers is None:
        drawn_names = {_drawn(*row) for row in compared.table[["what", "where"]].itertuples(index=False, name=None)}
        places_of = overlaid_graphs.located(library, _roots(graph_choices.choices(model)), drawn_names)
    names: Mapping[str, dict[str, float]] = defaultdict(dict)
    places: Mapping[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for what, where, a, b in compared.table[["what", "where", "a", "b"]].itertuples(index=False, name=None):
        kind = _KINDS.get(what)
        if kind is None:
            continue
        name = _drawn(what, where)
        # An argument of a layer may be stated on one side alone.
        kind = kind if what not in _SIDED or (a and b) or name != where else ONLY if a else GONE
        if name in users:
            places[kind].update(dict.fromkeys(users[name], 1.0))
        elif name in places_of:
            for place in places_of[name]:
                places[kind][place] = places[kind].get(place, 0.0) + 1.0
        else:
            drawn = name if layers is None else _layer(name, layers)
            if what == _WEIGHT and not a and drawn not in known:
                continue
            names[kind][drawn] = names[kind].get(drawn, 0.0) + 1.0
    return {kind: Measure(kind, names[kind], places[kind]) for kind in (ONLY, GONE, CHANGED, WEIGHTS)}


def _drawn(what: str, where: str) -> str:
    """Return the name of the node, the layer or the weight that a row is of."""
    return where.partition(_OR)[0] if what == _WEIGHT else where.rpartition(", ")[0] or where


def _roots(choices: Iterable[Choice]) -> list[str]:
    """Return the functions that graphs begin with."""
    return [
        choice.function
        for choice in choices
        if choice.library is not None and not isinstance(choice.library, LayerLibrary)
    ]


def _by_function(library: Library, choices: Iterable[Choice], gone: Collection[str]) -> dict[str, set[str]]:
    """Return nodes by the functions that they are in."""
    nodes: dict[str, set[str]] = defaultdict(set)
    for places in overlaid_graphs.located(library, _roots(choices), gone).values():
        for function, node in places:
            nodes[function].add(node)
    return nodes


_WEIGHT, _OP, _ATTRIBUTE, _LAYER = "weight", "op", "attribute", "layer"
_KINDS = {_WEIGHT: WEIGHTS, _OP: CHANGED, _ATTRIBUTE: CHANGED, _LAYER: CHANGED}
#: Kinds of rows that say by an empty side that only the other model has it.
_SIDED = frozenset({_OP, _LAYER})


def _users(model: Model) -> dict[str, list[tuple[str, str]]]:
    """Return by weight the nodes that use it, where the graph tells."""
    if not model.is_at_hand("graph"):
        return {}
    users: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for node in model.node_costs:
        for weight in node.weights:
            users[weight.name].append(node.place)
    return users


def _layer(name: str, layers: Iterable[str]) -> str:
    """Return the layer that a weight or an op belongs to by its name, the name itself if none."""
    known = set(layers)
    return next((each for each in _scopes(name) if each in known), name)


def _scopes(name: str) -> Iterator[str]:
    """Yield a name, what is around it, and its single parts: ``net/conv/kernel`` is of ``conv``."""
    parts = name.split("/")
    yield from ("/".join(parts[:end]) for end in range(len(parts), 0, -1))
    yield from parts

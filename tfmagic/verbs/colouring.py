"""What a person colours a graph by: parameters, bytes, FLOPs, measured time, or numbers of their own by name.

Not for: summing numbers up in boxes (:mod:`tfmagic.display.graph.measures`), or colours
(:mod:`tfmagic.display.graph.shades`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.display.graph import measures
from tfmagic.display.graph.layer_bodies import LayerLibrary
from tfmagic.display.graph.measures import Measure, Sums
from tfmagic.display.graph.shades import ByMeasure, number_text
from tfmagic.models.model import Part
from tfmagic.verbs import op_times

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from tfmagic.display.graph.bodies import Library
    from tfmagic.display.graph.choices import Choice
    from tfmagic.graphs.costs.graph_costs import NodeCost
    from tfmagic.models.model import Model

#: What a graph can be coloured by without numbers of the user's: the words of the option, and what a person reads.
PARAMETERS, BYTES, FLOPS, TIME = "parameters", "bytes", "flops", "time"
TITLES = {PARAMETERS: "parameters", BYTES: "bytes of weights", FLOPS: "FLOPs", TIME: "time"}
_UNITS = {BYTES: measures.BYTES, TIME: measures.SECONDS}
#: Columns of a table that name nodes, layers or scopes.
_NAMING = ("name", "scope", "layer", "node")
#: Of an index: function and node.
_LEVELS = 2


class GraphColour:
    """What a model's graphs are coloured by.

    Parameters
    ----------
    title : str
        What a person calls it.
    measure : callable
        Returns the numbers for the bodies of a library.
    """

    def __init__(self, title: str, measure: Callable[[Library], Measure]) -> None:
        self.title = title
        self._measure = measure
        self._made: dict[int, tuple[Library, ByMeasure]] = {}

    def __call__(self, library: Library) -> ByMeasure:
        """Return what colours the boxes of a library's graphs."""
        if id(library) not in self._made:
            # The library is kept with it: another one could have its number once it is gone.
            self._made[id(library)] = library, ByMeasure(Sums(self._measure(library), library))
        return self._made[id(library)][1]

    @staticmethod
    def over(choices: list[Choice]) -> list[Choice]:
        """Return what there is to draw as it is."""
        return choices


def choices(model: Model) -> list[str]:
    """List the words that a model's graphs can be coloured by."""
    can_time = model.variables_are_constants and Part.FUNCTION in model.loaders
    return [PARAMETERS, BYTES, FLOPS, *([TIME] if can_time else [])]


def of(model: Model, wanted: object, *, trust: bool = False) -> GraphColour:
    """Return what a model's graphs are coloured by.

    Parameters
    ----------
    model : Model
        With a graph or layers.
    wanted : str, Series, DataFrame or mapping
        ``"parameters"``, ``"bytes"``, ``"flops"``, ``"time"`` (which runs a frozen graph, on inputs made for it), or
        numbers by the name of a node, a layer or a name scope; a table has one column of numbers, and names in a
        column ``name`` or ``scope``, or in its index. With two levels the index is (function, node).
    trust : bool
        Whether the model may be run though it acts outside itself; only time runs it.

    Raises
    ------
    UnknownNameError
        If a word is none of these.
    ConversionError
        If what is given holds no numbers by name, or time cannot be measured.
    UntrustedCodeError
        If running the model would act outside it.
    """
    if isinstance(wanted, str):
        if wanted not in TITLES:
            raise errors.UnknownNameError(wanted, "colour", [*TITLES, "a Series by name"])
        if wanted == TIME:
            measure = _time(model, trust=trust)
            return GraphColour(TITLES[TIME], lambda _: measure)
        return GraphColour(TITLES[wanted], lambda library: _of_costs(model, library, wanted))
    measure = _of_data(wanted)
    return GraphColour(measure.title, lambda _: measure)


# What the model says itself


def _of_costs(model: Model, library: Library, wanted: str) -> Measure:
    title, unit = TITLES[wanted], _UNITS.get(wanted, measures.COUNT)
    if isinstance(library, LayerLibrary):
        known = library.frame[["name", wanted]].dropna()
        pairs = zip(map(str, known["name"]), map(float, known[wanted]), strict=True)
        return Measure(title, dict(pairs), unit=unit)
    nodes = model.node_costs
    what = "size" if wanted == PARAMETERS else "bytes"
    numbers = _flops(nodes) if wanted == FLOPS else _weights(nodes, what)
    return Measure(title, of_nodes=numbers, unit=unit)


def _flops(nodes: Sequence[NodeCost]) -> dict[tuple[str, str], float]:
    """Return the FLOPs of a call of each node; a function that is called twice has them once."""
    known: dict[tuple[str, str], float] = {}
    for node in nodes:
        if node.flops is not None:
            known.setdefault(node.place, float(node.flops))
    return known


def _weights(nodes: Sequence[NodeCost], what: str) -> dict[tuple[str, str], float]:
    """Return sizes or bytes of the weights that each node is the first to use."""
    counted: set[str] = set()
    known: dict[tuple[str, str], float] = {}
    for node in nodes:
        for weight in node.weights:
            number = getattr(weight, what)
            if weight.name not in counted and number is not None:
                counted.add(weight.name)
                known[node.place] = known.get(node.place, 0.0) + number
    return known


def _time(model: Model, *, trust: bool) -> Measure:
    timed = op_times.measured(model, trust=trust)
    own = sum(timed.seconds.values())
    note = (
        f"the median of {timed.calls} calls on this machine, {number_text(own, measures.SECONDS)} in all; "
        "ops that run at the same time are counted each"
    )
    return Measure(TITLES[TIME], timed.seconds, unit=measures.SECONDS, note=note)


# What the user gives


def _of_data(data: Any) -> Measure:  # noqa: ANN401 - whatever is given
    """Take numbers by name out of a Series, a table or a mapping.

    Raises
    ------
    ConversionError
        If there are none.
    """
    series = _series(data)
    import pandas as pd  # noqa: PLC0415 - as above

    try:
        numbers = pd.to_numeric(series).astype("float64").dropna()
    except (TypeError, ValueError) as error:
        raise errors.ConversionError(
            f"the values that colour a graph are to be numbers, and one is not: {error}; give a Series of numbers"
        ) from error
    if not len(numbers):
        raise errors.ConversionError("there is no number to colour by: give a Series of numbers by the names of nodes")
    title = "values" if series.name is None else str(series.name)
    unit = next((unit for unit in (measures.BYTES, measures.SECONDS) if title.endswith(unit)), measures.COUNT)
    sums = numbers.groupby(level=list(range(numbers.index.nlevels)), sort=False).sum()
    if sums.index.nlevels == 1:
        return Measure(title, dict(zip(map(str, sums.index), map(float, sums), strict=True)), unit=unit)
    places = [(str(function), str(name)) for function, name in sums.index]
    return Measure(title, of_nodes=dict(zip(places, map(float, sums), strict=True)), unit=unit)


def _series(data: Any) -> pd.Series[Any]:  # noqa: ANN401 - as above
    import pandas as pd  # noqa: PLC0415 - as above

    if isinstance(data, pd.DataFrame):
        data = _column(data)
    elif isinstance(data, Mapping):
        data = pd.Series(dict(data), dtype=object)
    if not isinstance(data, pd.Series):
        raise errors.ConversionError(
            f"a graph is coloured by {errors.listed(TITLES)}, or by a Series, table or dict of numbers by the names of "
            f"nodes, not by {type(data).__name__}"
        )
    if data.index.nlevels > _LEVELS:
        raise errors.ConversionError(
            f"the index of the Series has {data.index.nlevels} levels: one is the name of a node, two are its function "
            "and its name"
        )
    return data


def _column(frame: pd.DataFrame) -> pd.Series[Any]:
    """Return the one column of numbers of a table, by name."""
    naming = next((name for name in _NAMING if name in frame.columns), None)
    indexed = frame if naming is None else frame.set_index(naming)
    columns = [str(name) for name in indexed.select_dtypes("number").columns]
    if len(columns) != 1:
        several = f"{len(columns)} columns of numbers ({errors.listed(columns)})" if columns else "no column of numbers"
        which = columns[0] if columns else "number"
        chosen = "frame" if naming is None else f"frame.set_index({naming!r})"
        raise errors.ConversionError(f"the table has {several}: choose one, as in {chosen}[{which!r}]")
    column: pd.Series[Any] = indexed[columns[0]]
    return column

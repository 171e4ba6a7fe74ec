"""Cautions that variables give: moving averages beside them, values that are missing, values that no training changed.

Not for: which variables there are (the table of variables), or their statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files.checkpoints.trackable_object_graph import short_key
from tfmagic.findings.caution import HIGH, MEDIUM, Caution
from tfmagic.graphs import saved_object_graph
from tfmagic.graphs.moving_averages import averages
from tfmagic.graphs.resources import VARIABLES, resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfmagic.findings.caution import Subject
    from tfmagic.frames import VariableRow

#: What batch normalisation keeps of its training, and what it begins with.
_KEPT = {"moving_mean": 0.0, "moving_variance": 1.0}
#: As many variables, and numbers of each, are read before a model counts as one that nobody trained; the first that
#: is other ends it.
_MOST_VARIABLES, _MOST_NUMBERS = 15, 256
#: Layers that have weights.
_WEIGHTED = frozenset(
    {"Dense", "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose", "Embedding"}
    | {"BatchNormalization", "LSTM", "GRU", "SimpleRNN"}
)


def moving_averages(subject: Subject) -> Iterator[Caution]:
    """Find variables beside which their moving averages lie, which inference should read."""
    if subject.model.ema:
        return
    names = subject.model.optimizer_averages()
    if subject.is_followed and averages(_variable_names(subject)):
        names = subject.model.averaged(_of_main_graph(subject))
    if names:
        advice = "ema=True (--ema) takes the averages, with which it was most likely evaluated"
        what = "moving averages lie beside the weights, which are taken raw"
        yield Caution("moving-averages", MEDIUM, errors.listed(names), advice, what, names=tuple(names))


def _of_main_graph(subject: Subject) -> list[str]:
    """Return the variables of the main graph that the outputs need, by their nodes."""
    return [place.name for place in subject.rows(VARIABLES) if not place.function]


def _variable_names(subject: Subject) -> Iterator[str]:
    """Yield what variables are called, in the table and as objects: a table prefers keys to names that say little."""
    yield from (row.name for row in subject.model.variable_rows())
    objects = subject.model.meta_graph.object_graph_def
    yield from (str(node.variable.name) for node in (() if objects is None else objects.nodes))


def missing(subject: Subject) -> Iterator[Caution]:
    """Find variables that the graph reads and its files have no value for."""
    if not subject.has_graph or subject.model.is_live or not subject.is_followed:
        yield from _empty_layers(subject)
        return
    suspects = _suspects(subject)
    names = subject.model.without_value(suspects) if suspects else []
    if names:
        advice = "give the checkpoint that was saved with this graph, or ends between which they are not read"
        what = "variables that the graph reads have no value in its files"
        yield Caution("missing-weights", HIGH, errors.listed(names), advice, what, names=tuple(names))


def _suspects(subject: Subject) -> list[str]:
    """Return the variables that the outputs need and that no entry of the checkpoint bears the name of."""
    names = _of_main_graph(subject)
    files = subject.model.checkpoint_files() if names else None
    if files is None or not files.tables:
        return names
    entries = files.opened.entries
    objects = subject.model.meta_graph.object_graph_def
    if objects is not None:
        stored = {short_key(key) for key in entries}
        saved = saved_object_graph.by_key(objects)
        if all(path in stored for path, variable in saved.items() if variable.is_used):
            return []
        return names
    shared = {place.name: subject.node_def(place.row) for place in subject.rows(VARIABLES) if place.name not in entries}
    return [name for name, node in shared.items() if resource(node)[1].decode(errors="replace") not in entries]


def _empty_layers(subject: Subject) -> Iterator[Caution]:
    """Find layers of a Keras file that should have weights and have none, where others have."""
    if subject.layers is None or subject.model.is_live or not subject.model.variable_rows():
        return
    rows = [row for row in subject.layers if row.class_ in _WEIGHTED]
    names = [row.name for row in rows if not row.parameters]
    if names and len(names) < len(rows):
        advice = "Keras loads it with random values, or not at all: save the model once more"
        what = "layers without the weights that they should have"
        yield Caution("missing-weights", HIGH, errors.listed(names), advice, what, names=tuple(names))


def uninitialised(subject: Subject) -> Iterator[Caution]:
    """Find variables of a session that the outputs need and nothing has given a value yet."""
    if not (subject.has_graph and subject.model.is_live and subject.is_followed):
        return
    names = subject.model.without_value(_of_main_graph(subject))
    if names:
        advice = "run tf.compat.v1.global_variables_initializer() or restore a checkpoint first"
        what = "variables without a value"
        yield Caution("uninitialised", HIGH, errors.listed(names), advice, what, names=tuple(names))


def untrained(subject: Subject) -> Iterator[Caution]:
    """Find models whose batch normalisation still has what it began with: a mean of 0, a variance of 1."""
    kept = _kept(subject.model.variable_rows())
    if not kept or not all(_is_as_begun(subject, row, value) for row, value in kept):
        return
    names = [row.name for row, _ in kept]
    advice = "it looks untrained: load the trained weights, or see whether it is the checkpoint that is meant"
    what = "the moving means are all 0 and the variances all 1"
    yield Caution("untrained", MEDIUM, errors.listed(names), advice, what, names=tuple(names))


def _kept(rows: Iterable[VariableRow]) -> list[tuple[VariableRow, float]]:
    known = [(row, _KEPT.get(row.name.rpartition("/")[2])) for row in rows]
    begun = [(row, value) for row, value in known if value is not None and row.size]
    # Means and variances take turns in a table: an odd step takes some of both.
    return begun[:: (len(begun) // _MOST_VARIABLES) | 1]


def _is_as_begun(subject: Subject, row: VariableRow, value: float) -> bool:
    try:
        if subject.model.variables_are_constants:
            if not subject.is_followed:
                return False
            constant = subject.constant("", row.name)
            numbers = [] if constant is None else constant.reshape(-1)[:_MOST_NUMBERS].tolist()
        else:
            numbers = subject.model.first_values(row, _MOST_NUMBERS)
        return bool(numbers) and all(number == value for number in numbers)
    except (errors.TfMagicError, OSError, ValueError):
        return False

"""Keras' HDF5 layout of old: the order of layers with weights says which value is which, and their order in a layer.

``keras.src.legacy.saving.legacy_h5_format`` loads by it; an optimizer's values follow in the order of its variables.
Not for: files of Keras 3's own layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.keras import weights as keras_weights
from tfmagic.runtime import keras_saving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfmagic.verbs.restoration.stored_values import Saved

_TOP_LEVEL, _OPTIMIZER = "top_level_model_weights", "optimizer_weights"


class Ordered(NamedTuple):
    """Variables, the places of their values and the names on the way, and what keeps two orders from being one."""

    pairs: list[tuple[keras_saving.Live, int, tuple[str, ...]]]
    problem: str


def ordered(model: keras_saving.Live, saved: Sequence[Saved]) -> Ordered:
    """Pair a model's variables with what a file lists, layer by layer; with none if one layer differs."""
    listed = _listed(saved)
    optimizer = listed.pop(_OPTIMIZER, [])
    top = listed.pop(_TOP_LEVEL, [])
    layers = [layer for layer in model.layers if layer.weights]
    pairs: list[tuple[keras_saving.Live, int, tuple[str, ...]]] = []
    problem = ""
    if len(layers) != len(listed):
        problem = f"the file has {len(listed)} layers with weights, the model {len(layers)}"
    for layer, (name, places) in zip(layers, listed.items(), strict=False):
        weights = [*layer.trainable_weights, *layer.non_trainable_weights]
        if len(weights) != len(places) and not problem:
            problem = f"{name!r} has {len(places)} weights in the file, and {layer.name!r} {len(weights)} in the model"
        pairs += [(each, place, _way(layer, each)) for each, place in zip(weights, places, strict=False)]
    own = _own_weights(model)
    if top and len(top) != len(own) and not problem:
        problem = f"the file has {len(top)} weights of the model's own, the model {len(own)}"
    pairs += [(each, place, (_path(each).rpartition("/")[2],)) for each, place in zip(own, top, strict=False)]
    if problem:
        return Ordered([], problem)
    return Ordered([*pairs, *_of_optimizer(model, saved, optimizer)], "")


def _listed(saved: Sequence[Saved]) -> dict[str, list[int]]:
    """Return the places of the values of each layer, in the file's order."""
    result: dict[str, list[int]] = {}
    for place, value in enumerate(saved):
        group = value.key.partition("/")[0]
        name = group if group in (_TOP_LEVEL, _OPTIMIZER) else value.scope[0]
        result.setdefault(name, []).append(place)
    return result


def _own_weights(model: keras_saving.Live) -> list[keras_saving.Live]:
    weights = {id(weight) for weight in model.weights}
    return [each for each in keras_saving.saving(model).own_variables(model) if id(each) in weights]


def _way(layer: keras_saving.Live, weight: keras_saving.Live) -> tuple[str, ...]:
    path = _path(weight)
    return (*keras_weights.way(layer.name, path), path.rpartition("/")[2])


def _path(weight: keras_saving.Live) -> str:
    return str(getattr(weight, "path", "") or weight.name).partition(":")[0]


def _of_optimizer(
    model: keras_saving.Live, saved: Sequence[Saved], places: Sequence[int]
) -> list[tuple[keras_saving.Live, int, tuple[str, ...]]]:
    """Pair the state of an optimizer if it is the same: as many variables of the same shapes."""
    listed = getattr(getattr(model, "optimizer", None), "variables", ())
    variables = list(listed() if callable(listed) else listed)
    shapes = [saved[place].shape for place in places]
    if [tuple(variable.shape) for variable in variables] != shapes:
        return []
    return [(variable, place, ()) for variable, place in zip(variables, places, strict=True)]

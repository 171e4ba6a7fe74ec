"""The values that a file stores, as far as they can be told without reading one: key, names, dtype, shape.

Not for: which variable takes which (:mod:`tfmagic.verbs.restoration.pairing`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.checkpoints import tensor_bundle, trackable_object_graph
from tfmagic.graphs import saved_object_graph
from tfmagic.graphs import variables as graph_variables
from tfmagic.graphs.saved_object_graph import KERAS_COPIES
from tfmagic.verbs.restoration import automatic_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np

    from tfmagic.files.keras.weight_names import Weight
    from tfmagic.frames import Shape
    from tfmagic.models.model import Model

#: What a checkpoint counts for itself.
COUNTER = "save_counter"
#: What identifies a value: its name (TensorFlow 1), the attributes of objects, the path by class and counter (Keras 3),
#: the order of layers with weights (Keras' HDF5).
NAMES, OBJECTS, PATHS, ORDER = "names", "objects", "paths", "order"
#: Where Keras stores what is no weight of the model.
_STATE_GROUPS = frozenset({"optimizer", "metrics", "_metrics", "optimizer_weights"})


class Saved(NamedTuple):
    """A stored value.

    Attributes
    ----------
    key : str
        Where it lies: a checkpoint key, or the path of a dataset.
    name : str
        What the table of variables calls it.
    scope : tuple of str
        The names that the file gives to what it belongs to and to itself; empty where it tells none.
    is_state : bool
        Whether it is known to be no weight: an optimizer's or a metric's.
    """

    key: str
    name: str
    dtype: str
    shape: Shape
    scope: tuple[str, ...] = ()
    is_state: bool = False


@dataclass(frozen=True)
class StoredValues:
    """What a file stores, and how it says which value is which.

    Attributes
    ----------
    saved : tuple of Saved
        Its values.
    layout : str
        How a value is identified: :data:`NAMES`, :data:`OBJECTS`, :data:`PATHS` or :data:`ORDER`.
    opened : callable
        Opens the file for values; what it hands out reads one by its place in ``saved``.
    objects : Message or None
        The TrackableObjectGraph of an object-based checkpoint.
    listed : tuple of int
        Of a SavedModel the places of its variables in the order of its list or its graph.
    is_keras_list : bool
        Whether that is the list of a model that Keras exported.
    """

    saved: tuple[Saved, ...]
    layout: str
    opened: Callable[[], AbstractContextManager[Callable[[int], np.ndarray]]]
    objects: protos.Message | None = None
    listed: tuple[int, ...] = ()
    is_keras_list: bool = False


def stored_values(model: Model) -> StoredValues:
    """List what a file stores.

    Raises
    ------
    ConversionError
        If the model is none that has values in a file.
    """
    if model.reader.holds_keras_weights and model.path is not None:
        return _of_keras_file(model.path)
    files = model.checkpoint() if model.checkpoint else None
    if files is None:
        raise errors.ConversionError(f"{model.origin!r} is a {model.form} and holds no variables; give a checkpoint")
    return _of_checkpoint(model, files.opened)


def _of_checkpoint(model: Model, checkpoint: tensor_bundle.Checkpoint) -> StoredValues:
    objects = _objects(checkpoint)
    names = dict(checkpoint.names)
    is_saved_model = model.reader.message == "SavedModel"
    if is_saved_model:
        with model.well_formed():
            known = saved_object_graph.by_key(model.meta_graph.object_graph_def)
        short = saved_object_graph.names(known, [trackable_object_graph.short_key(key) for key in names])
        names = {key: short[trackable_object_graph.short_key(key)] for key in names}
    full = {} if objects is None else trackable_object_graph.full_names(objects)
    saved = tuple(
        Saved(key, name, entry.dtype, entry.shape, automatic_names.split(full.get(key) or name), name == COUNTER)
        for key, name in names.items()
        for entry in [checkpoint.entries[key]]
    )
    listed = _listed(model, saved, objects) if is_saved_model else ()

    @contextmanager
    def opened() -> Iterator[Callable[[int], np.ndarray]]:
        yield lambda place: checkpoint.read(saved[place].key)

    is_keras_list = objects is not None and bool(trackable_object_graph.listed_keys(objects, KERAS_COPIES))
    return StoredValues(saved, NAMES if objects is None else OBJECTS, opened, objects, listed, is_keras_list)


def _objects(checkpoint: tensor_bundle.Checkpoint) -> protos.Message | None:
    if trackable_object_graph.KEY not in checkpoint.entries:
        return None
    return protos.parse("TrackableObjectGraph", checkpoint.read(trackable_object_graph.KEY).item())


def _listed(model: Model, saved: Sequence[Saved], objects: protos.Message | None) -> tuple[int, ...]:
    """Return the places of a SavedModel's variables: by the list ``variables`` on its root, else by its graph."""
    places = {value.key: place for place, value in enumerate(saved)}
    if objects is None:
        names = {value.name: place for place, value in enumerate(saved)}
        with model.well_formed():
            ordered = graph_variables.in_order([model.meta_graph])
        return tuple(names[name] for name in ordered if name in names)
    listed = trackable_object_graph.listed_keys(objects, "variables") or [
        attribute.checkpoint_key for node in objects.nodes for attribute in node.attributes
    ]
    return tuple(places[key] for key in dict.fromkeys(listed) if key in places)


def _of_keras_file(path: Path) -> StoredValues:
    from tfmagic.files.keras import values as keras_values  # noqa: PLC0415 - with it comes h5py, for values only

    with keras_values.opened(path) as stored:
        weights, lists_layers = stored.weights, stored.lists_layers

    @contextmanager
    def opened() -> Iterator[Callable[[int], np.ndarray]]:
        with keras_values.opened(path) as reader:
            yield lambda place: reader.value(weights[place])

    saved = tuple(_of_weight(weight, lists_layers=lists_layers) for weight in weights)
    return StoredValues(saved, ORDER if lists_layers else PATHS, opened)


def _of_weight(weight: Weight, *, lists_layers: bool) -> Saved:
    array = weight.array
    scope = (*weight.owners, weight.name.rpartition("/")[2]) if lists_layers else weight.owners
    is_state = array.path.partition("/")[0] in _STATE_GROUPS
    return Saved(array.path, weight.name, array.dtype, array.shape, scope, is_state)

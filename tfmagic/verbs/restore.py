"""Put the values of a file into a live model, module or session: by path and name, checked first, all or nothing.

An object-based checkpoint is matched along the attributes of its objects, as TensorFlow does; then, as with every other
file, variables are matched by name. Not for: reading the files (:mod:`tfmagic.files.checkpoints.tensor_bundle`,
:mod:`tfmagic.files.hdf5`).
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import errors, readers
from tfmagic.files import protos
from tfmagic.files.checkpoints import location as checkpoint_location
from tfmagic.files.checkpoints import tensor_bundle, trackable_object_graph
from tfmagic.files.checkpoints import values as tensor_values
from tfmagic.files.keras import archive as keras_archive
from tfmagic.files.keras import weights as keras_weights
from tfmagic.graphs import saved_object_graph
from tfmagic.graphs import variables as graph_variables
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs import live_variables

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from tfmagic.files.keras.weight_names import Weight
    from tfmagic.frames import Shape
    from tfmagic.models.model import Model
    from tfmagic.verbs.live_variables import Target

COLUMNS = ("variable", "checkpoint_key", "status", "dtype", "shape")
MATCHED, MISSING, LEFT_OVER = "matched", "missing", "left over"
_MEMBER = "model.weights.h5"
#: What a checkpoint counts for itself.
_OWN = frozenset({"save_counter"})


class Saved(NamedTuple):
    """A stored variable under the name that a table of variables gives it."""

    key: str
    name: str
    dtype: str
    shape: Shape
    read: Callable[[], np.ndarray]


def restore(source: object, checkpoint: str | os.PathLike[str] | Model) -> pd.DataFrame:
    """Put the values of a checkpoint or a file of weights into a live model, module or session.

    Parameters
    ----------
    source : object
        A Keras model, a ``tf.Module``, a loaded SavedModel or a session, or the Model of one. A session's graph gains
        no op.
    checkpoint : path-like or Model
        A checkpoint of TensorFlow 1 or 2, a ``.weights.h5``, ``.h5`` or ``.keras`` file, or a SavedModel.

    Returns
    -------
    DataFrame
        A row a variable: variable, checkpoint_key, status (``matched``; ``missing`` from the checkpoint; ``left
        over`` in it), dtype, shape.

    Raises
    ------
    ConversionError
        If nothing matches, or a variable has another shape or dtype than its value; nothing is assigned then.
    """
    source = live_variables.live(source)
    targets = live_variables.targets(source)
    found = readers.read(checkpoint)
    checkpoint = found.path or found.origin
    stored, graph = _stored(found)
    pairs = _pairs(source, targets, stored, graph)
    if not pairs:
        raise errors.ConversionError(
            f"nothing in {str(checkpoint)!r} matches: the model has {errors.listed(each.name for each in targets)}, "
            f"the file {errors.listed(each.name for each in stored)}; give the model that it was saved from"
        )
    _require_equal(targets, stored, pairs, checkpoint)
    # All is read before the first is assigned: a damaged file changes nothing.
    values = {place: _value(targets[place], stored[other]) for place, other in pairs.items()}
    live_variables.assign(source, [(targets[place], value) for place, value in values.items()])
    return _table(targets, stored, pairs)


# The stored side


def _stored(model: Model) -> tuple[list[Saved], protos.Message | None]:
    """List what a file stores, and the object graph of a checkpoint that has one."""
    if model.form == "keras_file" and model.path is not None:
        return list(_keras_file(model.path)), None
    files = _checkpoint(model)
    if files is None:
        raise errors.ConversionError(f"{model.origin!r} is a {model.form} and holds no variables; give a checkpoint")
    opened = tensor_bundle.open_checkpoint(files.prefix, files.tables)
    names = dict(opened.names)
    if model.form == "saved_model":
        with model.well_formed():
            saved = saved_object_graph.by_key(model.meta_graph.object_graph_def)
        short = saved_object_graph.names(saved, [trackable_object_graph.short_key(key) for key in names])
        names = {key: short[trackable_object_graph.short_key(key)] for key in names}
    found = [_entry(opened, key, name) for key, name in names.items() if name not in _OWN]
    return found, _object_graph(opened) if model.form == "checkpoint" else None


def _checkpoint(model: Model) -> checkpoint_location.CheckpointFiles | None:
    if model.path is None:
        return None
    if model.form == "saved_model":
        return graph_variables.find_checkpoint(model.path)
    if model.form == "meta_graph":
        return graph_variables.checkpoint_beside(model.path)
    return checkpoint_location.find(model.path) if model.form == "checkpoint" else None


def _entry(opened: tensor_bundle.Checkpoint, key: str, name: str) -> Saved:
    entry = opened.entries[key]
    return Saved(key, name, entry.dtype, entry.shape, lambda: opened.read(key))


def _object_graph(opened: tensor_bundle.Checkpoint) -> protos.Message | None:
    if trackable_object_graph.KEY not in opened.entries:
        return None
    return protos.parse("TrackableObjectGraph", opened.read(trackable_object_graph.KEY).item())


def _keras_file(path: Path) -> Iterator[Saved]:
    """List the weights of a Keras file; values are read by h5py."""
    config = keras_archive.contents(path).config
    with keras_archive.weights(path) as root:
        found = keras_weights.read(root, config)
    for weight in found:
        array = weight.array
        read = partial(_dataset, path, weight)
        yield Saved(array.path, weight.name, array.dtype, array.shape, read)


def _dataset(path: Path, weight: Weight) -> np.ndarray:
    """Read a value.

    Raises
    ------
    CorruptSourceError
        If it is not there, or two are.
    """
    import h5py  # noqa: PLC0415 - for values only

    file = io.BytesIO(zipfile.ZipFile(path).read(_MEMBER)) if zipfile.is_zipfile(path) else path
    with h5py.File(file, "r") as opened:
        names: list[str] = []
        opened.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        ending = f"/{weight.array.path}"
        found = [name for name in names if f"/{name}".endswith(ending)]
        if len(found) != 1:
            message = f"{str(path)!r} has {len(found)} datasets {weight.array.path!r}; save the model again"
            raise errors.CorruptSourceError(message)
        value = np.asarray(opened[found[0]][()])
    # Keras writes a bfloat16 as opaque bytes.
    return value.view(tensor_values.numpy_dtype(weight.array.dtype)) if value.dtype.kind == "V" else value


# Matching


def _pairs(
    source: object, targets: Sequence[Target], stored: Sequence[Saved], graph: protos.Message | None
) -> dict[int, int]:
    """Match variables to stored ones, by their places in the lists: by object, by name, by name within the model."""
    found = _by_object(source, targets, stored, graph) if graph is not None else {}
    # A file of weights names layers, and a Sequential model's variables begin with the model.
    for live_name, stored_name in ((str, str), (_within, str), (str, _within), (_within, _within)):
        _match(
            found,
            [live_name(each.stored_name) for each in targets],
            [stored_name(each.name) for each in stored],
            shared=any(each.piece for each in targets),
        )
    return dict(sorted(found.items()))


def _within(name: str) -> str:
    """Return a variable's name without that of its model, which Keras numbers anew in each session.

    What would be left without its layer's name stays whole: ``kernel`` may be anybody's.
    """
    inner = name.partition("/")[2]
    return inner if "/" in inner else name


def _match(found: dict[int, int], live: Sequence[str], stored: Sequence[str], *, shared: bool) -> None:
    """Match equal names that are unambiguous; the partitions of one variable share one."""
    taken = set(found.values())
    free = [place for place in range(len(stored)) if place not in taken]
    count = Counter(stored[place] for place in free)
    places = {stored[place]: place for place in free if count[stored[place]] == 1}
    open_names = Counter(name for place, name in enumerate(live) if place not in found)
    for place, name in enumerate(live):
        if place not in found and name in places and (shared or open_names[name] == 1):
            found[place] = places[name]


def _by_object(
    source: object, targets: Sequence[Target], stored: Sequence[Saved], graph: protos.Message
) -> dict[int, int]:
    """Match along the attributes of objects; the model may be the checkpoint's root or hang on it."""
    places = {id(each.live): place for place, each in enumerate(targets)}
    keys = {each.key: place for place, each in enumerate(stored)}
    roots = [0, *(child.node_id for child in graph.nodes[0].children)] if len(graph.nodes) else []
    walks = [dict(_walk(source, graph, root, places, keys)) for root in roots]
    return max(walks, key=len, default={})


def _walk(
    source: object, graph: protos.Message, root: int, places: Mapping[int, int], keys: Mapping[str, int]
) -> Iterator[tuple[int, int]]:
    """Walk the live and the saved objects side by side."""
    view = runtime.tensorflow().train.TrackableView(source)
    waiting: list[tuple[object, int]] = [(source, root)]
    seen: set[int] = set()
    while waiting:
        live, number = waiting.pop(0)
        if number in seen or not 0 <= number < len(graph.nodes):
            continue
        seen.add(number)
        node = graph.nodes[number]
        if id(live) in places:
            yield from ((places[id(live)], keys[each.checkpoint_key]) for each in _values(node, keys))
            continue
        children = view.children(live)
        waiting.extend(
            (children[child.local_name], child.node_id) for child in node.children if child.local_name in children
        )


def _values(node: protos.Message, keys: Mapping[str, int]) -> Iterable[protos.Message]:
    return (each for each in node.attributes if each.checkpoint_key in keys)


def _require_equal(
    targets: Sequence[Target], stored: Sequence[Saved], pairs: Mapping[int, int], checkpoint: str | os.PathLike[str]
) -> None:
    """Refuse values that do not fit.

    Raises
    ------
    ConversionError
        Naming all that do not.
    """
    wrong = [
        f"{targets[place].name!r} is {targets[place].dtype} {targets[place].shape}, its value "
        f"{stored[other].dtype} {stored[other].shape}"
        for place, other in pairs.items()
        if not _fits(targets[place], stored[other])
    ]
    if wrong:
        shown = "; ".join(wrong[: errors.LISTED_NAMES])
        rest = f" and {len(wrong) - errors.LISTED_NAMES} more" if len(wrong) > errors.LISTED_NAMES else ""
        raise errors.ConversionError(
            f"{str(checkpoint)!r} does not fit, and nothing was restored: {shown}{rest}. "
            "Give the model that it was saved from, or one of the same shapes"
        )


def _fits(target: Target, saved: Saved) -> bool:
    if target.dtype != saved.dtype:
        return False
    if target.piece is None:
        return target.shape == saved.shape
    whole = saved.shape or ()
    ends = [each.stop <= (size or 0) for each, size in zip(target.piece, whole, strict=False)]
    return len(target.piece) == len(whole) and all(ends)


def _value(target: Target, saved: Saved) -> np.ndarray:
    value = saved.read()
    return value if target.piece is None else np.ascontiguousarray(value[target.piece])


def _table(targets: Sequence[Target], stored: Sequence[Saved], pairs: Mapping[int, int]) -> pd.DataFrame:
    """Return what was matched and what was not."""
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    rows: list[tuple[object, ...]] = [
        (each.name, stored[pairs[place]].key, MATCHED, each.dtype, each.shape)
        if place in pairs
        else (each.name, None, MISSING, each.dtype, each.shape)
        for place, each in enumerate(targets)
    ]
    used = set(pairs.values())
    rows += [
        (None, each.key, LEFT_OVER, each.dtype, each.shape) for place, each in enumerate(stored) if place not in used
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))

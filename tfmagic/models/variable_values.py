"""The values of one variable, a block at a time, wherever they lie: in a checkpoint, a Keras file or a live object.

Of a file no more is read than the variable, of the variable no more is held than a block. Not for: what is found out
from them (:mod:`tfmagic.models.variable_statistics`).
"""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from tfmagic import errors, functions
from tfmagic.files.checkpoints import location as checkpoint_location
from tfmagic.files.checkpoints import tensor_bundle, trackable_object_graph
from tfmagic.files.checkpoints import values as tensor_values
from tfmagic.graphs import saved_object_graph
from tfmagic.graphs import variables as graph_variables
from tfmagic.models.model import Part
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from tfmagic.frames import VariableRow
    from tfmagic.models.model import Model

Array: TypeAlias = "npt.NDArray[Any]"

#: The bytes of one block.
BLOCK = 4 << 20
#: Kinds of numpy dtypes that have an order.
_ORDERED = frozenset("iufb")
_BFLOAT16 = "bfloat16"


class Values(NamedTuple):
    """The values of a variable, so many; ``blocks`` returns them from the beginning, in one dimension."""

    size: int
    blocks: Callable[[], Iterator[Array]]


class VariableValues:
    """Finds the values of a model's variables by the names of its table of variables.

    Parameters
    ----------
    model : Model
        A model with variables.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def of(self, row: VariableRow) -> Values:
        """Return the values of a variable, of a live one those that it has now.

        Raises
        ------
        ReadError
            If they cannot be read, or are no numbers that can be compared.
        ConversionError
            If a session does not tell them.
        """
        _require_numbers(row)
        if self._model.form == "keras_file":
            return self._of_keras_file(row)
        if self._model.live is not None:
            return _cut(self._live(row.name))
        return self._of_checkpoint(row)

    # Checkpoints

    @cached_property
    def _checkpoint(self) -> tuple[tensor_bundle.Checkpoint, Mapping[str, str]] | None:
        """The checkpoint, and the key of each name."""
        model = self._model
        files = _find(model)
        if files is None or not files.tables:
            return None
        opened = tensor_bundle.open_checkpoint(files.prefix, files.tables)
        if model.form == "checkpoint":
            return opened, {name: key for key, name in opened.names.items()}
        saved: dict[str, saved_object_graph.SavedVariable] = {}
        for graph in model.meta_graphs:
            saved |= saved_object_graph.by_key(graph.object_graph_def)
        short = {
            key: trackable_object_graph.short_key(key) for key in opened.entries if key != trackable_object_graph.KEY
        }
        names = saved_object_graph.names(saved, list(short.values()))
        return opened, {names[path]: key for key, path in short.items()}

    def _of_checkpoint(self, row: VariableRow) -> Values:
        found = self._checkpoint
        if found is None or row.name not in found[1]:
            raise errors.ReadError(f"no checkpoint with a value for {row.name!r} lies beside {self._model.origin!r}")
        opened, keys = found
        key = keys[row.name]
        if opened.version == "V1":
            # Its values lie in messages, which are read as a whole.
            return _cut(opened.read(key))
        places = opened.places(key)
        size = math.prod(each or 0 for each in opened.entries[key].shape or ())
        return Values(size, partial(_from_shards, opened, row.dtype, places))

    # Keras files

    def _of_keras_file(self, row: VariableRow) -> Values:
        from tfmagic.files.keras import values as keras_values  # noqa: PLC0415 - with it comes h5py, for values only

        path = self._model.path
        assert path is not None  # noqa: S101 - for mypy: a file has one
        return Values(row.size or 0, partial(keras_values.blocks, path, row.name, BLOCK))

    # Live objects

    def _live(self, name: str) -> Array:
        if self._model.form == "session":
            return _of_session(self._model.live, name)
        variables = self._live_variables()
        if name not in variables:
            raise errors.ReadError(f"the live object has no variable {name!r} any more; inspect it again")
        with runtime.eager():
            try:
                return np.asarray(variables[name].numpy())
            except (RuntimeError, NotImplementedError, AttributeError) as error:
                raise errors.ReadError(f"the value of {name!r} cannot be read: {error_texts.gist(error)}") from error

    def _live_variables(self) -> Mapping[str, runtime.Live]:
        """List the variables as the table does."""
        if self._model.form == "keras_model":
            return dict(functions.keras_models.variables(self._model.live))
        try:
            traced = functions.tf_functions.collect(self._model.live)
        except errors.MissingPartError:
            traced = ()
        return functions.tf_functions.variables(self._model.live, traced)


def _require_numbers(row: VariableRow) -> None:
    """Refuse what has no mean or no order."""
    if row.dtype == "string":
        raise errors.ReadError("it holds strings, which have no statistics")
    try:
        kind = tensor_values.numpy_dtype(row.dtype)
    except ValueError as error:
        raise errors.ReadError(str(error)) from None
    if kind.kind == "c":
        raise errors.ReadError("it holds complex numbers, which have no order")
    is_stand_in = kind.kind == "u" and not row.dtype.startswith(("uint", "quint")) and row.dtype != _BFLOAT16
    if is_stand_in:
        raise errors.ReadError(f"{row.dtype} is read with the package ml_dtypes, which is not installed")


def _find(model: Model) -> checkpoint_location.CheckpointFiles | None:
    if model.path is None or Part.VARIABLES not in model.loaders:
        return None
    if model.form == "saved_model":
        return graph_variables.find_checkpoint(model.file.parent if model.file else model.path)
    if model.form == "meta_graph":
        return graph_variables.checkpoint_beside(model.path)
    return checkpoint_location.find(model.path)


def _from_shards(opened: tensor_bundle.Checkpoint, dtype: str, places: list[tensor_values.Place]) -> Iterator[Array]:
    for place in places:
        for block in tensor_values.blocks(place, dtype, BLOCK, big_endian=opened.big_endian):
            yield comparable(block, dtype)


def _of_session(session: runtime.Live, name: str) -> Array:
    inner = functions.sessions.raw(session)
    node = next((op.name for op in inner.graph.get_operations() if _shared_name(op) == name), name)
    return np.asarray(functions.sessions.values(inner, [node])[node])


def _shared_name(op: runtime.Live) -> str:
    """Return the name that the table of variables gives a resource variable."""
    if op.type != "VarHandleOp":
        return ""
    shared: str = op.get_attr("shared_name").decode(errors="replace")
    return shared or str(op.name)


def _cut(values: Array) -> Values:
    """Hand out an array in blocks."""
    flat = values.reshape(-1)
    step = max(1, BLOCK // max(1, flat.itemsize))
    return Values(flat.size, lambda: (flat[first : first + step] for first in range(0, flat.size, step)))


def comparable(values: Array, dtype: str) -> Array:
    """Return numbers that can be compared: a bfloat16 that numpy does not know is the upper half of a float32."""
    if dtype == _BFLOAT16 and values.dtype.kind == "u":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values if values.dtype.kind in _ORDERED else values.astype(np.float64)

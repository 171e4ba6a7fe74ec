"""The values of a model's variables: in its checkpoint, or where its reader knows to find them.

Of a file no more is read than the variable, of the variable no more is held than a block. Not for: what is found out
from them (:mod:`tfmagic.models.variable_statistics`).
"""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfmagic import errors
from tfmagic.files.checkpoints import trackable_object_graph
from tfmagic.files.checkpoints import values as tensor_values
from tfmagic.graphs import saved_object_graph
from tfmagic.models.form import Part
from tfmagic.models.value_blocks import BLOCK, Values, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tfmagic.files.checkpoints import tensor_bundle
    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.frames import VariableRow
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.models.value_blocks import Array

#: Kinds of numpy dtypes that numpy itself compares: numbers, and text as bytes.
_OWN_KINDS = frozenset("iufbcOS")
_BFLOAT16, _TEXT = "bfloat16", "string"


class WithVariables(Protocol):
    """What is needed of a model: where its values lie."""

    @property
    def origin(self) -> str:
        """Where it came from."""

    @property
    def loaders(self) -> Mapping[Part, Callable[[], Any]]:
        """What reads each part that there is."""

    @property
    def values(self) -> Callable[[VariableRow], Values] | None:
        """Returns the values of a variable, where they lie in no checkpoint."""

    @property
    def checkpoint(self) -> Callable[[], CheckpointFiles | None] | None:
        """Finds the checkpoint with the values, None if the form has none."""

    @property
    def meta_graphs(self) -> tuple[MetaGraph, ...]:
        """The MetaGraphDefs."""


class VariableValues:
    """Finds the values of a model's variables by the names of its table of variables.

    Parameters
    ----------
    model : WithVariables
        A model with variables.
    """

    def __init__(self, model: WithVariables) -> None:
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
        return self.as_stored(row)

    def as_stored(self, row: VariableRow) -> Values:
        """Return the values of a variable of any dtype, text as bytes objects.

        Raises
        ------
        ReadError
            If they cannot be read.
        ConversionError
            If a session does not tell them.
        """
        _numpy_dtype(row)
        return self._of_checkpoint(row) if self._model.values is None else self._model.values(row)

    # Checkpoints

    @cached_property
    def _checkpoint(self) -> tuple[tensor_bundle.Checkpoint, Mapping[str, str]] | None:
        """The checkpoint, and the key of each name."""
        model = self._model
        files = model.checkpoint() if model.checkpoint else None
        if files is None or not files.tables:
            return None
        opened = files.opened
        if Part.GRAPH not in model.loaders:
            return opened, {name: key for key, name in opened.names.items()}
        saved: dict[str, saved_object_graph.SavedVariable] = {}
        for graph in model.meta_graphs:
            saved |= saved_object_graph.by_key(graph.object_graph_def)
        short = {
            key: trackable_object_graph.short_key(key) for key in opened.entries if key != trackable_object_graph.KEY
        }
        again = saved_object_graph.copies(saved, opened.entries)
        names = saved_object_graph.names(saved, list(short.values()), again)
        return opened, {names[path]: key for key, path in short.items()}

    def _of_checkpoint(self, row: VariableRow) -> Values:
        beside = self._checkpoint
        if beside is None or row.name not in beside[1]:
            raise errors.ReadError(f"no checkpoint with its value lies beside {self._model.origin!r}")
        opened, keys = beside
        key = keys[row.name]
        if opened.version == "V1" or row.dtype == _TEXT:
            # Its values lie in messages, or one behind the other, which are read as a whole.
            return cut(opened.read(key))
        places = opened.places(key)
        size = math.prod(each or 0 for each in opened.entries[key].shape or ())
        return Values(size, partial(_from_shards, opened, row.dtype, places))


def _require_numbers(row: VariableRow) -> None:
    """Refuse what has no mean or no order."""
    if row.dtype == _TEXT:
        raise errors.ReadError("it holds strings, which have no statistics")
    kind = _numpy_dtype(row)
    if kind.kind == "c":
        raise errors.ReadError("it holds complex numbers, which have no order")
    is_stand_in = kind.kind == "u" and not row.dtype.startswith(("uint", "quint")) and row.dtype != _BFLOAT16
    if is_stand_in:
        raise errors.ReadError(f"{row.dtype} is read with the package ml_dtypes, which is not installed")


def _numpy_dtype(row: VariableRow) -> np.dtype[Any]:
    """Return the dtype of a variable; raises ReadError where its values have a meaning inside TensorFlow only."""
    try:
        return np.dtype(object) if row.dtype == _TEXT else tensor_values.numpy_dtype(row.dtype)
    except ValueError as error:
        raise errors.ReadError(str(error)) from None


def _from_shards(opened: tensor_bundle.Checkpoint, dtype: str, places: list[tensor_values.Place]) -> Iterator[Array]:
    for place in places:
        for block in tensor_values.blocks(place, dtype, BLOCK, big_endian=opened.big_endian):
            yield comparable(block, dtype)


def comparable(values: Array, dtype: str) -> Array:
    """Return values that can be compared: a bfloat16 that numpy does not know is the upper half of a float32."""
    if dtype == _BFLOAT16 and values.dtype.kind == "u":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values if values.dtype.kind in _OWN_KINDS else values.astype(np.float64)

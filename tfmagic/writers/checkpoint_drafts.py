"""What is on its way to a checkpoint: a session's values, objects, files that are copied, a graph's, constants.

Not for: which of them a source becomes (:mod:`tfmagic.writers.checkpoint`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic import errors
from tfmagic.files import copies, protos
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints import tensor_bundle, trackable_object_graph
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.functions.state.session_checkpoints import SavedSession
    from tfmagic.writers.saved_model.graph_draft import GraphDraft

#: Room for the index, and what a checkpoint says of its objects.
_INDEX_BYTES = 1 << 20
_VALUE = "VARIABLE_VALUE"


@dataclass(frozen=True)
class SessionDraft:
    """A session on its way to a checkpoint of TensorFlow 1."""

    saved: SavedSession
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """What the files will take in bytes, about."""
        return sum(each.nbytes for each in self.saved.values) + len(self.saved.meta_graph_def) + _INDEX_BYTES

    def write(self, path: Path) -> None:
        """Write the three files."""
        saved = self.saved
        tf = runtime.tensorflow()
        with runtime.eager(), tf.device("CPU"):
            tf.raw_ops.SaveV2(
                prefix=str(path),
                tensor_names=list(saved.names),
                shape_and_slices=list(saved.slices),
                tensors=[tf.constant(each) for each in saved.values],
            )
        path.with_name(path.name + checkpoint_writing.META).write_bytes(saved.meta_graph_def)

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each value and what was stored of it."""
        reader = runtime.tensorflow().train.load_checkpoint(str(path))
        for name, slices, value in zip(self.saved.names, self.saved.slices, self.saved.values, strict=True):
            yield f"{name} {slices}".strip(), value, _piece(reader.get_tensor(name), slices)


def _piece(whole: npt.NDArray[Any], slices: str) -> npt.NDArray[Any]:
    """Return the part of a tensor that a partition is, the whole of one that has none."""
    return whole[tensor_slices.region(tensor_slices.parsed(slices), whole.shape)] if slices else whole


@dataclass(frozen=True)
class ObjectDraft:
    """A Keras model or a module on its way to an object-based checkpoint."""

    root: runtime.Live
    notes: tuple[str, ...] = ()

    @cached_property
    def _objects(self) -> list[runtime.Live]:
        """The objects below the checkpoint, in the order in which TensorFlow numbers them."""
        objects: list[runtime.Live] = runtime.tensorflow().train.TrackableView(self._checkpoint).descendants()
        return objects

    @cached_property
    def _checkpoint(self) -> runtime.Live:
        checkpoint = runtime.tensorflow().train.Checkpoint(model=self.root)
        with runtime.eager():
            # What tf.train counts for itself: a checkpoint without it does not match one that tf.train made.
            checkpoint.save_counter.assign(1)
        return checkpoint

    @property
    def has_values(self) -> bool:
        """Whether there is anything to save."""
        return any(_is_variable(each) and each is not self._checkpoint.save_counter for each in self._objects)

    @property
    def size(self) -> int:
        """What the files will take in bytes, about."""
        variables = (each for each in self._objects if _is_variable(each))
        return sum(_bytes_of(each) for each in variables) + _INDEX_BYTES

    def write(self, path: Path) -> None:
        """Write the files.

        Raises
        ------
        ConversionError
            If TensorFlow cannot; its own error is the cause.
        """
        tf = runtime.tensorflow()
        try:
            with runtime.eager():
                self._checkpoint.write(str(path))
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise errors.ConversionError(
                f"TensorFlow cannot save a checkpoint of it: {error_texts.gist(error)}; export a SavedModel"
            ) from error

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each variable's value and what was stored of it."""
        reader = runtime.tensorflow().train.load_checkpoint(str(path))
        graph = protos.parse("TrackableObjectGraph", reader.get_tensor(trackable_object_graph.KEY))
        keys = {
            number: each for number, node in enumerate(graph.nodes) for each in node.attributes if each.name == _VALUE
        }
        with runtime.eager():
            for number, trackable in enumerate(self._objects):
                if _is_variable(trackable) and trackable is not self._checkpoint.save_counter:
                    name = trackable.name.partition(":")[0]
                    entry = keys.get(number)
                    stored = np.zeros(0) if entry is None else reader.get_tensor(entry.checkpoint_key)
                    yield (entry.full_name if entry else "") or name, trackable.numpy(), stored


def _bytes_of(variable: runtime.Live) -> int:
    # Keras's variables have shapes and dtypes of Python's.
    return int(math.prod(variable.shape) * runtime.tensorflow().as_dtype(variable.dtype).size)


def _is_variable(value: runtime.Live) -> bool:
    return hasattr(value, "handle") and hasattr(value, "numpy")


@dataclass(frozen=True)
class CopyDraft:
    """A checkpoint that lies beside a graph: its files under another name.

    Attributes
    ----------
    files : CheckpointFiles
        Where it is.
    parts : tuple of Path
        Its index and shards, each of which was there when the copy was prepared.
    meta_graph_def : bytes or None
        What the graph beside it will be.
    """

    files: CheckpointFiles
    parts: tuple[Path, ...]
    meta_graph_def: bytes | None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """What the files take in bytes."""
        return checkpoint_writing.size_of(self.files.prefix) + len(self.meta_graph_def or b"")

    def write(self, path: Path) -> None:
        """Copy the shards, then the index."""
        for file in self.parts:
            suffix = file.name.removeprefix(self.files.prefix.name)
            copies.copy(file, path.with_name(path.name + suffix))
        if self.meta_graph_def is not None:
            path.with_name(path.name + checkpoint_writing.META).write_bytes(self.meta_graph_def)

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each value in the original and in the copy."""
        original, copy = (tensor_bundle.open_checkpoint(each) for each in (self.files.prefix, path))
        for key in original.entries:
            yield key, original.read(key), copy.read(key)


@dataclass(frozen=True)
class GraphValuesDraft:
    """A graph that lies nowhere yet, as a merge, on its way to a checkpoint of TensorFlow 1."""

    graph: GraphDraft

    @property
    def notes(self) -> tuple[str, ...]:
        """What became of the variables."""
        return self.graph.notes

    @property
    def size(self) -> int:
        """What the files will take in bytes, about."""
        return self.graph.size

    def write(self, path: Path) -> None:
        """Write the three files."""
        self.graph.write_values(path)
        meta_graph_def = self.graph.messages.meta_graph_def.SerializeToString()
        path.with_name(path.name + checkpoint_writing.META).write_bytes(meta_graph_def)

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each variable's value and what was stored of it."""
        copy = tensor_bundle.open_checkpoint(path)
        for variable in self.graph.messages.variables:
            value = self.graph.store.values([variable.node])[variable.node]
            whole = copy.read(variable.tensor.key)
            piece = variable.tensor.slice
            yield f"{variable.tensor.key} {piece}".strip(), value, _piece(whole, piece)


@dataclass(frozen=True)
class ConstantsDraft:
    """The weights of a frozen graph on their way to a checkpoint: values by the names of the constants."""

    values: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ("the values lie under the names of the graph's constants, which were variables once",)

    @property
    def size(self) -> int:
        """What the files will take in bytes, about."""
        return sum(each.nbytes for each in self.values.values()) + _INDEX_BYTES

    def write(self, path: Path) -> None:
        """Write the files."""
        tf = runtime.tensorflow()
        with runtime.eager(), tf.device("CPU"):
            tf.raw_ops.SaveV2(
                prefix=str(path),
                tensor_names=list(self.values),
                shape_and_slices=[""] * len(self.values),
                tensors=[tf.constant(each) for each in self.values.values()],
            )

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each value and what was stored of it."""
        reader = runtime.tensorflow().train.load_checkpoint(str(path))
        for name, value in self.values.items():
            yield name, value, reader.get_tensor(name)

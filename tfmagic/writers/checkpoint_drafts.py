"""What is on its way to a checkpoint: a session's values, objects, files that are copied, a graph's, constants.

Not for: which of them a source becomes (:mod:`tfmagic.writers.checkpoint`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tfmagic import errors
from tfmagic.files import copies, crc32c, protos
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints import tensor_bundle, tensor_writing, trackable_object_graph
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.functions import named_function
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.frozen_graph import serialised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.writers.saved_model.graph_draft import GraphDraft
    from tfmagic.writers.session_checkpoints import SavedSession, SessionTensor

#: Room for the index, and what a checkpoint says of its objects.
_INDEX_BYTES = 1 << 20
_VALUE = "VARIABLE_VALUE"
#: The shape of a value, and the checksum of its bytes.
Fingerprint: TypeAlias = tuple[tuple[int, ...], int]


@dataclass(frozen=True)
class SessionDraft:
    """A session on its way to a checkpoint of TensorFlow 1."""

    saved: SavedSession
    notes: tuple[str, ...] = ()
    #: What was written, by key and slice.
    written: dict[tuple[str, str], Fingerprint] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """What the files will take in bytes, about."""
        return self.saved.size + len(self.saved.meta_graph_def) + _INDEX_BYTES

    def write(self, path: Path) -> None:
        """Write the three files."""
        tensor_writing.write(path, self._tensors())
        path.with_name(path.name + checkpoint_writing.META).write_bytes(self.saved.meta_graph_def)

    def _tensors(self) -> Iterator[tensor_writing.Tensor]:
        """Yield what is written, and keep what it takes to know it again."""
        for tensor, value in self.saved.values():
            array = np.asarray(value)
            self.written[tensor.key, tensor.slice] = _fingerprint(array)
            yield tensor_writing.Tensor(tensor.key, tensor.dtype, array, tensor.slice)

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each value and what TensorFlow restores; the session, which may go on, is asked where they differ."""
        _require_graph(path, self.saved.meta_graph_def)
        for group in self.saved.groups():
            for tensor, stored in zip(group, _restored(path, group), strict=True):
                is_same = _fingerprint(stored) == self.written[tensor.key, tensor.slice]
                value = stored if is_same else self.saved.value(tensor)
                yield f"{tensor.key} {tensor.slice}".strip(), value, stored


def _require_graph(path: Path, meant: bytes) -> None:
    """See that the graph beside the values is as it was written.

    Raises
    ------
    ConversionError
        If it is another.
    """
    if path.with_name(path.name + checkpoint_writing.META).read_bytes() != meant:
        raise errors.ConversionError(
            f"the graph ({checkpoint_writing.META!r}) was not written as it is, so nothing was left; look at the disk, "
            "and whether something else changes it meanwhile"
        )


def _fingerprint(value: npt.NDArray[Any]) -> Fingerprint:
    """Return what tells a value from another."""
    if value.dtype == object:
        return value.shape, crc32c.checksum(repr(value.tolist()).encode())
    content = np.ascontiguousarray(value).reshape(-1).view(np.uint8) if value.size else np.zeros(0, np.uint8)
    return value.shape, crc32c.checksum(content.data)


def _restored(path: Path, tensors: Sequence[SessionTensor]) -> list[npt.NDArray[Any]]:
    """Return tensors as a Saver restores them."""
    tf = runtime.tensorflow()
    with runtime.eager(), tf.device("CPU"):
        values = tf.raw_ops.RestoreV2(
            prefix=str(path),
            tensor_names=[tensor.key for tensor in tensors],
            shape_and_slices=[tensor.slice for tensor in tensors],
            dtypes=[tf.as_dtype(tensor.dtype) for tensor in tensors],
        )
    return [named_function.as_array(value) for value in values]


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
    tf = runtime.tensorflow()
    # Keras's variables have shapes and dtypes of Python's; how large one of an open shape is only its value says.
    shape = tf.TensorShape(variable.shape)
    with runtime.eager():
        sizes = shape.as_list() if shape.is_fully_defined() else variable.numpy().shape
    return int(math.prod(sizes) * tf.as_dtype(variable.dtype).size)


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
        if self.meta_graph_def is not None:
            _require_graph(path, self.meta_graph_def)
        original, copy = (tensor_bundle.open_checkpoint(each) for each in (self.files.prefix, path))
        for key in original.entries:
            yield key, original.read(key), copy.read(key)


@dataclass(frozen=True)
class RewrittenDraft:
    """A checkpoint of TensorFlow 1's first format on its way to today's, under the same keys.

    Attributes
    ----------
    files : CheckpointFiles
        Where it is.
    meta_graph_def : bytes or None
        The graph beside it, whose saver reads either.
    """

    files: CheckpointFiles
    meta_graph_def: bytes | None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """What the files will take in bytes, about."""
        return sum(each.stat().st_size for each in self.files.tables) + len(self.meta_graph_def or b"") + _INDEX_BYTES

    def write(self, path: Path) -> None:
        """Write the files, one value in memory at a time."""
        original = self.files.opened
        tensor_writing.write(
            path,
            (tensor_writing.Tensor(key, each.dtype, original.read(key)) for key, each in original.entries.items()),
        )
        if self.meta_graph_def is not None:
            path.with_name(path.name + checkpoint_writing.META).write_bytes(self.meta_graph_def)

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each value in the original and in the copy."""
        original, copy = self.files.opened, tensor_bundle.open_checkpoint(path)
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
        path.with_name(path.name + checkpoint_writing.META).write_bytes(serialised(self.graph.messages.meta_graph_def))

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each variable's value and what was stored of it."""
        _require_graph(path, serialised(self.graph.messages.meta_graph_def))
        copy = tensor_bundle.open_checkpoint(path)
        for variable, value in self.graph.values(self.graph.messages.variables):
            key, piece = variable.tensor.key, variable.tensor.slice
            stored = copy.read(key, piece=tensor_slices.parsed(piece) if piece else ())
            yield f"{key} {piece}".strip(), value, stored


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
        tensors = (tensor_writing.Tensor(name, value.dtype.name, value) for name, value in self.values.items())
        tensor_writing.write(path, tensors)

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each value and what was stored of it."""
        reader = runtime.tensorflow().train.load_checkpoint(str(path))
        for name, value in self.values.items():
            yield name, value, reader.get_tensor(name)

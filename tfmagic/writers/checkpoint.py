"""The format ``checkpoint`` (``.ckpt``): the values of variables, as ``tf.train`` saves them.

A session and files of TensorFlow 1 become ``.meta``, ``.index`` and ``.data``, which a Saver restores; Keras models
and modules become an object-based checkpoint, which ``tf.train.Checkpoint(model=model)`` restores. Not for: functions;
a checkpoint cannot run.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from tfmagic import errors
from tfmagic.files import copies, protos
from tfmagic.files.checkpoints import slices as tensor_slices
from tfmagic.files.checkpoints import state_file, tensor_bundle, trackable_object_graph
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.functions import tf_functions
from tfmagic.functions.state import session_checkpoints
from tfmagic.graphs import constants
from tfmagic.graphs.signatures import DEFAULT_TAGS
from tfmagic.models.model import Part
from tfmagic.models.writer import Size, Writer
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime
from tfmagic.writers.saved_model.graph_draft import graph_draft

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.functions.state.session_checkpoints import SavedSession
    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.writer import Measures, WriteOptions
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


_Draft: TypeAlias = SessionDraft | ObjectDraft | CopyDraft | GraphValuesDraft | ConstantsDraft


def _weights(source: Model) -> ConstantsDraft:
    try:
        values = {
            row.name: constants.value(source.meta_graph, row.name) for row in constants.weights(source.meta_graph)
        }
    except ValueError as error:
        raise errors.ConversionError(f"a weight of {source.origin!r} cannot be read: {error}") from error
    if not values:
        raise errors.ConversionError(f"{source.origin} has no constant that is a weight, so there is nothing to save")
    return ConstantsDraft(values)


class CheckpointWriter(Writer):
    """Writes checkpoints."""

    format: ClassVar[str] = "checkpoint"
    suffixes: ClassVar[tuple[str, ...]] = (".ckpt",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.VARIABLES, Part.FUNCTION})
    label: ClassVar[str] = "checkpoint (.ckpt)"
    options: ClassVar[frozenset[str]] = frozenset({"keep"})
    takes_averages: ClassVar[bool] = False
    takes_unsigned: ClassVar[bool] = True

    def prepare(self, source: Model, options: WriteOptions) -> _Draft:
        """Collect the values.

        Raises
        ------
        ConversionError
            If an option is given that means nothing to a checkpoint, or there is nothing to save.
        """
        if options.stated:
            raise errors.ConversionError(
                f"a checkpoint holds the values of variables and nothing else, so that {errors.listed(options.stated)} "
                f"cannot be written as {self.format!r}; leave it out, or export to a SavedModel"
            )
        if source.variables_are_constants:
            return _weights(source)
        if _is_live_session(source):
            return SessionDraft(session_checkpoints.of_session(source.live))
        if source.checkpoint is not None:
            return _copied(source)
        store = None if source.state is None else source.state()
        if store is not None:
            return GraphValuesDraft(graph_draft(store, dict(store.meta_graph.signature_def), DEFAULT_TAGS))
        root = _root(source)
        if not runtime.is_trackable(root):
            raise errors.ConversionError(
                f"{source.origin} is made of objects of which a checkpoint of TensorFlow's knows nothing: export to "
                "'.weights.h5', which Keras loads on every backend"
            )
        draft = ObjectDraft(root)
        if not draft.has_values:
            raise errors.ConversionError(f"{source.origin} has no variable, so there is nothing to save")
        return draft

    def why_not(self, source: Model) -> str:
        """Say whether values are missing: of files, their checkpoint is what is copied."""
        if source.checkpoint is None:
            return ""
        files = source.checkpoint()
        return "" if files and _is_bundle(files) else "no checkpoint of today's format lies in or beside it"

    def is_copy(self, source: Model) -> bool:
        """Say whether the source's own checkpoint is copied."""
        return source.checkpoint is not None

    def size(self, source: Model, measures: Measures) -> Size | None:
        """Predict the size: values, and the ``.meta`` file if there is one."""
        if measures.weights is None:
            return None
        return Size(measures.weights + ((measures.graph or 0) if _has_meta_graph(source) else 0))

    def kept(self, source: Model) -> Iterator[str]:
        """Say where the graph is."""
        if _has_meta_graph(source):
            yield "the graph, in the .meta file"

    def lost(self, source: Model) -> Iterator[str]:
        """Say what values alone cannot do."""
        has_graph = _has_meta_graph(source)
        yield "signatures" if has_graph else "the graph: the result holds values and cannot run"

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        """Return the code that saves the values."""
        if not source.is_session:
            return [f"tf.train.Checkpoint(model={source.holder}).write({place!r})"]
        return [
            "# This adds ops to the graph of the session.",
            "with session.graph.as_default():",
            f"    tf.compat.v1.train.Saver().save(session, {place!r})",
        ]

    def settle(self, staged: Path, place: Path) -> None:
        """Give the shards other names than those of the checkpoint that they replace, which stays whole until then."""
        checkpoint_writing.distinguish(staged, place)

    def finish(self, place: Path, keep: int | None) -> tuple[str, ...]:
        """Enter the checkpoint in its directory's state file; return what is to be noted."""
        gone = state_file.add(place, keep)
        return (f"removed, as {keep} are kept: {errors.listed(gone)}",) if gone else ()


def _is_live_session(source: Model) -> bool:
    return source.reader.is_session and source.live is not None


def _has_meta_graph(source: Model) -> bool:
    """Say whether a checkpoint of the source comes with its graph: what is a graph of TensorFlow 1."""
    if _is_live_session(source) or (source.checkpoint is None and source.state is not None and source.state()):
        return True
    return source.checkpoint is not None and source.meta_graph.object_graph_def is None


def _copied(source: Model) -> CopyDraft:
    files = source.checkpoint() if source.checkpoint else None
    if files is None or not _is_bundle(files):
        raise errors.ConversionError(
            f"no checkpoint of today's format lies in or beside {source.origin!r}, so there are no values to write; "
            "give the place that has its .index and .data files"
        )
    is_of_objects = source.meta_graph.object_graph_def is not None
    message = None if is_of_objects else source.meta_graph.meta_graph_def().SerializeToString()
    parts = [file for file in checkpoint_writing.files(files.prefix) if file.suffix != checkpoint_writing.META]
    if checkpoint_writing.INDEX not in {file.suffix for file in parts}:
        # It went away since the source was looked at.
        index = f"{files.prefix}{checkpoint_writing.INDEX}"
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), index)
    return CopyDraft(files.checked(), tuple(parts), message)


def _is_bundle(files: CheckpointFiles) -> bool:
    return [each.suffix for each in files.tables] == [checkpoint_writing.INDEX]


def _root(source: Model) -> Any:  # noqa: ANN401 - an object of TensorFlow's
    """Return the object whose values are saved; the variables of a lone function, or of a merge, get one."""
    if source.reader.holds_keras_weights:
        return source.part(Part.FUNCTION)(None).model
    live = source.live
    is_function = tf_functions.is_concrete(live) or tf_functions.is_polymorphic(live) or isinstance(live, Mapping)
    if live is not None and not is_function:
        return live
    holder = runtime.tensorflow().__internal__.tracking.AutoTrackable()
    holder.variables = list(source.part(Part.FUNCTION)(None).variables.values())
    return holder

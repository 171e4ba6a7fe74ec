"""The format ``checkpoint`` (``.ckpt``): the values of variables, as ``tf.train`` saves them.

A session and files of TensorFlow 1 become ``.meta``, ``.index`` and ``.data``, which a Saver restores; Keras models
and modules become an object-based checkpoint, which ``tf.train.Checkpoint(model=model)`` restores. Not for: functions;
a checkpoint cannot run.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tfmagic import errors
from tfmagic.files.checkpoints import state_file
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.functions import tf_functions
from tfmagic.graphs import constants
from tfmagic.graphs.signatures import DEFAULT_TAGS
from tfmagic.models.model import Part
from tfmagic.models.writer import Size, Writer
from tfmagic.runtime import tensorflow as runtime
from tfmagic.writers import session_checkpoints
from tfmagic.writers.checkpoint_drafts import (
    ConstantsDraft,
    CopyDraft,
    GraphValuesDraft,
    ObjectDraft,
    RewrittenDraft,
    SessionDraft,
)
from tfmagic.writers.saved_model.graph_draft import graph_draft

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.writer import Measures, WriteOptions


_Draft: TypeAlias = SessionDraft | ObjectDraft | CopyDraft | RewrittenDraft | GraphValuesDraft | ConstantsDraft


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
        # A tag-set says which of a SavedModel's graphs comes along.
        meaningless = [each for each in options.stated if each != "tags" or not source.reader.has_tag_sets]
        if meaningless:
            raise errors.ConversionError(
                f"a checkpoint holds the values of variables and nothing else, so that {errors.listed(meaningless)} "
                f"cannot be written as {self.format!r}; leave it out, or export to a SavedModel"
            )
        if source.variables_are_constants:
            return _weights(source)
        if _is_live_session(source):
            saved, notes = session_checkpoints.of_session(source.live)
            return SessionDraft(saved, notes)
        if source.checkpoint is not None:
            return _copied(source)
        store = None if source.state is None else source.state()
        if store is not None:
            signed = dict(store.meta_graph.signature_def)
            return GraphValuesDraft(graph_draft(store, signed, DEFAULT_TAGS, keep_references=True))
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
        return "" if source.checkpoint() else "no checkpoint lies in or beside it"

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


def _copied(source: Model) -> CopyDraft | RewrittenDraft:
    files = source.checkpoint() if source.checkpoint else None
    if files is None:
        raise errors.ConversionError(
            f"no checkpoint lies in or beside {source.origin!r}, so there are no values to write; give the place that "
            "has its .index and .data files"
        )
    is_of_objects = source.meta_graph.object_graph_def is not None
    message = None if is_of_objects else source.meta_graph.meta_graph_def().SerializeToString()
    if not _is_bundle(files):
        return RewrittenDraft(files, message)
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

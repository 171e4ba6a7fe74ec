"""The form ``checkpoint``: variables by name, dtype and shape, from the index alone.

A prefix, an index, a shard, a V1 file or a directory with a state file. A directory that holds a ``.meta`` and no
state file is a ``meta_graph``, one with a ``saved_model.pb`` a ``saved_model``. Not for: the formats themselves
(:mod:`tfmagic.files.checkpoints.tensor_bundle`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tfmagic import errors
from tfmagic.files import message_files, places
from tfmagic.files.checkpoints import location as checkpoint_location
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Candidate, Reader
from tfmagic.readers.meta_graph import beside_prefix

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tfmagic.display.shown_model import ShownModel
    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.findings.scan import Finding


class CheckpointReader(Reader):
    """Reads checkpoints of TensorFlow 1 and 2, in the formats V1 and V2."""

    form: ClassVar[str] = "checkpoint"
    title: ClassVar[str] = "Checkpoint"
    parts: ClassVar[frozenset[Part]] = frozenset({Part.VARIABLES})
    instead: ClassVar[str] = (
        "no '.meta' with a graph lies beside it: put it there, or restore the values into the live model that they are "
        "of (tfmagic.restore, %tf_restore) and give that"
    )
    looks_like: ClassVar[str] = "a prefix without `.meta`, an `.index`, a directory with a `checkpoint` file"

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the path means a checkpoint, be it a damaged one, and no graph lies beside a prefix."""
        is_checkpoint = candidate.path is not None and checkpoint_location.is_checkpoint(candidate.path)
        return is_checkpoint and beside_prefix(candidate) is None

    def can_be_named(self, candidate: Candidate) -> bool:
        """Say whether the path means a checkpoint: the prefix of one is no file, and may have a graph beside it."""
        is_checkpoint = candidate.path is not None and checkpoint_location.is_checkpoint(candidate.path)
        return is_checkpoint or super().can_be_named(candidate)

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Read the index, whose header says which shards there should be; values stay unread.

        Raises
        ------
        CorruptSourceError
            If the index is missing or damaged.
        """
        del tags  # A checkpoint has no MetaGraphDef to choose.
        files = _found(candidate)
        checkpoint = files.opened
        notes = (*files.notes, *checkpoint.notes, *_graph_note(files))
        loaders = {Part.VARIABLES: checkpoint.rows}
        return Model(
            self.form,
            str(files.prefix),
            loaders,
            notes,
            files.prefix,
            checkpoint=lambda: checkpoint_location.kept(files, checkpoint_location.find(files.prefix)),
        )

    def findings(self, model: ShownModel) -> Iterator[Finding]:
        """Yield the checkpoints elsewhere that the state file beside it names."""
        # As in Form.
        from tfmagic.findings import file_scan  # noqa: PLC0415

        if model.path is not None:
            yield from file_scan.of_state_file(model.path.parent)


def _found(candidate: Candidate) -> CheckpointFiles:
    files = checkpoint_location.find(candidate.path) if candidate.path else None
    if files is None:
        message = f"{str(candidate.path)!r} is no checkpoint, or not any more: it has no index, shard or state file"
        raise errors.CorruptSourceError(f"{message}; give the checkpoint's prefix or its .index")
    return files.checked()


def _graph_note(files: CheckpointFiles) -> tuple[str, ...]:
    """Say where the graph is, or why it is not to be had: a checkpoint has variables only."""
    meta = files.meta_graph
    if meta is None:
        return ()
    if message_files.kind(Candidate(meta, meta)) != message_files.META_GRAPH:
        what = "is empty" if not places.size(meta) else "holds no MetaGraphDef"
        said = (
            f"its graph is lost: {meta.name!r} beside it {what}, so that its writing or copying did not finish; "
            "copy it again, or restore the values into the live model that they are of (tfmagic.restore, %tf_restore) "
            "and give that"
        )
        return (said,)
    return (f"its graph is in {meta.name!r} beside it: give that, or the prefix {str(files.prefix)!r}, to see it",)

"""What a model reads of its source, a part at a time: each at most once, and only when somebody asks.

A part of a model is absent, unread or read. Not for: the tables that are made of parts
(:mod:`tfmagic.models.public_tables`).
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.files import file_marks, protos, wire
from tfmagic.graphs import signatures
from tfmagic.models.form import Part

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.frames import AssetRow
    from tfmagic.graphs.metagraphs import MetaGraph

_MISSING_ADVICE = "Convert the source to a form that has it, or give the model that it came from"
_NO_LAYERS = "Nothing makes layers of a graph: give the Keras model or file that it came from, if there was one"


def missing_advice(part: Part) -> str:
    """Say what a user can do who asks for a part that a source has not."""
    return _NO_LAYERS if part is Part.KERAS else _MISSING_ADVICE


class ReadParts:
    """The parts of a model and its messages; :class:`tfmagic.models.model.Model` says what each attribute is."""

    form: str
    origin: str
    loaders: Mapping[Part, Callable[[], Any]]
    path: Path | None
    file: Path | None
    computed: frozenset[Part]
    checkpoint: Callable[[], CheckpointFiles | None] | None
    packed: Callable[[], Iterable[AssetRow]] | None
    advice: str
    marks: Mapping[Path, file_marks.Mark]
    _read: dict[str, Any]
    _lock: threading.RLock

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that this source has, read or not."""
        return tuple(part.value for part in Part if part in self.loaders)

    def part(self, part: Part) -> Any:  # noqa: ANN401 - each part has a type of its own
        """Return a part, reading it at the first call.

        Raises
        ------
        MissingPartError
            If the form has no such part.
        CorruptSourceError
            If the part does not parse.
        """
        if part not in self.loaders:
            raise errors.MissingPartError(part.value, self.form, self.parts, self.advice or missing_advice(part))
        return self.once(part.value, self.loaders[part])

    def is_read(self, part: Part) -> bool:
        """Whether a part has been read already."""
        return part.value in self._read

    def is_at_hand(self, part: str) -> bool:
        """Whether there is such a part, and a display may ask for it."""
        return part in self.parts and (part not in self.computed or part in self._read)

    def once(self, name: str, load: Callable[[], Any]) -> Any:  # noqa: ANN401 - as part()
        """Return what was worked out under this name, working it out at the first call."""
        # Two tabs of a panel may ask at the same time: the second waits for what the first reads.
        return self._once(name, load, self._lock)

    def _once(self, name: str, load: Callable[[], Any], lock: threading.RLock) -> Any:  # noqa: ANN401 - as above
        with lock:
            if name not in self._read:
                self._load(name, load)
            value = self._read[name]
        if isinstance(value, errors.CorruptSourceError):
            raise value
        return value

    def _load(self, name: str, load: Callable[[], Any]) -> None:
        try:
            with self.well_formed():
                self._read[name] = load()
        except errors.CorruptSourceError as error:
            # A damaged file is not read again for each line of a display.
            self._read[name] = error

    @contextmanager
    def well_formed(self) -> Iterator[None]:
        """Say which file it is that does not parse, where what is done with the model's messages meets it.

        What fails because a file was written again meanwhile, or is gone, is told as that.
        """
        try:
            yield
        except Exception as error:
            is_told = isinstance(error, errors.TfMagicError | FileNotFoundError)
            if isinstance(error, errors.VerificationError) or not is_told:
                self.require_unchanged(error)
                self._require_there(error)
            if not isinstance(error, wire.WireError):
                raise
            where = repr(str(self.file)) if self.file else repr(self.origin)
            message = (
                f"{where} is not a well-formed {self.form}: {error}; it is truncated or damaged, fetch or save it again"
            )
            raise errors.CorruptSourceError(message) from error

    @contextmanager
    def becoming(self, format: str) -> Iterator[None]:
        """Say which source it is that cannot become a format, where what works on its graph or its calls meets it."""
        try:
            with self.well_formed():
                yield
        except errors.UnsupportedConversionError as error:
            if (error.form, error.format) == (self.form, format):
                raise
            raise errors.UnsupportedConversionError(self.form, format, error.possible, error.reason) from error

    def require_unchanged(self, cause: Exception | None = None) -> None:
        """Refuse to go on with a model whose files are others by now: what was shown of it is not what they hold.

        Raises
        ------
        ReadError
            Naming a file that was replaced, or written, since the model was recognised; what failed is its cause.
        """
        for path in file_marks.changed(self.marks):
            raise errors.ReadError(
                f"{str(path)!r} was written again after this model was read from it; inspect {self.origin!r} once "
                "more, or give its path"
            ) from cause

    def _require_there(self, cause: Exception) -> None:
        """Say which file is gone, if that may be what failed."""
        for path in file_marks.gone(self.marks):
            raise errors.ReadError(
                f"{str(path)!r} went away while it was read; put it back, or give the path of a whole model"
            ) from cause

    def checkpoint_files(self) -> CheckpointFiles | None:
        """Return the checkpoint with the values of its variables, None if it has none."""
        return None if self.checkpoint is None else self.checkpoint()

    @property
    def meta_graphs(self) -> tuple[MetaGraph, ...]:
        """All MetaGraphDefs, in place."""
        meta_graphs: tuple[MetaGraph, ...] = self.part(Part.GRAPH)
        return meta_graphs

    @cached_property
    def meta_graph(self) -> MetaGraph:
        """The MetaGraphDef whose ops are shown: the one tagged ``serve``, else the first."""
        with self.well_formed():
            serving = [each for each in self.meta_graphs if each.tags == signatures.DEFAULT_TAGS]
        return (serving or list(self.meta_graphs))[0]

    @property
    def meta_graph_def(self) -> protos.Message:
        """The MetaGraphDef message, of TensorFlow's own class if TensorFlow is loaded."""
        with self.well_formed():
            return protos.native(self.meta_graph.meta_graph_def())

    @property
    def graph_def(self) -> protos.Message:
        """The GraphDef message, of TensorFlow's own class if TensorFlow is loaded."""
        with self.well_formed():
            return protos.native(self.meta_graph.graph_def())

    @property
    def signature_def(self) -> dict[str, protos.Message]:
        """The SignatureDef messages of the MetaGraphDef that is shown, by key, bookkeeping included."""
        tagged: signatures.TaggedSignatures = self.part(Part.SIGNATURES)
        shown = self.meta_graph.tags if Part.GRAPH in self.loaders and len(tagged) > 1 else tagged[0][0]
        return {
            key: protos.native(signature) for tags, found in tagged if tags == shown for key, signature in found.items()
        }

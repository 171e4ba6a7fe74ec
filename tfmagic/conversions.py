"""Freeze and export: from any model that can run to any format that has a writer.

The order is always the same: refuse what can be refused, obtain the functions, prepare, write aside, read back and
compare, and only then rename. Not for: how each of these is done.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from tfmagic import (
    _tf,
    checkpoint_states,
    errors,
    file_groups,
    progress,
    protos,
    readers,
    render,
    requests,
    signatures,
    storage,
    straight,
    verification,
    wraps,
)
from tfmagic.metagraphs import MetaGraph
from tfmagic.model import Model, Part
from tfmagic.registry import Compared, Grouped, Placing, Runnable, WriteOptions
from tfmagic.requests import Wish
from tfmagic.signatures import DEFAULT_TAGS, tag_set
from tfmagic.straight import Straight
from tfmagic.transforms import batch as batches
from tfmagic.transforms.freeze import freeze as freeze_function
from tfmagic.writers import WRITERS, writer_for
from tfmagic.writers.graph_def import GraphDefWriter, GraphTextWriter, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd

    from tfmagic.functions import NamedFunction
    from tfmagic.registry import Draft, Writer
    from tfmagic.requests import Ends, SignatureMap
    from tfmagic.transforms.frozen import FrozenGraph
    from tfmagic.verification import Runner, Verification
    from tfmagic.writers.graph_def import GraphDefDraft, GraphTextDraft

_GRAPH_WRITERS = (GraphDefWriter, GraphTextWriter)
_NOT_ASKED = "verify=False"
#: A draft of ours is always one of both; one of a user's own may be neither.
_NO_WAY_BACK = "its writer does not say how to run the result, nor how to read its values back"
_STAGES = ("tracing", "converting", "writing", "verifying")


@dataclass(frozen=True, repr=False)
class Export:
    """What an export wrote.

    Attributes
    ----------
    path : Path
        The file or directory.
    format : str
        Its format.
    bytes : int
        Its size.
    seconds : float
        How long it took, verification included.
    verification : DataFrame
        A row an output: output, max_abs, max_rel, equal. ``equal`` is None where nothing was compared.
    notes : tuple of str
        What a person should know: what was not verified and why, training mode, unusual tags.
    """

    path: Path
    format: str
    bytes: int
    seconds: float
    verification: pd.DataFrame
    notes: tuple[str, ...] = ()

    def _sections(self) -> list[render.Section]:
        facts = [
            ("path", self.path),
            ("format", self.format),
            ("size", render.size_text(self.bytes)),
            ("time", f"{self.seconds:.2f} s"),
            *(("note", note) for note in self.notes),
        ]
        return [render.Section("Export", facts), render.Section("Verification", table=self.verification)]

    def __repr__(self) -> str:
        return render.text(f"{self.format}: {self.path}", self._sections())

    def _repr_html_(self) -> str:
        return render.wanted_markup(f"{self.format}: {self.path}", self._sections())


def freeze(  # noqa: PLR0913 - the contract's options
    source: object,
    *,
    signature: str | None = None,
    inputs: Ends = None,
    outputs: Ends = None,
    tags: str | Collection[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    verify: bool = True,
    trust: bool = False,
) -> Model:
    """Turn a model's variables and tables into constants of one graph.

    Parameters
    ----------
    source : object
        Whatever :func:`tfmagic.inspect` takes and can run.
    signature : str, optional
        The signature to freeze; may be left out where there is a default one or only one. A live model's gets this
        key.
    inputs, outputs : sequence or mapping of str to tensor, optional
        Other ends than the signature's: keys of it, or names of tensors in the graph.
    tags : str or collection of str, optional
        The tag-set of the source that is meant.
    output : path-like, optional
        A ``.pb`` or ``.pbtxt`` file to write. Without, the graph stays in memory.
    overwrite : bool
        Whether an existing file is replaced, once the new one is complete.
    verify : bool
        Whether source and result are run on the same inputs; the answer is in the model's notes.
    trust : bool
        Whether Python code that a Keras file carries (a Lambda layer's) may run.

    Returns
    -------
    Model
        Of the form ``graph_def``, with the signature that the source had.

    Raises
    ------
    UnsupportedConversionError
        If the model writes to its variables, calls back into Python, or cannot run.
    VerificationError
        If the result gives other numbers; nothing was written then.
    WriteError
        If the file exists, or cannot be written.
    """
    wish = Wish(signature=signature, inputs=inputs, outputs=outputs)
    if output is None:
        return _freeze_in_memory(source, wish, tag_set(tags), check=verify, trust=trust)
    writer = writer_for(storage.resolved(output))
    if writer.directory:
        raise errors.ConversionError(
            f"a frozen graph is one file, and {os.fspath(output)!r} asks for {writer.format!r}: give a path that ends "
            "in '.pb' or '.pbtxt'"
        )
    job = _Job(source, storage.resolved(output), writer, wish, overwrite=overwrite, check=verify, trust=trust)
    draft, done = job.run(source_tags=tag_set(tags))
    # Every format of one file that is left here holds a frozen graph.
    return _graph_model(cast("GraphDefDraft | GraphTextDraft", draft).frozen, done.notes, done.path)


def export(  # noqa: PLR0913 - the contract's options
    source: object,
    destination: str | os.PathLike[str],
    *,
    format: str | None = None,
    tags: str | Collection[str] | None = None,
    signatures: SignatureMap | None = None,
    signature: str | None = None,
    method: str | None = None,
    inputs: Ends = None,
    outputs: Ends = None,
    batch: int | None = None,
    keep: int | None = None,
    text: bool = False,
    overwrite: bool = False,
    verify: bool = True,
    trust: bool = False,
) -> Export:
    """Write a model in another format, or with other names.

    Parameters
    ----------
    source : object
        Whatever :func:`tfmagic.inspect` takes.
    destination : path-like
        Its suffix says the format, a path without one a SavedModel.
    format : str, optional
        The format, whatever the suffix (``tfmagic.forms()`` lists them).
    tags : str or collection of str, optional
        The tag-set of a SavedModel; that of the source if left out. If the source has several, and for every other
        format, the one meant.
    signatures : mapping, optional
        Signatures by key, each a mapping with any of ``inputs``, ``outputs`` (as below) and ``method``.
    signature : str, optional
        The one signature to write; all if left out. A live model's gets this key.
    method : str, optional
        ``"predict"``, ``"classify"``, ``"regress"`` or a URI.
    inputs, outputs : sequence or mapping of str to tensor, optional
        Other ends than the signature's: keys of it, or names of tensors in the graph. A mapping renames.
    batch : int, optional
        A size for the first dimension of every input that leaves it open, which stays open otherwise. For formats
        that cannot do without: recurrent layers in TFLite.
    keep : int, optional
        Of a checkpoint: number it after the newest of its directory, and keep so many of those listed there.
    text : bool
        Of a SavedModel: whether its message is text, ``saved_model.pbtxt``, instead of binary.
    overwrite : bool
        Whether an existing destination is replaced, once the new one is complete.
    verify : bool
        Whether the result is read back and run on the same inputs as the source.
    trust : bool
        Whether Python code that a Keras file carries (a Lambda layer's) may run.

    Returns
    -------
    Export
        Path, format, size, time and the comparison with the source.

    Raises
    ------
    UnsupportedConversionError
        If a source of this form cannot be written in that format.
    VerificationError
        If the result gives other numbers; it was not left at the destination.
    WriteError
        If the destination exists, or cannot be written.
    """
    place = storage.resolved(destination)
    writer = writer_for(place, format)
    if isinstance(writer, Placing):
        place = writer.place(place)
    if keep is not None:
        place = _numbered(place, writer, keep)
    if text and writer.format != "saved_model":
        raise errors.ConversionError(
            f"text=True is for SavedModels, and {str(place)!r} asks for {writer.format!r}: a graph is text in a file "
            "that ends in '.pbtxt'"
        )
    wish = Wish(signature, method, inputs, outputs, signatures, batch)
    job = _Job(source, place, writer, wish, overwrite=overwrite, check=verify, trust=trust, keep=keep, text=text)
    # Only a SavedModel gets tags; for any other format they say which part of the source is meant.
    own = writer.format == "saved_model"
    return job.run(**{"result_tags" if own else "source_tags": tag_set(tags)})[1]


def _numbered(place: Path, writer: Writer, keep: int) -> Path:
    """Return the place of the next checkpoint of a directory."""
    if not isinstance(writer, Grouped) or keep < 1:
        raise errors.ConversionError(
            f"keep={keep} says how many checkpoints stay, at least 1, and {str(place)!r} asks for {writer.format!r}; "
            "leave it out, or name a place that ends in '.ckpt'"
        )
    return checkpoint_states.numbered(place)


@dataclass(frozen=True)
class _Job:
    """One conversion into a file or a directory."""

    source: object
    destination: Path
    writer: Writer
    wish: Wish
    overwrite: bool
    check: bool
    trust: bool
    keep: int | None = None
    text: bool = False

    def run(
        self, *, source_tags: str | Collection[str] | None = None, result_tags: Collection[str] | None = None
    ) -> tuple[Draft, Export]:
        """Do it all, or leave everything as it was."""
        begun = time.perf_counter()
        self._check()
        wanted = source_tags or result_tags
        model = requests.read_source(self.source, wanted, must_exist=source_tags is not None, trust=self.trust)
        requests.require_parts(model, self.writer, WRITERS)
        with progress.stages(self.destination.name, len(_STAGES)) as begin:
            begin("tracing")
            frozen, reasons = self._straight(model)
            wrapped = self._wrapped(model, result_tags)
            functions = {} if frozen or wrapped else self._functions(model)
            begin("converting")
            draft = wrapped or self._draft(model, frozen, functions, result_tags, has_tags=wanted is not None)
            source = _Source(model, self.wish, functions, frozen)
            found = self._write(draft, source, begin)
        last = self.writer.finish(self.destination, self.keep) if isinstance(self.writer, Grouped) else ()
        notes = (*model.notes, *reasons, *draft.notes, *_unchecked_notes(found), *last)
        seconds = time.perf_counter() - begun
        size = (file_groups if isinstance(self.writer, Grouped) else storage).size_of(self.destination)
        return draft, Export(self.destination, self.writer.format, size, seconds, _frame(found), notes)

    def _check(self) -> None:
        """Refuse a destination before any work is done."""
        if isinstance(self.writer, Grouped):
            file_groups.check(self.destination, overwrite=self.overwrite)
        else:
            storage.check(self.destination, overwrite=self.overwrite, directory=self.writer.directory)

    def _staging(self, size: int) -> AbstractContextManager[Path]:
        """Give a place to write to, which becomes the destination."""
        if isinstance(self.writer, Grouped):
            return file_groups.staging(self.destination, overwrite=self.overwrite, size=size)
        directory = self.writer.directory
        return storage.staging(self.destination, overwrite=self.overwrite, directory=directory, size=size)

    def _straight(self, model: Model) -> Straight:
        """Freeze the model as it lies on disk, if a frozen graph is wanted."""
        return straight.freeze(model, self.wish) if isinstance(self.writer, _GRAPH_WRITERS) else Straight(None)

    def _wrapped(self, model: Model, tags: Collection[str] | None) -> Draft | None:
        """Wrap the graph as it lies on disk, if a SavedModel is wanted and that can be done."""
        if self.writer.format != "saved_model" or self.text:
            return None
        return wraps.draft(model, self.wish, DEFAULT_TAGS if tags is None else tuple(tags))

    def _functions(self, model: Model) -> dict[str, NamedFunction]:
        """Return the functions to write, none for a format that holds none."""
        if Part.FUNCTION not in self.writer.needs or isinstance(self.writer, Grouped):
            return {}
        return requests.functions(model, self.wish, every=self.writer.directory)

    def _draft(
        self,
        model: Model,
        frozen: FrozenGraph | None,
        functions: Mapping[str, NamedFunction],
        tags: Collection[str] | None,
        *,
        has_tags: bool,
    ) -> Draft:
        if frozen is not None and isinstance(self.writer, _GRAPH_WRITERS):
            return self.writer.draft(frozen)
        chosen = tuple(tags or ()) if tags is not None or not functions else next(iter(functions.values())).tags
        if self.wish.batch is not None:
            functions = {key: batches.fixed(each, self.wish.batch) for key, each in functions.items()}
        given = (*self.wish.given, *(("tags",) if has_tags else ()))
        options = WriteOptions(tuple(functions), chosen, given, self.text)
        return self.writer.prepare(_narrowed(model, functions) if functions else model, options)

    def _write(self, draft: Draft, source: _Source, begin: Callable[[str], None]) -> dict[str, Verification]:
        """Write aside, read back, compare; the destination changes only if all is well."""
        with self._staging(draft.size) as staged:
            begin("writing")
            # A checkpoint's files have a directory of their own.
            written = staged.parent if isinstance(self.writer, Grouped) else staged
            with progress.writing(partial(_size_so_far, written), draft.size):
                draft.write(staged)
            if isinstance(self.writer, Grouped):
                self.writer.settle(staged, self.destination)
            found = self._checked(draft, staged, source, begin)
            # The last moment: what is left takes no time.
            progress.check()
        return found

    def _checked(
        self, draft: Draft, staged: Path, source: _Source, begin: Callable[[str], None]
    ) -> dict[str, Verification]:
        if not self.check:
            return _unverified(draft, source, _NOT_ASKED)
        begin("verifying")
        found = _verified(draft, staged, source)
        _require_equal(found, f"{str(self.destination)!r} was not written")
        return found


def _size_so_far(path: Path) -> int:
    """Return what is written by now; files come and go meanwhile."""
    try:
        return storage.size_of(path)
    except OSError:
        return 0


def _unverified(draft: Draft, source: _Source, reason: str) -> dict[str, Verification]:
    """Return the answer for a result that was not read back."""
    by_output = {} if isinstance(draft, Compared) else source.unchecked(reason)
    return by_output or {"": verification.of_values((), reason)}


def _verified(draft: Draft, staged: Path, source: _Source) -> dict[str, Verification]:
    """Read back what was written, and compare it with the source."""
    if isinstance(draft, Compared):
        return {"": verification.of_values(draft.read_back(staged))}
    if not isinstance(draft, Runnable):
        return _unverified(draft, source, _NO_WAY_BACK)
    try:
        return source.compared(partial(draft.load, staged))
    except errors.MissingDependencyError as error:
        return source.unchecked(str(error))


@dataclass(frozen=True)
class _Source:
    """What a result is compared with: functions, loaded for that if the conversion needed none."""

    model: Model
    wish: Wish
    functions: Mapping[str, NamedFunction]
    frozen: FrozenGraph | None

    def unchecked(self, reason: str) -> dict[str, Verification]:
        """Return the answer for a result that nobody ran."""
        ends = self.functions if self.frozen is None else {self.frozen.key: cast("NamedFunction", self.frozen)}
        return {key: verification.unchecked(each, reason) for key, each in ends.items()}

    def compared(self, load: Callable[[str], Runner]) -> dict[str, Verification]:
        """Run source and result on the same inputs."""
        functions = self.functions
        if self.frozen is not None:
            try:
                (loaded,) = requests.functions(self.model, self.wish, every=False).values()
                functions = {self.frozen.key: _under_keys_of(self.frozen, loaded)}
            except errors.TfMagicError as error:
                return self.unchecked(f"the source cannot be loaded to be run: {str(error).splitlines()[0]}")
        # What TensorFlow lets go of after a comparison is entered into the default graph, which may be the user's.
        with _tf.eager():
            return {key: verification.verify(each, load(key)) for key, each in functions.items()}


def _under_keys_of(frozen: FrozenGraph, loaded: NamedFunction) -> NamedFunction:
    """Give a loaded function the keys of the file: TensorFlow's loader makes arguments' names of those."""
    known = [{_sanitised(end.key): end.key for end in side} for side in (frozen.inputs, frozen.outputs)]
    sides = [
        tuple(end._replace(key=keys.get(_sanitised(end.key), end.key)) for end in side)
        for keys, side in zip(known, (loaded.inputs, loaded.outputs), strict=True)
    ]
    return replace(loaded, inputs=sides[0], outputs=sides[1])


def _sanitised(key: str) -> str:
    """Do as the loader: lower case, all that is no letter or digit ``_``, and ``arg_`` where no letter comes first."""
    name = "".join(char if char.isalnum() and char.isascii() else "_" for char in key.casefold())
    return name if name[:1].isalpha() else f"arg_{name}"


def _narrowed(model: Model, functions: Mapping[str, NamedFunction]) -> Model:
    """Return the model with these functions as its only ones."""
    return replace(model, loaders={**model.loaders, Part.FUNCTION: lambda: functions.__getitem__})


def _require_equal(found: Mapping[str, Verification], consequence: str) -> None:
    if any(each.differs for each in found.values()):
        frame = _frame(found)
        wrong = frame[[equal is False for equal in frame["equal"].astype(object)]]
        worst = ", ".join(f"{row.output!r} (by up to {row.max_abs:.3g})" for row in wrong.itertuples())
        raise errors.VerificationError(
            f"the result differs from the source on the same inputs in {worst}; {consequence}. "
            "error.verification has the numbers; verify=False (--no-verify) converts all the same",
            frame,
        )


def _frame(found: Mapping[str, Verification]) -> pd.DataFrame:
    """Join the comparisons of several signatures; of one, outputs go by their own keys."""
    if len(found) == 1:
        return next(iter(found.values())).frame
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    named = [
        each.frame.assign(output=[f"{key}/{name}" for name in each.frame["output"]]) for key, each in found.items()
    ]
    return pd.concat(named, ignore_index=True)


def _unchecked_notes(found: Mapping[str, Verification]) -> tuple[str, ...]:
    """Say what was not verified, and why."""
    return tuple(
        f"not verified: {f'signature {key!r}: ' if key else ''}{each.unchecked}"
        for key, each in found.items()
        if each.unchecked
    )


def _freeze_in_memory(source: object, wish: Wish, tags: Collection[str] | None, *, check: bool, trust: bool) -> Model:
    """Freeze without writing; the graph is assembled when it is asked for, or to be verified."""
    model = requests.read_source(source, tags, must_exist=tags is not None, trust=trust)
    requests.require_parts(model, WRITERS[1], WRITERS)
    with progress.stages("freeze", len(_STAGES) - 1) as begin:
        begin("tracing")
        frozen, reasons = straight.freeze(model, wish)
        functions = {} if frozen else requests.functions(model, wish, every=False)
        begin("converting")
        graph = frozen or freeze_function(next(iter(functions.values())))
        begin("verifying")
        result = _graph_model(graph, (), None)
        source = _Source(model, wish, functions, frozen)
        found = source.compared(result.part(Part.FUNCTION)) if check else source.unchecked(_NOT_ASKED)
    _require_equal(found, "the graph is not returned")
    return result.with_notes(*model.notes, *reasons, *graph.notes, *_unchecked_notes(found))


def _graph_model(frozen: FrozenGraph, notes: tuple[str, ...], path: Path | None) -> Model:
    """Return a frozen graph as a model; one that was written is read from its file."""

    def meta_graphs() -> tuple[MetaGraph, ...]:
        if path is not None:
            found: tuple[MetaGraph, ...] = readers.read(path).part(Part.GRAPH)
            return found
        return (MetaGraph.of_message(protos.message("MetaGraphDef")(graph_def=frozen.filled(), signature_def=signed)),)

    @cache
    def function(key: str | None = None) -> NamedFunction:
        return wrapped(frozen, load()[0].graph_def(), signatures.choose(signed, key))

    load = cache(meta_graphs)
    signed = {frozen.key: signatures.signature_def(frozen.inputs, frozen.outputs, frozen.method)}
    loaders: dict[Part, Callable[[], Any]] = {
        Part.GRAPH: load,
        Part.SIGNATURES: lambda: (((), signed),),
        Part.FUNCTION: lambda: function,
    }
    return Model("graph_def", str(path) if path else "a frozen graph", loaders, notes, path)

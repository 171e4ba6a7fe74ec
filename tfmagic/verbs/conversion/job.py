"""One conversion into a file or a directory, from the source to what is left at the destination.

Everything is written aside, and the destination changes only when all is well. Not for: the verbs
(:mod:`tfmagic.verbs.export`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors, progress, readers
from tfmagic.display import render
from tfmagic.files import places, write_checks, writing
from tfmagic.files.checkpoints import state_file
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.graphs.signatures import DEFAULT_TAGS, tag_set
from tfmagic.models.model import Part
from tfmagic.models.writer import Editing, Freezing, Grouped, Signatures, WriteOptions
from tfmagic.runtime import grappler
from tfmagic.transforms import batch as batches
from tfmagic.transforms.optimize import optimize
from tfmagic.verbs.conversion import checks as conversion_checks
from tfmagic.verbs.conversion import destinations, freeze_untraced, plan_effects, plan_names, wrap_frozen_graph
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion import samples as conversion_samples
from tfmagic.verbs.conversion import sources as conversion_sources
from tfmagic.verbs.conversion.checks import Source
from tfmagic.verbs.conversion.freeze_untraced import Straight
from tfmagic.verbs.conversion.graph_signatures import graph_source
from tfmagic.writers import WRITERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    import pandas as pd

    from tfmagic.findings.caution import Caution
    from tfmagic.functions import NamedFunction
    from tfmagic.models.model import Model
    from tfmagic.models.writer import Draft, Writer
    from tfmagic.transforms.frozen_graph import FrozenGraph
    from tfmagic.verbs.conversion.graph_signatures import GraphSource
    from tfmagic.verbs.conversion.options import Wish
    from tfmagic.verbs.conversion.wrap_frozen_graph import WrappedDraft
    from tfmagic.verbs.verification.outcome import Verification

#: What is said of a result that nobody wanted checked.
NOT_ASKED = "verify=False"
STAGES = ("tracing", "converting", "writing", "verifying")


@dataclass(frozen=True, repr=False)
class Export(render.Sectioned):
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
        What a person should know: what was not verified and why, unusual tags.
    losses : tuple of str
        What the source has and the result has not, as the plan says it: other signatures, tag-sets, asset files.
    cautions : tuple of Caution
        What is to be known of the source (``model.cautions``), and of the result.
    """

    path: Path
    format: str
    bytes: int
    seconds: float
    verification: pd.DataFrame
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    cautions: tuple[Caution, ...] = ()
    _called: str = ""

    @property
    def called(self) -> str:
        """The path as the user wrote it."""
        return self._called or str(self.path)

    def shown_sections(self) -> tuple[str, list[render.Section]]:
        """Return what was written, and how it compares."""
        sign = "\N{CHECK MARK} " if conversion_checks.is_equal(self.verification) else ""
        facts = [
            ("path", render.Shortened(self.called, str(self.path))),
            ("format", self.format),
            ("size", render.size_text(self.bytes)),
            ("time", f"{self.seconds:.2f} s"),
            ("result", f"{sign}{conversion_checks.in_words(self.verification)}"),
            *(("note", note) for note in self.notes),
            *(("lost", loss) for loss in self.losses),
            *(fact for caution in self.cautions for fact in caution.facts()),
        ]
        sections = [render.Section("Export", facts), conversion_checks.verification_section(self.verification)]
        return f"{self.format}: {self.called}", sections


class Finished(NamedTuple):
    """What a conversion came to, its comparisons by signature: a table of them is made where somebody is shown it."""

    path: Path
    format: str
    bytes: int
    seconds: float
    verifications: Mapping[str, Verification]
    notes: tuple[str, ...]
    losses: tuple[str, ...]
    cautions: tuple[Caution, ...]
    called: str

    def export(self) -> Export:
        """Return the public result."""
        compared = conversion_checks.frame(self.verifications)
        return Export(*self[:4], compared, self.notes, self.losses, self.cautions, self.called)


@dataclass(frozen=True)
class Job:
    """One conversion into a file or a directory."""

    source: object
    destination: Path
    writer: Writer
    wish: Wish
    overwrite: bool
    check: bool | None
    trust: bool
    keep: int | None = None
    text: bool = False
    #: The destination in the user's words.
    called: str = ""

    def run(
        self, *, source_tags: str | Collection[str] | None = None, result_tags: Collection[str] | None = None
    ) -> tuple[Draft, Finished]:
        """Do it all, or leave everything as it was."""
        if not places.is_here(self.destination):
            return self._uploaded(source_tags=source_tags, result_tags=result_tags)
        begun = time.perf_counter()
        self._check()
        wanted = source_tags or result_tags
        model = conversion_sources.read_source(
            self.source, wanted, must_exist=source_tags is not None, trust=self.trust, ema=self.wish.ema
        )
        model = model.to_be_written()
        conversion_sources.require_parts(model, self.writer, WRITERS)
        destinations.require_apart(model, self.destination, self.writer)
        with model.becoming(self.writer.format), progress.stages(self.destination.name, len(STAGES)) as begin:
            begin("tracing")
            frozen, reasons = self._straight(model)
            wrapped = self._wrapped(model, result_tags)
            graph = None if wrapped else self._graph(model)
            functions = {} if frozen or wrapped or graph else self._functions(model)
            begin("converting")
            if graph is not None and isinstance(self.writer, Editing):
                draft = self.writer.edited_draft(
                    graph.store, graph.definitions, _tags_of(model, result_tags), text=self.text
                )
            else:
                draft = wrapped or self._draft(model, frozen, functions, result_tags, has_tags=wanted is not None)
            signed = {frozen.key: frozen} if frozen else (graph.signatures if graph else functions)
            source = Source(model, self.wish, signed, functions)
            # Before anything is written: what cannot be told of a damaged source is an error, too.
            shown = model.looked_at if wrapped is None else wrapped.lean
            lost, cautions = self._losses(shown, source_tags), self._cautions(shown)
            verifications, aside, size = self._write(draft, source, begin)
        last = (*aside, *self._finish())
        notes = (*model.notes, *reasons, *draft.notes, *conversion_checks.notes(verifications), *last)
        seconds = time.perf_counter() - begun
        return draft, Finished(
            self.destination,
            self.writer.format,
            size,
            seconds,
            verifications,
            notes,
            lost,
            cautions,
            self.called,
        )

    def _uploaded(self, **tags: Any) -> tuple[Draft, Finished]:  # noqa: ANN401 - those of run
        """Do it all on this machine, and bring the result to its address."""
        # With it comes what uploads.
        from tfmagic.files.addresses import uploads  # noqa: PLC0415

        several = self.writer.directory or isinstance(self.writer, Grouped)
        destination = places.as_address(self.destination)
        with uploads.staging(destination, overwrite=self.overwrite, several=several) as place:
            draft, done = replace(self, destination=place, overwrite=False).run(**tags)
        return draft, done._replace(path=destination, called="")

    def _losses(self, model: Model, tags: str | Collection[str] | None) -> tuple[str, ...]:
        """Say what the source has and the result has not, as the plan does; nothing that would have to be traced."""
        whole = readers.read(self.source, trust=self.trust) if model.reader.has_tag_sets else model
        is_signed = model.is_at_hand(Part.SIGNATURES) or model.is_at_hand(Part.GRAPH)
        # Ends that nobody signed are no signature that could be lost, and to propose them takes a walk of all edges.
        signed = plan_names.signed(model) if is_signed and not model.has_no_signature else {}
        own = tag_set(tags) or (model.meta_graph.tags if model.reader.has_tag_sets else ())
        asked = self.wish.signature
        facts = plan_effects.facts_of(
            whole,
            self.writer,
            signed,
            signature=asked,
            batch=self.wish.batch,
            tags=own,
            optimize=self.wish.optimize,
        )
        if self.wish.signatures is not None:
            facts = replace(facts, chosen=tuple(key for key in signed if key in self.wish.signatures))
        return tuple(plan_effects.lost(facts))

    def _cautions(self, model: Model) -> tuple[Caution, ...]:
        """Return what is to be known of the source and holds for the result."""
        wish = self.wish
        known = model.cautions_but_of_values
        return plan_effects.remaining(known, has_inputs=wish.inputs is not None, ema=wish.ema)

    def _check(self) -> None:
        """Refuse a destination, and what cannot be done to anything, before any work is done."""
        if self.wish.optimize:
            grappler.require()
        if isinstance(self.writer, Grouped):
            checkpoint_writing.require_replaceable(self.destination, overwrite=self.overwrite)
        else:
            write_checks.require_replaceable(
                self.destination, overwrite=self.overwrite, directory=self.writer.directory
            )

    def _staging(self, size: int) -> writing.Aside:
        """Give a place to write to, which becomes the destination."""
        if isinstance(self.writer, Grouped):
            return checkpoint_writing.Staging(self.destination, overwrite=self.overwrite, size=size)
        directory = self.writer.directory
        return writing.Staging(self.destination, overwrite=self.overwrite, directory=directory, size=size)

    def _finish(self) -> tuple[str, ...]:
        """Do what is left once the result is there: what fails of it is noted, as the result stands."""
        if not isinstance(self.writer, Grouped):
            return ()
        try:
            return self.writer.finish(self.destination, self.keep)
        except (OSError, ValueError) as error:
            return (f"it is written, but the list of its directory's checkpoints is not up to date: {error}",)

    def _straight(self, model: Model) -> Straight:
        """Freeze the model as it lies on disk, if a frozen graph is wanted."""
        if not isinstance(self.writer, Freezing):
            return Straight(None)
        straight = freeze_untraced.freeze(model, self.wish)
        if straight.frozen is None or not self.wish.optimize:
            return straight
        return straight._replace(frozen=optimize(straight.frozen))

    def _wrapped(self, model: Model, tags: Collection[str] | None) -> WrappedDraft | None:
        """Wrap the graph as it lies on disk, if what is wanted is a graph and that can be done."""
        if not isinstance(self.writer, Editing) or self.text or self.wish.optimize:
            return None
        return wrap_frozen_graph.draft(model, self.wish, DEFAULT_TAGS if tags is None else tuple(tags))

    def _graph(self, model: Model) -> GraphSource | None:
        """Return what is to be edited, if the source and what is wanted are graphs."""
        if not isinstance(self.writer, Editing) or self.wish.optimize:
            return None
        return graph_source(model, self.wish, every=True)

    def _functions(self, model: Model) -> dict[str, NamedFunction]:
        """Return the functions to write, none for a format that holds none."""
        if self.writer.signatures is Signatures.NONE:
            return {}
        return conversion_options.functions(model, self.wish, every=self.writer.signatures is Signatures.MANY)

    def _draft(
        self,
        model: Model,
        frozen: FrozenGraph | None,
        functions: Mapping[str, NamedFunction],
        tags: Collection[str] | None,
        *,
        has_tags: bool,
    ) -> Draft:
        if frozen is not None and isinstance(self.writer, Freezing):
            return self.writer.frozen_draft(frozen)
        chosen = tuple(tags or ()) if tags is not None or not functions else next(iter(functions.values())).tags
        if self.wish.batch is not None:
            functions = {key: batches.fixed(each, self.wish.batch) for key, each in functions.items()}
        wanted = self.wish.samples is not None
        samples = conversion_samples.of_signatures(functions, self.wish.samples) if wanted else {}
        stated = (*self.wish.stated, *(("tags",) if has_tags else ()))
        options = WriteOptions(
            tuple(functions),
            chosen,
            stated,
            self.text,
            optimize=self.wish.optimize,
            select_tf_ops=self.wish.select_tf_ops,
            quantize=self.wish.quantize or "",
            samples={key: each.calls for key, each in samples.items()},
            notes=tuple(dict.fromkeys(note for each in samples.values() for note in each.notes)),
        )
        return self.writer.prepare(_narrowed(model, functions) if functions else model, options)

    def _write(
        self, draft: Draft, source: Source, begin: Callable[[str], None]
    ) -> tuple[dict[str, Verification], list[str], int]:
        """Write aside, read back, compare; the destination changes only if all is well.

        How large the result is, is asked before it is in its place: somebody may take it away from there.
        """
        staging = self._staging(draft.size)
        with staging as staged:
            begin("writing")
            # A checkpoint's files have a directory of their own.
            written = staged.parent if isinstance(self.writer, Grouped) else staged
            with progress.writing(partial(_size_so_far, written), draft.size):
                draft.write(staged)
            if isinstance(self.writer, Grouped):
                self.writer.settle(staged, self.destination)
            verifications = self._checked(draft, staged, source, begin)
            source.model.require_unchanged()
            size = writing.size_of(written)
            # The last moment: what is left takes no time.
            progress.check()
        return verifications, staging.notes, size

    def _checked(
        self, draft: Draft, staged: Path, source: Source, begin: Callable[[str], None]
    ) -> dict[str, Verification]:
        if self.check is False:
            return conversion_checks.unverified(draft, source, NOT_ASKED)
        begin("verifying")
        verifications = conversion_checks.verified(draft, staged, source, must=self.check is True)
        conversion_checks.require_equal(verifications, f"{str(self.destination)!r} was not written")
        return verifications


def _tags_of(model: Model, tags: Collection[str] | None) -> tuple[str, ...]:
    """Return the tag-set of what is made of a graph: the one that is asked for, else the graph's own."""
    known = model.meta_graph.tags if model.reader.has_tag_sets else ()
    return tuple(tags) if tags is not None else known or DEFAULT_TAGS


def _size_so_far(path: Path) -> int:
    """Return what is written by now; files come and go meanwhile."""
    try:
        return writing.size_of(path)
    except OSError:
        return 0


def _narrowed(model: Model, functions: Mapping[str, NamedFunction]) -> Model:
    """Return the model with these functions as its only ones."""
    return replace(model, loaders={**model.loaders, Part.FUNCTION: lambda: functions.__getitem__})


def numbered(place: Path, writer: Writer, keep: int) -> Path:
    """Return the place of the next checkpoint of a directory."""
    if not isinstance(writer, Grouped) or keep < 1:
        raise errors.ConversionError(
            f"keep={keep} says how many checkpoints stay, at least 1, and {str(place)!r} asks for {writer.format!r}; "
            "leave it out, or name a place that ends in '.ckpt'"
        )
    return state_file.numbered(place)

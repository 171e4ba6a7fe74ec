"""The verb slim: where do the bytes of this model go, and a copy without those that are not needed.

Not for: the rows and the copy of each form (``verbs/slimming/``).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tfmagic import errors, progress, readers
from tfmagic.display import render
from tfmagic.files import message_files, places, write_checks, writing
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.conversion import checks as conversion_checks
from tfmagic.verbs.conversion import destinations
from tfmagic.verbs.slimming import shares
from tfmagic.verbs.slimming.checkpoints import CheckpointSlim
from tfmagic.verbs.slimming.graph_files import GraphSlim
from tfmagic.verbs.slimming.other_forms import OtherForm
from tfmagic.verbs.slimming.saved_models import SavedModelSlim
from tfmagic.verbs.undisturbed import undisturbed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd

    from tfmagic.models.model import Model
    from tfmagic.verbs.slimming.shares import Share
    from tfmagic.verbs.verification.outcome import Verification

_STAGES = ("reading", "writing")


@dataclass(frozen=True, repr=False, eq=False)
class Slimmed(render.Sectioned):
    """Where the bytes of a model go, and what a copy of it takes.

    Attributes
    ----------
    table : DataFrame
        A row for whatever takes bytes, what takes most first: kind (``variables`` by layer, the kinds that ``retain``
        knows, ``graph`` and ``files`` for the rest), where, bytes, retained (whether a copy has it), why. Together the
        rows take what the model takes, unpacked.
    path : Path or None
        The copy, None if none was made.
    bytes_before : int
        What the source takes.
    bytes_after : int or None
        What the copy takes, or would take if one were made; None where slim makes none.
    verification : DataFrame or None
        How the copy compares, a row an output, or a value of a checkpoint: output, max_abs, max_rel, equal. None
        without a copy.
    notes : tuple of str
        What a person should know: what was not verified and why, which functions are gone.
    origin : str
        What was looked at.
    """

    table: pd.DataFrame
    path: Path | None
    bytes_before: int
    bytes_after: int | None
    verification: pd.DataFrame | None
    notes: tuple[str, ...] = ()
    origin: str = ""
    _called: str = ""

    @property
    def called(self) -> str:
        """The path of the copy as the user wrote it, empty without a copy."""
        return self._called or str(self.path or "")

    def shown_sections(self) -> tuple[str, list[render.Section]]:
        """Return the sizes, the table, and how the copy compares."""
        after = "no copy of this form" if self.bytes_after is None else render.size_text(self.bytes_after)
        path = render.Shortened(self.called, str(self.path))
        facts: list[tuple[str, object]] = [("path", path)] if self.path is not None else []
        facts += [("before", render.size_text(self.bytes_before)), ("after", after)]
        facts += [("note", note) for note in self.notes]
        sections = [render.Section("Size", facts), render.Section("Bytes", table=self.table)]
        if self.verification is not None:
            sections.append(conversion_checks.verification_section(self.verification))
        return f"slim: {self.origin}", sections


class Slim(Protocol):
    """A model of some form, and what a copy of it is without."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the copy."""

    @property
    def bytes_before(self) -> int:
        """What the source takes."""

    @property
    def size(self) -> int | None:
        """What a copy takes, None where there can be none."""

    def shares(self) -> Iterable[Share]:
        """Yield what takes the bytes of the source."""

    def write(self, place: Path, *, overwrite: bool, check: bool | None) -> tuple[dict[str, Verification], list[str]]:
        """Write the copy; return how it compares, and what is to be noted."""


@undisturbed
def slim(  # noqa: PLR0913 - the contract's options
    source: object,
    destination: str | os.PathLike[str] | None = None,
    *,
    retain: Sequence[str] | str = (),
    overwrite: bool = False,
    verify: bool | None = None,
    trust: bool = False,
) -> Slimmed:
    """Say where the bytes of a model go, and write a copy without those that are not needed.

    Not needed are values that are there twice, which a copy has once under both names; the state of optimizers;
    variables, nodes, functions, constants and assets that no signature needs; and what tells from which lines of Python
    nodes come. Values are copied by range, never loaded, and TensorFlow is needed only to run source and copy on the
    same inputs. Signatures, and the names of what stays, are those of the source.

    Parameters
    ----------
    source : object
        A SavedModel, a checkpoint or a file with a GraphDef; of what else :func:`tfmagic.inspect` takes, the table.
    destination : path-like, optional
        Where to write the copy, in the form of the source. Without, nothing is written.
    retain : sequence of str, optional
        Kinds that the copy has all the same: ``duplicates``, ``optimizer``, ``unreached``, ``functions``, ``debug``,
        ``constants``, ``assets``.
    overwrite : bool
        Whether an existing destination is replaced, once the new one is complete.
    verify : bool, optional
        Whether source and copy are run on the same inputs; the values of a checkpoint are compared byte by byte.
        Left out, the notes say what cannot be checked; True makes that an error, False leaves the check out.
    trust : bool
        Whether they are run though they would act outside the model.

    Returns
    -------
    Slimmed
        The table, both sizes, and how the copy compares.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    UnsupportedConversionError
        If there is to be a copy of a source of another form.
    CorruptSourceError
        If the source is damaged or incomplete, and there is to be a copy.
    VerificationError
        If the copy gives other numbers; it was not left at the destination.
    WriteError
        If the destination exists, or cannot be written.
    """
    retained = shares.checked(retain)
    model = readers.read(source, trust=trust).here()
    with model.well_formed(), progress.stages("slim", len(_STAGES)) as begin:
        begin(_STAGES[0])
        plan = _plan(model, retained)
        if destination is None:
            return _told(model, plan)
        begin(_STAGES[1])
        place = write_checks.resolved(destination)
        copied = _copied(model, plan, place, overwrite=overwrite, check=verify)
        return replace(copied, _called=destinations.in_words(destination, place))


def _plan(model: Model, retained: frozenset[str]) -> Slim:
    """Return what is known of the source, by its form."""
    if model.reader.message == message_files.SAVED_MODEL and model.file is not None:
        return SavedModelSlim(model, model.file, retained)
    if not model.reader.message and model.checkpoint is not None:
        return CheckpointSlim(model, retained)
    if model.reader.message == message_files.GRAPH and model.path is not None:
        return GraphSlim(model, model.path, retained)
    return OtherForm(model, retained)


def _told(model: Model, plan: Slim) -> Slimmed:
    """Return the table alone."""
    notes = (*model.notes, *plan.notes)
    try:
        size = plan.size
    except (errors.ReadError, errors.ConversionError) as error:
        # What there is to tell is told, also of what is too damaged to be copied.
        size, notes = None, (*notes, f"no copy can be made: {error}")
    return Slimmed(shares.table(plan.shares()), None, plan.bytes_before, size, None, notes, model.origin)


def _staged(plan: Slim, place: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
    """Return where to write: the place itself, or one on this machine from where it is brought to an address."""
    if places.is_here(place):
        return nullcontext(place)
    # With it comes what uploads.
    from tfmagic.files.addresses import uploads  # noqa: PLC0415

    return uploads.staging(places.as_address(place), overwrite=overwrite, several=not isinstance(plan, GraphSlim))


def _copied(model: Model, plan: Slim, place: Path, *, overwrite: bool, check: bool | None) -> Slimmed:
    """Write the copy and say what came of it."""
    if check and not isinstance(plan, CheckpointSlim):
        runtime.tensorflow()
    table = shares.table(plan.shares())
    with _staged(plan, place, overwrite=overwrite) as target:
        verifications, notes = plan.write(target, overwrite=overwrite, check=check)
        size = checkpoint_writing.size_of(target) if isinstance(plan, CheckpointSlim) else writing.size_of(target)
    notes = [*model.notes, *notes, *conversion_checks.unchecked_notes(verifications)]
    verification = conversion_checks.frame(verifications) if verifications else None
    return Slimmed(table, place, plan.bytes_before, size, verification, tuple(notes), model.origin)

"""A SavedModel's message after an edit, on its way to the disk: written beside the old one, verified, renamed.

The graph's message alone is read and written: variables and assets stay untouched, or are copied as files. In place,
the new message comes in one step, and the fingerprint, which only tells which message it was, after it. A copy shares
no file with the original: whoever writes into the one must not change the other. Not for: the edit
(:mod:`tfmagic.transforms.signature_edit`), what the user asked for (:mod:`tfmagic.verbs.sign`).
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import (
    copies,
    early_writing,
    file_marks,
    message_files,
    places,
    protos,
    reading,
    saved_model_files,
    wire,
    write_checks,
    writing,
)
from tfmagic.files.temporary_files import Scratch
from tfmagic.findings import hazards
from tfmagic.graphs import metagraphs
from tfmagic.models.model import Part
from tfmagic.readers import saved_model
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.signature_edit import SignedModel, signed
from tfmagic.verbs import signed_results

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tfmagic.models.model import Model
    from tfmagic.transforms.signature_plans import Changes

_BINARY, _TEXT, _FINGERPRINT = saved_model_files.BINARY, saved_model_files.TEXT, saved_model_files.FINGERPRINT
#: Files of the SavedModel's message: one of them is written, the others would tell of the old one.
_MESSAGES = (_BINARY, _TEXT, "saved_model.cpb", _FINGERPRINT)
#: What else belongs to a SavedModel, and is copied with it.
PARTS = ("variables", "saved_model_variables", "assets", "assets.extra", "debug", "keras_metadata.pb")
#: A larger model is not loaded only to compare what the edit left alone.
_VERIFIED_BYTES = 64 << 20


@dataclass(frozen=True)
class SignedFile:
    """A SavedModel that was edited, not yet written."""

    file: Path
    marks: Mapping[Path, file_marks.Mark]
    result: SignedModel
    is_text: bool

    @classmethod
    def of(cls, model: Model, file: Path, changes: Changes) -> SignedFile:
        """Read the message once more, so that what is written is made of what is there now; edit it."""
        named = {frozenset(tags) for tags, _ in model.part(Part.SIGNATURES)}
        marks = {
            path: mark
            for path, mark in file_marks.of_model(file.parent, file).items()
            if path == file or path.relative_to(file.parent).parts[0] in PARTS
        }
        buffer, is_text = read_message(file)
        try:
            return cls(file, marks, signed(buffer, changes, named), is_text)
        except wire.WireError as error:
            raise errors.CorruptSourceError(f"{str(file)!r} is damaged: {error}; fetch or save it again") from error

    @property
    def directory(self) -> Path:
        """Where the SavedModel is."""
        return self.file.parent

    def in_place(self, *, check: bool | None, trust: bool = False) -> tuple[str, ...]:
        """Replace the message; return what is to be noted."""
        fingerprint, fresh = self.directory / _FINGERPRINT, None
        staging = writing.Staging(write_checks.resolved(self.file), overwrite=True, size=self.result.size)
        with staging as staged:
            self._write(staged)
            with _assembled(self.directory, self.file.name, staged) as whole:
                unverified = self._verified(whole, check=check, trust=trust)
                if fingerprint.exists() and whole is not None:
                    fresh = self._fingerprint(whole)
            self._require_unchanged(self.file)
            notes = self._stale_notes(fingerprint, fresh)
        # The message makes the SavedModel: it comes first, and is there from now on whatever happens.
        return (*self.result.notes, *unverified, *notes, *staging.notes, *_renewed(fingerprint, fresh))

    def to(self, place: Path, *, overwrite: bool, check: bool | None, trust: bool = False) -> tuple[str, ...]:
        """Write a copy with the changes; return what is to be noted."""
        parts = [self.directory / name for name in PARTS if (self.directory / name).exists()]
        if places.is_within(place, home := self.directory.resolve()):
            raise errors.WriteError(
                f"{str(place)!r} lies inside of what is read, {str(home)!r}; name a place outside of it"
            )
        size = self.result.size + sum(map(writing.size_of, parts))
        had, fresh = (self.directory / _FINGERPRINT).exists(), None
        extra = (self.directory / saved_model_files.EXTRA).is_dir()
        staging = writing.Staging(place, overwrite=overwrite, directory=True, size=size, extra=extra)
        with staging as staged, self._unchanged():
            staged.mkdir()
            for part in parts:
                copies.copy(part, staged / part.name)
            self._write(staged / self.file.name)
            whole = staged if runtime.is_loaded() else None
            unverified = self._verified(whole, check=check, trust=trust)
            if had and runtime.is_loaded():
                fresh = self._fingerprint(staged)
            if fresh is not None:
                (staged / _FINGERPRINT).write_bytes(fresh)
        aside = (*staging.notes, *_fingerprint_notes(fresh, had=had))
        return (*self.result.notes, *unverified, *left_out(self.directory), *aside)

    def _fingerprint(self, directory: Path) -> bytes | None:
        """Let TensorFlow make the fingerprint; only there it may show that it cannot parse the message."""
        try:
            return runtime.fingerprint(directory)
        except errors.CorruptSourceError as error:
            message = f"{str(self.file)!r} is damaged: {error}; fetch or save it again. Nothing was changed"
            raise errors.CorruptSourceError(message) from error

    def _write(self, path: Path) -> None:
        """Write the message, and see that it reads back."""
        with early_writing.opened(path) as file:
            if self.is_text:
                message = protos.parse("SavedModel", b"".join(self.result.pieces))
                file.write(protos.to_text(message).encode())
            else:
                file.writelines(self.result.pieces)
        meta_graphs = metagraphs.of_saved_model(read_message(path)[0])
        expected = [(set(each.tags), each.signature_keys) for each in self.result.meta_graphs]
        if [(set(each.tags), set(each.signature_def)) for each in meta_graphs] != expected:
            raise errors.ConversionError("what was written does not read back as it was meant; nothing was changed")

    def _verified(self, whole: Path | None, *, check: bool | None, trust: bool) -> tuple[str, ...]:
        """Run what was changed, before and after; return what was not checked, and why.

        Raises
        ------
        VerificationError
            If a signature gives other numbers than before.
        """
        if not any(each.changed for each in self.result.meta_graphs):
            return ()
        reason = self._why_unverified(check=check)
        if reason or whole is None:
            return (f"not verified by running: {reason}",)
        dangers = () if trust else self._dangers(whole)
        if dangers and check:
            raise hazards.refusal(dangers, str(self.directory))
        if dangers:
            return (f"not verified by running: it would {hazards.describe(dangers)}",)
        notes = []
        for meta_graph in self.result.meta_graphs:
            for key, verification in signed_results.compared(self.directory, whole, meta_graph):
                if verification.differs:
                    raise errors.VerificationError(
                        f"the signature {key!r} would give other numbers than before, so nothing was changed; "
                        "error.verification has them",
                        verification.frame,
                    )
                if verification.unchecked:
                    notes.append(f"not verified by running: signature {key!r}: {verification.unchecked}")
        return tuple(dict.fromkeys(notes))

    def _dangers(self, whole: Path) -> tuple[hazards.Hazard, ...]:
        """Say what loading and running the SavedModel before and after the edit could do."""
        before, after = (saved_model.loading_hazards(directory) for directory in (self.directory, whole))
        return tuple(dict.fromkeys((*before, *after)))

    def _why_unverified(self, *, check: bool | None) -> str:
        if check is False:
            return "verify=False"
        if not runtime.is_loaded():
            return "TensorFlow is not loaded; %tf_verify compares two models"
        size = self.result.size + sum(
            writing.size_of(each) for each in (self.directory / name for name in PARTS) if each.exists()
        )
        if size > _VERIFIED_BYTES:
            return f"{size / 2**20:,.0f} MiB would have to be loaded; %tf_verify compares two models"
        return ""

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Refuse what a block has read of files of which some were written again, or went away, meanwhile."""
        try:
            yield
        except errors.TfMagicError:
            raise
        except Exception as error:
            self._require_unchanged(*self.marks, cause=error)
            raise
        self._require_unchanged(*self.marks)

    def _require_unchanged(self, *files: Path, cause: Exception | None = None) -> None:
        """Refuse to go on with what somebody else wrote meanwhile."""
        for file in files:
            if file_marks.of(file) != self.marks.get(file):
                raise errors.CorruptSourceError(
                    f"{str(file)!r} changed while it was signed; sign it again once its writer is done"
                ) from cause

    def _stale_notes(self, fingerprint: Path, fresh: bytes | None) -> tuple[str, ...]:
        other = self.directory / (_BINARY if self.file.name == _TEXT else _TEXT)
        notes = (
            (f"{other.name!r} beside it stays as it was; TensorFlow reads the binary one",) if other.exists() else ()
        )
        return (*notes, *_fingerprint_notes(fresh, had=fingerprint.exists()))


def read_message(file: Path) -> tuple[wire.Buffer, bool]:
    """Read a SavedModel's message, and say whether it is text.

    Raises
    ------
    ConversionError
        If it is text with fields that would be lost.
    """
    buffer = message_files.read_message(file, message_files.SAVED_MODEL)
    with reading.opened(file) as opened:
        head = opened.read(message_files.HEAD_BYTES)
    if message_files.message_in_text(head) is None:
        return buffer, False
    try:
        message = protos.parse_text("SavedModel", reading.read_bytes(file).decode(), lossless=True)
    except protos.TextParseError as error:
        raise errors.ConversionError(
            f"{str(file)!r} has fields that tfmagic does not know and would lose ({error}); load and save it with "
            "TensorFlow as a binary 'saved_model.pb' first"
        ) from error
    return wire.Buffer(message.SerializeToString()), True


def _renewed(fingerprint: Path, fresh: bytes | None) -> tuple[str, ...]:
    """Replace the fingerprint, which tells of the old message, or remove it; return what is to be noted."""
    try:
        if fresh is None:
            fingerprint.unlink(missing_ok=True)
        else:
            # Nothing needs it to load, and a flush takes longer than all the rest.
            with writing.Staging(fingerprint, overwrite=True, flushed=False) as staged:
                staged.write_bytes(fresh)
    except OSError as error:
        with suppress(OSError):
            fingerprint.unlink(missing_ok=True)
        return (f"{_FINGERPRINT!r} could not be renewed: {error}; nothing needs it to load",)
    return ()


@contextmanager
def _assembled(directory: Path, name: str, message: Path) -> Iterator[Path | None]:
    """Give a directory that is the SavedModel with another message, for TensorFlow to look at; None without it."""
    if not runtime.is_loaded():
        yield None
        return
    with Scratch() as place:
        for target, link in ((message, name), *((directory / part, part) for part in PARTS)):
            if target.exists():
                _link(target.absolute(), place / link)
        yield place


def _link(target: Path, link: Path) -> None:
    try:
        link.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:  # Windows permits links to few.
        copies.copy(target, link)


def left_out(directory: Path) -> tuple[str, ...]:
    """Say what lies in the directory and is no part of a SavedModel."""
    names = {each.name for each in directory.iterdir() if not each.name.startswith(".")} - {*PARTS, *_MESSAGES}
    return (f"not copied, as it is no part of a SavedModel: {errors.listed(sorted(names))}",) if names else ()


def _fingerprint_notes(fresh: bytes | None, *, had: bool) -> tuple[str, ...]:
    if fresh is not None or not had:
        return ()
    why = (
        "TensorFlow, which makes a new one, is not loaded" if not runtime.is_loaded() else "TensorFlow made no new one"
    )
    return (f"{_FINGERPRINT!r} told of the old signatures and is left out: {why}; nothing needs it to load",)

"""Find the one reader that claims a source, or say why none does.

Not for: how a form is told, which each reader knows.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import file_marks, foreign_files, message_files, places, reading
from tfmagic.files.addresses.address import path_of
from tfmagic.graphs import signatures
from tfmagic.models import local_models
from tfmagic.models.form import Form
from tfmagic.models.model import Model
from tfmagic.models.reader import Candidate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from tfmagic.models.reader import Reader

#: Files, or folders, looked at in a directory that is none of the known layouts; how deep, and how many are offered.
_LOOKED_AT, _DEEPEST, _OFFERED = 100, 3, 3
#: Files looked at in all the folders below it: who gives "/" or a home directory wants an answer, not a search.
_LOOKED_AT_BELOW = 500
#: Files of a directory that are guessed at, and how much of each is read.
_GUESSED_AT, _HEAD = 20, 4096
_ORBAX = frozenset({"_CHECKPOINT_METADATA", "manifest.ocdbt", "_METADATA"})
#: Suffixes of what lies beside a model without being one.
_SIDE_FILES = frozenset({"fingerprint.pb", "keras_metadata.pb", "saved_model_config.pb"})


def recognise(
    source: object, readers: Sequence[Reader], form: str | None, tags: Collection[str] | None, *, trust: bool = False
) -> Model:
    """Return the model of a source; see :func:`tfmagic.readers.read`."""
    if isinstance(source, Model):
        return _again(source, readers, form, tags, trust=trust)
    candidate = replace(candidate_of(source), trust=trust)
    with reading.refusals(candidate.path):
        if form is not None:
            return _read(_of_form(form, candidate, readers), candidate, tags)
        claims = _claims(candidate, readers)
        if len(claims) == 1:
            return _claimed(claims[0], candidate, tags)
        if candidate.path is not None:
            places.require_existence(candidate.path)
        several = [nested for nested, _ in claims]
        raise errors.UnrecognizedSourceError(_unrecognised(candidate, readers, several))


def recognised(source: object, readers: Sequence[Reader]) -> Model | None:
    """Return the model of a source, None where there is none: nothing is looked for that could be meant instead."""
    if isinstance(source, Model):
        return _again(source, readers, None, None, trust=False)
    candidate = candidate_of(source)
    with reading.refusals(candidate.path):
        claims = _claims(candidate, readers)
        return _claimed(claims[0], candidate, None) if len(claims) == 1 else None


def _claims(candidate: Candidate, readers: Sequence[Reader]) -> list[tuple[Candidate, Reader]]:
    """Return a candidate and the reader that claims it, else the files in it that are claimed."""
    reader = _claiming(candidate, readers)
    return list(_inside(candidate, readers)) if reader is None else [(candidate, reader)]


def _claimed(claim: tuple[Candidate, Reader], candidate: Candidate, tags: Collection[str] | None) -> Model:
    """Return the model of a candidate, or of the only file in it that is claimed, which is told."""
    chosen, reader = claim
    if chosen is candidate:
        return _read(reader, candidate, tags)
    note = f"{_name(chosen)!r} is shown, the only model in {str(candidate.path)!r}"
    return _read(reader, replace(chosen, trust=candidate.trust), tags).with_notes(note)


def _again(
    model: Model, readers: Sequence[Reader], form: str | None, tags: Collection[str] | None, *, trust: bool
) -> Model:
    """Return a model that was read before, or what of it the tag-set means."""
    if form is not None and form != model.form:
        _require_form(form, readers)
        message = f"{model.origin!r} was read as a {model.form}, and is no {form} now"
        raise errors.UnrecognizedSourceError(f"{message}; leave the form out, or give what it was read from")
    model.require_unchanged()
    if trust and model.trusting is not None:
        model = model.trusting()
    if tags is not None and model.narrowed is not None:
        return replace(model.narrowed(tags), reader=model.reader, marks=model.marks)
    _require_tags(model, model.reader, tags)
    return model


def _read(reader: Reader, candidate: Candidate, tags: Collection[str] | None) -> Model:
    """Read a source; its model knows what its form is able to do, and how its files look now."""
    model = reader.read(candidate, tags)
    _require_tags(model, reader, tags)
    if not places.is_here(model.path):
        _begin(model)
    # What another reader read is able to do what that one says.
    known = reader if type(model.reader) is Form else model.reader
    notes = () if model.path is None else places.notes(model.path)
    marks = {} if model.path is None else file_marks.of_model(model.path, model.file, model.beside)

    def completed(read: Model, *, trust: bool) -> Model:
        result = replace(read, reader=known, marks=marks, notes=(*read.notes, *notes))
        return result if places.is_here(result.path) else local_models.with_local(result, partial(again, trust=trust))

    def again(path: Path, *, trust: bool) -> Model:
        return _read(reader, replace(candidate, value=path, path=path, trust=trust), tags)

    trusting = model.trusting
    result = completed(model, trust=candidate.trust)
    return result if trusting is None else replace(result, trusting=lambda: completed(trusting(), trust=True))


def _require_tags(model: Model, form: Form, tags: Collection[str] | None) -> None:
    """Refuse tags that choose nothing: a form without tag-sets has what it is exported with, by default or its own.

    Raises
    ------
    UnknownNameError
        If other tags are asked for.
    """
    if tags is None or form.has_tag_sets:
        return
    own = model.meta_graph.tags if model.is_at_hand("graph") else ()
    if set(tags) not in ({*own}, {*(own or signatures.DEFAULT_TAGS)}):
        raise errors.UnknownNameError(",".join(tags), "tag-set", [",".join(own)] if own else (), model.form)


def _begin(model: Model) -> None:
    """Look at the begin of what is read first, so that how an address' server gives files is known, and told."""
    files = None if model.file is not None else model.checkpoint_files()
    first = model.file or (model.path if files is None else next(iter(files.tables), None))
    if first is not None and places.is_file(first):
        places.head(first, 1)


def candidate_of(source: object) -> Candidate:
    """Take a path or a live object for a candidate; ``~`` means the user's home.

    Raises
    ------
    ReadError
        If the path cannot be looked at: it is not permitted, or its links lead in a circle.
    UnrecognizedSourceError
        If it is empty: a variable without a text in it must not mean the folder that somebody is in.
    """
    if not isinstance(source, (str, os.PathLike)):
        return Candidate(source)
    if not str(source):
        raise errors.UnrecognizedSourceError(f"{source!r} is no path; give that of the model, '.' for this folder")
    path = path_of(source)
    places.require_visible(path)
    return Candidate(source, path)


def _of_form(form: str, candidate: Candidate, readers: Sequence[Reader]) -> Reader:
    """Return the reader of the form that the user named.

    A path may be taken for what its content does not tell. What a live object is, is certain.
    """
    reader = _require_form(form, readers)
    if reader.can_be_named(candidate):
        return reader
    other = _claiming(candidate, readers)
    if other is None and candidate.path is not None:
        places.require_existence(candidate.path)
    seems = f"it is a {other.form}" if other else _guess(candidate)
    message = (
        f"{_given(candidate)} is no {form} ({reader.looks_like}): {seems}. Leave the form out, or give such a source"
    )
    raise errors.UnrecognizedSourceError(message)


def _require_form(form: str, readers: Sequence[Reader]) -> Reader:
    """Return the reader of a form; raises if there is none of that name."""
    by_form = {reader.form: reader for reader in readers}
    if form not in by_form:
        raise errors.UnknownNameError(form, "form", list(by_form))
    return by_form[form]


def _claiming(candidate: Candidate, readers: Sequence[Reader]) -> Reader | None:
    """Return the reader that claims a candidate."""
    return next((reader for reader in readers if reader.claims(candidate)), None)


def _inside(
    candidate: Candidate, readers: Sequence[Reader], looks: Iterable[object] = range(_LOOKED_AT)
) -> Iterator[tuple[Candidate, Reader]]:
    """Yield the files of a directory that are models, and who reads them; those that cannot be read are none.

    Each file takes one of the looks.
    """
    for name, _ in zip(sorted(candidate.entries)[:_LOOKED_AT], looks, strict=False):
        if candidate.path is None:
            return
        path = candidate.path / name
        nested = Candidate(path, path)
        try:
            reader = _claiming(nested, readers) if places.is_file(path) and name not in _SIDE_FILES else None
        except (OSError, errors.ReadError):
            continue
        if reader:
            yield nested, reader


def _unrecognised(candidate: Candidate, readers: Sequence[Reader], several: Sequence[Candidate]) -> str:
    """Word that no form claims a source: what it seems to be or which models it holds, and which forms there are."""
    if several:
        names = errors.listed(map(_name, several))
        return f"{str(candidate.path)!r} holds several models: {names}; give the path of one of them"
    known = ", ".join(reader.form for reader in readers if reader.is_live == (candidate.path is None))
    # How each of them looks would be ten lines, which hide what is said of this source.
    forms = f"The forms are: {known}{'' if candidate.path else ', or a path'}; tfmagic.forms() (%tf_forms) shows them"
    looks = iter(range(_LOOKED_AT_BELOW))
    below = list(islice(_below(candidate.path, readers, looks), _OFFERED)) if candidate.is_directory else []
    if below:
        offered = errors.listed(map(str, below))
        return f"{_given(candidate)} is no model itself; give the path of one that lies in it: {offered}"
    return f"{_given(candidate)} is no model that tfmagic reads: {_guess(candidate)}. {forms}"


def _below(
    directory: Path | None, readers: Sequence[Reader], looks: Iterator[object], depth: int = _DEEPEST
) -> Iterator[Path]:
    """Yield the folders below a directory that are models, the nearest of each branch."""
    if directory is None or not depth or not places.is_here(directory):
        return
    try:
        folders = sorted(places.directories(directory))[:_LOOKED_AT]
    except OSError:
        return
    for folder in folders:
        nested = Candidate(folder, folder)
        try:
            is_model = _claiming(nested, readers) is not None or any(True for _ in _inside(nested, readers, looks))
        except (OSError, errors.ReadError):
            continue
        if is_model:
            yield folder
        else:
            yield from _below(folder, readers, looks, depth - 1)


def _guess_at_directory(candidate: Candidate) -> str:
    """Say what a directory without a model holds: a file that tells what it is, else some names."""
    names = sorted(candidate.entries)
    if not names:
        return "an empty directory; give the one that the model was saved to"
    if _ORBAX.intersection(names):
        return "a checkpoint of Orbax, as JAX and Flax write them; load it there, and export a SavedModel (jax2tf)"
    for name in names[:_GUESSED_AT]:
        path = None if candidate.path is None else candidate.path / name
        with suppress(OSError):
            guessed = message_files.guess(places.head(path, _HEAD)) if path and places.is_file(path) else ""
            if guessed and foreign_files.is_told(guessed):
                return f"a directory whose {name!r} seems to be {guessed}"
    return f"a directory with {errors.listed(names)}; give the path of the model itself"


def _name(candidate: Candidate) -> str:
    """Return the name of a file."""
    return "" if candidate.path is None else candidate.path.name


def _given(candidate: Candidate) -> str:
    """Name what was given."""
    return f"{str(candidate.path)!r}" if candidate.path else f"an object of type {type_name(candidate.value)!r}"


def _guess(candidate: Candidate) -> str:
    """Say what a source seems to be."""
    if candidate.path is None:
        return "it is neither a model nor a path"
    if candidate.is_directory:
        return _guess_at_directory(candidate)
    if candidate.is_file:
        return f"it seems to be {message_files.guess(candidate.head)}"
    return f"it is {places.special(candidate.path)}; copy what it holds into a file and give that"


def type_name(value: object) -> str:
    """Return the full name of an object's type."""
    return f"{type(value).__module__}.{type(value).__qualname__}"

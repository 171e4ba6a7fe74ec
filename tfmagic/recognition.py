"""Find the one reader that claims a source, or say why none does.

Not for: how a form is told, which each reader knows.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import contents, errors
from tfmagic.model import Model
from tfmagic.registry import Candidate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tfmagic.registry import Reader

#: Files looked at in a directory that is none of the known layouts.
_LOOKED_AT = 200
#: Suffixes of what lies beside a model without being one.
_SIDE_FILES = frozenset({"fingerprint.pb", "keras_metadata.pb", "saved_model_config.pb"})


def recognise(source: object, readers: Sequence[Reader], form: str | None, tags: Collection[str] | None) -> Model:
    """Return the model of a source; see :func:`tfmagic.readers.read`."""
    if isinstance(source, Model):
        return source
    candidate = candidate_of(source)
    if form is not None:
        return _named(form, readers).read(candidate, tags)
    reader = _claiming(candidate, readers)
    if reader is not None:
        return reader.read(candidate, tags)
    inner = [(each, found) for each in _inside(candidate) if (found := _claiming(each, readers))]
    if len(inner) == 1:
        ((chosen, found),) = inner
        note = f"{Path(str(chosen.path)).name!r} is shown, the only model in {str(candidate.path)!r}"
        return found.read(chosen, tags).with_notes(note)
    _require_existence(candidate)
    raise errors.UnrecognizedSourceError(_unrecognised(candidate, readers, [each for each, _ in inner]))


def candidate_of(source: object) -> Candidate:
    """Take a path or a live object for a candidate; ``~`` means the user's home.

    Raises
    ------
    ReadError
        If the path cannot be looked at: it is not permitted, or its links lead in a circle.
    """
    if not isinstance(source, (str, os.PathLike)):
        return Candidate(source)
    path = Path(os.fsdecode(os.fspath(source))).expanduser()
    try:
        os.stat(path)  # noqa: PTH116 - Path.exists() answers "no" to a loop of links
    except (FileNotFoundError, NotADirectoryError):
        pass  # A checkpoint's prefix is no file.
    except (OSError, ValueError) as error:
        message = f"{str(path)!r} cannot be looked at: {getattr(error, 'strerror', None) or error}"
        raise errors.ReadError(f"{message}; check the path, its links and its permissions") from error
    return Candidate(source, path)


def _named(form: str, readers: Sequence[Reader]) -> Reader:
    """Return the reader of a form that the user named."""
    for reader in readers:
        if reader.form == form:
            return reader
    raise errors.UnknownNameError(form, "form", [reader.form for reader in readers])


def _claiming(candidate: Candidate, readers: Sequence[Reader]) -> Reader | None:
    """Return the reader that claims a candidate."""
    try:
        return next((reader for reader in readers if reader.claims(candidate)), None)
    except PermissionError as error:
        message = f"{str(candidate.path)!r} may not be read by this user; change its permissions or copy it"
        raise errors.ReadError(message) from error
    except OSError as error:
        message = f"{str(candidate.path)!r} cannot be read: {error.strerror or error}"
        raise errors.ReadError(message) from error


def _inside(candidate: Candidate) -> Iterator[Candidate]:
    """Yield the files of a directory that might be models."""
    if candidate.path is None:
        return
    for name in sorted(candidate.entries)[:_LOOKED_AT]:
        path = candidate.path / name
        if path.is_file() and name not in _SIDE_FILES:
            yield Candidate(path, path)


def _require_existence(candidate: Candidate) -> None:
    """Raise FileNotFoundError for a path that leads nowhere, with the nearest that does lead somewhere."""
    path = candidate.path
    if path is None or path.exists():
        return
    parent = path.parent
    names = [each.name for each in parent.iterdir()] if parent.is_dir() and os.access(parent, os.R_OK) else []
    near = difflib.get_close_matches(path.name, names, n=3)
    advice = f"; did you mean {errors.listed(str(parent / name) for name in near)}?" if near else ""
    where = "" if parent.is_dir() else f", nor a directory {str(parent)!r}"
    message = f"there is no file, directory or checkpoint {str(path)!r}{where}{advice}"
    raise FileNotFoundError(message)


def _unrecognised(candidate: Candidate, readers: Sequence[Reader], several: Sequence[Candidate]) -> str:
    """Word that no form claims a source: what it seems to be, and which forms there are."""
    if several:
        names = errors.listed(Path(str(each.path)).name for each in several)
        return f"{str(candidate.path)!r} holds several models: {names}; give the path of one of them"
    what = f"{str(candidate.path)!r}" if candidate.path else f"an object of type {type_name(candidate.value)!r}"
    forms = "; ".join(f"{reader.form} ({reader.looks_like})" for reader in readers)
    return f"{what} is no model that tfmagic reads: {_guess(candidate)}. The forms are: {forms}"


def _guess(candidate: Candidate) -> str:
    """Say what a source seems to be."""
    if candidate.path is None:
        return "it is neither a model nor a path"
    if candidate.is_directory:
        names = sorted(candidate.entries)
        return f"a directory with {errors.listed(names)}" if names else "an empty directory"
    return f"it seems to be {contents.guess(candidate.head)}" if candidate.is_file else "it is not a regular file"


def type_name(value: object) -> str:
    """Return the full name of an object's type."""
    return f"{type(value).__module__}.{type(value).__qualname__}"

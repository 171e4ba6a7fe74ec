"""Places for results: where a path leads, whether the result may be written there, which path is free.

Not for: writing (:mod:`tfmagic.files.writing`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import places, write_checks
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.models.writer import Grouped, Placing
from tfmagic.writers import WRITERS, writer_for, writer_named

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.models.model import Model
    from tfmagic.models.writer import Writer


def place(destination: str, writer: Writer) -> Path | None:
    """Return where a result would be written, None where that is no path."""
    try:
        path = write_checks.resolved(destination.strip())
        return writer.place(path) if isinstance(writer, Placing) else path
    except (OSError, ValueError, errors.TfMagicError):
        return None


def in_words(destination: str | os.PathLike[str], place: Path) -> str:
    """Return a place in the words of who named it: ``served/1``, where its path is absolute.

    Parameters
    ----------
    destination : path-like
        What was named.
    place : Path
        Where that lies; the writer may have chosen a name in it, or beside it.
    """
    if not places.is_here(place):
        # An address is written without the credentials in it.
        return str(place)
    named = os.fspath(destination)
    beside = (named, os.path.join(named, place.name), os.path.join(os.path.dirname(named), place.name))  # noqa: PTH118, PTH120 - as it is written
    return next((text for text in beside if write_checks.resolved(text) == place), str(place))


def problem(destination: str, writer: Writer, size: int, *, overwrite: bool, numbered: bool = False) -> str:
    """Say why a result cannot be written to a place, nothing if it can.

    Parameters
    ----------
    destination : str
        The path as it is typed.
    writer : Writer
        That of the format.
    size : int
        The predicted size in bytes, 0 if it is not known.
    overwrite : bool
        Whether what is there may be replaced.
    numbered : bool
        Whether a checkpoint gets a number of its own there.
    """
    if not destination.strip():
        return "say where to write"
    where = place(destination, writer)
    if where is None:
        return "this is no path"
    suffix_problem = _suffix_problem(where, writer)
    if suffix_problem or not places.is_here(where):
        # A network is asked when it is written, not while somebody types.
        return suffix_problem
    if not overwrite and not numbered and is_taken(where, writer):
        return f"{destination.strip()!r} exists; allow to replace what is there, or name another place"
    try:
        _check(where, writer, overwrite=overwrite, numbered=numbered)
        write_checks.require_space(where, size)
    except (errors.WriteError, OSError) as error:
        # An error with a number keeps its words apart.
        return error.strerror or str(error)
    return ""


def is_taken(where: Path, writer: Writer) -> bool:
    """Say whether something of a format's result is there already."""
    return bool(checkpoint_writing.standing(where)) if isinstance(writer, Grouped) else os.path.lexists(where)


def _suffix_problem(where: Path, writer: Writer) -> str:
    """Say that a name ends in what another format goes by, or lacks the format's own end."""
    name = where.name.lower()
    if isinstance(writer, Placing) or any(suffix and name.endswith(suffix) for suffix in writer.suffixes):
        own = [each for each in writer.suffixes if each and name.endswith(each)]
        longer = next((each for each in _suffixes(name) if own and len(each) > len(max(own, key=len))), "")
        return f"{longer!r} is the end of another format's name" if longer else ""
    if writer.suffixes and "" not in writer.suffixes and not _is_step(where, writer):
        return f"a {writer.format} file's name ends in {errors.listed(writer.suffixes)}"
    taken = [each for each in _suffixes(name) if each not in writer.suffixes]
    if taken:
        return f"{max(taken, key=len)!r} is the end of another format's name; leave it out, or choose that format"
    return ""


def _suffixes(name: str) -> list[str]:
    """Return the suffixes of formats that a name ends in."""
    return [each for writer in WRITERS for each in writer.suffixes if each and name.endswith(each)]


def _is_step(where: Path, writer: Writer) -> bool:
    """Say whether a checkpoint's name ends in the number of a step."""
    return asks_for(str(where), writer.format)


def _check(where: Path, writer: Writer, *, overwrite: bool, numbered: bool) -> None:
    """Refuse a place as the conversion would; raises WriteError."""
    if isinstance(writer, Grouped):
        if not numbered:
            checkpoint_writing.require_replaceable(where, overwrite=overwrite)
    else:
        write_checks.require_replaceable(where, overwrite=overwrite, directory=writer.directory)
    nearest = next(parent for parent in where.parents if os.path.lexists(parent))
    if not nearest.is_dir():
        raise errors.WriteError(f"{str(nearest)!r} is a file, and would have to be a directory; name another place")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise errors.WriteError(
            f"{str(nearest)!r} may not be written to; change the permissions or name a place elsewhere"
        )


def require_apart(model: Model, destination: Path, writer: Writer) -> None:
    """Refuse to write over what is read, or into it.

    Raises
    ------
    WriteError
        If the destination is a file of the model's, holds one, or lies in its directory.
    """
    if not places.is_here(destination):
        # What is read there is no file of this machine, and an object is replaced as a whole.
        return
    replaced = checkpoint_writing.files(destination) if isinstance(writer, Grouped) else [destination]
    shown = repr(str(destination))
    for path in map(write_checks.resolved, model.marks):
        if any(places.is_within(path, place) for place in replaced):
            raise errors.WriteError(
                f"{shown} is, or holds, what is read ({str(path)!r}); write to another place, and move the result "
                "there once you have looked at it"
            )
    home = write_checks.resolved(model.file).parent if model.file else None
    if home is not None and places.is_within(destination, home):
        raise errors.WriteError(f"{shown} lies inside of what is read, {str(home)!r}; name a place outside of it")


def suggested(model: Model, format: str) -> str:
    """Return a path for the result that asks for the format by its suffix: beside nothing, in the working directory."""
    writer = writer_named(format)
    stem = _stem(model)
    suffix = next(iter(writer.suffixes), "")
    names = (f"{stem}{f'_{number}' if number else ''}{suffix}" for number in range(1000))
    if isinstance(writer, Placing):
        return "logs"
    return next(
        (name for name in names if not os.path.lexists(name) and not _has_files(name, writer)), f"{stem}{suffix}"
    )


def _has_files(name: str, writer: Writer) -> bool:
    return isinstance(writer, Grouped) and bool(checkpoint_writing.files(write_checks.resolved(name)))


def _stem(model: Model) -> str:
    """Return the beginning of a name for what is made of a model."""
    if model.path is not None:
        stem = model.path.name.partition(".")[0]
        return "model" if stem.isdecimal() or not stem else stem
    name = getattr(model.live, "name", None)
    return name if isinstance(name, str) and name.isidentifier() else "model"


def asks_for(destination: str, format: str) -> bool:
    """Say whether a path asks for a format by itself."""
    try:
        return writer_for(write_checks.resolved(destination)).format == format
    except (errors.TfMagicError, OSError, ValueError):
        return False

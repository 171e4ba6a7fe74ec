"""Bring what was written and verified here to an address: whole, or not at all.

The file that makes the others a model comes last, so that nobody reads half of it; what was uploaded before a failure
is removed again, or named where even that fails. A single object replaces the old one in one step of the server's. Not
for: writing (:mod:`tfmagic.files.writing`), which happens on this machine.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tfmagic import errors, progress
from tfmagic.files import temporary_files
from tfmagic.files.addresses import refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfmagic.files.addresses.address import Address
    from tfmagic.files.addresses.entries import Entry

#: By these readers tell a model, or find its other files.
_DECISIVE = (".index", "saved_model.pbtxt", "saved_model.pb")
#: A list of a directory's checkpoints is of all that are in it, and others may have written it meanwhile.
_LEFT_OUT = frozenset({"checkpoint"})
_BLOCK = 8 << 20
#: Protocols that only give.
_READ_ONLY = frozenset({"http", "https", "zip", "tar", "github", "gitlab", "git", "reference"})
_FREE_NAMES = 1000


def check(destination: Address, *, overwrite: bool, several: bool) -> None:
    """Refuse an address that may not be written to, before any work is done.

    Parameters
    ----------
    destination : Address
        An object, a directory, or the prefix of a checkpoint.
    overwrite : bool
        Whether an object may be replaced.
    several : bool
        Whether several objects will be written: those are never replaced, as no server does that in one step.

    Raises
    ------
    WriteError
        If there is something already, or the protocol knows no writing.
    """
    shown, scheme = repr(str(destination)), str(destination).partition("://")[0].lower()
    if scheme in _READ_ONLY or "::" in str(destination):
        raise errors.WriteError(
            f"{shown} is an address that can be read only; write to a path on this machine, or to an object store such "
            "as s3://"
        )
    if not _is_taken(destination, several=several):
        return
    if several or destination.is_dir():
        raise errors.WriteError(
            errno.EEXIST,
            f"{shown} exists, and what is several objects is never replaced at an address; choose another, such as "
            f"{_free(destination)!r}, which is free",
        )
    if not overwrite:
        raise errors.WriteError(
            errno.EEXIST,
            f"{shown} exists; replace it with overwrite=True (--overwrite in a magic or shell), or name another place: "
            f"{_free(destination)!r} is free",
        )


def _is_taken(destination: Address, *, several: bool) -> bool:
    if destination.exists():
        return True
    return several and any(path.name.startswith(f"{destination.name}.") for path in destination.parent.iterdir())


def _free(destination: Address) -> str:
    """Return an address like it where nothing is: the next version, or the name with a number."""
    names = {path.name for path in destination.parent.iterdir()}
    if destination.name.isdecimal():
        numbers = [int(name) for name in names if name.isdecimal()]
        return str(destination.with_name(str(max(numbers, default=0) + 1)))
    stem, dot, suffix = destination.name.partition(".")
    for number in range(1, _FREE_NAMES):
        name = f"{stem}_{number}{dot}{suffix}"
        if not any(taken == name or taken.startswith(f"{name}.") for taken in names):
            return str(destination.with_name(name))
    return str(destination.with_name(f"{stem}_{_FREE_NAMES}{dot}{suffix}"))


@contextmanager
def staging(destination: Address, *, overwrite: bool, several: bool) -> Iterator[Path]:
    """Give a path on this machine to write to; without an exception, what is there comes to the destination.

    Takes and raises what :func:`check` does; WriteError also where the upload fails: it says what is left there.
    """
    destination = destination.anew()
    check(destination, overwrite=overwrite, several=several)
    with temporary_files.Scratch() as place:
        aside = place / "aside"
        aside.mkdir()
        yield aside / destination.name
        # Somebody may have written there meanwhile.
        check(destination.anew(), overwrite=overwrite, several=several)
        _upload(aside, destination)


def _upload(directory: Path, destination: Address) -> None:
    """Upload all files below a directory to where the destination lies."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.name not in _LEFT_OUT]
    # The decisive one, at the end, is the first to go if something fails.
    ordered = sorted(files, key=lambda path: (_rank(path.name), path.as_posix()))
    names = [path.relative_to(directory).as_posix() for path in ordered]
    before = destination.anew().entry()
    written: list[Address] = []
    try:
        for path, name in zip(ordered, names, strict=True):
            target = destination.parent / name
            # What is on its way may stand there whatever is said of it; an old object that it replaces stays.
            if before is None:
                written.append(target)
            _put(path, target)
    except BaseException as error:
        left = _removed(written)
        if left:
            said = f"what was uploaded of it could not be removed again: {errors.listed(map(str, left))}"
        else:
            said = "Nothing of it is left there" if before is None else _stands(destination, before)
        if not isinstance(error, Exception):
            error.add_note(f"{str(destination)!r} was not written: {said}")
            raise
        raise errors.WriteError(f"{str(destination)!r} cannot be written: {_reason(error)}. {said}") from None


def _rank(name: str) -> int:
    """Return when a file comes: the later, the more depends on it."""
    return next((number for number, end in enumerate(_DECISIVE, 1) if name.endswith(end)), 0)


def _put(path: Path, target: Address) -> None:
    """Upload a file; what the server has of it counts only once it is whole."""
    files, place = target.place.store.files, target.place.url.asked(target.inside)
    size = path.stat().st_size
    remote: Any = files.open(place, "wb", autocommit=False, block_size=_BLOCK)
    try:
        with path.open("rb") as source:
            progress.copy(source, remote)
        progress.check()
        remote.close()
        remote.commit()
    except BaseException:
        # The parts of an object that was begun are stored, and paid for, until somebody ends it.
        with suppress(Exception):
            remote.discard()
        raise
    try:
        entry = target.entry(fresh=True)
    except errors.ReadError:
        # Who may write may not be allowed to look, and it was taken.
        return
    if entry is None or entry.size != size:
        message = f"{target.name!r} has {0 if entry is None else entry.size:,} of {size:,} bytes there"
        raise errors.WriteError(message)


def _stands(destination: Address, before: Entry) -> str:
    """Say what is there of an object that was to be replaced."""
    now: Entry | None = None
    with suppress(Exception):
        now = destination.entry(fresh=True)
    if now == before and (before.tag or before.modified):
        return "What was there before is unchanged"
    return "It may be there nevertheless: look at what is there"


def _removed(written: list[Address]) -> list[Address]:
    """Remove objects, the last first; return those that are still there, or may be."""
    left = []
    for target in reversed(written):
        files, place = target.place.store.files, target.place.url.asked(target.inside)
        try:
            if target.entry(fresh=True) is not None:
                files.rm_file(place)
        except Exception:  # noqa: BLE001 - libraries of all kinds; it is named
            left.append(target)
    return left


def _reason(error: Exception) -> str:
    """Say what failed, without the words of a library."""
    if isinstance(error, errors.TfMagicError):
        return str(error)
    worded = refusals.translated(error, "")
    if isinstance(error, PermissionError) or "credentials" in str(worded):
        return "it may not be written: credentials that allow it come from fsspec's configuration and the environment"
    return f"{type(error).__name__}; check the address, the network and the server"

"""Where a write lands, and whether it may: links resolved, what is there, names that are found again, room.

Not for: writing (:mod:`tfmagic.files.writing`).
"""

from __future__ import annotations

import errno
import fnmatch
import os
import shutil
import stat
from pathlib import Path

from tfmagic import errors
from tfmagic.files import hidden_places, refusals, saved_model_files
from tfmagic.files.addresses import urls
from tfmagic.files.addresses.address import Address, path_of

#: Room asked for beyond the predicted size: file system metadata, and whatever else writes meanwhile.
_SPARE_BYTES = 1 << 20


def resolved(destination: str | os.PathLike[str]) -> Path:
    """Return where a write to the destination lands: the target of links, an absolute path; an address stays one.

    Raises
    ------
    WriteError
        If the path is empty, holds a NUL, is a loop of links, or is relative to a directory that is gone.
    """
    if isinstance(destination, Address) or urls.is_address(os.fspath(destination)):
        return path_of(destination)
    text = urls.here(os.fspath(destination))
    try:
        # Unlike Path.expanduser, this leaves a name that begins with ~ alone where there is no such user.
        path = Path(os.path.realpath(os.path.expanduser(text)))  # noqa: PTH111
    except ValueError:
        text = ""
    except FileNotFoundError as error:
        raise errors.WriteError(
            error.errno,
            f"{text!r} is relative to the working directory, which was removed; go to one that is there, or give an "
            "absolute path",
        ) from error
    if not text or os.path.islink(path):  # noqa: PTH114 - a name that is too long is none
        raise errors.WriteError(
            f"{os.fspath(destination)!r} is no path that can be written to; give a file or a directory"
        )
    return path


def require_findable(path: Path, *, by_pattern: bool) -> None:
    """Refuse a place where TensorFlow and its kin would not find what was written there.

    Parameters
    ----------
    path : Path
        As :func:`resolved` returns it.
    by_pattern : bool
        Whether there are variables among it, which TensorFlow looks for as a shell does (``GetMatchingPaths``).

    Raises
    ------
    WriteError
        If the path is no UTF-8, or a pattern that does not fit itself, as ``*`` and ``?`` do and ``[a]`` does not.
    """
    parts = path.parts[1:] if by_pattern else ()
    patterns = [part for part in parts if "\\" in part or not fnmatch.fnmatchcase(part, part)]
    why = f"it takes {patterns[0]!r} for a pattern, because of [, ] or a backslash" if patterns else ""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        why = "it takes paths in UTF-8, and this is none"
    if why:
        raise errors.WriteError(
            f"{str(path)!r} is a place where TensorFlow would not find it again: {why}; name another place"
        )


def require_replaceable(destination: Path, *, overwrite: bool, directory: bool, extra: bool = False) -> None:
    """Refuse a destination that may not be replaced, before any work is done.

    Parameters
    ----------
    destination : Path
        As :func:`resolved` returns it.
    overwrite : bool
        Whether the user allowed to replace it.
    directory : bool
        Whether a directory will be written there, else a file.
    extra : bool
        Whether what users laid beside a SavedModel, in ``assets.extra``, is written anew.

    Raises
    ------
    WriteError
        If it exists and ``overwrite`` is not given, or is something that we would never write.
    """
    require_findable(destination, by_pattern=directory)
    try:
        mode = destination.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise refusals.refusal(error, destination) from error
    shown = repr(str(destination))
    if not overwrite:
        raise errors.WriteError(
            errno.EEXIST,
            f"{shown} exists; replace it with overwrite=True (--overwrite in a magic or shell), or name another place",
        )
    if directory:
        _check_directory(destination, stat.S_ISDIR(mode), extra=extra)
    elif not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise errors.WriteError(f"{shown} is {kind} and a file would replace it; name another place")


def _check_directory(destination: Path, is_directory: bool, *, extra: bool) -> None:  # noqa: FBT001 - internal
    """Refuse to replace anything but an empty directory or a SavedModel with nothing of others in it."""
    shown = repr(str(destination))
    if not is_directory:
        raise errors.WriteError(f"{shown} is a file and a directory would replace it; name another place")
    if os.path.ismount(destination):
        raise errors.WriteError(
            errno.EBUSY, f"{shown} is where a file system is mounted, which cannot be replaced; name a place inside"
        )
    try:
        # What a killed process left in it goes with the rest.
        entries = sorted(entry.name for entry in destination.iterdir() if not hidden_places.is_hidden(entry.name))
        strangers = saved_model_files.strangers(destination, extra=extra)
    except OSError as error:
        raise refusals.refusal(error, destination) from error
    strangers = [path for path in strangers if not hidden_places.is_hidden(path.partition("/")[0])]
    if strangers or (entries and not saved_model_files.is_saved_model(destination)):
        raise errors.WriteError(
            f"{shown} is not replaced, because it is more than a SavedModel: it holds "
            f"{errors.listed(strangers or entries)}. Name another place, or remove it yourself"
        )


def require_space(destination: Path, size: int) -> None:
    """Refuse a write that the file system has no room for.

    Parameters
    ----------
    destination : Path
        Where it will be written; the directory need not exist yet.
    size : int
        The predicted size in bytes. An old destination stays until the new one is complete, so it counts for nothing.

    Raises
    ------
    WriteError
        If there is less room.
    """
    try:
        total, _, free = shutil.disk_usage(nearest(destination))
    except OSError:
        return  # who writes there will hear why
    # What has no size, as /proc, has more to say than that.
    if total and free < size + _SPARE_BYTES:
        raise errors.WriteError(
            errno.ENOSPC,
            f"{str(destination)!r} needs {_mebibytes(size)} and its file system has {_mebibytes(free)} left; "
            "make room or name a place elsewhere",
        )


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def nearest(destination: Path) -> Path:
    """Return the first directory above a destination that is there."""
    return next((parent for parent in destination.parents if os.path.lexists(parent)), destination.parent)

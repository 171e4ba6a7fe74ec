"""Write beside the destination, flush, rename: an interrupted or failed write leaves the old thing whole.

What is written goes to a hidden name in the destination's own directory, so that the last step is a rename within
one file system. The hidden name says which process wrote it: the next write into that directory clears up after one
that was killed. Not for: reading (:mod:`tfmagic.files.reading`), nor what the bytes mean.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a SavedModel's directory may hold; one with anything else in it is not ours to replace.
_SAVED_MODEL_ENTRIES = frozenset({
    "saved_model.pb", "saved_model.pbtxt", "variables", "assets", "assets.extra", "fingerprint.pb",
    "keras_metadata.pb", ".DS_Store",
})  # fmt: skip
_SAVED_MODEL_MARKS = ("saved_model.pb", "saved_model.pbtxt")
_STAGED = re.compile(r"\.tfmagic-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}-(?P<role>new|old)~(?P<name>.+)\Z")
#: Room asked for beyond the predicted size: file system metadata, and whatever else writes meanwhile.
_SPARE_BYTES = 1 << 20
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EIO}
)
# From linux/fs.h and fcntl.h: swap two directory entries in one step.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2

#: Staged paths that this process is writing now.
_in_use: set[str] = set()


def resolved(destination: str | os.PathLike[str]) -> Path:
    """Return where a write to the destination lands: the target of links, an absolute path.

    Raises
    ------
    WriteError
        If the path is empty or a loop of links.
    """
    given = os.fspath(destination)
    # Unlike Path.expanduser, this leaves a name that begins with ~ alone where there is no such user.
    path = Path(os.path.realpath(os.path.expanduser(given)))  # noqa: PTH111
    if not given or path.is_symlink():
        raise errors.WriteError(f"{given!r} is no path that can be written to; give a file or a directory")
    return path


def check(destination: Path, *, overwrite: bool, directory: bool) -> None:
    """Refuse a destination that may not be replaced, before any work is done.

    Parameters
    ----------
    destination : Path
        As :func:`resolved` returns it.
    overwrite : bool
        Whether the user allowed to replace it.
    directory : bool
        Whether a directory will be written there, else a file.

    Raises
    ------
    WriteError
        If it exists and ``overwrite`` is not given, or is something that we would never write.
    """
    try:
        mode = destination.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _translated(error, destination) from error
    shown = repr(str(destination))
    if not overwrite:
        raise errors.WriteError(
            f"{shown} exists; replace it with overwrite=True (--overwrite on a magic's line), or name another place"
        )
    if directory:
        _check_directory(destination, stat.S_ISDIR(mode))
    elif not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise errors.WriteError(f"{shown} is {kind} and a file would replace it; name another place")


def _check_directory(destination: Path, is_directory: bool) -> None:  # noqa: FBT001 - internal
    """Refuse to replace anything but an empty directory or a SavedModel with nothing else beside it."""
    shown = repr(str(destination))
    if not is_directory:
        raise errors.WriteError(f"{shown} is a file and a directory would replace it; name another place")
    # What a killed process left of a file in it goes with the rest.
    entries = {entry.name for entry in destination.iterdir() if not _STAGED.match(entry.name)}
    strangers = sorted(entries - _SAVED_MODEL_ENTRIES)
    if strangers or (entries and not entries.intersection(_SAVED_MODEL_MARKS)):
        holds = errors.listed(strangers or sorted(entries))
        raise errors.WriteError(
            f"{shown} is not replaced, because it is more than a SavedModel: it holds {holds}. "
            "Name another place, or remove it yourself"
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
    existing = next(parent for parent in destination.parents if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < size + _SPARE_BYTES:
        raise errors.WriteError(
            errno.ENOSPC,
            f"{str(destination)!r} needs {_mebibytes(size)} and its file system has {_mebibytes(free)} left; "
            "make room or name a place elsewhere",
        )


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def size_of(path: Path) -> int:
    """Return the bytes that a file, or all files of a directory, hold."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


@contextmanager
def staging(destination: Path, *, overwrite: bool = False, directory: bool = False, size: int = 0) -> Iterator[Path]:
    """Give a path to write to; when the block ends without an exception, what is there becomes the destination.

    Parameters
    ----------
    destination : Path
        As :func:`resolved` returns it. Its parent directories are made, and removed again if the block fails.
    overwrite : bool
        Whether an existing destination is replaced.
    directory : bool
        Whether the block makes a directory; it is not made beforehand.
    size : int
        The predicted size in bytes, 0 if unknown.

    Yields
    ------
    Path
        A name beside the destination, with its suffix, at which nothing exists yet.

    Raises
    ------
    WriteError
        If the destination is refused, not permitted, or has no room; the old destination is then untouched.
    """
    check(destination, overwrite=overwrite, directory=directory)
    with aside(destination, size=size) as staged:
        yield staged
        flush(staged)
        # Somebody may have written there meanwhile.
        check(destination, overwrite=overwrite, directory=directory)
        _commit(staged, destination)


@contextmanager
def aside(destination: Path, *, size: int = 0) -> Iterator[Path]:
    """Give a hidden name beside a destination; whatever is there when the block ends is removed.

    Parameters
    ----------
    destination : Path
        As :func:`resolved` returns it. Its parent directories are made, and removed again if the block fails.
    size : int
        The predicted size in bytes, 0 if unknown.

    Raises
    ------
    WriteError
        If the place is not permitted, or has no room.
    """
    require_space(destination, size)
    try:
        with _parents(destination), _staged_name(destination) as staged:
            yield staged
    except OSError as error:
        if isinstance(error, errors.TfMagicError) or not _is_ours(error, destination):
            raise
        raise _translated(error, destination) from error


def _is_ours(error: OSError, destination: Path) -> bool:
    """Say whether an error is about the write, not about something that the block read."""
    if error.errno not in _NO_SPACE | _REFUSED:
        return False
    return error.filename is None or _is_near(os.fsdecode(error.filename), destination)


def _is_near(name: str, destination: Path) -> bool:
    """Say whether a path is the destination, its staged form, something inside that, or a directory above."""
    path = Path(name)
    return destination.is_relative_to(path) or any(_STAGED.match(part) for part in path.parts)


def _translated(error: OSError, destination: Path) -> errors.WriteError:
    """Word what the system says when it refuses a write."""
    shown = repr(str(destination))
    if error.errno in _NO_SPACE:
        advice = "there is no room left; nothing was kept of it. Make room or name a place elsewhere"
    elif error.errno == errno.ENOTDIR:
        advice = "one of the directories on the way to it is a file; name another place"
    elif error.errno == errno.EFBIG:
        advice = "the file is larger than this user or file system may write; name a place elsewhere"
    else:
        advice = f"the system says {error.strerror!r}; change the permissions or name a place elsewhere"
    return errors.WriteError(error.errno, f"{shown} cannot be written: {advice}")


def no_space(destination: Path) -> errors.WriteError:
    """Return the error for a library that ran out of room in words of its own."""
    return _translated(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), destination)


@contextmanager
def _parents(destination: Path) -> Iterator[None]:
    """Make the directories above the destination, and remove those made if the block fails."""
    missing = [parent for parent in destination.parents if not parent.exists()]
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        _require_access(destination.parent)
        yield
    except BaseException:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise


def _require_access(directory: Path) -> None:
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


@contextmanager
def _staged_name(destination: Path) -> Iterator[Path]:
    """Give the staged path, and remove whatever is there in the end."""
    _sweep(destination.parent)
    staged = destination.with_name(_name(destination.name, "new"))
    _in_use.add(staged.name)
    try:
        yield staged
    finally:
        _remove(staged)
        _in_use.discard(staged.name)


def _name(name: str, role: str) -> str:
    return f".tfmagic-{_host()}-{os.getpid()}-{secrets.token_hex(4)}-{role}~{name}"


def _host() -> str:
    """Tell this machine from others that share the directory: a process is looked up on its own machine only."""
    return hashlib.blake2s(platform.node().encode(), digest_size=4).hexdigest()


def _remove(path: Path) -> None:
    """Remove a file or a directory, if it is there; what cannot be removed stays hidden."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def _sweep(directory: Path) -> None:
    """Clear up what killed processes left in a directory."""
    for entry in list(directory.iterdir()):
        found = _STAGED.match(entry.name)
        if found is None or entry.name in _in_use or found["host"] != _host() or _is_alive(int(found["pid"])):
            continue
        # Killed between two renames: the old destination goes back to its place.
        place = directory / found["name"]
        if found["role"] == "old" and not place.exists():
            with suppress(OSError):
                entry.rename(place)
        else:
            _remove(entry)


def _is_alive(pid: int) -> bool:
    """Say whether another process of this number runs; our own leftovers are those of a namesake before us."""
    if pid == os.getpid():
        return False
    if sys.platform == "win32":
        return True  # os.kill would end it there
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def flush(staged: Path) -> None:
    """Bring all bytes to the disk, so that a rename never outruns what it names."""
    files = [staged] if staged.is_file() else [path for path in staged.rglob("*") if path.is_file()]
    for file in files:
        # Windows flushes only what is open for writing.
        with file.open("r+b") as opened:
            os.fsync(opened.fileno())
    if staged.is_dir():
        for directory in [staged, *(path for path in staged.rglob("*") if path.is_dir())]:
            _flush_directory(directory)


def _flush_directory(directory: Path) -> None:
    """Bring a directory's entries to the disk, where the system lets one."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _commit(staged: Path, destination: Path) -> None:
    """Put what was staged in the destination's place."""
    if destination.is_dir():
        _swap(staged, destination)
    else:
        if destination.exists():
            shutil.copymode(destination, staged)
        staged.replace(destination)
    _flush_directory(destination.parent)


def _swap(staged: Path, destination: Path) -> None:
    """Put a directory in another's place: in one step where the system can, else with the old one set aside."""
    if _exchange(staged, destination):
        return  # the old one now has the staged name, and goes with it
    aside = destination.with_name(_name(destination.name, "old"))
    _in_use.add(aside.name)
    try:
        destination.rename(aside)
        staged.rename(destination)
    finally:
        if not destination.exists() and aside.exists():
            aside.rename(destination)
        _remove(aside)
        _in_use.discard(aside.name)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two directory entries in one step; False where the system or the file system cannot."""
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)

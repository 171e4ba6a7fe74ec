"""Stand-ins for what other systems do where Linux does another thing: what Python's own calls meet there.

They prove what they stand in for, and nothing of what TensorFlow or HDF5 do there. Not for: the tests
(:mod:`tests.files.test_other_systems`).
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import io
import os
import shutil
import stat
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

#: What is taken from `os`, as Windows has none of it.
_UNIX = ("O_DIRECTORY", "O_NOFOLLOW", "geteuid", "getuid", "fork")
#: Calls that take one path, and those that take two.
_ONE = ("stat", "lstat", "listdir", "scandir", "mkdir", "rmdir", "unlink", "remove", "open", "chmod", "access")
_TWO = ("rename", "replace", "link", "symlink")


def become_windows() -> None:
    """Make this process meet what Windows does, before tfmagic is imported: for a process of its own.

    Locks are those of ``msvcrt``, there is no ``fcntl``; nothing that is open is renamed or removed, nothing is renamed
    onto what is there, no directory is opened, replaced or flushed, nobody may make links, no library is the process.
    """
    import fcntl  # noqa: PLC0415 - what Windows' lock is made of here

    locks: Any = ModuleType("msvcrt")
    locks.LK_NBLCK = 2

    def locking(descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (locks.LK_NBLCK, 1)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None

    locks.locking = locking
    sys.modules["msvcrt"], sys.modules["fcntl"] = locks, None  # type: ignore[assignment]
    library = ctypes.CDLL

    def named(name: str | None, *arguments: Any, **options: Any) -> ctypes.CDLL:
        if name is None:
            raise TypeError("argument of type 'NoneType' is not iterable")
        return library(name, *arguments, **options)

    ctypes.CDLL = named  # type: ignore[misc, assignment]
    for name in _UNIX:
        if hasattr(os, name):
            delattr(os, name)
    _take_away_calls()
    # Which of its ways a walk through a tree takes was settled as it was imported.
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    sys.platform = "win32"


def _take_away_calls() -> None:
    opened, renamed, replaced, unlinked, emptied = os.open, os.rename, os.replace, os.unlink, os.rmdir

    def opening(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path, flags, *arguments, **options)

    def renaming(source: Any, target: Any) -> None:
        _require_closed(source)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "File exists", source, None, target)
        renamed(source, target)

    def replacing(source: Any, target: Any) -> None:
        _require_closed(source)
        _require_closed(target)
        if Path(target).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", source, None, target)
        replaced(source, target)

    def removing(call: Callable[..., None]) -> Callable[..., None]:
        def remove(path: Any, **options: Any) -> None:
            _require_closed(Path(f"/proc/self/fd/{options['dir_fd']}").readlink() / path if options else path)
            call(path, **options)

        return remove

    def linking(source: Any, target: Any, **_options: Any) -> None:
        raise OSError(errno.EPERM, "A required privilege is not held by the client", source, None, target)

    unlinking = removing(unlinked)
    vars(os).update(open=opening, rename=renaming, replace=replacing, link=linking, symlink=linking)
    vars(os).update(unlink=unlinking, remove=unlinking, rmdir=removing(emptied))


def _require_closed(path: Any) -> None:
    """Refuse what this process has open, or a file below it, as Windows does."""
    place = os.path.realpath(path)
    for number in Path("/proc/self/fd").iterdir():
        try:
            target = str(number.readlink())
        except FileNotFoundError:
            continue
        # A walk through a tree has its directories open, as it would not have there.
        is_file = stat.S_ISREG(os.fstat(int(number.name)).st_mode)
        if is_file and (target == place or target.startswith(f"{place}/")):
            raise PermissionError(errno.EACCES, "The process cannot access the file because it is in use", path)


def ignore_case(patch: pytest.MonkeyPatch) -> None:
    """Let Python's calls find a name in any case of its letters, as macOS and Windows do."""

    def translated(path: Any) -> Any:
        if isinstance(path, int):
            return path
        place = Path(path.anchor if (path := Path(os.fsdecode(path))).anchor else ".")
        for part in path.parts[1:] if path.anchor else path.parts:
            place /= _entry(place, part)
        return str(place)

    for name in _ONE:
        call = getattr(os, name)
        patch.setattr(os, name, _of_paths(call, 1, translated))
    for name in _TWO:
        patch.setattr(os, name, _of_paths(getattr(os, name), 2, translated))
    opening = _of_paths(io.open, 1, translated)
    patch.setattr(io, "open", opening)
    patch.setattr(builtins, "open", opening)


_listed, _there = os.listdir, os.lstat


def _entry(directory: Path, name: str) -> str:
    try:
        _there(directory / name)
    except OSError:
        pass
    else:
        return name
    try:
        names = _listed(directory)
    except OSError:
        return name
    return next((other for other in names if other.lower() == name.lower()), name)


def _of_paths(call: Callable[..., Any], count: int, translated: Callable[[Any], Any]) -> Callable[..., Any]:
    def calling(*arguments: Any, **options: Any) -> Any:
        if options.get("dir_fd") is not None:
            return call(*arguments, **options)
        return call(*map(translated, arguments[:count]), *arguments[count:], **options)

    return calling

"""Renames that take nothing away: onto free names only, two names exchanged, and several as one.

Several renames are written down first (``moves.json`` in the hidden directory from which files are moved). Who finds
that after a kill, or after a failure, knows what is left to do: all were done, so what they replaced goes, or not all,
so what was there comes back. Not for: what is moved, and why (:mod:`tfmagic.files.writing`,
:mod:`tfmagic.files.checkpoints.writing`).
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# From linux/fs.h, fcntl.h and, for macOS, sys/stdio.h.
_AT_FDCWD, _RENAME_NOREPLACE, _RENAME_EXCHANGE, _RENAME_EXCL = -100, 1, 2, 4
#: What a directory's flush says where the system has none.
_NO_FLUSH = frozenset({errno.EINVAL, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EISDIR})

_JOURNAL, _OLD = "moves.json", "old"


def rename_new(source: Path, target: Path) -> None:
    """Give a file or a directory a name that is free.

    Raises
    ------
    FileExistsError
        If there is something of that name; unlike ``Path.rename``, also if it came just now.
    """
    if sys.platform == "win32":
        source.rename(target)
        return
    code = _renamed(source, target, exchange=False)
    if code == errno.EEXIST:
        raise FileExistsError(code, os.strerror(code), str(target))
    if not code:
        return
    if source.is_dir():
        # One of two makes the directory, and an empty one is replaced.
        target.mkdir()
        try:
            source.rename(target)
        except BaseException:
            target.rmdir()
            raise
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)
    else:
        source.unlink()


def exchange(path: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system or the file system cannot."""
    return _renamed(path, other, exchange=True) == 0


def _renamed(source: Path, target: Path, *, exchange: bool) -> int:
    """Rename by what systems have beyond POSIX; returns the error's number, 0 if it is done."""
    if sys.platform not in ("linux", "darwin"):
        # Elsewhere there may be no library of the process itself: Windows takes no None for one.
        return errno.ENOSYS
    try:
        library = ctypes.CDLL(None, use_errno=True)
        names = os.fsencode(source), os.fsencode(target)
        if sys.platform == "linux":
            flag = _RENAME_EXCHANGE if exchange else _RENAME_NOREPLACE
            done = library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], flag)
        else:
            done = library.renamex_np(*names, _RENAME_EXCHANGE if exchange else _RENAME_EXCL)
    except (OSError, AttributeError):
        return errno.ENOSYS
    return ctypes.get_errno() if done else 0


def flush(path: Path) -> None:
    """Bring a file, or all that is in a directory, to the disk, so that a rename never outruns what it names."""
    if not path.is_dir():
        _flush_file(path)
        return
    for entry in path.iterdir():
        if not entry.is_symlink():
            flush(entry)
    flush_directory(path)


def _flush_file(path: Path) -> None:
    # Windows flushes only what is open for writing; a copy of what may not be written to is opened for reading.
    with suppress(PermissionError), path.open("r+b") as file:
        os.fsync(file.fileno())
        return
    with path.open("rb") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _NO_FLUSH:
                raise


def flush_directory(directory: Path) -> None:
    """Bring a directory's entries to the disk, where the system lets one."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise


def is_flushed(directory: Path) -> bool:
    """Bring a directory's entries to the disk, and say whether that worked."""
    try:
        flush_directory(directory)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Moves:
    """Several renames from a hidden directory into the one that it lies in.

    Attributes
    ----------
    place : Path
        The hidden directory.
    before : tuple of (str, str)
        What is moved first, each a path in the hidden directory and a free name beside it.
    aside : tuple of str
        Names beside the hidden directory that are set aside, into it, then; without the first of them, nobody reads
        the others.
    after : tuple of (str, str)
        What is moved at last, onto names that are free or replaced; with the last of them, all is done.
    replaced : tuple of str
        Names beside the hidden directory that are removed when all is done.
    """

    place: Path
    before: tuple[tuple[str, str], ...]
    aside: tuple[str, ...]
    after: tuple[tuple[str, str], ...]
    replaced: tuple[str, ...] = ()

    def carry_out(self) -> None:
        """Move everything. What is left to do, also after a failure, :func:`settled` does."""
        parent = self.place.parent
        self._write_down()
        linked = self._linked() if self.aside else set()
        for source, name in self.before:
            rename_new(self.place / source, parent / name)
        replaced = {name for _, name in self.after}
        for place, name in enumerate(self.aside):
            if name not in linked:
                (parent / name).rename(self.place / _OLD / name)
            elif place == 0 or name not in replaced:
                (parent / name).unlink()
        for source, name in self.after:
            (self.place / source).replace(parent / name)

    def _linked(self) -> set[str]:
        """Link in the hidden directory all that is going to be replaced: it is whole there, and can be read."""
        old = self.place / _OLD
        old.mkdir()
        linked = set()
        for name in (*self.replaced, *self.aside):
            # A file system without links has it whole again once it is back.
            with suppress(OSError):
                os.link(self.place.parent / name, old / name)
                linked.add(name)
        flush_directory(old)
        return linked

    def _write_down(self) -> None:
        """Write what is going to be done, with the numbers by which files are known again."""
        parent = self.place.parent
        numbers = {name: (self.place / source).lstat().st_ino for source, name in (*self.before, *self.after)}
        numbers |= {f"{_OLD}/{name}": (parent / name).lstat().st_ino for name in self.replaced}
        draft = self.place / f"{_JOURNAL}.draft"
        content = {**asdict(self), "place": "", "numbers": numbers}
        draft.write_text(json.dumps(content), "utf-8")
        flush(draft)
        draft.replace(self.place / _JOURNAL)


def aside(place: Path) -> list[str]:
    """Return the names of what a hidden directory has set aside, and is nowhere else."""
    moves = _written_down(place)
    names = moves["aside"] if moves else []
    return [name for name in names if os.path.lexists(place / _OLD / name) and not os.path.lexists(place.parent / name)]


def unfinished(place: Path) -> set[str]:
    """Return the names beside a hidden directory that files of it have got already, by moves that are to be undone."""
    moves = _written_down(place)
    if moves is None or not os.path.lexists(place / moves["after"][-1][0]):
        return set()
    moved = [name for source, name in (*moves["before"], *moves["after"]) if not os.path.lexists(place / source)]
    return {name for name in moved if _is_number(place.parent / name, moves["numbers"][name])}


def where_aside(place: Path) -> Path:
    """Return the directory in which lies what was set aside."""
    return place / _OLD


def settled(place: Path) -> bool:
    """End the moves of a hidden directory: what they replaced goes, or what was there comes back.

    Returns
    -------
    bool
        Whether nothing is left in it that anybody needs.
    """
    moves = _written_down(place)
    if moves is None:
        return True
    try:
        if os.path.lexists(place / moves["after"][-1][0]):
            _undo(place, moves)
        elif moves["replaced"] and is_flushed(place.parent):
            for name in moves["replaced"]:
                _remove_if(place.parent / name, moves["numbers"][f"{_OLD}/{name}"])
    except OSError:
        return not aside(place) or not os.path.lexists(place / moves["after"][-1][0])
    return True


def _undo(place: Path, moves: dict[str, Any]) -> None:
    """Take away what was moved, and put back what was set aside, the last first."""
    for source, name in reversed([*moves["before"], *moves["after"]]):
        if not os.path.lexists(place / source):
            _remove_if(place.parent / name, moves["numbers"][name])
    for name in reversed(moves["aside"]):
        if os.path.lexists(place / _OLD / name):
            # Something new of that name is of a write that came later.
            with suppress(FileExistsError):
                rename_new(place / _OLD / name, place.parent / name)


def _remove_if(path: Path, number: int) -> None:
    """Remove a file or a directory if it is still the one of this number."""
    with suppress(FileNotFoundError):
        if not _is_number(path, number):
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_number(path: Path, number: int) -> bool:
    """Say whether a name is still that of the file or directory of this number."""
    try:
        return path.lstat().st_ino == number
    except FileNotFoundError:
        return False


def _written_down(place: Path) -> dict[str, Any] | None:
    """Read what was going to be done; None if nothing was begun."""
    try:
        moves = json.loads((place / _JOURNAL).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return moves if isinstance(moves, dict) else None

"""Hidden directories of ours, beside what is written or in the temporary directory, locked while their owner lives.

Whatever is unfinished lies in one. The lock is the system's (``flock``), not a name or a number of a process: it dies
with its owner, so that the next write into the directory clears up after one that was killed, and never takes what
another process or container is writing. What a hidden place has set aside is put back before it goes
(:mod:`tfmagic.files.renames`). Not for: what is written there (:mod:`tfmagic.files.writing`).
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import stat
import sys
import threading
import time
import weakref
import zlib
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tfmagic import errors
from tfmagic.files import locks, renames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAME = re.compile(r"\.tfmagic-(?P<kernel>[0-9a-f]{8})-[0-9a-f]{12}")
_LOCK = "lock"
#: Seconds after which a place is taken for left behind whose kernel is another's: after a restart, or of another
#: machine that shares the directory, whose locks may not reach here.
_AGE = 24 * 3600
#: A sweep may take a place in the moment before it is locked; a new one is made then.
_ATTEMPTS = 20
#: Seconds that a write waits for another one that is putting its result into the same directory.
_PATIENCE = 10.0
_PAUSE = 0.02

_opened = threading.local()


class HiddenPlace:
    """One hidden directory, from its making to its removal.

    Attributes
    ----------
    path : Path
        Where it is.
    keeps : bool
        Whether it still holds what it has set aside, because that could not be put back; it is not removed then.
    """

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.path = parent
        self.keeps = False
        self._lock: BinaryIO | None = None
        self._held: int | None = None
        self._process = os.getpid()

    def make(self) -> None:
        """Make the directory, and lock it."""
        _places().append(self)
        for _ in range(_ATTEMPTS):
            self.path = self.parent / f".tfmagic-{_kernel()}-{os.urandom(6).hex()}"
            # What is written may replace something that others must not read.
            self.path.mkdir(mode=0o700)
            try:
                self._lock = (self.path / _LOCK).open("xb")
            except FileNotFoundError:
                continue
            if locks.locked(self._lock.fileno()) is not False and self._is_ours():
                return
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(self.path))

    def _is_ours(self) -> bool:
        """Say whether the lock is still the one at its place: it may have been swept before it was locked."""
        try:
            return self._lock is not None and os.path.samestat(
                (self.path / _LOCK).stat(), os.fstat(self._lock.fileno())
            )
        except FileNotFoundError:
            return False

    def hold_parent(self) -> None:
        """Keep other writes of ours from putting their results into the directory, until this place is closed.

        Where the system locks no directories (Windows, NFS), nothing is held.
        """
        if sys.platform == "win32":
            return
        with suppress(OSError):
            self._held = os.open(self.parent, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        end = time.monotonic() + _PATIENCE
        while self._held is not None and locks.locked(self._held) is False:
            if time.monotonic() > end:
                raise errors.WriteError(
                    errno.EAGAIN,
                    f"another write into {str(self.parent)!r} is at its last step and does not end; try again later",
                )
            time.sleep(_PAUSE)

    def belongs_to(self, owner: object) -> Callable[[], object]:
        """Let the place live as long as an object, instead of the call that made it; return what ends it earlier."""
        end = weakref.finalize(owner, self.close)
        _places().remove(self)
        return end

    def close(self) -> None:
        """Put back what was set aside by a write that was not finished, and remove the directory.

        A process that was forked from the one that made the place, and shares its locks, does nothing.
        """
        if os.getpid() != self._process:
            return
        try:
            if self.path != self.parent and self.path.exists():
                self.keeps = not renames.settled(self.path)
                if not self.keeps:
                    _clear(self.path, self._lock)
        finally:
            self._release()

    def _release(self) -> None:
        """Give up what is locked."""
        try:
            if self._held is not None:
                locks.unlock(self._held)
                held, self._held = self._held, None
                os.close(held)
        finally:
            if self._lock is not None:
                self._lock.close()
        if self in _places():
            _places().remove(self)


def opened_here() -> int:
    """Return how many places this thread has open."""
    return len(_places())


def close_since(count: int) -> None:
    """Close the places that this thread has opened since there were so many: their own ends were interrupted."""
    for place in reversed(_places()[count:]):
        place.close()


def _places() -> list[HiddenPlace]:
    """Return the places that this thread has open, the newest last."""
    if not hasattr(_opened, "places"):
        _opened.places = []
    places: list[HiddenPlace] = _opened.places
    return places


def is_hidden(name: str) -> bool:
    """Say whether a name in a directory is that of a hidden place."""
    return _NAME.fullmatch(name) is not None


def sweep(directory: Path) -> list[str]:
    """Clear up what killed processes left in a directory; return the names of what was put back.

    The directories above it are looked at, too, as far as they are this user's: what is now below them may have been
    missing when something was written.
    """
    places = [directory, *directory.parents]
    first_of_others = next((place for place in places[1:] if not _is_own(place)), None)
    own = places[: places.index(first_of_others)] if first_of_others is not None else places
    return [name for place in own for name in _swept_in(place)]


def _is_own(place: Path) -> bool:
    try:
        return place.lstat().st_uid == _user()
    except OSError:
        return False


def _swept_in(directory: Path) -> list[str]:
    try:
        names = [name for name in os.listdir(directory) if is_hidden(name)]  # noqa: PTH208 - names are enough
    except OSError:
        return []
    return [name for place in names for name in _swept(directory / place)]


def left_over(directory: Path) -> set[str]:
    """Return the names in a directory of what killed processes had moved there, which the next sweep takes away."""
    try:
        places = [directory / name for name in os.listdir(directory) if is_hidden(name)]  # noqa: PTH208 - as above
    except OSError:
        return set()
    names: set[str] = set()
    for place in places:
        with suppress(OSError), _abandoned(place) as lock:
            names |= renames.unfinished(place) if lock is not None else set()
    return names


def _swept(place: Path) -> Iterator[str]:
    """Remove one place, if its owner is dead; yield the names of what it had set aside and is put back."""
    try:
        with _abandoned(place) as lock:
            if lock is None:
                return
            names = renames.aside(place)
            if renames.settled(place):
                _clear(place, lock)
                yield from names
    except FileNotFoundError:
        # Left before it was locked, or after it was emptied.
        with suppress(OSError):
            place.rmdir()
    except OSError:
        return


@contextmanager
def _abandoned(place: Path) -> Iterator[BinaryIO | None]:
    """Give the lock of a place, held, if its owner is dead for sure; else None.

    Raises
    ------
    OSError
        If it has no lock, or none that may be taken.
    """
    info = place.lstat()
    # In a directory that many share, such as /tmp, a place of somebody else's may be a trap.
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != _user():
        yield None
        return
    with open(place / _LOCK, "r+b", opener=_not_linked) as lock:
        is_dead = locks.locked(lock.fileno()) is True and _is_of_this_kernel(place, lock)
        yield lock if is_dead else None


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _not_linked(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _is_of_this_kernel(place: Path, lock: BinaryIO) -> bool:
    """Say whether the place's owner would be seen here by its lock, or can no longer be there."""
    parts = _NAME.fullmatch(place.name)
    is_old = time.time() - os.fstat(lock.fileno()).st_mtime > _AGE
    return is_old or (parts is not None and parts["kernel"] == _kernel())


@cache
def _kernel() -> str:
    """Tell the running system from others that share a directory: containers on it see each other's locks."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8")
    except (OSError, ValueError):
        text = platform.node()
    return f"{zlib.crc32(text.encode()):08x}"


def _clear(place: Path, lock: BinaryIO | None) -> None:
    """Remove a place, its lock last; what cannot be removed stays hidden."""
    with suppress(OSError):
        for entry in list(place.iterdir()):
            if entry.name != _LOCK:
                remove(entry)
        if not _is_removed(place) and lock is not None:
            # Windows removes nothing that is open, NFS keeps it under another name.
            lock.close()
            _is_removed(place)


def _is_removed(place: Path) -> bool:
    """Remove a place that holds its lock alone, or nothing, and say whether that worked."""
    try:
        if [entry.name for entry in place.iterdir()] == [_LOCK]:
            (place / _LOCK).unlink()
        place.rmdir()
    except OSError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file or a directory, if it is there, write-protected or not; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        # What was replaced may hold directories in which nothing may be changed, and comes here to go.
        with suppress(OSError):
            _open_up(path)
            for directory, names, _ in os.walk(path):
                for name in names:
                    _open_up(Path(directory, name))
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def _open_up(directory: Path) -> None:
    """Let the owner of a directory change it."""
    mode = directory.lstat().st_mode
    if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
        directory.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)

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
import tempfile
import threading
import time
import weakref
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from tfmagic import errors
from tfmagic.files import renames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

if sys.platform == "win32":
    import msvcrt
else:
    try:
        import fcntl
    except ImportError:
        # Python in a browser has no locks.
        fcntl = None  # type: ignore[assignment]

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

#: What a write that the system refuses ends in; anything else is of what was read, or our own mistake.
_REFUSED = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.ENAMETOOLONG, errno.EIO,
    errno.ENOTDIR, errno.EBUSY, errno.EXDEV, errno.ENOTEMPTY, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ESTALE,
})  # fmt: skip
_OF_THE_PROCESS = frozenset({errno.EMFILE, errno.ENFILE})
_WORDS = {os.strerror(code): code for code in sorted(_REFUSED)}

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
            if locked(self._lock.fileno()) is not False and self._is_ours():
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
        while self._held is not None and locked(self._held) is False:
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
                if sys.platform != "win32" and fcntl is not None:
                    # Twice does no harm, where closing twice could close another's file.
                    fcntl.flock(self._held, fcntl.LOCK_UN)
                held, self._held = self._held, None
                os.close(held)
        finally:
            if self._lock is not None:
                self._lock.close()
        if self in _places():
            _places().remove(self)


class Scratch:
    """A directory for what nobody keeps, in the system's temporary directory; a context manager.

    Raises
    ------
    WriteError
        If there is no room, or no permission.
    """

    def __init__(self) -> None:
        self._place: HiddenPlace | None = None

    def __enter__(self) -> Path:
        """Make the directory."""
        try:
            parent = Path(tempfile.gettempdir())
            sweep(parent)
            self._place = HiddenPlace(parent)
            self._place.make()
        except OSError as error:
            self.close()
            raise refusal_of_temporary(error) from error
        except BaseException:
            self.close()
            raise
        return self._place.path

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Remove it."""
        self.close()
        code = refused(error, self._place.path) if error is not None and self._place is not None else None
        if code is not None:
            raise refusal_of_temporary(OSError(code, os.strerror(code))) from error

    def belongs_to(self, owner: object) -> Callable[[], object]:
        """Keep the directory for as long as an object lives, instead of a block; return what ends it earlier."""
        if self._place is None:
            return self.close
        place, self._place = self._place, None
        return place.belongs_to(owner)

    def close(self) -> None:
        """Remove the directory now."""
        if self._place is not None:
            self._place.close()


def nameless() -> IO[bytes]:
    """Open a temporary file without a name, so that nothing is left of it when the process is killed.

    Where the system cannot do without a name, it goes as it is closed.

    Raises
    ------
    WriteError
        If there is no room, or no permission.
    """
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise refusal_of_temporary(error) from error


def refused(error: BaseException, place: Path) -> int | None:
    """Return the number of what the system refused to a write in a hidden place, None if an error is of something else.

    Libraries put the system's words into exceptions of their own, and ours have theirs as their cause.
    """
    if not isinstance(error, Exception) or isinstance(error, errors.WriteError | errors.VerificationError):
        return None
    if isinstance(error, errors.ReadError) and place.name not in str(error):
        return None
    cause: BaseException | None = error
    while cause is not None:
        text = f"{cause} {getattr(cause, 'filename', '')}"
        is_of_system = isinstance(cause, OSError) and not isinstance(cause, errors.TfMagicError)
        # What removes a directory speaks of names in it; where the process has no more files, each name is as good.
        is_near = (
            place.name in text
            or (is_of_system and not _is_elsewhere(getattr(cause, "filename", None)))
            or getattr(cause, "errno", None) in _OF_THE_PROCESS
        )
        if is_near and is_of_system and getattr(cause, "errno", None) in _REFUSED:
            return int(getattr(cause, "errno", 0))
        if is_near and (words := [code for said, code in _WORDS.items() if said in text]):
            return words[0]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None


def refusal_of_temporary(error: OSError) -> errors.WriteError:
    """Word what the system says when it refuses a write in the temporary directory."""
    advice = "make room there, or name another one in the environment variable TMPDIR"
    if error.errno in _OF_THE_PROCESS:
        advice = "close some files, or restart the kernel"
    elif error.errno == errno.EFBIG:
        advice = "allow larger files (ulimit -f)"
    try:
        directory = tempfile.gettempdir()
    except OSError:
        # Python tries several, and names the first that takes a file.
        directory = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - what it tried
    return errors.WriteError(
        error.errno,
        f"the temporary directory {directory!r} cannot be written: the system says "
        f"{error.strerror or str(error)!r}; {advice}. Nothing else was changed",
    )


def _is_elsewhere(name: object) -> bool:
    return isinstance(name, str | bytes) and os.path.isabs(name)  # noqa: PTH117 - it may be bytes


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


def _swept(place: Path) -> Iterator[str]:
    """Remove one place, if its owner is dead; yield the names of what it had set aside and is put back."""
    try:
        info = place.lstat()
        # In a directory that many share, such as /tmp, a place of somebody else's may be a trap.
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != _user():
            return
        lock = open(place / _LOCK, "r+b", opener=_not_linked)  # noqa: SIM115 - closed below
    except FileNotFoundError:
        # Left before it was locked, or after it was emptied.
        with suppress(OSError):
            place.rmdir()
        return
    except OSError:
        return
    with lock:
        if locked(lock.fileno()) is not True or not _is_of_this_kernel(place, lock):
            return
        names = renames.aside(place)
        if renames.settled(place):
            _clear(place, lock)
            yield from names


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


def locked(descriptor: int) -> bool | None:
    """Lock an open file, unless another has; None where the file system knows no locks."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        elif fcntl is None:
            return None
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


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

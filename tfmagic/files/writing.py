"""Write aside, flush, rename: an interrupted or failed write leaves the old thing whole.

What is written goes into a hidden directory beside the destination, so that the last step is a rename within one file
system. Directories that are missing on the way are made in there, too, and come with it. Not for: reading
(:mod:`tfmagic.files.reading`), several files that are one thing (:mod:`tfmagic.files.checkpoints.writing`), nor what
the bytes mean.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import hidden_places, renames, saved_model_files
from tfmagic.files.addresses import urls
from tfmagic.files.addresses.address import Address, path_of
from tfmagic.files.hidden_places import HiddenPlace

if TYPE_CHECKING:
    from types import TracebackType

#: Room asked for beyond the predicted size: file system metadata, and whatever else writes meanwhile.
_SPARE_BYTES = 1 << 20
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_ADVICE = {
    errno.ENOTDIR: "one of the directories on the way to it is a file; name another place",
    errno.EFBIG: "the file is larger than this user or file system may write; name a place elsewhere",
    errno.ENOENT: "a directory on the way to it is gone, or its path is longer than the system takes ('{said}'); try "
    "again, or name a place with a shorter path",
    errno.EIO: "the disk, or the network to it, failed to write ('{said}'); name a place elsewhere",
    errno.EROFS: "the file system is read-only; name a place elsewhere",
    errno.EBUSY: "it is in use, as a place where something is mounted is ('{said}'); name a place inside of it",
    errno.EXDEV: (
        "it cannot be moved ('{said}'), as something is mounted on the way to it, or it came with a container's image; "
        "name another place"
    ),
    errno.ENAMETOOLONG: "its name is longer than the file system takes; give a shorter one",
    errno.ENOTEMPTY: "somebody else wrote there meanwhile; look what it is, and try again",
    errno.EMFILE: "this process has too many files open; close some, or restart the kernel",
}
#: A suffix by which libraries go; a name may have a longer one, up to the limit.
_SUFFIX = 16


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


def check(destination: Path, *, overwrite: bool, directory: bool, extra: bool = False) -> None:
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
        raise refusal(error, destination) from error
    shown = repr(str(destination))
    if not overwrite:
        raise errors.WriteError(
            errno.EEXIST,
            f"{shown} exists; replace it with overwrite=True (--overwrite on a magic's line), or name another place",
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
        raise refusal(error, destination) from error
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


def size_of(path: Path) -> int:
    """Return the bytes that a file, or all files of a directory, hold."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


class Aside:
    """A place aside to write to, as a context manager; what is there when the block ends is removed.

    Parameters
    ----------
    destination : Path
        As :func:`resolved` returns it. Nothing is made on the way to it.
    size : int
        The predicted size in bytes, 0 if unknown.
    flushed : bool
        Whether the disk has to have it before it takes its name: what can be made anew may be lost with the power.

    Attributes
    ----------
    notes : list of str
        What a person should know of the write, whether it went well or not.

    Raises
    ------
    WriteError
        If the place is not permitted, or has no room; also for what a library makes of that in the block. It says what
        stands at the destination now.
    """

    def __init__(self, destination: Path, *, size: int = 0, flushed: bool = True) -> None:
        self.destination = destination
        self.size = size
        self.flushed = flushed
        self.notes: list[str] = []
        self.base = nearest(destination)
        self.place = HiddenPlace(self.base)
        self._existed = False

    @property
    def staged(self) -> Path:
        """Where to write: a short name, as the destination's may be as long as the file system takes."""
        suffix = self.destination.suffix
        return self.place.path / f"new{suffix if len(suffix) <= _SUFFIX else ''}"

    def __enter__(self) -> Path:
        """Make the hidden directory, after clearing up what killed processes left beside it."""
        try:
            self._existed = self.exists()
            require_space(self.destination, self.size)
            self._require_name()
            self._tell_back(hidden_places.sweep(self.base))
            self.place.make()
        except BaseException as error:
            self.place.close()
            if isinstance(error, OSError) and not isinstance(error, errors.TfMagicError):
                raise refusal(error, self.destination, self._stands()) from error
            raise
        return self.staged

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Put what was written in its place, if all went well, and remove the hidden directory."""
        if error is not None:
            self.place.close()
            if (code := hidden_places.refused(error, self.place.path)) is not None:
                raise refusal(OSError(code, os.strerror(code)), self.destination, self._stands()) from error
            return
        try:
            try:
                self.commit()
            finally:
                self.place.close()
        except errors.TfMagicError:
            raise
        except OSError as problem:
            raise refusal(problem, self.destination, self._stands()) from problem
        if self.flushed and not renames.is_flushed(self.base):
            self.notes.append("it is written, but the disk did not confirm its name: look at it after a power failure")

    def commit(self) -> None:
        """Put what was written in its place; nothing here."""

    def exists(self) -> bool:
        """Say whether there is something at the destination."""
        return os.path.lexists(self.destination)

    def _require_name(self) -> None:
        """Have the system say now whether it takes the names on the way."""
        for name in self.destination.relative_to(self.base).parts:
            with suppress(FileNotFoundError):
                (self.base / name).lstat()

    def _tell_back(self, names: list[str]) -> None:
        if names:
            self.notes.append(
                f"an earlier write there was killed; what it had set aside is back in its place: {errors.listed(names)}"
            )

    def _stands(self) -> str:
        """Say what is at the destination after a failure."""
        if self.place.keeps:
            old = renames.where_aside(self.place.path) / self.destination.name
            return (
                f"What was there could not be put back: it lies whole as {str(old)!r}, and the next write into that "
                "directory puts it back"
            )
        return "What was there before is unchanged" if self._existed else "Nothing of it is left there"


class Staging(Aside):
    """A place aside to write to, as a context manager; without an exception, what is there becomes the destination.

    Parameters
    ----------
    destination : Path
        As :func:`resolved` returns it. Its parent directories come with it, or not at all.
    overwrite : bool
        Whether an existing destination is replaced.
    directory : bool
        Whether the block makes a directory; it is not made beforehand.
    size : int
        The predicted size in bytes, 0 if unknown.
    extra : bool
        As :func:`check` takes it.
    flushed : bool
        As :class:`Aside` takes it.

    Raises
    ------
    WriteError
        If the destination is refused, not permitted, or has no room; the old destination is then untouched.
    """

    def __init__(  # noqa: PLR0913 - what a write may be
        self,
        destination: Path,
        *,
        overwrite: bool = False,
        directory: bool = False,
        size: int = 0,
        extra: bool = False,
        flushed: bool = True,
    ) -> None:
        check(destination, overwrite=overwrite, directory=directory, extra=extra)
        super().__init__(destination, size=size, flushed=flushed)
        self._overwrite = overwrite
        self._directory = directory
        self._extra = extra

    def commit(self) -> None:
        """Put what was written in its place."""
        if self.flushed:
            renames.flush(self.staged)
        self.place.hold_parent()
        # Somebody may have written there meanwhile.
        check(self.destination, overwrite=self._overwrite, directory=self._directory, extra=self._extra)
        if not os.path.lexists(self.destination):
            if arrive(self.place, {self.staged: self.destination}):
                return
            self._make_parents()
        if not self._overwrite:
            renames.rename_new(self.staged, self.destination)
        elif self._directory and self.destination.is_dir():
            self._swap()
        else:
            _like(self.staged, self.destination)
            self.staged.replace(self.destination)

    def _make_parents(self) -> None:
        """Make what is missing on the way, where some of it came meanwhile."""
        self.destination.parent.mkdir(parents=True, exist_ok=True)

    def _swap(self) -> None:
        """Put a directory in another's place: in one step where the system can, else with the old one set aside."""
        lost = saved_model_files.extras(self.destination) - saved_model_files.extras(self.staged)
        if lost:
            raise errors.WriteError(
                f"{str(self.destination)!r} is not replaced, because the new one would not have what lies in its "
                f"{saved_model_files.EXTRA!r}: {errors.listed(sorted(lost))}. Name another place, or move that away"
            )
        _like(self.staged, self.destination)
        if not renames.exchange(self.staged, self.destination):
            name = self.destination.name
            renames.Moves(self.place.path, (), (name,), ((self.staged.name, name),)).carry_out()


def arrive(place: HiddenPlace, files: dict[Path, Path]) -> bool:
    """Move files out of a hidden place into a directory that is missing, with the directories on the way: in one step.

    Parameters
    ----------
    place : HiddenPlace
        Where the files are now.
    files : dict of Path to Path
        For each file its destination; all are in one directory.

    Returns
    -------
    bool
        False, and nothing was moved, if the directory is there by now, or a part of the way.
    """
    parent = next(iter(files.values())).parent
    if os.path.lexists(parent):
        return False
    way = parent.relative_to(place.parent)
    tree = place.path / "way"
    (tree / way).mkdir(parents=True)
    moved = {tree / way / target.name: source for source, target in files.items()}
    for now, before in moved.items():
        before.rename(now)
    renames.flush_directory(tree / way)
    try:
        renames.rename_new(tree / way.parts[0], place.parent / way.parts[0])
    except FileExistsError:
        for now, before in moved.items():
            now.rename(before)
        return False
    return True


def _like(staged: Path, destination: Path) -> None:
    """Give what replaces a file or a directory the same permissions."""
    if not os.path.lexists(destination):
        return
    mode = stat.S_IMODE(destination.stat().st_mode)
    if stat.S_IMODE(staged.stat().st_mode) != mode:
        staged.chmod(mode)


def refusal(error: OSError, destination: Path, stands: str = "") -> errors.WriteError:
    """Word what the system says when it refuses a write, and what stands now."""
    said = error.strerror or str(error)
    default = "the system says '{said}'; change the permissions or name a place elsewhere"
    if error.errno in _NO_SPACE:
        default = "there is no room left; make room or name a place elsewhere"
    advice = _ADVICE.get(error.errno or 0, default).format(said=said)
    return errors.WriteError(
        error.errno, f"{str(destination)!r} cannot be written: {advice}{'. ' if stands else ''}{stands}"
    )

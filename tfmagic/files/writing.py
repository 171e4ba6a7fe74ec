"""Write aside, flush, rename: an interrupted or failed write leaves the old thing whole.

What is written goes into a hidden directory beside the destination, so that the last step is a rename within one file
system. Directories that are missing on the way are made in there, too, and come with it. Not for: reading
(:mod:`tfmagic.files.reading`), several files that are one thing (:mod:`tfmagic.files.checkpoints.writing`), nor what
the bytes mean.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import hidden_places, refusals, renames, saved_model_files, write_checks
from tfmagic.files.hidden_places import HiddenPlace

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

#: A suffix by which libraries go; a name may have a longer one, up to the limit.
_SUFFIX = 16


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
        As :func:`tfmagic.files.write_checks.resolved` returns it. Nothing is made on the way to it.
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
        self.base = write_checks.nearest(destination)
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
            write_checks.require_space(self.destination, self.size)
            self._require_name()
            self._tell_back(hidden_places.sweep(self.base))
            self.place.make()
        except BaseException as error:
            self.place.close()
            if isinstance(error, OSError) and not isinstance(error, errors.TfMagicError):
                raise refusals.refusal(error, self.destination, self._stands()) from error
            raise
        return self.staged

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Put what was written in its place, if all went well, and remove the hidden directory."""
        if error is not None:
            self.place.close()
            if (code := refusals.refused(error, self.place.path)) is not None:
                raise refusals.refusal(OSError(code, os.strerror(code)), self.destination, self._stands()) from error
            return
        try:
            try:
                self.commit()
            finally:
                self.place.close()
        except errors.TfMagicError:
            raise
        except OSError as problem:
            raise refusals.refusal(problem, self.destination, self._stands()) from problem
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
        As :func:`tfmagic.files.write_checks.resolved` returns it. Its parent directories come with it, or not at all.
    overwrite : bool
        Whether an existing destination is replaced.
    directory : bool
        Whether the block makes a directory; it is not made beforehand.
    size : int
        The predicted size in bytes, 0 if unknown.
    extra : bool
        As :func:`tfmagic.files.write_checks.require_replaceable` takes it.
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
        write_checks.require_replaceable(destination, overwrite=overwrite, directory=directory, extra=extra)
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
        write_checks.require_replaceable(
            self.destination, overwrite=self._overwrite, directory=self._directory, extra=self._extra
        )
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

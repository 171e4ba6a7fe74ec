"""The file that a catalogue is written to while it is made, and what is left where that breaks off.

Rows go into a file beside the destination whose name says that it is unfinished, each as soon as it is known; a whole
catalogue is renamed. So the destination is complete or what it was, and a run that was killed, or whose engine broke,
leaves what it had for ``previous=``: what an earlier run left is kept beside it until the catalogue is whole, so that a
run that goes on may be killed, too. Not for: the formats (:mod:`tfmagic.verbs.cataloguing.row_files`).
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tfmagic import errors
from tfmagic.files import locks, places, refusals, renames, write_checks, writing
from tfmagic.files.addresses.address import path_of
from tfmagic.verbs.cataloguing import row_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO

    from tfmagic.frames import CatalogRow
    from tfmagic.verbs.cataloguing.row_files import RowWriter

_UNFINISHED = ".unfinished"
#: Added to the name of an unfinished catalogue while a later run is at it.
_BEFORE = "-before"


def rows_of(previous: str | os.PathLike[str]) -> Iterator[CatalogRow]:
    """Yield the rows of an earlier catalogue, unfinished or not; of two of one address, the later holds.

    Raises
    ------
    CorruptSourceError
        If it is no catalogue.
    """
    path = path_of(previous)
    is_kept = path.stem.endswith(_UNFINISHED) and _beside(path, _BEFORE).is_file()
    if is_kept:
        yield from row_files.read(_beside(path, _BEFORE))
    # A run that was killed at its first row has none, and Parquet is read only if its end was written.
    with suppress(*([FileNotFoundError, errors.CorruptSourceError] if is_kept else [])):
        yield from row_files.read(path)


def _beside(path: Path, added: str) -> Path:
    return path.with_name(f"{path.stem}{added}{path.suffix}")


class Output:
    """A catalogue on its way to a file, as a context manager.

    Parameters
    ----------
    destination : str or path
        Where it is to be; the suffix says how.
    overwrite : bool
        Whether what is there is replaced.

    Attributes
    ----------
    unfinished : Path
        Where its rows are until it is whole.

    Raises
    ------
    WriteError
        If it may not be written, or there is no room.
    """

    def __init__(self, destination: str | os.PathLike[str], *, overwrite: bool) -> None:
        if places.is_address(destination):
            raise errors.WriteError("a catalogue is written on this machine: name a file here, and copy that there")
        self.destination = write_checks.resolved(destination)
        self._format = row_files.format_of(self.destination)
        write_checks.require_replaceable(self.destination, overwrite=overwrite, directory=False)
        self._overwrite = overwrite
        self.unfinished: Path = _beside(self.destination, _UNFINISHED)
        self._file: BinaryIO | None = None
        self._writer: RowWriter | None = None

    def __enter__(self) -> Self:
        return self

    def write(self, row: CatalogRow) -> None:
        """Write a row."""
        try:
            self._opened().write(row)
        except errors.TfMagicError:
            raise
        except OSError as error:
            raise refusals.refusal(error, self.destination, self.stands()) from error

    def _opened(self) -> RowWriter:
        """Return what writes rows: with the first of them, as an earlier run may have left what it had."""
        if self._writer is None:
            self.destination.parent.mkdir(parents=True, exist_ok=True)
            self._keep_earlier()
            try:
                self._file = self.unfinished.open("xb")
            except FileExistsError as error:
                raise self._other_run() from error
            if not self._is_ours() or not _is_free(self._file):
                raise self._other_run()
            self._writer = self._format.writer(self._file)
        return self._writer

    def _keep_earlier(self) -> None:
        """Keep what an earlier run left: it goes when this one is whole."""
        before = _beside(self.unfinished, _BEFORE)
        if not os.path.lexists(self.unfinished):
            return
        # Whatever it may be a link to stays as it is.
        if self.unfinished.is_symlink():
            self.unfinished.unlink()
            return
        try:
            with self.unfinished.open("rb") as earlier:
                is_free = _is_free(earlier)
            # Windows moves nothing that is open.
            if is_free and before.is_file():
                self._join(before)
            elif is_free:
                self.unfinished.replace(before)
        except FileNotFoundError:
            is_free = False
        if not is_free:
            raise self._other_run()

    def _join(self, before: Path) -> None:
        """Bring what two runs left together: the later one went on from the earlier."""
        rows: dict[str, CatalogRow] = {}
        for path in (before, self.unfinished):
            with suppress(errors.CorruptSourceError):
                rows |= {row.address: row for row in row_files.read(path)}
        with writing.Staging(before, overwrite=True) as staged, staged.open("xb") as file:
            writer = self._format.writer(file)
            for row in rows.values():
                writer.write(row)
            writer.close()
        self.unfinished.unlink()

    def _is_ours(self) -> bool:
        """Say whether the unfinished file is still the one that this run opened."""
        try:
            return self._file is not None and os.path.samestat(self.unfinished.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    def _other_run(self) -> errors.WriteError:
        return errors.WriteError(
            errno.EBUSY,
            f"another run is writing {str(self.unfinished)!r}; wait for its end, or name another file as output",
        )

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Put a whole catalogue in its place; close one that broke off."""
        try:
            try:
                if error is None or self._writer is not None:
                    self._opened().close()
                if error is None and not self._is_ours():
                    raise self._other_run()
            finally:
                self.release()
            if error is None:
                self._put_in_place()
        except OSError as problem:
            if error is not None:
                return
            if isinstance(problem, errors.TfMagicError):
                raise
            raise refusals.refusal(problem, self.destination, self.stands()) from problem

    def release(self) -> None:
        """Close the file, and with it give up its lock; what is in it stays."""
        if self._file is not None:
            self._file.close()

    def _put_in_place(self) -> None:
        renames.flush(self.unfinished)
        # Somebody may have written there meanwhile.
        write_checks.require_replaceable(self.destination, overwrite=self._overwrite, directory=False)
        with suppress(FileNotFoundError):
            self.unfinished.chmod(self.destination.stat().st_mode & 0o7777)
        if self._overwrite:
            self.unfinished.replace(self.destination)
        else:
            renames.rename_new(self.unfinished, self.destination)
        with suppress(OSError):
            _beside(self.unfinished, _BEFORE).unlink()

    def stands(self) -> str:
        """Say where what was finished is, and how to go on; nothing where there is none of it."""
        if self._writer is None:
            return ""
        return f"What was finished is in {str(self.unfinished)!r}: go on with previous={str(self.unfinished)!r}"


def _is_free(file: BinaryIO) -> bool:
    """Lock a file for as long as it is open, unless another run has; where there are no locks, it counts as free."""
    # Windows would keep others from reading along, and lets nobody remove what is open.
    return sys.platform == "win32" or locks.locked(file.fileno()) is not False

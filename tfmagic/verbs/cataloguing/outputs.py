"""The file that a catalogue is written to while it is made, and what is left where that breaks off.

Rows go into a file beside the destination whose name says that it is unfinished, each as soon as it is known; a whole
catalogue is renamed. So the destination is complete or what it was, and a run that was killed, or whose engine broke,
leaves what it had for ``previous=``. Not for: the formats (:mod:`tfmagic.verbs.cataloguing.row_files`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tfmagic import errors
from tfmagic.files import places, renames, writing
from tfmagic.verbs.cataloguing import row_files

if TYPE_CHECKING:
    import os
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO

    from tfmagic.frames import CatalogRow
    from tfmagic.verbs.cataloguing.row_files import RowWriter

_UNFINISHED = ".unfinished"


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
        self.destination = writing.resolved(destination)
        self._format = row_files.format_of(self.destination)
        writing.check(self.destination, overwrite=overwrite, directory=False)
        self._overwrite = overwrite
        name = f"{self.destination.stem}{_UNFINISHED}{self.destination.suffix}"
        self.unfinished: Path = self.destination.with_name(name)
        self._file: BinaryIO | None = None
        self._writer: RowWriter | None = None

    def __enter__(self) -> Self:
        return self

    def write(self, row: CatalogRow) -> None:
        """Write a row."""
        try:
            self._opened().write(row)
        except OSError as error:
            raise writing.refusal(error, self.destination, self.stands()) from error

    def _opened(self) -> RowWriter:
        """Return what writes rows: with the first of them, as an earlier run may have left what it had."""
        if self._writer is None:
            self.destination.parent.mkdir(parents=True, exist_ok=True)
            # Whatever it may be a link to stays as it is.
            self.unfinished.unlink(missing_ok=True)
            self._file = self.unfinished.open("xb")
            self._writer = self._format.writer(self._file)
        return self._writer

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Put a whole catalogue in its place; close one that broke off."""
        try:
            try:
                if error is None or self._writer is not None:
                    self._opened().close()
            finally:
                if self._file is not None:
                    self._file.close()
            if error is None:
                self._put_in_place()
        except OSError as problem:
            if error is not None:
                return
            if isinstance(problem, errors.TfMagicError):
                raise
            raise writing.refusal(problem, self.destination, self.stands()) from problem

    def _put_in_place(self) -> None:
        renames.flush(self.unfinished)
        # Somebody may have written there meanwhile.
        writing.check(self.destination, overwrite=self._overwrite, directory=False)
        with suppress(FileNotFoundError):
            self.unfinished.chmod(self.destination.stat().st_mode & 0o7777)
        if self._overwrite:
            self.unfinished.replace(self.destination)
        else:
            renames.rename_new(self.unfinished, self.destination)

    def stands(self) -> str:
        """Say where what was finished is, and how to go on; nothing where there is none of it."""
        if self._writer is None:
            return ""
        return f"What was finished is in {str(self.unfinished)!r}: go on with previous={str(self.unfinished)!r}"

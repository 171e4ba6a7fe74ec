"""Write HDF5 where the library cannot meet an error: it ends the whole process when it closes a file after one.

HDF5 2 (in h5py 3.14 to 3.16) dies of a segmentation fault in ``H5Fclose`` after one write that failed, as on a full
disk. It gets a file object that never refuses: what fails is remembered, and raised when HDF5 is done. Not for: reading
(:mod:`tfmagic.files.hdf5`).
"""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

    from typing_extensions import Buffer

#: After an error, what is larger than this is values, which HDF5 does not read back; the rest stays readable.
_KEPT = 1 << 20


class UnfailingFile(io.BytesIO):
    """A file on the disk, for a library that must not see it fail.

    It is a BytesIO by type, since Keras asks for one, and holds nothing in memory until the disk fails.

    Parameters
    ----------
    path : Path
        The file, which is made anew.
    name : str
        What ``str`` gives, by which Keras goes.

    Attributes
    ----------
    error : OSError or None
        What the disk refused first.
    """

    def __init__(self, path: Path, name: str) -> None:
        super().__init__()
        self._file = path.open("w+b", buffering=0)
        self._name = name
        self._place = 0
        self._end = 0
        self._unwritten: list[tuple[int, bytes]] = []
        self.error: OSError | None = None

    def __str__(self) -> str:
        return self._name

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place; past the end, too."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        self._place = begin + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def write(self, data: Buffer, /) -> int:
        """Write; what the disk refuses is remembered."""
        view = memoryview(data).cast("B")
        if self.error is None:
            try:
                self._write(view)
            except OSError as error:
                self.error = error
        if self.error is not None and len(view) <= _KEPT:
            self._unwritten.append((self._place, bytes(view)))
        self._place += len(view)
        self._end = max(self._end, self._place)
        return len(view)

    def _write(self, view: memoryview) -> None:
        self._file.seek(self._place)
        done = 0
        while done < len(view):
            done += self._file.write(view[done:]) or 0

    def readinto(self, buffer: Buffer, /) -> int:
        """Read what was written, and zeros where that failed."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._end - self._place))
        view[:count] = bytes(count)
        try:
            self._file.seek(self._place)
            self._file.readinto(view[:count])
        except OSError as error:
            self.error = self.error or error
        for place, data in self._unwritten:
            begin, end = max(place, self._place), min(place + len(data), self._place + count)
            if begin < end:
                view[begin - self._place : end - self._place] = data[begin - place : end - place]
        self._place += count
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, or all that are left."""
        rest = max(0, self._end - self._place)
        buffer = bytearray(rest if size is None or size < 0 else min(size, rest))
        self.readinto(buffer)
        return bytes(buffer)

    def truncate(self, size: int | None = None, /) -> int:
        """Cut or extend the file."""
        self._end = self._place if size is None else size
        if self.error is None:
            try:
                self._file.truncate(self._end)
            except OSError as error:
                self.error = error
        return self._end

    def flush(self) -> None:
        """Do nothing: the file has no buffer of ours, and is brought to the disk when it is whole."""

    def close(self) -> None:
        """Close the file on the disk."""
        self._file.close()
        super().close()


@contextmanager
def file_object(path: Path, name: str) -> Iterator[UnfailingFile]:
    """Give a file object of that name; raises OSError at the end for what the disk refused meanwhile."""
    file = UnfailingFile(path, name)
    try:
        yield file
    finally:
        error = file.error
        file.close()
        if error is not None:
            raise error


@contextmanager
def hdf5_file(path: Path, name: str) -> Iterator[Any]:
    """Give an ``h5py.File`` of that name; raises OSError at the end for what the disk refused meanwhile."""
    import h5py  # noqa: PLC0415 - only who writes needs it

    class NamedFile(h5py.File):  # type: ignore[misc]
        """A file that Keras takes for one by its name."""

        def __str__(self) -> str:
            return name

    with file_object(path, name) as file, NamedFile(file, "w") as opened:
        yield opened


class PathWithFile(str):
    """A path by type and name, and a file object for whoever asks one: ``tf_keras`` makes text of what it is given."""

    __slots__ = ("_file",)
    _file: UnfailingFile

    def __new__(cls, file: UnfailingFile) -> Self:
        """Take a file's name."""
        path = super().__new__(cls, str(file))
        path._file = file
        return path

    def __str__(self) -> str:
        return self

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the file has
        return getattr(self._file, name)

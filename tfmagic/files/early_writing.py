"""A file whose bytes begin to go to the disk while the rest of it is made, so that the flush at its end waits less.

A flush of 300 MB takes as long as writing them to the system's memory, and nothing is done meanwhile. Only Linux can
begin without waiting; elsewhere the file is a plain one. Not for: the flush itself, which has to come all the same
(:mod:`tfmagic.files.renames`).
"""

from __future__ import annotations

import ctypes
import io
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Buffer

#: So many bytes are written before they begin to go to the disk.
_STEP = 4 << 20
#: Small pieces are written together, large ones go to the disk from where they are.
_BUFFER_BYTES = 1 << 16
#: From linux/fs.h: begin to write what no write to the disk is under way for, and wait for nothing.
_SYNC_FILE_RANGE_WRITE = 2


def opened(path: Path) -> BinaryIO:
    """Open a file to be written from its beginning; what was there is gone."""
    begin = _beginning()
    if begin is None:
        return path.open("wb", buffering=_BUFFER_BYTES)
    return io.BufferedWriter(_EarlyFile(path, begin), _BUFFER_BYTES)


class _EarlyFile(io.FileIO):
    """A file that has each few megabytes sent to the disk once they are written.

    Nothing is waited for, and no error is looked at: those of the disk are kept for whoever flushes the file.
    """

    def __init__(self, path: Path, begin: Callable[[int, int, int, int], int]) -> None:
        super().__init__(path, "wb")
        self._begin = begin
        self._begun = 0
        self._end = 0

    def write(self, data: Buffer, /) -> int:
        """Write the data, or its first megabytes: a buffer before this file comes back with the rest."""
        written = super().write(memoryview(data)[:_STEP])
        self._end += written
        if self._end - self._begun >= _STEP:
            self._begin(self.fileno(), self._begun, self._end - self._begun, _SYNC_FILE_RANGE_WRITE)
            self._begun = self._end
        return written


@cache
def _beginning() -> Callable[[int, int, int, int], int] | None:
    """Return the call of the system, None where it has none."""
    if sys.platform != "linux":
        return None
    try:
        function: Any = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function  # type: ignore[no-any-return]

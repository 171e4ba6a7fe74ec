"""A file that a thread writes while the rest of it is made, and that goes to the disk meanwhile.

To flush 300 MB takes as long as to write them to the system's memory, and to get them out of TensorFlow takes half of
that: one after the other nothing else is done. Only Linux is asked to send bytes to the disk without waiting. Not for:
the flush, which has to come all the same (:mod:`tfmagic.files.renames`).
"""

from __future__ import annotations

import ctypes
import io
import sys
import threading
from functools import cache
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Buffer

#: Small pieces are written together, large ones from where they are.
_BUFFER_BYTES = 1 << 16
#: So many bytes begin to go to the disk once they are written; a smaller file needs no thread.
_STEP = 4 << 20
#: Pieces of so many bytes wait to be written while their maker goes on; it waits for one that is larger.
_HELD_BYTES = 32 << 20
#: From linux/fs.h: begin to write what no write to the disk is under way for, and wait for nothing.
_SYNC_FILE_RANGE_WRITE = 2


def opened(path: Path) -> BinaryIO:
    """Open a file to be written from its beginning, as a context manager; what was there is gone.

    What is written must not change until the file is closed. What the disk refuses is raised by a later write, or as
    the block ends.
    """
    return cast("BinaryIO", _EarlyFile(path))


class _EarlyFile(io.BufferedIOBase):
    """A file that a thread of its own writes, once it has a few megabytes.

    The two talk through queues alone, which an interrupt leaves whole: a lock could stay taken.
    """

    def __init__(self, path: Path) -> None:
        self._file = io.FileIO(path, "wb")
        self._small = bytearray()
        self._end = 0
        self._first: list[Buffer] = []
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._pieces: SimpleQueue[Buffer | None] = SimpleQueue()
        self._written: SimpleQueue[int | BaseException] = SimpleQueue()
        self._is_given_up = False
        self._sent = 0

    def writable(self) -> bool:
        """Whether it is for writing: yes."""
        return True

    def tell(self) -> int:
        """Return how many bytes were handed over."""
        return self._end

    def write(self, data: Buffer, /) -> int:
        """Hand data over."""
        size = memoryview(data).nbytes
        self._end += size
        if size < _BUFFER_BYTES:
            self._small += data
            if len(self._small) >= _BUFFER_BYTES:
                self._hand_small_over()
        else:
            self._hand_small_over()
            self._hand_over(data, size)
        return size

    def _hand_small_over(self) -> None:
        if self._small:
            small, self._small = self._small, bytearray()
            self._hand_over(small, len(small))

    def _hand_over(self, data: Buffer, size: int) -> None:
        self._waiting += size
        if self._thread is None:
            self._first.append(data)
            if self._waiting < _STEP:
                return
            self._thread = threading.Thread(target=self._run, daemon=True, name="tfmagic write")
            self._thread.start()
            first, self._first = self._first, []
            for piece in first:
                self._pieces.put(piece)
        else:
            self._pieces.put(data)
        self._wait(0 if size > _HELD_BYTES else _HELD_BYTES)

    def _wait(self, limit: int) -> None:
        """Wait until so many bytes at most are not written; raises what kept the thread from it."""
        while self._waiting > limit:
            answer = self._written.get()
            if isinstance(answer, BaseException):
                # No other answer comes.
                self._is_given_up = True
                raise answer
            self._waiting -= answer

    def _run(self) -> None:
        """Write what is handed over, and say how much, or what it failed of."""
        try:
            while (piece := self._pieces.get()) is not None:
                size = self._put(piece)
                # Its maker goes on once it is told, and must not have the next one beside it.
                del piece
                self._written.put(size)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._written.put(error)

    def _put(self, piece: Buffer) -> int:
        """Write a piece, and have it sent to the disk; that one's errors are kept for whoever flushes the file."""
        view = memoryview(piece).cast("B")
        begin, done = _beginning(), 0
        while done < len(view) and not self._is_given_up:
            done += self._file.write(view[done : done + _STEP])
            place = self._file.tell()
            if begin is not None and place - self._sent >= _STEP:
                begin(self._file.fileno(), self._sent, place - self._sent, _SYNC_FILE_RANGE_WRITE)
                self._sent = place
        return len(view)

    def close(self) -> None:
        """Write what is left, and close the file; raises OSError for what was not written."""
        if self.closed:
            return
        try:
            if not self._is_given_up:
                self._hand_small_over()
                for piece in self._first:
                    self._put(piece)
                if self._thread is not None:
                    self._wait(0)
        except BaseException:
            self._is_given_up = True
            raise
        finally:
            self._first = []
            if self._thread is not None:
                self._pieces.put(None)
                self._thread.join()
            self._file.close()
            super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; after an error what is left is not written."""
        if error is not None:
            self._is_given_up = True
        self.close()


@cache
def _beginning() -> Callable[[int, int, int, int], int] | None:
    """Return the system's call that begins to send bytes to the disk, None where there is none."""
    if sys.platform != "linux":
        return None
    try:
        function: Any = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function  # type: ignore[no-any-return]
